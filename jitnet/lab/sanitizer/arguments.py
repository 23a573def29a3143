"""Arguments for a check: those of a problem, those of declared types, or guessed from the source.

Without anything else, arrays get as many dimensions as the kernel uses indices, all of the same small length: square
shapes fit almost every kernel. A parameter is a number if it is never indexed. If the kernel cannot run like that, the
next larger numbers of dimensions are tried. If nothing is wrong with square arrays, and the source shows which
dimensions must have the same length, there is a run in which the others differ.
"""

import ast
import contextlib
import inspect
import io
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import as_dtype
from numba.np.ufunc.gufunc import GUFunc

from ... import checks
from ...checks import count
from ...process import progress
from ..loading import body_of
from ..oracle import Shape, holds_nothing
from ..problems import Problem, ProblemError
from . import shapes
from .argument_copies import Empty
from .checking import Writes, examine, results
from .findings import BROKEN, Finding, Report
from .syntax import integers_in, tree_of
from .tails import LONGER, unwritten_tails
from .targets import name_of, opened
from .uses import Uses, asked, numbers

MOST = 1100
"""Products of the sizes of a shape: the loops are interpreted."""

LENGTHS = (7, 8)
"""The lengths of every dimension if nothing else is known: a prime, and a power of two."""

FEW = (1, 0)
"""Lengths for which a kernel that is right for the others is tried."""

COMPLEX = "complex128"
"""The dtype of guessed arrays if the kernel stores complex numbers in one."""

LARGE, EXPONENTIALS = 1000.0, {"exp", "expm1", "exp2", "sinh", "cosh"}
"""Numbers whose exponential is infinite; the functions that have one."""

POWERS, NO_POWERS = (8, 2, 4, 16), (12, 24)
"""Lengths on which a kernel that needs powers of two is right, and wrong; one that needs whole blocks is not."""

BLOCKS = range(LENGTHS[-1] + 1, 65)
"""Integers of a source that may be the size of its blocks: arrays of one block, and of one element more, are tried."""

THRESHOLDS = range(9, 1025)
"""Integers of a source above which it may do something else, such as divide another loop."""

PRODUCTS = 10_000
"""Products of the sizes of such a shape."""

SECONDS = 4.0
"""Seconds after which no more of these shapes are tried."""

TRIAL = 100_000
"""Accesses of a run that shows whether arguments fit."""

_NEEDS = "give them by --args, --as or --problem"


GUESSED = (
    "the arguments were guessed, with all dimensions of one length; if the kernel is made for others, it may be right: "
    "give them by --args, --as or --problem"
)

UNEQUAL = (9, 3)
"""The length of every dimension but one, and its length, in runs of a kernel that divides: several i have one i % 3."""

UNEQUAL_LENGTHS = (
    "the arguments were guessed, with lengths that differ; if the kernel is made for equal ones, it may be right: give "
    "them by --args, --as or --problem"
)

EQUAL_INDICES = (
    "the arrays of indices were guessed, with equal and unsorted numbers; if the kernel is made for a permutation, or "
    "for sorted ones, it may be right: give them by --args"
)

DIVISOR = (
    "the arguments were guessed, and the divisor may follow from them; if it is never 0 with yours, the kernel may be "
    "right: give them by --args"
)


def small_shapes(problem: Problem) -> list[Shape]:
    """The shapes of a problem on which an interpreted loop ends soon; of large ones, the smallest."""
    small = [shape for shape in problem.shapes if math.prod(shape) <= MOST]
    return small or [min(problem.shapes, key=math.prod)]


def of_problem(problem: Problem, dtype: str) -> Iterator[list[Any]]:
    """Small cases of a problem; its outputs are not initialized."""
    for shape in small_shapes(problem):
        yield _with_outputs_empty(problem, shape, dtype)


def _with_outputs_empty(problem: Problem, shape: Shape, dtype: str) -> list[Any]:
    """The arguments of a case, of another dtype if the problem does not have this one."""
    case = problem.case(shape, dtype if dtype in problem.dtypes else problem.dtypes[0])
    inputs = case.arguments[: -len(problem.results)]
    return [*inputs, *(out.view(Empty) if holds_nothing(out) else out for out in case.outputs)]


def examine_at_thresholds(
    report: Report, kernel: Callable[..., Any], problem: Problem, dtype: str, writes: Writes, as_compiled: bool = False
) -> None:
    """Add the errors on shapes just above the whole numbers of the source, where another branch or block may begin."""
    end = perf_counter() + SECONDS
    for shape in _threshold_shapes(kernel, problem):
        with contextlib.suppress(ProblemError):  # a reference may fail for shapes that its author did not list
            case = _with_outputs_empty(problem, shape, dtype)
            found = examine(kernel, [case], writes, as_compiled=as_compiled, most=TRIAL)
            if any(error.kind in ("stopped", "too long") for error in found.errors):
                break
            report.runs += found.runs
            report.of_runs += found.of_runs
            for error in found.errors:
                report.add(error, error.array)
        if report.errors or perf_counter() > end:
            break


def _threshold_shapes(kernel: Callable[..., Any], problem: Problem) -> Iterator[Shape]:
    """Sizes of 2, or of one more than a number of the source; small shapes first."""
    known = np.array([*problem.shapes, *problem.timed])
    above = [number + 1 for number in integers_in(body_of(opened(kernel)[0]), THRESHOLDS)[:3]]
    axes = [sizes[:1].tolist() if len(set(sizes.tolist())) == 1 else [2, *above] for sizes in known.T]
    ascending = sorted(itertools.product(*axes), key=math.prod)[1:]  # not the first, which is above no number
    return (shape for shape in ascending if math.prod(shape) <= PRODUCTS and problem.takes(shape))


def guessed(
    kernel: Callable[..., Any], dtype: str, lengths: Sequence[int] = LENGTHS, in_order: bool = False
) -> Iterator[list[Any]]:
    """Arguments of the declared types, or as the source uses them; those whose dimensions have each of the lengths.

    in_order    arrays of indices hold 0, 1, 2, ...
    """
    function, bound = opened(kernel)
    body, name = body_of(function), name_of(kernel)
    signature = inspect.signature(body).parameters
    parameters = list(signature)[len(bound) :]
    if declared := _declared(kernel, function):
        for length in lengths:
            rng = np.random.default_rng(length)
            yield [_of_type(kind, 1 if is_single else length, rng, name) for kind, is_single in declared]
        return
    defaults = {name: signature[name].default for name in parameters if signature[name].default is not inspect._empty}
    uses = Uses(_tree(body, name), parameters, defaults, body.__globals__, (body.__code__,))
    for rest in (one for one in parameters if signature[one].kind is inspect.Parameter.VAR_POSITIONAL):
        uses.dims[rest] = 0  # a tuple of one number
    reason = ""
    orders = (in_order, True) if uses.has_indices and not in_order else (in_order,)
    for dims, order in itertools.product(uses.choices(), orders):
        report = examine(kernel, [uses.made(dims, LENGTHS[0], np.dtype(dtype), order)], most=TRIAL)
        broken = [finding for finding in report.errors if finding.kind in BROKEN]
        are_complex = any(error.kind == "complex" and error.array in parameters for error in report.errors)
        if not broken and are_complex and dtype != COMPLEX:
            yield from guessed(kernel, COMPLEX, lengths, in_order)
            return
        if not broken or broken[0].special == "division":  # more dimensions are no better: they hold zeros, too
            yield from (uses.made(dims, length, np.dtype(dtype), order) for length in lengths)
            return
        is_long = broken[0].kind == "too long"  # and so are more dimensions
        reason = str(broken[0]) if is_long or not reason else reason
        if is_long and order == orders[-1]:
            break
    raise checks.Error(f"the arguments of {name} cannot be guessed: it {reason}; {uses.example()}")


def examine_guessed(
    kernel: Callable[..., Any], dtype: str, writes: Writes, name: str, say: progress.Report = progress.ignore
) -> Report:
    """The report of a kernel on guessed arguments: square ones, then others, which it need not be made for."""
    cases = list(guessed(kernel, dtype))
    report = examine(kernel, cases, writes, name, say=say)
    if report.errors:
        report, cases = _with_other_guesses(kernel, dtype, writes, report, cases)
    others = None if report.errors else _unequal(kernel, cases[0])
    if others:
        found = examine(kernel, [others], writes, name)
        report.runs += found.runs
        for error in found.errors:
            if error.kind == "outside":
                message = f"is right for square arrays only: {error.message}, given {found.runs[0]}"
                report.add(replace(error, kind="square", message=message))
    for case in [] if report.errors or not _divides(kernel) else _with_one_shorter(kernel, dtype):
        found = examine(kernel, [case], writes, name, most=TRIAL)
        if {error.kind for error in found.errors} == {"race"}:  # others show that the lengths do not fit
            report.runs += found.runs
            for error in found.errors:
                report.add(error, error.array)
            report.add(Finding("guessed", UNEQUAL_LENGTHS))
            return report
    if not report.errors and _calls_exp(kernel) and _gives_nan(kernel, cases[0], LARGE) > _gives_nan(kernel, cases[0]):
        report.add(Finding("large", f"gives NaN for numbers of about {LARGE:g}, but not for those of about 1"))
    for block in [] if report.errors else list(guessed(kernel, dtype, _lengths_of_blocks(kernel))):
        found = examine(kernel, [block], writes, name, most=3 * TRIAL)
        if any(error.kind in BROKEN for error in found.errors):  # it takes too long
            break
        report.runs += found.runs
        cases.append(block)
        for error in found.errors:
            report.add(error, error.array)
    if not report.errors:
        for tail in unwritten_tails(kernel, cases, lambda: guessed(kernel, dtype, LONGER), _named(writes)):
            report.add(tail, tail.array)
    if not report.errors and not any(warning.kind == "fits" for warning in report.warnings):
        for warning in _with_few_elements(kernel, dtype, writes):
            report.add(warning, warning.array)
    if any(error.kind == "outside" for error in report.errors):
        report.add(Finding("guessed", GUESSED))
    elif any(error.special == "division" for error in report.errors):
        report.add(Finding("guessed", DIVISOR))
    elif any(map(_are_whole, cases[0])) and (kinds := {error.kind for error in report.errors}):
        is_right_in_order = kinds == {"unwritten"} and not examine(
            kernel, guessed(kernel, dtype, in_order=True), writes
        )
        if "race" in kinds or is_right_in_order:
            report.add(Finding("guessed", EQUAL_INDICES))
    return report


def _with_other_guesses(
    kernel: Callable[..., Any], dtype: str, writes: Writes, report: Report, cases: list[list[Any]]
) -> tuple[Report, list[list[Any]]]:
    """The report on arguments that a kernel may need, such as lengths that are powers of two, if it is right there.

    What is wrong with others is a warning then.
    """
    kinds = {error.kind for error in report.errors}

    def examined(lengths: Sequence[int], in_order: bool = False) -> tuple[Report, list[list[Any]]]:
        others = list(guessed(kernel, dtype, lengths, in_order))
        return examine(kernel, others, writes, report.name, most=3 * TRIAL), others

    for what, of_others, lengths, in_order in (
        ("indices in order, 0, 1, 2, ...", (), LENGTHS, True),
        ("lengths that are powers of two", NO_POWERS, POWERS, False),
    ):
        if not kinds <= {"outside", *BROKEN, *(("unwritten", "not initialized") if of_others else ())}:
            continue
        found, others = examined(lengths, in_order)
        if not found.errors and all(examined([length])[0].errors for length in of_others):
            error = report.errors[0]
            found.add(replace(error, kind="fits", message=f"is right for {what}; for others: {error.message}"))
            return found, others
    return report, cases


def _with_few_elements(kernel: Callable[..., Any], dtype: str, writes: Writes) -> Iterator[Finding]:
    """Indices outside of vectors of one element, or none, whose length bounds a loop: others may be fixed."""
    tree = tree_of(body_of(opened(kernel)[0]).__code__)
    for length in FEW:
        with contextlib.redirect_stdout(io.StringIO()):  # what a kernel prints is counted in the usual runs
            errors = examine(kernel, list(guessed(kernel, dtype, (length,))), writes, most=TRIAL).errors
        for error in errors:
            if error.kind == "outside" and f"for the shape ({length},)" in error.message and error.array in asked(tree):
                yield replace(
                    error, kind="few", message=f"is not right for {count(length, 'element')}: {error.message}"
                )


def _divides(kernel: Callable[..., Any]) -> bool:
    """Whether its source has `//` or `%`, of whose results several may be equal."""
    tree = tree_of(body_of(opened(kernel)[0]).__code__) or ast.Pass()
    return any(isinstance(node, (ast.FloorDiv, ast.Mod)) for node in ast.walk(tree))


def _with_one_shorter(kernel: Callable[..., Any], dtype: str) -> Iterator[list[Any]]:
    """Guessed arguments in each of which one dimension, or one whole number, is smaller than the others."""
    long, short = UNEQUAL
    for case in guessed(kernel, dtype, (long,)):
        for place, argument in enumerate(case):
            others: list[Any] = [short] if type(argument) is int else []
            if isinstance(argument, np.ndarray):
                others = [np.take(argument, range(short), axis) for axis in range(argument.ndim)]
            yield from ([*case[:place], other, *case[place + 1 :]] for other in others)


def _named(writes: Writes) -> Sequence[str]:
    """The parameters that are named as outputs."""
    return [writes] if isinstance(writes, str) else writes if isinstance(writes, Sequence) else []


def _lengths_of_blocks(kernel: Callable[..., Any]) -> tuple[int, ...]:
    """Lengths of one block of the largest size in the source, and of one more element; one above its largest number."""
    body = body_of(opened(kernel)[0])
    blocks, larger = integers_in(body, BLOCKS), integers_in(body, range(BLOCKS[-1] + 1, THRESHOLDS[-1] + 1))
    return *[blocks[-1] + more for more in (0, 1) if blocks], *[number + 1 for number in larger[-1:]]


def _calls_exp(kernel: Callable[..., Any]) -> bool:
    """Whether its source names an exponential, whose result may be infinite."""
    return not EXPONENTIALS.isdisjoint(body_of(opened(kernel)[0]).__code__.co_names)


def _gives_nan(kernel: Callable[..., Any], case: Sequence[Any], factor: float = 1.0) -> bool:
    """Whether there is NaN in what it writes, if the numbers in its arrays are multiplied by this factor."""
    given = [a * a.dtype.type(factor) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in case]
    return any(output.dtype.kind == "f" and bool(np.isnan(output).any()) for output in results(kernel, given))


def _are_whole(argument: Any) -> bool:
    return isinstance(argument, np.ndarray) and argument.dtype.kind in "iu"


def _unequal(kernel: Callable[..., Any], square: Sequence[Any]) -> list[Any] | None:
    """Arguments like those that were guessed, but with dimensions of several lengths; None if that may not fit."""
    function, bound = opened(kernel)
    body = body_of(function)
    names, tree = list(inspect.signature(body).parameters)[len(bound) :], tree_of(body.__code__)
    dims = {name: np.ndim(argument) for name, argument in zip(names, square, strict=False)}
    groups = shapes.groups(tree, dims) if tree else []
    if len(groups) < 2:
        return None
    lengths = {axis: shapes.SMALLEST + number for number, group in enumerate(groups) for axis in group}
    rng, made = np.random.default_rng(0), []
    for name, argument in zip(names, square, strict=False):
        if isinstance(argument, np.ndarray):
            shape = tuple(lengths[name, axis] for axis in range(argument.ndim))
            made.append(numbers(shape, argument.dtype, shapes.SMALLEST, rng))
        else:
            made.append(lengths[name, -1] if type(argument) is int else argument)
    return made


def _tree(body: Any, name: str) -> ast.FunctionDef:
    tree = tree_of(body.__code__) if hasattr(body, "__code__") else None
    if tree is None:
        raise checks.Error(f"the source of {name} cannot be read, so its arguments cannot be guessed; {_NEEDS}")
    return tree


def _declared(kernel: Any, function: Any) -> list[tuple[Any, bool]]:
    """The types of the first signature of a decorator, each with whether it is that of an array of one element."""
    if isinstance(kernel, GUFunc):
        builder = kernel.gufunc_builder
        axes = [*builder.sin, *builder.sout]
        return [(kind, not of) for kind, of in zip(builder._sigs[0].args, axes, strict=True)] if builder._sigs else []
    return [(kind, False) for kind in next(iter(getattr(function, "overloads", ())), ())]


def _of_type(kind: Any, length: int, rng: np.random.Generator, name: str) -> Any:
    if isinstance(kind, types.Array):
        array = numbers((length,) * kind.ndim, as_dtype(kind.dtype), length, rng)
        return np.asfortranarray(array) if kind.layout == "F" else array
    if isinstance(kind, types.Integer):
        return length
    if isinstance(kind, types.Float):
        return as_dtype(kind).type(0.5)
    raise checks.Error(f"{name} takes a {kind}, which cannot be guessed; give its arguments by --args")
