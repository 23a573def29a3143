"""The register tile where errors are likely: at edges, between tiles, and with other vector units."""

import os
import platform
import re
import subprocess
import sys

import numpy as np
import pytest

from jitnet.compiler import simd
from jitnet.compiler.cpu_caches import PAGE
from jitnet.compiler.intrinsics import VECTOR_BYTES
from jitnet.compiler.jit import OPTIONS, signature_for
from jitnet.compiler.memory import LINE, aligned
from jitnet.compiler.simd import MASKS
from jitnet.kernels import LADDERS, parts, register_tile
from jitnet.kernels.parts import (
    COPIED_ROWS,
    LEAST_OF_A,
    MOST_ROWS,
    SHORT,
    most_rows,
    transposed,
    transposing_pays,
)
from jitnet.kernels.register_tile import (
    DEPTH,
    DESCENT,
    EVICTING_L1,
    EVICTING_L2,
    EVICTING_ROWS,
    L2,
    LOW,
    NARROW_LOW,
    NARROW_ROWS,
    NARROW_TILES,
    OTHER_ROWS,
    PLAIN,
    READS_L3,
    ROW_BYTES,
    ROWS,
    SPLIT_PAGES,
    SPLIT_ROWS,
    TLB_PAGES,
    VECTORS,
    copying_pays,
    packing_pays,
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
@pytest.mark.parametrize("m", [*range(3 * ROWS + 3), OTHER_ROWS - 1, OTHER_ROWS + 1])
def test_every_edge_of_the_tile_equals_the_oracle(dtype, m):
    v = VECTOR_BYTES // np.dtype(dtype).itemsize
    around = (VECTORS * v - 1, VECTORS * v, VECTORS * v + 1, 2 * VECTORS * v + 3)
    for n in {0, 1, 2, 3, v - 1, v, v + 1, 2 * v + 1, *around}:
        for depth in (0, 1, v - 1, v, v + 1, 3 * v):
            check(m, depth, n, dtype)


def test_only_an_odd_number_of_rows_computes_one_twice(monkeypatch):
    """A property of tiles of six and four rows."""
    heights = []
    monkeypatch.setattr(register_tile, "store_rows", lambda tile, *rest: heights.append(len(tile)))
    width = ROW_BYTES // 4
    for m in range(1, 40):
        heights.clear()
        A, B, C = (np.zeros(shape, np.float32) for shape in ((m, 2), (2, width), (m, width)))
        register_tile.whole_tiles(A, B, B[:0], B[0], False, False, 0, C)
        assert sum(heights) == max(m + m % 2, LOW)


def test_first_tile_of_a_whole_panel_copies_it():
    """With masks, a panel that is not whole is read in place."""
    width = ROW_BYTES // 4
    for n, tiles in ((width, register_tile.whole_tiles), (width - 1, register_tile.masked_tiles)):
        for m in (1, 2 * ROWS):
            A, B, C = np.ones((m, 7), "f4"), np.arange(7 * n, dtype="f4").reshape(7, n), np.empty((m, n), "f4")
            copy = np.full((7, width), np.nan, np.float32)
            tiles(A, B, copy, np.zeros(n, np.float32), False, False, 0, C)
            np.testing.assert_array_equal(C[-1], B.sum(axis=0))
            if n == width or not MASKS:
                np.testing.assert_array_equal(copy[:, :n], B)
            else:
                assert np.isnan(copy).all()


@pytest.mark.skipif(not MASKS, reason="no masks, so panels are padded")
@pytest.mark.parametrize(("columns", "masked"), [(-3, 1), (0, 0)])
def test_only_the_last_row_of_a_panel_is_loaded_with_a_mask(monkeypatch, columns, masked):
    loads = []

    def counted(kind):
        def load(array, *others):
            loads.append(kind)
            return getattr(simd, kind)(array, *others)

        return load

    for kind in ("masked_load", "load_past_end"):
        monkeypatch.setattr(register_tile, kind, counted(kind))
    n = register_tile.HALF * VECTOR_BYTES // 4 + columns
    A, B, C = np.ones((NARROW_ROWS, 7), "f4"), np.ones((7, n), "f4"), np.empty((NARROW_ROWS, n), "f4")
    register_tile.tiles_of_half(A, B, B[:0], np.zeros(n, "f4"), False, False, 0, C)
    np.testing.assert_array_equal(C, 7)
    if register_tile.HALF > 1:
        assert loads == ["masked_load", *(7 - masked) * ["load_past_end"], *masked * ["masked_load"]]  # a bias; B
    else:
        assert loads == 8 * ["masked_load"]


@pytest.mark.skipif(VECTOR_BYTES == 16, reason="no fused multiply-adds, or other names of instructions")
def test_loop_of_a_narrow_tile_is_not_unrolled_and_each_row_is_prefetched_once():
    import numba

    def tiles(A, B, copy, begin, adds, descends, lr, C):
        register_tile.tiles_1(A, B, copy, begin, adds, descends, lr, C)

    compiled = numba.njit(**OPTIONS)(tiles)
    compiled.compile(signature_for(NARROW_TILES, np.dtype("float32")))
    (assembly,) = compiled.inspect_asm().values()
    assert len(re.findall(r"\tvfmadd", assembly)) == NARROW_ROWS + NARROW_LOW  # of each tile, one iteration
    assert len(re.findall(r"\tprefetch", assembly)) == NARROW_ROWS + NARROW_LOW


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [7, OTHER_ROWS + 4])
def test_seams_between_panels_along_the_sum_equal_the_oracle(dtype, m):
    for depth in (DEPTH - 1, DEPTH, DEPTH + 1, 2 * DEPTH + 17):
        for n in (1, 30, 64, 70):
            check(m, depth, n, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_with_cache_conflicts_equal_the_oracle(dtype):
    n = PAGE // np.dtype(dtype).itemsize
    depth = EVICTING_L2 // PAGE + 1
    for m in (EVICTING_ROWS - 1, EVICTING_ROWS):
        check(m, depth, n, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose_with_cache_conflicts_is_copied(dtype):
    m, n = PAGE // np.dtype(dtype).itemsize, 2 * ROW_BYTES // np.dtype(dtype).itemsize + 1
    least = (EVICTING_L2 if READS_L3 else EVICTING_L1) // PAGE + 1
    X = np.zeros((least, m), dtype)
    assert [copying_pays(A, columns) for A, columns in ((X.T, n), (X.T, n // 2 - 1), (X, n), (X[1:].T, n))] == [
        True, False, False, False,
    ]  # fmt: skip
    for rows, depth in ((m, least), (2 * m, least), (m, DEPTH + least)):  # also in two blocks, and in two panels
        check(rows, depth, n, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose_in_more_pages_than_the_tlb_holds_is_copied(dtype):
    size = np.dtype(dtype).itemsize
    apart, n = (PAGE - LINE) // size, 2 * ROW_BYTES // size
    most = TLB_PAGES * PAGE // (PAGE - LINE)
    assert [copying_pays(np.zeros((rows, apart), dtype).T, n) for rows in (most, most + 1)] == [False, not READS_L3]
    assert not copying_pays(np.zeros((TLB_PAGES, 3 * PAGE // size + LINE // size), dtype).T, n)  # a page for each row
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
    samples, n_in, n_out = DEPTH + 77, OTHER_ROWS * 3 // 2, 2 * ROW_BYTES // 4 + 6  # three panels: threads share rows
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
    """The positions of B's rows in cache lines and in the L2 cache decide, and the rows of C."""

    def B(depth, n, offset=0):
        return aligned(depth * n + offset, np.float32)[offset:].reshape(depth, n)

    page, deep = PAGE // 4, EVICTING_L2 // PAGE + 1
    crowded, half, roomy, split = B(deep, page), B(deep // 2 + 1, page), B(deep, page + LINE // 4), B(64, page + 1)
    in_pages = SPLIT_PAGES
    assert [packing_pays(crowded, rows) for rows in (EVICTING_ROWS - 1, EVICTING_ROWS)] == [False, True]
    assert [packing_pays(split, rows) for rows in (OTHER_ROWS - 1, OTHER_ROWS)] == [False, True]
    assert [packing_pays(B(depth, page + 1), SPLIT_ROWS) for depth in (in_pages, in_pages + 1)] == [READS_L3, True]
    assert not packing_pays(B(in_pages + 1, page + 1), SPLIT_ROWS - 1)
    assert packing_pays(B(64, page, offset=1), OTHER_ROWS)  # rows are a multiple of a line apart, but unaligned
    assert [packing_pays(half, rows) for rows in (OTHER_ROWS - 1, OTHER_ROWS)] == [False, True]
    assert not packing_pays(roomy, 10 * OTHER_ROWS)


def test_parts_have_few_rows_where_that_saves_time(monkeypatch):
    """Where A is copied, or writing C takes most of the time; not if B has left L2 before it is read again."""
    monkeypatch.setattr(parts, "RELOADS_A", False)

    def most(depth, n, m, transpose_A=False, transpose_B=False):
        A = np.empty((depth, m), np.float32).T if transpose_A else np.empty((m, depth), np.float32)
        B = np.empty((n, depth), np.float32).T if transpose_B else np.empty((depth, n), np.float32)
        return most_rows(A, B, np.empty((m, n), np.float32))

    many = L2 // 4096 + 1  # that many rows of a page take up more than the L2 cache
    in_tlb = TLB_PAGES * PAGE // 4096
    assert [most(depth, 1024, many) for depth in (SHORT, SHORT + 1)] == [in_tlb, MOST_ROWS]
    assert most(1, 2048, many) == in_tlb  # a row of two pages, of which a panel writes to one
    assert [most(SHORT, 1024, m) for m in (many // 2, many)] == [MOST_ROWS, in_tlb]
    assert [most(depth, 1024, many, transpose_B=True) for depth in (SHORT // 2, SHORT)] == [in_tlb, MOST_ROWS]
    copied = EVICTING_L2 // 4096 + 1  # columns of A that evict each other
    most_of_B = L2 // 2 // (4 * copied)
    assert [most(copied, n, 1024, transpose_A=True) for n in (most_of_B, most_of_B + 1)] == [COPIED_ROWS, MOST_ROWS]
    assert most(copied, most_of_B, 1024) == MOST_ROWS
    assert most(8, 0, 0) == MOST_ROWS
    monkeypatch.setattr(parts, "RELOADS_A", True)
    monkeypatch.setattr(parts, "L2", 1 << 20)
    assert [most(depth, 1024, 1024) for depth in (100, 256, 1024, 2000)] == [MOST_ROWS, 512, 128, MOST_ROWS]
    assert [most(1024, n, 512, transpose_A=True) for n in (64, 1024, 1025)] == [128, 128, MOST_ROWS]
    monkeypatch.setattr(parts, "L2", 1 << 18)
    assert most(1024, 128, 1024) == MOST_ROWS  # 32 rows


@pytest.mark.parametrize(
    ("threads", "most", "panels", "shape"),
    [(1, 100, 4, (100, 4)), (2, 100, 4, (100, 2)), (2, 98, 4, (50, 4)), (2, 100, 3, (50, 3)), (2, 100, 3.75, (100, 2)),
        (2, 100, 3.5, (50, 3.5)), (3, 100, 3, (100, 1)), (2, 30, 4, (26, 4))],
)  # fmt: skip
def test_threads_share_panels_if_a_part_can_have_all_rows(threads, most, panels, shape):
    """Also only if each thread gets as many of them, and C fills nearly all; otherwise they share rows."""
    width = VECTORS * VECTOR_BYTES // 4
    rows, columns = parts.divided(np.empty((100, int(panels * width)), np.float32), threads, most)
    assert (rows, columns / width) == shape


@pytest.mark.parametrize("n_out", [1, 10, VECTOR_BYTES // 4 + 3])
def test_a_narrow_descent_gives_the_same_bits_in_parts(n_out):
    """All rows of W together are computed as their transpose, and four rows are not."""
    rng = np.random.default_rng(0)
    depth, n_in = 6 * n_out + 20, 512
    X, delta = (rng.standard_normal((depth, n)).astype(np.float32) for n in (n_in, n_out))
    start = rng.standard_normal((n_in, n_out)).astype(np.float32)
    whole, parts_of_W = start.copy(), start.copy()
    rest = np.float32(0.1), np.float32(0.01)
    LADDERS["descend"]["fused"](X, delta, *rest, whole, np.zeros(n_out, np.float32))
    for k in range(0, n_in, 4):
        part = np.ascontiguousarray(X[:, k : k + 4])
        LADDERS["descend"]["fused"](part, delta, *rest, parts_of_W[k : k + 4], np.zeros(n_out, np.float32))
    np.testing.assert_array_equal(whole, parts_of_W)


def test_narrow_products_of_a_transpose_are_computed_as_their_transpose(monkeypatch):
    """If lanes would be empty, or a large A would be read line by line; not if the sums are short, or C is small."""

    def pays(m, depth, n, is_transpose=True):
        A = np.ones((depth, m), np.float32).T if is_transpose else np.ones((m, depth), np.float32)
        return transposing_pays(A, np.empty((m, n), np.float32))

    v = VECTOR_BYTES // 4
    full, most, depth = 4 * v, 3 * v // 4, 6 * v * 3 // 4
    high = LEAST_OF_A // depth + 1
    assert [pays(high, depth, n) for n in (1, most, most + 1)] == [True, True, False]
    assert [pays(high, depth + less, most) for less in (0, -1)] == [True, False]
    assert not pays(high, depth, most, is_transpose=False)
    assert not pays((LEAST_OF_A - 1) // depth, depth, 1)
    assert [pays(m, LEAST_OF_A, 1) for m in (v - 1, v)] == [False, True]
    assert not pays(high, 6 * v, v)
    monkeypatch.setattr(parts, "MOST_OF_L2", high * 6 * v * 4)
    assert pays(high, 6 * v, v)
    monkeypatch.setattr(parts, "MOST_OF_L2", high * 12 * full * 4)
    wide = 2 * VECTORS * v
    assert [pays(high, 12 * full, n) for n in (wide - 2, wide)] == [True, False]


@pytest.mark.parametrize(("variant", "expected"), [(PLAIN, 20), (DESCENT, 1 - 3 * 20)])
def test_a_transposed_product_is_plain_or_a_descent(variant, expected):
    A, B, C = np.ones((10, 50), np.float32).T, np.full((10, 3), 2, np.float32), np.ones((50, 3), np.float32)
    assert transposed(A, B, C, variant, np.float32(3))
    np.testing.assert_array_equal(C, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_work_divided_between_threads_equals_the_oracle(dtype):
    large = (MOST_ROWS + 7, 140, 150), (COPIED_ROWS + 7, 140, 300), (L2 // 1200 + 7, 5, 300)
    narrow = (300, 100, 1), (301, 97, 10), (131, 300, 35), (L2 // 4000, 1100, 40)
    for m, depth, n in ((131, 97, 130), (400, 300, 10), (64, 784, 128), *large, *narrow):
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
    wanted = f"not float64 and (edge or seams or twins or heap or square or narrow or divided or {tiles})"
    files = (__file__.replace("tile", name) for name in ("tile", "simd", "kernels"))
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-k", wanted, *files],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:]
    assert "passed" in result.stdout
