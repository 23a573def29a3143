"""The command line, through real processes."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_data import idx_bytes, write_mnist

import jitnet
from jitnet import cli, commands, progress

JITNET = [sys.executable, "-m", "jitnet"]


def jitnet_command(*arguments, status=0, **environment):
    result = subprocess.run(
        [*JITNET, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert result.returncode == status, (result.stdout, result.stderr)
    assert "\x1b" not in result.stdout + result.stderr  # no control characters where nobody looks at a terminal
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A CSV with names for labels and columns on very different scales."""
    path = tmp_path_factory.mktemp("table") / "fruit.csv"
    rng = np.random.default_rng(0)
    rows = ["weight,species,redness"]
    for i in range(200):
        species = ("cherry", "apple")[i % 2]
        weight = rng.normal(8, 1) if species == "cherry" else rng.normal(150, 20)
        rows.append(f"{weight:.3f},{species},{rng.uniform() * 1e-3:.6f}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    path = tmp_path_factory.mktemp("numbers") / "line.csv"
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 2))
    y = 1000 + 300 * X[:, 0] - 100 * X[:, 1]
    path.write_text("".join(f"{a},{b},{c}\n" for (a, b), c in zip(X, y, strict=True)))
    return path


@pytest.mark.parametrize("seed", range(5))
def test_digits_with_default_settings(seed):
    result = json.loads(jitnet_command("train", "digits", "--seed", seed, "--json").stdout)
    assert result["test_accuracy"] >= 0.97
    assert result["samples"] == {"train": 1438, "test": 359}
    assert (result["backend"], result["epochs"], result["task"]) == ("fast", 30, "classification")
    assert {"train_loss", "test_loss", "seconds", "compile_seconds", "network", "parameters"} <= set(result)


def test_digits_in_words(tmp_path):
    plot, model = tmp_path / "loss.png", tmp_path / "m.npz"
    result = jitnet_command("train", "digits", "--save", model, "--plot", plot, "--epochs", "12")
    assert re.search(r"test accuracy 9\d\.\d\d% \(3\d\d of 359\), test loss 0\.\d+, after 12 epochs", result.stdout)
    assert f"jitnet predict {model} digits\n" in result.stdout
    predicted = jitnet_command("predict", model, "digits")
    assert len(predicted.stdout.split()) == 1797
    assert re.fullmatch(r"1797 rows, accuracy 9\d\.\d\d%\n", predicted.stderr)
    assert re.search(r"epoch 12/12  loss \d\.\d{4}  validation loss \d\.\d{4}  accuracy 9\d\.\d%", result.stderr)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert jitnet.load(model).layers[0].n_in == 64
    quiet = jitnet_command("train", "digits", "--quiet", "--epochs", "1")
    assert quiet.stderr == ""


def test_compiling_is_shown_once(tmp_path):
    folder = {"JITNET_CACHE_DIR": str(tmp_path)}
    arguments = "train", "digits", "--backend", "njit", "--hidden", "8", "--epochs", "1"
    cold = jitnet_command(*arguments, **folder)
    assert re.search(r"compiling \d+ kernels, once per machine", cold.stderr)
    assert re.search(r"compiled \d+ kernels", cold.stderr)
    assert "compil" not in jitnet_command(*arguments, **folder).stderr


@pytest.mark.parametrize("backend", ["python", "njit", "parallel", "fast", "numpy"])
def test_every_backend_and_option(backend, tmp_path):
    arguments = ["train", "digits", "--backend", backend, "--epochs", "2", "--hidden", "6,5", "--activation", "tanh"]
    arguments += [
        "--optimizer",
        "momentum",
        "--lr",
        "0.1",
        "--weight-decay",
        "0",
        "--batch-size",
        "50",
        "--dtype",
        "float64",
    ]
    result = json.loads(jitnet_command(*arguments, "--json").stdout)
    assert (result["network"], result["epochs"], result["backend"]) == ("64-6-5-10", 2, backend)
    again = json.loads(jitnet_command(*arguments, "--json", "--threads", "1").stdout)
    assert again["train_loss"] == result["train_loss"]


def test_table_with_names(table, tmp_path):
    model = tmp_path / "m.npz"
    result = json.loads(jitnet_command("train", table, "--target", "species", "--save", model, "--json").stdout)
    assert result["test_accuracy"] == 1
    assert result["samples"] == {"train": 160, "test": 40}
    new = tmp_path / "new.csv"
    new.write_text("redness,weight\n0.0005,7.5\n0.0005,140\n0.0001,160\n")
    predicted = jitnet_command("predict", model, new)
    assert predicted.stdout.split() == ["cherry", "apple", "apple"]
    assert predicted.stderr == "3 rows\n"
    out = tmp_path / "answers.txt"
    assert jitnet_command("predict", model, new, "--out", out, "--quiet").stdout == ""
    assert out.read_text().split() == ["cherry", "apple", "apple"]
    judged = json.loads(jitnet_command("predict", model, table, "--json").stdout)
    assert judged["accuracy"] == 1
    assert len(judged["predictions"]) == 200


def test_table_without_header_regression(numbers, tmp_path):
    model = tmp_path / "m.npz"
    arguments = ["train", numbers, "--target", "3", "--save", model, "--epochs", "60"]
    result = json.loads(jitnet_command(*arguments, "--json").stdout)
    assert result["task"] == "regression"
    assert result["test_r2"] > 0.99
    assert result["test_rmse"] < 20  # of a target that spreads over 800
    words = jitnet_command(*arguments).stdout
    assert re.search(r"test RMSE \d+\.?\d*, R² [01]\.\d{3},", words)
    new = tmp_path / "new.csv"
    new.write_text("0,0\n1,0\n")
    answers = [float(line) for line in jitnet_command("predict", model, new).stdout.split()]
    np.testing.assert_allclose(answers, [1000, 1300], atol=30)
    judged = json.loads(jitnet_command("predict", model, numbers, "--json").stdout)
    assert judged["rmse"] < 20


def test_task_can_be_chosen(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(40)))
    for task, key in (("classification", "test_accuracy"), ("regression", "test_rmse")):
        result = jitnet_command("train", path, "--target", "y", "--task", task, "--epochs", "2", "--json")
        assert key in json.loads(result.stdout)


def test_npz_and_pictures(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 3))
    np.savez(tmp_path / "d.npz", X=X, y=np.where(X[:, 0] > 0, "up", "down"))
    model = tmp_path / "m.npz"
    result = json.loads(jitnet_command("train", tmp_path / "d.npz", "--save", model, "--json").stdout)
    assert result["test_accuracy"] > 0.8
    np.savez(tmp_path / "new.npz", X=[[5, 0, 0], [-5, 0, 0]])
    assert jitnet_command("predict", model, tmp_path / "new.npz").stdout.split() == ["up", "down"]

    for compress in (True, False):
        folder = write_mnist(tmp_path / f"m{compress}", train=60, compress=compress)
        images = folder / ("train-images-idx3-ubyte" + (".gz" if compress else ""))
        options = "--epochs", "30", "--hidden", "16", "--save", model, "--json"
        result = json.loads(jitnet_command("train", images, *options).stdout)
        assert result["samples"] == {"train": 48, "test": 12}
        judged = json.loads(jitnet_command("predict", model, images, "--labels", images.with_name(
            images.name.replace("images-idx3", "labels-idx1")), "--json").stdout)  # fmt: skip
        assert len(judged["predictions"]) == 60
        assert judged["accuracy"] > 0.5  # most of these sixty were learned by heart
        assert set(judged["predictions"]) <= set("0123456789")
        result = json.loads(jitnet_command("train", "mnist", "--path", folder, *options).stdout)
        assert result["samples"] == {"train": 60, "test": 10}


def test_early_stopping_keeps_a_part_of_the_training_samples_aside():
    arguments = "train", "digits", "--early-stopping", "3", "--epochs", "200"
    result = json.loads(jitnet_command(*arguments, "--json").stdout)
    assert result["stopped"] == "early"
    assert result["epochs"] < 200
    assert result["samples"] == {"train": 1150, "test": 359}
    assert "stopped early; the weights are those of epoch" in jitnet_command(*arguments).stdout


def test_resume_gives_the_same_model(tmp_path):
    checkpoint, options = tmp_path / "c", ["train", "digits", "--hidden", "20", "--json"]
    jitnet_command(*options, "--epochs", "6", "--save", tmp_path / "whole.npz")
    jitnet_command(*options, "--epochs", "3", "--checkpoint", checkpoint, "--checkpoint-every", "2")
    result = jitnet_command(
        *options, "--epochs", "6", "--checkpoint", checkpoint, "--resume", "--save", tmp_path / "two.npz"
    )
    assert json.loads(result.stdout)["epochs"] == 6
    ends = [jitnet.load(tmp_path / name).theta.tobytes() for name in ("whole.npz", "two.npz")]
    assert ends[0] == ends[1]


def test_ctrl_c_saves_what_was_learned(tmp_path):
    """A real process on a real terminal's terms: SIGINT in the middle of a long training."""
    model = tmp_path / "m.npz"
    process = subprocess.Popen(
        [*JITNET, "train", "digits", "--epochs", "1000000", "--save", model, "--plot", tmp_path / "p.png"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("epoch"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; what was learned so far is kept" in out
    assert "Traceback" not in err
    assert jitnet.load(model).parameters == 17226
    assert (tmp_path / "p.png").exists()


def test_ctrl_c_before_training(tmp_path):
    """While the program waits for its data, here from a pipe that nobody feeds."""
    fifo = tmp_path / "data.csv"
    os.mkfifo(fifo)
    process = subprocess.Popen([*JITNET, "train", fifo, "--target", "y"], stderr=subprocess.PIPE, text=True)
    with fifo.open("w"):  # waits until the process has opened its end
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "jitnet: interrupted\n"


BAD = [
    (["train", "digitz"], "unknown data set 'digitz'; known: digits, mnist, fashion_mnist (did you mean 'digits'?)"),
    (["train", "nothing"], "and there is no file of that name"),
    (["train", "none.csv", "--target", "y"], "there is no file none.csv"),
    (["train", "digits", "--backend", "fst"], "unknown back end 'fst'"),
    (["train", "digits", "--activation", "rleu"], "did you mean 'relu'"),
    (["train", "digits", "--optimizer", "adams"], "did you mean 'adam'"),
    (["train", "digits", "--dtype", "half"], "unknown dtype 'half'"),
    (["train", "digits", "--task", "regresion"], "did you mean 'regression'"),
    (["train", "digits", "--hidden", "64,x"], "--hidden is '64,x', but must be widths such as 64,32, or none"),
    (["train", "digits", "--hidden", "0"], "--hidden is '0'"),
    (["train", "digits", "--epochs", "0"], "epochs is 0"),
    (["train", "digits", "--epochs", "many"], "invalid int value: 'many'"),
    (["train", "digits", "--batch-size", "0"], "batch_size is 0, but must be a whole number, at least 1"),
    (["train", "digits", "--lr", "-1"], "lr is -1.0, but must be a number above 0"),
    (["train", "digits", "--weight-decay", "nan"], "weight_decay is nan"),
    (["train", "digits", "--test", "1.5"], "--test is 1.5"),
    (["train", "digits", "--seed", "-1"], "--seed is -1"),
    (["train", "digits", "--threads", "0"], "threads is 0"),
    (["train", "digits", "--threads", "99999"], "this process can use 1 to"),
    (["train", "digits", "--threads", "2", "--backend", "njit"], "'njit' runs on one thread"),
    (["train", "digits", "--early-stopping", "0"], "early_stopping is 0"),
    (["train", "digits", "--target", "y"], "--target works with a CSV file, not with digits"),
    (["train", "digits", "--labels", "y"], "--labels works with IDX pictures, not with digits"),
    (["train", "digits", "--path", "."], "--path works with mnist and fashion_mnist"),
    (["train", "mnist", "--test", "0.5"], "--test does not work with mnist, which has test samples of its own"),
    (["train", "digits", "--checkpoint-every", "2"], "--checkpoint-every needs --checkpoint FILE"),
    (["train", "digits", "--save", "same", "--plot", "same"], "same is both save and plot; name another file"),
    (["train", "good.csv", "--target", "y", "--save", "good.csv"], "good.csv is both data and save"),
    (["train", "digits", "--save", "/dev/null"], "is no regular file"),
    (["train", "digits", "--checkpoint", "good.csv"], "good.csv would be replaced by a checkpoint, but"),
    (["train", "digits", "--hidden", "10000000000,10000000000"], "not enough memory"),
    (["train", "good.csv", "--target", "y", "--labels", "x"], "labels in a file of their own go with IDX pictures"),
    (["train", "digits", "--weight-decay", "1e60"], "1e+60 is inf in float32"),
    (["predict", "model.npz", "good.csv", "--labels", "x"], "labels in a file of their own go with IDX pictures"),
    (["predict", "model.npz", "good.csv", "--out", "good.csv"], "good.csv is both data and out"),
    (["train", "digits", "--save", "none/m.npz"], "there is no folder"),
    (["train", "digits", "--save", "/proc/m.npz"], "cannot write /proc/m.npz"),
    (["train", "digits", "--plot", "."], "is a folder"),
    (["train", "digits", "--checkpoint", "none/c"], "there is no folder"),
    (["train", "digits", "--resume"], "--resume needs --checkpoint FILE"),
    (["train", "digits", "--checkpoint", "c", "--resume"], "c: No such file or directory"),
    (["train", "mnist", "--path", "."], "has neither train-images-idx3-ubyte.gz nor"),
    (["train"], "the following arguments are required: data"),
    (["trian", "digits"], "invalid choice: 'trian'"),
    ([], "the following arguments are required: COMMAND"),
    (["train", "digits", "--colour", "red"], "unrecognized arguments: --colour red"),
    (["predict", "none.npz", "none.csv"], "none.npz: No such file or directory"),
    (["predict", "bad.npz", "good.csv"], "bad.npz is not a readable jitnet model"),
    (["predict", "library.npz", "good.csv"], "saved without a recipe"),
    (["predict", "model.npz", "none.csv"], "there is no file none.csv"),
    (["predict", "model.npz", "other.csv"], "lacks the columns a, b"),
    (["predict", "model.npz", "good.csv", "--out", "none/x"], "there is no folder"),
    (["predict", "model.npz", "good.csv", "--backend", "gpu"], "unknown back end 'gpu'"),
    (["predict", "mixed.npz", "good.csv"], "its recipe does not fit its layers"),
    (["train", "good.csv"], "which column of good.csv to learn with --target NAME; columns: a, b, y"),
    (["train", "good.csv", "--target", "z"], "unknown target column"),
    (["train", "ragged.csv", "--target", "y"], "ragged.csv, line 3 has 2 cells"),
    (["train", "text.csv", "--target", "y"], "line 2, column 'b': 'two' is no finite number"),
    (["train", "one.csv", "--target", "y"], "only one class, '5'"),
    (["train", "wild.csv", "--target", "y", "--lr", "1e30", "--optimizer", "sgd"], "diverged in epoch 1"),
    (["train", "labels-idx1-ubyte"], "labels, it seems"),
    (["train", "cut-idx3-ubyte"], "cut short"),
]  # fmt: skip


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    rows = "".join(f"{i},{i * i % 7},{i % 2}\n" for i in range(20))
    for name, text in {
        "good.csv": "a,b,y\n" + rows, "other.csv": "c,d\n1,2\n", "ragged.csv": "a,b,y\n1,2,0\n3,4\n",
        "text.csv": "a,b,y\n1,two,0\n", "one.csv": "a,y\n" + "1,5\n" * 9, "bad.npz": "nonsense",
        "wild.csv": "a,y\n" + "".join(f"{i},{i * 1.5}\n" for i in range(60)),
    }.items():  # fmt: skip
        (folder / name).write_text(text)
    (folder / "labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(5, np.uint8)))
    (folder / "cut-idx3-ubyte").write_bytes(idx_bytes(np.zeros((5, 2, 2), np.uint8))[:-1])
    jitnet.Network(jitnet.Dense(2, 2, "softmax"), seed=0).save(folder / "library.npz")
    assert cli.main(["train", str(folder / "good.csv"), "--target", "y", "--epochs", "1", "--quiet",
                     "--save", str(folder / "model.npz")]) == 0  # fmt: skip
    mixed = jitnet.load(folder / "model.npz")
    other = jitnet.Network(jitnet.Dense(3, 2, "softmax"), seed=0)
    other.recipe = mixed.recipe
    other.save(folder / "mixed.npz")
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"), BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_is_one_line_and_status_2(arguments, message, bad_files, monkeypatch, capsys):
    """In this process, so that all of them take seconds; the next test runs some of them for real."""
    monkeypatch.chdir(bad_files)
    before = sorted(path.name for path in bad_files.iterdir())
    with np.errstate(all="ignore"):
        try:
            status = cli.main([*arguments, "--quiet"] if len(arguments) > 1 else arguments)
        except SystemExit as stop:  # argparse
            status = stop.code
    captured = capsys.readouterr()
    assert status == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("jitnet")
    assert captured.out == ""
    assert sorted(path.name for path in bad_files.iterdir()) == before  # nothing half-written is left behind


@pytest.mark.parametrize(("arguments", "message"), [BAD[0], BAD[9], BAD[10], BAD[25], BAD[31], BAD[32], BAD[35]])
def test_bad_input_in_real_processes(arguments, message, bad_files):
    result = subprocess.run([*JITNET, *arguments], capture_output=True, text=True, cwd=bad_files, check=False)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert message in result.stderr


def test_diverging_saves_the_last_good_model(tmp_path, monkeypatch, capsys):
    """Three good epochs, then a weight is spoiled: the model of epoch 3 is written, and the error says so."""

    class Spoil(progress.Progress):
        def __init__(self, intro):
            self.epochs = 0

        def epoch(self, history, epochs):
            self.epochs = history.epochs

        def batch(self, done, total):
            if self.epochs == 3:
                nets[0].theta[0] = np.nan

    nets = []
    original = commands.Network

    def remember(*arguments, **options):
        nets.append(original(*arguments, **options))
        return nets[0]

    monkeypatch.setattr(commands, "Network", remember)
    monkeypatch.setattr(progress, "on_standard_error", Spoil)
    model = tmp_path / "m.npz"
    assert cli.main(["train", "digits", "--epochs", "9", "--hidden", "8", "--save", str(model)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "diverged in epoch 4" in error
    assert f"the model as of epoch 3 is in {model}" in error
    assert np.isfinite(jitnet.load(model).theta).all()


def test_no_matplotlib_is_said_before_the_training(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(["train", "digits", "--plot", str(tmp_path / "p.png")]) == 2
    assert "pip install 'jitnet[cli]'" in capsys.readouterr().err


def test_regression_plot(numbers, tmp_path):
    assert cli.main(["train", str(numbers), "--target", "3", "--epochs", "3", "--plot", str(tmp_path / "p.png")]) == 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_early_stopping_plot(tmp_path):
    arguments = [
        "train",
        "digits",
        "--early-stopping",
        "2",
        "--plot",
        str(tmp_path / "p.png"),
        "--quiet",
        "--hidden",
        "none",
    ]
    assert cli.main(arguments) == 0
    assert (tmp_path / "p.png").exists()


def test_output_into_a_closed_pipe(bad_files):
    command = f"'{sys.executable}' -m jitnet predict model.npz good.csv | true; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], cwd=bad_files, capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert "Traceback" not in result.stderr
    assert "Error" not in result.stderr


def test_closed_streams(bad_files):
    for closing in (">&-", "2>&-", ">&- 2>&-"):
        command = f"'{sys.executable}' -m jitnet predict model.npz good.csv {closing}"
        assert subprocess.run(["bash", "-c", command], cwd=bad_files, check=False).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no /dev/full")
def test_output_that_does_not_fit(bad_files):
    command = f"'{sys.executable}' -m jitnet predict model.npz good.csv --quiet > /dev/full"
    result = subprocess.run(["bash", "-c", command], cwd=bad_files, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (2, "jitnet: output: No space left on device\n")


def test_nobody_listens_to_the_progress(tmp_path):
    """Standard error into a closed pipe: the work goes on, and the model is saved."""
    command = f"'{sys.executable}' -m jitnet train digits --epochs 30 --save m.npz 2> >(head -1 >/dev/null) >out"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    assert jitnet.load(tmp_path / "m.npz").parameters == 17226
    assert "test accuracy" in (tmp_path / "out").read_text()


def test_output_that_knows_no_unicode(numbers):
    arguments = "train", numbers, "--target", "3", "--epochs", "1"
    assert "R\\xb2" in jitnet_command(*arguments, PYTHONIOENCODING="ascii", PYTHONUTF8="0").stdout


def test_json_knows_no_nan(tmp_path):
    (tmp_path / "d.csv").write_text("x,y\n1,1.5\n2,2.5\n3,3.5\n4,4.5\n")  # one row to be judged by: R² is 0/0
    result = jitnet_command("train", tmp_path / "d.csv", "--target", "y", "--epochs", "1", "--json")
    assert "NaN" not in result.stdout
    assert json.loads(result.stdout)["test_r2"] is None


def test_predicting_shows_that_it_compiles(bad_files, tmp_path):
    model, table = bad_files / "model.npz", bad_files / "good.csv"
    result = jitnet_command("predict", model, table, JITNET_CACHE_DIR=str(tmp_path))
    assert re.search(r"compiling \d+ kernels, once per machine", result.stderr)
    assert len(result.stdout.splitlines()) == 20


def test_help_and_version():
    assert jitnet_command("--version").stdout == f"jitnet {jitnet.__version__}\n"
    text = jitnet_command("train", "--help").stdout
    for option in ("--target", "--task", "--hidden", "--early-stopping", "--resume", "--json", "--plot", "--threads"):
        assert option in text


def on_a_terminal(arguments, **environment):
    """Run with standard error on a pseudo-terminal; what appeared there."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [*JITNET, *map(str, arguments)], stdout=subprocess.PIPE, stderr=terminal, env={**os.environ, **environment}
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    assert process.wait() == 0
    process.stdout.close()
    os.close(master)
    return shown.decode()


def test_rich_draws_on_a_terminal(tmp_path):
    pytest.importorskip("rich")
    arguments = "train", "digits", "--backend", "njit", "--hidden", "8", "--epochs", "20"
    shown = on_a_terminal(arguments, JITNET_CACHE_DIR=str(tmp_path), TERM="xterm", COLUMNS="120")
    assert "\x1b[" in shown
    assert "compiled" in shown
    assert "epoch 20/20" in shown


def test_a_terminal_without_rich_gets_plain_lines(tmp_path):
    hide = tmp_path / "rich.py"
    hide.write_text("raise ImportError")
    site = tmp_path / "sitecustomize.py"
    site.write_text(
        "import importlib.util as u\nf = u.find_spec\nu.find_spec = lambda n, *a: None if n == 'rich' else f(n, *a)\n"
    )
    shown = on_a_terminal(("train", "digits", "--epochs", "2"), PYTHONPATH=str(tmp_path), TERM="xterm")
    assert "epoch 2/2" in shown
    assert "\x1b" not in shown


def test_slow_work_is_reported_in_between(monkeypatch, capsys):
    """Lines appear when seconds pass, not only when epochs end."""
    lines = progress.Lines()
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    lines.training(0, 5)
    lines.compiling(0, 9, "matmul")
    lines.compiling(1, 9, "sigmoid")
    lines.compiling(9, 9, "")
    for done in range(10, 100, 10):
        lines.batch(done, 100)
    shown = capsys.readouterr().err
    assert "compiling 2/9: sigmoid" in shown
    assert re.search(r"epoch 1: \d0% of the samples", shown)


def test_bars_draw_what_they_are_told(monkeypatch):
    pytest.importorskip("rich")
    bars = progress.Bars()
    history = jitnet.History(loss=[0.5], validation_loss=[0.25], validation_accuracy=[0.75], seconds=[1.0])
    with bars:
        bars.compiling(0, 2, "matmul")
        bars.compiling(2, 2, "")
        bars.training(0, 3)
        bars.batch(5, 10)
        bars.epoch(history, 3)
    compiling, training = bars._bars.tasks
    assert compiling.description == "compiled 2 kernels"
    assert (training.completed, training.total) == (1, 3)
    assert training.description == "epoch 1/3  loss 0.5000  validation loss 0.2500  accuracy 75.0%"
