"""The tile for a few columns, at its edges and at the limits from which it is used."""

import numpy as np
import pytest
from test_tile import check

from jitnet.compiler.intrinsics import VECTOR_BYTES
from jitnet.kernels import LADDERS, few_columns
from jitnet.kernels.few_columns import FEW, HEIGHT, LEAST_TERMS, STACK_BYTES, few_columns_pay
from jitnet.kernels.register_tile import DEPTH, OTHER_ROWS, VECTORS

ROWS = HEIGHT * VECTOR_BYTES // 4
IN_THE_STACK = STACK_BYTES // (4 * FEW)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "depth",
    [3, 4, 5, LEAST_TERMS - 1, LEAST_TERMS, 17, 18, 19, IN_THE_STACK - 5, IN_THE_STACK, 4 * IN_THE_STACK, DEPTH + 1],
)
def test_few_columns_equal_the_oracle(n, depth):
    """In each layout of the factors, where it is used and where it is not: with the same bits."""
    for m in (1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS - 1, 2 * ROWS, 3 * ROWS + 5):
        check(m, depth, n, "float32")


def test_few_columns_of_larger_matrices_equal_numpy():
    """Of integers, whose sums are exact in any order; around C, nothing is written. Rows of A can be longer."""
    rng = np.random.default_rng(0)
    for m, depth, n in ((ROWS, 16, 1), (ROWS + 3, 21, 3), (3 * ROWS - 1, 30, 4)):
        A = rng.integers(-9, 9, (m, depth + 3)).astype("f4")[:, 2 : 2 + depth]
        B = rng.integers(-9, 9, (2 * depth, n + 5)).astype("f4")[::2, 1 : 1 + n]
        longer = np.hstack([A, np.full((m, 9), np.nan, "f4")])
        begin = rng.integers(-9, 9, n).astype("f4")
        for left in (A, longer):
            whole = np.full((m + 2, n + 2), 42, "f4")
            assert few_columns.few_columns(left, B, begin, whole[1:-1, 1:-1])
            np.testing.assert_array_equal(whole[1:-1, 1:-1], A @ B + begin)
            whole[1:-1, 1:-1] = 42
            assert (whole == 42).all()


@pytest.mark.parametrize("vectors", range(1, 2 * VECTORS))
@pytest.mark.parametrize("few", [1, 2, 4, 5])
def test_columns_beyond_whole_vectors_equal_the_oracle(vectors, few):
    for m, depth in ((ROWS - 1, 20), (ROWS, 20), (2 * ROWS + 3, 17), (ROWS, DEPTH + 1), (OTHER_ROWS, 16)):
        check(m, depth, vectors * VECTOR_BYTES // 4 + few, "float32")


def test_infinities_and_nan_stay_in_their_rows_and_columns():
    """Terms 14 and 15 are not part of the last step, which computes with 14 to 17, and not as 0·∞ either."""
    A, B, C = np.ones((ROWS + 7, 18), "f4"), np.ones((18, 3), "f4"), np.empty((ROWS + 7, 3), "f4")
    A[2, 15], A[ROWS + 1, 0], B[16, 1] = np.inf, np.nan, -np.inf
    LADDERS["matmul"]["packed"](A, B, C)
    with np.errstate(invalid="ignore"):  # inf − inf
        np.testing.assert_array_equal(C, A @ B)


@pytest.mark.parametrize(("n", "depth"), [(1, 4 * IN_THE_STACK + 1), (2, IN_THE_STACK + 1)])
def test_without_memory_nothing_is_written(n, depth, monkeypatch):
    monkeypatch.setattr(few_columns, "heap_array", lambda size, like: like[:0, 0] if size else like[0])
    A, B, C = np.ones((ROWS, depth), "f4"), np.ones((depth, n), "f4"), np.zeros((ROWS, n), "f4")
    assert few_columns_pay(A, B, C)
    assert not few_columns.few_columns(A, B, B[0], C)
    assert not C.any()


def test_the_tile_is_used_where_it_is_faster():
    def used(m=ROWS, depth=LEAST_TERMS, n=FEW, dtype="f4"):
        return few_columns_pay(*(np.empty(shape, dtype) for shape in ((m, depth), (depth, n), (m, n))))

    assert used()
    assert [used(depth=depth, n=1) for depth in (3, 4, LEAST_TERMS)] == [False, True, True]
    assert not used(n=0)
    assert not used(n=FEW + 1)
    assert not used(m=ROWS - 1)
    assert not used(depth=LEAST_TERMS - 1)
    assert not used(dtype="f8")
    transpose, B, C = (np.empty(shape, "f4") for shape in ((LEAST_TERMS, ROWS), (LEAST_TERMS, 1), (ROWS, 1)))
    assert not few_columns_pay(transpose.T, B, C)
