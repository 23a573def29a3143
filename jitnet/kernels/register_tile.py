"""The register tile: a block of the product whose sums stay in vector registers until they are complete.

A fused multiply-add takes two numbers and a sum. `blocked` loads and stores a vector of sums for every four
multiply-adds; here a tile of C, 5 rows high and 4 SIMD vectors wide, is stored once:

    C[i : i+5, j : j+64]  in 5 × 4 registers           (float32 and AVX-512; AVX2 has half the registers: 5 × 2)
    for every k:  4 loads of B[k, j : j+64], 5 numbers of A, each copied to all lanes: 9 loads for 20 multiply-adds

Why 5 × 4: two units with a latency of 4 need at least 8 sums in flight; the sums, a row of B and the numbers of A must
fit into 32 registers, and 5 × 2 + 2 + 1 fits into AVX2's 16. Each row of the tile is held in SIMD vectors (`simd.py`),
which are values in registers, so the loop over k reads like the formula.

The file follows the ladder: `five_rows` is the tile alone (rung `tiled`); then come tiles of any size over panels of B
(`packed`), whose sums may begin with a bias and may end as a step of gradient descent (`fused`).
"""

from typing import Any

from ..compiler.caches import PAGE, USUAL, data_caches
from ..compiler.intrinsics import (
    IS_AMD,
    REGISTERS,
    VECTOR_BYTES,
    give_back,
    heap_array,
    lanes,
    rows_in,
    stack_array,
    window,
)
from ..compiler.jit import linked, part_of_kernels
from ..compiler.memory import LINE
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
from ..compiler.types import Matrix, Vector

ROWS = 5
VECTORS = 4 if REGISTERS == 32 else 2


@part_of_kernels
def five_rows(A: Matrix, B: Matrix, C: Matrix, i: int) -> None:
    """C[i:i+5] = A[i:i+5]·B, tile by tile: sums of five rows and VECTORS SIMD vectors stay in registers for all k.

    A can be strided (a transpose), because only single numbers of it are read; rows of B and C are contiguous.
    """
    n, width = C.shape[1], VECTORS * lanes(C)
    a0, a1, a2, a3, a4 = A[i], A[i + 1], A[i + 2], A[i + 3], A[i + 4]
    for j in range(0, n - n % width, width):
        c0 = c1 = c2 = c3 = c4 = broadcast(C.dtype.type(0), C, VECTORS)
        for k in range(A.shape[1]):
            y = load(B, k * n + j, VECTORS)
            c0 = c0 + a0[k] * y
            c1 = c1 + a1[k] * y
            c2 = c2 + a2[k] * y
            c3 = c3 + a3[k] * y
            c4 = c4 + a4[k] * y
        store(c0, C, i * n + j)
        store(c1, C, (i + 1) * n + j)
        store(c2, C, (i + 2) * n + j)
        store(c3, C, (i + 3) * n + j)
        store(c4, C, (i + 4) * n + j)


@part_of_kernels
def edge(A: Matrix, B: Matrix, C: Matrix, i: int) -> None:
    """Row i of A·B outside of whole tiles: sums are loaded and stored for every k, as in `reordered`."""
    m, n = C.shape
    is_in_tiles = m - i > m % ROWS  # a direct comparison of m with i, an unsigned prange index, would be in float64
    j0 = n - n % (VECTORS * lanes(C)) if is_in_tiles else 0
    c = window(C, i * n + j0, n - j0)
    for j in range(c.size):
        c[j] = C.dtype.type(0)
    for k in range(A.shape[1]):
        a, b = A[i, k], window(B, k * n + j0, n - j0)
        for j in range(c.size):
            c[j] += a * b[j]


L1, L2 = (cache.size for level, cache in sorted((USUAL | data_caches()).items())[:2])
"""Bytes of the first two caches. Panels are sized for L2, because L3 and memory are several times as slow."""

ROW_BYTES = VECTORS * VECTOR_BYTES

DEPTH = max(128, min(1024, L2 // 4 // ROW_BYTES))
"""Rows of a panel: the terms of a sum that are processed at a time. A panel takes a quarter of the L2 cache, and is so
deep that packing B, and loading and storing partial sums, are a few percent of the work."""

MOST_ROWS = 1024
"""Rows of C in one part: DEPTH columns of that many rows of A stay in the cache for all panels but the first."""

STACK_BYTES = 8192
"""The largest panel on the stack; larger ones are on the heap, because a thread's stack can be as small as 64 KB."""

EVICTING_ROWS, SPLIT_ROWS, MANY_ROWS = 16, 64 if VECTOR_BYTES == 64 and not IS_AMD else 200, 400
"""Rows of C from which packing B is faster than reading it in place: if the rows of B evict each other from the L2
cache, if they do not begin on a cache line, and if they do, but are apart. Measured on Emerald Rapids and Zen 4: an
Intel core makes two accesses for a load that crosses a line, as all unaligned loads of AVX-512 do, and half of those of
AVX2."""


def tiles_of_width(vectors: int, whole: bool) -> Any:
    """The tiles of one panel, `vectors` registers wide; `whole` if its columns fill all of them."""

    @part_of_kernels
    def read(array: Any, at: int, count: int) -> Any:
        return load(array, at, vectors) if whole else masked_load(array, at, vectors, count)

    @part_of_kernels
    def write(sums: Any, array: Any, at: int, count: int) -> None:
        if whole:
            store(sums, array, at)
        else:
            masked_store(sums, array, at, count)

    @part_of_kernels
    def tiles(
        A: Matrix, B: Vector, start: int, step: int, begin: Vector, first: int, adds: bool, descends: bool, lr: float,
        C: Matrix, j: int, count: int,
    ) -> None:  # fmt: skip
        """C[:, j : j+count] = sums of A·B, five rows at a time; if it `descends`, C − lr·sums.

        B's row k begins at element start + k·step. The sums of each row begin with the elements of `begin` from
        `first` on, zeros or a bias; if it `adds`, with what C holds. At the bottom edge the last row is
        computed repeatedly, with the same result.
        """
        m, n = C.shape
        last, row = m - 1, read(begin, first, count)
        for i in range(0, m, ROWS):
            r1, r2, r3, r4 = min(i + 1, last), min(i + 2, last), min(i + 3, last), min(i + 4, last)
            a0, a1, a2, a3, a4 = A[i], A[r1], A[r2], A[r3], A[r4]
            at0, at1, at2, at3, at4 = i * n + j, r1 * n + j, r2 * n + j, r3 * n + j, r4 * n + j
            c0 = c1 = c2 = c3 = c4 = row
            if adds:
                c0, c1, c2 = read(C, at0, count), read(C, at1, count), read(C, at2, count)
                c3, c4 = read(C, at3, count), read(C, at4, count)
            if descends:
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
            if descends:
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
_ragged = {vectors: tiles_of_width(vectors, False) for vectors in range(1, VECTORS + 1)}
tiles_1, tiles_2, tiles_3, tiles_4 = (_ragged[min(vectors, VECTORS)] for vectors in (1, 2, 3, 4))


@part_of_kernels
def pack(B: Matrix, k0: int, k1: int, j0: int, j1: int, n: int, panel: Vector) -> None:
    """panel[k − k0] = B[k, j0:j1], padded with zeros to rows of n: aligned and contiguous."""
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
    """panel[k − k0] = B[j0:j1, k], padded with zeros to rows of n: squares, transposed in registers."""
    v, stride = lanes(panel), B.strides[0] // B.itemsize
    for k in range(k0, k1, v):
        for j in range(j0, j1, v):
            source, to = j * stride + k, (k - k0) * n + j - j0
            if k + v <= k1 and j + v <= j1:
                transpose_square(B, source, stride, panel, to, n)
            else:
                transpose_part(B, source, stride, j1 - j, k1 - k, panel, to, n)


@part_of_kernels
def rows_evict_each_other(B: Matrix, least: int, cache: int) -> bool:
    """Whether rows of B, of which `least` bytes are read, evict each other from a cache of this many bytes.

    The rows are `apart` bytes from each other. They can only use the sets of the cache that belong to their positions
    within a page, because pages are scattered. Rows that are a multiple of a page apart share one position; 768 numbers
    apart, four. So each row takes up as many bytes as the largest power of two that divides `apart`, up to a page. If
    the rows take up more than half of the cache, they evict each other.
    """
    apart = B.strides[0]
    return bool(B.shape[0] * max(least, min(apart & -apart, PAGE)) > cache * 9 // 16)


@part_of_kernels
def packing_pays(B: Matrix, rows: int, count: int) -> bool:
    """Whether panels of B, `count` columns each, are read faster from a copy, for this many rows of C."""
    if rows_evict_each_other(B, ROW_BYTES, L2):
        return rows >= EVICTING_ROWS
    if B.strides[0] % LINE > 0 or B.ctypes.data % LINE > 0:
        return rows >= SPLIT_ROWS and count > lanes(B)
    return rows >= MANY_ROWS and B.strides[0] > ROW_BYTES


@part_of_kernels
def turning_pays(A: Matrix, columns: int) -> bool:
    """Whether A, if it is a transpose, is read faster from a copy with contiguous rows, for this many columns of C.

    A tile reads five numbers of each column of A. The rest of their cache line serves the next tiles, unless the lines
    have evicted each other from the L1 cache by then.
    """
    return A.strides[0] == A.itemsize and columns >= 2 * VECTORS * lanes(A) and rows_evict_each_other(A.T, LINE, L1)


PLAIN, WITH_BIAS, DESCENT = range(3)
"""The variants of a product: C = A·B; C = A·B + b; C ← C − lr·A·B."""


@linked
def product(
    A: Matrix, B: Matrix, transposed: bool, purpose: int, b: Vector, lr: float, C: Matrix,
    i0: int, i1: int, j0: int, j1: int,
) -> None:  # fmt: skip
    """C[i0:i1, j0:j1] = A[i0:i1]·B[:, j0:j1]; with B transposed, A[i0:i1]·B[j0:j1]ᵀ.

    This is PLAIN. WITH_BIAS adds b[j0:j1] to each row, DESCENT subtracts lr times the product from C; only these read
    b, or lr. A can be strided, because only single numbers of it are read. The terms of each sum are added in the
    order of k, whatever the tile, so the partition of the work changes no bit of the result.

    B is read in place, or packed (`packing_pays`) panel by panel, DEPTH rows at a time, in a loop outside the columns:
    DEPTH columns of A then stay in the cache for all panels but the first. A step of DESCENT is not split: its panels
    contain all rows, because C − lr·(s₁ + s₂) and C − lr·s₁ − lr·s₂ differ in the last bit. Only if there is no memory
    for a panel does it take fewer rows at a time, in as many steps. A transposed A may be copied (`turning_pays`).
    """
    C = C[i0:i1]
    v, depth, width = lanes(C), A.shape[1], VECTORS * lanes(C)
    packed = transposed or packing_pays(B, C.shape[0], min(width, j1 - j0))
    packed = packed or (not MASKS and (j1 - j0) % v > 0)  # a panel is padded with zeros
    widest = (min(width, j1 - j0) + v - 1) // v * v
    deep = depth if purpose == DESCENT else min(DEPTH, depth)
    wanted = deep * widest * C.itemsize if packed else 0
    heap = heap_array(wanted if wanted > STACK_BYTES else 0, C)
    stack = stack_array(STACK_BYTES, C)
    panel = heap if heap.size > 0 else stack
    rows = min(deep, panel.size // max(widest, 1)) if packed else deep
    long = (rows + v - 1) // v * v
    turned = heap_array(C.shape[0] * long * C.itemsize if turning_pays(A, j1 - j0) else 0, C)
    zeros = stack_array(ROW_BYTES, C)
    for j in range(zeros.size):
        zeros[j] = 0
    k0 = 0
    while k0 == 0 or k0 < depth:
        k1 = min(k0 + rows, depth) if packed or turned.size > 0 else depth
        terms = A[i0:i1, k0:k1]
        if turned.size > 0:
            pack_transposed(A.T, i0, i1, k0, k1, long, turned)
            terms = rows_in(turned, C.shape[0], long, k1 - k0)
        adds, descends = k0 > 0 and purpose != DESCENT, purpose == DESCENT
        for j in range(j0, j1, width):
            count = min(width, j1 - j)
            n = (count + v - 1) // v * v
            source, start, step = window(B, 0, B.size), k0 * B.shape[1] + j, B.shape[1]
            if packed:
                source, start, step = panel, 0, n
            if transposed:
                pack_transposed(B[:, ::1], k0, k1, j, j + count, n, panel)  # of the type of A.T
            elif packed:
                pack(B, k0, k1, j, j + count, n, panel)
            begin, first = (b, j) if purpose == WITH_BIAS else (zeros, 0)
            if count == width:
                whole_tiles(terms, source, start, step, begin, first, adds, descends, lr, C, j, count)
            elif n == v:
                tiles_1(terms, source, start, step, begin, first, adds, descends, lr, C, j, count)
            elif n == 2 * v:
                tiles_2(terms, source, start, step, begin, first, adds, descends, lr, C, j, count)
            elif n == 3 * v:
                tiles_3(terms, source, start, step, begin, first, adds, descends, lr, C, j, count)
            else:
                tiles_4(terms, source, start, step, begin, first, adds, descends, lr, C, j, count)
        k0 = max(k1, 1)
    give_back(turned)
    give_back(heap)


@part_of_kernels
def shape_of_a_part(C: Matrix, threads: int) -> tuple[int, int]:
    """The number of rows and columns of C in a part.

    One thread takes all columns. Several threads share the panels if these divide equally, otherwise the rows. Many
    rows are divided into parts of about the same size.
    """
    m, n = int(C.shape[0]), int(C.shape[1])
    width = VECTORS * lanes(C)
    panels = (n + width - 1) // width
    share, columns = m, n
    if threads > 1 and panels % threads == 0:
        columns = panels // threads * width
    elif threads > 1:
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
    """Rows i0:i1 and columns j0:j1 of the t-th part: downwards first, so that neighbors share columns."""
    m, n = C.shape
    rows, columns = shape
    down = max(1, (m + rows - 1) // rows)
    i0, j0 = t % down * rows, t // down * columns
    return i0, min(i0 + rows, m), j0, min(j0 + columns, n)
