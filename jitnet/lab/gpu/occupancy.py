"""Occupancy: how many blocks a multiprocessor can hold at a time, and what limits it.

A multiprocessor switches to another warp whenever one waits, so it needs many; it holds the registers and shared memory
of all of them. Source: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability" and
"Arithmetic Instructions"; how registers and shared memory are rounded is in cuda_occupancy.h of CUDA.
"""

from typing import NamedTuple

WARP = 32
REGISTERS = 65536
"""Registers of a multiprocessor, 32 bits each."""

PARTS = 4
"""Parts of a multiprocessor. A warp and its registers belong to one; each part issues one instruction per cycle."""

STEP = 256
"""Registers are allocated to a warp in multiples of this, which is 8 per thread."""

LATENCY = 4
"""Cycles that a multiply-add takes, from compute capability 7.0 on."""

BANKS = 32
"""Words of 4 bytes that shared memory delivers per cycle."""


class Gpu(NamedTuple):
    """A multiprocessor of one compute capability."""

    threads: int
    blocks: int
    shared: int
    """Bytes of shared memory; from 8.0 on, the system takes 1 KB per block."""
    multiply_adds: int
    """float32 multiply-adds per cycle."""


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
"""Compute capability -> multiprocessor."""


class Resident(NamedTuple):
    """The blocks that a multiprocessor holds at a time."""

    blocks: int
    warps: int
    most_warps: int
    """The warps that it could hold at most."""
    limits: str
    """The resource that limits the number of blocks."""


def resident(cc: tuple[int, int], threads: int, registers: int, shared: int) -> Resident:
    """For blocks with this many threads, registers per thread and bytes of shared memory, including the system's."""
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
