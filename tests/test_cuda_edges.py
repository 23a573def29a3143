"""GPU kernels where a product would be NaN or −0, run by the PTX interpreter."""

import importlib.util

import numpy as np
import pytest

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed (pip install 'jitnet[cuda]')", allow_module_level=True)

from jitnet.kernels.activations import CODES
from jitnet.kernels.cuda import LADDERS
from jitnet.lab.gpu.running import run

pytestmark = pytest.mark.usefixtures("ptx_once")


def test_derivative_of_relu_is_exactly_0():
    """No −0, and no NaN from 0·∞: as an operation, in a product and in a loss."""
    m, n = 9, 41
    A = np.resize(np.array([0, 0, 2, 0, 1], np.float32), (m, n))
    given = np.resize(np.array([-1, 1, np.inf, -np.inf, -0.0, 3.4e38, -np.inf], np.float32), (m, n))
    delta, losses = np.full_like(A, np.nan), np.empty(m, np.float32)
    run(LADDERS["relu_derivative"]["elements"], A, given, delta)
    assert delta.tobytes() == np.where(A > 0, given, np.float32(0)).tobytes()
    delta_next, W_next = -np.ones((m, 3), np.float32), np.ones((n, 3), np.float32)
    W_next[::3, 0] = np.inf
    run(LADDERS["delta"]["pipelined"], delta_next, W_next, A, CODES["relu"], delta)
    products = np.where(np.arange(n) % 3 == 0, np.float32(-np.inf), np.float32(-3))
    assert delta.tobytes() == np.where(A > 0, products, np.float32(0)).tobytes()
    for loss in ("mse", "huber"):
        run(LADDERS[loss]["rows"], A, np.full_like(A, np.inf), np.float32(1), CODES["relu"], delta, losses)
        assert delta[A == 0].tobytes() == bytes(4 * (A == 0).sum()), loss
