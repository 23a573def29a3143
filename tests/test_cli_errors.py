"""Errors that a user can fix are one line on standard error, with exit status 2."""

import os
import re
import subprocess

import numba
import numpy as np
import pytest
from cases import slow
from command import JITNET

import jitnet
from jitnet import cli
from jitnet.cli import train
from jitnet.process import progress

BAD = [
    (["train", "digitz"], "unknown data set 'digitz'; known: digits, mnist, fashion_mnist (did you mean 'digits'?)"),
    (["train", "nothing"], "and there is no file of that name"),
    (["train", "none.csv", "--target", "y"], "there is no file none.csv"),
    (["train", "digits", "--backend", "fst"], "unknown backend 'fst'"),
    (["train", "digits", "--activation", "rleu"], "did you mean 'relu'"),
    (["train", "digits", "--optimizer", "adams"], "did you mean 'adam'"),
    (["train", "digits", "--dtype", "half"], "unknown dtype 'half'"),
    (["train", "digits", "--task", "regresion"], "did you mean 'regression'"),
    (["train", "digits", "--hidden", "64,x"], "--hidden is '64,x', but must be widths such as 64,32, or none"),
    (["train", "digits", "--hidden", "0"], "--hidden is '0'"),
    (
        ["train", "digits", "--hidden", "none", "--dropout", "0.5"],
        "--dropout is 0.5, but --hidden none has no layer for it; omit one",
    ),
    (["train", "digits", "--epochs", "0"], "epochs is 0"),
    (["train", "digits", "--epochs", "many"], "invalid int value: 'many'"),
    (["train", "digits", "--batch-size", "0"], "batch_size is 0, but must be a whole number, at least 1"),
    (["train", "digits", "--lr", "-1"], "lr is -1.0, but must be a number above 0"),
    (["train", "digits", "--weight-decay", "nan"], "weight_decay is nan"),
    (["train", "digits", "--test", "1.5"], "--test is 1.5"),
    (["train", "digits", "--seed", "-1"], "--seed is -1"),
    (["train", "digits", "--threads", "0"], "threads is 0"),
    (["train", "digits", "--threads", "99999"], "this process can use 1 to"),
    (["train", "digits", "--early-stopping", "0"], "early_stopping is 0"),
    (["train", "digits", "--target", "y"], "--target works with a CSV file, not with digits"),
    (["train", "digits", "--no-header"], "--header works with a CSV file, not with digits"),
    (["train", "digits", "--labels", "y"], "--labels works with IDX images, not with digits"),
    (["train", "digits", "--path", "."], "--path works with mnist and fashion_mnist"),
    (["train", "mnist", "--test", "0.5"], "--test does not work with mnist, which has its own test samples"),
    (["train", "digits", "--checkpoint-every", "2"], "--checkpoint-every needs --checkpoint FILE"),
    (["train", "digits", "--save", "same", "--plot", "same"], "same is both save and plot; name another file"),
    (["train", "good.csv", "--target", "y", "--save", "good.csv"], "good.csv is both data and save"),
    (["train", "digits", "--save", "/dev/null"], "is not a regular file"),
    (["train", "digits", "--checkpoint", "good.csv"], "good.csv would be replaced by a checkpoint, but"),
    (["train", "digits", "--hidden", "10000000000,10000000000"], "not enough memory"),
    (["train", "good.csv", "--target", "y", "--labels", "x"], "a separate file of labels belongs to IDX images"),
    (["train", "digits", "--weight-decay", "1e60"], "1e+60 is inf in float32"),
    (["predict", "model.npz", "good.csv", "--labels", "x"], "a separate file of labels belongs to IDX images"),
    (["predict", "model.npz", "good.csv", "--out", "good.csv"], "good.csv is both data and out"),
    (["train", "digits", "--save", "/proc/m.npz"], "cannot write /proc/m.npz"),
    (["train", "digits", "--plot", "."], "is a folder"),
    (["train", "digits", "--resume"], "--resume needs --checkpoint FILE"),
    (["train", "digits", "--checkpoint", "c", "--resume"], "no checkpoint c to continue; make the first run"),
    (["train", "mnist", "--path", "."], "has neither train-images-idx3-ubyte.gz nor"),
    (["train"], "the following arguments are required: data"),
    (["trian", "digits"], "unknown command 'trian'; known: train, predict, warmup, ladder, "),
    (["trian"], "doctor (did you mean 'train'?) (try jitnet --help)"),
    (["train", "digits", "--color", "red"], "jitnet train: unknown argument --color"),
    (["train", "x.csv", "--target", "-1e3"], "expected one argument; if -1e3 is its value, write --target=-1e3 ("),
    (["train", "x.csv", "--drop", "-1,-$a"], "; if -1,-$a is its value, write '--drop=-1,-$a' (try"),
    (["train", "x.csv", "--drop", "--target", "y"], "argument --drop: expected one argument (try"),
    (["train", "digits", "--hiden", "3"], "unknown argument --hiden (did you mean '--hidden'?)"),
    (["predict", "none.npz", "none.csv"], "there is no file none.npz"),
    (["predict", ".", "none.csv"], ". is a folder, but must be a file"),
    (["predict", "bad.npz", "good.csv"], "bad.npz is not a readable jitnet model"),
    (["predict", "good.csv", "model.npz"], "not an NPZ archive; jitnet predict MODEL DATA takes the model first"),
    (["train", "model.npz"], "it is a jitnet model: jitnet predict uses it"),
    (["predict", "library.npz", "good.csv"], "saved without a recipe"),
    (["predict", "model.npz", "none.csv"], "there is no file none.csv"),
    (["predict", "model.npz", "other.csv"], "the columns a, b that the model learned from; it has c, d. Add them,"),
    (["predict", "model.npz", "good.csv", "--backend", "gpu"], "unknown backend 'gpu'"),
    (["predict", "mixed.npz", "good.csv"], "its recipe does not fit its layers"),
    (["train", "good.csv"], "column of good.csv to learn with --target NAME (in Python target=NAME); columns: a, b, y"),
    (["train", "good.csv", "--target", "z"], "has no column 'z'; its columns: a, b, y"),
    (["train", "ragged.csv", "--target", "y"], "ragged.csv, line 3 has 2 cells"),
    (["train", "text.csv", "--target", "y"], "line 22, column 'b': 'two' is not a number, unlike most cells"),
    (["train", "one.csv", "--target", "y"], "only one class, '5'"),
    (["train", "two.csv", "--target", "y"], "the training samples of two.csv (1 of 2 rows) have one class only; give"),
    (["train", "wild.csv", "--target", "y", "--lr", "1e30", "--optimizer", "sgd"], "diverged in epoch 1"),
    (["train", "labels-idx1-ubyte"], "these seem to be labels"),
    (["train", "cut-idx3-ubyte"], "truncated"),
    (["train", "digits", "--plot", "loss.txt"], "no plot can be written to loss.txt; its name must end in .png"),
    (["train", "good.csv", "--target", "y", "--numeric", ""], "unknown column in --numeric ''; known: a, b"),
    (["train", "good.csv", "--target", "y", "--missing", "NA"], "--missing NA: 'NA' is missing already; omit it"),
    (["train", "good.csv", "--target", "y", "--missing", "a="], "--missing a=: '' is missing already; omit it"),
    (["train", "digits", "--threads", "2", "--backend", "njit"],
     "'njit' runs on one thread" if numba.config.NUMBA_NUM_THREADS > 1 else "threads is 2"),
]  # fmt: skip


OUTPUTS = {
    "train": (["digits"], ["--save m.npz", "--plot p.png", "--checkpoint c"]),
    "predict": (["model.npz", "good.csv"], ["--out o.csv"]),
    "ladder": (["matmul"], ["--plot p.png"]),
    "trace": (["matmul.njit"], ["--plot p.png"]),
    "compile-cost": ([], ["--plot p.png"]),
    "grade": (["folder", "k.py"], ["--csv g.csv", "--html g.html", "--gradescope g.json", "--json g.json"]),
    "report": ([], ["--out r.html"]),
}
"""Command -> its arguments, and each option that names a file to write."""
BAD += [
    ([command, *words, option, f"none/{name}"], f"cannot write none/{name}: there is no folder ")
    for command, (words, options) in OUTPUTS.items() for option, name in map(str.split, options)
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"), BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_is_a_one_line_error_with_status_2(arguments, message, bad_files, monkeypatch, capsys):
    """Runs in this process, which is faster; the next test runs some of the commands in real processes."""
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
    assert sorted(path.name for path in bad_files.iterdir()) == before  # no partial files remain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [BAD[10], BAD[24], *(slow(*BAD[n]) for n in (0, 9, 30, 31, 34))],
)
def test_bad_input_in_real_processes(arguments, message, bad_files):
    result = subprocess.run([*JITNET, *arguments], capture_output=True, text=True, cwd=bad_files, check=False)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert message in result.stderr


def test_divergence_saves_the_last_good_model(tmp_path, monkeypatch, capsys):
    """After three good epochs a weight becomes NaN: the model of epoch 3 is saved, and the error says so."""

    class Spoil(progress.Progress):
        def __init__(self, intro):
            self.epochs = 0

        def epoch(self, history, epochs):
            self.epochs = history.epochs

        def batch(self, done, total):
            if self.epochs == 3:
                nets[0].theta[0] = np.nan

    nets = []
    original = train.Network

    def remember(*arguments, **options):
        nets.append(original(*arguments, **options))
        return nets[0]

    monkeypatch.setattr(train, "Network", remember)
    monkeypatch.setattr(progress, "on_standard_error", Spoil)
    model = tmp_path / "m.npz"
    assert cli.main(["train", "digits", "--epochs", "9", "--hidden", "8", "--save", str(model)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "diverged in epoch 4" in error
    assert f"the model as of epoch 3 is in {model}" in error
    assert np.isfinite(jitnet.load(model).theta).all()


@pytest.mark.skipif(os.name != "posix", reason="only POSIX removes folders that processes use")
def test_removed_working_folder_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for arguments in (["train", "digits", "--save", "m.npz"], ["predict", "../m.npz", "digits"]):
        assert cli.main(arguments) == 2
        output = capsys.readouterr()
        assert (output.out, output.err) == ("", "jitnet: the working folder was removed; change to another one\n")


def test_missing_matplotlib_is_an_error_before_training(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(["train", "digits", "--plot", str(tmp_path / "p.png")]) == 2
    assert "pip install 'jitnet[cli]'" in capsys.readouterr().err


@pytest.mark.slow  # compiles in a separate process; test_cache.py tests the warning itself
def test_warnings_are_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    command = [*JITNET, "train", "digits", "--hidden", "none", "--epochs", "1", "--backend", "njit", "--quiet"]
    folder = tmp_path / "file" / "below"
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "JITNET_CACHE_DIR": str(folder)}, check=False
    )
    assert result.returncode == 0
    assert re.fullmatch(rf"jitnet: cannot save compiled kernels in {folder}/\S+ \(.*\), so .*\n", result.stderr)
