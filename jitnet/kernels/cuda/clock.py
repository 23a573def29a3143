"""Kernels of a recorded step: what changes from one step to the next, they look up on the GPU.

A training step is recorded once, as a list of launches, and then repeated; so no launch can be told how far training
has come. The GPU keeps that itself, in `clock`: three whole numbers, that `tick` moves on at the end of each step.
"""

from ...compiler.cuda.device import block, cuda, thread
from ...compiler.cuda.registry import FLOAT, INT, INTS, MATRIX, VECTOR, Launch
from ...compiler.types import Matrix, Vector
from .elements import THREADS as THREADS_OF_ELEMENTS
from .elements import one_thread_each
from .gather import copy_sample
from .optimizers import adam_at
from .rows import THREADS, one_block_a_row

IN_ORDER, IN_EPOCH, STEP = range(3)
"""clock[...]: samples seen of those that `order` names, samples seen in this epoch, steps made in this epoch."""


def gather_next(X: Matrix, Y: Matrix, order: Vector, clock: Vector, X_batch: Matrix, Y_batch: Matrix) -> None:
    """`gather`, from where the clock says."""
    i = block()
    copy_sample(X, Y, order[clock[IN_ORDER] + i], X_batch, Y_batch, i)


def adam_next(
    grad, lr, beta1, beta2, rest1, rest2, epsilon, weight_decay, corrections, clock, mean, square, theta
):  # fmt: skip
    """`adam`, with the corrections of the step that the clock says: corrections (steps, 2)."""
    i = cuda.grid(1)
    if i < theta.size:
        adam_at(
            i, grad, lr, beta1, beta2, rest1, rest2, epsilon, weight_decay, corrections[clock[STEP], 0],
            corrections[clock[STEP], 1], mean, square, theta,
        )  # fmt: skip


def tick(losses: Vector, portion: int, clock: Vector, losses_of_epoch: Vector) -> None:
    """Keep the losses of this batch with those of the epoch, and move the clock on. One block.

    `portion` is how many samples are on the GPU at a time: after so many, `order` begins anew.
    """
    start, m = clock[IN_EPOCH], losses.size
    i = thread()
    while i < m:
        losses_of_epoch[start + i] = losses[i]
        i += THREADS
    cuda.syncthreads()  # everyone has read the clock
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

RECORDED = {"gather": [GATHER_NEXT, TICK], "adam": [ADAM_NEXT]}
"""Operation -> what does it in a recorded step."""
