"""The first and the last kernel of a recorded step, which update what changes from one step to the next.

A training step is recorded once, as a list of launches with fixed arguments, and then repeated. The GPU therefore
stores the progress of the training itself, in `clock`: five integers. `begin` copies what belongs to the current step
to fixed addresses, from which the launches between read it: its samples, its seed and index (which dropout hashes), and
the numbers of the optimizer. `tick` advances the clock.
"""

from ...compiler.cuda.device import block, cuda, thread
from ...compiler.cuda.registry import INT, INTS, MATRIX, VECTOR, Launch
from ...compiler.types import Matrix, Vector
from .gather import copy_sample
from .optimizers import FROM_MEMORY
from .rows import THREADS, one_block_a_row

SEED, STEP, BATCH, IN_EPOCH, IN_ORDER = range(5)
"""clock[...]: seed and step of the training; batches and samples of this epoch so far; the position in `order`."""


def begin(
    X: Matrix, Y: Matrix, w: Vector, order: Vector, numbers: Matrix, clock: Vector, numbers_of_step: Vector,
    clock_of_step: Vector, w_batch: Vector, X_batch: Matrix, Y_batch: Matrix,
) -> None:  # fmt: skip
    """`gather`, from the position of the clock; its seed and step; and its row of `numbers`, one row a batch.

    w has the weights of the samples, or no elements.
    """
    i = block()
    source = order[clock[IN_ORDER] + i]
    copy_sample(X, Y, source, X_batch, Y_batch, i)
    if w.size > 0 and thread() == 0:
        w_batch[i] = w[source]
    if i == 0:
        k = thread()
        while k < numbers_of_step.size:
            numbers_of_step[k] = numbers[clock[BATCH], k]
            k += THREADS
        if thread() == 0:
            clock_of_step[0] = clock[SEED]
            clock_of_step[1] = clock[STEP]


def tick(losses: Vector, portion: int, clock: Vector, losses_of_epoch: Vector) -> None:
    """Append the losses of this batch to those of the epoch, and advance the clock. One block.

    `portion` is the number of samples that are on the GPU at a time; after these, `order` starts again.
    """
    start, m = clock[IN_EPOCH], losses.size
    i = thread()
    while i < m:
        losses_of_epoch[start + i] = losses[i]
        i += THREADS
    cuda.syncthreads()  # all threads have read the clock
    if thread() == 0:
        seen = clock[IN_ORDER] + m
        clock[IN_ORDER] = seen if seen < portion else 0
        clock[IN_EPOCH] += m
        clock[BATCH] += 1
        clock[STEP] += 1


BEGIN = Launch(
    begin, [MATRIX, MATRIX, VECTOR, INTS, MATRIX, INTS, VECTOR, INTS, VECTOR, MATRIX, MATRIX], THREADS, one_block_a_row
)
TICK = Launch(tick, [VECTOR, INT, INTS, VECTOR], THREADS, lambda *arguments: 1)

RECORDED = {"gather": [BEGIN, TICK], **{operation: [launch] for operation, launch in FROM_MEMORY.items()}}
"""Operation -> the launches that replace it in a recorded step."""
