"""Functions of one number, or a few, that loops apply to every element: an activation, a loss.

Such a function is written once, in plain Python, `1 / (1 + math.exp(-z))`, and copied for each use. A copy for float32
has float32 constants, because float32 · 0.5 would be computed in float64, with half as many numbers per vector. A copy
can also call other functions than the original: a polynomial in place of `math.exp`, NumPy's on whole arrays.
"""

import builtins
import functools
import math
from collections.abc import Callable, Mapping
from types import CellType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba.extending import overload
from numba.np.numpy_support import as_dtype

from .fingerprint import attributes_of, fingerprint, globals_of, values
from .jit import OPTIONS, part_of_kernels

Instead = Mapping[Any, Callable[..., Any]]
"""Function -> what a copy calls in its place."""


def where(condition: bool, yes: float, no: float) -> float:
    """yes if the condition holds, else no: as an expression that also works on whole arrays."""
    return yes if condition else no


part_of_kernels(where)


ON_ARRAYS: dict[Any, Callable[..., Any]] = {
    where: np.where, max: np.maximum, min: np.minimum,
    **{getattr(math, f): getattr(np, f) for f in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh")},
}  # fmt: skip
"""Function -> its NumPy equivalent for arrays."""


def of_dtype(
    f: Callable[..., Any], number: Any, instead: Instead, helper: Callable[..., Any] = part_of_kernels
) -> Callable[..., Any]:
    """A copy of f whose numbers are made by `number`, and that calls what is named `instead`; so do its helpers.

    helper    what makes a copy of a helper callable
    """
    code = f.__code__

    def replaced(value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return number(value)
        if isinstance(value, ModuleType):
            module = ModuleType(value.__name__)
            for name in attributes_of(code):
                if hasattr(value, name):
                    setattr(module, name, replaced(getattr(value, name)))
            return module
        if _is_one_of(value, instead):
            return instead[value]
        value = getattr(value, "__wrapped__", value)
        return helper(of_dtype(value, number, instead, helper)) if _is_a_helper(value) else value

    known = {**vars(builtins), **f.__globals__}
    named = {name: replaced(known[name]) for name in globals_of(code) if name in known}
    cells = tuple(CellType(replaced(cell.cell_contents)) for cell in f.__closure__ or ())
    constants = tuple(replaced(value) if isinstance(value, (int, float)) else value for value in code.co_consts)
    defaults = tuple(replaced(value) for value in f.__defaults__ or ())
    settings = {"__name__": f.__module__, "__builtins__": builtins, **named}
    copy = FunctionType(code.replace(co_consts=constants), settings, f.__name__, defaults or None, cells)
    copy.__qualname__ = f"{f.__qualname__}_{fingerprint(f)}"
    return copy


def calls(f: Callable[..., Any], instead: Instead) -> bool:
    """True if f, or a helper of it, calls a function that is named there."""
    return any(_is_one_of(value, instead) or (_is_a_helper(value) and calls(value, instead)) for value in values(f))


def scalar(f: Callable[..., Any], instead: Instead) -> Callable[..., Any]:
    """f as loops call it: compiled, it is the copy for the dtype of its first argument; interpreted, f itself."""

    copies = {number: part_of_kernels(of_dtype(f, number, instead)) for number in (np.float32, np.float64)}

    def stand_in(*numbers: Any) -> Any:
        return f(*numbers)

    overload(stand_in, jit_options=OPTIONS, strict=False)(lambda *types: copies[as_dtype(types[0]).type])
    return stand_in


def on_arrays(f: Callable[..., Any]) -> Callable[..., Any]:
    """f for arrays of NumPy: as it is, with NumPy's functions, or, where a comparison decides, number by number."""

    @functools.cache
    def copies(number: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
        return of_dtype(f, number, ON_ARRAYS), np.vectorize(of_dtype(f, number, {}), otypes=[number])

    def apply(*arrays: Any) -> Any:
        of_arrays, of_numbers = copies(arrays[0].dtype.type)
        try:
            return of_arrays(*arrays)
        except (TypeError, ValueError):  # an array has no truth value, and math needs a number
            return of_numbers(*arrays)

    return apply


def _is_one_of(value: Any, functions: Instead) -> bool:
    return callable(value) and getattr(value, "__hash__", None) is not None and value in functions


def _is_a_helper(value: Any) -> bool:
    """True for a user's function; jitnet's own helpers can be called already."""
    return isinstance(value, FunctionType) and not value.__module__.startswith(("numba", "numpy", f"{__package__}"))
