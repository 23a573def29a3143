"""Sums of columns, in a fixed order: each block takes some columns, and several threads share the rows of each."""

from typing import Any

from numba import float32

from ...compiler.cuda.device import SIMULATED, block, cuda, device, thread

COLUMNS, LANES = (4, 4) if SIMULATED else (32, 8)
"""Columns per block, and threads per column."""

THREADS = COLUMNS * LANES


@device
def column():
    """The column of this thread. It can lie outside of the matrix."""
    return block() * COLUMNS + thread() % COLUMNS


@device
def sum_of_lanes(value, parts):
    """The sum over the threads of this thread's column. The first COLUMNS threads need it."""
    mine, lane = thread() % COLUMNS, thread() // COLUMNS
    parts[lane, mine] = value
    cuda.syncthreads()
    total = float32(0)
    for other in range(LANES):
        total += parts[other, mine]
    return total


def blocks_of_columns(*arguments: Any) -> int:
    """The number of blocks for all columns, as many as the last argument has numbers."""
    return -(-int(arguments[-1].size) // COLUMNS)
