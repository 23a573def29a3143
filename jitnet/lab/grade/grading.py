"""All tests of a submission, and all submissions of a folder."""

import contextlib
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ... import checks
from ...checks import described
from .. import estimate, machine
from . import submissions
from .assignment import CHECKS, PEAK, Assignment
from .judging import Judge, Verdict, peaks
from .output import one_line
from .parts import Parts, parts_of

CORRECT = 1.5
"""Seconds of the test of correctness on an idle machine, for the estimate; a kernel is first tested for it."""

SEEDS = 62
"""Bits: a submission must not be able to try all seeds."""


def new_seed() -> int:
    """A seed that no submission can guess."""
    return secrets.randbits(SEEDS)


def expected_seconds(assignment: Assignment, found: list[tuple[str, Path]]) -> float:
    """Seconds to grade these submissions; those of which nothing will run take no time."""
    peaks_too = _needs_peaks(assignment) and not machine.cached()
    return sum(seconds_of_each(assignment, found)) + (estimate.LIMITS if peaks_too else 0)


def seconds_of_each(assignment: Assignment, found: list[tuple[str, Path]]) -> list[float]:
    """Seconds to grade each of these submissions, on an idle machine."""
    files = [submissions.file_of(path, assignment.file) for _, path in found]
    parts = [Parts(b"", file.error) if file.error else parts_of(file.content, assignment.language) for file in files]
    each = {kernel.name: CORRECT + sum(CHECKS[test.check] for test in kernel.tests) for kernel in assignment.kernels}
    return [sum(seconds for name, seconds in each.items() if not one.error_of(name)) for one in parts]


def left(expected: list[float], results: list[dict[str, Any]]) -> str:
    """`, about 4 min left, with 2 repeats`, from the time that the first submissions took; "" before one has run."""
    factor, repeats = _slowness(expected, results), sum(map(open_tests, results))
    if not factor:
        return ""
    seconds = factor * sum(expected[len(results) :]) + seconds_of_repeat(expected, results) * repeats
    return about_left(seconds) + (f", with {checks.count(repeats, 'repeat')}" if repeats else "")


def about_left(seconds: float) -> str:
    return f", about {estimate.about(seconds)} left"


def seconds_of_repeat(expected: list[float], results: list[dict[str, Any]]) -> float:
    """Seconds to repeat a test of speed, for which the submission is loaded and compiled again."""
    return _slowness(expected, results) * (CORRECT + CHECKS["speed"])


def _slowness(expected: list[float], results: list[dict[str, Any]]) -> float:
    """How many times as long as expected these submissions took: the machine is busy, or their kernels slow."""
    done = sum(expected[: len(results)])
    return sum(result["seconds"] for result in results) / done if done else 0.0


def expected(assignment: Assignment, found: list[tuple[str, Path]]) -> str:
    """The estimate in words, with what a submission may add that does not end."""
    again = max(sum(test.is_chosen for test in kernel.tests) for kernel in assignment.kernels)
    said, most = estimate.in_words(expected_seconds(assignment, found)), (1 + again) * assignment.limits.seconds
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
    """The result of one submission, a file or a folder, whatever it does.

    Keys: assignment, submission, points, of, tests: a list of kernel, test, check, points, of, passed (None if it
    cannot be judged here), said, hint (of the assignment, for a test that was not passed); seed (draws the same tests
    again), refused (why nothing of it ran, a sentence about its file), note (about that file), unfenced (what the
    submission's process could do on this system, besides computing), disturbed_by, seconds.
    """
    start, handed = time.monotonic(), submissions.file_of(path, assignment.file)
    parts = parts_of(handed.content, assignment.language)
    with _copied(parts.source, assignment.file) as file:
        judges = [Judge(assignment, kernel, file, seed) for kernel in assignment.kernels]
        refused = handed.error or parts.error or ""
        errors = [refused or parts.error_of(kernel.name) for kernel in assignment.kernels]
        verdicts = [v for pair in zip(judges, errors, strict=True) for v in _verdicts(*pair, report)]
    file_name = assignment.file if refused else handed.path.name
    return {
        "assignment": assignment.title, "submission": one_line(name),
        "points": sum(verdict.points for verdict in verdicts), "of": sum(verdict.of for verdict in verdicts),
        "tests": [_as_dict(verdict, assignment.file, file_name) for verdict in verdicts], "seed": seed,
        "refused": one_line(refused), "note": one_line("; ".join(filter(None, (handed.note, *parts.notes)))),
        "unfenced": next((judge.unfenced for judge in judges if judge.unfenced), ""),
        "disturbed_by": next((judge.disturbed_by for judge in judges if judge.disturbed_by), []),
        "seconds": time.monotonic() - start,
    }  # fmt: skip


def open_tests(result: dict[str, Any]) -> int:
    """The number of tests of speed whose points a disturbance of the machine left open."""
    return sum(map(_is_open, result["tests"])) if result["disturbed_by"] else 0


def _is_open(test: dict[str, Any]) -> bool:
    return test["check"] == "speed" and test["passed"] is None


def timed_again(
    assignment: Assignment, result: dict[str, Any], path: Path, report: Callable[[str], object] = lambda step: None
) -> dict[str, Any]:
    """The same result, after its open tests of speed were made again."""
    handed = submissions.file_of(path, assignment.file)
    pairs = [(kernel, test) for kernel in assignment.kernels for test in kernel.tests]
    tests, disturbed_by = list(result["tests"]), []
    with _copied(parts_of(handed.content, assignment.language).source, assignment.file) as file:
        for place, (kernel, test) in enumerate(pairs):
            if _is_open(tests[place]):
                report(f"{kernel.name}, {test.title}, again")
                with contextlib.suppress(OSError, RuntimeError, ValueError):
                    with Judge(assignment, kernel, file, result["seed"]) as judge:
                        tests[place] = _as_dict(judge.timed_again(test), assignment.file, handed.path.name)
                    disturbed_by += judge.disturbed_by
    return result | {
        "tests": tests, "points": sum(test["points"] for test in tests), "of": sum(test["of"] for test in tests),
        "disturbed_by": disturbed_by,
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
def _copied(source: bytes, name: str) -> Iterator[str]:
    """A copy of what may run of a submission, alone in a folder."""
    with tempfile.TemporaryDirectory(prefix="jitnet-grade-", ignore_cleanup_errors=True) as folder:
        copy = os.path.join(os.path.realpath(folder), name)
        Path(copy).write_bytes(source)
        yield copy
