"""A problem from a Python file: its functions and lists, each checked, so that a mistake is one line that names it."""

import copy
import functools
import inspect
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import checks
from .. import loading
from ..oracle import Case, Shape, nothing
from ..timing import time_of
from .bounds import bounds
from .problem import Function, Problem

Array = NDArray[Any]

NEEDED = "a problem has inputs, reference, SHAPES, TIMED, flops and memory"
DTYPES = ("float32", "float64")

FOLDER = Path(__file__).resolve().parent / "files"
"""The problems that come with jitnet."""


class ProblemError(checks.Error):
    """A mistake in the file of a problem."""


def from_file(path: str | Path) -> Problem:
    """The problem in a file, which is executed; it is tried on all its SHAPES.

    Errors    ProblemError; checks.Error if there is no such file, or it cannot be imported
    """
    path = os.path.realpath(path)
    return _File(path, loading.module_of(path)).problem()


class _File:
    def __init__(self, path: str, module: Any) -> None:
        self.path, self.file, self.module = path, os.path.basename(path), module
        self.inputs = self._function("inputs", ["shape", "dtype", "rng"])
        self.reference = self._function("reference", None)
        self.flops = self._function("flops", ["shape"])
        self.memory = self._function("memory", ["shape", "dtype"])
        self.terms = self._function("terms", ["shape"]) if hasattr(module, "terms") else None
        self.dtypes = self._dtypes()
        self.shapes = self._shapes("SHAPES", 0)
        self.timed = self._shapes("TIMED", 1)
        self.rungs = self._rungs()
        self.answers = functools.lru_cache(maxsize=2)(self._answers)

    def problem(self) -> Problem:
        cases = self._tried()
        count = len(cases[0].expected)
        names = self._names(len(cases[0].arguments) - count, count)
        name = os.path.splitext(self.file)[0]
        return Problem(
            name=name, about=inspect.getdoc(self.module) or name, parameters=names,
            results=names[-count:], draw=self.draw, shapes=self.shapes, timed=self.timed,
            flops=functools.partial(self.work, "flops"), memory=functools.partial(self.work, "memory"),
            rungs=self.rungs | {"numpy": functools.partial(self.baseline, count)}, dtypes=self.dtypes,
            path=self.path, is_own=Path(self.path).parent != FOLDER, takes=self.takes,
            draw_inputs=self.draw_inputs, seconds_of_reference=self.seconds_of_reference,
        )  # fmt: skip

    # what the file defines

    def _error(self, message: str) -> ProblemError:
        return ProblemError(f"{self.file}: {message}")

    def _named(self, name: str) -> Any:
        if not hasattr(self.module, name):
            raise self._error(f"there is no {name}; {NEEDED}")
        return getattr(self.module, name)

    def _function(self, name: str, parameters: list[str] | None) -> Function:
        function = self._named(name)
        if not callable(function):
            raise self._error(f"{name} is {checks.shown(function)}, but must be a function")
        if parameters is not None:
            self._check_call(name, function, parameters)
        return function  # type: ignore[no-any-return]

    def _check_call(self, name: str, function: Function, arguments: Sequence[str]) -> None:
        try:
            signature = inspect.signature(loading.body_of(function))
            signature.bind(*arguments)
        except TypeError:
            call = f"{name}({', '.join(arguments)})"
            raise self._error(f"{name} has the parameters {signature}, but is called as {call}") from None
        except ValueError:  # it has no signature, as some built-in functions
            pass

    def _shapes(self, name: str, least: int) -> tuple[Shape, ...]:
        found = self._named(name)
        if not isinstance(found, (list, tuple)) or not found:
            raise self._error(f"{name} is {checks.shown(found)}, but must be a list of shapes such as [(512, 512)]")
        for shape in found:
            is_shape = isinstance(shape, tuple) and all(type(n) is int and n >= least for n in shape) and shape
            if not is_shape or len(shape) != len(found[0]):
                numbers = f"{checks.count(len(found[0]), 'whole number')}" if isinstance(found[0], tuple) else "numbers"
                raise self._error(
                    f"{name} has {checks.shown(shape)}, but each must be a tuple of {numbers}, at least {least}"
                )
        if name == "TIMED" and len(found[0]) != len(self.shapes[0]):
            raise self._error(f"TIMED has {found[0]}, but SHAPES has {self.shapes[0]}: other numbers of dimensions")
        return tuple(found)

    def _dtypes(self) -> tuple[str, ...]:
        found = getattr(self.module, "DTYPES", DTYPES)
        if not isinstance(found, (list, tuple)) or not found or not all(name in DTYPES for name in found):
            raise self._error(f"DTYPES is {checks.shown(found)}, but must be a part of {DTYPES}")
        return tuple(found)

    def _rungs(self) -> dict[str, Function]:
        found = getattr(self.module, "RUNGS", ())
        if not isinstance(found, (list, tuple)) or not all(callable(rung) for rung in found):
            raise self._error(f"RUNGS is {checks.shown(found)}, but must be a tuple of functions: (naive, good)")
        names = [str(getattr(rung, "__name__", rung)) for rung in found]
        for name in names:
            if names.count(name) > 1 or name == "numpy":
                why = "is the name of the reference" if name == "numpy" else "is there twice"
                raise self._error(f"RUNGS: {name} {why}; give it another name")
        return dict(zip(names, found, strict=True))

    # what its functions return

    def _called(self, call: str, function: Function, *arguments: Any) -> Any:
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return function(*arguments)
        except (Exception, SystemExit) as error:
            raise self._error(f"{call} {loading.raised(error, self.path)}") from None

    def drawn(self, shape: Shape, dtype: np.dtype[Any], rng: np.random.Generator) -> list[Any]:
        """Its inputs: arrays in C order, and numbers; those in floating point are of this dtype."""
        call = f"inputs({shape}, {dtype}, rng)"
        found = self._called(call, self.inputs, shape, dtype, rng)
        if not isinstance(found, (tuple, list)):
            raise self._error(f"{call} returns {_kind(found)}, but must return a tuple of arguments: return x, y")
        for position, argument in enumerate(found):
            what = f"{call}[{position}] is {_kind(argument)}"
            if not _is_numeric(argument):
                raise self._error(f"{what}, but must be a number, or an array of integers or floating-point numbers")
            given = np.asarray(argument)
            if given.dtype.kind == "f" and given.dtype != dtype:
                fix = "x.astype(dtype)" if given.ndim else "dtype.type(x)"
                raise self._error(f"{what}, but must be of {dtype}: {fix}")
            if not np.isfinite(given).all():
                raise self._error(f"{call}[{position}] has NaN or infinity")
        return [np.ascontiguousarray(a) if np.ndim(a) else np.asarray(a)[()] for a in found]

    def results_of(self, inputs: Sequence[Any], shape: Shape) -> list[Array]:
        """The results of the reference for float64 inputs: arrays of float64, or of whole numbers."""
        copies = [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in inputs]
        call = f"reference for the shape {shape}"
        found = self._called(call, self.reference, *copies)
        results = found if isinstance(found, tuple) else (found,)
        if not results:
            raise self._error(f"{call} returns nothing, but must return the results of a kernel")
        for result in results:
            if not _is_numeric(result) or (np.asarray(result).dtype.kind == "f" and result.dtype != np.float64):
                raise self._error(
                    f"{call} returns {_kind(result)}, but must return arrays of float64, as its inputs are, or integers"
                )
            if not np.isfinite(result).all():
                raise self._error(f"{call} gives NaN or infinity; leave that shape out, or draw other inputs")
        return [np.atleast_1d(result) for result in results]

    def draw(self, shape: Shape, dtype: np.dtype[Any], seed: int) -> Case:
        """Inputs, cleared outputs, and the expected results."""
        inputs, expected, limits = self.answers(shape, dtype, seed)
        outputs = [nothing(result.shape, dtype if result.dtype.kind == "f" else result.dtype) for result in expected]
        return Case([*map(copy.copy, inputs), *outputs], expected, limits)

    def _answers(self, shape: Shape, dtype: np.dtype[Any], seed: int) -> tuple[list[Any], list[Array], list[Array]]:
        """Inputs, the expected results, and their bounds; cached, because they are needed several times."""
        rng = np.random.default_rng((seed, *shape))
        inputs = self.drawn(shape, dtype, rng)  # as in `draw_inputs`
        exact = [_in_float64(argument) for argument in inputs]
        expected = self.results_of(exact, shape)
        terms = self.work("terms", shape) if self.terms else max((np.size(argument) for argument in inputs), default=1)
        return inputs, expected, bounds(lambda moved: self.results_of(moved, shape), exact, expected, dtype, terms, rng)

    def draw_inputs(self, shape: Shape, dtype: np.dtype[Any], seed: int) -> list[Any]:
        """The inputs of `draw`, without a call of the reference."""
        return self.drawn(shape, dtype, np.random.default_rng((seed, *shape)))

    def seconds_of_reference(self, shape: Shape, dtype: np.dtype[Any]) -> float:
        """Seconds of one call of the reference."""
        exact = [_in_float64(argument) for argument in self.draw_inputs(shape, dtype, 0)]
        return min(time_of(lambda: self.results_of(exact, shape), 1) for _ in range(2))  # another program may run

    def work(self, name: str, *arguments: Any) -> float:
        """The result of flops, memory or terms."""
        call = f"{name}({', '.join(map(str, arguments))})"
        found = self._called(call, getattr(self, name), *arguments)
        try:
            return checks.number(call, found, least=0)
        except checks.Error as error:
            raise self._error(str(error)) from None

    def takes(self, shape: Shape) -> bool:
        """Whether inputs can be drawn for this shape."""
        try:
            self.drawn(shape, np.dtype(self.dtypes[0]), np.random.default_rng(0))
        except ProblemError:
            return False
        return True

    def baseline(self, results: int, *arguments: Any) -> None:
        """The reference as it is, in the dtype of its inputs."""
        try:
            found = self.reference(*arguments[:-results])
        except (Exception, SystemExit) as error:
            raise self._error(f"reference, given the dtypes of a kernel, {loading.raised(error, self.path)}") from None
        for output, result in zip(arguments[-results:], found if isinstance(found, tuple) else (found,), strict=True):
            output[...] = result

    # the file as a whole

    def _tried(self) -> list[Case]:
        """Cases of all its shapes, after their work was checked."""
        dtype = np.dtype(self.dtypes[0])
        for shape in (*self.shapes, *self.timed):
            self.work("flops", shape)
            if not self.work("memory", shape, dtype) and shape in self.timed:
                raise self._error(f"memory({shape}, {dtype}) is 0, but a kernel must at least write its results")
        once, again = (self.drawn(self.shapes[0], dtype, np.random.default_rng(0)) for _ in range(2))
        self._check_call("reference", self.reference, [f"input_{i + 1}" for i in range(len(once))])
        if not _are_equal(once, again):
            raise self._error("inputs draws other numbers for the same rng; draw all random numbers from rng")
        cases = [self.draw(shape, dtype, 0) for shape in self.shapes]
        for shape, case in zip(self.shapes, cases, strict=True):
            if (len(case.arguments), len(case.expected)) != (len(cases[0].arguments), len(cases[0].expected)):
                raise self._error(f"the shape {shape} has other numbers of inputs or results than {self.shapes[0]}")
        if len(set(self.shapes)) > 1 and len({_sizes(case) for case in cases}) == 1:
            raise self._error("inputs ignores its shape: it returns arrays of the same shapes for all SHAPES")
        return cases

    def _names(self, inputs: int, results: int) -> tuple[str, ...]:
        """Those of the first rung, if there is one, else those of the reference."""
        names = _parameters(self.reference)
        if len(names) != inputs:
            names = [f"input_{i + 1}" for i in range(inputs)]
        names += ["result"] if results == 1 else [f"result_{i + 1}" for i in range(results)]
        for name, rung in self.rungs.items():
            self._check_call(name, rung, names)
        of_first = _parameters(next(iter(self.rungs.values()), self.reference))
        return tuple(of_first if len(of_first) == len(names) else names)


def _parameters(function: Function) -> list[str]:
    """The names of its parameters; none if it has no signature, as some built-in functions."""
    try:
        return list(inspect.signature(loading.body_of(function)).parameters)
    except ValueError:
        return []


def _is_numeric(value: object) -> bool:
    """Whether it is a number, or an array of integers or floating-point numbers."""
    return isinstance(value, (np.ndarray, np.generic, int, float)) and np.asarray(value).dtype.kind in "fiu"


def _kind(value: object) -> str:
    """`an array of float32`, `float`."""
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


def _in_float64(argument: Any) -> Any:
    if isinstance(argument, np.ndarray) and argument.dtype.kind == "f":
        return argument.astype(np.float64)
    return float(argument) if isinstance(argument, np.floating) else argument


def _are_equal(once: list[Any], again: list[Any]) -> bool:
    return len(once) == len(again) and all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def _sizes(case: Case) -> tuple[Any, ...]:
    """The shapes of its arrays, and its whole numbers."""
    return tuple(a.shape if isinstance(a, np.ndarray) else a for a in case.arguments)
