"""SIMD vectors, matrices cut out of others, and memory on the stack and the heap: as compiled, and as plain Python."""

import numpy as np
import pytest

from jitnet.compiler.intrinsics import VECTOR_BYTES, free_array, heap_array, lanes, stack_array, submatrix, window
from jitnet.compiler.memory import aligned
from jitnet.compiler.simd import (
    broadcast,
    first,
    larger,
    load,
    masked_load,
    masked_store,
    prefetch,
    store,
    swapped,
)
from jitnet.compiler.simd_rows import load_rows, prefetch_rows, rank_1_update, repeated, store_rows
from jitnet.compiler.simd_transpose import TERMS_BYTES, rank_n_update, transpose_part, transpose_square

DTYPES = ["float32", pytest.param("float64", marks=pytest.mark.slow)]  # a second dtype doubles the compile time


@pytest.mark.parametrize("dtype", DTYPES)
def test_helpers_equal_their_twins_in_python(dtype):
    """A compiled helper has the same result as the interpreted one."""
    import numba

    from jitnet.compiler.jit import OPTIONS

    def body(source, target):
        n = lanes(source)
        scratch = stack_array(256, source)
        for j in range(n):
            scratch[j] = window(source, 3, n)[j]
        transpose_square(source, 1, 4, target)
        for j in range(n):
            window(target, 40 * 33, n)[j] = scratch[j]
        target[0, 0] = n

    source = np.arange(40 * 40, dtype=dtype).reshape(40, 40)
    ours, theirs = np.zeros((60, 33), dtype), np.zeros((60, 33), dtype)
    body(source, ours)
    numba.njit(**OPTIONS)(body)(source, theirs)
    np.testing.assert_array_equal(ours, theirs)
    n = int(ours[0, 0])
    np.testing.assert_array_equal(ours[4 : 4 + n, 1 : 1 + n], source[1 : 1 + n, 4 : 4 + n].T)


def test_submatrix_equals_a_slice():
    """Of a contiguous matrix and of a transpose, compiled and interpreted."""
    import numba

    from jitnet.compiler.jit import OPTIONS

    def body(source, target, i0, i1, j0, j1):
        part = submatrix(source, i0, i1, j0, j1)
        for i in range(part.shape[0]):
            for j in range(part.shape[1]):
                target[i, j] = part[i, j]

    compiled = numba.njit(**OPTIONS)(body)
    for source in (np.arange(35.0).reshape(5, 7), np.arange(35.0).reshape(7, 5).T):
        for i0, i1, j0, j1 in ((0, 5, 0, 7), (1, 4, 2, 3), (2, 2, 0, 7), (5, 5, 7, 7)):
            for run in (body, compiled):
                target = np.full((5, 7), -1.0)
                run(source, target, i0, i1, j0, j1)
                np.testing.assert_array_equal(target[: i1 - i0, : j1 - j0], source[i0:i1, j0:j1])
                assert (target >= 0).sum() == (i1 - i0) * (j1 - j0)
        for outside in ((-1, 2, 0, 7), (0, 6, 0, 7), (3, 2, 0, 7), (0, 5, -1, 7), (0, 5, 0, 8), (0, 5, 4, 3)):
            with pytest.raises(IndexError, match=r"of a matrix of \(5, 7\)"):
                submatrix(source, *outside)


@pytest.mark.parametrize("dtype", DTYPES)
def test_heap_memory_has_the_requested_size_and_is_freed(dtype):
    """Compiled and interpreted."""
    import numba
    from numba.core.runtime import _nrt_python, rtsys

    from jitnet.compiler.jit import OPTIONS

    def body(source, target, size):
        memory = heap_array(size, source)
        for j in range(memory.size):
            memory[j] = source[j]
        for j in range(memory.size):
            target[j] = memory[j]
        free_array(memory)

    compiled = numba.njit(**OPTIONS)(body)
    source = np.arange(1, 1025, dtype=dtype)
    for size in (0, 8, 64, 72, 4096):
        ours, theirs = np.zeros_like(source), np.zeros_like(source)
        body(source, ours, size)
        compiled(source, theirs, size)
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(ours, np.where(np.arange(1024) < size // source.itemsize, source, 0))
    _nrt_python.memsys_enable_stats()
    before = rtsys.get_allocation_stats()
    for _ in range(3):
        compiled(source, theirs, 4096)
        compiled(source, theirs, 0)
    after = rtsys.get_allocation_stats()
    _nrt_python.memsys_disable_stats()
    assert (after.alloc - before.alloc, after.free - before.free) == (3, 3)


def test_stack_memory_has_the_requested_size():
    import numba

    from jitnet.compiler.jit import OPTIONS

    def body(like):
        return stack_array(96, like).size

    compiled = numba.njit(**OPTIONS)(body)
    for dtype in ("float32", "float64"):
        like = np.empty(1, dtype)
        assert body(like) == compiled(like) == 96 // like.itemsize


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vectors", [1, 2, 3, 4])
def test_simd_vectors_equal_their_twins_in_python(vectors, dtype):
    """All operations of SIMD vectors, compiled and interpreted, with counts below 0 and above the number of lanes."""
    import numba

    from jitnet.compiler.jit import OPTIONS

    def body(source, target, count):
        n = vectors * lanes(source)
        x, two = source[5], source.dtype.type(2)
        a, part = load(source, 3, vectors), masked_load(source, 7, vectors, count)
        prefetch(source, 0, vectors)
        store(a * part - x * a, target, 1)
        store(broadcast(x, source, vectors) + two, target, n + 2)
        masked_store(part * two + a, target, 2 * n + 3, count)
        masked_store(two - a, target, 3 * n + 4, count)

    n = vectors * VECTOR_BYTES // np.dtype(dtype).itemsize
    source = np.random.default_rng(vectors).integers(-9, 9, 2 * n + 16).astype(dtype)
    compiled = numba.njit(**OPTIONS)(body)
    for count in (-1, 0, 1, n // 2, n - 1, n, n + 1, 2**31 + 1):
        ours, theirs = np.full(5 * n + 8, 42, dtype), np.full(5 * n + 8, 42, dtype)
        body(source, ours, count)
        compiled(source, theirs, count)
        np.testing.assert_array_equal(ours, theirs)
        a, part = source[3 : 3 + n], np.where(np.arange(n) < count, source[7 : 7 + n], 0)
        np.testing.assert_array_equal(ours[1 : n + 1], a * part - source[5] * a)
        kept = max(0, min(count, n))
        np.testing.assert_array_equal(ours[2 * n + 3 :][:kept], (part * 2 + a)[:kept])
        assert (ours[2 * n + 3 + kept : 3 * n + 4] == 42).all()
        assert (ours[3 * n + 4 + kept :] == 42).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vectors", [1, 2])
def test_larger_numbers_keep_the_first_where_the_second_is_nan(vectors, dtype):
    import numba

    from jitnet.compiler.jit import OPTIONS

    def body(source, target):
        n = vectors * lanes(source)
        store(larger(load(source, 0, vectors), load(source, n, vectors)), target, 0)

    n = vectors * VECTOR_BYTES // np.dtype(dtype).itemsize
    a, b = np.random.default_rng(0).standard_normal((2, n)).astype(dtype)
    a[0] = b[1] = np.nan
    expected = np.maximum(a, b)
    expected[1] = a[1]
    for function in (body, numba.njit(**OPTIONS)(body)):
        target = np.zeros(n, dtype)
        function(np.concatenate([a, b]), target)
        np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_exchanged_lanes_add_up_to_the_sum_of_all(dtype):
    import numba

    from jitnet.compiler.jit import OPTIONS

    def body(source, target):
        total, size = load(source, 0, 1), lanes(source)
        store(swapped(total, 1), target, 0)
        if size > 2:
            store(swapped(total, 2), target, size)
            total = total + swapped(total, 2)
        if size > 4:
            store(swapped(load(source, 0, 1), 4), target, 2 * size)
            total = total + swapped(total, 4)
        if size > 8:
            store(swapped(load(source, 0, 1), 8), target, 3 * size)
            total = total + swapped(total, 8)
        return first(total + swapped(total, 1))

    n = VECTOR_BYTES // np.dtype(dtype).itemsize
    source = np.arange(1, n + 1).astype(dtype)
    for function in (body, numba.njit(**OPTIONS)(body)):
        target = np.zeros(4 * n, dtype)
        assert function(source, target) == n * (n + 1) / 2
        for row, k in enumerate(k for k in (1, 2, 4, 8) if k < n):
            np.testing.assert_array_equal(target[row * n :][:n], [(l ^ k) + 1 for l in range(n)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "vectors"), [(1, 1), (4, 2), (6, 4), (10, 1)])
def test_blocks_of_rows_equal_numpy(rows, vectors, dtype):
    """All operations, compiled and interpreted, from the top to beyond the bottom edge, with a transposed factor."""
    import numba

    from jitnet.compiler.jit import OPTIONS

    def body(A, M, source, target, i, k, count):
        simd = load(source, 1, vectors)
        prefetch_rows(M, i, rows, vectors)
        block = load_rows(M, i, rows, vectors, count) - repeated(simd, rows)
        store_rows(rank_1_update(block, A, i, k, simd), target, i, count)

    compiled = numba.njit(**OPTIONS)(body)
    m, n = 13, vectors * VECTOR_BYTES // np.dtype(dtype).itemsize
    rng = np.random.default_rng(rows)
    A, M, source = (rng.integers(-9, 9, shape).astype(dtype) for shape in ((m, 5), (m, n), n + 2))
    for left in (A, np.asfortranarray(A)):
        for i in (0, 2, m - rows, m - 1):
            for count in (0, 1, n - 1, n):
                ours, theirs = np.full((m + 1, n + 1), 42, dtype), np.full((m + 1, n + 1), 42, dtype)
                body(left, M, source, ours[:m], i, 3, count)
                compiled(left, M, source, theirs[:m], i, 3, count)
                expected = np.full((m + 1, n + 1), 42, dtype)
                its = slice(i, min(i + rows, m))
                expected[its, :count] = (M[its] - source[1:-1] + np.outer(A[its, 3], source[1:-1]))[:, :count]
                np.testing.assert_array_equal(ours, expected)
                np.testing.assert_array_equal(theirs, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vectors", [1, 2])
def test_several_outer_products_are_added_in_order(vectors, dtype):
    """The first ones can be left out. With 2⁴⁰ in one term, another order of the sums would have other bits."""
    import numba

    from jitnet.compiler.jit import OPTIONS

    def body(A, M, target, i, k, begin):
        block = rank_n_update(load_rows(target, 0, 3, vectors, target.shape[1]), M, A, i, k, begin)
        store_rows(block, target, 0, target.shape[1])

    compiled = numba.njit(**OPTIONS)(body)
    lanes, terms = VECTOR_BYTES // np.dtype(dtype).itemsize, TERMS_BYTES // np.dtype(dtype).itemsize
    rng = np.random.default_rng(0)
    A = rng.integers(-9, 9, (2 + vectors * lanes, 9)).astype(dtype)[:, 1:]
    A[:, 2] = 2.0**40
    B = rng.integers(-9, 9, (8, 3)).astype(dtype)
    for M in (B.T, np.ascontiguousarray(B.T)):
        for i, k in ((0, 0), (2, 1), (1, 8 - terms)):
            for begin in range(terms):
                ours, theirs, expected = (np.ones((3, vectors * lanes), dtype) for _ in range(3))
                body(A, M, ours, i, k, begin)
                compiled(A, M, theirs, i, k, begin)
                for t in range(k + begin, k + terms):
                    expected += np.outer(M[:, t], A[i : i + vectors * lanes, t])
                np.testing.assert_array_equal(ours, expected)
                np.testing.assert_array_equal(theirs, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_part_of_a_square_is_transposed(dtype):
    """For any number of rows and columns, compiled and interpreted; the rest is zeros, and nothing else is written."""
    import numba

    from jitnet.compiler.jit import OPTIONS

    def body(source, target, rows, columns):
        transpose_part(source[:rows, :columns], 2, 1, target)

    compiled = numba.njit(**OPTIONS)(body)
    v = VECTOR_BYTES // np.dtype(dtype).itemsize
    source = np.random.default_rng(0).standard_normal((23, 21)).astype(dtype)
    for rows in (2, 3, 2 + v // 2, v + 1, v + 2, v + 5):
        for columns in (1, 2, 1 + v // 2, v, v + 1, v + 4):
            ours, theirs = np.full((21, 25), 42, dtype), np.full((21, 25), 42, dtype)
            body(source, ours, rows, columns)
            compiled(source, theirs, rows, columns)
            np.testing.assert_array_equal(ours, theirs)
            expected = np.full((21, 25), 42, dtype)
            r, c = min(rows, 2 + v), min(columns, 1 + v)
            expected[1:c, 2 : 2 + v] = 0
            expected[1:c, 2:r] = source[2:r, 1:c].T
            np.testing.assert_array_equal(ours, expected)


def test_aligned_memory_has_the_alignment_of_the_tile():
    assert aligned((3, 5), "float32").ctypes.data % 64 == 0
    for most in (2**62, 10**400):
        with pytest.raises(MemoryError):
            aligned((most, 2), "float32")
