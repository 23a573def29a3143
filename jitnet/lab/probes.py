"""Kernels that do one thing as fast as this machine can: their speed is a machine peak.

Each thread works on its own row, so one kernel measures any number of threads. They are written with SIMD vectors, like
the register tile, so that they measure the hardware and not the optimizer.
"""

from typing import Any

import numpy as np
from numba import prange

from ..compiler.intrinsics import lanes
from ..compiler.jit import compiled, part_of_kernels
from ..compiler.simd import broadcast, load, store
from ..compiler.types import Matrix, Vector

SUMS = 12
"""Sums of the multiply-add probe. Eight keep two units with a latency of 4 busy; AVX2 has sixteen registers."""

VECTORS = 4
"""Registers that the bandwidth probes move at a time."""


@part_of_kernels
def multiply_adds_of_a_thread(x: Vector, out: Vector, iterations: int) -> None:
    """c ← c·a + b in twelve registers with different initial values, or LLVM would merge them."""
    a, b = broadcast(x[0], x, 1), broadcast(x[1], x, 1)
    c0, c1, c2, c3 = broadcast(x[2], x, 1), broadcast(x[3], x, 1), broadcast(x[4], x, 1), broadcast(x[5], x, 1)
    c4, c5, c6, c7 = broadcast(x[6], x, 1), broadcast(x[7], x, 1), broadcast(x[8], x, 1), broadcast(x[9], x, 1)
    c8, c9, c10, c11 = broadcast(x[10], x, 1), broadcast(x[11], x, 1), broadcast(x[12], x, 1), broadcast(x[13], x, 1)
    for _ in range(iterations):
        c0, c1, c2, c3 = c0 * a + b, c1 * a + b, c2 * a + b, c3 * a + b
        c4, c5, c6, c7 = c4 * a + b, c5 * a + b, c6 * a + b, c7 * a + b
        c8, c9, c10, c11 = c8 * a + b, c9 * a + b, c10 * a + b, c11 * a + b
    store(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11, out, 0)


def multiply_adds(x: Vector, out: Matrix, iterations: int) -> None:
    """2·SUMS·lanes·iterations FLOP for each row of out, of which one register is written. Reads the 14 numbers of x."""
    for t in prange(out.shape[0]):
        multiply_adds_of_a_thread(x, out[t], iterations)


def dependent_steps(state: Vector, iterations: int) -> None:
    """A chain of dependent steps: on x86-64 a multiplication takes 3 cycles, an xor 1.

    An iteration takes four cycles on any core, so the time gives the clock frequency.
    """
    x, factor, mask = state[0], state[1], state[2]
    for _ in range(iterations):
        x = (x * factor) ^ mask
    state[0] = x


@part_of_kernels
def read_by_a_thread(memory: Vector, times: int) -> None:
    """Add up all numbers, `times` times, in eight sums, so that memory alone limits the speed."""
    step = VECTORS * lanes(memory)
    even = odd = broadcast(memory.dtype.type(0), memory, VECTORS)
    for _ in range(times):
        for k in range(0, memory.size, 2 * step):
            even = even + load(memory, k, VECTORS)
            odd = odd + load(memory, k + step, VECTORS)
    store(even + odd, memory, 0)


@part_of_kernels
def write_by_a_thread(memory: Vector, times: int) -> None:
    for t in range(times):
        numbers = broadcast(memory.dtype.type(t), memory, VECTORS)
        for k in range(0, memory.size, VECTORS * lanes(memory)):
            store(numbers, memory, k)


@part_of_kernels
def copy_by_a_thread(memory: Vector, times: int) -> None:
    """Copy the first half into the second."""
    half = memory.size // 2
    for _ in range(times):
        for k in range(0, half, VECTORS * lanes(memory)):
            store(load(memory, k, VECTORS), memory, half + k)


def read(memory: Matrix, times: int) -> None:
    """Each row, `times` times."""
    for t in prange(memory.shape[0]):
        read_by_a_thread(memory[t], times)


def write(memory: Matrix, times: int) -> None:
    """Each row, `times` times."""
    for t in prange(memory.shape[0]):
        write_by_a_thread(memory[t], times)


def copy(memory: Matrix, times: int) -> None:
    """The first half of each row into its second half, `times` times."""
    for t in prange(memory.shape[0]):
        copy_by_a_thread(memory[t], times)


MULTIPLY_ADDS = compiled(multiply_adds, parallel=True)
DEPENDENT_STEPS = compiled(dependent_steps)
MOVES = {name: compiled(body, parallel=True) for name, body in {"read": read, "write": write, "copy": copy}.items()}


def flop_of_multiply_adds(out: Matrix, iterations: int) -> int:
    """The FLOP of `multiply_adds`."""
    return 2 * SUMS * lanes(out) * iterations * len(out)


def start_values(dtype: Any) -> Vector:
    """The 14 numbers for `multiply_adds`, whose sums neither overflow nor vanish."""
    return np.linspace(0.1, 0.9, 14).astype(dtype)
