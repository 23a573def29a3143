"""A new kind of layer with its own loops needs only one file: the rest of jitnet finds it in the registries.

This is such a file. `UnitScale` multiplies each unit by a learned factor.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from cases import slow
from numba import prange
from runs import IN_FLOAT64
from test_gradients import relative_error

import jitnet
from jitnet import Dense, Network, backend, calculus, formulas, layers, losses
from jitnet.compiler import registry
from jitnet.compiler.registry import FLOP, LADDERS, SIGNATURES, Call, baseline, operation
from jitnet.lab import oracle
from jitnet.layers.base import KINDS, Layer, kind
from jitnet.step import passes


def register():
    @operation("T[:,::1], T[::1], T[:,::1]")
    def units_of_a_test_times_factors(X, factors, A):
        """Each unit times its factor; the backward pass is the same.

        Formula   A[i,j] = X[i,j]·factors[j]
        Shapes    X (m, n), factors (n,), A (m, n)
        Writes    A, which may be X
        """
        for i in prange(X.shape[0]):
            for j in range(X.shape[1]):
                A[i, j] = X[i, j] * factors[j]

    @baseline("units_of_a_test_times_factors")
    def units_of_a_test_times_factors_numpy(X, factors, A):
        A[...] = X * factors

    @operation("T[:,::1], T[:,::1], T[::1]")
    def units_of_a_test_times_factors_gradient(X, dA, dfactors):
        """The gradient of the factors.

        Formula   dfactors[j] = Σ_i dA[i,j]·X[i,j]
        Shapes    X, dA (m, n), dfactors (n,)
        Writes    dfactors, which must not overlap an input
        """
        for j in prange(X.shape[1]):
            total = X.dtype.type(0)
            for i in range(X.shape[0]):
                total += dA[i, j] * X[i, j]
            dfactors[j] = total

    @baseline("units_of_a_test_times_factors_gradient")
    def units_of_a_test_times_factors_gradient_numpy(X, dA, dfactors):
        dfactors[...] = (dA * X).sum(axis=0)

    return kind(UnitScale)


class ScaleGradient(NamedTuple):
    dfactors: np.ndarray
    delta: np.ndarray


@dataclass
class UnitScale(Layer):
    n: int

    stored = ("n",)

    @property
    def n_in(self):
        return self.n

    @property
    def n_out(self):
        return self.n

    @property
    def shapes(self):
        return {"factors": (self.n,)}

    def initialize(self, rng):
        self._values[0][...] = rng.uniform(0.5, 1.5, self.n)

    def forward(self, X, Z, A, ctx):
        return [Call("units_of_a_test_times_factors", (X, self._values[0], A))]

    def propagate(self, delta, Z, X, f, delta_before, ctx):
        calls = [Call("units_of_a_test_times_factors", (delta, self._values[0], delta_before))]
        return calls if f == "identity" else [*calls, formulas.derivative(Z, X, f, delta_before)]

    def gradients(self, X, delta, ctx):
        return [Call("units_of_a_test_times_factors_gradient", (X, delta, self._grads[0]))]

    def gradient_copies(self, delta):
        return ScaleGradient(self._grads[0].copy(), delta)


OPERATIONS = ("units_of_a_test_times_factors", "units_of_a_test_times_factors_gradient")


@pytest.fixture
def registered():
    yield register()
    for name in OPERATIONS:
        for each in (LADDERS, SIGNATURES, FLOP):
            del each[name]
    del KINDS["UnitScale"]
    registry._changed()


def network():
    return Network(Dense(5, 7, "gelu"), UnitScale(7), Dense(7, 3, "softmax"), seed=0, dtype="float64")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("rung", ["python", "njit", "numpy", slow("parallel")])
@pytest.mark.parametrize("name", OPERATIONS)
def test_loops_of_the_layer_equal_the_oracle(name, rung):
    for dtype in ("float32", "float64"):
        for shape in oracle.ugly_shapes(name):
            case = oracle.case(name, shape, dtype)
            LADDERS[name][rung](*case.arguments)
            assert case.error() is None, shape
    wrong = oracle.case(name, (7, 13, 11), "float32")
    LADDERS[name][rung](*wrong.arguments)
    wrong.outputs[0].flat[3] *= 1 + 1e-4
    assert "1 of" in wrong.error()


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", IN_FLOAT64)
def test_gradients_equal_finite_differences_on_every_backend(name):
    net, run = network(), backend.get(name)
    work = net.workspace(9)
    rng = np.random.default_rng(0)
    work.X[...], work.Y[...] = rng.standard_normal((9, 5)), np.eye(3)[rng.integers(0, 3, 9)]
    calls = passes(net, work, losses.get("cross_entropy", "softmax"), None)

    def loss(_=None):
        run.run(calls)
        return float(work.losses.mean())

    for layer in net.layers:
        for value, grad in zip(layer._values, layer._grads, strict=True):
            wanted = calculus.numerical_gradient(loss, value)
            loss()
            assert relative_error(wanted, grad) <= 1e-7


@pytest.mark.usefixtures("registered")
def test_layer_trains_and_is_saved(tmp_path):
    net = network()
    X, y = np.random.default_rng(0).standard_normal((40, 5)), np.arange(40) % 3
    history = net.fit(X, y, epochs=20, optimizer="adam")
    assert history.loss[-1] < history.loss[0]
    net.save(tmp_path / "net.npz")
    other = jitnet.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(other.forward(X), net.forward(X))
    assert isinstance(other.layers[1], UnitScale)
    _, grads = net.gradients(X, y)
    assert grads[1].dfactors.shape == (7,)


def test_all_kinds_of_layers_are_exported():
    assert {*layers.__all__} == {*KINDS} <= {*jitnet.__all__}
    for name in layers.__all__:
        assert getattr(jitnet, name) is getattr(layers, name) is KINDS[name]
