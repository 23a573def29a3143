"""fit: same bits for the same seed, the shorter last batch, work space, history, early stopping."""

import numba
import numpy as np
import pytest
from cases import release, slow
from runs import ON_CPU, OPTIMIZERS, make, overfit, spiral

from jitnet import SGD, Adam, Dense, Network
from jitnet.process.progress import Progress
from jitnet.step import order_of


@pytest.mark.parametrize("backend", ON_CPU)
def test_every_backend_learns(backend):
    X, y = spiral()
    net = make()
    epochs = 20 if backend == "python" else 200
    history = net.fit(X, y, epochs=epochs, batch_size=16, optimizer=Adam(0.02), backend=backend, validation=(X, y))
    assert history.epochs == len(history.validation_loss) == len(history.validation_accuracy) == epochs
    assert len(history.seconds) == epochs
    assert history.stopped == ""
    assert history.loss[-1] < history.loss[0] / 2 if epochs == 200 else history.loss[-1] < history.loss[0]
    measured = net.evaluate(X, y)
    assert history.validation_loss[-1] == pytest.approx(measured["loss"], rel=1e-4)
    assert measured["accuracy"] == np.mean(net.predict(X) == y)
    if backend != "python":
        assert measured["accuracy"] > 0.9


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_network_goes_on_training_on_any_backend(optimizer):
    """Each backend continues the training of the previous one; the results are the same within rounding errors."""
    X, y = spiral()
    ends = []
    for first in ("njit", "numpy"):
        net = make("float64")
        for backend in (first, "parallel", "fast", "numpy"):
            net.fit(X, y, epochs=3, batch_size=10, optimizer=optimizer, backend=backend)
        ends.append(net.theta.copy())
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("dtype", "backend"), [
    (dtype, backend) if (dtype, backend) == ("float32", "fast") else
    (release if (dtype, backend) == ("float64", "parallel") else slow)(dtype, backend)
    for dtype in ("float32", "float64") for backend in ("njit", "parallel", "fast")
])  # fmt: skip
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="this process has one thread")
def test_same_seed_same_bits_for_one_thread_and_two(backend, dtype):
    """The layers are large enough for threads in `fast`, and their sizes do not divide evenly."""
    X = np.random.default_rng(0).standard_normal((331, 67))
    y = np.arange(331) % 5
    ends = []
    for threads in (1, 2, 2):
        for optimizer in OPTIMIZERS:
            net = make(dtype, widths=(67, 129, 71, 5))
            count = None if backend == "njit" else threads
            history = net.fit(X, y, epochs=2, batch_size=111, optimizer=optimizer, backend=backend, threads=count)
            ends.append(
                (threads, optimizer, net.theta.tobytes(), tuple(history.loss), net.forward(X, backend).tobytes())
            )
    for optimizer in OPTIMIZERS:
        results = {end[2:] for end in ends if end[1] == optimizer}
        assert len(results) == 1, optimizer


def test_different_seeds_differ():
    X, y = spiral()
    thetas = set()
    for seed in (0, 1, 2):
        net = make(seed=seed)
        net.fit(X, y, epochs=1)
        thetas.add(net.theta.tobytes())
    assert len(thetas) == 3
    drawn = {Network(Dense(3, 2)).theta.tobytes() for _ in range(3)}  # seed=None
    assert len(drawn) == 3


def test_shuffling_permutes_every_epoch():
    orders = [order_of(50, epoch, 7, True) for epoch in range(5)]
    for order in orders:
        assert sorted(order) == list(range(50))
    assert len({order.tobytes() for order in orders}) == 5
    np.testing.assert_array_equal(order_of(50, 3, 7, True), orders[3])
    np.testing.assert_array_equal(order_of(4, 3, 7, False), range(4))


def test_every_sample_is_used_once_per_epoch():
    """lr is so small that the weights do not change, so the mean loss of an epoch is that of all samples."""
    X, y = spiral(97)
    net = make("float64")
    before = net.evaluate(X, y)["loss"]
    for batch_size in (1, 10, 96, 97, 1000):
        history = net.fit(X, y, epochs=1, batch_size=batch_size, optimizer=SGD(1e-300))
        assert history.loss[0] == pytest.approx(before, rel=1e-12)


def test_without_shuffling_one_batch_is_plain_gradient_descent():
    X, y = spiral(31)
    net, twin = make("float64"), make("float64")
    net.fit(X, y, epochs=3, batch_size=31, optimizer=SGD(0.3), shuffle=False)
    for _ in range(3):
        _, grads = twin.gradients(X, y)
        for layer, grad in zip(twin.layers, grads, strict=True):
            layer.W, layer.b = layer.W - 0.3 * grad.dW, layer.b - 0.3 * grad.db
    np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-12, atol=1e-14)


def test_work_space_is_allocated_once_per_batch_size():
    X, y = spiral(97)
    net = make()
    net.fit(X, y, epochs=1, batch_size=10)
    (twin,) = net._twins
    spaces = dict(twin._workspaces)
    assert set(spaces) == {10, 7}
    net.fit(X, y, epochs=2, batch_size=10)
    assert net._twins == [twin]
    assert all(twin._workspaces[m] is space for m, space in spaces.items())


def test_parameters_are_views_of_one_aligned_vector():
    net = Network(Dense(5, 3), Dense(3, 10, bias=False), Dense(10, 1), seed=0)
    assert net.parameters == 5 * 3 + 3 + 30 + 10 + 1
    for layer in net.layers:
        for view, flat in ((layer.W, net.theta), (layer.dW, net.grad), (layer.b, net.theta), (layer.db, net.grad)):
            if view is not None:
                assert np.shares_memory(view, flat)
                assert view.ctypes.data % 64 == 0
                assert view.flags.c_contiguous
    net.theta[...] = 2
    assert (net.layers[2].W == 2).all()
    net.layers[0].W = np.zeros((5, 3))
    assert (net.theta == 0).sum() == 15
    with pytest.raises(ValueError, match=r"W has shape \(5, 3\), but was given \(3, 5\)"):
        net.layers[0].W = np.zeros((3, 5))
    with pytest.raises(ValueError, match="bias=False"):
        net.layers[1].b = np.zeros(10)
    with pytest.raises(ValueError, match="no parameters yet"):
        Dense(3, 2).W  # noqa: B018


def test_early_stopping_restores_the_best_weights():
    train, held_out = overfit()
    net = make(widths=(8, 30, 2))
    history = net.fit(*train, epochs=500, optimizer=Adam(0.01), validation=held_out, early_stopping=5)
    assert history.stopped == "early"
    assert history.epochs == history.best_epoch + 5 < 500
    best = min(history.validation_loss)
    assert history.validation_loss[history.best_epoch - 1] == best < history.validation_loss[-1]
    assert net.evaluate(*held_out)["loss"] == best


def test_early_stopping_restores_the_best_weights_at_the_last_epoch():
    train, held_out = overfit()
    net = make(widths=(8, 30, 2))
    history = net.fit(*train, epochs=60, optimizer=Adam(0.02), validation=held_out, early_stopping=1000)
    assert history.stopped == ""
    assert net.evaluate(*held_out)["loss"] == min(history.validation_loss)


def test_adam_with_beta2_close_to_1_in_float32():
    """1 − beta2 is a difference of nearly equal numbers, and must not be computed in float32."""
    X, y = spiral()
    ends = []
    for dtype in ("float32", "float64"):
        net = make(dtype)
        for layer, start in zip(net.layers, make("float32").layers, strict=True):
            layer.W = start.W
        net.fit(X, y, epochs=5, batch_size=97, shuffle=False, optimizer=Adam(0.01, beta2=0.999999))
        ends.append(np.concatenate([layer.W.ravel() for layer in net.layers]))
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-4, atol=1e-5)


def test_accuracy_is_measured_if_the_validation_has_labels():
    net = Network(Dense(2, 3, "sigmoid"), seed=0)
    X, y = spiral()
    history = net.fit(X, np.eye(3)[y], epochs=2, loss="mse", validation=(X, y))
    assert history.validation_accuracy[-1] == net.evaluate(X, y)["accuracy"]


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
def test_given_number_of_threads_is_set_during_training():
    seen = []
    for threads in (1, 2):
        make().fit(*spiral(), epochs=1, threads=threads, callbacks=lambda *_: seen.append(numba.get_num_threads()))
    assert seen == [1, 2]


def test_number_of_threads_is_put_back():
    before = numba.get_num_threads()
    make().fit(*spiral(), epochs=1, threads=1)
    assert numba.get_num_threads() == before


def test_display_gets_the_events_in_order():
    heard = []

    class Listener(Progress):
        def training(self, done, epochs):
            heard.append(("training", done, epochs))

        def batch(self, done, total):
            heard.append(("batch", done, total))

        def epoch(self, history, epochs):
            heard.append(("epoch", history.epochs, epochs))

    make().fit(*spiral(97), epochs=2, batch_size=50, progress=Listener())
    one = [("batch", 50, 97), ("batch", 97, 97)]
    assert heard == [("training", 0, 2), *one, ("epoch", 1, 2), *one, ("epoch", 2, 2)]
