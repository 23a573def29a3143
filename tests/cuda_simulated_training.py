"""The script that `test_cuda_simulator.py` runs in the simulator: training and all other uses of a network."""

import bisect
import contextlib
import re
from types import SimpleNamespace

import cases
import numpy as np
import pytest
from runs import At, press_ctrl_c, spiral

import jitnet
from jitnet import SGD, Adam, Dense, Dropout, LayerNorm, Momentum, Network, RMSprop, backend
from jitnet.backend import cuda_epoch
from jitnet.backend.cuda import GpuBackend
from jitnet.compiler.cuda import device, graph

OPTIMIZERS = [SGD(0.5, weight_decay=1e-3), Adam(0.01, weight_decay=1e-4)]
X, Y = spiral(13)
slow = pytest.mark.slow  # test_cuda_training.py trains with every optimizer in the PTX interpreter
release = pytest.mark.release


def make(last="softmax"):
    return Network(Dense(2, 5, "tanh"), Dense(5, 3, last, bias=last != "sigmoid"), seed=0)


def train(optimizer, net=None, epochs=2, **options):
    net = net or make()
    options = {"batch_size": 5, "backend": "cuda", **options}
    return net, net.fit(X, Y, epochs=epochs, optimizer=optimizer, **options)


@pytest.mark.parametrize("optimizer", [OPTIMIZERS[0], cases.release(OPTIMIZERS[1])], ids=repr)
def test_training_equals_training_on_the_cpu(optimizer):
    net, history = train(optimizer, validation=(X, Y))
    other, reference = train(optimizer, validation=(X, Y), backend="fast")
    np.testing.assert_allclose(net.theta, other.theta, rtol=0, atol=2e-6)
    np.testing.assert_allclose(history.loss, reference.loss, rtol=1e-5)
    np.testing.assert_allclose(history.validation_loss, reference.validation_loss, rtol=1e-5)
    assert history.validation_accuracy == reference.validation_accuracy


@release
def test_dropout_and_layer_norm_train_as_on_the_cpu_resumed_or_streamed(tmp_path, monkeypatch):
    """Each step drops the same numbers as on the CPU, also after a resume and with data copied in portions."""

    def trained(epochs=2, run="cuda", **options):
        layers = Dense(2, 5, "tanh"), Dropout(0.4), LayerNorm(5, 1e-3), Dense(5, 3, "softmax")
        return train(RMSprop(0.01), Network(*layers, seed=0), epochs, backend=run, **options)

    net, history = trained()
    other, reference = trained(run="fast")
    np.testing.assert_allclose(net.theta, other.theta, rtol=0, atol=1e-5)
    np.testing.assert_allclose(history.loss, reference.loss, rtol=1e-5)
    assert net.evaluate(X, Y, backend="cuda") == pytest.approx(other.evaluate(X, Y), rel=1e-4)
    trained(1, checkpoint=tmp_path / "state")
    resumed, _ = trained(checkpoint=tmp_path / "state", resume=True)
    monkeypatch.setattr(cuda_epoch, "rows_at_a_time", lambda plan, vectors: 10)
    streamed, _ = trained()
    assert resumed.theta.tobytes() == streamed.theta.tobytes() == net.theta.tobytes()


@slow
@pytest.mark.parametrize(
    ("last", "loss"),
    [("sigmoid", "binary_cross_entropy"), cases.release("softmax", "mse"), cases.release("relu", "half_squared_error")],
)
def test_gradients_forward_predict_and_evaluate_equal_the_cpu(last, loss):
    net = make(last)
    here, there = net.gradients(X, Y, loss=loss), net.gradients(X, Y, loss=loss, backend="cuda")
    assert there[0] == pytest.approx(here[0], rel=1e-6)
    for ours, theirs in zip(here[1], there[1], strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(net.layers[0].dW, there[1][0].dW)
    np.testing.assert_allclose(net.forward(X), net.forward(X, "cuda"), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(net.predict(X) > 0.5, net.predict(X, "cuda") > 0.5)
    assert net.evaluate(X, Y, loss=loss, backend="cuda") == pytest.approx(net.evaluate(X, Y, loss=loss), rel=1e-5)


@release
def test_same_seed_gives_the_same_bits_streamed_or_resumed(tmp_path, monkeypatch):
    net, history = train(Adam(0.01), epochs=2)
    bits = net.theta.tobytes(), history.loss
    checkpoint = tmp_path / "state"
    train(Adam(0.01), epochs=1, checkpoint=checkpoint)
    resumed, history = train(Adam(0.01), make(), epochs=2, checkpoint=checkpoint, resume=True)
    assert (resumed.theta.tobytes(), history.loss) == bits
    monkeypatch.setattr(
        cuda_epoch, "rows_at_a_time", lambda plan, vectors: 10
    )  # 10 and 3 samples, in batches of 5, 5 and 3
    streamed, history = train(Adam(0.01), epochs=2)
    assert (streamed.theta.tobytes(), history.loss) == bits


@release
def test_network_can_continue_training_on_another_backend():
    net, _ = train(SGD(0.5), epochs=1)
    train(SGD(0.5), net, epochs=1, backend="fast")
    train(SGD(0.5), net, epochs=1)
    other, _ = train(SGD(0.5), epochs=1, backend="fast")
    train(SGD(0.5), other, epochs=1, backend="fast")
    train(SGD(0.5), other, epochs=1, backend="fast")
    np.testing.assert_allclose(net.theta, other.theta, rtol=0, atol=2e-6)


@release
def test_an_epoch_makes_few_transfers_and_launches(monkeypatch):
    fetched, brought, launches = [], [], []
    fetch, capture = GpuBackend.to_host, graph.Replay.__init__
    monkeypatch.setattr(GpuBackend, "to_host", lambda run, array: (fetched.append(array.size), fetch(run, array))[1])
    monkeypatch.setattr(
        "jitnet.backend.cuda.to_gpu", lambda array: (brought.append(array), device.cuda.to_device(array))[1]
    )
    monkeypatch.setattr(
        graph.Replay, "__init__", lambda self, calls: (launches.append(len(calls)), capture(self, calls))[1]
    )  # fmt: skip
    net, _ = train(SGD(0.5), epochs=1)
    at_first = len(brought)
    train(SGD(0.5), net, epochs=2)
    assert fetched == [13, net.theta.size] * 3  # losses and parameters, once per epoch
    assert len(brought) - at_first < 10  # data, order and clock once at the start; nothing per epoch or batch
    # gather, layer, the last Z, softmax, loss, delta, two products and two column sums, tick
    assert launches == [11] * 4


def test_bad_input_is_a_one_line_error(monkeypatch):
    wide = Network(Dense(2, 3, "softmax"), seed=0, dtype="float64")
    for call in (wide.forward, lambda X, backend: wide.fit(X, Y, backend=backend), jitnet.sigmoid):
        with pytest.raises(jitnet.Error, match="'cuda' computes in float32, not in float64; use that dtype"):
            call(X, backend="cuda")
    for empty in (np.empty((0, 2)), np.empty((3, 0))):
        with pytest.raises(jitnet.Error, match="X"):
            make().forward(empty, "cuda")
    monkeypatch.setattr(cuda_epoch, "free_memory", lambda: 2048.0)
    net = make()
    expected = r"batch_size 13 needs 2.9 KiB on the GPU, where 2.0 KiB are free; a batch_size of (\d+) fits"
    with pytest.raises(jitnet.Error, match=expected) as caught:
        train(SGD(0.5), net, batch_size=13)
    suggestion = int(re.search(expected, str(caught.value))[1])
    train(SGD(0.5), net, epochs=1, batch_size=suggestion)  # the process and the network still work
    with pytest.raises(jitnet.Error, match=r"batch_size 13 needs (4|5)\.\d KiB"):  # memory for 13 validation samples
        train(SGD(0.5), make(), batch_size=13, validation=(X, Y))
    monkeypatch.setattr(cuda_epoch, "free_memory", lambda: 300.0)
    with pytest.raises(jitnet.Error, match="where 300 bytes are free; take a smaller network, or another backend"):
        train(SGD(0.5))
    with pytest.raises(jitnet.Error, match="runs on one thread"):
        train(SGD(0.5), threads=2)


def test_memory_estimate_includes_the_optimizer_vectors_and_the_numbers_of_each_step(monkeypatch):
    """RMSprop and Momentum store one vector each, and RMSprop also stores five numbers per step in GPU memory."""

    def least(optimizer, batch_size):
        plan = SimpleNamespace(
            X=np.empty((1000, 2)),
            net=make(),
            held_out=None,
            batch_size=batch_size,
            weights=None,
            schedule=None,
            clip_norm=None,
        )
        plan.optimizer = optimizer

        def fits(size):
            monkeypatch.setattr(cuda_epoch, "free_memory", lambda: size / cuda_epoch.SHARE)
            with contextlib.suppress(jitnet.Error):
                return cuda_epoch.rows_at_a_time(plan, 1) == 1000
            return False

        return bisect.bisect(range(1_000_000), False, key=fits)

    for batch_size in (1, 10, 500):
        more = least(RMSprop(0.01), batch_size) - least(Momentum(0.1), batch_size)
        assert more == pytest.approx(4 * 5 * 1000 // batch_size, abs=2)


def test_out_of_memory_on_the_gpu_is_reported(monkeypatch):
    from numba.cuda.cudadrv.driver import CudaAPIError

    def full(array, stream):
        raise CudaAPIError("[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")

    run = backend.get("cuda")
    with monkeypatch.context() as patch:
        patch.setattr(device.cuda, "to_device", full)
        with pytest.raises(jitnet.Error, match=r"the GPU has no memory for 4.0 KiB: .* free; take fewer samples"):
            run.to_device(np.zeros(1024, np.float32))
    assert run.to_host(run.to_device(np.ones(3, np.float32))).tolist() == [1, 1, 1]


def test_arrays_of_any_memory_layout_are_accepted():
    A, B = np.arange(60, dtype=np.float32).reshape(12, 5)[::2], np.arange(20, dtype=np.float32).reshape(4, 5).T
    np.testing.assert_array_equal(jitnet.matmul(A, B, backend="cuda"), A @ B)
    np.testing.assert_array_equal(jitnet.matmul(B.T, A.T, backend="cuda"), B.T @ A.T)
    assert jitnet.matmul(A[:0], B, backend="cuda").shape == (0, 4)
    np.testing.assert_array_equal(jitnet.relu(A[:, ::-2] - 20, backend="cuda"), np.maximum(A[:, ::-2] - 20, 0))
    assert "cuda" in jitnet.backends()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns about overflow
def test_interrupted_or_diverged_training_leaves_finite_parameters():
    net = make()
    before = net.theta.copy()
    _, history = train(SGD(0.5), net, progress=At(press_ctrl_c, batch=2))
    assert (history.stopped, history.epochs) == ("interrupted", 0)
    assert np.isfinite(net.theta).all()
    assert not np.array_equal(net.theta, before)
    wild = Network(Dense(2, 4, "relu"), Dense(4, 1), seed=0)
    with pytest.raises(jitnet.Diverged, match="lower the learning rate"):
        wild.fit(X * 1e4, Y[:, None] + 1e6, epochs=9, batch_size=5, optimizer=SGD(1e9), loss="mse", backend="cuda")
    assert np.isfinite(wild.theta).all()


@release
@pytest.mark.parametrize("optimizer", [Adam(0.01)], ids=repr)
def test_single_steps_give_the_same_bits_as_fit(optimizer):
    """The optimizer's state lasts between steps and can be loaded into another network; the graph names GPU rungs."""
    net, _ = train(optimizer, shuffle=False)
    other, third = make(), make()
    for _ in range(2):
        losses = [
            other.step(X[rows], Y[rows], optimizer, backend="cuda") for rows in (slice(5), slice(5, 10), slice(10, 13))
        ]
    assert net.theta.tobytes() == other.theta.tobytes()
    assert np.isfinite(losses).all()
    third.load_state_dict(other.state_dict())
    for one in (other, third):
        one.step(X, Y, optimizer, backend="cuda")
    assert third.theta.tobytes() == other.theta.tobytes() != net.theta.tobytes()
    for operation in net.graph(backend="cuda", optimizer=optimizer).operations:
        assert backend.get("cuda").kernels[operation.operation].__name__
        assert operation.rung in ("pipelined", "rows", "elements")
