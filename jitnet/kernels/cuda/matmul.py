"""The three products of training on the GPU, from the plain kernel to the fast one.

A GPU computes faster than its memory delivers numbers. Every rung computes the same sums in the same order, and saves
memory accesses: first to global memory, then to shared memory. The figures in the comments are for X·W.

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
from .tiles import copy_float4, copy_tile, corner, number_of_tiles
from .warptile import TILE, WarpTile

PRODUCTS = {
    "matmul": ([MATRIX, MATRIX, MATRIX], lambda X, W: (X, W)),
    "matmul_tn": ([TRANSPOSED, MATRIX, MATRIX], lambda X, delta: (transposed(X), delta)),
    "matmul_nt": ([MATRIX, TRANSPOSED, MATRIX], lambda delta, W: (delta, transposed(W))),
}
"""Product -> the types of its factors, and their views as A and B."""


def product_rung(
    name: str, threads: int, height: int, width: int, min_blocks_per_sm: int = 1, **special: Any
) -> Callable[[Kernel], Kernel]:
    """Register a kernel for C = A·B, with one block per tile of height × width, as a rung of all three products."""

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
"""Rows and columns of a tile of C with one thread per number."""


@product_rung("naive", SIDE * SIDE, SIDE, SIDE, min_blocks_per_sm=2)
def naive(A: Matrix, B: Matrix, C: Matrix) -> None:
    """One thread per number of C; neighboring threads of a warp have neighboring rows.

    Reads     each number of A n times and each of B m times, from global memory. The 32 addresses that a warp loads
              from A at a time are in different rows: 32 memory transactions of 32 bytes, of which 4 are used
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
    """Like the rung above, but neighboring threads of a warp have neighboring columns.

    Reads     as often as before, but the 32 addresses of B are adjacent (4 memory transactions), and all threads load
              the same number of A (1 transaction): saves the transactions for bytes that are not used
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
"""The numbers of a column are then in 32 different banks of shared memory, and are stored without conflicts."""


@product_rung("shared", SIDE * SIDE, SIDE, SIDE, min_blocks_per_sm=2)
def shared(A: Matrix, B: Matrix, C: Matrix) -> None:
    """Like the rung above, but the block first copies tiles of A and B, 32 × 32, into shared memory.

    Reads     each number of A n/32 times and each of B m/32 times from global memory: saves 31 of 32 loads. Each
              multiply-add now loads two numbers from shared memory, which limits the speed
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
        cuda.syncthreads()  # all threads have read the tiles
        k0 += SIDE
    if i0 + i < C.shape[0] and j0 + j < C.shape[1]:
        C[i0 + i, j0 + j] = total


ROWS = 4 if SIMULATED else 8
"""Numbers in a column of C that a thread of `blocktile_1d` computes."""
EDGE = 8 if SIMULATED else 64
EDGE_PADDED = EDGE + 4


@product_rung("blocktile_1d", EDGE * EDGE // ROWS, EDGE, EDGE, min_blocks_per_sm=2)
def blocktile_1d(A: Matrix, B: Matrix, C: Matrix) -> None:
    """Like the rung above, but a thread computes 8 numbers of a column, and the tile of C is 64 × 64.

    Reads     each number of A n/64 times and each of B m/64 times from global memory: saves half of the loads. A number
              of Bs is loaded once for 8 multiply-adds: 9 loads from shared memory per 8 multiply-adds, not 16. The tile
              of A is stored transposed, so that the 8 numbers are adjacent
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
"""Rows and columns of the tile of C in the rungs below."""
BLOCK_PADDED = BLOCK + 4
DEPTH = 8
"""Depth of a tile: the number of terms of each sum that are in shared memory at a time."""
PATCH = 4 if SIMULATED else 8
"""Rows and columns of C that one thread computes."""
SUMS = PATCH * PATCH
VECTORS = PATCH // 4
THREADS = (BLOCK // PATCH) ** 2


@product_rung("blocktile_2d", THREADS, BLOCK, BLOCK, min_blocks_per_sm=2)
def blocktile_2d(A: Matrix, B: Matrix, C: Matrix) -> None:
    """Like the rung above, but a thread computes a patch of 8 × 8, and the tile of C is 128 × 128.

    Reads     each number of A n/128 times and each of B m/128 times from global memory: saves half of the loads again.
              64 multiply-adds need 16 loads from shared memory: 0.25 per multiply-add, not 1.125
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
    """Like the rung above, but with float4 loads of 128 bits, where the rows of A and B are aligned.

    Reads     as many bytes as before, with a quarter of the instructions: saves three of four load instructions and
              address computations, for global and for shared memory
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
        copy_float4(A.T, k0, i0, DEPTH, BLOCK, As, THREADS)
        copy_float4(B, k0, j0, DEPTH, BLOCK, Bs, THREADS)
        cuda.syncthreads()
        k = 0
        while k < DEPTH:
            for q in range(VECTORS):
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
    """The kernel of a product with this tile."""
    height, width, count, sum_up = tile.height, tile.width, tile.sums, tile.sum_up
    place, put_sums = tile.place, tile.put_sums

    def product(A, B, C):
        sums = cuda.local.array(count, float32)
        i0, j0 = corner(C, height, width)
        sum_up(A, B, i0, j0, sums)
        i, j = place(i0, j0)
        put_sums(C, i, j, sums)

    return product


WARPTILE_DOC = """Like the rung above, but the block divides a tile of 16 terms among its warps (`warptile.py`).

    Reads     from global memory as often as before. The loads of a warp from shared memory have no bank conflicts, and
              its lanes use every loaded byte: saves the waiting for conflicting loads
    """

PIPELINED_DOC = """Like the rung above, but the next tile is loaded while this one is multiplied (`pipelined.py`).

    Reads     from global memory as often as before, without waiting for it. With 8 × 16 numbers per thread, 128
              multiply-adds need 24 loads from shared memory: saves a quarter of them. Smaller outputs use smaller tiles
    """

for operation, (types, _) in PRODUCTS.items():
    launch = Launch(by_tile(TILE), types, TILE.threads, lambda A, B, C: number_of_tiles(TILE.height, TILE.width, C), 2)
    _register(operation, "warptile", launch, launch, doc=WARPTILE_DOC)

PIPELINED = {operation: ThreeSizes(by_tile, types) for operation, (types, _) in PRODUCTS.items()}
"""Product -> its best rung."""

for operation, sizes in PIPELINED.items():
    _register(operation, "pipelined", sizes, *sizes.launches, doc=PIPELINED_DOC)
