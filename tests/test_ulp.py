"""e^x, sigmoid, tanh, softmax and Adam's quotient in the top rungs: errors of at most two units in the last place."""

import numpy as np
import pytest
from cases import in_dtypes

from jitnet.compiler.intrinsics import quotient, wide
from jitnet.compiler.jit import compiled
from jitnet.compiler.memory import aligned
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


def quotients(a, b, c):
    wide(c)
    for i in range(c.size):
        c[i] = quotient(a[i], b[i])


@pytest.mark.parametrize(("dtype", "most"), [("float32", 2), ("float64", 0.5)])
def test_a_quotient_is_within_two_ulp_wherever_it_is_normal(dtype, most):
    rng, kind = np.random.default_rng(0), np.finfo(dtype)
    reach = np.log(float(kind.max))
    a = (np.exp(rng.uniform(-reach, reach, 300_001)) * rng.choice([-1, 1], 300_001)).astype(dtype)
    b = np.exp(rng.uniform(1.5 - reach, reach - 2.5, 300_001)).astype(dtype)
    b[:2], a[:2] = 2.0 ** (kind.maxexp - 3), 1e30
    c = np.empty_like(a)
    compiled(quotients)(a, b, c)
    exact = a.astype(np.longdouble) / b
    is_normal = (np.abs(exact) > kind.tiny) & (np.abs(exact) < kind.max / 2) & (np.abs(a) > kind.tiny / kind.eps)
    assert is_normal.sum() > 100_000
    if np.finfo(np.longdouble).nmant > kind.nmant:
        assert error_in_ulp(c[is_normal], exact[is_normal], dtype).max() <= most


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_quotient_of_no_finite_numbers_has_the_kind_of_an_exact_one(dtype):
    a, b = np.array([[1, np.inf], [-2, np.inf], [np.nan, 3], [3, np.nan], [np.inf, np.inf], [0, 5]], dtype).T.copy()
    c = np.empty_like(a)
    compiled(quotients)(a, b, c)
    np.testing.assert_array_less(np.abs(c[:2]), 8 * np.finfo(dtype).tiny)  # exactly 0, or next to it
    assert np.isnan(c[2:5]).all()
    assert c[5] == 0


@pytest.mark.parametrize("n", [1, 2, 15, 17, 33, 8191, 8193, 60_011])
def test_adam_has_the_same_bits_with_several_threads_in_a_vector_of_any_length(n):
    """Training has only whole SIMD vectors. The compiler treats the rest of others differently in a parallel loop."""
    numbers = [np.float32(x) for x in (0.01, 0.9, 0.999, 0.1, 0.001, 1e-8, 0.02, 0.19, 0.002)]
    one = np.random.default_rng(n).uniform(0.1, 1, (4, n)).astype(np.float32)
    several = one.copy()
    for rung, vectors in (("wide", one), ("wide_parallel", several)):
        LADDERS["adam"][rung](vectors[0], *numbers, *vectors[1:])
    np.testing.assert_array_equal(one, several)


@pytest.mark.parametrize("n", [16, 48, 8192, 8208, 8192 + 64])
def test_adam_has_the_same_bits_for_the_same_numbers_anywhere_in_a_vector(n):
    """Vectors of parameters fill whole cache lines, so all of their numbers are in whole SIMD vectors."""
    numbers = [np.float32(x) for x in (0.01, 0.9, 0.999, 0.1, 0.001, 1e-8, 0.02, 0.19, 0.002)]
    for grad, mean, square, theta in np.random.default_rng(n).uniform(0.1, 1, (20, 4)).astype(np.float32):
        vectors = [aligned(n, np.dtype(np.float32)) for _ in range(4)]
        for vector, value in zip(vectors, (grad, mean, square, theta), strict=True):
            vector[...] = value
        LADDERS["adam"]["wide"](vectors[0], *numbers, *vectors[1:])
        for vector in vectors:
            np.testing.assert_array_equal(vector, vector[0])


@pytest.mark.parametrize("rung", ["njit", "wide", "wide_parallel"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_with_extreme_numbers_moves_no_parameter_that_has_no_gradient(dtype, rung):
    """A subnormal epsilon; and a gradient whose square overflows, after which the exact step is 0."""
    rates = [0.01, 0.9, 0.999, 0.1, 0.001, np.finfo(dtype).smallest_subnormal, 0.0, 0.19, 0.002]
    numbers = [np.dtype(dtype).type(x) for x in rates]
    grad, mean, square, theta = (np.zeros(33, dtype) for _ in range(4))
    grad[:17], theta[...] = np.sqrt(np.finfo(dtype).max) * 1000, 1
    LADDERS["adam"][rung](grad, *numbers, mean, square, theta)
    np.testing.assert_array_equal(theta, 1)
    assert np.isinf(square[:17]).all()
    assert not square[17:].any()
