"""Arguments for a check: those of a problem, those of declared types, or guessed from the source.

Without anything else, arrays get as many dimensions as the kernel uses indices, all of the same small length: square
shapes fit almost every kernel. A parameter is a number if it is never indexed. If the kernel cannot run like that, the
next larger numbers of dimensions are tried. If nothing is wrong with square arrays, and the source shows which
dimensions must have the same length, there is a run in which the others differ.
"""

import ast
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import as_dtype

from ... import checks
from ...process import progress
from ..oracle import Shape, holds_nothing
from ..problems import Problem
from . import shapes
from .checking import Writes, examine, results
from .findings import BROKEN, Finding, Report
from .given import Empty
from .syntax import tree_of
from .targets import name_of, opened

MOST = 1100
"""Products of the sizes of a shape: the loops are interpreted."""

LENGTHS = (7, 8)
"""The lengths of every dimension if nothing else is known: a prime, and a power of two."""

LARGE, EXPONENTIALS = 1000.0, {"exp", "expm1", "exp2", "sinh", "cosh"}
"""Numbers whose exponential is infinite; the functions that have one."""

BLOCKS = range(LENGTHS[-1] + 1, 65)
"""Integers of a source that may be the size of its blocks: arrays of one block, and of one element more, are tried."""

TRIAL = 100_000
"""Accesses of a run that shows whether arguments fit."""

_NEEDS = "give arguments: --args 'ones((3, 4)), empty(4)', or those of an operation: --as matmul"


GUESSED = (
    "the arguments were guessed, with all dimensions of one length; if the kernel is made for others, it may be right: "
    "give them by --args, --as or --problem"
)

EQUAL_INDICES = (
    "the arrays of indices were guessed, with equal and unsorted numbers; if the kernel is made for a permutation, or "
    "for sorted ones, it may be right: give them by --args"
)


def small_shapes(problem: Problem) -> list[Shape]:
    """The shapes of a problem on which an interpreted loop ends soon; of large ones, the smallest."""
    small = [shape for shape in problem.shapes if math.prod(shape) <= MOST]
    return small or [min(problem.shapes, key=math.prod)]


def of_problem(problem: Problem, dtype: str) -> Iterator[list[Any]]:
    """Small cases of a problem; its outputs are not initialized."""
    for shape in small_shapes(problem):
        case = problem.case(shape, dtype if dtype in problem.dtypes else problem.dtypes[0])
        inputs = case.arguments[: -len(problem.results)]
        yield [*inputs, *(out.view(Empty) if holds_nothing(out) else out for out in case.outputs)]


def guessed(kernel: Callable[..., Any], dtype: str, lengths: Sequence[int] = LENGTHS) -> Iterator[list[Any]]:
    """Arguments of the declared types, or as the source uses them; those whose dimensions have each of the lengths."""
    function, bound = opened(kernel)
    body, name = getattr(function, "py_func", function), name_of(kernel)
    declared = list(getattr(function, "overloads", ()))
    parameters = list(inspect.signature(body).parameters)[len(bound) :]
    if declared:
        for length in lengths:
            rng = np.random.default_rng(length)
            yield [_of_type(kind, length, rng, name) for kind in declared[0]]
        return
    uses = _Uses(_tree(body, name), parameters)
    reason = ""
    for dims in uses.choices():
        report = examine(kernel, [uses.made(dims, LENGTHS[0], np.dtype(dtype))], most=TRIAL)
        broken = [finding for finding in report.errors if finding.kind in BROKEN]
        if not broken:
            yield from (uses.made(dims, length, np.dtype(dtype)) for length in lengths)
            return
        is_long = broken[0].kind == "too long"  # and so are more dimensions
        reason = str(broken[0]) if is_long or not reason else reason
        if is_long:
            break
    raise checks.Error(f"the arguments of {name} cannot be guessed: it {reason}; {_NEEDS}")


def examine_guessed(
    kernel: Callable[..., Any], dtype: str, writes: Writes, name: str, say: progress.Report | None = None
) -> Report:
    """The report of a kernel on guessed arguments: square ones, then others, which it need not be made for."""
    cases = list(guessed(kernel, dtype))
    report = examine(kernel, cases, writes, name, say=say)
    others = None if report.errors else _unequal(kernel, cases[0])
    if others:
        found = examine(kernel, [others], writes, name)
        report.runs += found.runs
        for error in found.errors:
            if error.kind == "outside":
                message = f"is right for square arrays only: {error.message}, given {found.runs[0]}"
                report.add(replace(error, kind="square", message=message))
    if not report.errors and _calls_exp(kernel) and _gives_nan(kernel, cases[0], LARGE) > _gives_nan(kernel, cases[0]):
        report.add(Finding("large", f"gives NaN for numbers of about {LARGE:g}, but not for those of about 1"))
    for block in [] if report.errors else list(guessed(kernel, dtype, _lengths_of_blocks(kernel))):
        found = examine(kernel, [block], writes, name, most=3 * TRIAL)
        if any(error.kind in BROKEN for error in found.errors):  # it takes too long
            break
        report.runs += found.runs
        for error in found.errors:
            report.add(error, error.array)
    if any(error.kind == "outside" for error in report.errors):
        report.add(Finding("guessed", GUESSED))
    elif any(error.kind == "race" for error in report.errors) and any(map(_are_whole, cases[0])):
        report.add(Finding("guessed", EQUAL_INDICES))
    return report


def _lengths_of_blocks(kernel: Callable[..., Any]) -> tuple[int, ...]:
    """Lengths of one block of the largest size that the source names, and of one more element."""
    function, _ = opened(kernel)
    body = getattr(function, "py_func", function)
    tree = tree_of(body.__code__)
    values = [getattr(node, "value", None) for node in ast.walk(tree or ast.Pass())]
    values += [body.__globals__.get(name) for name in body.__code__.co_names]
    sizes = [value for value in values if type(value) is int and value in BLOCKS]
    return (max(sizes), max(sizes) + 1) if sizes else ()


def _calls_exp(kernel: Callable[..., Any]) -> bool:
    """Whether its source names an exponential, whose result may be infinite."""
    function, _ = opened(kernel)
    return not EXPONENTIALS.isdisjoint(getattr(function, "py_func", function).__code__.co_names)


def _gives_nan(kernel: Callable[..., Any], case: Sequence[Any], factor: float = 1.0) -> bool:
    """Whether there is NaN in what it writes, if the numbers in its arrays are multiplied by this factor."""
    given = [a * a.dtype.type(factor) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in case]
    return any(output.dtype.kind == "f" and bool(np.isnan(output).any()) for output in results(kernel, given))


def _are_whole(argument: Any) -> bool:
    return isinstance(argument, np.ndarray) and argument.dtype.kind in "iu"


def _unequal(kernel: Callable[..., Any], square: Sequence[Any]) -> list[Any] | None:
    """Arguments like those that were guessed, but with dimensions of several lengths; None if that may not fit."""
    function, bound = opened(kernel)
    body = getattr(function, "py_func", function)
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
            made.append(_numbers(shape, argument.dtype, shapes.SMALLEST, rng))
        else:
            made.append(lengths[name, -1] if type(argument) is int else argument)
    return made


def _tree(body: Any, name: str) -> ast.FunctionDef:
    tree = tree_of(body.__code__) if hasattr(body, "__code__") else None
    if tree is None:
        raise checks.Error(f"the source of {name} cannot be read; {_NEEDS}")
    return tree


def _of_type(kind: Any, length: int, rng: np.random.Generator, name: str) -> Any:
    if isinstance(kind, types.Array):
        array = _numbers((length,) * kind.ndim, as_dtype(kind.dtype), length, rng)
        return np.asfortranarray(array) if kind.layout == "F" else array
    if isinstance(kind, types.Integer):
        return length
    if isinstance(kind, types.Float):
        return as_dtype(kind).type(0.5)
    raise checks.Error(f"{name} takes a {kind}; {_NEEDS}")


def _numbers(shape: tuple[int, ...], dtype: np.dtype[Any], length: int, rng: np.random.Generator) -> Any:
    """Positive numbers; integers that are indices."""
    if dtype.kind in "iub":
        return rng.integers(0, length, shape).astype(dtype)
    return (rng.random(shape) + 0.5).astype(dtype) if dtype.kind in "fc" else np.zeros(shape, dtype)


class _Uses:
    """How the source of a kernel uses its parameters."""

    def __init__(self, tree: ast.FunctionDef, parameters: list[str]) -> None:
        self.tree, self.parameters = tree, parameters
        self.dims = dict.fromkeys(parameters, 0)
        self.indices: set[str] = set()
        """Parameters whose value, or whose elements, are used as an index or a bound."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript):
                self._indexed(node)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
                self._unpacked(node.targets[0], node.value)
            elif isinstance(node, ast.Attribute) and self._known(node.value):
                if node.attr in ("size", "shape", "dtype", "T"):
                    self._at_least(node.value, 2 if node.attr == "T" else 1)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in ("range", "prange"):
                    self.indices |= {name for argument in node.args for name in _values(argument)}
                elif node.func.id == "len" and node.args and self._known(node.args[0]):
                    self._at_least(node.args[0], 1)

    def _known(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self.dims

    def _at_least(self, node: ast.expr, dims: int) -> None:
        assert isinstance(node, ast.Name)
        self.dims[node.id] = max(self.dims[node.id], dims)

    def _indexed(self, node: ast.Subscript) -> None:
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if self._known(node.value):
            self._at_least(node.value, sum(not _is_new_axis(part) for part in parts))
        elif isinstance(node.value, ast.Subscript) and self._known(node.value.value):  # A[i][j]
            self._at_least(node.value.value, 2)
        if isinstance(node.value, ast.Attribute) and node.value.attr == "shape" and self._known(node.value.value):
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int) and node.slice.value >= 0:
                self._at_least(node.value.value, node.slice.value + 1)
        else:
            self.indices |= {name for part in parts for name in _values(part)}

    def _unpacked(self, target: ast.Tuple, value: ast.expr) -> None:
        """`m, n = A.shape`."""
        if isinstance(value, ast.Attribute) and value.attr == "shape" and self._known(value.value):
            self._at_least(value.value, len(target.elts))

    def choices(self) -> list[tuple[int, ...]]:
        """Numbers of dimensions for the parameters: what the source shows, then larger ones."""
        each = []
        for parameter, dims in self.dims.items():
            if dims:
                each.append(range(dims, min(dims + 2, 4)))
            else:
                passed_on = self._is_passed_on(parameter) and parameter not in self.indices
                each.append(range(1, 4) if passed_on else range(2))
        combinations = itertools.islice(itertools.product(*each), 512)
        return sorted(combinations, key=sum)[:64]

    def made(self, dims: tuple[int, ...], length: int, dtype: np.dtype[Any]) -> list[Any]:
        """Arguments with these numbers of dimensions."""
        rng = np.random.default_rng(length)
        made: list[Any] = []
        for parameter, count in zip(self.parameters, dims, strict=True):
            if count == 0:
                made.append(length if parameter in self.indices else dtype.type(0.5))
            else:
                is_whole = self._indexes(parameter) or self._counts(parameter)
                made.append(_numbers((length,) * count, np.dtype(np.int64) if is_whole else dtype, length, rng))
        return made

    def _counts(self, parameter: str) -> bool:
        """True if whole numbers are added to it, and nothing else is stored in it."""
        stored = [
            n for n in ast.walk(self.tree) if isinstance(n, (ast.Assign, ast.AugAssign)) and _stores(n, parameter)
        ]
        return bool(stored) and all(
            isinstance(n, ast.AugAssign) and isinstance(n.value, ast.Constant) and type(n.value.value) is int
            for n in stored
        )

    def _indexes(self, parameter: str) -> bool:
        """True if its elements are used as an index: `a[index[i]]`, `k = index[i]; a[k]`."""
        assigned = (node for node in ast.walk(self.tree) if isinstance(node, ast.Assign))
        for node in assigned:
            target = node.targets[0]
            if isinstance(target, ast.Name) and target.id in self.indices and _is_element(node.value, parameter):
                return True
        inside = (
            part for node in ast.walk(self.tree) if isinstance(node, ast.Subscript) and not _is_shape(node.value)
            for part in ast.walk(node.slice)
        )  # fmt: skip
        bounds = (
            part for node in ast.walk(self.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("range", "prange")
            for argument in node.args for part in ast.walk(argument)
        )  # fmt: skip
        return any(_is_element(part, parameter) for part in (*inside, *bounds))

    def _is_passed_on(self, parameter: str) -> bool:
        """True if another function gets it, which may index it."""
        calls = (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        return any(isinstance(a, ast.Name) and a.id == parameter for node in calls for a in node.args)


def _values(node: ast.AST) -> Iterator[str]:
    """The names whose values an expression takes, not only their shapes."""
    if isinstance(node, ast.Name):
        yield node.id
    elif not isinstance(node, ast.Attribute) and not (isinstance(node, ast.Call) and _is_named(node.func, "len")):
        for child in ast.iter_child_nodes(node):
            yield from _values(child)


def _is_named(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_element(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == name


def _stores(node: ast.Assign | ast.AugAssign, name: str) -> bool:
    """True if it stores into elements of that array."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(_is_element(target, name) for target in targets)


def _is_shape(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "shape"


def _is_new_axis(node: ast.expr) -> bool:
    is_none = isinstance(node, ast.Constant) and node.value is None
    return is_none or (isinstance(node, ast.Attribute) and node.attr == "newaxis")
