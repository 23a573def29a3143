"""The command line, mostly in real processes."""

import ast
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cases import release, slow
from command import JITNET, jitnet_command
from files import write_mnist

import jitnet
from jitnet import cli
from jitnet.cli import train


@pytest.mark.parametrize("seed", range(5))
def test_digits_with_default_settings(seed):
    result = json.loads(jitnet_command("train", "digits", "--seed", seed, "--json").stdout)
    assert result["test_accuracy"] >= 0.97
    assert result["samples"] == {"train": 1438, "test": 359}
    assert (result["backend"], result["epochs"], result["task"]) == ("fast", 30, "classification")
    assert {"train_loss", "test_loss", "seconds", "compile_seconds", "network", "parameters"} <= set(result)


def test_training_and_prediction_report_digits_as_text(tmp_path):
    plot, model = tmp_path / "loss.png", tmp_path / "m.npz"
    result = jitnet_command("train", "digits", "--save", model, "--plot", plot, "--epochs", "12")
    assert re.search(r"test accuracy 9\d\.\d\d% \(3\d\d of 359\), test loss 0\.\d+, after 12 epochs", result.stdout)
    assert f"jitnet predict {model} digits\n" in result.stdout
    predicted = jitnet_command("predict", model, "digits")
    assert len(predicted.stdout.split()) == 1797
    *compiling, note, last = predicted.stderr.splitlines()  # more rows than a batch may need a threaded kernel
    assert "the model was trained on rows among these; for new rows, expect the test accuracy" in note
    assert re.fullmatch(r"1797 rows, accuracy 9\d\.\d\d%", last)
    assert all("compil" in line for line in compiling)
    assert re.search(r"epoch 12/12  loss \d\.\d{4}  test loss \d\.\d{4}  accuracy 9\d\.\d%", result.stderr)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert jitnet.load(model).layers[0].n_in == 64
    quiet = jitnet_command("train", "digits", "--quiet", "--epochs", "1")
    assert ", after 1 epoch in " in quiet.stdout
    assert quiet.stderr == ""


@pytest.mark.parametrize("backend", ["njit", "fast", "numpy", slow("python"), release("parallel")])
def test_every_backend_trains_with_all_options(backend, tmp_path):
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


@pytest.mark.parametrize("name", jitnet.optimizers.OPTIMIZERS)
def test_default_weight_decay(name, monkeypatch, capsys):
    """AdamW has its own default; the other optimizers get 0.0003."""

    def fit(net, *data, optimizer, **options):
        raise jitnet.Error(repr(optimizer.weight_decay))

    monkeypatch.setattr(jitnet.Network, "fit", fit)
    for given, expected in ([], 0.01 if name == "adamw" else 3e-4), (["--weight-decay", "0"], 0.0):
        assert jitnet.cli.main(["train", "digits", "--optimizer", name, *given, "--quiet"]) == 2
        assert repr(expected) in capsys.readouterr().err.split()[-1]


def test_table_with_a_header_and_class_names(table, tmp_path):
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


def test_table_without_a_header_for_regression(numbers, tmp_path):
    model = tmp_path / "m.npz"
    arguments = ["train", numbers, "--target", "3", "--save", model, "--epochs", "60"]
    result = json.loads(jitnet_command(*arguments, "--json").stdout)
    assert result["task"] == "regression"
    assert result["test_r2"] > 0.99
    assert result["test_rmse"] < 20  # the target has a range of 800
    words = jitnet_command(*arguments).stdout
    assert re.search(r"test RMSE \d+\.?\d*, R² [01]\.\d{3},", words)
    new = tmp_path / "new.csv"
    new.write_text("0,0\n1,0\n")
    answers = [float(line) for line in jitnet_command("predict", model, new).stdout.split()]
    np.testing.assert_allclose(answers, [1000, 1300], atol=30)
    judged = json.loads(jitnet_command("predict", model, numbers, "--json").stdout)
    assert judged["rmse"] < 20


def test_task_option_overrides_the_guess(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(40)))
    for task, key in (("classification", "test_accuracy"), ("regression", "test_rmse")):
        result = jitnet_command("train", path, "--target", "y", "--task", task, "--epochs", "2", "--json")
        assert key in json.loads(result.stdout)


def test_npz_files_and_idx_images_train(tmp_path):
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
        assert judged["accuracy"] > 0.5  # the network memorized most of these sixty
        assert set(judged["predictions"]) <= set("0123456789")
        result = json.loads(jitnet_command("train", "mnist", "--path", folder, *options).stdout)
        assert result["samples"] == {"train": 60, "test": 10}


def test_early_stopping_holds_out_some_training_samples():
    arguments = "train", "digits", "--early-stopping", "3", "--epochs", "200"
    result = json.loads(jitnet_command(*arguments, "--json").stdout)
    assert result["stopped"] == "early"
    assert result["epochs"] < 200
    assert result["samples"] == {"train": 1150, "test": 359, "validation": 288}
    shown = jitnet_command(*arguments)
    assert re.search(r"^stopped early after \d+ epochs; the weights are those of epoch \d", shown.stdout, re.MULTILINE)
    assert "digits: 1150 training samples, 359 test samples, 288 for validation, 64 columns" in shown.stderr


def test_note_suggests_early_stopping_where_the_test_loss_rose(tmp_path, capsys):
    rng = np.random.default_rng(0)  # labels without a pattern, which the network can only memorize
    rows = (
        f"{x:.3f},{y:.3f},{'ab'[label]}"
        for x, y, label in zip(*rng.random((2, 100)), rng.integers(2, size=100), strict=True)
    )
    (tmp_path / "noise.csv").write_text("\n".join(["x,y,label", *rows]))
    arguments = [
        "train",
        str(tmp_path / "noise.csv"),
        "--target",
        "label",
        "--epochs",
        "200",
        "--lr",
        "0.02",
        "--quiet",
    ]
    assert cli.main(arguments) == 0
    assert re.search(r"note: the test loss was lowest after epoch \d+, .*; --early-stopping 5", capsys.readouterr().out)
    assert cli.main([*arguments, "--early-stopping", "5"]) == 0
    assert "was lowest after" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("losses", "score", "is_said"),
    [
        ([0.5, 0.1, 0.2], {"test_accuracy": 0.9}, True), ([0.5, 0.1, 0.2], {"test_accuracy": 0.9996}, False),
        ([0.5, 0.1, 0.2], {"test_rmse": 1.0, "test_r2": 0.9}, True),
        ([0.5, 0.1, 0.2], {"test_rmse": 1.0, "test_r2": math.nan}, True),
        ([0.5, 0.1, 0.2], {"test_rmse": 1.0, "test_r2": 0.9999}, False),
        ([0.5, 0.00005, 0.0000624], {"test_accuracy": 0.9}, False), ([0.5, 0.1, 0.11], {"test_accuracy": 0.9}, False),
    ],
)  # fmt: skip
def test_early_stopping_is_suggested_only_where_it_helps(monkeypatch, losses, score, is_said):
    monkeypatch.setattr(train.scores, "in_words", lambda _: "")
    result = {"samples": {"test": 10}, "epochs": 3, "seconds": 1.0, "compile_seconds": 0.0, "test_loss": losses[-1],
        "warnings": [], "disturbed": False, "save": None, "plot": None, **score}  # fmt: skip
    text = train._in_words(result, jitnet.History(loss=[1.0] * 3, validation_loss=losses))
    assert ("note: the test loss was lowest after epoch 2, 0.1000, and is 0.2000 at the end" in text) == is_said
    assert ("was lowest" in text) == is_said
    assert ("R²" in text) == (score.get("test_r2", math.nan) > 0)  # of one test row it is 0/0


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


@pytest.mark.slow  # test_endings.py interrupts a run that saves every kind of file
def test_ctrl_c_saves_the_model_trained_so_far(tmp_path):
    """SIGINT interrupts a long training run in a real process."""
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
    assert re.search(r"^interrupted after \d+ epochs?$", out, re.MULTILINE)
    assert "Traceback" not in err
    assert jitnet.load(model).parameters == 17226
    assert (tmp_path / "p.png").exists()


def test_ctrl_c_before_training_ends_the_command(tmp_path):
    """SIGINT while the command waits for data, here from a pipe without a writer."""
    fifo = tmp_path / "data.csv"
    os.mkfifo(fifo)
    command = [*JITNET, "train", fifo, "--target", "y"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process, fifo.open("w"):
        time.sleep(1)  # until it waits for data: during imports, an interrupt can be lost
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert err == "jitnet: interrupted\n"


def test_plot_of_a_regression_is_written(numbers, tmp_path):
    assert cli.main(["train", str(numbers), "--target", "3", "--epochs", "3", "--plot", str(tmp_path / "p.png")]) == 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_plot_with_early_stopping_is_written(tmp_path):
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


def test_output_to_a_closed_pipe_is_no_error(bad_files):
    command = f"'{sys.executable}' -m jitnet predict model.npz good.csv | true; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], cwd=bad_files, capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert "Traceback" not in result.stderr
    assert "Error" not in result.stderr


@pytest.mark.parametrize("closing", [">&- 2>&-", slow(">&-"), slow("2>&-")])
def test_closed_output_streams_are_no_error(bad_files, closing):
    command = f"'{sys.executable}' -m jitnet predict model.npz good.csv {closing}"
    assert subprocess.run(["bash", "-c", command], cwd=bad_files, check=False).returncode == 0


@pytest.mark.slow  # test_endings.py tests a full disk during training
@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no /dev/full")
def test_output_to_a_full_disk_is_a_one_line_error(bad_files):
    command = f"'{sys.executable}' -m jitnet predict model.npz good.csv --quiet > /dev/full"
    result = subprocess.run(["bash", "-c", command], cwd=bad_files, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (2, "jitnet: output: No space left on device\n")


@pytest.mark.slow  # a separate process
def test_output_in_ascii_escapes_other_characters(numbers):
    arguments = "train", numbers, "--target", "3", "--epochs", "1"
    assert "R\\xb2" in jitnet_command(*arguments, PYTHONIOENCODING="ascii", PYTHONUTF8="0").stdout


def test_names_typed_in_the_locale_c_are_utf_8(tmp_path):
    """Python decodes the UTF-8 of arguments byte by byte there."""
    file = tmp_path / "f.csv"
    file.write_text("höhe,größe\n" + "1,ja\n2,nein\n" * 20, encoding="utf-8")
    typed = {name: name.encode().decode("ascii", "surrogateescape") for name in ("höhe", "größe")}
    output = jitnet_command(
        "train", file, "--target", typed["größe"], "--categorical", typed["höhe"], "--epochs", "1"
    ).stderr  # fmt: skip
    assert "höhe has 2 categories: 1, 2" in output


def test_json_has_null_instead_of_nan(tmp_path):
    (tmp_path / "d.csv").write_text("x,y\n1,1.5\n2,2.5\n3,3.5\n4,4.5\n")  # one test row: R² is 0/0
    result = jitnet_command("train", tmp_path / "d.csv", "--target", "y", "--epochs", "1", "--json")
    assert "NaN" not in result.stdout
    assert json.loads(result.stdout)["test_r2"] is None


def test_without_a_command_help_is_printed(capsys):
    assert cli.main([]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("usage: jitnet")
    assert all(command in printed.out for command in cli.COMMANDS)
    assert printed.err == ""


def test_every_command_is_in_the_guide_and_is_run_by_a_test():
    """By `jitnet_command`, or by `cli.main` in this process; runs that end with an error do not count."""
    tests = Path(__file__).parent
    guide = " ".join(page.read_text(encoding="utf-8") for page in (tests.parent / "docs" / "guide").glob("*.md"))
    nodes = [node for file in tests.glob("test_*.py") for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    calls = [node for node in nodes if isinstance(node, ast.Call) and node.args]
    runs = [call for call in calls if ast.unparse(call.func) in ("jitnet_command", "cli.main", "main")]
    ended_well = [run for run in runs if "status" not in [keyword.arg for keyword in run.keywords]]
    run_by_tests = {ast.unparse(run.args[0]).lstrip("[").partition(",")[0].rstrip("]") for run in ended_well}
    for command in cli.COMMANDS:
        assert repr(command) in run_by_tests, command
        assert re.search(rf"`jitnet {command}\b", guide), command


def test_help_lists_options_and_version_is_printed():
    assert jitnet_command("--version").stdout == f"jitnet {jitnet.__version__}\n"
    text = jitnet_command("train", "--help").stdout
    for option in ("--target", "--task", "--hidden", "--early-stopping", "--resume", "--json", "--plot", "--threads"):
        assert option in text


@pytest.mark.release
def test_warmup_compiles_every_kernel_once():
    """Backend numpy compiles nothing; backend fast compiles or loads every kernel."""
    nothing = jitnet_command("warmup", "--backend", "numpy")
    assert nothing.stdout == "backend numpy compiles nothing\n"
    first = jitnet_command("warmup", "--quiet")
    assert re.fullmatch(r"\d+ kernels compiled in [\d.]+ s, \d+ were cached; they are in .+\n", first.stdout)
    again = json.loads(jitnet_command("warmup", "--json", "--quiet").stdout)
    assert again["compiled"] == 0
    assert again["kernels"] == jitnet.backend.get("fast").compiles > 2 * len(jitnet.kernels.LADDERS)
    assert again["backend"] == "fast"
