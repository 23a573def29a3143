"""The grader's side of a process that it does not trust.

The arguments of a kernel are in memory that both processes share. The grader writes the inputs while the other process
is stopped, starts its clock, and lets it run. When the process reports the end of the call, the grader stops it and the
clock, and reads the memory. So nothing that the process reports can make a result right or a time shorter: results that
are missing at that moment are wrong, and work before the clock starts has no inputs.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from ...process import disturbance
from ..worker import command
from . import child
from .board import Board

STARTING, COMPILING, ENDING = 60.0, 120.0, 5.0
"""Seconds that a process may take to start, for all its compilations, and to end."""

ALL = 300
"""Limits for all calls together, in seconds: CPU time of one core, and wall-clock time."""

MUCH = 0.25
"""The fraction of its memory that a message about a call mentions."""

LONGEST = 1 << 16
"""The maximum number of bytes that it may write without a complete line."""

ENVIRONMENT = (
    "PATH", "LANG", "LC_ALL", "TMPDIR", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "OPENBLAS_CORETYPE",
)  # fmt: skip
"""Environment variables that a submission sees; others may contain secrets."""


class FailureError(Exception):
    """An error of a submission, as a sentence without a subject: `raises ValueError`."""


@dataclass(frozen=True)
class Limits:
    """Of a process that runs a submission."""

    seconds: float = 10.0
    """For one call, without compilation."""
    memory: float = 2.0
    """GiB, in addition to what Python and its packages take."""
    threads: int = 1


class Process:
    """A kernel in a separate process, which has loaded it, as long as the `with` block lasts.

    A kernel that cannot be loaded raises `FailureError` where the block begins.
    """

    def __init__(self, job: dict[str, Any], limits: Limits, board: Board) -> None:
        self.job = job | {
            "trusted": "problem" in job, "memory": board.number, "bytes": int(limits.memory * 2**30), "seconds": ALL,
        }  # fmt: skip
        self.limits, self.board = limits, board
        self.said, self.unfenced, self.loaded_bytes = b"", "", 0
        self.compiling_left, self.end_of_all = COMPILING, time.monotonic() + ALL

    @classmethod
    def of_submission(cls, file: str, name: str, limits: Limits, board: Board) -> "Process":
        """A function of an untrusted file; of the user's files, it can read only its folder."""
        return cls({"file": file, "name": name}, limits, board)

    @classmethod
    def of_rung(cls, problem: str, name: str, limits: Limits, board: Board) -> "Process":
        """A rung of a problem, which is called and timed in the same way, but trusted."""
        return cls({"problem": problem, "name": name}, limits, board)

    def __enter__(self) -> "Process":
        self._start()
        try:
            self._load()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        trusted = self.job["trusted"]
        kept = {name: value for name, value in os.environ.items() if trusted or name in ENVIRONMENT}
        threads = str(self.limits.threads)
        self.child = subprocess.Popen(
            command(child.__name__, json.dumps(self.job)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, bufsize=0, pass_fds=[self.board.number], start_new_session=True,
            env=kept | {"NUMBA_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            cwd=None if trusted else os.path.dirname(self.job["file"]),
        )  # fmt: skip
        self._keep_to_cores()
        assert self.child.stdin is not None
        os.set_blocking(self.child.stdin.fileno(), False)
        disturbance.HELPERS.add(self.child.pid)

    def _keep_to_cores(self) -> None:
        if hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))[-self.limits.threads :]
            with contextlib.suppress(OSError):
                os.sched_setaffinity(self.child.pid, cores)

    def close(self) -> None:
        """End it, and all processes that it started."""
        with contextlib.suppress(OSError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            assert stream is not None
            stream.close()
        disturbance.HELPERS.discard(self.child.pid)

    def _load(self) -> None:
        """Wait until it has loaded its function."""
        if not self.job["trusted"]:
            self._wait_for("fenced", STARTING)
        self._wait_for("loaded", STARTING if self.job["trusted"] else self.limits.seconds)
        self._pause()
        self.loaded_bytes = self._resident()

    def call(self, arguments: Sequence[Any], inputs: int) -> float:
        """Call it with these arguments, the first `inputs` of them inputs; seconds until it says that it is done.

        The outputs are then in the board. Raises `FailureError`.
        """
        if time.monotonic() > self.end_of_all:
            raise FailureError(f"takes more than {ALL // 60} minutes for all calls")
        line = json.dumps(self.board.place(arguments, inputs)).encode() + b"\n"
        assert self.child.stdin is not None
        start = perf_counter()
        try:
            os.kill(self.child.pid, signal.SIGCONT)
            self.child.stdin.write(line)
        except OSError:  # it has ended, or does not read its commands
            pass
        self._wait_for("done", self.limits.seconds)
        self._pause()  # before the clock is read: until then its threads could go on
        return perf_counter() - start

    def _pause(self) -> None:
        """Stop all its threads, and wait until they are."""
        os.kill(self.child.pid, signal.SIGSTOP)
        _, status = os.waitpid(self.child.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self.child.returncode = os.waitstatus_to_exitcode(status)
            raise FailureError(self._end())

    def _wait_for(self, wanted: str, seconds: float) -> None:
        """Read its output up to the wanted word; compilation has its own time limit."""
        compiling = False
        now = time.monotonic()
        end = now + seconds
        while True:
            left = min(self.compiling_left, COMPILING) if compiling else end - time.monotonic()
            before = time.monotonic()
            word, text = self._word(left, compiling, seconds)
            if compiling:
                spent = time.monotonic() - before
                self.compiling_left, end = self.compiling_left - spent, end + spent
            if word == wanted:
                self.unfenced = text if wanted == "fenced" else self.unfenced
                return
            if word == "error":
                raise FailureError(text)
            compiling = word == "compiling"

    def _word(self, seconds: float, compiling: bool, most: float) -> tuple[str, str]:
        """The next thing that it says."""
        assert self.child.stdout is not None
        end = time.monotonic() + seconds
        while b"\n" not in self.said:
            left = end - time.monotonic()
            ready = left > 0 and select.select([self.child.stdout], [], [], left)[0]
            if not ready:
                raise FailureError(
                    "takes more than two minutes to compile" if compiling
                    else f"did not finish within {most:g} seconds, the limit for one call{self._memory()}"
                )  # fmt: skip
            heard = os.read(self.child.stdout.fileno(), LONGEST)
            if not heard:
                raise FailureError(self._end())
            self.said += heard
            if len(self.said) > LONGEST and b"\n" not in self.said:
                raise FailureError(_FORGED)
        line, _, self.said = self.said.partition(b"\n")
        try:
            word, text = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            raise FailureError(_FORGED) from None
        if word not in ("fenced", "loaded", "compiling", "compiled", "done", "error") or not isinstance(text, str):
            raise FailureError(_FORGED)
        return word, text

    def _memory(self) -> str:
        """How much memory it has filled, if that is a reason why it takes long."""
        filled = (self._resident() - self.loaded_bytes) / 2**30
        is_much = self.loaded_bytes and filled > MUCH * self.limits.memory
        return f"; it has filled {filled:.2g} GiB of memory, and the limit is {self.limits.memory:g}" if is_much else ""

    def _resident(self) -> int:
        """Bytes of memory that it has touched; 0 where the system does not say."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return 0

    def _end(self) -> str:
        """How it ended, if it ended too early."""
        try:
            status = self.child.wait(timeout=ENDING)
        except subprocess.TimeoutExpired:
            return "closes the pipe to the grader"
        if status in (-signal.SIGKILL, -signal.SIGXCPU):
            return "is ended by the system: it takes too much memory, or too much time"
        if status < 0:
            return (
                f"crashes the process: {signal.Signals(-status).name}, as when it writes to memory that is not its own"
            )
        return f"ends the process with status {status}"


_FORGED = "writes into the pipe to the grader"
