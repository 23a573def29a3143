"""The kernels of a recorded step that read from GPU memory what changes from one step to the next.

A training step is recorded once, as a list of launches with fixed arguments, and then repeated. The GPU therefore
stores the progress of the training itself, in `clock`: three integers that `tick` increments at the end of each
step.
"""

from ...compiler.cuda.device import block, cuda, thread
from ...compiler.cuda.registry import FLOAT, INT, INTS, MATRIX, VECTOR, Launch
from ...compiler.types import Matrix, Vector
from .elements import THREADS as THREADS_OF_ELEMENTS
from .elements import one_thread_each
from .gather import copy_sample
from .optimizers import NEXT, STEP, adam_at
from .rows import THREADS, one_block_a_row

IN_ORDER, IN_EPOCH = range(2)
"""clock[...]: position in `order`, samples seen in this epoch; clock[STEP]: steps of this epoch."""


def gather_next(X: Matrix, Y: Matrix, order: Vector, clock: Vector, X_batch: Matrix, Y_batch: Matrix) -> None:
    """`gather`, from the position of the clock."""
    i = block()
    copy_sample(X, Y, order[clock[IN_ORDER] + i], X_batch, Y_batch, i)


def adam_next(
    grad, lr, beta1, beta2, rest1, rest2, epsilon, weight_decay, corrections, clock, mean, square, theta
):  # fmt: skip
    """`adam`, with the corrections of the current step of the clock: corrections (steps, 2)."""
    i = cuda.grid(1)
    if i < theta.size:
        adam_at(
            i, grad, lr, beta1, beta2, rest1, rest2, epsilon, weight_decay, corrections[clock[STEP], 0],
            corrections[clock[STEP], 1], mean, square, theta,
        )  # fmt: skip


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
        clock[STEP] += 1


GATHER_NEXT = Launch(gather_next, [MATRIX, MATRIX, INTS, INTS, MATRIX, MATRIX], THREADS, one_block_a_row)
ADAM_NEXT = Launch(
    adam_next, [VECTOR, *[FLOAT] * 7, MATRIX, INTS, VECTOR, VECTOR, VECTOR], THREADS_OF_ELEMENTS, one_thread_each
)
TICK = Launch(tick, [VECTOR, INT, INTS, VECTOR], THREADS, lambda *arguments: 1)

RECORDED = {"gather": [GATHER_NEXT, TICK], "adam": [ADAM_NEXT], **{name: [launch] for name, launch in NEXT.items()}}
"""Operation -> its launches in a recorded step."""
