"""Block-wide sum and maximum, in a fixed order."""

from typing import Any

from ...compiler.cuda.device import SIMULATED, cuda, device, thread

THREADS = 4 if SIMULATED else 128


def one_block_a_row(*arguments: Any) -> int:
    """The number of blocks for one block per row of the last argument."""
    return int(arguments[-1].shape[0])


@device
def block_sum(value, parts):
    """The sum over the threads of the block: a tree reduction in shared memory."""
    t = thread()
    parts[t] = value
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            parts[t] += parts[t + half]
        cuda.syncthreads()
        half //= 2
    total = parts[0]
    cuda.syncthreads()  # all threads have read it before `parts` is used again
    return total


@device
def block_max(value, parts):
    """The maximum over the threads of the block; the values must not be NaN."""
    t = thread()
    parts[t] = value
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half and parts[t + half] > parts[t]:
            parts[t] = parts[t + half]
        cuda.syncthreads()
        half //= 2
    largest = parts[0]
    cuda.syncthreads()
    return largest
