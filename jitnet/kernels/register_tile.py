"""The register tile: a block of the product whose sums stay in vector registers until they are complete.

A fused multiply-add multiplies two numbers and adds the product to a sum. `blocked` loads and stores a vector of sums
for every four multiply-adds; here a tile of C, 6 rows high and 4 SIMD vectors wide, is stored once:

    C[i : i+6, j : j+64]  in 6 × 4 registers           (float32 and AVX-512; AVX2 has half the registers: 6 × 2)
    for every k:  4 loads of B[k, j : j+64], 6 numbers of A, each copied to all lanes: 10 loads for 24 multiply-adds

Why 6 × 4: two units with a latency of 4 need at least 8 sums in flight; the sums, a row of B and one number of A must
fit into 32 registers, and 6 × 2 + 2 + 1 fits into AVX2's 16. From the rung `packed` on, the last rows of C are in tiles
of 4 rows: sixes and fours add up to every even number from 4 on. A panel is a block of columns of B, at most as wide as
a tile; panels of at most half that width have tiles of 10 and 5 rows; for up to four columns, see `few_columns.py`. A
tile is a block of rows of SIMD vectors (`simd_rows.py`), which are values in registers, so the loop over k reads like
the formula. What happens to a block in one step is not a loop: `rank_1_update` generates its LLVM instructions, and
next to it in `simd_rows.py` is the same in NumPy, which runs when a kernel is interpreted.

The file follows the ladder: `row_of_tiles` is the tile alone (rung `tiled`); then come tiles of any size over panels of
B (`packed`), whose sums may begin with a bias and may end as a step of gradient descent (`fused`).
"""

from typing import Any

from ..compiler.cpu_caches import PAGE, TYPICAL, data_caches
from ..compiler.intrinsics import (
    IS_AMD,
    REGISTERS,
    VECTOR_BYTES,
    free_array,
    heap_array,
    lanes,
    matrix_in,
    rolled,
    stack_array,
    submatrix,
    window,
)
from ..compiler.jit import inlined, linked, part_of_kernels
from ..compiler.memory import LINE
from ..compiler.simd import MASKS, broadcast, load, load_past_end, masked_load, masked_store, store
from ..compiler.simd_rows import load_rows, prefetch_rows, rank_1_update, repeated, store_rows
from ..compiler.simd_transpose import transpose_part, transpose_square
from ..compiler.types import Matrix, Vector
from .few_columns import columns_beyond_pay, few_columns, few_columns_pay

ROWS, LOW = 6, 4
NARROW_ROWS, NARROW_LOW = 10, 5
"""Rows of a tile, and of the lower tiles at the end, in a wide panel and in a narrow one. Comments assume 6 and 4."""

VECTORS = 4 if REGISTERS == 32 else 2
HALF = VECTORS // 2


@part_of_kernels
def row_of_tiles(A: Matrix, B: Matrix, C: Matrix, i: int) -> None:
    """C[i : i+ROWS] = A[i : i+ROWS]·B, tile by tile: the sums of a tile stay in registers for all k.

    A can be strided (a transpose), because only single numbers of it are read; rows of B and C are contiguous.
    """
    n, width = C.shape[1], VECTORS * lanes(C)
    zeros = broadcast(C.dtype.type(0), C, VECTORS)
    for j in range(0, n - n % width, width):
        tile = repeated(zeros, ROWS)
        for k in range(B.shape[0]):
            b = load(B[k], j, VECTORS)
            tile = rank_1_update(tile, A, i, k, b)
        store_rows(tile, submatrix(C, 0, C.shape[0], j, j + width), i, width)


@part_of_kernels
def edge(A: Matrix, B: Matrix, C: Matrix, i: int) -> None:
    """Row i of A·B outside of whole tiles: the same tile, one row high, with a mask for the columns that exist."""
    m, n, width = C.shape[0], C.shape[1], VECTORS * lanes(C)
    is_in_tiles = m - i > m % ROWS  # a direct comparison of m with i, an unsigned prange index, would be in float64
    a, c = A[i], C[i]
    for j in range(n - n % width if is_in_tiles else 0, n, width):
        s = broadcast(C.dtype.type(0), C, VECTORS)
        for k in range(B.shape[0]):
            s = s + a[k] * masked_load(B[k], j, VECTORS, n - j)
        masked_store(s, c, j, n - j)


L1, L2 = (cache.size for level, cache in sorted((TYPICAL | data_caches()).items())[:2])
"""Bytes of the first two caches, or typical sizes if the system does not report them. Panels are sized for L2, because
L3 and memory are several times as slow."""

ROW_BYTES = VECTORS * VECTOR_BYTES

DEPTH = max(128, min(1024, L2 // 4 // ROW_BYTES))
"""Rows of a panel: the terms of a sum that are processed at a time. A panel takes at most a quarter of the L2 cache. It
is deep enough that packing B, and loading and storing partial sums, are a few percent of the work."""

STACK_BYTES = 8192
"""The largest panel on the stack; larger ones are on the heap, because a thread's stack can be as small as 64 KB."""

READS_L3 = IS_AMD and VECTOR_BYTES == 64
"""An AMD core reads what L2 has evicted nearly as fast from its L3 cache, if it reads several lines of a row."""

EVICTING_ROWS = 32 if READS_L3 else 2 * ROWS + 1
"""The rows of C from which packing B pays if rows of B evict each other from the L2 cache. With 2·ROWS + 1 rows there
are three tiles, two of which read the copy. This and the next two were measured on Emerald Rapids, Zen 4 and Zen 5."""

SPLIT_ROWS = 200 if READS_L3 else 2 * ROWS + 1
"""The same if rows of B are not aligned to cache lines, and are in more than SPLIT_PAGES pages: an Intel core makes two
accesses for a load that crosses a line, as all unaligned loads of AVX-512 do, and half of those of AVX2."""

OTHER_ROWS = 200 if READS_L3 else 48
"""The same if rows of B are not aligned, or evict each other only where their pages are unfavorable."""

EVICTING_L1 = L1 * 9 // 16
EVICTING_L2 = L2 * 7 // 4 if READS_L3 else L2 * 9 // 16
"""Bytes from which rows evict each other from the L1 and L2 caches, as `rows_evict_each_other` counts them."""

TLB_PAGES = 64
"""The pages whose addresses every core keeps in its first TLB: 64 in Ice Lake, 72 in Zen 4, 96 in Golden Cove."""

SPLIT_PAGES = 96
"""The pages from which SPLIT_ROWS holds, as measured on Emerald Rapids, which has the TLB of Golden Cove."""


def tile_of(rows: int, vectors: int, whole: bool, packs: bool) -> Any:
    """A tile of `rows` rows and `vectors` registers; `whole` if the columns of C fill all of its registers. If it
    `packs`, it copies B too."""

    # On Intel, a masked load of AVX-512 also occupies one of the two units that multiply and add: a panel of two
    # vectors takes 22 operations for each row, instead of 20. Only the last row needs masks; other loads may go on into
    # the next row. A single vector keeps its masks, because without them it would often read another cache line.
    masks_last_row = MASKS and vectors > 1 and not (whole or packs)

    @inlined
    def tile(
        A: Matrix, B: Matrix, copy: Matrix, begin: Vector, adds: bool, descends: bool, lr: float, C: Matrix, i: int
    ) -> None:
        """Rows i, i + 1, ... of C. Sums begin with `begin`, zeros or a bias, or, if it `adds`, with C. If it
        `descends`, C becomes C − lr·sums."""
        n, all_lanes = C.shape[1], vectors * lanes(C)
        count = all_lanes if whole else n  # a constant, if it is whole: the compiler then leaves out the masks
        count_of_B = count if MASKS or packs else all_lanes  # without masks, rows fill whole vectors, or are padded
        x = masked_load(begin, 0, vectors, count)
        sums = load_rows(C, i, rows, vectors, count) if adds else repeated(x, rows)
        if descends:
            prefetch_rows(C, i, rows, vectors)
        if masks_last_row:
            last = B.shape[0] if n == all_lanes else B.shape[0] - 1
            for k in range(last):
                rolled()
                sums = rank_1_update(sums, A, i, k, load_past_end(B[k], 0, vectors))
            if 0 <= last < B.shape[0]:
                sums = rank_1_update(sums, A, i, last, masked_load(B[last], 0, vectors, n))
        else:
            for k in range(B.shape[0]):
                rolled()
                b = masked_load(B[k], 0, vectors, count_of_B)
                if packs:
                    store(b, copy[k], 0)
                sums = rank_1_update(sums, A, i, k, b)
        if descends:
            sums = load_rows(C, i, rows, vectors, count) - lr * sums
        store_rows(sums, C, i, count)

    return tile


def tiles_of_width(vectors: int, whole: bool) -> Any:
    """The tiles of one panel, `vectors` registers wide. With few vectors, tiles are taller: otherwise there
    would be too few independent sums to hide the latency of a multiply-add, and too few for each row of B loaded."""
    rows, few = (NARROW_ROWS, NARROW_LOW) if vectors <= HALF else (ROWS, LOW)
    tile, low_tile = tile_of(rows, vectors, whole, False), tile_of(few, vectors, whole, False)
    packing_tile = tile_of(rows, vectors, whole, True)

    @part_of_kernels
    def tiles(
        A: Matrix, B: Matrix, copy: Matrix, begin: Vector, adds: bool, descends: bool, lr: float, C: Matrix
    ) -> None:
        """All rows of C; the arguments are those of `tile`.

        If `copy` is not empty, the first tile copies B there, and the others read the copy. With masks, a panel that is
        not whole is read in place: few of its loads cross lines. Without masks, its copy pads the rows.
        """
        i, m = 0, C.shape[0]
        if (whole or not MASKS) and copy.shape[0] > 0 and m > 0:
            packing_tile(A, B, copy, begin, adds, descends, lr, C, i)
            i, B = rows, copy
        while i < m:
            if m - i <= few or rows < m - i <= 2 * few:  # one low tile is enough, or two are
                low_tile(A, B, copy, begin, adds, descends, lr, C, i)
                i += few
            else:
                tile(A, B, copy, begin, adds, descends, lr, C, i)
                i += rows

    return tiles


whole_tiles, masked_tiles = tiles_of_width(VECTORS, True), tiles_of_width(VECTORS, False)
tiles_3 = tiles_of_width(3, False) if VECTORS > 3 else masked_tiles
tiles_of_half = tiles_of_width(HALF, False)
tiles_1 = tiles_of_width(1, False) if HALF > 1 else tiles_of_half


SINGLE_VECTORS = 4
"""SIMD vectors of a single row; two sums would be too few to hide the latency of a multiply-add."""

ZEROS_BYTES = SINGLE_VECTORS * VECTOR_BYTES


@part_of_kernels
def single_row(A: Matrix, B: Matrix, begin: Vector, adds: bool, descends: bool, lr: float, C: Matrix) -> None:
    """Like `tiles`, for a single row, which a tile would compute once for each of its rows."""
    n, a, c = C.shape[1], A[0], C[0]
    s = masked_load(c if adds else begin, 0, SINGLE_VECTORS, n)
    for k in range(B.shape[0]):
        s = s + a[k] * masked_load(B[k], 0, SINGLE_VECTORS, n)
    masked_store(masked_load(c, 0, SINGLE_VECTORS, n) - lr * s if descends else s, c, 0, n)


NARROW_TILES = "T[:,:], T[:,:], T[:,:], T[::1], boolean, boolean, T, T[:,:]"
"""The types of the arguments of `narrow_tiles`."""


@linked
def narrow_tiles(
    A: Matrix, B: Matrix, copy: Matrix, begin: Vector, adds: bool, descends: bool, lr: float, C: Matrix
) -> None:
    """The tiles of a narrow panel, as wide as C: compiled apart from `product`, so that two processes can compile in
    parallel."""
    if not (adds or descends) and few_columns_pay(A, B, C) and few_columns(A, B, begin, C):
        return
    if C.shape[1] <= lanes(C):
        tiles_1(A, B, copy, begin, adds, descends, lr, C)
    else:
        tiles_of_half(A, B, copy, begin, adds, descends, lr, C)


@part_of_kernels
def one_panel(
    A: Matrix, B: Matrix, copy: Matrix, begin: Vector, adds: bool, descends: bool, lr: float, C: Matrix
) -> None:
    """The tiles of a wider panel, as wide as C."""
    n, width = C.shape[1], VECTORS * lanes(C)
    if n == width:
        whole_tiles(A, B, copy, begin, adds, descends, lr, C)
    elif VECTORS > 3 and n <= 3 * lanes(C):
        tiles_3(A, B, copy, begin, adds, descends, lr, C)
    else:
        masked_tiles(A, B, copy, begin, adds, descends, lr, C)


@part_of_kernels
def in_whole_vectors(n: int, array: Any) -> int:
    """n numbers of the array's dtype, and as many more as fill the last SIMD vector."""
    return (n + lanes(array) - 1) // lanes(array) * lanes(array)


@part_of_kernels
def in_odd_lines(n: int, array: Any) -> int:
    """n numbers, and as many more as fill an odd number of cache lines.

    Rows of this length use all sets of a cache. With a power of two, the rows that a transpose is copied to would evict
    each other.
    """
    lines = (n * array.itemsize + LINE - 1) // LINE
    return int((lines | 1) * LINE // array.itemsize)


@part_of_kernels
def is_transpose(B: Matrix) -> bool:
    """Whether rows of B are strided. Its columns are contiguous then."""
    return bool(B.strides[1] != B.itemsize)


@part_of_kernels
def copy_transpose(B: Matrix, copy: Matrix) -> None:
    """copy = B, whose columns are contiguous, with as many zeros at the end of each row as fill the last SIMD vector.

    It is transposed in registers, square by square.
    """
    (rows, columns), v = B.shape, lanes(B)
    for j in range(0, columns, v):
        for k in range(0, rows, v):
            if k + v <= rows and j + v <= columns:
                transpose_square(B.T, j, k, copy)
            else:
                transpose_part(B.T, j, k, copy)


@part_of_kernels
def rows_evict_each_other(B: Matrix, least: int, most: int) -> bool:
    """Whether rows of B, of which `least` bytes are read, evict each other from a cache: they take up more than `most`.

    The rows are `apart` bytes from each other. They can only use the sets of the cache that belong to their offsets
    within a page, because pages are scattered: one position if they are a multiple of a page apart, four if they are
    768 numbers of float32 apart. So each row takes up as many bytes as the largest power of two that divides `apart`,
    up to a page.
    """
    apart = B.strides[0]
    return bool(B.shape[0] * max(least, min(apart & -apart, PAGE)) > most)


@part_of_kernels
def packing_pays(B: Matrix, rows: int) -> bool:
    """Whether whole panels of B are read faster from a copy, for this many rows of C."""
    if rows_evict_each_other(B, ROW_BYTES, EVICTING_L2):
        return rows >= EVICTING_ROWS
    is_split = B.strides[0] % LINE > 0 or B.ctypes.data % LINE > 0
    if is_split and B.shape[0] * min(B.strides[0], PAGE) > SPLIT_PAGES * PAGE:
        return rows >= SPLIT_ROWS
    return rows >= OTHER_ROWS and (is_split or rows_evict_each_other(B, ROW_BYTES, EVICTING_L2 // 2))


@part_of_kernels
def copying_pays(A: Matrix, columns: int) -> bool:
    """Whether A, if it is a transpose, is read faster from a copy with contiguous rows, for this many columns of C.

    A tile reads six numbers of each column of A. The rest of their cache line serves the next tiles, unless the lines
    have left the L1 cache by then. If the columns are in more than TLB_PAGES pages, each read looks up its page first.
    An AMD core with AVX-512 is fast enough with lines from its L2 cache and with addresses from its second TLB.
    """
    if A.strides[0] != A.itemsize or columns < 2 * VECTORS * lanes(A):
        return False
    if READS_L3:
        return bool(rows_evict_each_other(A.T, LINE, EVICTING_L2))
    return bool(
        rows_evict_each_other(A.T, LINE, EVICTING_L1) or A.shape[1] * min(A.strides[1], PAGE) > TLB_PAGES * PAGE
    )


PLAIN, WITH_BIAS, DESCENT = range(3)
"""The variants of a product: C = A·B; C = A·B + b; C ← C − lr·A·B."""


@linked
def product(A: Matrix, B: Matrix, C: Matrix, variant: int, b: Vector, lr: float) -> None:
    """C = A·B (PLAIN), A·B + b in each row (WITH_BIAS, which reads b), or C − lr·A·B (DESCENT, which reads lr).

    Rows of C are contiguous, and A and B can be transposes. The terms of each sum are added in the order of k, whatever
    the tile, so the partition of the work changes no bit of the result.

    Up to four columns beyond whole vectors are a panel of their own, if that pays (`columns_beyond_pay`). B is read in
    place, or packed panel by panel: transposed first (`copy_transpose`), or copied by the first tile, if that pays
    (`packing_pays`) or if rows must be padded because there are no masks. A transposed A may be copied
    (`copying_pays`). With any copy, a panel has at most DEPTH rows, in a loop outside the columns: DEPTH columns of A
    stay in L2, or at least in L3, for all panels but the first. The panels of DESCENT have all rows, if there is enough
    memory: C − lr·(s₁ + s₂) and C − lr·s₁ − lr·s₂ differ in the last bit.
    """
    m, depth, n = A.shape[0], A.shape[1], C.shape[1]
    is_row = MASKS and m == 1
    width = (SINGLE_VECTORS if is_row else VECTORS) * lanes(C)
    widest = in_whole_vectors(min(width, n), C)
    packed = is_transpose(B) or (n >= width and packing_pays(B, m))
    packed = packed or (not MASKS and n % lanes(C) > 0)  # a panel is padded with zeros
    copied = copying_pays(A, n)
    rows = min(DEPTH, depth) if (packed or copied) and variant != DESCENT else depth
    if B.strides[0] < min(width, n) * B.itemsize and not is_transpose(B):
        rows = 1  # a view of overlapping or reversed rows: a load past the end of a row could leave its memory
    wanted = rows * widest * C.itemsize if packed else 0
    heap = heap_array(wanted if wanted > STACK_BYTES else 0, C)
    stack = stack_array(STACK_BYTES, C)
    memory = heap if heap.size > 0 else stack  # also if there is no memory: then with fewer rows
    if packed:
        rows = min(rows, memory.size // max(widest, 1))
    apart = in_odd_lines(rows, C)
    rows_of_A = heap_array(m * apart * C.itemsize if copied else 0, C)
    zeros = stack_array(ZEROS_BYTES, C)
    for j in range(zeros.size):
        zeros[j] = 0
    splits = variant != DESCENT and rows >= depth and columns_beyond_pay(A, B, C)
    k0 = 0
    while k0 == 0 or k0 < depth:
        k1 = min(k0 + rows, depth)
        left = submatrix(A, 0, m, k0, k1)
        if rows_of_A.size > 0:
            contiguous = matrix_in(rows_of_A, m, apart)
            copy_transpose(left, contiguous)
            left = contiguous
        j = 0
        while j < n:
            count = min(width, n - j)
            if splits and count > lanes(C):
                count -= count % lanes(C)  # a panel of their own, for `few_columns`
            panel = submatrix(B, k0, k1, j, j + count)
            copy = matrix_in(memory, k1 - k0 if packed else 0, in_whole_vectors(count, C))
            if is_transpose(B):
                copy_transpose(panel, copy)
                panel, copy = copy, matrix_in(memory, 0, 0)
            begin = window(b, j, count) if variant == WITH_BIAS else zeros
            adds, descends = k0 > 0 and variant != DESCENT, variant == DESCENT
            target = submatrix(C, 0, m, j, j + count)
            if is_row:
                single_row(left, panel, begin, adds, descends, lr, target)
            elif count <= HALF * lanes(C):
                narrow_tiles(left, panel, copy, begin, adds, descends, lr, target)
            else:
                one_panel(left, panel, copy, begin, adds, descends, lr, target)
            j += count
        k0 = max(k1, 1)  # without terms, one round writes zeros or the bias
    free_array(rows_of_A)
    free_array(heap)
