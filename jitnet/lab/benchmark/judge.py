"""The correctness test of a kernel: calls on guarded arrays, and a sentence that describes the error."""

import ast
import functools
import inspect
from collections.abc import Callable
from time import perf_counter  # before a kernel's file could replace it
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher
from numpy.typing import NDArray

from ... import checks
from ...checks import count
from ..loading import Function
from ..oracle import Shape
from ..problems import Problem
from ..sanitizer import arguments
from ..sanitizer.checking import examine, limited
from ..sanitizer.races import TooLongError
from ..sanitizer.reasons import BESIDE, WRITES, joined, only_from_zeros, outside, reasons
from ..sanitizer.syntax import tree_of
from ..sanitizer.targets import opened
from .guarded import FINITE, LATE, NARROW, UNTOUCHED, Call, Late

SLOW = 0.1
"""Seconds for a shape, after which those of twice its sizes are left out."""

HIDDEN = ("race", "shared", "carried", "reduction", "escapes", "overlap", "differs", "outside")
"""Kinds of findings of the sanitizer that are errors even if a result was right."""

MISLEADING = ("is wrong", "gives NaN", "never writes ", "is right only if", "writes nothing")
"""The beginnings of errors whose cause the sanitizer may find."""

CHANGING = "is wrong in some calls"
"""The beginning of the error of a kernel whose results change from call to call, such as those of a race."""

AGAIN = 4
"""Calls that must agree with the first before its error is explained, because it may be one of a race."""

ACCESSES = 50_000
"""Accesses of one interpreted run, some tenths of a second, that the sanitizer may take."""

SECONDS = 10.0
"""The time limit of one such run."""


def error_of(
    kernel: Function, problem: Problem, shape: Shape, dtype: np.dtype[Any] | str,
    sanitizer: Callable[[], str | None] = lambda: None,
) -> str | None:  # fmt: skip
    """The error of a kernel on this shape, or None. Exceptions of the kernel pass through.

    sanitizer    returns a `hidden_error`, a likely cause; without one, the cause is looked for in the numbers
    """

    def called(start: float = np.nan, guard: int = UNTOUCHED) -> Call:
        return Call(kernel, problem.case(shape, dtype), start, guard)

    call = called()
    case, found = call.case, call.beside(problem.parameters)
    is_wrong = not found and case.error()
    if is_wrong:
        on_zeros = functools.partial(called, 0.0)
        found = call.within(problem.results, on_zeros)
        needs_zeros = found == only_from_zeros(problem.results)
        if found.startswith(MISLEADING) and _changes(called, on_zeros if needs_zeros else None):
            found = f"{CHANGING}: {case.error()}"
    elif not found:
        found = _error_of_numbers(problem, called, functools.partial(called, 1.0, FINITE))
    if not found:
        return None
    said = f"{found}, {problem.given(case)}"
    if found.startswith(BESIDE):
        return said + joined(outside(kernel, problem, shape, dtype))
    if not found.startswith(MISLEADING):
        return said
    if cause := sanitizer():
        return f"{said}. It {cause}"
    is_explained = found.startswith(CHANGING) or found.endswith(WRITES)
    if not is_wrong or is_explained or kernel is problem.rungs["numpy"]:
        return said
    return said + reasons(kernel, problem, shape, dtype, case)


def _error_of_numbers(problem: Problem, on_nothing: Callable[[], Call], on_numbers: Callable[[], Call]) -> str | None:
    """The error of a kernel that was right, if guards and outputs hold numbers before the call."""
    call = on_numbers()
    found, error = call.beside(problem.parameters), call.case.error()
    if found or not error:
        return found
    if _changes(on_numbers, on_nothing):
        return f"{CHANGING}: {error}"
    into = " and ".join(problem.results)
    return f"is right only if {into} is NaN before; write all of it, whatever it holds: {error}"


def _changes(wrong: Callable[[], Call], right: Callable[[], Call] | None = None) -> bool:
    """Whether a call that was wrong is ever right when it is repeated, or one that was right is ever wrong."""
    return any(not wrong().case.error() or (right and right().case.error()) for _ in range(AGAIN))


def quick_error_of(kernel: Function, problem: Problem, shape: Shape, dtype: np.dtype[Any]) -> str | None:
    """Like `error_of`, but with one call and narrow guards, unless something is wrong."""
    case = problem.case(shape, dtype)
    call = Call(kernel, case, width=NARROW)
    if not call.beside(problem.parameters) and not case.error():
        return None
    wrong = f"{CHANGING}: {case.error()}, {problem.given(case)}"  # a race, if the next call is right
    return error_of(kernel, problem, shape, dtype) or wrong


def error_of_repeating(
    kernel: Function, problem: Problem, shape: Shape, dtype: np.dtype[Any], seconds: float
) -> str | None:
    """The error of a parallel kernel whose results change from call to call, or None after this many seconds."""
    most, end = numba.config.NUMBA_NUM_THREADS, perf_counter() + seconds
    before = numba.get_num_threads()
    try:
        for threads in sorted({1, min(2, most), most}, reverse=True):
            numba.set_num_threads(threads)
            error = _error_of_calls(kernel, problem, shape, dtype, end)
            if error or perf_counter() > end:
                return error
    finally:
        numba.set_num_threads(before)
    return None


def _error_of_calls(kernel: Function, problem: Problem, shape: Shape, dtype: np.dtype[Any], end: float) -> str | None:
    """The error of ten calls on the same numbers, or of those before this time."""
    first: list[NDArray[Any]] = []
    threads = count(numba.get_num_threads(), "thread")
    for calls in range(1, 11):
        case = problem.case(shape, dtype)
        kernel(*case.arguments)
        late = Late(case)
        if error := case.error():
            if late.writes():
                return f"{LATE.format(' and '.join(problem.results))}, {problem.given(case)}"
            return f"{CHANGING}, with {threads}: {error}, {problem.given(case)}"
        first = first or case.outputs
        pairs = zip(first, case.outputs, strict=True)
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs):
            return f"gives other bits in call {calls} than in call 1, as in a race, {problem.given(case)}"
        if perf_counter() > end:
            break
    return None


def hidden_error(kernel: Function, problem: Problem, dtype: np.dtype[Any]) -> str | None:
    """What the sanitizer finds in the source of a compiled kernel that its results may hide: a race, above all."""
    try:
        function, _ = opened(kernel)
    except checks.Error:  # it has no Python source
        return None
    if not _is_compiled(function):
        return None
    cases = arguments.of_problem(problem, dtype.name)
    try:
        with limited(SECONDS):
            report = examine(kernel, cases, len(problem.results), as_compiled=True, most=ACCESSES)
            if not report:
                arguments.examine_at_thresholds(report, kernel, problem, dtype.name, len(problem.results), True)
    except TooLongError:
        return None
    found = [finding for finding in report.errors if finding.kind in HIDDEN]
    if not found or any(note.kind == "not covered" for note in report.notes):
        return None
    return f"is not safe: {found[0]}; {found[0].fix}"


def is_interpreted(kernel: object) -> bool:
    """True for a Python function with loops that is not compiled and calls no compiled function."""
    tree = tree_of(kernel.__code__) if isinstance(kernel, FunctionType) else None
    has_loops = any(isinstance(node, (ast.For, ast.While, ast.comprehension)) for node in ast.walk(tree or ast.Pass()))
    return has_loops and not _is_compiled(kernel)


def _is_compiled(kernel: object, *callers: object) -> bool:
    """True for a function that Numba compiles, and for one that calls such functions."""
    if isinstance(kernel, Dispatcher):
        return True
    if not isinstance(kernel, FunctionType) or kernel in callers:
        return False
    named = [kernel.__globals__.get(name) for name in kernel.__code__.co_names]
    called = [*named, *inspect.getclosurevars(kernel).nonlocals.values()]
    return any(_is_compiled(value, kernel, *callers) for value in called)
