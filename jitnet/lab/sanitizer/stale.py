"""Variables that hold what another iteration of a prange loop left in them.

Whether an iteration reads such a variable before it assigns it can depend on its branches, which the source alone does
not decide. So the value is replaced between two iterations by one that behaves alike, and reports its first use.
"""

import ctypes
import operator
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift", "matmul")
_OTHERS = ("lt", "le", "gt", "ge", "eq", "ne", "neg", "pos", "abs", "invert", "index", "getitem", "setitem", "contains")
_BUILTINS = (int, float, complex, bool, len, iter, round, hash)


class Left:
    """A value that an iteration has left in a variable."""

    def __init__(self, value: Any, used: Callable[[], None]) -> None:
        self.__dict__.update(_value=value, _used=used)

    def _taken(self) -> Any:
        self._used()
        return self._value

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # for isinstance
        return type(self._value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._taken(), name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._taken()(*arguments, **options)


def _applied(function: Callable[..., Any]) -> Any:
    return lambda self, *others: function(self._taken(), *others)


def _reflected(function: Callable[..., Any]) -> Any:
    return lambda self, other: function(other, self._taken())


for _name in (*_BINARY, *_OTHERS):
    setattr(Left, f"__{_name}__", _applied(getattr(operator, f"__{_name}__")))
for _name in _BINARY:
    setattr(Left, f"__r{_name}__", _reflected(getattr(operator, f"__{_name}__")))
for _function in _BUILTINS:
    setattr(Left, f"__{_function.__name__}__", _applied(_function))


def leave(frame: FrameType, names: Iterable[str], used: Callable[[str], None]) -> None:
    """The next iteration begins: `used(name)` is called when it uses what these variables of the frame hold."""

    def left(name: str, value: Any) -> Any:
        return value if type(value) is Left else Left(value, lambda: used(name))

    _assign(frame, names, left)


def keep(frame: FrameType, names: Iterable[str]) -> None:
    """The loop has ended: the variables hold their values again."""
    _assign(frame, names, lambda _, value: object.__getattribute__(value, "_value") if type(value) is Left else value)


def _assign(frame: FrameType, names: Iterable[str], value_of: Callable[[str, Any], Any]) -> None:
    variables = frame.f_locals
    for name in names:
        if name in variables:
            variables[name] = value_of(name, variables[name])
    if sys.version_info < (3, 13):  # where f_locals is a copy
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
