"""Activations and losses of a user: checked when they are registered, then as good as those of the package."""

import math
import os
import subprocess
import sys
import textwrap

import numba
import numpy as np
import pytest

import jitnet
from jitnet import Dense, Network, calculus, custom
from jitnet.backend import REGISTRY
from jitnet.compiler import scalar
from jitnet.compiler.registry import FLOP, LADDERS, SIGNATURES
from jitnet.kernels.activations import ACTIVATIONS, ActivationName
from jitnet.kernels.losses import LOSSES, LossName
from jitnet.optimizers import OPTIMIZERS, OptimizerName

STEEPNESS = 1.3


REGISTRIES = (LADDERS, SIGNATURES, FLOP, ACTIVATIONS, LOSSES, custom.MADE)


@pytest.fixture
def forgotten():
    """What a test registers is forgotten afterwards."""
    before = [dict(registry) for registry in REGISTRIES]
    yield
    for registry, content in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(content)


@pytest.fixture
def registered(forgotten):
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

    return my_swish, log_cosh


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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (not_written_in_python, "an activation must be a Python function of numbers, written with def, but is <built"),
        (a_derivative_not_written_in_python, "the derivative of activation 'my_sine' must be a Python function"),
        (without_a_name, "an activation needs a name, which a lambda does not have; write it with def"),
        (only_a_name, "a loss must be a Python function of numbers, written with def, but is 'mish'"),
        (calls_itself, "activation 'cubed', or a helper of it, calls itself; write it as a loop"),
        (a_derivative_of_one_number, r"the derivative of loss 'cubed' must be a function of \(a, y\)"),
        (logarithm, "activation 'my_log' is not finite near z = -4.183"),
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
    assert not {"cubed", "sin", "my_sine", "my_log", "cubed_derivative"} & {
        *ACTIVATIONS,
        *LOSSES,
        *LADDERS,
        *custom.MADE,
    }


def test_what_fails_leaves_the_earlier_function(registered, monkeypatch):
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


def test_a_function_that_numba_compiled_is_taken_as_it_was_written(forgotten):
    @jitnet.activation
    @numba.njit
    def doubled(z):
        return 2 * z

    doubled.derivative(numba.njit(lambda z: 2.0))
    net = Network(Dense(3, 2, doubled), seed=0)
    X = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(net.forward(X, backend="njit"), 2 * (X @ net.layers[0].W), rtol=1e-6)


def test_an_object_that_its_name_does_not_stand_for_is_refused(registered):
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


def test_a_loss_keeps_its_name_from_the_derivative_of_an_activation(forgotten):
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

    assert jitnet.loss(free_derivative).name == "free_derivative"  # a loss does not own that name


C, LAST = (0.5, 2.0, -0.25), 2


def polynomial(z):
    """With every kind of integer: of an index, of a loop, of arithmetic, and one that is all of these."""
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


def test_integers_index_and_count(forgotten):
    jitnet.activation(polynomial).derivative(polynomial_derivative)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        net = Network(Dense(3, 2, polynomial.__name__), seed=0, dtype=dtype)
        X, Y = np.array([[0.5, -1.0, 2.0], [1.0, 0.25, -0.5]]), np.ones((2, 2))
        results = [net.gradients(X, Y, backend=backend)[1][0].dW for backend in ("python", "numpy", "njit", "fast")]
        expected = np.vectorize(polynomial)(X @ net.layers[0].W.astype(np.float64))
        for backend, dW in zip(("python", "numpy", "njit", "fast"), results, strict=True):
            np.testing.assert_allclose(net.forward(X, backend=backend), expected, rtol=tolerance, err_msg=backend)
            np.testing.assert_allclose(dW, results[0], rtol=tolerance, err_msg=backend)


def test_an_index_can_depend_on_a_condition(forgotten):
    """Both integers of `i if condition else j` index; the compared number and other conditions are numbers."""

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


def test_integers_of_arithmetic_are_float32():
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


def test_what_numba_cannot_compile_is_said_in_one_line(forgotten):
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


def test_interpreted_overflow_is_infinity_as_in_compiled_code(forgotten):
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
