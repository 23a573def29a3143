"""^C and divergence keep or restore the last good weights."""

import math
import signal
import threading

import numpy as np
import pytest
from runs import ON_CPU, At, make, overfit, press_ctrl_c, spiral

import jitnet
from jitnet import SGD, Adam, Dense, Network, storage
from jitnet.cli import train
from jitnet.display import plots
from jitnet.process.progress import Progress


def test_ctrl_c_between_epochs_keeps_the_weights():
    X, y = spiral()
    net, twin = make(), make()
    history = net.fit(X, y, epochs=10, progress=At(press_ctrl_c, epoch=4))
    assert (history.stopped, history.epochs) == ("interrupted", 4)
    twin.fit(X, y, epochs=4)
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_in_the_last_epoch_has_no_effect():
    history = make().fit(*spiral(), epochs=4, progress=At(press_ctrl_c, epoch=4))
    assert (history.stopped, history.epochs) == ("", 4)


def test_ctrl_c_between_epochs_leaves_a_checkpoint_of_the_finished_epoch(tmp_path):
    options = {"epochs": 9, "checkpoint": tmp_path / "c", "checkpoint_every": 4}
    history = make().fit(*spiral(), progress=At(press_ctrl_c, epoch=2), **options)
    assert (history.stopped, history.epochs) == ("interrupted", 2)
    net, twin = make(), make()
    assert net.fit(*spiral(), resume=True, **options).epochs == 9
    twin.fit(*spiral(), epochs=9)
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_ctrl_c_within_an_epoch_keeps_the_previous_checkpoint(tmp_path):
    """A run could not resume from the middle of an epoch with the same bits."""
    options = {"epochs": 3, "batch_size": 10, "checkpoint": tmp_path / "c"}
    history = make().fit(*spiral(97), progress=At(press_ctrl_c, batch=12), **options)
    assert (history.stopped, history.epochs) == ("interrupted", 1)
    net, twin = make(), make()
    net.fit(*spiral(97), resume=True, **options)
    twin.fit(*spiral(97), epochs=3, batch_size=10)
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_ctrl_c_while_a_checkpoint_is_written_takes_effect_afterwards(tmp_path, monkeypatch):
    write = storage.write

    def interrupted(*arguments):
        press_ctrl_c()
        write(*arguments)

    monkeypatch.setattr(storage, "write", interrupted)
    history = make().fit(*spiral(), epochs=9, checkpoint=tmp_path / "c", checkpoint_every=3)
    assert (history.stopped, history.epochs) == ("interrupted", 3)
    assert len(storage.read(tmp_path / "c", "checkpoint")[0]["history"]["loss"]) == 3


def test_ctrl_c_within_an_epoch_finishes_the_batch():
    X, y = spiral(97)
    net = make()
    start = net.theta.copy()
    display = At(press_ctrl_c, batch=2)
    history = net.fit(X, y, epochs=10, batch_size=10, progress=display)
    assert (history.stopped, history.epochs, display.batches) == ("interrupted", 0, 2)
    assert not np.array_equal(net.theta, start)
    assert np.isfinite(net.theta).all()


def test_ctrl_c_with_early_stopping_restores_the_best_weights():
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


def test_second_ctrl_c_ends_the_batch_immediately():
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


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy and interpreted loops warn about overflow
@pytest.mark.parametrize("backend", ON_CPU)
def test_divergence_stops_and_restores_the_weights(backend):
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


def test_divergence_restores_the_weights_of_the_last_good_epoch():
    """A weight becomes NaN after 3 good epochs."""
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


def test_interrupt_in_a_diverged_epoch_restores_the_previous_epoch():
    X, y = spiral()
    net, twin = make(), make()

    def spoil():
        net.theta[0] = np.nan
        press_ctrl_c()

    history = net.fit(X, y, epochs=10, batch_size=10, progress=At(spoil, batch=12))
    assert (history.stopped, history.epochs) == ("interrupted", 1)
    twin.fit(X, y, epochs=1, batch_size=10)
    assert net.theta.tobytes() == twin.theta.tobytes()


@pytest.mark.parametrize("early_stopping", [None, 2])
def test_infinite_validation_loss_stops_and_restores_the_weights(early_stopping):
    """Otherwise early stopping would treat NaN as a lack of progress and end without an error."""
    X, y = spiral()
    far = X[:9].astype("float32")
    far[5] = 3e38
    net = Network(Dense(2, 4), Dense(4, 3, "softmax"), seed=0)
    net.layers[0].W = np.full((2, 4), 2)
    before = net.theta.copy()
    message = (
        r"diverged in epoch 1: on the validation samples the loss for X\[5\] is (nan|inf).*the start were restored"
    )
    with pytest.raises(jitnet.Diverged, match=message) as caught:
        net.fit(X, y, epochs=5, validation=(far, y[:9]), early_stopping=early_stopping, optimizer=SGD(1.0))
    assert caught.value.history.epochs == 0
    assert net.theta.tobytes() == before.tobytes()


def test_ctrl_c_while_the_model_is_saved_takes_effect_afterwards(tmp_path, capsys):
    net, file = make(), tmp_path / "net.npz"
    save = net.save
    net.save = lambda path: (press_ctrl_c(), save(path))
    with pytest.raises(KeyboardInterrupt):
        train._save(net, str(file))
    assert capsys.readouterr().err == f"jitnet: the model is in {file}\n"
    assert jitnet.load(file).parameters == net.parameters


def test_other_errors_in_validation_are_not_divergence(monkeypatch):
    """A GPU without memory for the validation samples is not divergence."""

    def measure(*_, **options):
        raise jitnet.Error("the GPU has no room")

    X, y = spiral()
    monkeypatch.setattr(Network, "measure", measure)
    with pytest.raises(jitnet.Error, match=r"^the GPU has no room$") as caught:
        Network(Dense(2, 3, "softmax"), seed=0).fit(X, y, epochs=2, validation=(X, y))
    assert type(caught.value) is jitnet.Error


def test_ctrl_c_while_a_path_is_tested_leaves_no_file(monkeypatch, tmp_path):
    created = storage._created

    def interrupted(*arguments):
        file = created(*arguments)
        press_ctrl_c()
        return file

    monkeypatch.setattr(storage, "_created", interrupted)
    with pytest.raises(KeyboardInterrupt):
        storage.check_writable(tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_a_plot_is_drawn_takes_effect_afterwards(tmp_path):
    """During C++ code it would become a TypeError."""

    class Figure:
        def savefig(self, file, **_):
            file.write(b"half")
            press_ctrl_c()
            file.write(b" and half")

    with pytest.raises(KeyboardInterrupt):
        plots.write(Figure(), tmp_path / "plot.png")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"half and half"]
