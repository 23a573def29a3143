"""The register tile where errors are likely: at edges, between tiles, and with other vector units."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from jitnet.compiler.caches import PAGE
from jitnet.compiler.intrinsics import VECTOR_BYTES, give_back, heap_array, lanes, stack_array, submatrix, window
from jitnet.compiler.memory import LINE, aligned
from jitnet.compiler.simd import (
    broadcast,
    load,
    masked_load,
    masked_store,
    prefetch,
    store,
    transpose_part,
    transpose_square,
)
from jitnet.kernels import LADDERS
from jitnet.kernels.register_tile import (
    DEPTH,
    EVICTING_ROWS,
    L2,
    MANY_ROWS,
    MOST_ROWS,
    ROW_BYTES,
    ROWS,
    SPLIT_ROWS,
    TLB_PAGES,
    VECTORS,
    packing_pays,
    turning_pays,
)

DTYPES = ["float32", pytest.param("float64", marks=pytest.mark.slow)]  # a second dtype doubles the compile time


def products(A, B):
    """The same product by the tiles of all three ladders; outputs are NaN at first, between guard elements."""
    m, n = A.shape[0], B.shape[1]
    turned = np.ascontiguousarray
    for operation, left, right in (("matmul", A, B), ("matmul_tn", turned(A.T), B), ("matmul_nt", A, turned(B.T))):
        for rung in ("packed", "packed_parallel"):
            memory = np.full((m + 2) * n + 64, 42, A.dtype)
            C = memory[n : (m + 1) * n].reshape(m, n)
            C.fill(np.nan)
            LADDERS[operation][rung](left, right, C)
            assert (memory[:n] == 42).all(), operation
            assert (memory[(m + 1) * n :] == 42).all(), operation
            yield operation, rung, C


def check(m, depth, n, dtype):
    rng = np.random.default_rng((m, depth, n))
    A, B = rng.standard_normal((m, depth)).astype(dtype), rng.standard_normal((depth, n)).astype(dtype)
    exact = A.astype("f8") @ B.astype("f8")
    bound = 16 * np.finfo(dtype).eps * (np.abs(A.astype("f8")) @ np.abs(B.astype("f8")))
    first = None
    for operation, rung, C in products(A, B):
        assert (np.abs(C - exact) <= bound).all(), (operation, rung, m, depth, n)
        first = C if first is None else first
        np.testing.assert_array_equal(C, first, err_msg=f"{operation} {rung}: other bits")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [0, 1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS, SPLIT_ROWS - 1, SPLIT_ROWS + 1])
def test_every_edge_of_the_tile_equals_the_oracle(dtype, m):
    v = VECTOR_BYTES // np.dtype(dtype).itemsize
    around = (VECTORS * v - 1, VECTORS * v, VECTORS * v + 1, 2 * VECTORS * v + 3)
    for n in {0, 1, 2, 3, v - 1, v, v + 1, 2 * v + 1, *around}:
        for depth in (0, 1, v - 1, v, v + 1, 3 * v):
            check(m, depth, n, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [7, SPLIT_ROWS + 4])
def test_seams_between_panels_along_the_sum_equal_the_oracle(dtype, m):
    for depth in (DEPTH - 1, DEPTH, DEPTH + 1, 2 * DEPTH + 17):
        for n in (1, 30, 64, 70):
            check(m, depth, n, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_with_cache_conflicts_equal_the_oracle(dtype):
    n = PAGE // np.dtype(dtype).itemsize
    depth = L2 * 9 // 16 // PAGE + 1
    for m in (EVICTING_ROWS - 1, EVICTING_ROWS):
        check(m, depth, n, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose_with_cache_conflicts_is_copied(dtype):
    m, n = PAGE // np.dtype(dtype).itemsize, 2 * ROW_BYTES // np.dtype(dtype).itemsize + 1
    X = np.zeros((9, m), dtype)
    assert [turning_pays(A, columns) for A, columns in ((X.T, n), (X.T, n // 2 - 1), (X, n), (X[:1].T, n))] == [
        True, False, False, False,
    ]  # fmt: skip
    for rows, depth in ((m, 9), (2 * m, 9), (m, DEPTH + 9)):  # also in two blocks, and in two panels
        check(rows, depth, n, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose_in_more_pages_than_the_tlb_holds_is_copied(dtype):
    size = np.dtype(dtype).itemsize
    apart, n = (PAGE - LINE) // size, 2 * ROW_BYTES // size
    most = TLB_PAGES * PAGE // (PAGE - LINE)
    assert [turning_pays(np.zeros((rows, apart), dtype).T, n) for rows in (most, most + 1)] == [False, True]
    assert not turning_pays(np.zeros((TLB_PAGES, 3 * PAGE // size + LINE // size), dtype).T, n)  # a page for each row
    check(apart, most + 1, n, dtype)


def test_descent_from_a_copied_transpose_equals_numpy():
    rng = np.random.default_rng(1)
    X, delta = rng.standard_normal((9, PAGE // 4)), rng.standard_normal((9, 130))
    for rung in ("fused", "fused_parallel"):
        W, b = np.ones((PAGE // 4, 130), np.float32), np.zeros(130, np.float32)
        LADDERS["descend"][rung](X.astype("f4"), delta.astype("f4"), np.float32(0.1), np.float32(0), W, b)
        np.testing.assert_allclose(W, 1 - 0.1 * X.T @ delta, atol=1e-5)


def test_descent_gives_the_same_bits_for_one_and_two_threads():
    """One thread packs delta; two threads, with half of the rows each, read it in place."""
    rng = np.random.default_rng(0)
    samples, n_in, n_out = DEPTH + 77, SPLIT_ROWS * 3 // 2, 30
    X, delta = (rng.standard_normal((samples, n)).astype(np.float32) for n in (n_in, n_out))
    start = rng.standard_normal((n_in, n_out)).astype(np.float32)
    found = []
    for rung in ("fused", "fused_parallel"):
        W, b = start.copy(), np.zeros(n_out, np.float32)
        LADDERS["descend"][rung](X, delta, np.float32(0.01), np.float32(0), W, b)
        found.append(W)
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[0], start - 0.01 * (X.astype("f8").T @ delta), atol=1e-4)


def test_packing_is_used_where_it_pays():
    """For the same number of columns, the rows' positions in the L2 cache decide whether B is copied."""

    def B(depth, n, offset=0):
        return aligned(depth * n + offset, np.float32)[offset:].reshape(depth, n)

    few, width, v = EVICTING_ROWS, ROW_BYTES // 4, VECTOR_BYTES // 4
    page, deep = PAGE // 4, L2 * 9 // 16 // PAGE + 1
    crowded, roomy, split = B(deep, page), B(deep, page + v), B(64, page + 1)
    assert [packing_pays(crowded, rows, width) for rows in (few - 1, few)] == [False, True]
    assert [packing_pays(roomy, rows, width) for rows in (few, MANY_ROWS - 1, MANY_ROWS)] == [False, False, True]
    assert [packing_pays(split, rows, width) for rows in (SPLIT_ROWS - 1, SPLIT_ROWS)] == [False, True]
    assert packing_pays(B(64, page, offset=1), SPLIT_ROWS, width)  # rows are a multiple of a line apart, but unaligned
    assert not packing_pays(split, 10 * MANY_ROWS, v)  # one vector: the tile waits for sums, not for loads
    assert not packing_pays(B(64, width), 10 * MANY_ROWS, width)  # B is a panel


@pytest.mark.parametrize("dtype", DTYPES)
def test_work_divided_between_threads_equals_the_oracle(dtype):
    for m, depth, n in ((131, 97, 130), (400, 300, 10), (64, 784, 128), (MOST_ROWS + 7, 140, 150)):
        check(m, depth, n, dtype)


def test_nan_and_infinity_affect_only_their_row_and_column():
    A, B = np.ones((6, 20), np.float32), np.ones((20, 70), np.float32)
    A[2, 3], B[7, 66], A[4, 0] = np.nan, np.nan, np.inf
    for _, _, C in products(A, B):
        assert np.isnan(C[2]).all()
        assert np.isnan(C[:, 66]).all()
        rest = np.delete(np.delete(C, 2, axis=0), 66, axis=1)
        np.testing.assert_array_equal(rest[3], np.inf)
        np.testing.assert_array_equal(np.delete(rest, 3, axis=0), 20)


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
        give_back(memory)

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


AVX2 = "+avx2,+fma,+avx,+sse4.2,+bmi,+bmi2,+popcnt"


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="needs x86-64")
@pytest.mark.release
@pytest.mark.parametrize("features", [AVX2, "+sse4.2,+popcnt"])
def test_tests_pass_on_other_vector_units(features):
    """Runs the float32 tests in a process that is limited to AVX2 or SSE."""
    if "avx2" in features and VECTOR_BYTES < 32:
        pytest.skip("this machine has no AVX2")
    environment = {
        **os.environ, "NUMBA_CPU_NAME": "haswell" if "avx2" in features else "nehalem",
        "NUMBA_CPU_FEATURES": features,
    }  # fmt: skip
    if os.environ.get("NUMBA_CPU_FEATURES"):
        pytest.skip("this process is already limited")
    tiles = "equals and not parallel and (tiled or packed or fused or polynomial)"  # parallel rungs call the same tile
    wanted = f"not float64 and (edge or seams or twins or heap or square or {tiles})"
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-k", wanted, __file__, __file__.replace("tile", "kernels")],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:]
    assert "passed" in result.stdout


def test_training_step_allocates_no_memory():
    """After a hundred steps neither Numba's runtime nor Python holds more memory than before."""
    import itertools
    import tracemalloc

    from numba.core.runtime import _nrt_python, rtsys

    import jitnet
    from jitnet import backend, losses
    from jitnet.step import Step, needed

    layers = jitnet.Dense(70, 33, "relu"), jitnet.Dense(33, 20, "tanh", bias=False), jitnet.Dense(20, 10, "softmax")
    net = jitnet.Network(*layers, seed=0)
    run, loss, optimizer = backend.get("fast"), losses.get(None, "softmax"), jitnet.Adam()
    run.prepare(needed(net, run, 37, loss, optimizer), net.dtype)
    step = Step(net, run, 37, loss, optimizer)
    step.work.X[...], step.work.Y[...] = 0.5, 0.1
    memory = optimizer.start(net.theta)
    step(1, memory)
    held, most = [], []
    for _ in range(3):  # other threads of this process may allocate, but not in all three runs
        _nrt_python.memsys_enable_stats()
        numba_before = rtsys.get_allocation_stats()
        tracemalloc.start()
        step(2, memory)
        before = tracemalloc.get_traced_memory()[0]
        for t in itertools.islice(itertools.count(3), 100):
            step(t, memory)
        after, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        numba_after = rtsys.get_allocation_stats()
        _nrt_python.memsys_disable_stats()
        assert numba_after.alloc == numba_before.alloc
        held.append(after - before)
        most.append(peak - before)
    assert min(held) < 200  # small objects of the interpreter, such as the last float
    assert min(most) < 4096


def test_aligned_memory_has_the_alignment_of_the_tile():
    assert aligned((3, 5), "float32").ctypes.data % 64 == 0
    for most in (2**62, 10**400):
        with pytest.raises(MemoryError):
            aligned((most, 2), "float32")
