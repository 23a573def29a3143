"""A float32 network has no float64 in its arrays or signatures; test_explain.py tests the machine code.

And the finite numbers of any float dtype are finite.
"""

import subprocess
import sys

import numpy as np
import pytest
from cases import release
from runs import ON_CPU

import jitnet
from jitnet import arrays


@pytest.mark.parametrize(("dtype", "backend"), [
    release(dtype, name) if (dtype, name) == ("float64", "parallel") else (dtype, name)
    for dtype in ("float32", "float64") for name in ON_CPU
])  # fmt: skip
def test_every_array_of_a_network_has_its_dtype(backend, dtype):
    X = np.random.default_rng(0).standard_normal((7, 5))
    for last, loss in (("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy"), ("identity", "mse")):
        net = jitnet.Network(jitnet.Dense(5, 4, "tanh"), jitnet.Dense(4, 3, last), seed=0, dtype=dtype)
        for optimizer in ("sgd", "momentum", "adam"):
            Y = np.eye(3)[[0, 1, 2, 0, 1, 2, 0]]
            net.fit(X, Y, epochs=1, batch_size=4, loss=loss, optimizer=optimizer, backend=backend)
        _, grads = net.gradients(X, Y, loss=loss, backend=backend)
        work = [array for twin in net._twins for space in twin._workspaces.values() for array in vars(space).values()]
        arrays = [net.theta, net.grad, net.forward(X), *(part for grad in grads for part in grad)]
        for entry in work:
            arrays += entry if isinstance(entry, list) else [entry]
        names = [array.dtype.name for array in arrays if isinstance(array, np.ndarray)]
        assert set(names) - {"int64"} == {dtype}  # the clock of a work space is int64


def test_signatures_compiled_for_float32_are_float32():
    """Train in float32 in a new process, then check every signature that was compiled there."""
    code = """
import numpy as np, jitnet
from jitnet.kernels import LADDERS
X = np.random.default_rng(0).standard_normal((40, 5))
for backend in ("njit", "parallel", "fast"):
    for optimizer in ("sgd", "momentum", jitnet.Momentum(0.1, nesterov=True), "adam"):
        for last, loss in (("softmax", None), ("sigmoid", None), ("identity", "mse"), ("tanh", "half_squared_error")):
            layers = jitnet.Dense(5, 4, "tanh"), jitnet.Dense(4, 4, "relu"), jitnet.Dense(4, 3, last)
            net = jitnet.Network(*layers, seed=0)
            Y = np.eye(3)[np.arange(40) % 3]
            net.fit(X, Y, epochs=1, batch_size=7, loss=loss, optimizer=optimizer, backend=backend, validation=(X, Y))
            net.predict(X, backend=backend)
for operation, ladder in LADDERS.items():
    for rung, kernel in ladder.items():
        for signature in getattr(kernel, "signatures", []):
            print(operation, rung, *signature)
"""
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) > 30
    assert [line for line in lines if "float64" in line] == []
    assert [line for line in lines if "float32" not in line] == []
    seen = [tuple(line.split()[:2]) for line in lines]
    assert len(seen) == len(set(seen)), "a kernel was compiled twice for one dtype"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("size", [2, 16, 17, 4096])
def test_large_numbers_are_finite_though_their_sum_is_not(dtype, size):
    largest = np.full(size, np.finfo(dtype).max)
    assert arrays._is_finite(largest)
    for wrong in (np.nan, np.inf):
        largest[-1] = wrong
        assert not arrays._is_finite(largest)
