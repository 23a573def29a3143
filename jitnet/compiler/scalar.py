"""Functions of one number, or a few, that loops apply to every element: an activation, a loss.

Such a function is written once, in plain Python, `1 / (1 + math.exp(-z))`, and copied for each use. A copy for float32
has float32 constants, because float32 · 0.5 would be computed in float64, with half as many numbers per vector. A copy
can also call other functions than the original: a polynomial in place of `math.exp`, NumPy's on whole arrays.
Integers become numbers of that dtype too, as int64 · float32 is float64, unless they index a tuple or count a loop.
"""

import builtins
import dis
import functools
import math
from collections.abc import Callable, Mapping
from types import CellType, CodeType, FunctionType, ModuleType
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
    **{getattr(math, f): getattr(np, f) for f in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos")},
    **{getattr(math, f): getattr(np, f) for f in ("tanh", "sinh", "cosh")},
}  # fmt: skip
"""Function -> its NumPy equivalent for arrays."""


def of_dtype(
    f: Callable[..., Any], number: Any, instead: Instead, helper: Callable[..., Any] = part_of_kernels
) -> Callable[..., Any]:
    """A copy of f with constants converted by `number` and functions replaced by `instead`, also in its helpers.

    helper    what makes a copy of a helper callable
    """
    code = f.__code__
    places, whole = whole_numbers(code)

    def replaced(value: Any, name: str = "") -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value if isinstance(value, int) and name in whole else number(value)
        if type(value) is tuple:
            return tuple(replaced(each, name) for each in value)
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
    named = {name: replaced(known[name], name) for name in globals_of(code) if name in known}
    free = zip(code.co_freevars, f.__closure__ or (), strict=True)
    cells = tuple(CellType(replaced(cell.cell_contents, name)) for name, cell in free)
    given = f.__defaults__ or ()
    optional = code.co_varnames[code.co_argcount - len(given) : code.co_argcount]
    defaults = tuple(map(replaced, given, optional))
    instructions, constants = _with_both(code, places, tuple(map(replaced, code.co_consts)))
    settings = {"__name__": f.__module__, "__builtins__": builtins, **named}
    copy = FunctionType(
        code.replace(co_code=instructions, co_consts=constants), settings, f.__name__, defaults or None, cells
    )
    copy.__qualname__ = f"{f.__qualname__}_{fingerprint(f)}"
    return copy


def whole_numbers(code: CodeType) -> tuple[list[int], set[str]]:
    """Offsets of the constants, and names, that are used to index a tuple or to count a loop."""
    steps = list(dis.get_instructions(code))

    def expression(end: int) -> set[int]:
        """The steps that leave the topmost value on the stack before the step `end`."""
        start, depth = end, 0
        while start > 0 and depth < 1:
            start -= 1
            depth += dis.stack_effect(steps[start].opcode, steps[start].arg, jump=False)
        found = set(range(start, end))
        targets = {step.offset for step in steps[start + 1 : end + 1] if step.is_jump_target}
        for at, step in enumerate(steps[:start]):  # `i if condition else j`: i, which jumps over j
            if step.opname == "JUMP_FORWARD" and step.argval in targets:
                found |= expression(at)
        return found

    inside: set[int] = set()
    for at, step in enumerate(steps):
        if step.opname == "BINARY_SUBSCR":
            inside.update(expression(at))
        if step.opname == "LOAD_GLOBAL" and step.argval == "range":
            inside.update(range(at, next((to for to in range(at, len(steps)) if steps[to].opname == "GET_ITER"), at)))
    names: set[str] = set()
    while names != (found := {name for at in inside for name in _variables(steps[at])}):
        names = found
        for at, step in enumerate(steps):
            if step.opname.startswith("STORE_") and names.intersection(_variables(step)):
                inside.update(expression(at))
    return [steps[at].offset for at in sorted(inside) if steps[at].opname == "LOAD_CONST"], names


def _variables(step: dis.Instruction) -> tuple[str, ...]:
    """The variables that an instruction reads or writes; in Python 3.13 they can be two."""
    if not step.opname.startswith(("LOAD_FAST", "LOAD_GLOBAL", "LOAD_DEREF", "STORE_FAST", "STORE_DEREF")):
        return ()
    return step.argval if isinstance(step.argval, tuple) else (step.argval,)


def _with_both(code: CodeType, places: list[int], constants: tuple[Any, ...]) -> tuple[bytes, tuple[Any, ...]]:
    """Instructions that read the original integers at these places, and the replaced constants elsewhere."""
    instructions = bytearray(code.co_code)
    for offset in places:
        value = code.co_consts[instructions[offset + 1]]
        if type(value) is int and len(constants) < 256:  # an argument has one byte
            instructions[offset + 1] = len(constants)
            constants += (value,)
    return bytes(instructions), constants


def calls(f: Callable[..., Any], instead: Instead) -> bool:
    """True if f, or a helper of it, calls a function that is named there."""
    return any(_is_one_of(value, instead) or (_is_a_helper(value) and calls(value, instead)) for value in values(f))


def scalar(f: Callable[..., Any], instead: Instead) -> Callable[..., Any]:
    """f as loops call it: compiled, it is the copy for the dtype of its first argument; interpreted, f itself.

    Errors    RecursionError if f, or a helper of it, calls itself
    """
    calls(f, {})  # for the error: copies are made when they are compiled

    @functools.cache
    def copy(dtype: np.dtype[Any]) -> Callable[..., Any]:
        return part_of_kernels(of_dtype(f, dtype.type, instead))

    def stand_in(*numbers: Any) -> Any:
        try:
            return f(*numbers)
        except OverflowError:
            return _with_infinity(f, *numbers)

    inlined = {**OPTIONS, "forceinline": True}  # a call would keep the loop around it from being vectorized
    overload(stand_in, jit_options=inlined, strict=False)(lambda *types: copy(as_dtype(types[0])))
    return stand_in


def _with_infinity(f: Callable[..., Any], *numbers: Any) -> Any:
    """f as compiled code computes it: e^710 is inf, where `math.exp` raises an error."""
    with np.errstate(all="ignore"):
        return of_dtype(f, type(numbers[0]), ON_ARRAYS)(*numbers)


def on_arrays(f: Callable[..., Any]) -> Callable[..., Any]:
    """f for NumPy arrays: with NumPy's functions or, if f contains a comparison, number by number."""

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
    """True for a user's function; kernels can call jitnet's own helpers without a copy."""
    return isinstance(value, FunctionType) and not value.__module__.startswith(("numba", "numpy", f"{__package__}"))
