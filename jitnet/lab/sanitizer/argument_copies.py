"""Arguments that record: copies of those of a kernel, whose arrays share memory where the originals do."""

from collections.abc import Callable, Sequence
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
from numba import types
from numba.core.dispatcher import Dispatcher
from numba.np.ufunc.dufunc import DUFunc
from numba.np.ufunc.gufunc import GUFunc
from numba.stencils.stencil import StencilFunc
from numba.typed import Dict, List
from numpy.typing import NDArray

from .arrays import Traced
from .instrumented import Instrumenter
from .races import Memory, address_of, bounds_of
from .recorded import mapped

_UNDERSTOOD = (
    int, float, complex, str, bytes, np.generic, np.dtype, types.Type, dict, set, type(None),
    type, FunctionType, BuiltinFunctionType, Dispatcher, np.ufunc, DUFunc, GUFunc, StencilFunc,
)  # fmt: skip
"""Types of arguments, besides arrays, that a check fully supports."""


def recording_copies(
    instrumenter: Instrumenter,
    arguments: Sequence[Any],
    names: Sequence[str],
    may_write: Callable[[int, NDArray[Any]], bool],
) -> list[Any]:
    """The arguments as the copy of a kernel gets them: arrays record, functions are copies too.

    may_write    whether the kernel may write an array that is, or is in, the argument of that number
    """
    arrays: dict[int, NDArray[Any]] = {}
    called: dict[int, str] = {}
    of: dict[int, list[int]] = {}
    """Array -> the parameters that it is given to."""
    for i, argument in enumerate(arguments):
        for name, array in _named(argument, names[i]):
            arrays[id(array)] = array
            called.setdefault(id(array), name)
            of.setdefault(id(array), []).append(i)
    made: dict[int, Traced] = {}
    for group in sharing(arrays):
        start = min(bounds_of(arrays[i])[0] for i in group)
        block = np.zeros(max(bounds_of(arrays[i])[1] for i in group) - start + 1, np.uint8)
        copies = {}
        for i in group:
            copies[i] = copied(arrays[i], block, address_of(arrays[i]) - start)
        memory = Memory(instrumenter.run, copies[group[0]], called[group[0]], block=block)
        memory.origin = start
        memory.is_input = not any(may_write(k, arrays[i]) for i in group for k in of[i])
        if len(group) == 1 and not memory.is_input and is_empty(arrays[group[0]]):
            memory.initialized = np.zeros(memory.count, np.bool_)
        for i in group:
            made[i] = Traced(copies[i], memory)

    def recording(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return made[id(value)]
        if not isinstance(value, _UNDERSTOOD):
            kind = type(value).__name__
            instrumenter.not_covered(f"what the kernel does with its argument of type {kind} is not recorded")
        return instrumenter.replaced(value, parallel=True)

    return [mapped(argument, recording) for argument in arguments]


def copied(array: NDArray[Any], block: NDArray[np.uint8], at: int) -> NDArray[Any]:
    """A copy with the same strides, whose first element is at byte `at` of the block."""
    copy: NDArray[Any] = np.ndarray(array.shape, array.dtype, block, at if array.size else 0,
                                    array.strides if array.size else None)  # fmt: skip
    copy[...] = array
    return copy


def sharing(arrays: dict[int, NDArray[Any]]) -> list[list[int]]:
    """The arguments in groups of those whose memory overlaps."""
    groups: list[list[int]] = []
    for i, array in arrays.items():
        low, high = bounds_of(array)
        found = [
            g for g in groups if any(low < bounds_of(arrays[j])[1] and bounds_of(arrays[j])[0] < high for j in g)
        ]  # fmt: skip
        groups = [g for g in groups if g not in found] + [[j for g in found for j in g] + [i]]
    return groups


def arrays_in(argument: Any) -> list[NDArray[Any]]:
    """The arrays of an argument, which may be a tuple or list of them."""
    return [array for _, array in _named(argument, "")]


def _named(argument: Any, name: str) -> list[tuple[str, NDArray[Any]]]:
    """The arrays of an argument of that name, with their own names: `t`, `t[1]`, `t.x`."""
    if isinstance(argument, np.ndarray):
        return [(name, argument)]
    if not isinstance(argument, (tuple, list)):
        return []
    fields = getattr(argument, "_fields", None)
    names = [f"{name}.{part}" for part in fields] if fields else [f"{name}[{i}]" for i in range(len(argument))]
    return [found for part, of in zip(argument, names, strict=True) for found in _named(part, of)]


def as_python(argument: Any) -> Any:
    """Python's list or dict for a typed one, which is compiled."""
    if isinstance(argument, List):
        return [as_python(value) for value in argument]
    return dict(argument) if isinstance(argument, Dict) else argument


class Empty(np.ndarray[Any, Any]):
    """An array that counts as not initialized, whatever it holds: integers have no NaN to mark it."""


def is_empty(array: NDArray[Any]) -> bool:
    """True for an array that counts as not initialized: `Empty`, or one that holds nothing but NaN."""
    has_nan = array.dtype.kind == "f" and array.size > 0 and bool(np.isnan(array).all())
    return isinstance(array, Empty) or has_nan
