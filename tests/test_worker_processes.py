"""The process in which a kernel runs ends with the command that started it, whatever ends that."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from cases import release
from command import JITNET

from jitnet.lab.benchmark import sandbox
from jitnet.lab.problems import of_operation


def runs(pid):
    """Whether a process exists and is not a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def killed_with_its_child(command, number, folder):
    """Start a command whose child writes its process id into a file, and end it by a signal; the child must end too."""
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    pid = folder / "pid"
    while not (pid.exists() and pid.read_text().endswith("\n")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    assert runs(int(pid.read_text()))
    process.send_signal(number)
    _, said = process.communicate()
    for _ in range(100):
        if not runs(int(pid.read_text())):
            return process.returncode, said
        time.sleep(0.1)
    pytest.fail("its child still runs")


WRITES_ITS_PID = "import os, time\nwith open('pid', 'w') as file:\n    file.write(f'{os.getpid()}\\n')\n"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), release("SIGTERM", 143), ("SIGKILL", -9)])
def test_worker_process_ends_with_the_command(name, status, tmp_path):
    """Even if the function never releases the GIL."""
    endless = "from numba import njit\n@njit\ndef f(X, W, Z):\n    while len(X) >= 0:\n        Z[0, 0] += 1\n"
    (tmp_path / "endless.py").write_text(WRITES_ITS_PID + endless)
    command = [*JITNET, "ladder", "--size", "24", "--with", "endless.py:f", "--patience", "900"]
    found, said = killed_with_its_child(command, signal.Signals[name], tmp_path)
    assert found == status, said
    if status > 0:
        last = {"SIGINT": "jitnet: interrupted", "SIGTERM": "jitnet: ended by SIGTERM"}[name]
        assert said.splitlines()[-1] == last


def test_ctrl_c_does_not_wait_until_the_kernel_ends(monkeypatch):
    with sandbox.Trial("f", None, of_operation("matmul"), (4, 4, 4), np.dtype("float32"), 1, 9.0) as tried:
        waits, wait = [], tried.process.wait
        monkeypatch.setattr(tried.process, "wait", lambda timeout=None: waits.append(timeout) or wait(timeout))
        tried.__exit__(KeyboardInterrupt)
        assert waits == [None]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_worker_process_ends_with_its_parent(tmp_path):
    text = "".join(f"    {line}\n" for line in WRITES_ITS_PID.splitlines())
    (tmp_path / "lasting.py").write_text(f"def last():\n{text}    time.sleep(1000)\n")
    code = "import sys; sys.path.insert(0, '.'); import lasting; from jitnet.lab.worker import ask; ask(lasting.last)"
    killed_with_its_child([sys.executable, "-c", code], signal.SIGKILL, tmp_path)
