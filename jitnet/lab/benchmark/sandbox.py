"""A custom kernel in a separate process: does it end, stay in its arrays, compute the right result, and how fast?

A kernel may hang, end the interpreter, write anywhere, or allocate all memory, so it never runs in the process that
shows the ladder. A child process tests it on awkward shapes, then at the size to be timed, and makes the timed calls
when the parent asks for them. Before each step the child writes a line of JSON: the step and its time limit.
The parent ends a child that takes longer. Compilation has its own time limit. The child's side is in child.py.

This protects against mistakes, not against malice: the kernel can read, change and send everything that the user can.
"""

import contextlib
import json
import os
import pickle
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from time import perf_counter  # before a kernel's file could replace it
from typing import IO, Any

import numpy as np
from numba.core import serialize

from ... import checks
from ...process import disturbance
from .. import loading
from ..oracle import Shape
from ..problems import Problem
from ..worker import command
from . import child
from .child import COMPILING, TIMED

PATIENCE = 20.0
"""Seconds after which a call on a small shape counts as hanging."""

UNSEEN = 0.01
"""Seconds that a line may need from process to process, when the machine is busy."""

STRAY = "writes into files that it has not opened, such as the pipe to the process that shows the ladder"
"""The error of a kernel that writes to the pipe between child and parent."""

ENDING = 5.0
"""Seconds that the child, and the pipe that it writes to, may take to end."""


class KernelError(Exception):
    """The error of a kernel, as a sentence."""


class _News(dict[str, Any]):
    """A line of the child."""

    def __missing__(self, key: str) -> Any:
        raise KernelError(STRAY)


class Trial:
    """A kernel in a separate process, as long as the `with` block lasts; without a function, a rung of the problem.

    After `examine`, shape is the size at which a call is short enough, error is its error or None, threads is how many
    it may use, and idea is the first sentence of its docstring. Then `seconds_of` times it.
    """

    def __init__(
        self, name: str, function: loading.Custom | None, problem: Problem, shape: Shape,
        dtype: np.dtype[Any], threads: int, patience: float, seed: int = 0,
    ) -> None:  # fmt: skip
        self.name, self.problem, self.dtype, self.is_custom = name, problem, dtype, function is not None
        self.job = {
            "name": name, "function": _packed(name, function) if callable(function) else function,
            "problem": (problem.path, problem.name), "shape": shape, "dtype": dtype, "threads": threads,
            "patience": patience, "seed": seed,
        }  # fmt: skip
        self.shape, self.threads, self.idea, self.is_interpreted, self.untested = shape, 1, "", False, 0
        self.error: str | None = None
        self.doing, self.loaded, self.is_over = "starting", False, False
        self.report: Callable[[str], object] = lambda doing: None
        self.seen = 0.0
        """Seconds that the timed calls took by the clock of this process."""
        self.excess: list[float] = []
        """By how much this exceeds twice the time reported by the kernel's process, for each long request, without the
        time that both processes waited for a core."""

    def __enter__(self) -> "Trial":
        self.errors = tempfile.TemporaryFile()
        # in its own process group: only the parent gets ^C, and processes that the kernel starts can be ended with it
        self.process = subprocess.Popen(
            command(child.__name__), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.lines: queue.Queue[tuple[float, bytes]] = queue.Queue()
        """The lines of the child, each with its time of arrival."""
        self.listener = threading.Thread(target=_forward, args=(self.process.stdout, self.lines), daemon=True)
        self.listener.start()
        disturbance.HELPERS.add(self.process.pid)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        if not self.is_over and kind is not KeyboardInterrupt:  # after ^C it is in the middle of a step
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=ENDING)  # it may have to clean up
        if os.name == "posix":
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()
        disturbance.HELPERS.discard(self.process.pid)
        self.listener.join(timeout=ENDING)  # a process that left the group may keep the pipe open
        self.errors.close()

    def examine(self, most: float, report: Callable[[str], object]) -> None:
        """Test the kernel, and find the largest size up to the requested one at which a call takes `most` seconds.

        `report` is called at each step. A kernel that cannot be loaded is a `checks.Error`.
        """
        self.report = report
        try:
            found = self._answer(pickle.dumps(self.job | {"most": most}), COMPILING)
            if "not_loaded" not in found:
                self.shape, self.error = tuple(found["shape"]), found["error"]
                self.threads, self.idea = found["threads"], found["idea"]
                self.is_interpreted, self.untested = found["interpreted"], found["untested"]
        except KernelError as error:
            if not self.loaded:
                raise checks.Error(f"{self.name} {error}") from None
            self.error = str(error)
            return
        if "not_loaded" in found:
            raise checks.Error(found["not_loaded"])
        self.report = lambda doing: None

    def seconds_of(self, calls: int) -> float:
        """Seconds for one of this many calls in a row. Raises `KernelError`."""
        self.seen, before = 0.0, self._waited()
        found = self._answer(f"{calls}\n".encode(), PATIENCE)
        if "error" in found:
            raise KernelError(found["error"])
        seconds, claimed = float(found["seconds"]), float(found["claimed"])
        if self.seen > UNSEEN:
            self.excess.append(self.seen - 2 * claimed - (self._waited() - before))
        if len(self.excess) > 2 and min(self.excess) > UNSEEN:
            raise KernelError(f"takes {self.seen:.2g} s, but its own clock says {claimed:.2g} s; leave the clock alone")
        return seconds

    def _waited(self) -> float:
        """Seconds so far that the kernel's process and the listener were ready to run, but had no core."""
        return _waited(self.process.pid, self.process.pid) + _waited(os.getpid(), self.listener.native_id)

    def _answer(self, question: bytes, limit: float) -> dict[str, Any]:
        """The answer of the child to a request; lines about its steps come before it."""
        assert self.process.stdin is not None
        since = perf_counter()
        # does not block: the child reads the job before it runs the kernel, and a pipe has room for a number
        with contextlib.suppress(OSError):  # the child has ended: see below
            self.process.stdin.write(question)
            self.process.stdin.flush()
        while True:
            try:
                at, line = self.lines.get(timeout=limit)
            except queue.Empty:
                self.is_over = True
                raise KernelError(f"hangs: no end after {limit:g} seconds, {self.doing}") from None
            if not line:
                self.is_over = True
                raise KernelError(f"{_end_of(self.process, self.errors)}, {self.doing}")
            try:
                news = _News(json.loads(line))
            except (ValueError, TypeError):
                raise KernelError(STRAY) from None
            self.seen += at - since if self.doing == TIMED else 0.0
            since = at
            if "doing" not in news:
                return news
            self.doing, limit, self.loaded = news["doing"], news["limit"], news["loaded"]
            self.report(f"{self.name}, {self.doing}")


def _packed(name: str, function: loading.Function) -> bytes:
    try:
        return serialize.dumps(function)  # type: ignore[no-any-return]
    except Exception as error:
        raise checks.Error(
            f"{name} cannot be sent to the process that tests it ({checks.described(error)}); "
            "write it into a file and give 'file.py:function'"
        ) from None


def _waited(process: int, thread: int | None) -> float:
    """Seconds that a thread was ready to run, but had no core; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{process}/task/{thread}/schedstat") as file:
        return int(file.read().split()[1]) / 1e9
    return 0.0


def _forward(stream: IO[bytes], lines: "queue.Queue[tuple[float, bytes]]") -> None:
    with stream:
        for line in stream:
            lines.put((perf_counter(), line))
    lines.put((perf_counter(), b""))


def _end_of(process: "subprocess.Popen[bytes]", errors: IO[bytes]) -> str:
    """How a child ended too early."""
    try:
        status = process.wait(timeout=ENDING)
    except subprocess.TimeoutExpired:
        return "closes files that it has not opened"
    errors.seek(0)
    last = errors.read()[-4000:].decode(errors="replace").strip().splitlines()[-1:]
    said = f" ({' '.join(last[0].split())[:200]})" if last else ""
    if status < 0:
        return f"crashes the process: {signal.Signals(-status).name}{said}"
    return f"ends the process with status {status}{said}"
