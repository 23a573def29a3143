"""The tile by warps: the sums of a block, arranged so that the loads of a warp have no bank conflicts.

Shared memory serves the 32 threads of a warp together. Here they are arranged 4 × 8, and each computes down × across
squares of 4 × 4 numbers, 16 rows and 32 columns apart. A float4 load of B by all lanes then reads 128 adjacent bytes,
and one of A reads four float4, each for eight lanes, so no lane waits for another.
"""

from typing import Any, NamedTuple

from numba import float32

from ...compiler.cuda.device import ALIGNMENT, SIMULATED, WARP, cuda, device, thread
from ...compiler.cuda.float4 import load4
from .tiles import copy_float4, put


class WarpTile(NamedTuple):
    """A tile: its size and its device functions."""

    height: int
    width: int
    threads: int
    down: int
    across: int
    sums: int
    """The number of sums of a thread."""
    sum_up: Any
    """sum_up(A, B, i0, j0, sums): computes the sums of this thread over all k, square by square."""
    place: Any
    """place(i0, j0): row and column of its first square in C; the others are 16 rows and 32 columns apart."""
    put_sums: Any
    """put_sums(C, i, j, sums): stores the sums of this thread into C; i and j are its place."""


def add_term_of(down: int, across: int) -> Any:
    """add_term(As, Bs, k, i, j, a, b, sums): adds term k to each sum of the thread with place i, j."""
    n_a, n_b = 4 * down, 4 * across

    @device
    def add_term(As, Bs, k, i, j, a, b, sums):
        for p in range(down):
            a[4 * p], a[4 * p + 1], a[4 * p + 2], a[4 * p + 3] = load4(As, k, i + 16 * p)
        for q in range(across):
            b[4 * q], b[4 * q + 1], b[4 * q + 2], b[4 * q + 3] = load4(Bs, k, j + 32 * q)
        for r in range(n_a):
            for c in range(n_b):
                sums[r * n_b + c] += a[r] * b[c]

    return add_term


def put_sums_of(down: int, across: int) -> Any:
    """`put_sums` of a `WarpTile`."""

    @device
    def put_sums(C, i, j, sums):
        for p in range(down):
            for r in range(4):
                for q in range(across):
                    s = ((4 * p + r) * across + q) * 4
                    put(C, i + 16 * p + r, j + 32 * q, sums[s], sums[s + 1], sums[s + 2], sums[s + 3])

    return put_sums


def warp_tile(height: int, width: int, depth: int, down: int, across: int) -> WarpTile:
    warps_across = width // (32 * across)
    threads = height // (16 * down) * warps_across * WARP
    padded_height, padded_width = height + 4, width + 4
    count = 16 * down * across
    n_a, n_b = 4 * down, 4 * across
    add_term, put_sums = add_term_of(down, across), put_sums_of(down, across)

    @device
    def place(i0, j0):
        warp, lane = thread() // WARP, thread() % WARP
        i = warp // warps_across * (16 * down) + lane // 8 * 4
        j = warp % warps_across * (32 * across) + lane % 8 * 4
        return i0 + i, j0 + j

    @device
    def sum_up(A, B, i0, j0, sums):
        As = cuda.shared.array((depth, padded_height), float32, alignment=ALIGNMENT)
        Bs = cuda.shared.array((depth, padded_width), float32, alignment=ALIGNMENT)
        a = cuda.local.array(n_a, float32)
        b = cuda.local.array(n_b, float32)
        for s in range(count):
            sums[s] = float32(0)
        i, j = place(0, 0)
        k0 = 0
        while k0 < A.shape[1]:
            copy_float4(A.T, k0, i0, depth, height, As, threads)
            copy_float4(B, k0, j0, depth, width, Bs, threads)
            cuda.syncthreads()
            k = 0
            while k < depth:  # four terms at a time, by hand: the compiler leaves a loop as large as this alone
                add_term(As, Bs, k, i, j, a, b, sums)
                add_term(As, Bs, k + 1, i, j, a, b, sums)
                add_term(As, Bs, k + 2, i, j, a, b, sums)
                add_term(As, Bs, k + 3, i, j, a, b, sums)
                k += 4
            cuda.syncthreads()
            k0 += depth

    return WarpTile(height, width, threads, down, across, count, sum_up, place, put_sums)


TILE = warp_tile(32, 64, 8, 2, 2) if SIMULATED else warp_tile(128, 128, 16, 2, 2)
