"""The trial of a user's kernel before it runs in this process: does it end, stay in its arrays, and is it right?

A function may hang, end the interpreter, or write anywhere. So it is tried in a child process, on ugly shapes and then
at the size that is to be timed, and the parent watches the clock. The child writes a line of JSON before everything
that it does: what it is, and how long it may take. Time in which Numba compiles has a limit of its own.
"""

import contextlib
import faulthandler
import functools
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np
from numba.core import event, serialize

from ... import backend, checks
from .. import loading, oracle
from ..child import command
from ..timing import manageable
from . import judge, own

PATIENCE = 20.0
"""Seconds that one call may take on a small shape before it counts as hanging."""

COMPILING = 600.0
"""Seconds that the child may take to start, and Numba to compile."""


def examine(
    name: str, function: loading.Own, operation: str, shape: oracle.Shape, dtype: np.dtype[Any], threads: int | None,
    patience: float, most: float, report: Callable[[str], object],
) -> tuple[oracle.Shape, str | None]:  # fmt: skip
    """Try a function: the size at which a call takes `most` seconds, but `shape` at most, and what is wrong, or None.

    `report` hears what is being done. That a function cannot be loaded is a `checks.Error`.
    """
    job = {
        "name": name, "function": function if isinstance(function, str) else _packed(name, function),
        "operation": operation, "shape": shape, "dtype": dtype, "threads": threads, "patience": patience, "most": most,
    }  # fmt: skip
    with tempfile.TemporaryFile() as errors, _child(pickle.dumps(job), errors) as (child, lines):
        news: dict[str, Any] = {"doing": "starting", "limit": COMPILING, "loaded": False}
        while "doing" in news:
            try:
                line = lines.get(timeout=news["limit"])
            except queue.Empty:
                fault = f"hangs: no end after {news['limit']:g} seconds"
                break
            if not line:
                fault = _end_of(child, errors)
                break
            news = json.loads(line)
            if "doing" in news:
                report(f"{name}, {news['doing']}")
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=5)  # it may have something to put in order
    if "error" in news:
        raise checks.Error(news["error"])
    if "doing" not in news:
        m, n_in, n_out = news["shape"]
        return (m, n_in, n_out), news["fault"]
    if not news["loaded"]:
        raise checks.Error(f"{name} {fault}, {news['doing']}")
    return shape, f"{fault}, {news['doing']}"


def _packed(name: str, function: loading.Function) -> bytes:
    try:
        return serialize.dumps(function)  # type: ignore[no-any-return]
    except Exception as error:
        raise checks.Error(
            f"{name} cannot be sent to the process that tries it ({checks.described(error)}); "
            "write it into a file and give 'file.py:function'"
        ) from None


@contextlib.contextmanager
def _child(job: bytes, errors: IO[bytes]) -> Iterator[tuple["subprocess.Popen[bytes]", "queue.Queue[bytes]"]]:
    """A child with its job, and the lines that it writes; an empty one is its end."""
    # in a process group of its own, ^C is for the parent to hear, and what the function starts can be ended with it
    child = subprocess.Popen(
        command(__name__), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    lines: queue.Queue[bytes] = queue.Queue()
    listener = threading.Thread(target=_forward, args=(child.stdout, lines), daemon=True)
    listener.start()
    try:
        with contextlib.suppress(BrokenPipeError), child.stdin:
            child.stdin.write(job)
        yield child, lines
    finally:
        if os.name == "posix":
            with contextlib.suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
        child.wait()
        listener.join()
        child.stdout.close()


def _forward(stream: IO[bytes], lines: "queue.Queue[bytes]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(b"")


def _end_of(child: "subprocess.Popen[bytes]", errors: IO[bytes]) -> str:
    """How a child ended before it was done."""
    status = child.wait()
    errors.seek(0)
    last = errors.read()[-4000:].decode(errors="replace").strip().splitlines()[-1:]
    said = f" ({' '.join(last[0].split())[:200]})" if last else ""
    if status < 0:
        return f"crashes the process: {signal.Signals(-status).name}{said}"
    return f"ends the process with status {status}{said}"


class _Child:
    """Carries out a job, and tells the parent about it."""

    def __init__(self, job: dict[str, Any], channel: IO[str]) -> None:
        self.job, self.channel = job, channel
        self.doing, self.loaded, self.compilations = "", False, 0
        self.nowhere = open(os.devnull, "w")  # noqa: SIM115

    def tell(self, **news: Any) -> None:
        print(json.dumps(news), file=self.channel, flush=True)

    def begin(self, doing: str, limit: float) -> None:
        # should there be no parent any more to end this
        faulthandler.dump_traceback_later(limit + 60, exit=True, file=self.nowhere)
        self.tell(doing=doing, limit=limit, loaded=self.loaded)

    def work(self, doing: str) -> None:
        self.doing = doing
        self.begin(doing, self.job["patience"])

    def compiling(self, more: int) -> None:
        """Numba begins to compile (1), or is done (−1): one kernel within another, at times."""
        self.compilations += more
        if self.compilations == 0:
            self.work(self.doing)
        elif more == self.compilations == 1:
            self.begin("compiling", COMPILING)

    def run(self) -> None:
        event.register("numba:compile", _Listener(self.compiling))
        name, function, operation, dtype = (self.job[key] for key in ("name", "function", "operation", "dtype"))
        self.work(f"importing {function}" if isinstance(function, str) else "loading")
        try:
            kernel = serialize.loads(function) if isinstance(function, bytes) else loading.load(function)
        except checks.Error as error:
            return self.tell(error=str(error))
        except Exception as error:
            return self.tell(error=f"{name} cannot be loaded where it is tried ({checks.described(error)})")
        self.loaded = True
        case = oracle.case(operation, (1, 1, 1), dtype)

        def call_for(shape: oracle.Shape) -> Callable[[], object]:
            nonlocal case
            case = oracle.case(operation, shape, dtype)
            self.work(judge.given(operation, case))
            return functools.partial(kernel, *case.arguments)

        def fault(shape: oracle.Shape) -> str | None:
            call_for(shape)
            return judge.fault(kernel, operation, shape, dtype)

        shape = self.job["shape"]
        found = own.misfit(kernel, name, judge.names_of(operation), judge.outputs_of(operation))
        try:
            found = found or next(filter(None, map(fault, oracle.ugly_shapes(operation))), None)
            if not found:
                shape = manageable(call_for, shape, min(self.job["most"], self.job["patience"] / 4))
                found = fault(shape)
        except BaseException as error:  # sys.exit too
            found = own.in_words(error, kernel, case.arguments, judge.given(operation, case))
        return self.tell(fault=found, shape=shape)


class _Listener(event.Listener):  # type: ignore[misc]
    """Passes on when Numba begins to compile, and when it is done."""

    def __init__(self, compiling: Callable[[int], None]) -> None:
        self.compiling = compiling

    def on_start(self, event: Any) -> None:
        self.compiling(1)

    def on_end(self, event: Any) -> None:
        self.compiling(-1)


def main() -> None:
    """The child. Its job comes by standard input, its news leave by standard output, where nothing else is printed."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = pickle.load(sys.stdin.buffer)
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no file with the whole memory where it crashes
    with backend.threads(job["threads"]), np.errstate(all="ignore"):
        _Child(job, channel).run()
