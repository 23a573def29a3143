"""Training with `backend="cuda"` but without a GPU: the PTX interpreter runs the kernels."""

import copy
import importlib.util
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from cases import release
from runs import OPTIMIZERS, make, spiral

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed (pip install 'jitnet[cuda]')", allow_module_level=True)

from jitnet import SGD, Adam, CosineDecay, Dense, Dropout, Error, LayerNorm, Network, backend
from jitnet.backend import cuda, cuda_epoch
from jitnet.compiler.cuda import registry
from jitnet.compiler.cuda.registry import Launch, Rung, recording
from jitnet.kernels.cuda import LADDERS, clock
from jitnet.kernels.cuda.optimizers import FROM_MEMORY
from jitnet.lab.gpu.ptx_interpreter import execute
from jitnet.lab.gpu.running import program_of, run

pytestmark = pytest.mark.usefixtures("ptx_once")


class OnGpu(np.ndarray):
    """GPU memory, simulated by NumPy arrays."""

    def copy_to_device(self, source, stream=None):
        self[...] = source


class Interpreted(cuda.GpuBackend):
    """The GPU backend without a GPU."""

    @staticmethod
    def memory(shape, dtype):
        return np.zeros(shape, dtype).view(OnGpu)

    def to_device(self, array):
        return array if isinstance(array, OnGpu) else np.array(array).view(OnGpu)

    def to_host(self, array):
        return np.array(array)

    def compile(self, operations, dtype, report=None):
        return 0


def test_warmup_compiles_the_recorded_step_too(monkeypatch):
    """After `warmup`, training compiles nothing; loaded kernels do not count as compiled."""
    compiled, notes = [], []
    monkeypatch.setattr(Launch, "compile", lambda launch: compiled.append(launch))
    monkeypatch.setattr(Launch, "is_compiled", False)
    monkeypatch.setattr(Launch, "is_cached", property(lambda launch: launch is clock.TICK))
    show = SimpleNamespace(compiling=lambda *words: notes.append(words))
    count = cuda.GpuBackend.compile(Interpreted(), ["gather", "adam"], np.float32, show)
    needed = {clock.BEGIN, clock.TICK, FROM_MEMORY["adam"]}
    needed |= {launch for name in ("gather", "adam") for rung in LADDERS[name].values() for launch in rung.launches}
    assert set(compiled) == needed
    assert count == len(needed) - 1
    assert [done for done, *_ in notes] == list(range(count + 1))


class Replay:
    def __init__(self, calls):
        self.calls = calls

    def __call__(self):
        for launch, blocks, arguments in self.calls:
            execute(program_of(launch), blocks, launch.threads, arguments)


def record_or_run(rung, *arguments):
    if registry._recorder.get() is None:
        run(rung, *arguments)
    else:
        rung.body(*arguments)


def test_launches_of_other_threads_are_not_recorded():
    """While one network trains, another can be used: its launches do not become part of the recorded step."""
    with recording() as calls:
        thread = threading.Thread(target=lambda: calls.append(registry._recorder.get()))
        thread.start()
        thread.join()
    assert calls == [None]


@pytest.mark.usefixtures("interpreted")
def test_network_still_works_after_running_out_of_gpu_memory(monkeypatch):
    net, X = make(), np.ones((5, 2), np.float32)

    def full(shape, dtype):
        raise Error("no room")

    with monkeypatch.context() as patch:
        patch.setattr(Interpreted, "memory", staticmethod(full))
        with pytest.raises(Error, match="no room"):
            net.forward(X, backend="cuda")
    np.testing.assert_allclose(net.forward(X, backend="cuda"), net.forward(X), atol=1e-5)


@pytest.mark.usefixtures("interpreted")
def test_layers_without_gpu_kernels_are_an_error(tmp_path, monkeypatch):
    """A one-line error comes before any change; without training there is no error, since dropout does nothing."""
    monkeypatch.delitem(LADDERS, "dropout")
    net = Network(Dense(2, 4, "tanh"), Dropout(0.2), Dense(4, 3, "softmax"), seed=0)
    X, y = spiral()
    before = net.theta.copy()
    file = tmp_path / "run.npz"
    copy.deepcopy(net).fit(X, y, epochs=1, seed=0, checkpoint=file)
    for options in ({}, {"seed": 0, "checkpoint": file, "resume": True}):
        with pytest.raises(Error, match=r"^backend 'cuda' has no kernel for dropout; use another backend$"):
            net.fit(X, y, epochs=2, backend="cuda", **options)
        np.testing.assert_array_equal(net.theta, before)
        assert net.loss is None
    np.testing.assert_allclose(net.forward(X[:7], backend="cuda"), net.forward(X[:7]), atol=1e-5)


@pytest.fixture
def interpreted(monkeypatch):
    """`backend="cuda"` runs in the interpreter: with the kernels, the launch order and the clock of a GPU."""
    backend._latest.clear()
    monkeypatch.setitem(backend.REGISTRY, "cuda", Interpreted)
    monkeypatch.setattr(cuda, "obstacle", lambda: None)
    monkeypatch.setattr(cuda_epoch, "Replay", Replay)
    monkeypatch.setattr(cuda_epoch, "stream", lambda: None)
    monkeypatch.setattr(cuda_epoch, "free_memory", lambda: 1e9)
    monkeypatch.setattr(Rung, "__call__", record_or_run)
    yield
    backend._latest.clear()


def few(*optimizers, others=()):
    """The first optimizer in CI and the others before a release, since other tests run their kernels separately."""
    return [*optimizers, *(
        pytest.param(one, marks=pytest.mark.slow if one is OPTIMIZERS[0] else pytest.mark.release)
        for one in others if one not in optimizers
    )]  # fmt: skip


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("optimizer", [OPTIMIZERS[3], *map(release, OPTIMIZERS[:3] + OPTIMIZERS[4:])], ids=repr)
def test_training_equals_the_cpu_and_is_reproducible(optimizer):
    X, y = spiral()
    ends = []
    runs = ("cuda", "cuda", "fast") if optimizer in (OPTIMIZERS[0], OPTIMIZERS[-1]) else ("cuda", "fast")
    for run_on in runs:
        net = make(widths=(2, 33, 20, 3))
        history = net.fit(X, y, epochs=2, batch_size=16, optimizer=optimizer, backend=run_on, validation=(X, y))
        ends.append((net.theta.copy(), history.loss, history.validation_loss))
    assert len({theta.tobytes() for theta, *_ in ends[:-1]}) == 1
    for gpu, cpu in zip(ends[0], ends[-1], strict=True):
        np.testing.assert_allclose(gpu, cpu, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("interpreted")
def test_training_with_weights_equals_the_cpu():
    """Weights follow their shuffled samples, also in a fused update; a batch of weight 0 changes no parameter."""
    X, y = spiral(23)
    weights, ends = np.random.default_rng(0).integers(0, 3, 23), []
    for run_on in ("cuda", "numpy"):
        net = make(widths=(2, 5, 3))
        history = net.fit(X, y, epochs=2, batch_size=8, optimizer=SGD(0.5), backend=run_on, sample_weight=weights)
        ends.append((net.theta.copy(), history.loss, net.gradients(X, y, backend=run_on, sample_weight=weights)[0]))
    for gpu, cpu in zip(*ends, strict=True):
        np.testing.assert_allclose(gpu, cpu, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("optimizer", few(OPTIMIZERS[3], others=OPTIMIZERS[:4]), ids=repr)
def test_schedules_and_clipping_equal_the_cpu(optimizer):
    """Kernels read rates that change in each step from memory, also for SGD and momentum."""
    (X, y), ends = spiral(23), []
    for run_on in ("cuda", "numpy"):
        net = make(widths=(2, 5, 3))
        history = net.fit(
            X, y, epochs=2, batch_size=8, optimizer=optimizer, backend=run_on, schedule=CosineDecay(2), clip_norm=0.2
        )
        ends.append((net.theta.copy(), history.loss))
    for gpu, cpu in zip(*ends, strict=True):
        np.testing.assert_allclose(gpu, cpu, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("interpreted")
def test_training_from_an_iterator_equals_the_cpu():
    (X, y), ends = spiral(23), []
    parts = [(X[:8], y[:8]), (X[8:16], y[8:16]), (X[16:], y[16:])]
    for run_on in ("cuda", "numpy"):
        net = make(widths=(2, 5, 3))
        net.fit(parts, epochs=2, optimizer=Adam(0.01), backend=run_on)
        net.fit(parts, epochs=1, optimizer=Adam(0.01), backend=run_on, resume=True)
        ends.append(net.theta.copy())
    np.testing.assert_allclose(*ends, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("optimizer", [OPTIMIZERS[3], release(OPTIMIZERS[0])], ids=repr)
def test_training_with_dropout_and_layer_norm_equals_the_cpu(optimizer, tmp_path):
    """Each step has the same samples and drops the same numbers, also after a resume."""
    X, y = spiral(53)

    def trained(run_on, epochs=2, **options):
        layers = Dense(2, 33, "tanh"), LayerNorm(33), Dropout(0.3), Dense(33, 20, "gelu"), Dropout(0.1)
        net = Network(*layers, Dense(20, 3, "softmax"), seed=3)
        options = {"batch_size": 20, "optimizer": optimizer, "backend": run_on, "validation": (X, y), **options}
        history = net.fit(X, y, epochs=epochs, **options)
        return net, [net.theta.copy(), history.loss, history.validation_loss]

    net, gpu = trained("cuda")
    for ours, theirs in zip(gpu, trained("fast")[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert (net.layers[1].gamma != 1).all()
    file = tmp_path / "run.npz"
    trained("cuda", epochs=1, checkpoint=file)
    resumed = trained("cuda", checkpoint=file, resume=True)[1]
    assert [np.array(a).tobytes() for a in resumed] == [np.array(a).tobytes() for a in gpu]
    (loss, grads), (expected, wanted) = (net.gradients(X, y, backend=run_on) for run_on in ("cuda", "fast"))
    assert loss == pytest.approx(expected, rel=1e-5)
    assert grads[2] == (None, None, None)
    for grad, other in zip(grads[1], wanted[1], strict=True):  # the gradients of the layer norm
        np.testing.assert_allclose(grad, other, rtol=1e-4, atol=1e-5)


@pytest.mark.release
@pytest.mark.usefixtures("interpreted")
def test_validation_samples_take_no_memory_that_training_needs(monkeypatch):
    """On a GPU with limited memory: the copied data never exceed it."""
    X, y = spiral()
    X_judged, y_judged = np.resize(X, (8192, X.shape[1])), np.resize(y, 8192)
    net = make(widths=(2, 3, 3))
    taken, room = [0], 110_000  # 65 KB for validation samples, or 86 KB for their activations

    def give_back(size):
        taken[0] -= size

    def counted(array):
        taken[0] += array.nbytes
        weakref.finalize(array, give_back, array.nbytes)
        assert taken[0] <= room
        return array

    memory, bring = Interpreted.memory, Interpreted.to_device
    monkeypatch.setattr(Interpreted, "memory", staticmethod(lambda *shape: counted(memory(*shape))))
    monkeypatch.setattr(Interpreted, "to_device", lambda run, array: counted(bring(run, array)))
    monkeypatch.setattr(cuda_epoch, "free_memory", lambda: float(room - taken[0]))
    net.fit(X, y, epochs=1, batch_size=16, backend="cuda", validation=(X_judged, y_judged))
