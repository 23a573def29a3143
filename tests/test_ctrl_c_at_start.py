"""^C while the command line starts: status 130, no traceback. Programs that import jitnet keep their SIGINT handler."""

import ctypes
import os
import signal
import subprocess
import sys
import time
import weakref

import pytest
from cases import slow
from runs import press_ctrl_c

from jitnet import cli
from jitnet.process import interruption

SCRIPT = "import sys\nfrom jitnet.cli import main\nsys.exit(main())\n"
"""What an installer writes for the entry point jitnet.cli:main."""

STARTED = """
import os, sys
class Watch:
    def find_spec(self, name, *_):
        if name == "numpy":
            os.write(1, b"importing\\n")
            sys.meta_path.remove(self)
sys.meta_path.insert(0, Watch())
"""
"""Runs as sitecustomize.py and prints a line when the import of NumPy begins. The time before that is short, and mostly
Python's own startup, in which jitnet cannot handle ^C."""

DELAYS = (0, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.8, 1.2, 2)
"""Seconds. Importing NumPy, Numba and jitnet takes about one."""


@pytest.fixture
def start(tmp_path):
    """Start Python and wait until it imports NumPy."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(STARTED)
    (tmp_path / "jitnet").write_text(SCRIPT)
    places = [str(tmp_path / "site"), *(place for place in sys.path if place)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "JITNET_CACHE_DIR": str(tmp_path / "cache")}
    ways = {"script": [tmp_path / "jitnet"], "module": ["-m", "jitnet"]}

    def start(way, *arguments, **options):
        process = subprocess.Popen(
            [sys.executable, *ways.get(way, [way]), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=environment, cwd=tmp_path, **options,
        )  # fmt: skip
        assert process.stdout.readline() == "importing\n"
        return process

    return start


def interrupted(command):
    """Call a function that a KeyboardInterrupt must end."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt):
            command()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")
def test_ctrl_c_during_an_llvm_callback_is_raised_after_it(capfd):
    """Python prints an exception there and continues, so the interrupt would be lost."""
    done = []

    def _raw_object_cache_notify():
        press_ctrl_c()
        done.append("callback")

    callback = ctypes.CFUNCTYPE(None)(_raw_object_cache_notify)

    def command():
        with interruption.raised():
            callback()
            done.append("after it")
            time.sleep(10)

    interrupted(command)
    assert done == ["callback", "after it"]
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")
@pytest.mark.parametrize("where", ["destructor", "weakref"])
def test_ctrl_c_in_a_finalizer_is_raised_after_it(capfd, where):
    """Numba frees LLVM's objects in __del__ and weakref callbacks, where Python prints an exception and continues."""

    class Freed:
        def __del__(self):
            if where == "destructor":
                press_ctrl_c()

    def command():
        freed = Freed()
        callback = weakref.ref(freed, lambda _: press_ctrl_c()) if where == "weakref" else None
        with interruption.raised():
            del freed
            done.append("after it")
            time.sleep(10)
        return callback

    done = []
    hook = sys.unraisablehook
    interrupted(command)
    assert done == ["after it"]
    assert sys.unraisablehook is hook
    assert capfd.readouterr().err == ""


def test_half_made_objects_of_an_interrupted_compiler_print_nothing(monkeypatch, capsys):
    """^C in the constructor of an LLVM object: its destructor misses an attribute."""

    class HalfMade:
        def __del__(self):
            raise AttributeError("_as_parameter_")

    def run(_):
        made = HalfMade()
        raise KeyboardInterrupt(id(made))

    monkeypatch.setattr(cli, "_run", run)
    before = sys.unraisablehook
    assert cli.main(["train", "digits"]) == 130
    assert capsys.readouterr().err == "jitnet: interrupted\n"
    assert sys.unraisablehook is before


@pytest.mark.parametrize(
    ("delay", "way"),
    [
        pytest.param(delay, way, marks=pytest.mark.slow if (n + m) % 2 or n not in (0, 3, 6) else ())  # a process each
        for n, delay in enumerate(DELAYS) for m, way in enumerate(("script", "module"))
    ],
)  # fmt: skip
def test_ctrl_c_during_startup_ends_the_command_without_traceback(start, way, delay):
    """A shell reports status 130 for a process that SIGINT ended and for one that exits with 130."""
    process = start(way, "train", "digits", "--epochs", "1000000", "--quiet")
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    with process:  # a leftover process would make a later test fail
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode in (-signal.SIGINT, 130)
    assert errors in ("", "jitnet: interrupted\n")


@pytest.mark.parametrize("way", ["script", slow("module")])
def test_ignored_sigint_stays_ignored(start, way):
    """A shell starts background jobs with SIGINT ignored."""
    process = start(way, "--version", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output[:6], errors) == (0, "jitnet", "")


def test_importing_jitnet_keeps_the_sigint_handler(start, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("try:\n    import jitnet\nexcept KeyboardInterrupt:\n    print('caught')\n")
    process = start(program)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("caught\n", "")
    assert process.returncode == 0
    program.write_text(
        "import signal\ndef mine(*_): pass\nsignal.signal(signal.SIGINT, mine)\nimport jitnet.cli\n"
        "try:\n    jitnet.cli.main(['--version'])\nexcept SystemExit: pass\nprint(signal.getsignal(2) is mine)\n"
    )
    process = start(program)
    output, errors = process.communicate(timeout=60)
    assert (output.splitlines()[1:], errors) == (["True"], "")


def test_sigint_raises_keyboard_interrupt_only_inside_the_command():
    """Inside, SIGINT raises KeyboardInterrupt; before and after, it ends the process."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), interruption.raised():
            press_ctrl_c()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("arguments", "words", "is_command"),
    [
        (["/usr/bin/jitnet", "train"], ["python", "/usr/bin/jitnet", "train"], True),
        (["Scripts/jitnet.exe"], ["python"], True),
        (["-m", "train"], ["python", "-X", "dev", "-m", "jitnet", "train"], True),
        (["-m"], ["python", "-mjitnet", "train"], True),
        (["-m"], ["python", "-m", "pytest"], False),
        (["-m"], ["python", "-m", "benchmarks", "jitnet"], False),
        (["/home/a/program.py", "jitnet"], ["python", "program.py", "jitnet"], False),
        (["-c"], ["python", "-c", "import jitnet"], False),
        ([""], ["python"], False),
        ([], [], False),
    ],
)
def test_processes_of_the_command_are_recognized(monkeypatch, arguments, words, is_command):
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(sys, "orig_argv", words)
    assert interruption._is_the_command() == is_command
