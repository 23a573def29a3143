"""Every rung of every operation equals the float64 oracle, in both dtypes and on unusual shapes."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import in_dtypes, marks_of, release, slow

from jitnet import backend
from jitnet.kernels import LADDERS, SIGNATURES
from jitnet.kernels.activations import ACTIVATIONS, CODES
from jitnet.lab import oracle

RUNGS = [(operation, rung) for operation, ladder in LADDERS.items() for rung in ladder]

EACH = [pytest.param(*rung, dtype, marks=marks_of(*rung, dtype)) for rung in RUNGS for dtype in ("float32", "float64")]


@pytest.mark.parametrize(("operation", "rung", "dtype"), EACH)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns if n_out is 0
def test_rung_equals_the_formula(operation, rung, dtype):
    kernel = LADDERS[operation][rung]
    for shape in oracle.ugly_shapes(operation):
        case = oracle.case(operation, shape, dtype)
        assert kernel(*case.arguments) is None
        case.check()


def test_every_operation_has_the_common_rungs():
    assert set(SIGNATURES) == set(LADDERS)
    for operation, ladder in LADDERS.items():
        assert {"python", "njit", "parallel", "numpy"} <= set(ladder), operation
        assert ladder["njit"].py_func is ladder["parallel"].py_func is ladder["python"]
        for rung, kernel in ladder.items():
            assert kernel.__doc__ or rung == "numpy", (operation, rung)


@pytest.mark.parametrize("operation", ["matmul", "matmul_tn", "matmul_nt", "layer", "delta", "gradients", "descend"])
def test_products_and_formulas_have_the_same_ladder(operation):
    """They have the same rungs in the same order."""
    ladder = LADDERS[operation]
    climbing = ["unrolled", "reordered", "blocked", "tiled", "packed", *([] if "matmul" in operation else ["fused"])]
    both = [name for rung in climbing for name in (rung, f"{rung}_parallel")]
    assert list(ladder) == ["python", "njit", "parallel", *both, "numpy"], "add a rung to all seven products, and here"


def test_the_last_rung_of_every_ladder_is_the_one_that_training_uses():
    """If a slower rung is better, as for reasons of accuracy, name it here with the reason."""
    fast = backend.get("fast")
    for operation, ladder in LADDERS.items():
        best = next(rung for rung in reversed(ladder) if not rung.endswith(("numpy", "parallel")))
        assert fast.kernels[operation] is ladder[best], f"Fast.rungs in backend/cpu.py lacks {best!r} of {operation}"


def test_docstring_of_every_rung_states_its_idea_and_what_it_saves():
    for operation, ladder in LADDERS.items():
        for name, kernel in ladder.items():
            if name not in ("python", "njit", "parallel", "numpy") and not name.endswith("_parallel"):
                idea = " ".join(kernel.__doc__.split())
                assert idea.startswith("Like the rung above, but "), (operation, name)
                assert "; saves " in idea, (operation, name)


def rungs_of(operation):
    return [
        pytest.param(kernel, id=rung, marks=marks_of(operation, rung, "float32"))
        for rung, kernel in LADDERS[operation].items()
    ]


EXTREMES = [1e4, -1e4, 88.8, -88.8, 104.0, -104.0, 3.4e38, -3.4e38, 1e-45, -0.0, 0.0, 745.2, -745.2]


@pytest.mark.parametrize("kernel", rungs_of("sigmoid"))
def test_sigmoid_at_the_edges(kernel):
    Z = np.array([[*EXTREMES, np.inf, -np.inf, np.nan]], np.float32)
    A = np.empty_like(Z)
    kernel(Z, A)
    assert np.isnan(A[0, -1])
    assert not np.isnan(A[0, :-1]).any()
    assert (A[0, :2] == [1, 0]).all()
    assert (A[0, -3:-1] == [1, 0]).all()
    assert A[0, 9] == A[0, 10] == 0.5
    with np.errstate(over="ignore"):
        expected = oracle.sigmoid(Z[0, :-3].astype(np.float64))
    np.testing.assert_allclose(A[0, :-3], expected, rtol=1e-6, atol=1e-45)


@pytest.mark.parametrize("kernel", rungs_of("tanh"))
def test_tanh_at_the_edges(kernel):
    Z = np.array([[*EXTREMES, np.inf, -np.inf, np.nan]], np.float32)
    A = np.empty_like(Z)
    kernel(Z, A)
    assert np.isnan(A[0, -1])
    np.testing.assert_allclose(A[0, :-1], np.tanh(Z[0, :-1].astype(np.float64)), rtol=1e-6, atol=1e-45)


@pytest.mark.parametrize("kernel", rungs_of("relu"))
def test_relu_at_the_edges(kernel):
    Z = np.array([[*EXTREMES, np.inf, -np.inf, np.nan]], np.float32)
    A = np.empty_like(Z)
    kernel(Z, A)
    assert np.isnan(A[0, -1])
    np.testing.assert_array_equal(A[0, :-1], np.maximum(Z[0, :-1], 0))


@pytest.mark.parametrize(("rung", "dtype"), in_dtypes("relu_derivative"))
def test_derivative_of_relu_is_exactly_0(rung, dtype):
    """No −0, no NaN from 0·∞, and for a > 0 the number is unchanged, at every position in a SIMD vector."""
    given = np.resize(np.array([-1, 1, np.inf, -np.inf, -0.0, 3.4e38], dtype), (7, 41))
    for in_place in (False, True):
        for A in (np.zeros_like(given), np.ones_like(given), (np.arange(given.size) % 5 % 2).reshape(7, 41) * 1.0):
            A, dA = A.astype(dtype), given.copy()
            delta = dA if in_place else np.full_like(dA, np.nan)
            LADDERS["relu_derivative"][rung](A, dA, delta)
            expected = np.where(A > 0, given, np.zeros(1, dtype))
            assert delta.tobytes() == expected.tobytes()


@pytest.mark.parametrize(("rung", "dtype"), in_dtypes("delta"))
def test_delta_through_relu_is_exactly_0(rung, dtype):
    m, n, n_next = 11, 41, 3
    A = np.resize(np.array([0, 0, 2, 0, 1], dtype), (m, n))
    delta_next, W_next = -np.ones((m, n_next), dtype), np.ones((n, n_next), dtype)
    W_next[::3, 0] = np.inf
    delta = np.full((m, n), np.nan, dtype)
    LADDERS["delta"][rung](delta_next, W_next, A, CODES["relu"], delta)
    expected = np.where(A > 0, np.where(np.arange(n) % 3 == 0, -np.inf, -n_next), 0).astype(dtype)
    assert delta.tobytes() == expected.tobytes()


@pytest.mark.parametrize("operation", ["half_squared_error", "mse", "huber", "hinge"])
def test_delta_of_a_loss_through_relu_is_exactly_0(operation):
    A, Y = np.array([[0, 0, 2]], np.float32), np.array([[1, np.inf, 0.5]], np.float32)
    for rung, kernel in LADDERS[operation].items():
        delta, losses = np.full_like(A, np.nan), np.empty(1, np.float32)
        kernel(A, Y, np.float32(1), CODES["relu"], delta, losses)
        assert delta[0, :2].tobytes() == bytes(8), rung


@pytest.mark.parametrize("kernel", rungs_of("layer"))
def test_relu_of_minus_infinity_is_0(kernel):
    X, W, A = np.full((7, 1), -np.inf, np.float32), np.ones((1, 41), np.float32), np.full((7, 41), np.nan, np.float32)
    kernel(X, W, np.zeros(41, np.float32), CODES["relu"], A)
    assert A.tobytes() == bytes(A.nbytes)


@pytest.mark.parametrize("kernel", rungs_of("softmax"))
def test_softmax_at_the_edges(kernel):
    Z = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [3e38, 3e38, -3e38], [1e4, 9999, 0]], np.float32)
    A = np.empty_like(Z)
    with np.errstate(over="ignore"):  # −3e38 − 3e38 is −inf, and its exponential is 0
        kernel(Z, A)
    e = math.exp(-1)
    expected = [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0], [1 / (1 + e), e / (1 + e), 0]]
    np.testing.assert_allclose(A, expected, rtol=1e-6)


@pytest.mark.parametrize("kernel", rungs_of("cross_entropy"))
def test_cross_entropy_at_the_edges(kernel):
    """If softmax rounds a probability to 0, the loss is still finite and accurate."""
    Z = np.array([[1e4, -1e4], [1e4, -1e4], [-1e4, -1e4]], np.float32)
    Y = np.array([[0, 1], [1, 0], [1, 0]], np.float32)
    A, delta, losses = np.empty_like(Z), np.empty_like(Z), np.full(3, np.nan, np.float32)
    LADDERS["softmax"]["njit"](Z, A)
    kernel(Z, A, Y, np.float32(1), delta, losses)
    np.testing.assert_allclose(losses, [2e4, 0, math.log(2)], rtol=1e-6)


@pytest.mark.parametrize("kernel", rungs_of("binary_cross_entropy"))
def test_binary_cross_entropy_at_the_edges(kernel):
    Z = np.array([[1e4], [1e4], [-1e4], [-1e4], [0], [-60]], np.float32)
    Y = np.array([[0], [1], [0], [1], [1], [0]], np.float32)
    A, delta, losses = np.empty_like(Z), np.empty_like(Z), np.full(6, np.nan, np.float32)
    LADDERS["sigmoid"]["njit"](Z, A)
    kernel(Z, A, Y, np.float32(1), delta, losses)
    np.testing.assert_allclose(losses, [1e4, 0, 0, 1e4, math.log(2), math.exp(-60)], rtol=1e-6)


@pytest.mark.parametrize("operation", [name for name in LADDERS if name.endswith("_derivative")])
def test_derivative_can_overwrite_its_input(operation):
    for kernel in LADDERS[operation].values():
        apart = oracle.case(operation, (5, 3, 7), "float32")
        kernel(*apart.arguments)
        A, dA, _ = oracle.case(operation, (5, 3, 7), "float32").arguments
        kernel(A, dA, dA)
        np.testing.assert_array_equal(dA, apart.arguments[2])


def in_float32(operations):
    return [
        pytest.param(operation, rung, marks=marks_of(operation, rung, "float32"))
        for operation in operations for rung in LADDERS[operation]
    ]  # fmt: skip


@pytest.mark.parametrize(("operation", "rung"), in_float32(ACTIVATIONS))
def test_kernels_write_only_their_output(operation, rung):
    """The output is inside a larger array, between guard elements."""
    memory = np.full((9, 7), 42.0, np.float32)
    Z = np.random.default_rng(0).standard_normal((3, 7)).astype(np.float32)
    LADDERS[operation][rung](Z, memory[3:6])
    assert (memory[:3] == 42).all()
    assert (memory[6:] == 42).all()


@pytest.mark.parametrize(("operation", "rung"), in_float32(("matmul", "matmul_tn", "matmul_nt")))
def test_products_write_only_their_output(operation, rung):
    case = oracle.case(operation, (5, 7, 6), "float32")
    before = [argument.copy() for argument in case.arguments[:-1]]
    output = case.arguments[-1]
    memory = np.full((len(output) + 8, output.shape[1]), 42.0, np.float32)
    case.arguments[-1] = memory[4:-4]
    LADDERS[operation][rung](*case.arguments)
    case.check()
    assert (memory[:4] == 42).all()
    assert (memory[-4:] == 42).all()
    for argument, copy in zip(case.arguments[:-1], before, strict=True):
        np.testing.assert_array_equal(argument, copy)


def test_oracle_finds_errors():
    """A wrong sign, a missing row and a NaN must each fail the check."""
    for spoil in (lambda Z: np.negative(Z, out=Z), lambda Z: Z[-1].fill(0), lambda Z: Z[0].fill(np.nan)):
        case = oracle.case("matmul", (4, 5, 6), "float32")
        LADDERS["matmul"]["njit"](*case.arguments)
        case.check()
        spoil(case.arguments[-1])
        with pytest.raises(AssertionError, match="wrong, first at"):
            case.check()


@pytest.mark.skipif(os.name != "posix", reason="only POSIX systems have mprotect")
@pytest.mark.parametrize("options", [slow("float32"), release("float32 --twins"), release("float64 --twins")])
def test_kernels_access_only_their_arrays(options):
    """Protected pages before the first byte of each array, or after the last, also detect reads.

    In a normal run, test_interpreted.py checks every index of the same loops.
    """
    command = [sys.executable, Path(__file__).with_name("guard_pages.py"), *options.split()]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout.endswith("\nwhole\n"), result.stdout[-200:] + result.stderr[-2000:]
