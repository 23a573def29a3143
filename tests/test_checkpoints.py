"""Checkpoints: a run that was stopped in any way resumes with the same bits."""

import copy
import subprocess
import sys
import warnings

import numpy as np
import pytest
from runs import OPTIMIZERS, make, overfit, spiral

import jitnet
from jitnet import Adam, Momentum, StepDecay, storage


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
    again = make(seed=99)  # other initial weights: the file must replace them
    again.seed = seed
    resumed = again.fit(X, y, epochs=9, seed=11, checkpoint=path, resume=True, **options)
    assert again.theta.tobytes() == whole.theta.tobytes()
    assert resumed.loss == history.loss
    assert resumed.validation_loss == history.validation_loss
    assert resumed.best_epoch == history.best_epoch
    assert [file.name for file in tmp_path.iterdir()] == ["run.ckpt"]


def test_fewer_epochs_than_already_trained_is_an_error(tmp_path):
    make().fit(*spiral(), epochs=3, checkpoint=tmp_path / "c")
    with pytest.raises(ValueError, match="has 3 epochs already, more than epochs=2; increase epochs"):
        make().fit(*spiral(), epochs=2, checkpoint=tmp_path / "c", resume=True)


def test_resuming_uses_the_random_seed_of_the_first_run(tmp_path):
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
    history = net.fit(X, y, epochs=3, checkpoint=path2, resume=True)  # already trained for 3 epochs
    assert history.epochs == 3
    assert net.theta.tobytes() == once.tobytes()


def test_resuming_after_early_stopping_trains_no_more(tmp_path):
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


@pytest.mark.slow  # five processes; the tests above resume runs that ended normally
def test_killed_run_resumes_to_the_same_bits(tmp_path):
    """SIGKILL ends a real process repeatedly, until a run finishes."""
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


def test_checkpoint_of_a_different_run_is_refused(tmp_path):
    X, y = spiral()
    path = tmp_path / "run.ckpt"
    make().fit(X, y, epochs=1, checkpoint=path)
    other_data = X.copy()
    other_data[5, 1] += 1
    for change, said in [
        ({"batch_size": 7}, "batch_size was 32, is 7"),
        ({"optimizer": "adam"}, "optimizer was sgd, is adam; use the same, or start again without resume$"),
        ({"optimizer": jitnet.SGD(0.01)}, "another run: lr of optimizer was 0.1, is 0.01; use the same, or start"),
        ({"optimizer": jitnet.SGD(0.01, 0.5)}, "was 0.1, is 0.01; weight_decay of optimizer was 0.0, is 0.5; use"),
        ({"schedule": StepDecay(2)}, "schedule was None, is {'name': 'StepDecay', 'every': 2, 'factor': 0.1}; use"),
        ({"seed": 4}, "seed was 3, is 4"),
        ({"X": other_data}, "the data are different, or split differently"),
        ({"net": make("float64")}, "dtype was float32, is float64"),
        ({"net": make(widths=(2, 18, 3))}, r"run: layer 0 was \[2, 17, .*\], is \[2, 18, .*\]; layer 1 was \["),
        ({"net": make(widths=(2, 9, 17, 3))}, r"layers was \[\["),
        ({"loss": "mse"}, "loss was cross_entropy, is mse"),
    ]:  # fmt: skip
        options = {"net": make(), "X": X, **change}
        net, data = options.pop("net"), options.pop("X")
        before = net.theta.copy()
        with pytest.raises(ValueError, match=said):
            net.fit(data, y, epochs=2, checkpoint=path, resume=True, **options)
        assert net.theta.tobytes() == before.tobytes()
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*none to continue; make the first run without"):
        make().fit(X, y, epochs=2, checkpoint=tmp_path / "none", resume=True)
    with pytest.raises(ValueError, match=r"there is none in memory.*; fit without resume, or name its checkpoint"):
        make().fit(X, y, epochs=2, resume=True)


def test_damaged_checkpoint_is_refused_and_changes_nothing(tmp_path):

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


def test_checkpoint_replaces_no_other_kind_of_file(tmp_path):
    X, y = spiral()
    path = tmp_path / "thesis.csv"
    path.write_text("precious")
    with pytest.raises(ValueError, match=r"thesis\.csv would be replaced by a checkpoint, but .* name another file"):
        make().fit(X, y, checkpoint=path)
    assert path.read_text() == "precious"
    make().save(tmp_path / "m.npz")
    with pytest.raises(ValueError, match="is not a jitnet checkpoint, but 'jitnet model'"):
        make().fit(X, y, checkpoint=tmp_path / "m.npz")


def test_replacing_a_checkpoint_is_a_warning_in_the_line_that_calls_fit(tmp_path):
    data, path = spiral(), tmp_path / "c"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make().fit(*data, epochs=2, checkpoint=path)
        make().fit(*data, epochs=5, checkpoint=path, resume=True)
        (tmp_path / "empty").touch()
        make().fit(*data, epochs=1, checkpoint=tmp_path / "empty")
    with pytest.warns(UserWarning, match=r"replaces the checkpoint of 5 epochs in .*; add resume to") as given:
        make().fit(*data, epochs=1, checkpoint=path)
    assert [warning.filename for warning in given] == [__file__]
    with pytest.warns(UserWarning, match="of 1 epoch in"):
        make().fit(*data, epochs=1, checkpoint=path)
    about, arrays = storage.read(path, "checkpoint")
    storage.write(path, "checkpoint", {**about, "history": None}, arrays)
    make().fit(*data, epochs=1, checkpoint=path)


def test_refused_call_changes_nothing(tmp_path):
    X, y = spiral()
    path = tmp_path / "c"
    make(seed=3).fit(X, y, epochs=1, checkpoint=path)
    net = make(seed=3)
    before = net.theta.copy()
    with pytest.raises(ValueError, match="threads is 999"):
        net.fit(X, y, epochs=2, checkpoint=path, resume=True, threads=999)
    assert net.theta.tobytes() == before.tobytes()
    assert net.loss is None


def test_checkpoints_are_written_every_third_epoch_and_at_the_end(tmp_path):
    """checkpoint_every=3: after every third epoch, after the last one, and at no other time."""
    path, seen = tmp_path / "c", []

    class Looking(jitnet.Progress):
        def epoch(self, history, epochs):
            written = len(storage.read(path, "checkpoint")[0]["history"]["loss"]) if path.exists() else 0
            seen.append(written)

    make().fit(*spiral(), epochs=8, checkpoint=path, checkpoint_every=3, progress=Looking())
    assert seen == [0, 0, 0, 3, 3, 3, 6, 6]
    assert len(storage.read(path, "checkpoint")[0]["history"]["loss"]) == 8
