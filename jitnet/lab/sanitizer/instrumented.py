"""Instrumented copies of functions: prange starts threads that are recorded, NumPy makes arrays that record.

A copy has the code of the original, so its lines are those of the source. Only the names that it looks up differ:
compiled helpers are replaced by copies of their Python functions, `np` and `math` by modules whose results are
recorded, prange by `Run.prange`. Nothing is compiled, and the originals are untouched.
"""

import ast
import dis
import functools
import os
import sys
from collections.abc import Callable
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.experimental.jitclass.base import JitClassType
from numba.np.ufunc import parallel
from numba.np.ufunc.dufunc import DUFunc
from numba.np.ufunc.gufunc import GUFunc
from numba.stencils.stencil import StencilFunc

from ...compiler import scalar as scalars
from ...compiler import threads
from ..loading import body_of
from . import loops
from .arrays import Flat, Traced, new, traced
from .findings import Finding
from .numbers import TYPES, Double, Single, math_function, math_module, promotion_of
from .races import ALONE, Memory, Run
from .recorded import as_numpy, is_view, plain
from .targets import name_of

_LEFT_ALONE = ("numba", "numpy", "builtins", "llvmlite")
"""Packages whose functions are called as they are."""


class Instrumenter:
    """Makes the instrumented copies of a kernel and of the functions that it calls, for one run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.copies: dict[Any, Any] = {}
        self.globals: dict[Any, dict[str, Any]] = {}
        self.numpy = NumPy(run)

    def instrumented(self, kernel: Callable[..., Any], as_compiled: bool = False) -> Callable[..., Any]:
        """The copy of a kernel. Its prange loops are parallel, unless the way it is compiled decides."""
        body = body_of(kernel)
        options = getattr(kernel, "targetoptions", {})
        self._note_error_model(kernel)
        parallel = not as_compiled or bool(options.get("parallel"))
        return self._function(body, parallel)  # type: ignore[no-any-return]

    def replaced(self, value: Any, parallel: bool, name: str = "") -> Any:
        """What a copy finds in place of this value, the global or the variable of that name."""
        if isinstance(value, ModuleType):
            return self._module(value, parallel)
        if isinstance(value, np.ndarray) and value.ndim:
            return self.constant(value, name or "a global array")
        if type(value) is np.float32:
            return Single(value)
        if type(value) is tuple:
            return tuple(self.replaced(part, parallel, name) for part in value)
        return self._callable(value, parallel) if callable(value) else value

    def _callable(self, value: Any, parallel: bool) -> Any:
        for functions, stand_in in self._stand_ins(parallel):
            if any(value is function for function in functions):
                return stand_in
        if any(value is function for function in _THREAD_IDS):
            self.run.by_thread = True
            return self.run.thread_id
        if isinstance(value, Dispatcher):
            self._note_error_model(value)
            copy = self._function(value.py_func, bool(value.targetoptions.get("parallel")))
            return self._with_threads_of_its_own(value, copy) if _starts_threads(value) else copy
        if isinstance(value, FunctionType):
            return self._written_in_python(value, parallel)
        if isinstance(value, (GUFunc, StencilFunc, JitClassType)):
            return self._compiled(value)
        if isinstance(value, (np.ufunc, DUFunc)):
            return self.numpy.wrapped(value)
        if isinstance(value, BuiltinFunctionType) and value.__module__ == "math":
            return math_function(value)
        return value

    def _with_threads_of_its_own(self, function: Any, copy: Any) -> Any:
        """Called in an iteration, its prange loops are no part of that loop: `Run.called_alone` checks them."""

        @functools.wraps(copy)
        def call(*arguments: Any, **options: Any) -> Any:
            if self.run.stamp and self.run.nested[function] < ALONE:
                self.run.nested[function] += 1
                self.run.called_alone(function, arguments, options)
            return copy(*arguments, **options)

        return call

    def _note_error_model(self, kernel: Any) -> None:
        if isinstance(kernel, Dispatcher) and kernel.targetoptions.get("error_model", "python") == "python":
            self.run.raising.add(kernel.py_func.__code__)

    def _stand_ins(self, parallel: bool) -> list[tuple[tuple[Any, ...], Any]]:
        """Functions, and what a copy calls instead."""
        return [
            ((numba.prange,), self.run.prange if parallel else range),
            ((numba.pndindex,), self.run.pndindex if parallel else np.ndindex),
            ((numba.get_num_threads, threads.thread_count, threads.loop_threads), self.run.thread_count),
            ((os._exit,), sys.exit),  # which the check reports
        ]

    def _written_in_python(self, function: FunctionType, parallel: bool) -> Any:
        if function.__qualname__ == "scalar.<locals>.stand_in" and function.__module__ == scalars.__name__:
            return self._scalar(function, parallel)
        package = (function.__module__ or "").partition(".")[0]
        return function if package in _LEFT_ALONE else self._function(function, parallel)

    def _compiled(self, value: Any) -> Any:
        """Code that runs compiled, so its accesses are not recorded."""
        what = {GUFunc: "guvectorize function", StencilFunc: "stencil"}.get(type(value), "jitclass")
        self.not_covered(f"{name_of(value)} is a {what}, which runs compiled: what it does inside is not recorded")
        if isinstance(value, GUFunc):
            return self._gufunc(value)
        if isinstance(value, StencilFunc):
            return self.numpy.wrapped(lambda *arrays, **options: value(*plain(arrays), **plain_of(options)))
        return value

    def not_covered(self, message: str) -> None:
        """Note that a part of the kernel is not checked."""
        self.run.report.add(Finding("not covered", message), message)

    def _gufunc(self, function: Any) -> Callable[..., Any]:
        """A guvectorize function; the last ones of its arguments are outputs."""
        inputs = len(function.gufunc_builder.sin)

        def call(*arrays: Any) -> Any:
            outputs = [array for array in arrays[inputs:] if isinstance(array, Traced)]
            result = function(*map(plain, arrays[:inputs]), *(output.data for output in outputs))
            for output in outputs:
                output.write_all()
            return traced(self.run, result)

        return call

    def _module(self, module: ModuleType, parallel: bool) -> Any:
        if module is np:
            return self.numpy
        if module.__name__ == "math":
            return math_module(module)
        if module.__name__.partition(".")[0] == "numpy":
            return module
        return Namespace(lambda name: self.replaced(getattr(module, name), parallel))

    def constant(self, array: Any, name: str) -> Any:
        """A copy of an array from outside of the kernel, which Numba compiles as a constant; one for every mention."""
        if id(array) not in self.copies:
            own = array.copy(order="K")
            memory = Memory(self.run, own, name)
            memory.is_input = memory.is_constant = True
            self.run.found_outside(memory)
            self.copies[id(array)] = Traced(own, memory), array
        return self.copies[id(array)][0]

    def _scalar(self, stand_in: FunctionType, parallel: bool) -> Callable[..., Any]:
        """`compiler.scalar` compiles a copy for the dtype of the first argument."""
        f = next(c.cell_contents for c in stand_in.__closure__ or () if callable(c.cell_contents))
        copies = {
            number: self._function(scalars.of_dtype(f, number, {}, lambda helper: helper), parallel)
            for number in (Single, np.float64)
        }
        return lambda *numbers: copies[Single if isinstance(numbers[0], np.float32) else np.float64](*numbers)

    def _function(self, function: Any, parallel: bool) -> Any:
        key = id(function), parallel
        if key in self.copies:
            return self.copies[key][0]
        settings = self.globals.setdefault((id(function.__globals__), parallel), dict(function.__globals__))
        code = function.__code__
        cells = tuple(CellType() for _ in code.co_freevars)
        copy = FunctionType(code, settings, function.__name__, function.__defaults__, cells or None)
        copy.__kwdefaults__ = function.__kwdefaults__
        copy.__qualname__ = function.__qualname__
        self.copies[key] = copy, function
        for name in sorted(_globals_of(code)):  # so that findings come in the same order each time
            if name in function.__globals__:
                settings[name] = self.replaced(function.__globals__[name], parallel, name)
        for name, cell, original in zip(code.co_freevars, cells, function.__closure__ or (), strict=True):
            try:
                cell.cell_contents = self.replaced(original.cell_contents, parallel, name)
            except ValueError:  # a name that is not bound yet
                continue
        if parallel:
            self._analyze(function)
        else:
            self.run.serial.add(code)
        return copy

    def _analyze(self, function: FunctionType) -> None:
        code, file = function.__code__, function.__code__.co_filename
        free = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))

        def is_prange(name: ast.expr) -> bool:
            if isinstance(name, ast.Attribute):
                return name.attr == "prange"
            if not isinstance(name, ast.Name):
                return False
            cell = free.get(name.id)
            return (cell.cell_contents if cell else function.__globals__.get(name.id)) is numba.prange

        found = loops.analyzed(code, is_prange)
        for finding in found.findings:
            self.run.report.add(finding, finding.array)
        self.run.reductions |= {(file, line) for line in found.reduction_lines}
        self.run.literal |= {(file, line) for line in found.literal_lines}
        for stale in found.stale:
            self.run.stale.setdefault((file, stale.loop), {})[stale.name] = stale
        for watched in found.watched:
            self.run.watched.setdefault((file, watched.loop), []).append(watched)
        self.run.serial_loops |= {(file, line) for line in found.serial_lines}
        if not found.has_source:
            name = function.__name__
            self.not_covered(f"the source of {name} was not found, so its reductions and private variables are unknown")


def _starts_threads(function: Dispatcher) -> bool:
    """Whether it runs its prange loops in parallel wherever it is called; inlined ones belong to the caller."""
    options = function.targetoptions
    return bool(options.get("parallel")) and options.get("inline", "never") == "never"


def _globals_of(code: CodeType) -> set[str]:
    """The global names of a function, and of the functions in it."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*(_globals_of(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def plain_of(options: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments for NumPy."""
    return {name: plain(value) for name, value in options.items()}


_THREAD_IDS = (numba.get_thread_id, parallel.get_thread_id)


class Namespace:
    """A module whose attributes are replaced when they are looked up."""

    def __init__(self, look_up: Callable[[str], Any]) -> None:
        self._look_up = look_up

    def __getattr__(self, name: str) -> Any:
        return self._look_up(name)


class NumPy:
    """`np` for a copy: arrays that it makes record their accesses."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._known: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = self._attribute(name)
        return self._known[name]

    def _attribute(self, name: str) -> Any:
        value = getattr(np, name)
        if name in ("asarray", "ascontiguousarray", "asfortranarray"):
            return self._as_array(value)
        if name == "random":
            return Namespace(lambda function: self._random(getattr(value, function)))
        if name == "ndenumerate":
            return lambda array: ((index, array[index]) for index in np.ndindex(array.shape))
        if name == "array":
            return lambda *given, **options: traced(self.run, np.array(*map(plain, given), **plain_of(options)))
        if name == "float64":
            self.run.wants_float64 = True
        if name in TYPES:
            return TYPES[name]
        if isinstance(value, type) or not callable(value):
            return value
        return self.wrapped(value)

    def wrapped(self, function: Callable[..., Any]) -> Any:
        return Function(self.run, function)

    def _random(self, function: Callable[..., Any]) -> Callable[..., Any]:
        recording = self.wrapped(function)

        def draw(*arguments: Any, **options: Any) -> Any:
            if self.run.stamp:
                message = "where each thread has its own generator; a seed sets that of one thread only"
                self.run.found("random", f"draws random numbers in a prange loop, {message}")
            if function.__name__ != "shuffle":
                return recording(*arguments, **options)
            arguments[0].write_all()
            return function(arguments[0].read_all())

        return draw

    def _as_array(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def same(array: Any, dtype: Any = None) -> Any:
            if isinstance(array, Traced) and is_view(function(array.data, dtype), array.data):
                return array
            return traced(self.run, function(plain(array), dtype))

        return same


class Function:
    """A function of NumPy, whose results record."""

    def __init__(self, run: Run, function: Callable[..., Any]) -> None:
        self.run, self.function = run, function

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        options = {name: as_numpy(value) for name, value in options.items()}
        result = self.function(*map(as_numpy, arguments), **options)
        if isinstance(result, (Traced, Flat)):
            return result
        if self.function in (np.empty, np.empty_like) and isinstance(result, np.ndarray):
            return new(self.run, result, initialized=False)
        result = traced(self.run, result)
        if isinstance(result, Double):
            result.promotion = promotion_of(*arguments)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)
