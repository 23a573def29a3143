"""The register tile: a block of the product whose sums stay in vector registers until they are done.

A fused multiply-add wants two numbers and a sum. `blocked` fetches and stores a vector of sums for every four of
them; here a tile of C, 5 rows high and 4 registers wide, is fetched and stored once:

    C[i : i+5, j : j+64]  in 5 × 4 registers           (float32 and AVX-512; AVX2 has half the registers: 5 × 2)
    for every k:  4 loads of B[k, j : j+64], 5 numbers of A, each copied to all lanes: 9 loads for 20 multiply-adds

Why 5 × 4: two units with a latency of 4 need at least 8 sums in flight; the sums, a row of B and the numbers of A must
fit 32 registers, and 5 × 2 + 2 + 1 is what AVX2's 16 can hold. Each row of the tile is a strip (`strip.py`): a value
that lives in registers, so the loop over k reads like the formula.
"""

from typing import Any

from ..compiler.intrinsics import REGISTERS, VECTOR_BYTES, give_back, heap_array, lanes, stack_array, window
from ..compiler.jit import linked, part_of_kernels
from ..compiler.simd import (
    MASKS,
    broadcast,
    load,
    masked_load,
    masked_store,
    prefetch,
    store,
    transpose_part,
    transpose_square,
)
from ..compiler.threads import thread_count, threads_pay
from ..compiler.types import Matrix, Vector

ROWS = 5
VECTORS = 4 if REGISTERS == 32 else 2
DEPTH = 1024
"""Rows of a panel, terms of the sum that are taken at a time. A panel fits the L2 cache, and being so deep it makes the
copying of B and the trips of the sums to memory a few percent of the work."""

MOST_ROWS = 1024
"""Rows of C in one part: so many rows of A, DEPTH columns of them, stay in the cache for all panels but the first."""

ROW_BYTES = VECTORS * VECTOR_BYTES

STACK_BYTES = 8192
"""The largest panel on the stack; larger ones are taken from the heap, since a thread's stack may have 64 KB in all."""

MANY_ROWS = 200
"""From this many rows of C on, copying B into a panel costs less than reading it from where it lies."""

FAR = 6144
"""Bytes. Rows of B that lie further apart than this, one and a half pages of memory, are copied for few rows of C too:
each page costs a translation of its address, and rows a power of two apart push each other out of the cache."""


def tiles_of_width(vectors: int, whole: bool) -> Any:
    """The tiles of one panel, `vectors` registers wide; `whole` if its last column fills the last of them."""

    @part_of_kernels
    def read(array: Any, at: int, count: int) -> Any:
        return load(array, at, vectors) if whole else masked_load(array, at, vectors, count)

    @part_of_kernels
    def write(strip: Any, array: Any, at: int, count: int) -> None:
        if whole:
            store(strip, array, at)
        else:
            masked_store(strip, array, at, count)

    @part_of_kernels
    def tiles(
        A: Matrix, i0: int, i1: int, B: Vector, start: int, step: int, fresh: bool, b: Vector, lr: float, C: Matrix,
        j: int, count: int,
    ) -> None:  # fmt: skip
        """C[i0:i1, j : j+count] = b[j : j+count] + Σ_k A[i0:i1, k]·B[k], five rows at a time.

        B's row k begins at element start + k·step. Fresh sums begin with b, if it is not empty, others with what C
        holds. If lr is not 0, C takes a step against the sums: C − lr·sums. Where the rows end, the last one is
        taken several times: each time it comes to the same.
        """
        n, last = C.shape[1], i1 - 1
        first = broadcast(C.dtype.type(0), C, vectors)
        if b.size > 0:
            first = read(b, j, count)
        for i in range(i0, i1, ROWS):
            r1, r2, r3, r4 = min(i + 1, last), min(i + 2, last), min(i + 3, last), min(i + 4, last)
            a0, a1, a2, a3, a4 = A[i], A[r1], A[r2], A[r3], A[r4]
            at0, at1, at2, at3, at4 = i * n + j, r1 * n + j, r2 * n + j, r3 * n + j, r4 * n + j
            c0 = c1 = c2 = c3 = c4 = first
            if not fresh:
                c0, c1, c2 = read(C, at0, count), read(C, at1, count), read(C, at2, count)
                c3, c4 = read(C, at3, count), read(C, at4, count)
            if lr != 0:
                prefetch(C, at0, vectors)
                prefetch(C, at1, vectors)
                prefetch(C, at2, vectors)
                prefetch(C, at3, vectors)
                prefetch(C, at4, vectors)
            at = start
            for k in range(A.shape[1]):
                y = load(B, at, vectors) if whole or not MASKS else masked_load(B, at, vectors, count)
                c0 = c0 + a0[k] * y
                c1 = c1 + a1[k] * y
                c2 = c2 + a2[k] * y
                c3 = c3 + a3[k] * y
                c4 = c4 + a4[k] * y
                at += step
            if lr != 0:
                c0 = read(C, at0, count) - lr * c0
                c1 = read(C, at1, count) - lr * c1
                c2 = read(C, at2, count) - lr * c2
                c3 = read(C, at3, count) - lr * c3
                c4 = read(C, at4, count) - lr * c4
            write(c0, C, at0, count)
            write(c1, C, at1, count)
            write(c2, C, at2, count)
            write(c3, C, at3, count)
            write(c4, C, at4, count)

    return tiles


whole_tiles = tiles_of_width(VECTORS, True)
part_1 = tiles_of_width(1, False)
part_2 = tiles_of_width(2, False)
part_3 = tiles_of_width(3, False) if VECTORS > 2 else part_2
part_4 = tiles_of_width(4, False) if VECTORS > 2 else part_2


@part_of_kernels
def pack(B: Matrix, k0: int, k1: int, j0: int, j1: int, n: int, panel: Vector) -> None:
    """panel[k − k0] = B[k, j0:j1], filled up with zeros to rows of n: aligned and contiguous."""
    v, stride = lanes(panel), B.shape[1]
    if j1 - j0 == VECTORS * v:
        for k in range(k0, k1):
            store(load(B, k * stride + j0, VECTORS), panel, (k - k0) * n)
    else:
        for k in range(k0, k1):
            for j in range(j0, j1, v):
                store(masked_load(B, k * stride + j, 1, j1 - j), panel, (k - k0) * n + j - j0)


@part_of_kernels
def pack_transposed(B: Matrix, k0: int, k1: int, j0: int, j1: int, n: int, panel: Vector) -> None:
    """panel[k − k0] = B[j0:j1, k], filled up with zeros to rows of n: squares, turned over in registers."""
    v, stride = lanes(panel), B.shape[1]
    for k in range(k0, k1, v):
        for j in range(j0, j1, v):
            source, to = j * stride + k, (k - k0) * n + j - j0
            if k + v <= k1 and j + v <= j1:
                transpose_square(B, source, stride, panel, to, n)
            else:
                transpose_part(B, source, stride, j1 - j, k1 - k, panel, to, n)


@linked
def product(
    A: Matrix, B: Matrix, transposed: bool, b: Vector, lr: float, C: Matrix, i0: int, i1: int, j0: int, j1: int
) -> None:
    """C[i0:i1, j0:j1] = A[i0:i1]·B[:, j0:j1] + b[j0:j1]; with B transposed, A[i0:i1]·B[j0:j1]ᵀ.

    A may be strided, because only single numbers of it are read. b may be empty. If lr is not 0, C takes a step
    against the product instead: C = C − lr·(A·B + b). The terms of each sum are added in the order of k, whatever
    the tile, so where the work is cut changes no bit of the result.

    With few rows, B is read from where it lies. With many it is copied panel by panel, DEPTH rows at a time, outside
    the columns: so that many columns of A are in the cache for all panels but the first. Without memory for a panel
    they are fewer rows at a time, and a step against the product is taken in as many parts.
    """
    v, depth, width = lanes(C), A.shape[1], VECTORS * lanes(C)
    far_apart = B.shape[1] * B.itemsize > FAR
    packed = transposed or i1 - i0 >= MANY_ROWS or (far_apart and i1 - i0 > 2 * ROWS)
    packed = packed or (not MASKS and (j1 - j0) % v > 0)  # a panel has zeros behind its end
    widest = (min(width, j1 - j0) + v - 1) // v * v
    wanted = min(DEPTH, depth) * widest * C.itemsize if packed else 0
    heap = heap_array(wanted if wanted > STACK_BYTES else 0, C)
    stack = stack_array(STACK_BYTES, C)
    panel = heap if heap.size > 0 else stack
    at_once = min(DEPTH, panel.size // max(widest, 1))
    k0 = 0
    while k0 == 0 or k0 < depth:
        k1 = min(k0 + at_once, depth) if packed else depth
        terms = A[:, k0:k1]
        fresh = k0 == 0 or lr != 0  # a step is taken for every so many terms
        for j in range(j0, j1, width):
            columns = min(width, j1 - j)
            vectors = (columns + v - 1) // v
            n = vectors * v
            if transposed:
                pack_transposed(B, k0, k1, j, j + columns, n, panel)
            elif packed:
                pack(B, k0, k1, j, j + columns, n, panel)
            source, start, step = (panel, 0, n) if packed else (window(B, 0, B.size), k0 * B.shape[1] + j, B.shape[1])
            if columns == width:
                whole_tiles(terms, i0, i1, source, start, step, fresh, b, lr, C, j, columns)
            elif vectors == 1:
                part_1(terms, i0, i1, source, start, step, fresh, b, lr, C, j, columns)
            elif vectors == 2:
                part_2(terms, i0, i1, source, start, step, fresh, b, lr, C, j, columns)
            elif vectors == 3:
                part_3(terms, i0, i1, source, start, step, fresh, b, lr, C, j, columns)
            else:
                part_4(terms, i0, i1, source, start, step, fresh, b, lr, C, j, columns)
        k0 = max(k1, 1)
    give_back(heap)


@part_of_kernels
def shape_of_a_part(C: Matrix, flop: int) -> tuple[int, int]:
    """How many rows and columns of C make a part.

    One thread takes all columns. Several share the panels, if they can be shared equally, or else the rows. Many rows
    are cut into parts of about the same size.
    """
    m, n, threads = int(C.shape[0]), int(C.shape[1]), thread_count()
    width = VECTORS * lanes(C)
    panels = (n + width - 1) // width
    share, columns = m, n
    if threads_pay(flop) and panels % threads == 0:
        columns = panels // threads * width
    elif threads_pay(flop):
        share = (m + threads - 1) // threads
    pieces = (share + MOST_ROWS - 1) // MOST_ROWS
    rows = (share + pieces - 1) // max(pieces, 1)
    return max((rows + ROWS - 1) // ROWS * ROWS, 1), max(columns, 1)


@part_of_kernels
def number_of_parts(C: Matrix, shape: tuple[int, int]) -> int:
    rows, columns = shape
    return max(1, (int(C.shape[0]) + rows - 1) // rows) * ((int(C.shape[1]) + columns - 1) // columns)


@part_of_kernels
def part_of(C: Matrix, shape: tuple[int, int], t: int) -> tuple[int, int, int, int]:
    """Rows i0:i1 and columns j0:j1 of the t-th part: downwards first, so that neighbours share columns."""
    m, n = C.shape
    rows, columns = shape
    down = max(1, (m + rows - 1) // rows)
    i0, j0 = t % down * rows, t // down * columns
    return i0, min(i0 + rows, m), j0, min(j0 + columns, n)
