"""A user's activations and losses train like jitnet's own: on every backend, with compiled code and the cache."""

import math
import os
import subprocess
import sys
import textwrap

import numba
import numpy as np
import pytest
from cases import slow
from custom_functions import trained
from runs import IN_FLOAT64

import jitnet
from jitnet import Dense, Network, calculus
from jitnet.compiler import scalar
from jitnet.compiler.registry import LADDERS
from jitnet.kernels.activations import ACTIVATIONS
from jitnet.kernels.losses import LOSSES


@pytest.mark.parametrize("backend", [name for name in IN_FLOAT64 if name != "python"])
def test_every_backend_trains_with_custom_functions(registered, backend):
    np.testing.assert_allclose(trained(*registered, backend)[3], trained(*registered, "python")[3], rtol=1e-12)


@pytest.mark.parametrize("backend", ["fast", slow("parallel")])
def test_custom_functions_train_in_float32(registered, backend):
    by_name = trained("my_swish", "log_cosh", backend, "float32")[3]
    np.testing.assert_allclose(by_name, trained(*registered, "python")[3], rtol=1e-5)


def test_gradients_equal_finite_differences(registered):
    net, X, Y, _ = trained(*registered, "numpy")
    for backend in ("numpy", "fast"):
        _, grads = net.gradients(X, Y, loss="log_cosh", backend=backend)
        for layer, grad in zip(net.layers, grads, strict=True):
            expected = calculus.numerical_gradient(
                lambda _: net.evaluate(X, Y, loss="log_cosh", backend="numpy")["loss"], layer.W
            )
            np.testing.assert_allclose(grad.dW, expected, rtol=1e-7, atol=1e-9)


def test_later_definition_replaces_the_first(registered):
    before = trained("my_swish", "mse", "fast")[3]

    @jitnet.activation
    def my_swish(z):
        return 0.5 * z

    @my_swish.derivative
    def _(z):
        return 0.5

    after = trained(my_swish, "mse", "fast")[3]
    assert after != before
    np.testing.assert_allclose(after, trained(my_swish, "mse", "python")[3], rtol=1e-12)


def test_saved_model_names_the_custom_activation(registered, tmp_path):
    net, X, _, _ = trained(*registered, "numpy")
    net.save(tmp_path / "net.npz")
    np.testing.assert_array_equal(jitnet.load(tmp_path / "net.npz").forward(X), net.forward(X))
    needs = "net.npz needs the loss 'log_cosh', which is not one of jitnet's: first import the Python file that defines"
    LOSSES.pop("log_cosh")
    with pytest.raises(jitnet.Error, match=needs):
        jitnet.load(tmp_path / "net.npz")
    ACTIVATIONS.pop("my_swish")
    needs = needs.replace("loss 'log_cosh'", "activation 'my_swish'")
    with pytest.raises(jitnet.Error, match=rf"{needs} it with @jitnet\.activation, or update jitnet if"):
        jitnet.load(tmp_path / "net.npz")


def test_predict_says_that_a_model_with_a_custom_function_is_used_in_python(registered, run, tmp_path):
    """Its name is no typo, so no other one is suggested."""
    trained(*registered, "numpy")[0].save(tmp_path / "net.npz")
    ACTIVATIONS.pop("my_swish")
    said = run("predict", "net.npz", "new.csv", status=2).err
    assert said.startswith(
        "jitnet: net.npz needs the activation 'my_swish', which is not one of jitnet's: first import "
    )
    assert said.endswith("; jitnet predict imports no file, so load it in Python: jitnet.load('net.npz')\n")
    assert "did you mean" not in said


C, LAST = (0.5, 2.0, -0.25), 2


def polynomial(z):
    """Integers of every kind: an index, a loop variable, a number in arithmetic, and one that is all of these."""
    total = 0
    k = 0
    for i in range(1, LAST + 1):
        total = total + C[i - 1] * z**i
    while k < LAST:
        k += 1
    return 2 * total + C[k] * z + 2 * z


def polynomial_derivative(z):
    total = 2 * C[0] + C[LAST] + 2
    for i in range(1, 2):
        total += 4 * i * C[1] * z
    return total


def test_integers_can_index_and_count(restored_registries):
    jitnet.activation(polynomial).derivative(polynomial_derivative)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        net = Network(Dense(3, 2, polynomial.__name__), seed=0, dtype=dtype)
        X, Y = np.array([[0.5, -1.0, 2.0], [1.0, 0.25, -0.5]]), np.ones((2, 2))
        results = [net.gradients(X, Y, backend=backend)[1][0].dW for backend in ("python", "numpy", "njit", "fast")]
        expected = np.vectorize(polynomial)(X @ net.layers[0].W.astype(np.float64))
        for backend, dW in zip(("python", "numpy", "njit", "fast"), results, strict=True):
            np.testing.assert_allclose(net.forward(X, backend=backend), expected, rtol=tolerance, err_msg=backend)
            np.testing.assert_allclose(dW, results[0], rtol=tolerance, err_msg=backend)


def test_an_index_can_depend_on_a_condition(restored_registries):
    """Both integers of `i if condition else j` are indices; numbers in comparisons and conditions are floats."""

    def leaky(z):
        return C[0 if z < 0 else 1] * z

    def shifted(z):
        return C[(0 if z < 0 else 1 if z < 1 else -1) + 1] * z

    def named(z):
        i = 0 if z < 0 else 1
        return (1 if z < 0 else 3) * C[i] * z

    for f in (leaky, shifted, named):
        for real in (np.float32, np.float64):
            kernel = numba.njit(scalar.of_dtype(f, real, {}))
            for z in (-1.5, 0.5, 1.5):
                assert kernel(real(z)) == f(z)
            (compiled,) = kernel.overloads.values()
            assert str(compiled.signature.return_type) == real.__name__, f

    @jitnet.activation
    def two_pieces(z):
        return C[0 if z < 0 else 1] * z

    @two_pieces.derivative
    def _(a):
        return C[0 if a < 0 else 1]

    X = np.random.default_rng(0).standard_normal((4, 3))
    net = Network(Dense(3, 2, two_pieces), seed=0, dtype="float64")
    Z = X @ net.layers[0].W
    for backend in ("python", "numpy", "njit", "fast"):
        np.testing.assert_allclose(net.forward(X, backend=backend), np.where(Z < 0, 0.5, 2) * Z, rtol=1e-14)


def test_integers_in_arithmetic_become_float32():
    def f(z):
        return 2 * C[0] * z + C[1] * z * z + 2 * C[2] * (z + 1)

    def in_a_loop(z):
        total = 0
        for k in range(2):
            total += 2 * C[k] * z
        return total

    for function in (f, in_a_loop):
        kernel = numba.njit(scalar.of_dtype(function, np.float32, {}))
        assert kernel(np.float32(1.5)) == pytest.approx(function(1.5), rel=1e-6)
        (compiled,) = kernel.overloads.values()
        assert str(compiled.signature.return_type) == "float32", function


def test_functions_that_numba_cannot_compile_are_a_one_line_error(restored_registries):
    @jitnet.activation
    def sw(z):
        return z * jitnet.sigmoid(z)

    @sw.derivative
    def _(z):
        s = jitnet.sigmoid(z)
        return s + z * s * (1 - s)

    @jitnet.loss
    def random(a, y):
        return (a - y) * (a - y) + 0 * np.random.default_rng(0).standard_normal()

    random.derivative(lambda a, y: 2 * (a - y))
    for backend in ("njit", "fast"):
        message = "^activation 'sw' cannot be compiled: [^\n]+; use numbers and functions of math only$"
        with pytest.raises(jitnet.Error, match=message):
            trained(sw, "mse", backend)
        with pytest.raises(jitnet.Error, match=message):
            Network(Dense(3, 2, sw)).forward(np.ones((2, 3)), backend=backend)
        with pytest.raises(jitnet.Error, match=r"^loss 'random' cannot be compiled: Unknown attribute 'default_rng'"):
            trained("tanh", random, backend)


def test_overflow_is_infinity_in_interpreted_and_compiled_code(restored_registries):
    @jitnet.activation
    def my_mish(z):
        return z * math.tanh(math.log1p(math.exp(z)))

    @my_mish.derivative
    def _(z):
        t, e = math.tanh(math.log1p(math.exp(z))), math.exp(-z)
        return t + z * (1 - t * t) / (1 + e)

    Z = np.array([[800.0, 1.5, -800.0]])
    results = {}
    for rung in ("python", "njit"):
        A, delta = np.empty_like(Z), np.empty_like(Z)
        LADDERS["my_mish"][rung](Z, A)
        LADDERS["my_mish_derivative"][rung](Z, np.ones_like(Z), delta)
        results[rung] = np.concatenate([A, delta])
    np.testing.assert_allclose(results["python"], results["njit"], rtol=1e-12)
    np.testing.assert_array_equal(results["python"][0, [0, 2]], [800, 0])


SCRIPT = """
import math, sys
import numpy as np
import jitnet

@jitnet.activation
def stretched(z):
    return FACTOR * math.tanh(helper(z))

def helper(z):
    return z * INNER

FACTOR, INNER = {factor}, {inner}

@stretched.derivative
def _(a):
    return INNER * FACTOR * (1 - (a / FACTOR) * (a / FACTOR))

Z = np.array([[1.0, -0.5]])
A = np.empty_like(Z)
jitnet.kernels.LADDERS["stretched"]["polynomial"](Z, A)
hits = jitnet.kernels.LADDERS["stretched"]["polynomial"].stats.cache_hits
print(A[0, 0], A[0, 1], sum(hits.values()))
"""


@pytest.mark.slow
def test_machine_code_is_cached_until_the_function_changes(tmp_path):
    """A change of a global number or a helper also counts."""
    script, environment = tmp_path / "script.py", {**os.environ, "JITNET_CACHE_DIR": str(tmp_path / "cache")}
    for factor, inner, kept in ((2.0, 1.0, 0), (2.0, 1.0, 1), (3.0, 1.0, 0), (3.0, 0.5, 0), (2.0, 1.0, 1)):
        script.write_text(textwrap.dedent(SCRIPT).format(factor=factor, inner=inner))
        run = [sys.executable, str(script)]
        printed = subprocess.run(run, capture_output=True, text=True, check=True, env=environment).stdout.split()
        expected = [factor * math.tanh(inner * z) for z in (1.0, -0.5)]
        np.testing.assert_allclose([float(x) for x in printed[:2]], expected, rtol=1e-14)
        assert int(printed[2]) == kept, (factor, inner)
