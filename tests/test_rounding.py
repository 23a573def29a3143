"""Error bounds that a NumPy formula computes for its own result, and the oracle that uses the baselines' bounds."""

import numpy as np
import pytest

from jitnet.kernels import LADDERS
from jitnet.lab import oracle
from jitnet.lab.rounding import CARRIED, Rounded

EPS = float(np.finfo(np.float32).eps)

FORMULAS = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: (x + 1000) - (y + 1000),  # adding 1000 loses digits
    "multiply": lambda x, y: (x - y) * (x + y),
    "divide": lambda x, y: (x - y) / (abs(y) if isinstance(y, np.ndarray) else Rounded(abs(y.value), EPS)),
    "power": lambda x, y: (x - y) ** 2,
    "negative": lambda x, y: -(x + y),
    "sqrt": lambda x, y: np.sqrt((x * x + y * y) - x * x),
    "exp": lambda x, y: np.exp(x - y),
    "maximum": lambda x, y: np.maximum(x * y, x + y),
    "sum": lambda x, y: (x * y)[:, :5].sum(axis=1, keepdims=True) - x[:2, :2].sum(),
    "where": lambda x, y: np.where(x < y, x * y, y) + 1,
    "mean": lambda x, y: x - x[:, :5].sum(axis=1, keepdims=True) / 5,
}


def draw(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return [(scale * rng.standard_normal((50, 40))).astype(np.float32) for _ in range(2)]


@pytest.mark.parametrize("name", FORMULAS)
def test_rounding_errors_are_within_the_bound_and_close_to_it(name):
    largest = 0.0
    for seed in range(20):
        x, y = draw(seed, 10.0 ** (seed % 3 - 1))
        with np.errstate(invalid="ignore"):
            got = FORMULAS[name](x, y)
        found = FORMULAS[name](Rounded(x, EPS), Rounded(y, EPS))
        assert got.dtype == np.float32
        error = np.abs(got - found.value)
        known = np.isfinite(got)  # the difference of squares can round below 0
        assert (error <= found.error)[known].all()
        largest = max(largest, np.max(error[known] / found.error[known]))
    assert largest > 0.02


def test_every_operation_is_tested():
    assert {ufunc.__name__ for ufunc in CARRIED} <= {*FORMULAS}


def test_parts_of_an_array_have_bounds():
    x = Rounded(np.arange(6.0).reshape(2, 3), EPS)
    assert (x.shape, x.size, x.error.max()) == ((2, 3), 6, 0)
    x[:, 0] = x.sum(axis=1)
    assert x.value.tolist() == [[3, 1, 2], [12, 4, 5]]
    np.testing.assert_allclose(x.error, [[9 * EPS, 0, 0], [36 * EPS, 0, 0]])
    assert (x < 3).tolist() == [[False, True, True], [False, False, False]]


def test_functions_without_a_rule_are_an_error():
    with pytest.raises(TypeError):
        np.arctan(Rounded(np.ones(3), EPS))
    with pytest.raises(TypeError):
        np.concatenate([Rounded(np.ones(3), EPS)])


@pytest.mark.parametrize("operation", ["dropout", "layer_norm", "layer_norm_back", "layer_norm_gradients"])
def test_error_of_a_few_roundings_is_found(operation):
    """The bounds of the baseline are not wider than those of a sum."""
    for shape in ((7, 13, 11), (5, 257, 65)):
        case = oracle.case(operation, shape, "float32")
        LADDERS[operation]["python"](*case.arguments)
        case.check()
        for output, bound in zip(case.outputs, case.bounds, strict=True):
            assert np.median(bound) < 20 * sum(shape) * EPS
            place = np.unravel_index(np.argmax(bound), bound.shape)
            right, output[place] = output[place], output[place] + 2.5 * bound[place]
            assert "1 of" in case.error()
            output[place] = np.nan
            assert "1 of" in case.error()
            output[place] = right


def test_docstring_defines_shapes_and_outputs():
    shapes, written = oracle.described(LADDERS["layer_norm"]["python"])
    assert shapes["X"] == shapes["A"] == ["m", "n"]
    assert (shapes["gamma"], shapes["kept"], written) == (["n"], ["m", "2"], ["kept", "A"])
    assert oracle.described(LADDERS["layer_norm_gradients"]["python"])[1] == ["dgamma", "dbeta"]
    assert oracle.described(LADDERS["dropout"]["python"])[0]["clock"] == ["2"]

    def without(X, A):
        """No table."""

    with pytest.raises(ValueError, match=r"the docstring of without needs its outputs.*Writes    Z"):
        oracle.described(without)
