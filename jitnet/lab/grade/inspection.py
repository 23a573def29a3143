"""Tests that read the source of a submission, or its machine code, each in its own process.

Here the grader runs in the same process as the submission, so only sources come here that its language allows: they
cannot reach the grader, and do nothing when they are imported. For `has_no_race` and `cause_in`, NUMBA_DISABLE_JIT is
set: nothing of the submission is compiled, and the arrays check each index. `scalar_loop_in` runs one call of the
compiled code in another process, after the test of correctness.
"""

import ast
import contextlib
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from .. import confinement, explain, loading, problems
from ..benchmark.judge import ACCESSES, HIDDEN, SECONDS
from ..benchmark.shapes import drawn_shapes
from ..sanitizer import arguments, reasons
from ..sanitizer.checking import examine
from ..sanitizer.coverage import Coverage
from ..sanitizer.findings import BROKEN, Report
from .parallel_loops import lines_of_prange, lines_of_single_loops, parallel_lines

RIGHT = "no two iterations touch the same element"

UNDIVIDED = "not parallel: "
"""The beginning of why a kernel gets no points for being free of races, although it is."""

NO_PRANGE = (
    "it has no prange loop; write `for i in numba.prange(...)` for the loop that threads divide, and "
    "@numba.njit(parallel=True) above the function"
)

NOT_JUDGED = "not judged: "

BEGIN_EARLIER = "where a prange loop begins; use that loop for smaller arrays, too"

LEAST = 0.1
"""The fraction of the accesses to arrays that prange loops must have at least, on small arrays."""

PARALLEL = ("prange", "pndindex", "parallel")
"""Names without which no loop of a file is parallel."""

SMALLER = 8
"""Shapes that are tried where the usual ones take too long."""

ALONE = 0.25
"""The fraction of the work that may be done one number at a time: remainders, and what is not in the inner loop."""


def has_no_race(file: str, name: str, spec: str, dtype: str, divided: bool, memory: int) -> tuple[bool | None, str]:
    """The same as `without_race`, in a process with limits."""
    confinement.limit(memory, 0)
    source = Path(file).read_bytes()
    return without_race(loading.load(f"{file}:{name}"), problems.load(spec), dtype, source, divided)


def without_race(
    kernel: Callable[..., Any], problem: problems.Problem, dtype: str, source: bytes, divided: bool = True
) -> tuple[bool | None, str]:
    """Whether the sanitizer finds no race, nor an index outside of an array, and what it found, or has not reached.

    What takes too long on the usual shapes is checked on smaller ones: many accesses are not a race. None if it takes
    too long there too, unless nothing in the file is parallel.

    divided     whether prange loops must do a part of the work
    """
    start, why, tree = perf_counter(), "", ast.parse(source)
    for cases in (arguments.of_problem(problem, dtype), _smaller_cases(problem, dtype)):
        # what the kernel prints is not an answer of this process
        with contextlib.redirect_stdout(sys.stderr), Coverage(kernel) as reached:
            report = examine(kernel, cases, len(problem.results), most=ACCESSES)
            if not report:
                arguments.examine_at_thresholds(report, kernel, problem, dtype, len(problem.results))
        reached.note(report)
        errors = [error for error in report.errors if error.kind in (*HIDDEN, *BROKEN)]
        for error in errors:
            if error.kind != "too long":
                return False, "; ".join(filter(None, (str(error), error.fix)))
        if report.runs and not errors:
            if divided and (lacking := _undivided(report, tree)):
                if larger := lines_of_prange(tree).intersection(reached.missing()):
                    return None, f"{NOT_JUDGED}no run on small arrays reached line {min(larger)}, {BEGIN_EARLIER}"
                return False, UNDIVIDED + lacking
            unseen = (note.message for note in report.notes if note.kind == "not reached")
            return True, "; ".join((RIGHT, *unseen))
        why = errors[0].message if errors else why
        if perf_counter() - start > SECONDS:  # the smaller ones may have no end either
            break
    # names, not text: an encoding can hide a word
    if not any(word in ast.dump(tree) for word in PARALLEL):
        return (False, UNDIVIDED + NO_PRANGE) if divided else (True, RIGHT)
    return None, f"{NOT_JUDGED}{why}"


def _undivided(report: Report, tree: ast.Module) -> str:
    """Why no prange loop divides the work; "" if one does. A block of the loop may be larger than the arrays here."""
    iterations: dict[int, int] = {}
    for _, loops in report.of_runs:
        for (_, line), (_, most) in loops.items():
            iterations[line] = max(most, iterations.get(line, 0))
    if not iterations:
        serial = next((warning for warning in report.warnings if warning.kind == "exits"), None)
        return f"{serial}; {serial.fix}" if serial else NO_PRANGE
    parallel = iterations.keys() & parallel_lines(tree)
    where = f"its prange loop (line {min(parallel or iterations)})"
    if not parallel:
        return f"{where} is a range; write @numba.njit(parallel=True) above its function"
    single = lines_of_single_loops(tree)
    divided = {line for line in parallel if iterations[line] > 1 or line not in single}
    share = _share(report, divided)
    few = f"{where} makes {share:.0%} of the accesses to arrays" if divided else f"{where} has one iteration"
    return "" if share >= LEAST else f"{few}; divide the loop that does the work"


def _share(report: Report, lines: set[int]) -> float:
    """The fraction of the accesses that these loops make, on the path through the kernel where it is largest.

    Runs that enter the same prange loops take the same path: for small arrays, a kernel may have one without any.
    """
    of_paths = defaultdict[frozenset[Any], list[int]](lambda: [0, 0])
    for accesses, loops in report.of_runs:
        counts = of_paths[frozenset(loops)]
        counts[0] += sum(inside for (_, line), (inside, _) in loops.items() if line in lines)
        counts[1] += accesses
    return max(inside / max(accesses, 1) for inside, accesses in of_paths.values())


def _smaller_cases(problem: problems.Problem, dtype: str) -> Iterator[list[Any]]:
    """Cases of a problem on the smallest shapes that it accepts, with as few sizes of 1 as possible."""
    shapes = sorted(set(drawn_shapes(problem, 0)), key=lambda shape: (shape.count(1), math.prod(shape)))
    for shape in islice(filter(problem.takes, shapes), SMALLER):
        yield problem.case(shape, dtype).arguments


def cause_in(
    file: str, name: str, spec: str, dtype: str, shape: list[int], seed: int, output: int, index: list[int], memory: int
) -> tuple[str, str, str]:
    """What `reasons.source` finds about a wrong number, and the error of the kernel if it writes nothing."""
    confinement.limit(memory, 0)
    kernel, problem = loading.load(f"{file}:{name}"), problems.load(spec)
    with contextlib.redirect_stdout(sys.stderr):
        line, unread = reasons.source(kernel, problem, tuple(shape), dtype, output, index, seed)
    return line, unread, reasons.writes_nothing(problem.results, kernel)


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
    return f"its hottest loop (line {line}) is not vectorized: {answer.removeprefix('no: ')}; {fix}".rstrip("; ")
