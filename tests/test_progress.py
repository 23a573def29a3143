"""Progress output on a terminal, with and without rich, and to a closed pipe."""

import io
import os
import pty
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from cases import slow
from command import JITNET, jitnet_command

import jitnet
from jitnet import cli, functions
from jitnet.backend import cpu
from jitnet.lab import estimate
from jitnet.process import progress


def on_a_terminal(arguments, **environment):
    """Run the command line with standard error on a pseudo-terminal; returns what was printed there."""
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


@pytest.mark.slow  # compiles in a separate process, twice
def test_compiling_is_shown_once(tmp_path):
    folder = {"JITNET_CACHE_DIR": str(tmp_path)}
    arguments = "train", "digits", "--backend", "njit", "--hidden", "none", "--epochs", "1"
    cold = jitnet_command(*arguments, **folder)
    assert re.search(r"compiling \d+ kernels, once per machine", cold.stderr)
    assert re.search(r"compiled \d+ kernels", cold.stderr)
    assert "compil" not in jitnet_command(*arguments, **folder).stderr


@pytest.mark.release
def test_predict_shows_that_it_compiles(bad_files, tmp_path):
    model, table = bad_files / "model.npz", bad_files / "good.csv"
    result = jitnet_command("predict", model, table, JITNET_CACHE_DIR=str(tmp_path))
    assert re.search(r"compiling \d+ kernels, once per machine", result.stderr)
    assert len(result.stdout.splitlines()) == 20


@pytest.mark.slow  # test_cli.py closes the other streams
def test_progress_to_a_closed_pipe_does_not_stop_training(tmp_path):
    """Standard error goes to a closed pipe: training continues, and the model is saved."""
    command = f"'{sys.executable}' -m jitnet train digits --backend numpy --save m.npz 2> >(head -1 >/dev/null) >out"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    assert jitnet.load(tmp_path / "m.npz").parameters == 17226
    assert "test accuracy" in (tmp_path / "out").read_text()


def test_nothing_more_is_printed_to_a_closed_standard_error(monkeypatch):
    def write(text):
        printed.append(text)
        raise BrokenPipeError

    printed = []
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=write))
    progress.say("first")
    with sys.stderr:
        progress.say("second")
        assert sys.stderr.name == os.devnull
    assert printed == ["first"]


@pytest.mark.parametrize("backend", ["numpy", slow("njit")])
def test_rich_draws_bars_on_a_terminal(backend, tmp_path):
    pytest.importorskip("rich")
    arguments = "train", "digits", "--backend", backend, "--hidden", "none", "--epochs", "20"
    shown = on_a_terminal(arguments, JITNET_CACHE_DIR=str(tmp_path), TERM="xterm", COLUMNS="120")
    assert "\x1b[" in shown
    assert ("compiled" in shown) == (backend == "njit")
    assert "epoch 20/20" in shown


@pytest.mark.slow  # a process; the lines are tested below
def test_terminal_without_rich_gets_plain_lines(tmp_path):
    hide = tmp_path / "rich.py"
    hide.write_text("raise ImportError")
    site = tmp_path / "sitecustomize.py"
    site.write_text(
        "import importlib.util as u\nf = u.find_spec\nu.find_spec = lambda n, *a: None if n == 'rich' else f(n, *a)\n"
    )
    shown = on_a_terminal(("train", "digits", "--epochs", "2"), PYTHONPATH=str(tmp_path), TERM="xterm")
    assert "epoch 2/2" in shown
    assert "\x1b" not in shown


def test_slow_epochs_are_reported_while_they_run(monkeypatch, capsys):
    """Lines appear every few seconds, not only at the end of epochs."""
    lines = progress.Lines()
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    lines.training(0, 5)
    lines.compile_seconds = 9.3
    lines.compiling(0, 9, "matmul")
    lines.compiling(1, 9, "sigmoid")
    lines.compiling(9, 9, "")
    for done in range(10, 100, 10):
        lines.batch(done, 100)
    shown = capsys.readouterr().err
    assert "compiling 9 kernels, once per machine; this takes about 10 s on an idle machine ..." in shown
    assert "compiling 2/9: sigmoid" in shown
    assert re.search(r"epoch 1: \d0% of the samples", shown)


def test_lines_about_compiling_name_the_dtype_and_expect_less_of_two_processes(capsys):
    lines = progress.Lines()
    for lines.dtype, lines.processes in (("float32", 1), ("float64", 2)):
        lines.compile_seconds = 44.1
        lines.compiling(0, 92, "matmul")
        lines.compiling(92, 92, "")
    assert capsys.readouterr().err.splitlines() == [
        "compiling 92 kernels for float32, once per machine; this takes about 45 s on an idle machine ...",
        "compiled 92 kernels for float32",
        "compiling 92 kernels for float64, once per machine; this takes about 25 s on an idle machine ...",
        "compiled 92 kernels for float64",
    ]


@pytest.mark.parametrize(
    ("operation", "is_cached", "estimate"),
    [("relu", True, ""), ("matmul", True, ""), ("matmul", False, "; this takes about 5 s on an idle machine")],
)
def test_compile_estimate_counts_the_register_tile_only_if_it_is_compiled(
    operation, is_cached, estimate, monkeypatch, capsys
):  # fmt: skip
    """One kernel takes less than a second if the cache has the tile."""
    narrow, _ = cpu.kernel_and_signature((*cpu.NARROW, "float32"))
    monkeypatch.setattr(cpu, "compile_for", lambda *_: None)
    monkeypatch.setattr(cpu, "entry_point", lambda kernel, _: kernel)
    monkeypatch.setattr(cpu, "needs_compiling", lambda kernel, _: kernel is not narrow or not is_cached)
    fast = cpu.Fast()
    monkeypatch.setattr(fast, "threaded", {})
    assert fast.compile([operation], np.dtype("float32"), progress.Lines()) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert first == f"compiling 1 kernel, once per machine{estimate} ..."
    assert last == "compiled 1 kernel"


def test_stages_have_names(capsys):
    """Each stage is reported immediately, and its measurements are numbered."""
    lines = progress.Lines()
    lines.measuring(0, 2, "clock")
    for name in ("checking", "timing, round"):
        report = progress.stage(name, progress.stage("matmul", lines.measuring))
        for done in range(3):
            report(done, 3, f"rung {done}")
        report(3, 3, "")
    assert capsys.readouterr().err.splitlines() == [
        "measuring 1/2: clock", "matmul: checking 1/3: rung 0", "matmul: timing, round 1 of 3: rung 0",
    ]  # fmt: skip


def test_epoch_and_elapsed_time_fit_into_80_columns():
    console = pytest.importorskip("rich.console")
    bars, screen = progress.Bars(), io.StringIO()
    bars.training(0, 100)
    bars.epoch(jitnet.History(loss=[0.5] * 100, validation_loss=[0.25], validation_accuracy=[0.75]), 100)
    console.Console(width=80, file=screen).print(bars._bars.make_tasks_table(bars._bars.tasks))
    assert re.fullmatch(r"epoch 100/100 .*  accuracy 75.0% \S+ 0:00:00\s*", screen.getvalue())


def test_bars_draw_all_events(monkeypatch):
    pytest.importorskip("rich")
    bars = progress.Bars()
    history = jitnet.History(loss=[0.5], validation_loss=[0.25], validation_accuracy=[0.75], seconds=[1.0])
    with bars:
        bars.compiling(0, 2, "matmul")
        bars.compiling(2, 2, "")
        bars.training(0, 3)
        bars.batch(5, 10)
        bars.epoch(history, 3)
        bars.measuring(1, 3, "timing, round: njit")
        assert bars._bars.tasks[-1].description == "timing njit"
        bars.measuring(3, 3, "")
    compiling, training, measuring = bars._bars.tasks
    assert (measuring.description, measuring.completed) == ("measured", 3)
    assert compiling.description == "compiled 2 kernels"
    assert (training.completed, training.total) == (1, 3)
    assert training.description == "epoch 1/3  loss 0.5000  validation loss 0.2500  accuracy 75.0%"


def test_warmup_says_which_dtype_of_how_many_it_compiles(capsys, monkeypatch):
    def compile_nothing(self, kernels, dtype, show):
        show.compiling(0, 92, "matmul")
        return 92

    monkeypatch.setattr(cpu.Fast, "compile", compile_nothing)
    monkeypatch.setattr(functions, "prepare", lambda dtype: None)
    assert cli.main(["warmup"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in said] == [
        "compiling 92 kernels for float32 (1 of 2)", "compiling 92 kernels for float64 (2 of 2)"
    ]  # fmt: skip


def test_estimated_time_is_printed_when_work_begins(capsys):
    lines = progress.Lines()
    lines.expected = estimate.in_words(estimate.of_compile_cost("relu", 3))
    with lines:
        assert capsys.readouterr().err == ""  # an error before the first event is still one line
        for done in range(3):
            lines.measuring(done, 2, "clock" if done < 2 else "")
    said, first = capsys.readouterr().err.splitlines()
    assert (said, first) == ("this takes about 15 s on an idle machine (an estimate)", "measuring 1/2: clock")


def test_run_that_takes_twice_the_estimate_says_so_each_time_it_doubles(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = progress.Lines()
    lines.expected, lines.expected_seconds = estimate.in_words(20), 20.0
    for second in range(130):
        now[0] = 100.0 + second
        lines.measuring(1, 3, "timing: mine")
    said = [line for line in capsys.readouterr().err.splitlines() if "longer" in line]
    assert said == [f"this takes longer than estimated, {seconds} s so far" for seconds in (41, 83)]
    short = progress.Lines()
    short.expected_seconds = 1.0  # too short to be shown
    said = []
    for second in range(12):
        now[0] = 500.0 + second
        said.append(short.run_time())
    assert [line for line in said if line] == ["this takes longer than estimated, 11 s so far"]


@pytest.mark.parametrize("operations", [["matmul"], ["relu", "train"], ["nonsense"]])
def test_every_command_has_an_estimated_time(operations):
    seconds = (
        estimate.of_report(operations, 3, 2),
        estimate.of_ladder(len(estimate._rungs(operations[0])), 1),
        estimate.of_compile_cost("fast", 3),
    )
    assert all(0 < one < 3600 for one in seconds)
    assert estimate.in_words(200).startswith("this takes about 3 min ")
    assert estimate.in_words(5) == "this takes about 5 s on an idle machine (an estimate)"
    assert estimate.in_words(4.9) == ""  # too short to mention
    assert estimate.in_words(estimate.of_count("softmax", 1)) == ""
    assert estimate.in_words(estimate.of_count("matmul", 9)).startswith("this takes about 80 s ")
