"""How a product is divided: parts of C, each of which one thread computes with the register tile."""

from ..compiler.cpu_caches import PAGE
from ..compiler.intrinsics import IS_AMD, free_array, heap_array, lanes, matrix_in, submatrix, window
from ..compiler.jit import part_of_kernels
from ..compiler.types import Matrix, Vector
from .register_tile import (
    DEPTH,
    DESCENT,
    L2,
    PLAIN,
    TLB_PAGES,
    VECTORS,
    WITH_BIAS,
    copying_pays,
    in_whole_vectors,
    is_transpose,
    product,
)

MOST_ROWS = 1024
"""Rows of C in one part. A panel's depth of that many rows of A stays in L2, or at least in L3, for all panels but the
first."""

COPIED_ROWS = 256
"""The same if A is a transpose that is copied: the copy of these rows stays in L2 for all panels, if a sum has no more
than a few hundred terms."""

RELOADS_A = VECTORS == 2 and not IS_AMD
"""Whether panels of C are so narrow that loading A from L3 again for each of them takes much of the time. AMD cores
load from L3 faster."""

LEAST_ROWS = 64
"""Fewer rows are not worth reading B again, to keep A in the L2 cache."""

SHORT = 64
"""Terms of a sum up to which writing a C that does not fit into L2 takes most of the time."""

LEAST_OF_A = 2048
"""Numbers of A from which a product may be computed as its transpose."""

MOST_OF_L2 = L2 * 3 // 4
"""Bytes of a matrix that leave too little of the L2 cache for the others: its lines will have left the cache before
they are used again."""

Part = tuple[int, int, int, int]
"""Rows i0:i1 and columns j0:j1 of C."""


@part_of_kernels
def product_of_part(A: Matrix, B: Matrix, C: Matrix, part: Part, variant: int, b: Vector, lr: float) -> None:
    """`product` for a part of C: the rows i0:i1 of A times the columns j0:j1 of B."""
    i0, i1, j0, j1 = part
    rows, columns = submatrix(A, i0, i1, 0, A.shape[1]), submatrix(B, 0, B.shape[0], j0, j1)
    target = submatrix(C, i0, i1, j0, j1)
    # In the forward pass, which adds a bias, A is no transpose.
    if variant == WITH_BIAS or not (transposing_pays(rows, target) and transposed(rows, columns, target, variant, lr)):
        product(rows, columns, target, variant, window(b, j0, j1 - j0) if b.size > 0 else b, lr)


@part_of_kernels
def transposing_pays(A: Matrix, C: Matrix) -> bool:
    """Whether C = A·B is computed faster as Cᵀ = Bᵀ·Aᵀ.

    Rows of Aᵀ must be contiguous, and the sums long enough to be worth allocating Cᵀ, and copying it number by number.
    It is faster if rows of C would leave a quarter of the lanes empty. It is also faster if A fills the L2 cache
    and C is too narrow for a copy of A: tiles read six numbers of each line of A, and panels of Aᵀ all of them.
    """
    (m, n), depth = C.shape, A.shape[1]
    if A.strides[0] != A.itemsize or m < lanes(C) or m * depth < LEAST_OF_A or depth < 6 * n:
        return False
    if 4 * n <= 3 * in_whole_vectors(n, C):
        return True
    return bool(n < 2 * VECTORS * lanes(C) and A.size * A.itemsize >= MOST_OF_L2)


@part_of_kernels
def transposed(A: Matrix, B: Matrix, C: Matrix, variant: int, lr: float) -> bool:
    """`product` as Cᵀ = Bᵀ·Aᵀ; False if there is no memory for Cᵀ."""
    m, n = C.shape
    memory = heap_array(m * n * C.itemsize, C)
    has_memory = memory.size > 0
    if has_memory:
        Ct = matrix_in(memory, n, m)
        product(B.T, A.T, Ct, PLAIN, window(memory, 0, 0), lr)
        for i in range(m):
            for j in range(n):
                C[i, j] = C[i, j] - lr * Ct[j, i] if variant == DESCENT else Ct[j, i]
    free_array(memory)
    return has_memory


@part_of_kernels
def plain_part(A: Matrix, B: Matrix, C: Matrix, part: Part) -> None:
    """A part of C = A·B."""
    product_of_part(A, B, C, part, PLAIN, window(C, 0, 0), C.dtype.type(0))


@part_of_kernels
def most_rows(A: Matrix, B: Matrix, C: Matrix) -> int:
    """Rows of C in one part, at most. Each part reads B again, which pays if B is small, or if it saves more.

    If panels are narrow, the part of A that they read stays in half of the L2 cache. If writing C takes most of the
    time, a panel writes to no more pages than the first TLB holds.
    """
    most = MOST_ROWS
    if RELOADS_A and B.size * B.itemsize <= 4 * L2:
        fitting = int(L2 // 2 // (max(1, min(DEPTH, A.shape[1])) * A.itemsize))
        most = min(fitting, MOST_ROWS) if fitting >= LEAST_ROWS else MOST_ROWS
    if B.size * B.itemsize > L2 // 2:
        return most
    if copying_pays(A, C.shape[1]):
        return min(most, COPIED_ROWS)
    is_short = A.shape[1] <= (SHORT // 2 if is_transpose(B) else SHORT)  # transposing B takes time, too
    if is_short and C.size * C.itemsize > MOST_OF_L2:
        return min(most, int(TLB_PAGES * PAGE // min(C.shape[1] * C.itemsize, PAGE)))
    return most


@part_of_kernels
def shape_of_a_part(A: Matrix, B: Matrix, C: Matrix, threads: int) -> tuple[int, int]:
    """The rows and columns of C = A·B in a part."""
    shape: tuple[int, int] = divided(C, threads, most_rows(A, B, C))
    return shape


@part_of_kernels
def divided(C: Matrix, threads: int, most: int) -> tuple[int, int]:
    """The rows and columns of C in a part of at most `most` rows, or one more if that is odd. One thread takes all
    columns. Several threads share the panels if a part can have all rows, the number of panels is a multiple of the
    threads and C fills at least 90 % of them; otherwise they share the rows. Many rows are divided into parts of about
    the same size."""
    m, n = int(C.shape[0]), int(C.shape[1])
    width = VECTORS * lanes(C)
    panels = (n + width - 1) // width
    share, columns = m, n
    if threads > 1 and m <= most and panels % threads == 0 and 10 * n >= 9 * panels * width:
        columns = panels // threads * width
    elif threads > 1:
        share = (m + threads - 1) // threads
    pieces = (share + most - 1) // most
    rows = (share + pieces - 1) // max(pieces, 1)
    return max(rows + rows % 2, 1), max(columns, 1)  # an odd number of rows computes one twice


@part_of_kernels
def number_of_parts(C: Matrix, shape: tuple[int, int]) -> int:
    rows, columns = shape
    return max(1, (int(C.shape[0]) + rows - 1) // rows) * ((int(C.shape[1]) + columns - 1) // columns)


@part_of_kernels
def part_of(C: Matrix, shape: tuple[int, int], t: int) -> Part:
    """Rows i0:i1 and columns j0:j1 of the t-th part: downwards first, so that neighbors share columns."""
    m, n = C.shape
    rows, columns = shape
    down = max(1, (m + rows - 1) // rows)
    i0, j0 = t % down * rows, t // down * columns
    return i0, min(i0 + rows, m), j0, min(j0 + columns, n)
