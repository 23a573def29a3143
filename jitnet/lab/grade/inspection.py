"""Tests that read the source of a submission, or its machine code, each in its own process.

Here the grader runs in the same process as the submission, so only sources come here that its language allows: they
cannot reach the grader, and do nothing when they are imported. For `race_in` and `writer_in`, NUMBA_DISABLE_JIT is set:
nothing of the submission is compiled, and the arrays check each index. `scalar_loop_in` runs one call of the compiled
code in another process, after the test of correctness.
"""

import contextlib
import sys

import numpy as np
from numba.core.dispatcher import Dispatcher

from .. import confinement, explain, loading, problems
from ..benchmark.judge import ACCESSES, HIDDEN
from ..sanitizer import arguments, reasons
from ..sanitizer.checking import examine
from ..sanitizer.findings import BROKEN
from ..sanitizer.reached import Reached

ALONE = 0.25
"""The fraction of the work that may be done one number at a time: remainders, and what is not in the inner loop."""


def race_in(file: str, name: str, spec: str, dtype: str, memory: int) -> tuple[str, str]:
    """The first race, or index outside of an array, that the sanitizer finds, and what it has not reached; or ""."""
    confinement.limit(memory, 0)
    problem = problems.load(spec)
    cases = list(arguments.of_problem(problem, dtype))
    kernel = loading.load(f"{file}:{name}")
    # what the kernel prints is not an answer of this process
    with contextlib.redirect_stdout(sys.stderr), Reached(kernel) as reached:
        report = examine(kernel, cases, len(problem.results), most=ACCESSES)
    reached.note(report)
    unseen = next((note.message for note in report.notes if note.kind == "not reached"), "")
    found = next((error for error in report.errors if error.kind in (*HIDDEN, *BROKEN)), None)
    return "; ".join(filter(None, (str(found), found.fix))) if found else "", unseen


def writer_in(
    file: str, name: str, spec: str, dtype: str, shape: list[int], seed: int, output: int, index: list[int], memory: int
) -> tuple[str, str]:
    """The line that wrote a wrong number, and the end of an input that is never read: see `reasons.source`."""
    confinement.limit(memory, 0)
    kernel = loading.load(f"{file}:{name}")
    with contextlib.redirect_stdout(sys.stderr):
        return reasons.source(kernel, problems.load(spec), tuple(shape), dtype, output, index, seed)


def scalar_loop_in(file: str, name: str, spec: str, dtype: str, shape: list[int], memory: int) -> str | None:
    """Why it is not vectorized; None if it is.

    The work that the problem needs is compared with what a call computes one number at a time. Neither a vectorized
    loop beside the one that does the work, nor another kernel for other shapes, can hide that one.
    """
    confinement.limit(memory, 1 << 24)
    target, problem = f"{file}:{name}", problems.load(spec)
    if not isinstance(loading.load(target), Dispatcher):
        return "is not compiled; write @numba.njit above it"
    if not explain.can_run():
        return _scalar_loop_of_source(target, spec, dtype)
    flops = problem.flops(tuple(shape))
    work, verdict = explain.executed(target, spec, shape, dtype, moves=not flops)
    needed = flops or problem.memory(tuple(shape), np.dtype(dtype)) / np.dtype(dtype).itemsize
    if work.alone < work.together and work.alone <= ALONE * min(needed, work.alone + work.together):
        return None
    if work.loop is None or verdict is None or verdict.good:
        return "is not vectorized: most of its work is done one number at a time, outside of vectorized loops"
    return _not_vectorized(work.loop.place[1], verdict.answer, verdict.fix)


def _scalar_loop_of_source(target: str, spec: str, dtype: str) -> str | None:
    """The same for the most deeply nested loop, where machine code can be read, but not run and counted."""
    found = explain.explain(target, problem=spec, dtype=dtype)
    verdict = next(verdict for verdict in found["verdicts"] if verdict["name"] == "vectorized")
    if verdict["good"]:
        return None
    return _not_vectorized(found["loop"]["line"], verdict["answer"], verdict["fix"])


def _not_vectorized(line: int, answer: str, fix: str) -> str:
    return f"its hottest loop (line {line}) is not vectorized: {answer}. {fix}".rstrip(". ")
