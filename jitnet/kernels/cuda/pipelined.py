"""The tiles of the top rung, in three sizes: the next tile is loaded while the current one is multiplied.

A block that loads a tile, waits, multiplies and loads the next tile leaves its arithmetic units idle while it waits.
Here shared memory has two buffers for the tiles of each factor. While one tile is multiplied, the next is loaded into
registers and then stored into the other buffer, so one barrier per tile is enough. Registers remain for 8 × 16 sums per
thread, so 128 multiply-adds need 24 numbers from shared memory. The lanes of a warp are arranged in pairs of rows, so
that the 8 lanes whose accesses are combined need two float4 of A and four of B, each of them once.

LARGE reads each number least often. MEDIUM gives enough blocks for medium outputs, and SMALL (`split_tile`) for small
ones, where the sum over k is divided among groups of threads, because a block would spend most of its time on one sum
of 784 terms. SMALL therefore rounds differently. The size of the output alone decides which tile is used, so the bits
are the same from run to run.
"""

import functools
from collections.abc import Callable
from typing import Any

from numba import float32

from ...compiler.cuda.device import ALIGNMENT, SIMULATED, WARP, cuda, device, thread, unsigned
from ...compiler.cuda.float4 import by_rows, is_float4_aligned, load4, store4
from ...compiler.cuda.registry import Kernel, Launch
from .tiles import copy_float4, float4_position, number_of_tiles, padded_load4, put
from .warptile import WarpTile, add_term_of, put_sums_of

MANY = 100
"""The number of tiles from which a size is used: blocks for most multiprocessors of a large GPU (132 on an H200)."""

NOWHERE = 1 << 30
"""A row outside of every matrix: `put` stores nothing there."""


def copies(rows: int, columns: int, threads: int) -> tuple[int, Any, Any]:
    """How a block copies tiles of this size: the number of registers per thread, `load` and `store`.

    load(A, r0, c0, held)     held = the thread's part of the tile that starts at A[r0, c0]; 0 outside of A
    store(A, held, tile, at)  stores this part into shared memory, from row `at` of `tile` on
    """
    count = rows * columns // threads // 4

    @device
    def load(A, r0, c0, held):
        inside = r0 + rows <= A.shape[0] and c0 + columns <= A.shape[1]
        if inside and is_float4_aligned(A):
            for s in range(count):
                r, c = float4_position(A, rows, columns, s * threads + thread())
                held[4 * s], held[4 * s + 1], held[4 * s + 2], held[4 * s + 3] = load4(A, r0 + r, c0 + c)
        elif inside:
            for s in range(count):
                r, c = float4_position(A, rows, columns, s * threads + thread())
                i, j = unsigned(r0 + r), unsigned(c0 + c)
                for n in range(4):
                    held[4 * s + n] = A[i, j + n] if by_rows(A) else A[i + n, j]
        else:
            for s in range(count):
                r, c = float4_position(A, rows, columns, s * threads + thread())
                held[4 * s], held[4 * s + 1], held[4 * s + 2], held[4 * s + 3] = padded_load4(A, r0 + r, c0 + c)

    @device
    def store(A, held, tile, at):
        for s in range(count):
            r, c = float4_position(A, rows, columns, s * threads + thread())
            for n in range(4):
                if by_rows(A):
                    tile[at + r, c + n] = held[4 * s + n]
                else:
                    tile[at + r + n, c] = held[4 * s + n]

    return 4 * count, load, store


def pipelined_tile(height: int, width: int, depth: int, down: int, across: int) -> WarpTile:
    """A tile divided among warps, as in `warptile.py`, but with two buffers for each factor."""
    warps_across = width // (32 * across)
    threads = height // (16 * down) * warps_across * WARP
    places, padded_height, padded_width = 2 * depth, height + 4, width + 4
    count = 16 * down * across
    n_a, n_b = 4 * down, 4 * across
    add_term, put_sums = add_term_of(down, across), put_sums_of(down, across)
    held_a, load_a, store_a = copies(depth, height, threads)
    held_b, load_b, store_b = copies(depth, width, threads)

    @device
    def place(i0, j0):
        warp, lane = thread() // WARP, thread() % WARP
        i = warp // warps_across * (16 * down) + lane // 16 * 8 + lane % 2 * 4
        j = warp % warps_across * (32 * across) + lane % 16 // 2 * 4
        return i0 + i, j0 + j

    @device
    def sum_up(A, B, i0, j0, sums):
        As = cuda.shared.array((places, padded_height), float32, alignment=ALIGNMENT)
        Bs = cuda.shared.array((places, padded_width), float32, alignment=ALIGNMENT)
        a = cuda.local.array(n_a, float32)
        b = cuda.local.array(n_b, float32)
        of_a = cuda.local.array(held_a, float32)
        of_b = cuda.local.array(held_b, float32)
        for s in range(count):
            sums[s] = float32(0)
        i, j = place(0, 0)
        load_a(A.T, 0, i0, of_a)
        load_b(B, 0, j0, of_b)
        store_a(A.T, of_a, As, 0)
        store_b(B, of_b, Bs, 0)
        cuda.syncthreads()
        k0 = at = 0
        while k0 < A.shape[1]:
            k0 += depth
            if k0 < A.shape[1]:
                load_a(A.T, k0, i0, of_a)
                load_b(B, k0, j0, of_b)
            k = at
            while k < at + depth:  # eight terms, unrolled by hand: the loop is too large for the compiler to unroll
                add_term(As, Bs, k, i, j, a, b, sums)
                add_term(As, Bs, k + 1, i, j, a, b, sums)
                add_term(As, Bs, k + 2, i, j, a, b, sums)
                add_term(As, Bs, k + 3, i, j, a, b, sums)
                add_term(As, Bs, k + 4, i, j, a, b, sums)
                add_term(As, Bs, k + 5, i, j, a, b, sums)
                add_term(As, Bs, k + 6, i, j, a, b, sums)
                add_term(As, Bs, k + 7, i, j, a, b, sums)
                k += 8
            at = depth - at
            store_a(A.T, of_a, As, at)
            store_b(B, of_b, Bs, at)
            cuda.syncthreads()

    return WarpTile(height, width, threads, down, across, count, sum_up, place, put_sums)


def split_tile(side: int, groups: int, share: int) -> WarpTile:
    """A square tile whose sums over k are split: of each groups·share terms, one group of threads adds `share`.

    Each group has sums for the whole tile. At the end the sums of the second half of the groups are added to those of
    the first half, then those of the second quarter, and so on, always in the same order. The first group has the
    result and stores it.
    """
    across = side // 4
    group_threads = across * across
    threads, depth, padded = groups * group_threads, groups * share, side + 4

    @device
    def place(i0, j0):
        t = thread()
        i = t // across * 4 if t < group_threads else NOWHERE
        return i0 + i, j0 + t % across * 4

    @device
    def add_up(tiles, group, i, j, sums):
        """Add the sums of all groups to those of the first; `tiles` has room for the tiles of half of the groups."""
        half = groups // 2
        while half > 0:
            if half <= group and group < 2 * half:
                for r in range(4):
                    four = sums[4 * r], sums[4 * r + 1], sums[4 * r + 2], sums[4 * r + 3]
                    store4(tiles, (group - half) * side + i + r, j, four)
            cuda.syncthreads()
            if group < half:
                for r in range(4):
                    s0, s1, s2, s3 = load4(tiles, group * side + i + r, j)
                    sums[4 * r] += s0
                    sums[4 * r + 1] += s1
                    sums[4 * r + 2] += s2
                    sums[4 * r + 3] += s3
            cuda.syncthreads()
            half //= 2

    @device
    def sum_up(A, B, i0, j0, sums):
        As = cuda.shared.array((depth, padded), float32, alignment=ALIGNMENT)
        Bs = cuda.shared.array((depth, padded), float32, alignment=ALIGNMENT)
        for s in range(16):
            sums[s] = float32(0)
        group, t = thread() // group_threads, thread() % group_threads
        i, j = t // across * 4, t % across * 4
        k0 = 0
        while k0 < A.shape[1]:
            copy_float4(A.T, k0, i0, depth, side, As, threads)
            copy_float4(B, k0, j0, depth, side, Bs, threads)
            cuda.syncthreads()
            for k in range(share):
                a0, a1, a2, a3 = load4(As, group * share + k, i)
                b0, b1, b2, b3 = load4(Bs, group * share + k, j)
                sums[0] += a0 * b0
                sums[1] += a0 * b1
                sums[2] += a0 * b2
                sums[3] += a0 * b3
                sums[4] += a1 * b0
                sums[5] += a1 * b1
                sums[6] += a1 * b2
                sums[7] += a1 * b3
                sums[8] += a2 * b0
                sums[9] += a2 * b1
                sums[10] += a2 * b2
                sums[11] += a2 * b3
                sums[12] += a3 * b0
                sums[13] += a3 * b1
                sums[14] += a3 * b2
                sums[15] += a3 * b3
            cuda.syncthreads()
            k0 += depth
        add_up(As, group, i, j, sums)

    @device
    def put_sums(C, i, j, sums):
        for r in range(4):
            put(C, i + r, j, sums[4 * r], sums[4 * r + 1], sums[4 * r + 2], sums[4 * r + 3])

    return WarpTile(side, side, threads, 1, 1, 16, sum_up, place, put_sums)


if SIMULATED:
    LARGE, MEDIUM, SMALL = pipelined_tile(32, 128, 8, 2, 4), pipelined_tile(16, 64, 8, 1, 2), split_tile(8, 4, 4)
else:
    LARGE, MEDIUM, SMALL = pipelined_tile(128, 128, 16, 2, 4), pipelined_tile(64, 64, 16, 1, 2), split_tile(16, 16, 8)


class ThreeSizes:
    """A kernel for each size of tile; the shape of the last argument, its output, decides which one is launched."""

    def __init__(self, kernel_with: Callable[[WarpTile], Kernel], types: list[str]) -> None:
        self.launches = [self._launch(kernel_with, types, tile) for tile in (LARGE, MEDIUM, SMALL)]

    @staticmethod
    def _launch(kernel_with: Callable[[WarpTile], Kernel], types: list[str], tile: WarpTile) -> Launch:
        min_blocks_per_sm = {LARGE: 2, MEDIUM: 4, SMALL: 4}[tile]
        return Launch(
            kernel_with(tile), types, tile.threads, functools.partial(_tiles_of_last, tile), min_blocks_per_sm
        )

    def __call__(self, *arguments: Any) -> None:
        sizes = (LARGE, MEDIUM)
        fitting = (n for n, tile in enumerate(sizes) if _tiles_of_last(tile, *arguments) >= MANY)
        self.launches[next(fitting, len(sizes))](*arguments)


def _tiles_of_last(tile: WarpTile, *arguments: Any) -> int:
    return number_of_tiles(tile.height, tile.width, arguments[-1])
