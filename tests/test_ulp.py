"""e^x, sigmoid, tanh and softmax of the top rungs have errors of at most two units in the last place."""

import numpy as np
import pytest
from cases import in_dtypes

from jitnet.kernels import LADDERS

EXACT = {
    "exp": np.exp,
    "sigmoid": lambda z: np.where(z >= 0, 1, np.exp(-np.abs(z))) / (1 + np.exp(-np.abs(z))),
    "tanh": np.tanh,
}
RUNGS = ["polynomial", "polynomial_parallel"]


def error_in_ulp(got, exact, dtype):
    spacing = np.spacing(np.maximum(np.abs(exact).astype(dtype), np.finfo(dtype).smallest_subnormal))
    return np.abs(got.astype(exact.dtype) - exact) / spacing.astype(exact.dtype)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("operation", EXACT)
def test_float32_functions_are_within_two_ulp_over_all_bit_patterns(operation, rung):
    """Every 4001st of the 2³² bit patterns: all exponents, both signs, subnormal numbers, infinities and NaNs."""
    Z = np.arange(0, 2**32, 4001, dtype=np.uint64).astype(np.uint32).view(np.float32).reshape(1, -1)
    A = np.empty_like(Z)
    LADDERS[operation][rung](Z, A)
    with np.errstate(all="ignore"):
        exact = EXACT[operation](Z.astype(np.float64))
        rounded = exact.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(A), np.isnan(Z))
    np.testing.assert_array_equal(np.isinf(A), np.isinf(rounded))
    finite = np.isfinite(rounded)
    assert error_in_ulp(A[finite], exact[finite], np.float32).max() <= 2


@pytest.mark.parametrize("operation", EXACT)
@pytest.mark.parametrize("reach", [1e-310, 1e-5, 0.1, 1, 3, 25, 700])
def test_float64_functions_are_within_two_ulp(operation, reach):
    if np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("this machine has no type with more precision than float64")
    Z = np.linspace(-reach, reach, 200_001).reshape(1, -1)
    A = np.empty_like(Z)
    LADDERS[operation]["polynomial"](Z, A)
    assert error_in_ulp(A, EXACT[operation](Z.astype(np.longdouble)), np.float64).max() <= 2


@pytest.mark.parametrize("operation", [*EXACT, "softmax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [15, 17, 100, 1100])
def test_a_result_in_place_of_the_input_has_the_same_bits(n, dtype, operation):
    """The compiler makes a separate loop for this case, in which no operation may be rounded differently."""
    Z = (30 * np.random.default_rng(n).standard_normal((400_000 // n, n))).astype(dtype)
    A = np.empty_like(Z)
    LADDERS[operation]["polynomial"](Z, A)
    LADDERS[operation]["polynomial"](Z, Z)
    np.testing.assert_array_equal(Z, A)


@pytest.mark.parametrize("operation", EXACT)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_signs_and_extreme_values_are_exact(operation, dtype):
    Z = np.array([[0.0, -0.0, np.inf, -np.inf, np.nan, 1e-320, -1e-320]], dtype)
    A = np.empty_like(Z)
    LADDERS[operation]["polynomial"](Z, A)
    with np.errstate(all="ignore"):
        expected = EXACT[operation](Z.astype(np.float64)).astype(dtype)
    np.testing.assert_array_equal(A, expected)
    np.testing.assert_array_equal(np.signbit(A[0, :4]), np.signbit(expected[0, :4]))


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("n", [1, 2, 10, 16, 17, 100, 512, 513, 1000])
def test_softmax_is_within_two_ulp(n, rung):
    softmax_is_within_two_ulp(LADDERS["softmax"][rung], n, np.float32, np.float64)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 10, 100, 256, 257])
def test_float64_softmax_is_within_two_ulp(n):
    if np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("this machine has no type with more precision than float64")
    softmax_is_within_two_ulp(LADDERS["softmax"]["polynomial"], n, np.float64, np.longdouble)


def softmax_is_within_two_ulp(softmax, n, dtype, precise):
    rng = np.random.default_rng(n)
    for scale in (0.1, 2, 30):
        Z = (scale * rng.standard_normal((300, n))).astype(dtype)
        A = np.empty_like(Z)
        softmax(Z, A)
        e = np.exp(Z.astype(precise) - Z.max(axis=1, keepdims=True).astype(precise))
        assert error_in_ulp(A, e / e.sum(axis=1, keepdims=True), dtype).max() <= 2


@pytest.mark.parametrize(("rung", "dtype"), in_dtypes("softmax"))
@pytest.mark.parametrize("n", [3, 200])
def test_softmax_of_huge_numbers_selects_the_largest(n, rung, dtype):
    """The differences are so large that their rounding errors are large numbers too."""
    sizes = np.geomspace(1e8, np.finfo(dtype).max / 4, 50).astype(dtype)
    Z = np.linspace(-1, 0.3, n).astype(dtype) * sizes.reshape(-1, 1)
    Z[25:] *= -1
    expected = (Z.max(axis=1, keepdims=True) == Z).astype(dtype)
    A = np.full_like(Z, np.nan)
    LADDERS["softmax"][rung](Z.copy(), A)
    np.testing.assert_array_equal(A, expected)
