"""How training on the command line ends: full disks, signals, closed terminals. No result is lost."""

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time

import pytest
from cases import slow
from command import JITNET
from runs import At, make, spiral

import jitnet
from jitnet import cli, storage

TRAIN = [*JITNET, "train", "digits", "--hidden", "8", "--epochs", "3", "--backend", "numpy"]
ENDLESS = [*JITNET, "train", "digits", "--hidden", "8", "--epochs", "1000000", "--backend", "numpy", "--save", "m.npz"]


def with_files_up_to(size, command, folder, **environment):
    """Run a command with a limit on file sizes, like a full disk."""
    code = (
        f"import resource, sys, os; resource.setrlimit(resource.RLIMIT_FSIZE, ({size},) * 2); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *command], cwd=folder, capture_output=True, text=True, check=False,
        env={**{name: value for name, value in os.environ.items() if not name.startswith("COV")}, **environment},
    )  # fmt: skip  # coverage could not write its own file either, and would warn


@pytest.fixture
def full(tmp_path):
    """A folder on a separate small disk, which `fill` fills."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder):
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def test_failing_checkpoint_does_not_stop_training(full, tmp_path):
    fill(full)
    command = [*TRAIN, "--quiet", "--json", "--checkpoint", "small/c", "--save", "m.npz"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    why = "cannot write small/c: No space left on device; this run has no checkpoint yet"
    assert (result.returncode, result.stderr) == (1, f"jitnet: {why}; training continues\n")
    found = json.loads(result.stdout)
    assert (found["epochs"], found["save"], found["unwritten"]) == (3, "m.npz", [why])
    assert jitnet.load(tmp_path / "m.npz").widths == "64-8-10"
    assert os.listdir(full) == ["filler"]


def test_message_names_the_last_good_checkpoint(full):
    """The disk is full after epoch 2 and has space again in epoch 5."""
    X, y = spiral()
    net, twin = make(widths=(2, 900, 3)), make(widths=(2, 900, 3))
    path, seen = full / "c", []

    class Filling(jitnet.Progress):
        def epoch(self, history, epochs):
            if history.epochs == 3:
                fill(full)
            if history.epochs == 5:
                seen.append((history.checkpoint_error, path.read_bytes()))
                (full / "filler").unlink()

    with pytest.warns(UserWarning, match="cannot write") as caught:
        history = net.fit(X, y, epochs=4, checkpoint=path, progress=Filling())
    why = f"cannot write {path}: No space left on device; the checkpoint of epoch 2 is still there"
    said = [(str(warning.message), warning.filename) for warning in caught if "cannot write" in str(warning.message)]
    assert said == [(f"{why}; training continues", __file__)]  # one warning, with the line that calls fit
    assert (history.epochs, history.checkpoint_error, history.stopped) == (4, why, "")
    about, _ = storage.read(path, "checkpoint")
    assert len(about["history"]["loss"]) == 2
    with pytest.warns(UserWarning, match="epoch 2 is still there"):
        resumed = make(widths=(2, 900, 3)).fit(X, y, epochs=6, checkpoint=path, resume=True, progress=Filling())
    assert seen[0][0] == why
    assert (resumed.epochs, resumed.checkpoint_error) == (6, "")  # the disk had space again
    assert "checkpoint_error" not in storage.read(path, "checkpoint")[0]["history"]
    assert resumed.loss == twin.fit(X, y, epochs=6).loss


def test_model_that_cannot_be_saved_is_saved_in_the_temporary_folder(full, tmp_path):
    fill(full)
    (tmp_path / "temporary").mkdir()
    command = [*TRAIN, "--quiet", "--json", "--save", "small/m.npz", "--plot", "small/p.png"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    found = json.loads(result.stdout)
    assert result.returncode == 1
    assert found["save"].startswith(str(tmp_path / "temporary" / "m-"))
    assert found["plot"] is None
    assert result.stderr.splitlines() == [
        f"jitnet: cannot write small/m.npz: No space left on device; the model is in {found['save']} instead",
        "jitnet: cannot write small/p.png: No space left on device",
    ]
    assert found["unwritten"] == [line.removeprefix("jitnet: ") for line in result.stderr.splitlines()]
    assert jitnet.load(found["save"]).widths == "64-8-10"
    assert os.listdir(full) == ["filler"]


@pytest.mark.slow  # a separate process; models and checkpoints are tested separately above
def test_message_says_when_nothing_can_be_written(tmp_path):
    result = with_files_up_to(1000, [*TRAIN, "--quiet", "--save", "m.npz", "--checkpoint", "c"], tmp_path)
    place = tempfile.gettempdir()
    assert result.returncode == 1
    assert "test accuracy" in result.stdout
    assert "model in" not in result.stdout
    assert result.stderr.splitlines() == [
        "jitnet: cannot write c: File too large; this run has no checkpoint yet; training continues",
        f"jitnet: cannot write m.npz: File too large; {place} cannot be written either, so the model is lost",
    ]
    assert os.listdir(tmp_path) == []


@pytest.mark.slow  # a separate process; test_storage.py tests that old files are kept
def test_failing_output_of_predictions_keeps_the_old_file(bad_files, tmp_path):
    (tmp_path / "out").write_text("old")
    (tmp_path / "many.csv").write_text("a,b\n" + "1,2\n" * 1000)
    command = [*JITNET, "predict", str(bad_files / "model.npz"), "many.csv", "--quiet", "--out", "out"]
    result = with_files_up_to(1000, command, tmp_path)
    assert (result.returncode, result.stderr) == (2, "jitnet: cannot write out: File too large\n")
    assert (tmp_path / "out").read_text() == "old"
    assert set(os.listdir(tmp_path)) == {"out", "many.csv"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("stream", ["stdout", slow("stderr")])
def test_model_is_saved_if_the_output_cannot_be_written(stream, tmp_path):
    with open("/dev/full", "w") as full:
        other = {"stdout": "stderr", "stderr": "stdout"}[stream]
        result = subprocess.run(
            [*TRAIN, "--save", "m.npz"], cwd=tmp_path, check=False, text=True, **{stream: full, other: subprocess.PIPE}
        )
    assert jitnet.load(tmp_path / "m.npz").widths == "64-8-10"
    if stream == "stdout":
        assert result.returncode == 2
        assert result.stderr.splitlines()[-1] == "jitnet: output: No space left on device"
    else:
        assert result.returncode == 0
        assert "model in m.npz" in result.stdout


def started(folder, *more, **options):
    """A training run without end that has finished its first epoch."""
    process = subprocess.Popen([*ENDLESS, "--checkpoint", "c", *more], cwd=folder, **options)
    while not (folder / "c").exists():
        assert process.poll() is None
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("name", ["SIGTERM", slow("SIGHUP"), "SIGINT"])
def test_signals_end_the_training_and_save_the_model(name, tmp_path):
    process = started(tmp_path, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    number = signal.Signals[name]
    process.send_signal(number)
    if name == "SIGTERM":  # timeout(1) sends it; the second is ignored
        process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    if name != "SIGINT":
        assert errors.splitlines()[-1] == f"jitnet: ended by {name}"
    found = json.loads(out)
    assert found["stopped"] == "interrupted"
    assert jitnet.load(tmp_path / "m.npz").widths == "64-8-10"
    about, _ = storage.read(tmp_path / "c", "checkpoint")
    assert found["epochs"] - 1 <= len(about["history"]["loss"]) <= found["epochs"]


def test_background_job_ends_by_sigterm_and_ignores_ctrl_c(tmp_path):
    """A shell that starts a job with & sets SIGINT to be ignored."""
    process = started(tmp_path, "--quiet", stderr=subprocess.PIPE, text=True,
                      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))  # fmt: skip
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (143, "jitnet: ended by SIGTERM\n")
    jitnet.load(tmp_path / "m.npz")


@pytest.mark.slow  # a separate process; the test above ignores SIGINT in the same way
def test_nohup_is_respected(tmp_path):
    process = started(tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                      preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))  # fmt: skip
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.terminate()
    assert process.wait(timeout=60) == 143


@pytest.mark.parametrize("rich", [True, slow(False)])
def test_closed_terminal_ends_the_training_and_saves_the_model(rich, tmp_path):
    if rich:
        pytest.importorskip("rich")
    terminal, its_end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    if not rich:
        (tmp_path / "sitecustomize.py").write_text(
            "import importlib.util as u\nf = u.find_spec\n"
            "u.find_spec = lambda n, *a: None if n == 'rich' else f(n, *a)\n"
        )
        environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    in_session = (
        "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", in_session, *ENDLESS, "--checkpoint", "c"], cwd=tmp_path, stdin=its_end, stdout=its_end,
        stderr=its_end, env=environment,
    )  # fmt: skip
    os.close(its_end)
    shown = b""
    while not (tmp_path / "c").exists() or b"epoch" not in shown:
        assert process.poll() is None, shown
        shown += os.read(terminal, 4096)
    os.close(terminal)
    assert process.wait(timeout=60) == 129
    jitnet.load(tmp_path / "m.npz")


def test_handlers_of_a_host_program_are_not_replaced():
    heard, before = [], signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        history = make().fit(*spiral(), epochs=5, progress=At(lambda: os.kill(os.getpid(), signal.SIGTERM), epoch=2))
        assert (history.epochs, history.stopped, heard) == (5, "", [signal.SIGTERM])
    finally:
        signal.signal(signal.SIGTERM, before)


def test_command_restores_the_signal_handlers():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    assert cli.main(["predict", "none", "none"]) == 2
    assert before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
