"""Gradient clipping on the GPU: the squares in parts, one block each; then one thread per number."""

import math
from typing import Any

from numba import float32

from ...compiler.cuda.device import block, cuda, thread
from ...compiler.cuda.registry import FLOAT, VECTOR, Launch, rung
from ...compiler.types import Vector
from .elements import THREADS as OF_ELEMENTS
from .elements import one_thread_each
from .rows import THREADS, block_sum


def squares_of_parts(grad: Vector, sums: Vector) -> None:
    parts = cuda.shared.array(THREADS, float32)
    t, n = block(), grad.size
    total = float32(0)
    i = t * n // sums.size + thread()
    stop = (t + 1) * n // sums.size
    while i < stop:
        total += grad[i] * grad[i]
        i += THREADS
    total = block_sum(total, parts)
    if thread() == 0:
        sums[t] = total


def shrink_elements(sums: Vector, limit: float, grad: Vector, clipped: Vector) -> None:
    i = cuda.grid(1)
    total = float32(0)
    for t in range(sums.size):
        total += sums[t]
    length = math.sqrt(total)
    if i < grad.size:
        clipped[i] = grad[i] * (limit / length) if length > limit else grad[i]


def _one_block_a_part(*arguments: Any) -> int:
    return int(arguments[-1].size)


SQUARES = Launch(squares_of_parts, [VECTOR, VECTOR], THREADS, _one_block_a_part)


@rung("squares", "rows", SQUARES)
def squares(grad: Vector, sums: Vector) -> None:
    """One block per part: a tree of sums. Reads each number once."""
    SQUARES(grad, sums)


SHRINK = Launch(shrink_elements, [VECTOR, FLOAT, VECTOR, VECTOR], OF_ELEMENTS, one_thread_each)


@rung("shrink", "elements", SHRINK)
def shrink(sums: Vector, limit: float, grad: Vector, clipped: Vector) -> None:
    """One thread per number. Each adds up the sums; reads and writes each number once."""
    SHRINK(sums, limit, grad, clipped)
