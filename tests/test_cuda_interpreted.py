"""Every GPU kernel, compiled and run by the PTX interpreter: full tiles, alignment, warps.

The interpreter stops at every error of a kernel (accesses outside of its arrays, misaligned accesses, shared memory
without a barrier), so each test here also tests for these.
"""

import copy
import importlib.util
import threading
import weakref

import numpy as np
import pytest
from runs import OPTIMIZERS, make, spiral

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed (pip install 'jitnet[cuda]')", allow_module_level=True)

import jitnet
from jitnet import SGD, Adam, CosineDecay, Dense, Dropout, Error, LayerNorm, Network, backend
from jitnet.backend import cuda, cuda_epoch
from jitnet.compiler.cuda import registry
from jitnet.compiler.cuda.registry import Launch, Rung, recording
from jitnet.kernels.cuda import LADDERS, clock
from jitnet.kernels.cuda.optimizers import FROM_MEMORY
from jitnet.kernels.cuda.pipelined import ThreeSizes
from jitnet.lab import oracle
from jitnet.lab.gpu.ptx_interpreter import execute
from jitnet.lab.gpu.running import program_of, run

SHAPES = [(0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (5, 7, 3), (33, 64, 130), (127, 17, 129)]
PRODUCTS = ("matmul", "matmul_tn", "matmul_nt")
BY_TILE = (*PRODUCTS, "layer", "delta", "gradients", "descend")
pytestmark = pytest.mark.usefixtures("ptx_once")

RUNGS = [(operation, rung) for operation, ladder in LADDERS.items() for rung in ladder]


def check(operation, name, shape, **how):
    rung, case = LADDERS[operation][name], oracle.case(operation, shape, "float32")
    run(rung, *case.arguments, **how)
    case.allow(rung.eps)
    case.check()
    return case


@pytest.mark.parametrize(("operation", "name"), RUNGS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns where n_out is 0, and of e^x too large
def test_rung_equals_the_formula(operation, name):
    for shape in SHAPES:
        if shape[2] or (3, 2, 0) in oracle.ugly_shapes(operation):  # over no outputs there is no mean
            check(operation, name, shape)


SIZES = {"large": 0, "medium": 1, "small": 2}
"""Of the tile of `pipelined`: which of its launches."""


def force(monkeypatch, size):
    """Use tiles of this size, however small the output is."""
    monkeypatch.setattr(ThreeSizes, "__call__", lambda self, *arguments: self.launches[SIZES[size]](*arguments))


@pytest.mark.parametrize("operation", BY_TILE)
@pytest.mark.parametrize("size", [pytest.param("large", marks=pytest.mark.slow), "medium"])
def test_larger_tiles_too(operation, size, monkeypatch):
    force(monkeypatch, size)
    for shape in [(3, 2, 9), (128, 16, 128), (129, 33, 132)]:
        check(operation, "pipelined", shape)


def test_the_size_of_the_output_decides_on_the_tile():
    launches = LADDERS["matmul"]["pipelined"].launches
    for shape, chosen in (((64, 9), 2), ((640, 639), 1), ((639, 576), 2), ((1280, 1279), 0), ((1152, 1280), 1)):
        taken = [launch.blocks(None, None, np.empty(shape, np.float32)) for launch in launches]
        with recording() as calls:
            LADDERS["matmul"]["pipelined"].body(
                *(np.empty((n, n), np.float32) for n in (1, 1)), np.empty(shape, np.float32)
            )
        assert [(launch, blocks) for launch, blocks, _ in calls] == [(launches[chosen], taken[chosen])]


@pytest.mark.parametrize("operation", PRODUCTS)
def test_tiles_that_lack_one_row_or_one_quad(operation, monkeypatch):
    """Incomplete tiles in aligned matrices: the next number, or the next four, do not exist."""
    for shape in [(124, 31, 124), (31, 124, 124)]:
        for name in ("vectorized", "warptile", "tensorcore"):
            check(operation, name, shape)
        for size in SIZES:
            force(monkeypatch, size)
            check(operation, "pipelined", shape)


@pytest.mark.slow
def test_older_cards_too():
    """The compiler then generates other instructions and branches."""
    for operation in PRODUCTS:
        for name in ("vectorized", "warptile", "pipelined", "tensorcore"):
            check(operation, name, (33, 20, 36), capability=(8, 0))


@pytest.mark.parametrize("operation", [*BY_TILE, "softmax", "cross_entropy"])
def test_blocks_may_run_in_any_order(operation):
    """Blocks run in any order on a GPU; if one needed the output of another, the order would matter."""
    for name in LADDERS[operation]:
        results = []
        for order in (None, lambda blocks: reversed(range(blocks))):
            case = oracle.case(operation, (40, 9, 70), "float32")
            run(LADDERS[operation][name], *case.arguments, order=order)
            results.append([output.tobytes() for output in case.outputs])
        assert results[0] == results[1], name


@pytest.mark.parametrize("operation", PRODUCTS)
def test_all_rungs_in_float32_give_the_same_bits(operation, monkeypatch):
    """All tiles use fused multiply-adds in the order of k, except the small tile, which splits the sum."""
    results = set()
    for size in ("large", "medium"):
        force(monkeypatch, size)
        for name in (name for name in LADDERS[operation] if name != "tensorcore"):
            results.add(check(operation, name, (37, 41, 43)).outputs[0].tobytes())
    assert len(results) == 1
    force(monkeypatch, "small")
    assert check(operation, "pipelined", (37, 41, 43)).outputs[0].tobytes() not in results


@pytest.mark.parametrize("k", [1, 7, 8, 9, 127, 128, 129, 300])
def test_the_parts_of_a_sum_that_is_cut(k):
    """Groups of threads with all of their terms, a part of them, and none."""
    check("matmul", "pipelined", (17, k, 16))


@pytest.mark.parametrize("operation", PRODUCTS)
def test_matrix_units_calculate_in_tf32(operation):
    case = check(operation, "tensorcore", (66, 40, 70))
    error = np.abs(case.outputs[0] - case.expected[0]).max()
    assert 1e-4 < error < 2e-2


@pytest.mark.parametrize("operation", PRODUCTS)
@pytest.mark.parametrize("start", [1, 4], ids=["unaligned", "aligned"])
def test_rows_of_a_larger_matrix(operation, start):
    """Matrices at arbitrary addresses: float4 loads where they are aligned, single loads elsewhere."""
    for rung in LADDERS[operation].values():
        case = oracle.case(operation, (5, 8, 12), "float32")
        memories = [np.full(matrix.size + 8, 42, np.float32) for matrix in case.arguments]
        placed = []
        for memory, matrix in zip(memories, case.arguments, strict=True):
            memory[start : start + matrix.size] = matrix.ravel()
            placed.append(memory[start : start + matrix.size].reshape(matrix.shape))
        run(rung, *placed)
        case.arguments[-1][...] = placed[-1]
        case.allow(rung.eps)
        case.check()
        assert (memories[-1][:start] == 42).all()
        assert (memories[-1][start + placed[-1].size :] == 42).all()


def test_derivative_may_write_over_its_input():
    for operation in (name for name in LADDERS if name.endswith("_derivative")):
        for rung in LADDERS[operation].values():
            apart, over = (oracle.case(operation, (5, 3, 7), "float32").arguments for _ in range(2))
            run(rung, *apart)
            A, dA, _ = over
            run(rung, A, dA, dA)
            np.testing.assert_array_equal(dA, apart[2])


def launched(launch, *arguments, **how):
    execute(program_of(launch), launch.blocks(*arguments), launch.threads, arguments, **how)


def test_the_clock_of_a_recorded_step():
    """Two batches of an epoch, of 3 and of 2 samples: what begin fetches, the losses, and the clock afterwards."""
    rng = np.random.default_rng(0)
    X, Y, numbers = rng.random((5, 200), np.float32), rng.random((5, 3), np.float32), rng.random((2, 150), np.float32)
    w = rng.random(5, np.float32)
    seed, kept = 2**62 + 5, np.full(5, np.nan, np.float32)
    order, ticks = np.array([4, 2, 0, 3, 1]), np.array([seed, 7, 0, 0, 0])
    for at, m, clock_then in ((0, 3, [seed, 8, 1, 3, 3]), (3, 2, [seed, 9, 2, 5, 0])):
        chosen = order[at : at + m]
        X_batch, Y_batch, row = (np.full(shape, np.nan, np.float32) for shape in ((m, 200), (m, 3), 150))
        of_step = np.zeros(2, np.int64)
        w_batch = np.full(m, np.nan, np.float32)
        launched(clock.BEGIN, X, Y, w, order, numbers, ticks, row, of_step, w_batch, X_batch, Y_batch)
        np.testing.assert_array_equal(w_batch, w[chosen])
        launched(clock.BEGIN, X, Y, w[:0], order, numbers, ticks, row, of_step, w_batch, X_batch, Y_batch)
        np.testing.assert_array_equal(w_batch, w[chosen])  # without weights, nothing is written
        np.testing.assert_array_equal(X_batch, X[chosen])
        np.testing.assert_array_equal(Y_batch, Y[chosen])
        np.testing.assert_array_equal(row, numbers[at // 3])
        assert of_step.tolist() == ticks[:2].tolist()
        launched(clock.TICK, chosen.astype(np.float32), 5, ticks, kept)
        assert ticks.tolist() == clock_then
    np.testing.assert_array_equal(kept, order)


def test_the_clock_is_read_by_all_before_it_moves_on():
    """More losses than threads, and a warp that finishes before the next one starts."""
    losses, ticks, kept = np.arange(300, dtype=np.float32), np.array([3, 1, 0, 7, 0]), np.full(310, np.nan, np.float32)
    launched(clock.TICK, losses, 300, ticks, kept, apart=True)
    np.testing.assert_array_equal(kept[7:307], losses)
    assert np.isnan(kept[[*range(7), 307, 308, 309]]).all()
    assert ticks.tolist() == [3, 2, 1, 307, 0]


def test_adam_of_a_recorded_step():
    case, other = (oracle.case("adam", (5, 3, 7), "float32") for _ in range(2))
    grad, *numbers, mean, square, theta = case.arguments
    launched(FROM_MEMORY["adam"], grad, np.array(numbers), mean, square, theta)
    case.check()
    run(LADDERS["adam"]["elements"], *other.arguments)
    np.testing.assert_array_equal(case.outputs, other.outputs)


def test_dropout_drops_what_it_drops_on_the_cpu():
    """The same bits: a hash of 63 bits of seed, the step, the layer and the index."""
    for m, n, clock_of_step in ((33, 65, [2**63 - 1, 2**40]), (1, 4097, [7, 1]), (5, 3, [2**32, 0])):
        X = np.random.default_rng(m).standard_normal((m, n)).astype(np.float32)
        given = 3 * 2**30, np.float32(4 / 3), 2, np.array(clock_of_step)
        ends = [np.empty_like(X) for _ in range(3)]
        run(LADDERS["dropout"]["elements"], X, *given, ends[0])
        jitnet.kernels.LADDERS["dropout"]["njit"](X, *given, ends[1])
        ends[2][...] = X
        run(LADDERS["dropout"]["elements"], ends[2], *given, ends[2])  # in place, as in the pass back
        for other in ends[1:]:
            np.testing.assert_array_equal(ends[0], other)


class OnCard(np.ndarray):
    """GPU memory, simulated by NumPy arrays."""

    def copy_to_device(self, source, stream=None):
        self[...] = source


class Interpreted(cuda.GpuBackend):
    """The GPU backend without a GPU."""

    @staticmethod
    def memory(shape, dtype):
        return np.zeros(shape, dtype).view(OnCard)

    def to_device(self, array):
        return array if isinstance(array, OnCard) else np.array(array).view(OnCard)

    def to_host(self, array):
        return np.array(array)

    def compile(self, operations, dtype, report=None):
        return 0


def test_a_recorded_step_is_compiled_with_its_operations(monkeypatch):
    """After `warmup`, training compiles nothing; loaded kernels do not count as compiled."""
    compiled, told = [], []
    monkeypatch.setattr(Launch, "compile", lambda launch: compiled.append(launch))
    monkeypatch.setattr(Launch, "is_compiled", False)
    monkeypatch.setattr(Launch, "is_cached", property(lambda launch: launch is clock.TICK))
    count = cuda.GpuBackend.compile(Interpreted(), ["gather", "adam"], np.float32, lambda *words: told.append(words))
    needed = {clock.BEGIN, clock.TICK, FROM_MEMORY["adam"]}
    needed |= {launch for name in ("gather", "adam") for rung in LADDERS[name].values() for launch in rung.launches}
    assert set(compiled) == needed
    assert count == len(needed) - 1
    assert [done for done, *_ in told] == list(range(count + 1))


class Replay:
    def __init__(self, calls):
        self.calls = calls

    def __call__(self):
        for launch, blocks, arguments in self.calls:
            execute(program_of(launch), blocks, launch.threads, arguments)


def note_or_run(rung, *arguments):
    if registry._recorder.get() is None:
        run(rung, *arguments)
    else:
        rung.body(*arguments)


def test_launches_of_another_thread_are_not_recorded():
    """A network can be used while another is trained; its launches are not recorded in a step of the other."""
    with recording() as calls:
        thread = threading.Thread(target=lambda: calls.append(registry._recorder.get()))
        thread.start()
        thread.join()
    assert calls == [None]


@pytest.mark.usefixtures("interpreted")
def test_no_room_on_the_gpu_leaves_a_network_that_works(monkeypatch):
    net, X = make(), np.ones((5, 2), np.float32)

    def full(shape, dtype):
        raise Error("no room")

    with monkeypatch.context() as patch:
        patch.setattr(Interpreted, "memory", staticmethod(full))
        with pytest.raises(Error, match="no room"):
            net.forward(X, backend="cuda")
    np.testing.assert_allclose(net.forward(X, backend="cuda"), net.forward(X), atol=1e-5)


@pytest.mark.usefixtures("interpreted")
def test_layers_that_only_the_cpu_has(tmp_path, monkeypatch):
    """One line, before anything is changed; without training, dropout is not there."""
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
    """`backend="cuda"` runs on the interpreter: kernels, their sequence and the clock are those of a GPU."""
    backend._latest.clear()
    monkeypatch.setitem(backend.REGISTRY, "cuda", Interpreted)
    monkeypatch.setattr(cuda, "obstacle", lambda: None)
    monkeypatch.setattr(cuda_epoch, "Replay", Replay)
    monkeypatch.setattr(cuda_epoch, "stream", lambda: None)
    monkeypatch.setattr(cuda_epoch, "free_memory", lambda: 1e9)
    monkeypatch.setattr(Rung, "__call__", note_or_run)
    yield
    backend._latest.clear()


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_training_equals_the_cpus_and_itself(optimizer):
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
def test_training_with_weights_equals_the_cpus():
    """Weights follow the order of the samples, in a fused update; a batch without weight does not move."""
    X, y = spiral(23)
    weights, ends = np.random.default_rng(0).integers(0, 3, 23), []
    for run_on in ("cuda", "numpy"):
        net = make(widths=(2, 5, 3))
        history = net.fit(X, y, epochs=2, batch_size=8, optimizer=SGD(0.5), backend=run_on, sample_weight=weights)
        ends.append((net.theta.copy(), history.loss, net.gradients(X, y, backend=run_on, sample_weight=weights)[0]))
    for gpu, cpu in zip(*ends, strict=True):
        np.testing.assert_allclose(gpu, cpu, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("optimizer", [*OPTIMIZERS[:4]], ids=repr)
def test_rates_of_a_schedule_and_clipped_gradients_equal_the_cpus(optimizer):
    """Rates that change in each step come from memory, also for SGD and momentum."""
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
def test_batches_of_an_iterator_train_as_on_the_cpu():
    (X, y), ends = spiral(23), []
    parts = [(X[:8], y[:8]), (X[8:16], y[8:16]), (X[16:], y[16:])]
    for run_on in ("cuda", "numpy"):
        net = make(widths=(2, 5, 3))
        net.fit(parts, epochs=2, optimizer=Adam(0.01), backend=run_on)
        net.fit(parts, epochs=1, optimizer=Adam(0.01), backend=run_on, resume=True)
        ends.append(net.theta.copy())
    np.testing.assert_allclose(*ends, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("optimizer", [OPTIMIZERS[0], Adam(0.01)], ids=repr)
def test_training_with_dropout_and_layer_norm_equals_the_cpus(optimizer, tmp_path):
    """The same samples, and the same numbers dropped in each step, resumed or not."""
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
    for grad, other in zip(grads[1], wanted[1], strict=True):  # of the layer norm
        np.testing.assert_allclose(grad, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("interpreted")
def test_samples_to_judge_by_take_no_room_that_training_needs(monkeypatch):
    """On a GPU with limited memory: the copied data never exceed it."""
    X, y = spiral()
    X_judged, y_judged = np.resize(X, (8192, X.shape[1])), np.resize(y, 8192)
    net = make(widths=(2, 3, 3))
    taken, room = [0], 110_000  # 65 KB for the samples to judge by, or 86 KB for what they go through

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
