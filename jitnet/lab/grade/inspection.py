"""Tests that read the source of a submission, or its machine code, each in its own process.

Here the grader runs in the same process as the submission, so only sources come here that its language allows: they
cannot reach the grader, and do nothing when they are imported. For `race_in`, NUMBA_DISABLE_JIT is set: nothing of the
submission is compiled, and the arrays check each index.
"""

import contextlib
import sys
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from .. import confinement, explain, loading, problems
from ..benchmark.judge import ACCESSES, HIDDEN
from ..sanitizer import arguments
from ..sanitizer.checking import examine


def race_in(file: str, name: str, spec: str, dtype: str, memory: int) -> str | None:
    """The first race, or index outside of an array, that the sanitizer finds; or None."""
    confinement.limit(memory, 0)
    problem = problems.load(spec)
    cases = list(arguments.of_problem(problem, dtype))
    kernel = loading.load(f"{file}:{name}")
    with contextlib.redirect_stdout(sys.stderr):  # what the kernel prints is not an answer of this process
        report = examine(kernel, cases, len(problem.results), most=ACCESSES)
    found = [finding for finding in report.errors if finding.kind in (*HIDDEN, "stopped", "raises")]
    return f"{found[0]}; {found[0].fix}" if found and found[0].fix else str(found[0]) if found else None


def scalar_loop_in(file: str, name: str, types: str, memory: int) -> str | None:
    """Why the hottest loop is not vectorized; None if it is."""
    confinement.limit(memory, 1 << 24)
    if not isinstance(loading.load(f"{file}:{name}"), Dispatcher):
        return "is not compiled; write @numba.njit above it"
    found = explain.explain(f"{file}:{name}", types=types)
    verdict = next(verdict for verdict in found["verdicts"] if verdict["name"] == "vectorized")
    if verdict["good"]:
        return None
    return f"its hottest loop (line {found['loop']['line']}) is not vectorized: {verdict['answer']}. {verdict['fix']}"


def types_of(given: list[Any]) -> str:
    """`float32[:,::1], int64`, as `explain` takes them."""
    kinds = []
    for argument in given:
        if isinstance(argument, np.ndarray):
            kinds.append(f"{argument.dtype}[{':,' * (argument.ndim - 1)}::1]")
        else:
            kinds.append(str(np.asarray(argument).dtype))
    return ", ".join(kinds)
