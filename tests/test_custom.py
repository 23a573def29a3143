"""Activations and losses of a user: checked when they are registered, then as good as those of the package."""

import math
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import jitnet
from jitnet import Dense, Network, calculus, custom
from jitnet.backend import REGISTRY
from jitnet.compiler.registry import LADDERS
from jitnet.kernels.activations import ACTIVATIONS, ActivationName
from jitnet.kernels.losses import LOSSES, LossName
from jitnet.optimizers import OPTIMIZERS, OptimizerName

STEEPNESS = 1.3


@pytest.fixture
def registered():
    """swish, whose f' reads Z, and a loss; forgotten afterwards."""

    @jitnet.activation
    def my_swish(z):
        return z / (1 + math.exp(-STEEPNESS * z))

    @my_swish.derivative
    def _(z):
        s = 1 / (1 + math.exp(-STEEPNESS * z))
        return s + STEEPNESS * z * s * (1 - s)

    @jitnet.loss
    def log_cosh(a, y):
        return math.log(math.cosh(a - y))

    @log_cosh.derivative
    def _(a, y):
        return math.tanh(a - y)

    yield my_swish, log_cosh
    for name in custom.MADE:
        ACTIVATIONS.pop(name, None)
        LOSSES.pop(name, None)
        LADDERS.pop(name, None)
    custom.MADE.clear()


def trained(activation, loss, backend, dtype="float64"):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((13, 5)), rng.standard_normal((13, 2))
    net = Network(Dense(5, 7, activation), Dense(7, 2, activation), seed=0, dtype=dtype)
    return net, X, Y, net.fit(X, Y, epochs=3, batch_size=5, optimizer="sgd", loss=loss, backend=backend).loss


def test_every_backend_trains_with_them(registered):
    swish, loss = registered
    results = {name: trained(swish, loss, name)[3] for name in REGISTRY if name != "cuda"}
    for name, result in results.items():
        np.testing.assert_allclose(result, results["python"], rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(trained("my_swish", "log_cosh", "fast", "float32")[3], results["python"], rtol=1e-5)


def test_its_gradients_are_those_of_finite_differences(registered):
    net, X, Y, _ = trained(*registered, "numpy")
    for backend in ("numpy", "fast"):
        _, grads = net.gradients(X, Y, loss="log_cosh", backend=backend)
        for layer, grad in zip(net.layers, grads, strict=True):
            expected = calculus.numerical_gradient(
                lambda _: net.evaluate(X, Y, loss="log_cosh", backend="numpy")["loss"], layer.W
            )
            np.testing.assert_allclose(grad.dW, expected, rtol=1e-7, atol=1e-9)


def test_a_function_given_again_takes_the_place_of_the_first(registered):
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


def test_a_saved_model_names_it(registered, tmp_path):
    net, X, _, _ = trained(*registered, "numpy")
    net.save(tmp_path / "net.npz")
    np.testing.assert_array_equal(jitnet.load(tmp_path / "net.npz").forward(X), net.forward(X))
    ACTIVATIONS.pop("my_swish")
    with pytest.raises(jitnet.Error, match=r"unknown activation 'my_swish'.*first import .* @jitnet\.activation"):
        jitnet.load(tmp_path / "net.npz")


def wrong_slope():
    @jitnet.activation
    def cubed(z):
        return z * z * z

    @cubed.derivative
    def _(z):
        return 3 * z


def wrong_letter():
    @jitnet.activation
    def cubed(z):
        return z * z * z

    @cubed.derivative
    def _(x):
        return 3 * x * x


def wrong_slope_of_a_loss():
    @jitnet.loss
    def cubed(a, y):
        return (a - y) ** 3

    @cubed.derivative
    def _(a, y):
        return 3 * (y - a) ** 2 * (1 if a > y else -1)


def taken():
    @jitnet.activation
    def tanh(z):
        return z


def two_numbers():
    @jitnet.activation
    def added(a, b):
        return a + b


def not_finite():
    @jitnet.activation
    def poles(z):
        return z * float("inf")

    @poles.derivative
    def _(z):
        return float("inf")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (wrong_slope, "the derivative of activation 'cubed' is wrong at z = -4.183: expected 52.49.* found -12.549"),
        (wrong_letter, r"'cubed' takes \(x\); name its parameter z, or a"),
        (wrong_slope_of_a_loss, "the derivative of loss 'cubed' is wrong at a = .* y = -1.0: expected .* found"),
        (taken, "activation 'tanh': the name is taken"),
        (two_numbers, r"activation 'added' must be a function of \(z\)"),
        (not_finite, "activation 'poles' is not finite near z = -4.183"),
    ],
)
def test_what_is_wrong_is_said_and_not_registered(make, message):
    with pytest.raises(jitnet.Error, match=message):
        make()
    assert "cubed" not in {*ACTIVATIONS, *LOSSES}


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


def test_machine_code_is_kept_until_the_function_changes(tmp_path):
    """So do the numbers and the helpers that it names."""
    script, environment = tmp_path / "script.py", {**os.environ, "JITNET_CACHE_DIR": str(tmp_path / "cache")}
    for factor, inner, kept in ((2.0, 1.0, 0), (2.0, 1.0, 1), (3.0, 1.0, 0), (3.0, 0.5, 0), (2.0, 1.0, 1)):
        script.write_text(textwrap.dedent(SCRIPT).format(factor=factor, inner=inner))
        run = [sys.executable, str(script)]
        printed = subprocess.run(run, capture_output=True, text=True, check=True, env=environment).stdout.split()
        expected = [factor * math.tanh(inner * z) for z in (1.0, -0.5)]
        np.testing.assert_allclose([float(x) for x in printed[:2]], expected, rtol=1e-14)
        assert int(printed[2]) == kept, (factor, inner)


def test_the_names_for_type_checkers_are_those_that_are_registered():
    assert list(ActivationName.__args__) == [name for name in ACTIVATIONS if name not in custom.MADE]
    assert list(LossName.__args__) == [name for name in LOSSES if name not in custom.MADE]
    assert list(OptimizerName.__args__) == list(OPTIMIZERS)


TYPED = """
import jitnet
from jitnet import Dense, Network

@jitnet.activation
def mine(z: float) -> float:
    return z

net = Network(Dense(2, 3, "tanh"), Dense(3, 3, mine), Dense(3, 2, "softmax"), dtype="float32")
net.fit([[1.0, 2.0]], [1], loss="cross_entropy", backend="fast", optimizer=jitnet.AdamW(0.1))
name: str = net.layers[0].activation
Dense(2, 2, "sofmax")
Network(Dense(2, 2), dtype="float16")
net.fit([[1.0, 2.0]], [1], loss="crossentropy")
net.fit([[1.0, 2.0]], [1], backend="gpu")
net.fit([[1.0, 2.0]], [1], optimizer="adma")
"""


def test_a_type_checker_finds_names_that_are_not_there(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed: pip install mypy")
    (tmp_path / "script.py").write_text(TYPED)
    run = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "script.py"]
    folder = str(os.path.dirname(os.path.dirname(jitnet.__file__)))
    environment = {**os.environ, "MYPYPATH": folder}
    result = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, env=environment)
    lines = [line for line in result.stdout.splitlines() if line.startswith("script.py") and ": error:" in line]
    found = [(int(line.split(":")[1]), line) for line in lines]
    first = TYPED.splitlines().index('Dense(2, 2, "sofmax")') + 1
    assert [number for number, _ in found] == list(range(first, first + 5)), result.stdout
