"""All tests of a submission, and all submissions of a folder."""

import contextlib
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ... import checks
from ...checks import described
from .. import estimate, machine
from .assignment import CHECKS, PEAK, Assignment
from .judging import Judge, Verdict, peaks
from .language import LONGEST
from .output import one_line
from .parts import parts_of

CORRECT = 1.0
"""Seconds of the test of correctness on an idle machine, for the estimate; a kernel is first tested for it."""

SEEDS = 62
"""Bits: a submission must not be able to try all seeds."""


def new_seed() -> int:
    """A seed that no submission can guess."""
    return secrets.randbits(SEEDS)


def submissions(place: str | Path, file: str) -> list[tuple[str, Path]]:
    """Names and files of a submission, or of all in a folder.

    In a folder, each Python file is a submission, and each folder, in which the file has the wanted name, or is the
    only one; otherwise it does not exist. A folder that has a file of the wanted name is itself a submission.
    """
    path = Path(place)
    if not path.is_dir():
        if not path.exists():
            raise checks.Error(f"there is no submission {place}; expected a Python file, or a folder of submissions")
        if path.suffix != ".py":
            raise checks.Error(f"{place} is not a Python file; the name of a submission ends with .py")
        return [(path.name, path)]
    if (path / file).is_file():
        return [(path.resolve().name, path / file)]
    found = []
    for entry in sorted(path.iterdir()):
        if entry.is_symlink():
            continue
        if entry.is_dir() and not entry.name.startswith((".", "__")):
            files = sorted(entry.rglob("*.py"))
            named = [inner for inner in files if inner.name == file] or files
            found.append((entry.name, named[0] if len(named) == 1 else entry / file))
        elif entry.suffix == ".py":
            found.append((entry.stem, entry))
    if not found:
        raise checks.Error(f"{place} has no submissions; expected Python files, or a folder for each student")
    return found


def expected_seconds(assignment: Assignment, found: list[tuple[str, Path]]) -> float:
    """Seconds to grade these submissions; those of which nothing will run take no time."""
    tests = [test for kernel in assignment.kernels for test in kernel.tests]
    of_one = CORRECT * len(assignment.kernels) + sum(CHECKS[test.check] for test in tests)
    contents = [_content(path) for _, path in found]
    running = sum(not (error or parts_of(content, assignment.language).error) for content, error in contents)
    return running * of_one + (estimate.LIMITS if _needs_peaks(assignment) and not machine.cached() else 0)


def expected(assignment: Assignment, found: list[tuple[str, Path]]) -> str:
    """The estimate in words, with what a submission may add that does not end."""
    again = max(sum(test.is_chosen for test in kernel.tests) for kernel in assignment.kernels)
    said, most = estimate.said(expected_seconds(assignment, found)), (1 + again) * assignment.limits.seconds
    return f"{said}; a slow kernel takes longer, and one that does not end adds up to {most:g} s" if said else ""


def _needs_peaks(assignment: Assignment) -> bool:
    return any(test.of == PEAK for kernel in assignment.kernels for test in kernel.tests if test.check == "speed")


def prepare(assignment: Assignment, seed: int) -> None:
    """Before the first submission: try the rungs that speed is compared with, and measure the machine if needed."""
    if os.name != "posix":
        raise checks.Error("jitnet grade stops processes by signals, which Windows has not; use Linux, WSL or macOS")
    for kernel in assignment.kernels:
        with Judge(assignment, kernel, "", seed) as judge:
            judge.check_rungs()
    if _needs_peaks(assignment):
        peaks()


def grade(
    assignment: Assignment, name: str, path: Path, seed: int, report: Callable[[str], object] = lambda step: None
) -> dict[str, Any]:
    """The result of one submission, whatever it does.

    Keys: assignment, submission, points, of, tests: a list of kernel, test, check, points, of, passed (None if it
    cannot be judged here), said, hint (of the assignment, for a test that was not passed); seed (draws the same tests
    again), unfenced (what the submission's process could do on this system, besides computing), disturbed_by,
    seconds.
    """
    start = time.monotonic()
    with _copied(path, assignment.file) as (file, error):
        parts = parts_of(Path(file).read_bytes(), assignment.language)
        Path(file).write_bytes(parts.source)
        judges = [Judge(assignment, kernel, file, seed) for kernel in assignment.kernels]
        errors = [error or parts.error_of(kernel.name) for kernel in assignment.kernels]
        verdicts = [v for pair in zip(judges, errors, strict=True) for v in _verdicts(*pair, report)]
    return {
        "assignment": assignment.title, "submission": one_line(name),
        "points": sum(verdict.points for verdict in verdicts), "of": sum(verdict.of for verdict in verdicts),
        "tests": [_as_dict(verdict, assignment.file, path.name) for verdict in verdicts], "seed": seed,
        "unfenced": next((judge.unfenced for judge in judges if judge.unfenced), ""),
        "disturbed_by": next((judge.disturbed_by for judge in judges if judge.disturbed_by), []),
        "seconds": time.monotonic() - start,
    }  # fmt: skip


def _verdicts(judge: Judge, error: str | None, report: Callable[[str], object]) -> list[Verdict]:
    """The verdicts of a kernel's tests; with an error of its text, it does not run."""
    kernel = judge.kernel
    if not error:
        try:
            with judge:
                return list(judge.verdicts(report))
        except (OSError, RuntimeError, ValueError) as failure:  # the others are graded all the same
            error = f"could not be judged: {described(failure)}"
    return [Verdict(kernel.name, test, False, error, tried=False) for test in kernel.tests]


def _as_dict(verdict: Verdict, copied_as: str, name: str) -> dict[str, Any]:
    """The result of a test; what it says about the copy of the submission is about the file that was handed in."""
    test = verdict.test
    said = re.sub(rf"\b{re.escape(copied_as)}\b", lambda _: name, verdict.said)
    return {
        "kernel": verdict.kernel, "test": f"{verdict.kernel}: {test.title}", "check": test.check,
        "points": verdict.points, "of": verdict.of, "passed": verdict.passed, "said": said,
        "hint": verdict.hint,
    }  # fmt: skip


@contextlib.contextmanager
def _copied(path: Path, name: str) -> Iterator[tuple[str, str | None]]:
    """A copy of a submission alone in a folder, and the error if there is nothing to copy."""
    with tempfile.TemporaryDirectory(prefix="jitnet-grade-", ignore_cleanup_errors=True) as folder:
        copy = os.path.join(os.path.realpath(folder), name)
        content, error = _content(path)
        Path(copy).write_bytes(content)
        yield copy, error


def _content(path: Path) -> tuple[bytes, str | None]:
    """The bytes of a submission, or the error if it is not a file: a link could lead to the solution."""
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        return b"", f"cannot be read: {error.strerror}"
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return b"", "is not a file"
        return file.read(LONGEST + 1), None
