"""Requests to the process that compiles and runs functions (`compiling.py`), and its answers."""

import contextlib
import json
import os
import platform
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

from ... import checks
from ...compiler.jit import is_compiled
from ...kernels import LADDERS
from ...process.progress import Report, ignore
from .. import problems
from ..ladder import shape_of
from ..loading import check_name
from ..machine import check_compiling
from ..worker import command
from .instructions import is_readable
from .running import LIMIT


class ProcessError(checks.Error):
    """The compiling process has ended without an answer."""

    how = ""
    """How it ended; the message also names the function."""


def _how_it_ended(status: int, said: str) -> str:
    name = signal.Signals(-status).name if status < 0 else ""
    if name == "SIGALRM":
        return f"it did not end within {LIMIT} s"
    crashed = f"it crashed ({name}); jitnet check finds indices out of bounds"
    return crashed if name else f"it ended with status {status}{said}"


def request_for(
    target: str, dtype: str = "float32", arguments: str | None = None, types: str | None = None,
    options: str | None = None, operation: str | None = None, run: str | int | None = None,
    problem: str | None = None, times: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """The request for the child process, after the checks that need no compilation.

    times    a run is also timed, and sampled; otherwise only the iterations of its loops are counted
    """
    if not is_readable():
        raise checks.Error(
            "explain reads the instructions of x86-64 (SSE, AVX2, AVX-512) and AArch64 (NEON), but this machine is "
            f"{platform.machine()}"
        )
    check_compiling()
    if ":" in target:
        check_name(target)
        if [arguments, types, operation, problem].count(None) < 3:
            raise checks.Error("give one of example arguments, types, an operation and a problem, not two")
        if operation is not None:
            problems.operation_called(operation)
    else:
        _check_rung(target)
        if (arguments, types, options, operation, problem) != (None,) * 5:
            raise checks.Error(
                f"{target} has its own arguments and options; they can be given for file.py:function only"
            )
    wanted = None if problem is None else problems.tried(problem)
    return {
        "target": target, "dtype": checks.dtype_of(dtype).name, "arguments": arguments, "types": types,
        "options": options, "operation": operation, "problem": wanted and (wanted.path or wanted.name),
        "run": None if run is None else shape_of(run or None, wanted), "times": times,
    }  # fmt: skip


def _check_rung(target: str) -> None:
    operation, rung = problems.rung_called(target)
    if not is_compiled(LADDERS[operation][rung]):
        how = "NumPy's own code" if rung == "numpy" else "interpreted by Python"
        raise checks.Error(f"{target} is {how}, not compiled by Numba; try {operation}.njit")


def answers(requests: list[dict[str, Any]], report: Report = ignore) -> list[dict[str, Any]]:
    """The answers of the child process: assembly and remarks for each request, or {"error": ...}."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command("jitnet.lab.machine_code.compiling"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            env=environment, encoding="utf-8",
        )  # fmt: skip
        with child:
            try:
                found += _received(child, requests, report)
            except BaseException:
                child.kill()
                raise
        if len(found) < len(requests):
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            last = f": {said[0]}" if said else ""
            how = _how_it_ended(child.returncode, last)
            error = ProcessError(f"compiling {requests[len(found)]['target']} failed: {how}")
            error.how = how
            raise error
    report(len(found), len(found), "")
    return found


def _received(child: subprocess.Popen[str], requests: list[dict[str, Any]], report: Report) -> Iterator[dict[str, Any]]:
    """The answers to the requests, until the child ends."""
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # the child has ended
        child.stdin.write(json.dumps(requests) + "\n")
        child.stdin.flush()
    for number, request in enumerate(requests):
        report(number, len(requests), f"compiling {request['target']}")
        line = child.stdout.readline()
        if not line:
            return
        yield json.loads(line)
