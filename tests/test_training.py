"""fit: the same bits for the same seed, history, early stopping, checkpoints, interruption, divergence."""

import copy
import math
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise

import numba
import numpy as np
import pytest

import jitnet
from jitnet import SGD, Adam, Dense, Momentum, Network
from jitnet.progress import Progress
from jitnet.training import _order

OPTIMIZERS = [SGD(0.5, weight_decay=1e-3), Momentum(0.1), Momentum(0.1, nesterov=True), Adam(0.01, weight_decay=1e-4)]


def spiral(n=97, seed=0):
    """Three arms, two coordinates; n is a prime, so the last batch is a short one."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0.2, 1, n)
    y = np.arange(n) % 3
    angle = 4 * t + 2 * np.pi / 3 * y
    return np.c_[t * np.cos(angle), t * np.sin(angle)], y


def make(dtype="float32", seed=3, widths=(2, 17, 3)):
    hidden = [Dense(n, p, "tanh") for n, p in pairwise(widths[:-1])]
    return Network(*hidden, Dense(widths[-2], widths[-1], "softmax"), seed=seed, dtype=dtype)


@pytest.mark.parametrize("backend", jitnet.backends())
def test_learns(backend):
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
def test_a_network_goes_on_training_on_any_backend(optimizer):
    """Each back end continues from where the one before left off; all end up within rounding of one another."""
    X, y = spiral()
    ends = []
    for first in ("njit", "numpy"):
        net = make("float64")
        for backend in (first, "parallel", "fast", "numpy"):
            net.fit(X, y, epochs=3, batch_size=10, optimizer=optimizer, backend=backend)
        ends.append(net.theta.copy())
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("backend", ["njit", "parallel", "fast"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="this process has one thread")
def test_same_seed_same_bits_for_one_thread_and_two(backend, dtype):
    """Wide enough that the products of `fast` use their threads, with sizes that do not divide evenly."""
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
    orders = [_order(50, epoch, 7, True) for epoch in range(5)]
    for order in orders:
        assert sorted(order) == list(range(50))
    assert len({order.tobytes() for order in orders}) == 5
    np.testing.assert_array_equal(_order(50, 3, 7, True), orders[3])
    np.testing.assert_array_equal(_order(4, 3, 7, False), range(4))


def test_every_sample_is_seen_once_an_epoch_the_short_batch_included():
    """With lr so small that nothing moves, the mean loss of an epoch is the mean over all samples."""
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
    spaces = dict(net._workspaces)
    assert set(spaces) == {10, 7}
    net.fit(X, y, epochs=2, batch_size=10)
    assert all(net._workspaces[m] is space for m, space in spaces.items())


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


# Early stopping


def overfit():
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((60, 8)), rng.integers(0, 2, 60)  # nothing to learn but the noise
    return (X[:40], y[:40]), (X[40:], y[40:])


def test_early_stopping_restores_the_best_weights():
    train, held_out = overfit()
    net = make(widths=(8, 30, 2))
    history = net.fit(*train, epochs=500, optimizer=Adam(0.01), validation=held_out, early_stopping=5)
    assert history.stopped == "early"
    assert history.epochs == history.best_epoch + 5 < 500
    best = min(history.validation_loss)
    assert history.validation_loss[history.best_epoch - 1] == best < history.validation_loss[-1]
    assert net.evaluate(*held_out)["loss"] == best


def test_early_stopping_keeps_the_best_when_epochs_run_out():
    train, held_out = overfit()
    net = make(widths=(8, 30, 2))
    history = net.fit(*train, epochs=60, optimizer=Adam(0.02), validation=held_out, early_stopping=1000)
    assert history.stopped == ""
    assert net.evaluate(*held_out)["loss"] == min(history.validation_loss)


# Checkpoints


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("seed", [3, None])
def test_resuming_gives_the_same_bits(tmp_path, optimizer, seed):
    X, y = spiral()
    options = {"batch_size": 10, "optimizer": optimizer, "validation": (X[:20], y[:20]), "early_stopping": 50}
    whole, path = make(seed=3), tmp_path / "run.ckpt"
    whole.seed = seed
    history = whole.fit(X, y, epochs=9, seed=11, **options)
    part = make(seed=3)
    part.seed = seed
    part.fit(X, y, epochs=4, seed=11, checkpoint=path, checkpoint_every=2, **options)
    again = make(seed=99)  # another start: all that counts is in the file
    again.seed = seed
    resumed = again.fit(X, y, epochs=9, seed=11, checkpoint=path, resume=True, **options)
    assert again.theta.tobytes() == whole.theta.tobytes()
    assert resumed.loss == history.loss
    assert resumed.validation_loss == history.validation_loss
    assert resumed.best_epoch == history.best_epoch
    assert [file.name for file in tmp_path.iterdir()] == ["run.ckpt"]


def test_fewer_epochs_than_there_are_is_an_error(tmp_path):
    make().fit(*spiral(), epochs=3, checkpoint=tmp_path / "c")
    with pytest.raises(ValueError, match="has 3 epochs already, more than epochs=2; ask for more"):
        make().fit(*spiral(), epochs=2, checkpoint=tmp_path / "c", resume=True)


def test_resuming_remembers_a_seed_that_was_drawn(tmp_path):
    X, y = spiral()
    path = tmp_path / "run.ckpt"
    net = make()
    net.seed = None
    net.fit(X, y, epochs=2, checkpoint=path)
    start = net.theta.copy()
    net.fit(X, y, epochs=3, checkpoint=path, resume=True)
    once = net.theta.copy()
    net.theta[...] = start
    (path2 := tmp_path / "two.ckpt").write_bytes(path.read_bytes())
    history = net.fit(X, y, epochs=3, checkpoint=path2, resume=True)  # nothing left to do
    assert history.epochs == 3
    assert net.theta.tobytes() == once.tobytes()


def test_a_finished_early_stop_stays_finished(tmp_path):
    train, held_out = overfit()
    options = {"optimizer": Adam(0.01), "validation": held_out, "early_stopping": 5, "checkpoint": tmp_path / "c"}
    options["checkpoint_every"] = 7
    net = make(widths=(8, 30, 2))
    history = net.fit(*train, epochs=500, **options)
    theta = net.theta.copy()
    again = make(widths=(8, 30, 2))
    resumed = again.fit(*train, epochs=500, resume=True, **options)
    assert resumed.loss == history.loss
    assert resumed.stopped == "early"
    assert again.theta.tobytes() == theta.tobytes()


def test_a_run_killed_at_any_moment_resumes_to_the_same_bits(tmp_path):
    """A real process, really killed (SIGKILL), again and again, until it gets to the end."""
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, time, numpy as np, jitnet, os\n"
        "from jitnet import *\n"
        "class Slow(jitnet.Progress):\n"
        "    def epoch(self, history, epochs):\n"
        "        print(history.epochs, flush=True); time.sleep(0.02)\n"
        "rng = np.random.default_rng(0)\n"
        "X, y = rng.standard_normal((50, 6)), np.arange(50) % 3\n"
        "net = Network(Dense(6, 9, 'tanh'), Dense(9, 3, 'softmax'), seed=1)\n"
        "path = sys.argv[1]\n"
        "net.fit(X, y, epochs=40, batch_size=8, optimizer=Adam(0.01), backend='numpy', checkpoint=path,\n"
        "        checkpoint_every=3, resume=os.path.exists(path), progress=Slow())\n"
        "net.save(path + '.done')\n"
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run([sys.executable, script, whole], check=True, stdout=subprocess.DEVNULL)
    kills = 0
    while True:
        process = subprocess.Popen([sys.executable, script, broken], stdout=subprocess.PIPE, text=True)
        for line, _ in enumerate(process.stdout, 1):
            if line == 11 and kills < 3:
                process.kill()
                kills += 1
                break
        process.stdout.close()
        if process.wait() == 0:
            break
    assert kills == 3
    ends = [jitnet.load(f"{path}.done").theta.tobytes() for path in (whole, broken)]
    assert ends[0] == ends[1]


def test_checkpoint_of_another_run_is_refused(tmp_path):
    X, y = spiral()
    path = tmp_path / "run.ckpt"
    make().fit(X, y, epochs=1, checkpoint=path)
    other_data = X.copy()
    other_data[5, 1] += 1
    for change, said in [
        ({"batch_size": 7}, "batch_size was 32, is 7"), ({"optimizer": "adam"}, "optimizer was"),
        ({"seed": 4}, "seed was 3, is 4"),
        ({"X": other_data}, "the data are others, or split otherwise"),
        ({"net": make("float64")}, "dtype was float32, is float64"),
        ({"net": make(widths=(2, 18, 3))}, "layers was"), ({"loss": "mse"}, "loss was cross_entropy, is mse"),
    ]:  # fmt: skip
        options = {"net": make(), "X": X, **change}
        net, data = options.pop("net"), options.pop("X")
        before = net.theta.copy()
        with pytest.raises(ValueError, match=said):
            net.fit(data, y, epochs=2, checkpoint=path, resume=True, **options)
        assert net.theta.tobytes() == before.tobytes()
    with pytest.raises(FileNotFoundError):
        make().fit(X, y, epochs=2, checkpoint=tmp_path / "none", resume=True)
    with pytest.raises(ValueError, match="resume needs checkpoint"):
        make().fit(X, y, epochs=2, resume=True)


def test_a_damaged_checkpoint_is_refused_and_changes_nothing(tmp_path):
    from jitnet import storage

    X, y = spiral()
    path = tmp_path / "run.ckpt"
    make().fit(X, y, epochs=1, checkpoint=path, optimizer=Momentum(0.1))
    about, arrays = storage.read(path, "checkpoint")
    for spoil in (
        lambda about, arrays: arrays.pop("theta"), lambda about, arrays: arrays.pop("memory0"),
        lambda about, arrays: about.pop("step"), lambda about, arrays: about.pop("settings"),
        lambda about, arrays: about["history"].update(nonsense=1),
        lambda about, arrays: about["history"].update(loss=["a"]),
        lambda about, arrays: about["history"].update(loss=5),
        lambda about, arrays: about["history"].update(stopped="x"), lambda about, arrays: about.update(settings="abc"),
        lambda about, arrays: about.update(step=-1), lambda about, arrays: about.update(history=[]),
        lambda about, arrays: arrays.update(theta=arrays["theta"] * np.nan),
        lambda about, arrays: arrays.update(theta=arrays["theta"][:-1]),
        lambda about, arrays: arrays.update(memory0=arrays["memory0"].astype("float64")),
    ):  # fmt: skip
        bad_about, bad_arrays = copy.deepcopy(about), dict(arrays)
        spoil(bad_about, bad_arrays)
        storage.write(path, "checkpoint", bad_about, bad_arrays)
        net = make(seed=3)
        before = net.theta.copy()
        with pytest.raises(ValueError, match="incomplete or damaged"):
            net.fit(X, y, epochs=2, checkpoint=path, resume=True, optimizer=Momentum(0.1))
        assert net.theta.tobytes() == before.tobytes()


def test_a_checkpoint_replaces_nothing_else(tmp_path):
    X, y = spiral()
    path = tmp_path / "thesis.csv"
    path.write_text("precious")
    with pytest.raises(ValueError, match=r"thesis\.csv would be replaced by a checkpoint, but .* name another file"):
        make().fit(X, y, checkpoint=path)
    assert path.read_text() == "precious"
    make().save(tmp_path / "m.npz")
    with pytest.raises(ValueError, match="is no jitnet checkpoint, but 'jitnet model'"):
        make().fit(X, y, checkpoint=tmp_path / "m.npz")


def test_nothing_is_changed_by_a_call_that_is_refused(tmp_path):
    X, y = spiral()
    path = tmp_path / "c"
    make(seed=3).fit(X, y, epochs=1, checkpoint=path)
    net = make(seed=3)
    before = net.theta.copy()
    with pytest.raises(ValueError, match="threads is 999"):
        net.fit(X, y, epochs=2, checkpoint=path, resume=True, threads=999)
    assert net.theta.tobytes() == before.tobytes()
    assert net.loss is None


def test_adam_with_a_long_memory_in_float32():
    """1 − beta2 is a difference of nearly equal numbers, and must not be taken in float32."""
    X, y = spiral()
    ends = []
    for dtype in ("float32", "float64"):
        net = make(dtype)
        for layer, start in zip(net.layers, make("float32").layers, strict=True):
            layer.W = start.W
        net.fit(X, y, epochs=5, batch_size=97, shuffle=False, optimizer=Adam(0.01, beta2=0.999999))
        ends.append(np.concatenate([layer.W.ravel() for layer in net.layers]))
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-4, atol=1e-5)


def test_accuracy_is_measured_where_the_validation_has_labels():
    net = Network(Dense(2, 3, "sigmoid"), seed=0)
    X, y = spiral()
    history = net.fit(X, np.eye(3)[y], epochs=2, loss="mse", validation=(X, y))
    assert history.validation_accuracy[-1] == net.evaluate(X, y)["accuracy"]


# Interruption and divergence


class At(Progress):
    """Does something at a given epoch or batch."""

    def __init__(self, action, *, epoch=None, batch=None):
        self.action, self.at_epoch, self.at_batch = action, epoch, batch
        self.batches = 0

    def batch(self, done, total):
        self.batches += 1
        if self.batches == self.at_batch:
            self.action()

    def epoch(self, history, epochs):
        if history.epochs == self.at_epoch:
            self.action()


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)  # let the interpreter notice


def test_ctrl_c_between_epochs_keeps_what_was_learned():
    X, y = spiral()
    net, twin = make(), make()
    history = net.fit(X, y, epochs=10, progress=At(press_ctrl_c, epoch=4))
    assert (history.stopped, history.epochs) == ("interrupted", 4)
    twin.fit(X, y, epochs=4)
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_within_an_epoch_finishes_the_batch():
    X, y = spiral(97)
    net = make()
    start = net.theta.copy()
    display = At(press_ctrl_c, batch=2)
    history = net.fit(X, y, epochs=10, batch_size=10, progress=display)
    assert (history.stopped, history.epochs, display.batches) == ("interrupted", 0, 2)
    assert not np.array_equal(net.theta, start)
    assert np.isfinite(net.theta).all()


def test_ctrl_c_with_early_stopping_keeps_the_best():
    train, held_out = overfit()
    net = make(widths=(8, 30, 2))
    options = {"epochs": 400, "optimizer": Adam(0.01), "validation": held_out, "early_stopping": 300}
    history = net.fit(*train, progress=At(press_ctrl_c, epoch=100), **options)
    assert history.stopped == "interrupted"
    assert net.evaluate(*held_out)["loss"] == min(history.validation_loss)


def test_ctrl_c_while_compiling_changes_nothing():
    net = make()
    before = net.theta.copy()
    display = Progress()
    display.training = lambda done, epochs: press_ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        net.fit(*spiral(), epochs=10, progress=display)
    assert net.theta.tobytes() == before.tobytes()


def test_second_ctrl_c_does_not_wait():
    def twice():
        press_ctrl_c()
        press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        make().fit(*spiral(), epochs=10, progress=At(twice, batch=1))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_fit_works_outside_the_main_thread():
    net = make()
    worker = threading.Thread(target=lambda: net.fit(*spiral(), epochs=2, backend="fast"))
    start = net.theta.copy()
    worker.start()
    worker.join()
    assert not np.array_equal(net.theta, start)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy and of the interpreted loops, on the way to infinity
@pytest.mark.parametrize("backend", jitnet.backends())
def test_divergence_stops_and_restores(backend):
    X, y = np.random.default_rng(0).standard_normal((40, 3)), np.zeros((40, 1))
    net = Network(Dense(3, 4, "relu"), Dense(4, 1), seed=0)
    good = net.theta.copy()
    with pytest.raises(jitnet.Diverged, match=r"diverged in epoch \d+.*lower the learning rate") as caught:
        net.fit(X * 100, y + 1e3, epochs=50, optimizer=SGD(10.0), loss="mse", backend=backend)
    assert np.isfinite(net.theta).all()
    history = caught.value.history
    if history.epochs == 0:
        assert net.theta.tobytes() == good.tobytes()
    assert all(math.isfinite(loss) for loss in history.loss)


def test_divergence_after_good_epochs_keeps_their_weights():
    """Learning goes well for 3 epochs; then somebody spoils a weight."""
    X, y = spiral()
    net, twin = make(), make()

    def spoil():
        kept.append(net.theta.copy())
        net.theta[0] = np.nan

    kept = []
    with pytest.raises(jitnet.Diverged, match=r"epoch 4.*the weights of epoch 3"):
        net.fit(X, y, epochs=10, batch_size=10, progress=At(spoil, batch=31))
    twin.fit(X, y, epochs=3, batch_size=10)
    assert len(kept) == 1
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_interruption_of_a_spoiled_epoch_restores_the_epoch_before():
    X, y = spiral()
    net, twin = make(), make()

    def spoil():
        net.theta[0] = np.nan
        press_ctrl_c()

    history = net.fit(X, y, epochs=10, batch_size=10, progress=At(spoil, batch=12))
    assert (history.stopped, history.epochs) == ("interrupted", 1)
    twin.fit(X, y, epochs=1, batch_size=10)
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_threads_are_put_back():
    before = numba.get_num_threads()
    make().fit(*spiral(), epochs=1, threads=1)
    assert numba.get_num_threads() == before


def test_what_a_display_is_told():
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
