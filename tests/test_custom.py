"""A user's activations and losses are checked before they are registered; wrong functions are not registered."""

import dis
import math
import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from custom_functions import REGISTRIES, trained

import jitnet
from jitnet import Dense, Network, custom
from jitnet.compiler import scalar
from jitnet.compiler.registry import LADDERS
from jitnet.kernels.activations import ACTIVATIONS, ActivationName
from jitnet.kernels.losses import LOSSES, LossName
from jitnet.optimizers import OPTIMIZERS, OptimizerName


def wrong_derivative():
    @jitnet.activation
    def cubed(z):
        return z * z * z

    @cubed.derivative
    def _(z):
        return 3 * z


def wrong_parameter_name():
    @jitnet.activation
    def cubed(z):
        return z * z * z

    @cubed.derivative
    def _(x):
        return 3 * x * x


def wrong_derivative_of_a_loss():
    @jitnet.loss
    def cubed(a, y):
        return (a - y) ** 3

    @cubed.derivative
    def _(a, y):
        return 3 * (y - a) ** 2 * (1 if a > y else -1)


def taken_name():
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


def not_written_in_python():
    jitnet.activation(math.sin).derivative(lambda z: math.cos(z))


def a_derivative_not_written_in_python():
    @jitnet.activation
    def my_sine(z):
        return math.sin(z)

    my_sine.derivative(math.cos)


def without_a_name():
    jitnet.activation(lambda z: z)


def only_a_name():
    jitnet.loss("mish")


def calls_itself():
    def power(z, n):
        return 1.0 if n < 1 else z * power(z, n - 1)

    @jitnet.activation
    def cubed(z):
        return power(z, 3)

    @cubed.derivative
    def _(z):
        return 3 * z * z


def a_loss_that_calls_itself():
    def power(z, n):
        return 1.0 if n < 1 else z * power(z, n - 1)

    @jitnet.loss
    def cubed(a, y):
        return power(a - y, 3)

    @cubed.derivative
    def _(a, y):
        return 3 * (a - y) ** 2


def a_derivative_of_one_number():
    @jitnet.loss
    def cubed(a, y):
        return (a - y) ** 3

    @cubed.derivative
    def _(a):
        return 3 * a * a


def logarithm():
    @jitnet.activation
    def my_log(z):
        return math.log(z)

    @my_log.derivative
    def _(z):
        return 1 / z


def a_derivative_that_raises():
    @jitnet.activation
    def cubed(z):
        return z**3

    @cubed.derivative
    def _(z):
        return 3 * math.exp(2 * math.log(z))


def a_derivative_of_a_that_is_complex():
    @jitnet.activation
    def cubed(z):
        return z**3

    @cubed.derivative
    def _(a):
        return 3 * a ** (2 / 3)


def a_derivative_of_a_loss_that_divides_by_zero():
    @jitnet.loss
    def cubed(a, y):
        return (a - y) ** 3

    @cubed.derivative
    def _(a, y):
        return 3 * (a - y) ** 2 * y / y


def a_loss_that_is_not_defined_between_0_and_1():
    @jitnet.loss
    def cubed(a, y):
        return math.log(a - 1) ** 3

    @cubed.derivative
    def _(a, y):
        return 3 * math.log(a - 1) ** 2 / (a - 1)


def wrong_derivative_of_a_cross_entropy():
    @jitnet.loss
    def cubed(a, y):
        return -(y * math.log(a) + (1 - y) * math.log(1 - a))

    @cubed.derivative
    def _(a, y):
        return (a - y) / (a * (1 - a) + 0.01)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (a_derivative_that_raises, "the derivative of activation 'cubed' is not defined at z = -4.183"),
        (a_derivative_of_a_that_is_complex, "the derivative of activation 'cubed' is not defined at z = -4.183"),
        (
            a_derivative_of_a_loss_that_divides_by_zero,
            "the derivative of loss 'cubed' is not defined at a = -4.183, y = 0.0",
        ),
        (a_loss_that_is_not_defined_between_0_and_1, "loss 'cubed' is not finite near a = 0.1973, y = -1.0"),
        (wrong_derivative_of_a_cross_entropy, "the derivative of loss 'cubed' is wrong at a = 0.1973, y = -1.0"),
        (not_written_in_python, "an activation must be a Python function of numbers, written with def, but is <built"),
        (a_derivative_not_written_in_python, "the derivative of activation 'my_sine' must be a Python function"),
        (without_a_name, "an activation needs a name, which a lambda does not have; write it with def"),
        (only_a_name, "a loss must be a Python function of numbers, written with def, but is 'mish'"),
        (calls_itself, "activation 'cubed', or a helper of it, calls itself; write it as a loop"),
        (a_loss_that_calls_itself, "loss 'cubed', or a helper of it, calls itself; write it as a loop"),
        (a_derivative_of_one_number, r"the derivative of loss 'cubed' must be a function of \(a, y\)"),
        (logarithm, "activation 'my_log' is not finite near z = -4.183"),
        (
            wrong_derivative,
            "the derivative of activation 'cubed' is wrong at z = -4.183: expected 52.49.* found -12.549",
        ),
        (wrong_parameter_name, r"'cubed' takes \(x\); name its parameter z, or a"),
        (wrong_derivative_of_a_loss, "the derivative of loss 'cubed' is wrong at a = .* y = -1.0: expected .* found"),
        (taken_name, "activation 'tanh': the name is taken"),
        (two_numbers, r"activation 'added' must be a function of \(z\)"),
        (not_finite, "activation 'poles' is not finite near z = -4.183"),
    ],
)
def test_wrong_functions_are_reported_and_not_registered(make, message):
    with pytest.raises(jitnet.Error, match=message):
        make()
    assert not {"cubed", "sin", "my_sine", "my_log", "cubed_derivative"} & {
        *ACTIVATIONS,
        *LOSSES,
        *LADDERS,
        *custom.USER_DEFINED,
    }


def test_cross_entropy_is_compared_only_where_it_is_defined(restored_registries):
    """With L = −(y·log a + (1 − y)·log(1 − a)): 0.5 and y = 1 give log 2, and it trains as the one of jitnet."""

    @jitnet.loss
    def my_cross_entropy(a, y):
        return -(y * math.log(a) + (1 - y) * math.log(1 - a))

    @my_cross_entropy.derivative
    def _(a, y):
        return (a - y) / (a * (1 - a))

    X, Y = np.array([[0.0], [1.0], [-1.0]]), np.array([[1.0], [1.0], [0.0]])
    nets = [Network(Dense(1, 1, "sigmoid", init="zeros"), seed=0, dtype="float64") for _ in range(2)]
    assert nets[0].evaluate(X, Y, loss=my_cross_entropy)["loss"] == pytest.approx(math.log(2))
    for net, loss in zip(nets, (my_cross_entropy, "binary_cross_entropy"), strict=True):
        net.fit(X, Y, epochs=5, batch_size=2, loss=loss, backend="numpy")
    np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=1e-12)


def test_failed_registration_keeps_the_earlier_function(registered, monkeypatch):
    def fails(name):
        raise RuntimeError("halfway")

    before = trained("my_swish", "mse", "numpy")[3]
    contents = [dict(registry) for registry in REGISTRIES]

    @jitnet.activation
    def my_swish(z):
        return 0.5 * z

    with pytest.raises(jitnet.Error, match="is wrong at"):
        my_swish.derivative(lambda z: 0.25)
    monkeypatch.setattr("jitnet.kernels.elementwise.baseline", fails)
    with pytest.raises(RuntimeError, match="halfway"):
        my_swish.derivative(lambda z: 0.5)
    assert [dict(registry) for registry in REGISTRIES] == contents
    assert trained("my_swish", "mse", "numpy")[3] == before
    with pytest.raises(jitnet.Error, match="activation 'my_swish' has no derivative yet"):
        Dense(4, 1, my_swish)


def test_njit_function_can_be_registered(restored_registries):
    @jitnet.activation
    @numba.njit
    def doubled(z):
        return 2 * z

    doubled.derivative(numba.njit(lambda z: 2.0))
    net = Network(Dense(3, 2, doubled), seed=0)
    X = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(net.forward(X, backend="njit"), 2 * (X @ net.layers[0].W), rtol=1e-6)


def test_replaced_or_incomplete_objects_are_refused(registered):
    first, first_loss = registered

    @jitnet.activation
    def my_swish(z):
        return 0.5 * z

    @jitnet.loss
    def log_cosh(a, y):
        return (a - y) * (a - y)

    with pytest.raises(
        jitnet.Error, match=r"activation 'my_swish' has no derivative yet; complete it with @my_swish\.derivative"
    ):
        Dense(4, 1, my_swish)
    with pytest.raises(jitnet.Error, match=r"loss 'log_cosh' has no derivative yet; complete .* @log_cosh\.derivative"):
        trained("tanh", log_cosh, "numpy")
    my_swish.derivative(lambda z: 0.5)
    log_cosh.derivative(lambda a, y: 2 * (a - y))
    assert Dense(4, 1, my_swish).activation == "my_swish"
    with pytest.raises(jitnet.Error, match="activation 'my_swish' was replaced by a later definition"):
        Dense(4, 1, first)
    with pytest.raises(jitnet.Error, match="loss 'log_cosh' was replaced by a later definition"):
        trained("tanh", first_loss, "numpy")


def test_activation_whose_derivative_has_the_name_of_a_loss_is_refused(restored_registries):
    @jitnet.loss
    def zz_derivative(a, y):
        return (a - y) * (a - y)

    zz_derivative.derivative(lambda a, y: 2 * (a - y))
    kernels = dict(LADDERS["zz_derivative"])

    def zz(z):
        return z

    with pytest.raises(jitnet.Error, match="activation 'zz': the name is taken by loss 'zz_derivative'"):
        jitnet.activation(zz)
    assert LADDERS["zz_derivative"] == kernels

    @jitnet.loss
    def free(a, y):
        return (a - y) * (a - y)

    free.derivative(lambda a, y: 2 * (a - y))

    def free_derivative(a, y):
        return a - y

    assert jitnet.loss(free_derivative).name == "free_derivative"  # a loss reserves no such name


def test_names_for_type_checkers_equal_the_registered_names():
    assert list(ActivationName.__args__) == [name for name in ACTIVATIONS if name not in custom.USER_DEFINED]
    assert list(LossName.__args__) == [name for name in LOSSES if name not in custom.USER_DEFINED]
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


@pytest.mark.slow
def test_type_checker_finds_unknown_names(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed: pip install mypy")
    script = tmp_path / "script.py"
    script.write_text(TYPED)
    here = Path(__file__).parent.parent  # its .mypy_cache serves the project too
    result = subprocess.run([sys.executable, "-m", "mypy", script], capture_output=True, text=True, cwd=here)
    found = [int(line) for line in re.findall(r"script\.py:(\d+): error:", result.stdout)]
    first = TYPED.splitlines().index('Dense(2, 2, "sofmax")') + 1
    assert found == list(range(first, first + 5)), result.stdout


@pytest.mark.parametrize(
    ("function", "whole"),
    [
        (lambda x, t: t[1000] * 2000, {1000}),
        (lambda x, t: t[1000 if x > 3000 else 2000], {1000, 2000}),
        (lambda x, t: (2000 if x > 3000 else 4000) * t[1000], {1000}),
        (lambda x, t: t[1000] * (2000 if x > 3000 else 4000), {1000}),
        (lambda x, t: (2000 if x > 3000 else 4000) + t[1000 if x > 5000 else 6000], {1000, 6000}),
    ],
)
def test_constants_of_an_index_stay_whole(function, whole):
    """Those of other expressions get the dtype, also with conditions before and after the index."""
    offsets, names = scalar.whole_numbers(function.__code__)
    assert {step.argval for step in dis.get_instructions(function) if step.offset in offsets} == whole
    assert names == set()
