"""What kernels share that give each row, one sample, to one block: its threads add up together, always in one order."""

from typing import Any

from ...compiler.cuda.device import SIMULATED, cuda, device, thread

THREADS = 4 if SIMULATED else 128


def one_block_a_row(*arguments: Any) -> int:
    """Blocks for as many rows as the last argument has."""
    return int(arguments[-1].shape[0])


@device
def block_sum(value, parts):
    """The sum over the threads of the block: neighbours halve their number until one is left."""
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
    cuda.syncthreads()  # everyone has read it before `parts` is used again
    return total


@device
def block_max(value, parts):
    """The largest over the threads of the block; NaN counts as small."""
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
