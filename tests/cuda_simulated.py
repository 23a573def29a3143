"""The script that `test_cuda_simulator.py` runs in the simulator: every rung of every operation, on tiny odd shapes."""

import numpy as np
import pytest
from cases import release

from jitnet import Error
from jitnet.compiler.cuda.device import cuda
from jitnet.kernels.cuda import LADDERS
from jitnet.kernels.cuda.pipelined import ThreeSizes
from jitnet.lab import ladder, oracle

SHAPES = [(0, 3, 2), (5, 7, 3)]
RUNGS = [(operation, rung) for operation, ladder in LADDERS.items() for rung in ladder if rung != "tensorcore"]
slow = pytest.mark.slow  # every rung and every size of tile runs in the interpreter of PTX (test_cuda_interpreted.py)


def check(operation, rung, shape):
    case, kernel = oracle.case(operation, shape, "float32"), LADDERS[operation][rung]
    assert kernel(*case.arguments) is None
    case.allow(kernel.eps)
    case.check()
    return case


@slow
@pytest.mark.parametrize(("operation", "rung"), RUNGS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns if n_out is 0 and if e^x overflows
def test_rung_equals_the_formula(operation, rung):
    for shape in SHAPES:
        if shape[2] or (3, 2, 0) in oracle.ugly_shapes(operation):  # the mean of no outputs is undefined
            check(operation, rung, shape)


@slow
@pytest.mark.parametrize("operation", ["matmul", release("matmul_tn"), release("matmul_nt")])
def test_tensor_core_products_have_tf32_accuracy(operation):
    """Blocks of 128 threads, and warps that exchange numbers: slow in the simulator, so one shape for each product."""
    case = check(operation, "tensorcore", (18, 11, 13))
    error = np.abs(case.outputs[0] - case.expected[0]).max()
    assert 1e-5 < error < 1e-2  # TF32, no better and no worse


@pytest.mark.release
@pytest.mark.parametrize("operation", ["matmul", "matmul_tn", "matmul_nt", "sgd"])
def test_every_rung_adds_in_the_same_order(operation, monkeypatch):
    """On a GPU every rung uses fused multiply-adds in the order of k; in the simulator none is fused."""
    monkeypatch.setattr(ThreeSizes, "__call__", lambda self, *arguments: self.launches[0](*arguments))
    results = set()
    for rung in (LADDERS[name][rung] for name, rung in RUNGS if name == operation):
        case = oracle.case(operation, (7, 19, 5), "float32")
        rung(*case.arguments)
        results.add(case.outputs[0].tobytes())
    assert len(results) == 1


def test_derivative_can_overwrite_its_input():
    for operation in (name for name in LADDERS if name.endswith("_derivative")):
        for kernel in LADDERS[operation].values():
            apart = oracle.case(operation, (5, 3, 7), "float32")
            kernel(*apart.arguments)
            A, dA, _ = (cuda.to_device(array) for array in oracle.case(operation, (5, 3, 7), "float32").arguments)
            kernel(A, dA, dA)
            np.testing.assert_array_equal(dA.copy_to_host(), apart.arguments[2])


EDGES = np.array([[1e4, -1e4, 88.8, -88.8, 3.4e38, -3.4e38, 1e-45, -0.0, 0.0, np.inf, -np.inf, np.nan]], np.float32)


@pytest.mark.parametrize("operation", ["sigmoid", "tanh", "relu"])
def test_activations_of_extreme_inputs(operation):
    for kernel in LADDERS[operation].values():
        A = np.empty_like(EDGES)
        kernel(EDGES, A)
        assert np.isnan(A[0, -1])
        with np.errstate(over="ignore"):
            expected = oracle.ACTIVATIONS[operation](EDGES[:, :-1].astype(np.float64))
        np.testing.assert_allclose(A[:, :-1], expected, rtol=1e-6, atol=1e-45)


def test_losses_of_extreme_inputs():
    Z = np.array([[1e4, -1e4], [1e4, -1e4], [-1e4, -1e4]], np.float32)
    Y = np.array([[0, 1], [1, 0], [1, 0]], np.float32)
    A, delta, losses = np.empty_like(Z), np.empty_like(Z), np.full(3, np.nan, np.float32)
    LADDERS["softmax"]["rows"](Z, A)
    LADDERS["cross_entropy"]["rows"](Z, A, Y, np.float32(1), delta, losses)
    np.testing.assert_allclose(losses, [2e4, 0, np.log(2)], rtol=1e-6)
    LADDERS["sigmoid"]["elements"](Z, A)
    LADDERS["binary_cross_entropy"]["rows"](Z, A, Y, np.float32(1), delta, losses)
    np.testing.assert_allclose(losses, [2e4, 0, 1e4], rtol=1e-6)


@slow
def test_ladder_of_the_gpu_has_all_rungs_and_figures():
    found = ladder.measure_gpu("softmax", "3x1x5")
    assert [rung["name"] for rung in found["rungs"]] == list(LADDERS["softmax"])
    (rung,) = found["rungs"]
    assert rung["checked"]
    assert rung["gbytes"] == pytest.approx(2e-9 * 4 * 3 * 5 / rung["seconds"])
    assert (rung["speedup"], rung["share_of_peak"], rung["share_of_numpy"]) == (1, None, None)
    assert "softmax 3x5 float32, on Numba's simulator" in ladder.as_text(found)


def test_wrong_gpu_rung_is_reported(monkeypatch):
    def wrong(Z, A):
        A.copy_to_device(Z)

    monkeypatch.setattr(LADDERS["softmax"]["rows"], "body", wrong)
    with pytest.raises(Error, match=r"softmax.rows of the GPU is wrong: 6 of 6 wrong, first at \(0, 0\)"):
        ladder.measure_gpu("softmax", "2x1x3")
