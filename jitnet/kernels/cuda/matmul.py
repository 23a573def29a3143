"""The three products of training on the GPU, from the kernel that says what is meant to the one that is fast.

A GPU has arithmetic to spare; what it lacks is time to fetch numbers. So every rung computes the same sums, in the
same order, and saves trips to memory: first to the GPU's own, then to the memory that a block shares. The figures in
the comments are those for X·W.

    C = A·B, C (m, n), A (m, k), B (k, n), float32. A thread keeps its sums in registers to the end.
"""

from collections.abc import Callable
from typing import Any

from numba import float32

from ...compiler.cuda.device import ALIGNMENT, SIMULATED, cuda, thread, transposed
from ...compiler.cuda.float4 import load4
from ...compiler.cuda.registry import MATRIX, TRANSPOSED, Kernel, Launch, rung
from ...compiler.types import Matrix
from .pipelined import ThreeSizes
from .tiles import copy_quads, copy_tile, corner, number_of_tiles
from .warptile import TILE, WarpTile

PRODUCTS = {
    "matmul": ([MATRIX, MATRIX, MATRIX], lambda X, W: (X, W)),
    "matmul_tn": ([TRANSPOSED, MATRIX, MATRIX], lambda X, delta: (transposed(X), delta)),
    "matmul_nt": ([MATRIX, TRANSPOSED, MATRIX], lambda delta, W: (delta, transposed(W))),
}
"""Product of training -> the types of its factors, and how they are viewed as A and B."""


def product_rung(
    name: str, threads: int, height: int, width: int, min_blocks_per_sm: int = 1, **special: Any
) -> Callable[[Kernel], Kernel]:
    """Register a kernel for C = A·B, with blocks that compute so large a tile, as a rung of all three products."""

    def register(body: Kernel) -> Kernel:
        for operation, (types, _) in PRODUCTS.items():
            launch = Launch(body, types, threads, lambda A, B, C: number_of_tiles(height, width, C), min_blocks_per_sm)
            _register(operation, name, launch, launch, doc=body.__doc__, **special)
        return body

    return register


def _register(operation: str, name: str, launch: Kernel, *launches: Launch, doc: str | None, **special: Any) -> None:
    view = PRODUCTS[operation][1]

    def run(left: Matrix, right: Matrix, C: Matrix) -> None:
        launch(*view(left, right), C)

    run.__doc__ = doc
    rung(operation, name, *launches, **special)(run)


SIDE = 4 if SIMULATED else 32
"""Rows and columns of a tile of C whose threads compute one number each."""


@product_rung("naive", SIDE * SIDE, SIDE, SIDE, min_blocks_per_sm=2)
def naive(A: Matrix, B: Matrix, C: Matrix) -> None:
    """One thread for each number of C; neighbours in a warp have neighbouring rows.

    Reads     each number of A n times and each of B m times, from global memory. The 32 loads that a warp makes of A at
              a time lie a row apart: 32 trips, each for 32 bytes of which 4 are used
    """
    i0, j0 = corner(C, SIDE, SIDE)
    i, j = i0 + thread() % SIDE, j0 + thread() // SIDE
    if i < C.shape[0] and j < C.shape[1]:
        total = float32(0)
        k = 0
        while k < A.shape[1]:
            total += A[i, k] * B[k, j]
            k += 1
        C[i, j] = total


@product_rung("coalesced", SIDE * SIDE, SIDE, SIDE, min_blocks_per_sm=2)
def coalesced(A: Matrix, B: Matrix, C: Matrix) -> None:
    """Like the rung above, but neighbours in a warp have neighbouring columns.

    Reads     as often as before, but the 32 loads of B lie side by side, in one trip of 128 bytes, and those of A are
              one number for all: saves the trips for bytes that nobody used
    """
    i0, j0 = corner(C, SIDE, SIDE)
    i, j = i0 + thread() // SIDE, j0 + thread() % SIDE
    if i < C.shape[0] and j < C.shape[1]:
        total = float32(0)
        k = 0
        while k < A.shape[1]:
            total += A[i, k] * B[k, j]
            k += 1
        C[i, j] = total


PADDED = SIDE + 1
"""A column of a tile in shared memory then lies in 32 different banks, and is written in one go."""


@product_rung("shared", SIDE * SIDE, SIDE, SIDE, min_blocks_per_sm=2)
def shared(A: Matrix, B: Matrix, C: Matrix) -> None:
    """Like the rung above, but the block first copies tiles of A and B, 32 × 32, into memory that it shares.

    Reads     each number of A n/32 times and each of B m/32 times from global memory: saves 31 of 32 trips. Each
              multiply-add now reads two numbers of shared memory, and that is what it waits for
    """
    As = cuda.shared.array((SIDE, PADDED), float32)
    Bs = cuda.shared.array((SIDE, PADDED), float32)
    i0, j0 = corner(C, SIDE, SIDE)
    i, j = thread() // SIDE, thread() % SIDE
    total = float32(0)
    k0 = 0
    while k0 < A.shape[1]:
        copy_tile(A, i0, k0, SIDE, SIDE, As, SIDE * SIDE)
        copy_tile(B, k0, j0, SIDE, SIDE, Bs, SIDE * SIDE)
        cuda.syncthreads()  # the tiles are complete
        k = 0
        while k < SIDE:
            total += As[i, k] * Bs[k, j]
            k += 1
        cuda.syncthreads()  # nobody needs them any more
        k0 += SIDE
    if i0 + i < C.shape[0] and j0 + j < C.shape[1]:
        C[i0 + i, j0 + j] = total


ROWS = 4 if SIMULATED else 8
"""Numbers of C, one below the other, that a thread of `blocktile_1d` computes."""
EDGE = 8 if SIMULATED else 64
EDGE_PADDED = EDGE + 4


@product_rung("blocktile_1d", EDGE * EDGE // ROWS, EDGE, EDGE, min_blocks_per_sm=2)
def blocktile_1d(A: Matrix, B: Matrix, C: Matrix) -> None:
    """Like the rung above, but a thread computes 8 numbers of a column, and the tile of C is 64 × 64.

    Reads     each number of A n/64 times and each of B m/64 times from global memory: saves half of the trips. A number
              of Bs is read once for 8 multiply-adds: 9 reads of shared memory for 8 of them, not 16. A's tile is laid
              down transposed, so that the 8 numbers lie side by side
    """
    As = cuda.shared.array((ROWS, EDGE_PADDED), float32)
    Bs = cuda.shared.array((ROWS, EDGE_PADDED), float32)
    sums = cuda.local.array(ROWS, float32)
    for r in range(ROWS):
        sums[r] = float32(0)
    i0, j0 = corner(C, EDGE, EDGE)
    i, j = thread() // EDGE * ROWS, thread() % EDGE
    k0 = 0
    while k0 < A.shape[1]:
        copy_tile(A.T, k0, i0, ROWS, EDGE, As, EDGE * EDGE // ROWS)
        copy_tile(B, k0, j0, ROWS, EDGE, Bs, EDGE * EDGE // ROWS)
        cuda.syncthreads()
        k = 0
        while k < ROWS:
            b = Bs[k, j]
            for r in range(ROWS):
                sums[r] += As[k, i + r] * b
            k += 1
        cuda.syncthreads()
        k0 += ROWS
    for r in range(ROWS):
        if i0 + i + r < C.shape[0] and j0 + j < C.shape[1]:
            C[i0 + i + r, j0 + j] = sums[r]


BLOCK = 32 if SIMULATED else 128
"""Rows and columns of the tile of C from here on."""
BLOCK_PADDED = BLOCK + 4
DEPTH = 8
"""Terms of the sums for which the factors are in shared memory at a time."""
PATCH = 4 if SIMULATED else 8
"""Rows and columns of C that one thread computes."""
SUMS = PATCH * PATCH
QUADS = PATCH // 4
THREADS = (BLOCK // PATCH) ** 2


@product_rung("blocktile_2d", THREADS, BLOCK, BLOCK, min_blocks_per_sm=2)
def blocktile_2d(A: Matrix, B: Matrix, C: Matrix) -> None:
    """Like the rung above, but a thread computes a patch of 8 × 8, and the tile of C is 128 × 128.

    Reads     each number of A n/128 times and each of B m/128 times from global memory: saves half of the trips again.
              16 reads of shared memory serve 64 multiply-adds: a quarter for each, not one and an eighth
    """
    As = cuda.shared.array((DEPTH, BLOCK_PADDED), float32)
    Bs = cuda.shared.array((DEPTH, BLOCK_PADDED), float32)
    sums = cuda.local.array(SUMS, float32)
    for s in range(SUMS):
        sums[s] = float32(0)
    i0, j0 = corner(C, BLOCK, BLOCK)
    i, j = thread() // (BLOCK // PATCH) * PATCH, thread() % (BLOCK // PATCH) * PATCH
    k0 = 0
    while k0 < A.shape[1]:
        copy_tile(A.T, k0, i0, DEPTH, BLOCK, As, THREADS)
        copy_tile(B, k0, j0, DEPTH, BLOCK, Bs, THREADS)
        cuda.syncthreads()
        k = 0
        while k < DEPTH:
            for r in range(PATCH):
                a = As[k, i + r]
                for c in range(PATCH):
                    sums[r * PATCH + c] += a * Bs[k, j + c]
            k += 1
        cuda.syncthreads()
        k0 += DEPTH
    for r in range(PATCH):
        for c in range(PATCH):
            if i0 + i + r < C.shape[0] and j0 + j + c < C.shape[1]:
                C[i0 + i + r, j0 + j + c] = sums[r * PATCH + c]


@product_rung("vectorized", THREADS, BLOCK, BLOCK, min_blocks_per_sm=2)
def vectorized(A: Matrix, B: Matrix, C: Matrix) -> None:
    """Like the rung above, but four numbers at a time: loads of 128 bits, where the rows of A and B allow it.

    Reads     as many bytes as before, by a quarter of the instructions: saves three of four addresses to compute and
              loads to wait for, of global and of shared memory
    """
    As = cuda.shared.array((DEPTH, BLOCK_PADDED), float32, alignment=ALIGNMENT)
    Bs = cuda.shared.array((DEPTH, BLOCK_PADDED), float32, alignment=ALIGNMENT)
    sums = cuda.local.array(SUMS, float32)
    a = cuda.local.array(PATCH, float32)
    b = cuda.local.array(PATCH, float32)
    for s in range(SUMS):
        sums[s] = float32(0)
    i0, j0 = corner(C, BLOCK, BLOCK)
    i, j = thread() // (BLOCK // PATCH) * PATCH, thread() % (BLOCK // PATCH) * PATCH
    k0 = 0
    while k0 < A.shape[1]:
        copy_quads(A.T, k0, i0, DEPTH, BLOCK, As, THREADS)
        copy_quads(B, k0, j0, DEPTH, BLOCK, Bs, THREADS)
        cuda.syncthreads()
        k = 0
        while k < DEPTH:
            for q in range(QUADS):
                a[4 * q], a[4 * q + 1], a[4 * q + 2], a[4 * q + 3] = load4(As, k, i + 4 * q)
                b[4 * q], b[4 * q + 1], b[4 * q + 2], b[4 * q + 3] = load4(Bs, k, j + 4 * q)
            for r in range(PATCH):
                for c in range(PATCH):
                    sums[r * PATCH + c] += a[r] * b[c]
            k += 1
        cuda.syncthreads()
        k0 += DEPTH
    for r in range(PATCH):
        for c in range(PATCH):
            if i0 + i + r < C.shape[0] and j0 + j + c < C.shape[1]:
                C[i0 + i + r, j0 + j + c] = sums[r * PATCH + c]


def by_tile(tile: WarpTile) -> Kernel:
    """The kernel of a product, with that tile."""
    height, width, count, sum_up = tile.height, tile.width, tile.sums, tile.sum_up
    place, put_sums = tile.place, tile.put_sums

    def product(A, B, C):
        sums = cuda.local.array(count, float32)
        i0, j0 = corner(C, height, width)
        sum_up(A, B, i0, j0, sums)
        i, j = place(i0, j0)
        put_sums(C, i, j, sums)

    return product


WARPTILE_DOC = """Like the rung above, but the block's tile is cut up by warps (`warptile.py`), and 16 terms deep.

    Reads     from global memory as often as before. In shared memory a warp's loads no longer collide, and all its
              lanes use all of what one load brings: saves waiting for one another
    """

PIPELINED_DOC = """Like the rung above, but the next tile is loaded while this one is multiplied (`pipelined.py`).

    Reads     from global memory as often as before, and nobody waits for it. With 8 × 16 numbers a thread, 24 reads of
              shared memory serve 128 multiply-adds: saves a quarter of them. Smaller outputs get smaller tiles
    """

for operation, (types, _) in PRODUCTS.items():
    launch = Launch(by_tile(TILE), types, TILE.threads, lambda A, B, C: number_of_tiles(TILE.height, TILE.width, C), 2)
    _register(operation, "warptile", launch, launch, doc=WARPTILE_DOC)

PIPELINED = {operation: ThreeSizes(by_tile, types) for operation, (types, _) in PRODUCTS.items()}
"""The best product, for each of the three."""

for operation, sizes in PIPELINED.items():
    _register(operation, "pipelined", sizes, *sizes.launches, doc=PIPELINED_DOC)
