"""Weights of samples on the GPU: one block per sample, and each adds up all weights of the batch."""

from numba import float32

from ...compiler.cuda.device import block, cuda, thread
from ...compiler.cuda.registry import MATRIX, VECTOR, Launch, rung
from ...compiler.types import Matrix, Vector
from .rows import THREADS, block_sum, one_block_a_row


def weigh_rows(w: Vector, delta: Matrix, weighted: Matrix) -> None:
    parts = cuda.shared.array(THREADS, float32)
    total = float32(0)
    l = thread()
    while l < w.size:
        total += w[l]
        l += THREADS
    total = block_sum(total, parts)
    i = block()
    scale = w[i] * (float32(w.size) / total) if total > 0 else float32(0)
    j = thread()
    while j < delta.shape[1]:
        weighted[i, j] = delta[i, j] * scale
        j += THREADS


WEIGH = Launch(weigh_rows, [VECTOR, MATRIX, MATRIX], THREADS, one_block_a_row)


@rung("weigh", "rows", WEIGH)
def weigh(w: Vector, delta: Matrix, weighted: Matrix) -> None:
    """delta·w·m/Σw. Each block reads all weights of the batch, and each number of delta once."""
    WEIGH(w, delta, weighted)
