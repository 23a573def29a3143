"""Run a kernel's source, each prange iteration as a thread, and find races, bad indices and uninitialized memory.

The source is interpreted on arrays that record each access, so a race is found on one thread and on small arrays, even
if it would not happen in a run. The check follows Numba's rules: reductions, private variables, inner prange loops. A
Numba function in which it finds no error is then compiled, because code that Python runs need not compile.

It cannot check: other arguments than those of its runs, and branches that they do not take, which a note names;
differences between compiled code and Python (fastmath, integers that overflow inside an expression, float64 from uint64
+ 1); functions without Python source (ctypes, cffi, intrinsics); two kernels at once; float64 within NumPy's functions.
Notes name other code that it could not follow: a jitclass, stencil or guvectorize function runs compiled. Array
expressions follow NumPy: of the loops that parallel=True makes of them, only copies between overlapping parts of an
array are reported. Views with another item size count whole elements.
"""

import argparse
import contextlib
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import checks
from ..kernels import LADDERS
from ..lab import loading, problems
from ..lab.benchmark.custom import obstacle_to_compiling
from ..lab.problems import Problem, of_operation, operation_called
from ..lab.sanitizer import arguments, checking
from ..lab.sanitizer.argument_copies import Empty
from ..lab.sanitizer.coverage import Coverage
from ..lab.sanitizer.findings import Finding, Report
from ..lab.sanitizer.targets import name_of
from ..process import progress
from .shared import call_options, dtype_option, output_options, shown

GUESSED_TYPES = (
    "the arguments were guessed; if yours have other types, with which it may compile: give them by --args, --as or "
    "--problem"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="file.py:function, module:function, or operation.rung such as matmul.packed")
    call_options(
        parser, "'np.ones((3, 4)), np.empty(4), n=3'. It must write every element of np.empty before it reads it. "
        "Without these options, the arguments are guessed",
    )  # fmt: skip
    parser.add_argument(
        "--writes", metavar="NAMES", help="the parameters that it may write, 'C' or 'W, b'; the others are inputs"
    )
    dtype_option(parser, "with --as or guessed arguments: float32 (default) or float64")
    output_options(parser)


def run(options: argparse.Namespace) -> int:
    checks.dtype_of(options.dtype)
    printed = io.StringIO()  # by the kernel, in every run
    with contextlib.redirect_stdout(printed), shown(options) as show:
        report = _report(options, show.measuring)
    if lines := printed.getvalue().splitlines():
        what = f"it prints {checks.count(len(lines), 'line')}, first {checks.shown(lines[0])}, which are not shown"
        report.add(Finding("printed", what))
    print(json.dumps(report.as_dict()) if options.json else report)
    return 2 if report else 0


def _report(options: argparse.Namespace, say: progress.Report) -> Report:
    kernel, operation = kernel_of(options)
    if operation is not None and ":" not in options.target:
        return _checked(options, kernel, operation, say)
    with Coverage(kernel) as reached:
        report = _checked(options, kernel, operation, say)
    reached.note(report)
    if not report and (obstacle := obstacle_to_compiling(kernel, report.given)):
        special = "unsupported" if "unsupported" in obstacle else ""  # others say what is wrong themselves
        report.add(Finding("not compiled", obstacle, special=special))
        if options.operation is options.problem is options.args is None:
            report.add(Finding("guessed", GUESSED_TYPES))
    return report


def _checked(options: argparse.Namespace, kernel: Any, operation: str | None, say: progress.Report) -> Report:
    writes: Sequence[str] | int | None = None
    if options.writes is not None:
        writes = options.writes.replace(",", " ").split()
    problem = problems.tried(options.problem) if options.problem is not None else None
    if operation is not None:
        problem = of_operation(operation_called(operation))
    if problem is not None:
        check_fits(problem, kernel)
        cases = arguments.of_problem(problem, options.dtype)
        writes = len(problem.results) if writes is None else writes
        report = checking.examine(kernel, cases, writes, options.target, say=say)
        if not report:
            arguments.examine_at_thresholds(report, kernel, problem, options.dtype, writes)
        order = problem.reordered(kernel, name_of(kernel))
        if report and order:  # first, because it may be the cause of the others
            report.findings.insert(0, Finding("parameters", order))
        if options.operation or options.problem:
            what = f"--problem {options.problem}" if options.problem else operation
            how = f"jitnet ladder {what} --with {options.target}"
            report.add(Finding("not compared", f"results are not checked; for that, run: {how}"))
        return report
    if options.args is not None:
        given = loading.evaluated(options.args, {"empty": _not_initialized}, function=kernel)
        return checking.examine(kernel, [given], writes, options.target, say=say)
    return arguments.examine_guessed(kernel, options.dtype, writes, options.target, say)


def check_fits(problem: Problem, kernel: Any) -> None:
    """An error if the parameters of the kernel do not fit the call."""
    if misfit := problem.misfit(kernel, name_of(kernel)):
        raise checks.Error(f"{name_of(kernel)} {misfit}")


def kernel_of(options: argparse.Namespace) -> tuple[Any, str | None]:
    """The function, and the operation that it belongs to; an error if the options contradict one another."""
    if [options.operation, options.problem, options.args].count(None) < 2:
        raise checks.Error("--as, --problem and --args each give arguments; leave all but one out")
    if options.problem is not None and ":" not in options.target:
        raise checks.Error(f"--problem takes a function, as in file.py:function, not {options.target}")
    if ":" in options.target:
        return loading.tried(options.target), options.operation
    operation, rung = problems.rung_called(options.target)
    if (options.operation, options.args) != (None, None):
        raise checks.Error(f"{options.target} has its own arguments; leave --as and --args out")
    if rung == "numpy":
        raise checks.Error(f"{options.target} is NumPy's own code, without loops to check; try {operation}.njit")
    return LADDERS[operation][rung], operation


def _not_initialized(shape: Any, dtype: Any = float, **_: Any) -> Any:
    """np.empty, marked as not initialized."""
    array = np.empty(shape, dtype)
    array.fill(np.nan if array.dtype.kind == "f" else 0)
    return array.view(Empty)
