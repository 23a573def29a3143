"""How many blocks a multiprocessor can hold at a time, and what limits it.

A multiprocessor switches to another warp whenever one waits, so it wants many; their registers and shared memory are
all there at once. Source: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability" and
"Arithmetic Instructions"; how registers and shared memory are rounded is in CUDA's own calculation, cuda_occupancy.h.
"""

from typing import NamedTuple

WARP = 32
REGISTERS = 65536
"""Of a multiprocessor, 32 bits each."""

PARTS = 4
"""Of a multiprocessor. A warp belongs to one, with its registers, and each part starts one instruction a cycle."""

STEP = 256
"""Registers are given to a warp by so many, which is 8 for each thread."""

LATENCY = 4
"""Cycles that a multiply-add takes, from compute capability 7.0 on."""

BANKS = 32
"""Numbers of 4 bytes that shared memory hands out in a cycle."""


class Gpu(NamedTuple):
    """What a multiprocessor of one compute capability has."""

    threads: int
    blocks: int
    shared: int
    """Bytes of shared memory, of which the system takes 1 KB for each block from 8.0 on."""
    multiply_adds: int
    """float32, in a cycle."""


GPUS = {
    (7, 5): Gpu(1024, 16, 64 << 10, 64),
    (8, 0): Gpu(2048, 32, 164 << 10, 64),
    (8, 6): Gpu(1536, 16, 100 << 10, 128),
    (8, 7): Gpu(1536, 16, 164 << 10, 128),
    (8, 9): Gpu(1536, 24, 100 << 10, 128),
    (9, 0): Gpu(2048, 32, 228 << 10, 128),
    (10, 0): Gpu(2048, 32, 228 << 10, 128),
    (11, 0): Gpu(1536, 24, 228 << 10, 128),
    (12, 0): Gpu(1536, 24, 100 << 10, 128),
}
"""Compute capability -> what a multiprocessor has."""


class Resident(NamedTuple):
    """The blocks that a multiprocessor holds at a time."""

    blocks: int
    warps: int
    most_warps: int
    """That it could hold."""
    limits: str
    """What stands in the way of one more block."""


def resident(cc: tuple[int, int], threads: int, registers: int, shared: int) -> Resident:
    """For blocks of so many threads, each with so many registers, and so many bytes of shared memory with the
    system's."""
    gpu = GPUS[cc]
    warps = -(-threads // WARP)
    step = 256 if cc < (8, 0) else 128  # of shared memory
    of_warp = -(-registers * WARP // STEP) * STEP
    fits = {
        "registers": REGISTERS // PARTS // of_warp * PARTS // warps,
        "threads": gpu.threads // WARP // warps,
        "number of blocks": gpu.blocks,
    }
    if shared:
        fits["shared memory"] = gpu.shared // (-(-shared // step) * step)
    blocks = min(fits.values())
    limits = " and ".join(what for what, most in fits.items() if most == blocks)
    return Resident(blocks, blocks * warps, gpu.threads // WARP, limits)
