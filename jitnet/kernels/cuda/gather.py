"""Mini-batches on the GPU: rows of the data in shuffled order, one block per sample."""

from ...compiler.cuda.device import block, device, thread
from ...compiler.cuda.registry import INT, INTS, MATRIX, Launch, rung
from ...compiler.types import Matrix, Vector
from .rows import THREADS, one_block_a_row


@device
def copy_sample(X, Y, source, X_batch, Y_batch, i):
    k = thread()
    while k < X.shape[1]:
        X_batch[i, k] = X[source, k]
        k += THREADS
    j = thread()
    while j < Y.shape[1]:
        Y_batch[i, j] = Y[source, j]
        j += THREADS


def gather_rows(X: Matrix, Y: Matrix, order: Vector, start: int, X_batch: Matrix, Y_batch: Matrix) -> None:
    i = block()
    copy_sample(X, Y, order[start + i], X_batch, Y_batch, i)


GATHER = Launch(gather_rows, [MATRIX, MATRIX, INTS, INT, MATRIX, MATRIX], THREADS, one_block_a_row)


@rung("gather", "rows", GATHER, writes=2)
def gather(X: Matrix, Y: Matrix, order: Vector, start: int, X_batch: Matrix, Y_batch: Matrix) -> None:
    """One block per sample; its threads read neighboring numbers. Reads and writes each number once."""
    GATHER(X, Y, order, start, X_batch, Y_batch)
