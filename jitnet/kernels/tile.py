"""The register tile: a block of the product whose sums stay in vector registers until they are done.

A fused multiply-add wants two numbers and a sum. `blocked` fetches and stores a vector of sums for every four of
them; here a tile of C, 5 rows high and 4 registers wide, is fetched and stored once:

    C[i : i+5, j : j+64]  in 5 × 4 registers           (float32 and AVX-512; AVX2 has half the registers: 5 × 2)
    for every k:  4 loads of B[k, j : j+64], 5 numbers of A, each copied to all lanes: 9 loads for 20 multiply-adds

Why 5 × 4: two units with a latency of 4 need at least 8 sums in flight; with 6 rows LLVM runs out of its 32
registers (24 sums, 6 numbers of A, the vectors of B) and spills some; 5 × 2 + 5 + 1 is just what AVX2's 16 can hold.

How LLVM is made to keep the tile in registers: the tile is an array on the stack of constant size; the inner loop
has a constant length and its five rows are written out, so that it is vectorised first, then unrolled away, and
what is left reads and writes the array at constant places only.
"""

from typing import Any

from .jit import part_of_kernels
from .legend import Matrix, Vector
from .linking import linked
from .threads import thread_count, threads_pay
from .vector import REGISTERS, VECTOR_BYTES, lanes, stack_array, transpose_square, window

ROWS = 5
VECTORS = 4 if REGISTERS == 32 else 2
SHALLOW, DEEP = 128, 512
"""Terms of the sum that are taken at a time from a panel. SHALLOW rows of B, a tile wide, fit the L1 cache; with many
rows of C, to fetch and store its sums less often is worth more, and DEEP rows still fit the L2 cache."""

DEEP_ROWS = 240
"""From this many rows of C on, panels are deep."""

MOST_ROWS = 480
"""Rows of C in one part: so many rows of A, DEEP columns of them, fit half of an L2 cache."""

ROW_BYTES = VECTORS * VECTOR_BYTES
TILE_BYTES = ROWS * ROW_BYTES
PANEL_BYTES = DEEP * ROW_BYTES

MANY_ROWS = 96
"""From this many rows of C on, copying B into a panel costs less than reading it from where it lies."""

FAR = 1536
"""Bytes. Rows of B that lie further apart are copied for few rows of C too: a page of memory holds few of them, each
page costs a translation of its address, and rows a power of two apart push each other out of the cache."""


def tile_of_width(vectors: int) -> Any:
    """The tile, `vectors` registers wide: the last columns of a matrix seldom need all of them."""
    tile_bytes = ROWS * vectors * VECTOR_BYTES

    @part_of_kernels
    def tile(
        A: Matrix, i: int, B: Vector, start: int, step: int, fresh: bool, c: Vector, C: Vector, at: int, stride: int
    ) -> None:
        """Five rows of C, one tile wide: C = c + Σ_k A[i:i+5, k]·B[k].

        B's row k begins at element start + k·step; C's rows begin at element `at`, `stride` apart. Fresh sums begin
        with c, the same for every row, others with what C holds. Where A ends, its last row is taken again; what
        comes of that is for the caller to leave out.
        """
        n = vectors * lanes(C)
        last = A.shape[0] - 1
        a0, a1, a2, a3, a4 = A[i], A[min(i + 1, last)], A[min(i + 2, last)], A[min(i + 3, last)], A[min(i + 4, last)]
        c0, c1, c2 = window(C, at, n), window(C, at + stride, n), window(C, at + 2 * stride, n)
        c3, c4 = window(C, at + 3 * stride, n), window(C, at + 4 * stride, n)
        acc = stack_array(tile_bytes, C)
        if fresh:
            for j in range(n):
                acc[j] = acc[n + j] = acc[2 * n + j] = acc[3 * n + j] = acc[4 * n + j] = c[j]
        else:
            for j in range(n):
                acc[j] = c0[j]
                acc[n + j] = c1[j]
                acc[2 * n + j] = c2[j]
                acc[3 * n + j] = c3[j]
                acc[4 * n + j] = c4[j]
        for k in range(A.shape[1]):
            b = window(B, start, n)
            x0, x1, x2, x3, x4 = a0[k], a1[k], a2[k], a3[k], a4[k]
            for j in range(n):
                y = b[j]
                acc[j] += x0 * y
                acc[n + j] += x1 * y
                acc[2 * n + j] += x2 * y
                acc[3 * n + j] += x3 * y
                acc[4 * n + j] += x4 * y
            start += step
        for j in range(n):
            c0[j] = acc[j]
        for j in range(n):
            c1[j] = acc[n + j]
        for j in range(n):
            c2[j] = acc[2 * n + j]
        for j in range(n):
            c3[j] = acc[3 * n + j]
        for j in range(n):
            c4[j] = acc[4 * n + j]

    return tile


tile_1 = tile_of_width(1)
tile_2 = tile_of_width(2)
tile_3 = tile_of_width(3) if VECTORS > 2 else tile_2
tile_4 = tile_of_width(4) if VECTORS > 2 else tile_2


@part_of_kernels
def pack(B: Matrix, k0: int, k1: int, j0: int, j1: int, n: int, panel: Vector) -> None:
    """panel[k − k0] = B[k, j0:j1], filled up with zeros to rows of n: aligned, contiguous, nothing behind its end."""
    for k in range(k0, k1):
        target = window(panel, (k - k0) * n, n)
        source = window(B, k * B.shape[1] + j0, n)
        for j in range(j1 - j0):
            target[j] = source[j]
        for j in range(j1 - j0, n):
            target[j] = panel.dtype.type(0)


@part_of_kernels
def pack_transposed(B: Matrix, k0: int, k1: int, j0: int, j1: int, n: int, panel: Vector) -> None:
    """panel[k − k0] = B[j0:j1, k], filled up with zeros to rows of n: squares in registers, the rest one by one."""
    v = lanes(panel)
    stride = B.shape[1]
    k_squares = k0 + (k1 - k0) // v * v
    j_squares = j0 + (j1 - j0) // v * v
    for k in range(k0, k_squares, v):
        for j in range(j0, j_squares, v):
            transpose_square(B, j * stride + k, stride, panel, (k - k0) * n + j - j0, n)
    for k in range(k0, k1):
        target = window(panel, (k - k0) * n, n)
        for j in range(j0 if k >= k_squares else j_squares, j1):
            target[j - j0] = B[j, k]
        for j in range(j1 - j0, n):
            target[j] = panel.dtype.type(0)


@linked
def product(A: Matrix, B: Matrix, transposed: bool, b: Vector, C: Matrix, i0: int, i1: int, j0: int, j1: int) -> None:
    """C[i0:i1, j0:j1] = A[i0:i1]·B[:, j0:j1] + b[j0:j1]; with B transposed, A[i0:i1]·B[j0:j1]ᵀ.

    A may be strided, because only single numbers of it are read. b may be empty. The terms of each sum are added in
    the order of k, whatever the tile, so where the work is cut changes no bit of the result.

    With few rows, B is read from where it lies. With many it is copied panel by panel, some rows at a time, outside the
    columns: so that many columns of A are in the L2 cache for all panels but the first.
    """
    v, depth, width = lanes(C), A.shape[1], VECTORS * lanes(C)
    by_columns = A.strides[0] == A.itemsize  # then each k is on another line of the cache
    at_a_time = DEEP if i1 - i0 >= DEEP_ROWS and not by_columns else SHALLOW
    far_apart = B.shape[1] * B.itemsize > FAR
    packed = transposed or i1 - i0 >= MANY_ROWS or (far_apart and i1 - i0 > 2 * ROWS)
    panel, scratch = stack_array(PANEL_BYTES, C), stack_array(TILE_BYTES, C)
    c = stack_array(ROW_BYTES, C)
    block = 0
    while block == 0 or block < depth:
        block_end = min(block + at_a_time, depth) if packed else depth
        for j in range(j0, j1, width):
            columns = min(width, j1 - j)
            vectors = (columns + v - 1) // v
            n = vectors * v
            ragged = n != columns
            for l in range(n):
                c[l] = b[j + l] if l < columns and b.size > 0 else C.dtype.type(0)
            k0 = block
            while k0 == block or k0 < block_end:
                directly, k1 = not packed, block_end
                if directly and ragged:
                    # A whole vector at the end of a row reads on into the next one, which does no harm where there
                    # is one; the last rows come from a copy
                    directly = k0 < depth - v
                    k1 = depth - v if directly else depth
                if transposed:
                    pack_transposed(B, k0, k1, j, j + columns, n, panel)
                elif not directly:
                    pack(B, k0, k1, j, j + columns, n, panel)
                source, start, step = (
                    (B.reshape(B.size), k0 * B.shape[1] + j, B.shape[1]) if directly else (panel, 0, n)
                )
                terms = A[:, k0:k1]
                # Where C is one panel and its sums are done in one go, a row may be written over its end: the rows
                # that begin there are written later
                over_the_end = ragged and columns == C.shape[1] and k0 == 0 and k1 == depth
                for i in range(i0, i1, ROWS):
                    whole = i + ROWS <= i1
                    if over_the_end:
                        whole = (i + ROWS - 1) * columns + n <= i1 * columns
                    elif ragged:
                        whole = False
                    target, at, stride = (
                        (C.reshape(C.size), i * C.shape[1] + j, C.shape[1]) if whole else (scratch, 0, n)
                    )
                    rows = min(ROWS, i1 - i)
                    if not whole and k0 > 0:
                        for r in range(rows):
                            copy(window(C, (i + r) * C.shape[1] + j, columns), window(scratch, r * n, columns))
                    if vectors == 1:
                        tile_1(terms, i, source, start, step, k0 == 0, c, target, at, stride)
                    elif vectors == 2:
                        tile_2(terms, i, source, start, step, k0 == 0, c, target, at, stride)
                    elif vectors == 3:
                        tile_3(terms, i, source, start, step, k0 == 0, c, target, at, stride)
                    else:
                        tile_4(terms, i, source, start, step, k0 == 0, c, target, at, stride)
                    if not whole:
                        for r in range(rows):
                            copy(window(scratch, r * n, columns), window(C, (i + r) * C.shape[1] + j, columns))
                k0 = max(k1, k0 + 1)
        block = max(block_end, 1)


@part_of_kernels
def copy(source: Vector, target: Vector) -> None:
    """A loop of known kind, where target[:] = source would check for overlap and shape first."""
    for j in range(target.size):
        target[j] = source[j]


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
