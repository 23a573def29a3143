"""Backend `cuda`: a one-line error and its fix if it is unavailable; kernels and training on machines with a GPU."""

import importlib.util
import re
import subprocess
import sys

import numpy as np
import pytest
from command import jitnet_command
from runs import OPTIMIZERS, make, spiral

import jitnet
from jitnet import Adam, Dense, Dropout, LayerNorm, Network, backend
from jitnet.backend import cuda
from jitnet.lab import oracle

with_package = pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="needs jitnet[cuda]")


def test_cuda_is_imported_only_on_demand():
    code = "import sys, jitnet.cli; jitnet.cli.parser(); sys.exit('numba_cuda' in sys.modules or 'cuda' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_numba_cuda_is_an_error(monkeypatch):
    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: None)
    backend._latest.clear()
    with pytest.raises(jitnet.Error, match=r"the package numba-cuda is missing: pip install 'jitnet\[cuda\]'"):
        make().forward([[1, 2]], backend="cuda")
    assert jitnet.backends() == ["python", "njit", "parallel", "fast", "numpy"]


@with_package
def test_missing_driver_or_gpu_is_an_error(monkeypatch):
    from cuda.bindings import driver

    def no_library(flags):
        raise RuntimeError("Failure finding libcuda.so")

    backend._latest.clear()
    for init, message in (
        (no_library, "there is no NVIDIA driver: install"),
        (lambda flags: (driver.CUresult.CUDA_ERROR_NO_DEVICE,), "the driver finds no NVIDIA GPU"),
        (lambda flags: (driver.CUresult.CUDA_ERROR_NOT_READY,), r"does not start \(CUDA_ERROR_NOT_READY\)"),
    ):
        monkeypatch.setattr(driver, "cuInit", init)
        with pytest.raises(jitnet.Error, match=f"backend 'cuda' does not work here: .*{message}"):
            backend.get("cuda")


@with_package
@pytest.mark.parametrize(
    ("toolkit", "driver_knows", "capability", "message"),
    [
        ("13.0.1", 13000, (9, 0), None),
        ("13.5.0", 13010, (7, 5), None),
        ("12.9.1", 12040, (5, 0), None),
        ("12.9.1", 13000, (12, 0), None),
        ("13.0.1", 13000, (6, 1), r"capability 6.1, but .* CUDA 13 needs 7.5: pip install 'jitnet\[cuda12\]'"),
        ("13.0.1", 12040, (9, 0), r"the driver supports CUDA 12.4, but .* CUDA 13: .*pip install 'jitnet\[cuda12\]'"),
        ("12.9.1", 12040, (3, 5), "capability 3.5, .* needs 5.0: use a newer GPU"),
        ("12.9.1", 11080, (8, 0), "the driver supports CUDA 11, but numba-cuda needs 12 or 13: update the driver"),
    ],
)
def test_incompatible_gpu_driver_and_packages_are_an_error(toolkit, driver_knows, capability, message):
    from jitnet.compiler.cuda.device import unsuitable

    found = unsuitable(toolkit, driver_knows, capability)
    assert found is None if message is None else re.search(message, found)


MISSING = cuda.obstacle()


@pytest.mark.skipif(MISSING is None, reason="for machines without a GPU")
def test_command_line_error_is_one_line():
    result = jitnet_command("train", "digits", "--backend", "cuda", status=2)
    assert result.stderr == f"jitnet: backend 'cuda' does not work here: {MISSING}\n"
    assert "cuda" not in jitnet.backends()


on_a_gpu = pytest.mark.skipif(MISSING is not None, reason=f"needs a GPU: {MISSING}")


@pytest.fixture(scope="module")
def rungs():
    from jitnet.kernels.cuda import LADDERS

    return [(operation, name, rung) for operation, ladder in LADDERS.items() for name, rung in ladder.items()]


@on_a_gpu
@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (1, 1, 1), (5, 257, 65), (97, 20, 66), (1000, 300, 1024)])
def test_every_rung_equals_the_formula_on_the_gpu(shape, rungs):
    from jitnet.compiler.cuda.device import cuda

    for operation, name, rung in rungs:
        if cuda.get_current_device().compute_capability < rung.capability:
            continue
        case = oracle.case(operation, shape, "float32")
        rung(*case.arguments)
        case.allow(rung.eps)
        assert case.error() is None, (operation, name, case.error())


@on_a_gpu
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_training_on_the_gpu_equals_the_cpu_and_is_reproducible(optimizer):
    X, y = spiral()
    ends = []
    for run in ("cuda", "cuda", "fast"):
        net = make(widths=(2, 129, 67, 3))
        history = net.fit(X, y, epochs=3, batch_size=16, optimizer=optimizer, backend=run, validation=(X, y))
        ends.append((net.theta.copy(), history.loss))
    assert ends[0][0].tobytes() == ends[1][0].tobytes()
    np.testing.assert_allclose(ends[0][0], ends[2][0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(ends[0][1], ends[2][1], rtol=1e-4)


@on_a_gpu
@pytest.mark.parametrize("optimizer", [OPTIMIZERS[0], Adam(0.01)], ids=repr)
def test_dropout_and_layer_norm_train_on_the_gpu(optimizer, tmp_path):
    """Each step of a captured graph drops the same numbers as the CPU, also after a resume."""
    X, y = spiral()

    def trained(run, epochs=3, **options):
        layers = Dense(2, 129, "tanh"), Dropout(0.3), LayerNorm(129), Dense(129, 3, "softmax")
        net = Network(*layers, seed=3)
        history = net.fit(X, y, epochs=epochs, batch_size=16, optimizer=optimizer, backend=run, **options)
        return net.theta, history.loss

    theta, losses = trained("cuda")
    expected, losses_of_cpu = trained("fast")
    np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(losses, losses_of_cpu, rtol=1e-4)
    trained("cuda", epochs=1, checkpoint=tmp_path / "run.npz")
    again, _ = trained("cuda", checkpoint=tmp_path / "run.npz", resume=True)
    assert again.tobytes() == theta.tobytes()


@on_a_gpu
def test_step_is_captured_in_a_graph_and_streaming_gives_the_same_bits(monkeypatch):
    from jitnet.backend import cuda_epoch
    from jitnet.compiler.cuda import graph

    kept, call = [], graph.Replay.__call__
    monkeypatch.setattr(graph.Replay, "__call__", lambda self: (kept.append(self._graph), call(self))[1])
    X, y = spiral()
    thetas = []
    for rows in (None, 32):
        if rows:
            monkeypatch.setattr(cuda_epoch, "rows_at_a_time", lambda plan, vectors: 32)
        net = make()
        net.fit(X, y, epochs=5, batch_size=16, optimizer=Adam(0.01), backend="cuda")
        thetas.append(net.theta.tobytes())
    assert thetas[0] == thetas[1]
    assert kept
    assert None not in kept


@on_a_gpu
def test_process_still_works_after_running_out_of_gpu_memory():
    net = Network(Dense(64, 2**20, "relu"), Dense(2**20, 10, "softmax"), seed=0)
    with pytest.raises(jitnet.Error, match=r"batch_size 200000 needs .* GB on the GPU.*a batch_size of \d+ fits"):
        net.fit(np.zeros((200_000, 64), np.float32), np.zeros(200_000, np.int64), batch_size=200_000, backend="cuda")
    assert jitnet.matmul(np.ones((2, 3), np.float32), np.ones((3, 2), np.float32), backend="cuda")[0, 0] == 3
