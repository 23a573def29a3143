"""A user's activation and loss, registered for one test, and a small network that trains with them."""

import math

import numpy as np
import pytest

import jitnet
from jitnet import Dense, Network, custom
from jitnet.compiler.registry import FLOP, LADDERS, SIGNATURES
from jitnet.kernels.activations import ACTIVATIONS
from jitnet.kernels.losses import LOSSES

STEEPNESS = 1.3


REGISTRIES = (LADDERS, SIGNATURES, FLOP, ACTIVATIONS, LOSSES, custom.USER_DEFINED)


@pytest.fixture
def restored_registries():
    """Removes what a test registers when the test ends."""
    before = [dict(registry) for registry in REGISTRIES]
    yield
    for registry, content in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(content)


@pytest.fixture
def registered(restored_registries):
    """Registers swish, whose f' reads Z, and a loss; removes both when the test ends."""

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
