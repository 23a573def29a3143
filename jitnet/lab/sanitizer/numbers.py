"""Floating-point numbers and unsigned integers that follow Numba's rules, and the functions of `math` for them.

NumPy computes float32 · 0.5 in float32, because a number written in Python has no type there. Numba computes it in
float64, as it does with integers. Here the result is float64 too, so that a check can say where that begins. The
difference of two unsigned integers is unsigned in Numba: 3 − 5 is 2**64 − 2. A division by zero raises an exception in
Numba, unless error_model="numpy"; numbers of NumPy give infinity or NaN.
"""

import math
import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np


class Listener:
    """Hears of numbers that surprise; this one does nothing."""

    def promoted(self) -> Any:
        """A float32 has become a float64; returns where, which the float64 keeps."""

    def wrapped(self, one: int, other: int) -> None:
        """The difference of two unsigned integers is below 0."""

    def divided_by_zero(self) -> None:
        """A floating-point number is divided by zero, or zero by zero."""


listeners = [Listener()]
"""The last one is called."""


class Unsigned(int):
    """An unsigned integer. Two of them give one of 64 bits; with an integer of Python the result is signed."""

    __slots__ = ()


Unsigned.__name__ = "uint64"


def _unsigned(name: str) -> Callable[[Any, Any], Any]:
    of_integers = getattr(int, name)

    def calculate(self: Unsigned, other: Any) -> Any:
        result = of_integers(self, other)
        if type(other) is not Unsigned:
            return result
        if result < 0:
            listeners[-1].wrapped(int(self), int(other))
        return Unsigned(result % 2**64)

    return calculate


PYTHON = (float, int, Unsigned)
"""Exact types: an np.float64 is a float, too."""


class Single(np.float32):
    """A float32. With a float32 it gives a float32, with a Python number a float64."""

    __slots__ = ()


class Double(np.float64):
    """A float64 that reports a division by zero; `promotion` is where a float32 became it, if one did."""

    __slots__ = ("promotion",)
    promotion: Any


Single.__name__, Double.__name__ = "float32", "float64"  # the names in messages of Python


def _with_promotion(name: str) -> Callable[[Any, Any], Any]:
    single, double = getattr(np.float32, name), getattr(np.float64, name)
    divides = name in _DIVISIONS

    def calculate(self: Single, other: Any) -> Any:
        if divides:
            _check_divisor(self, other, name)
        if type(other) in PYTHON or isinstance(other, np.float64):
            return _from(promotion_of(other) or listeners[-1].promoted(), double(np.float64(self), other))
        result = single(self, other)
        return _from(listeners[-1].promoted() if type(result) is np.float64 else None, result)

    return calculate


def _of_doubles(name: str) -> Callable[..., Any]:
    double, divides = getattr(np.float64, name), name in _DIVISIONS

    def calculate(self: Double, *other: Any) -> Any:
        if divides:
            _check_divisor(self, other[0], name)
        return _from(promotion_of(self, *other), double(self, *other))

    return calculate


def promotion_of(*numbers: Any) -> Any:
    """Where the first of them that was a float32 became a float64; None if none did."""
    found = (getattr(number, "promotion", None) for number in numbers)
    return next((promotion for promotion in found if promotion), None)


def _from(promotion: Any, result: Any) -> Any:
    """The result of an operation on what became a float64 there."""
    result = _own(result)
    if type(result) is Double:
        result.promotion = promotion
    return result


def _own(result: Any) -> Any:
    """A number of NumPy as one of these classes."""
    own = {np.float32: Single, np.float64: Double}.get(type(result))
    return own(result) if own else result


_DIVISIONS = tuple(f"__{reflected}{name}__" for name in ("truediv", "floordiv", "mod") for reflected in ("", "r"))


def _check_divisor(self: Any, other: Any, name: str) -> None:
    divisor, dividend = (self, other) if name.startswith("__r") else (other, self)
    if all(isinstance(x, (int, float, np.floating)) for x in (divisor, dividend)) and divisor == 0:
        listeners[-1].divided_by_zero()


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod"):
    setattr(Single, f"__{_name}__", _with_promotion(f"__{_name}__"))
    setattr(Single, f"__r{_name}__", _with_promotion(f"__r{_name}__"))

for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(Double, f"__{_name}__", _of_doubles(f"__{_name}__"))
    setattr(Double, f"__r{_name}__", _of_doubles(f"__r{_name}__"))

for _name in ("neg", "pos", "abs"):
    setattr(Double, f"__{_name}__", _of_doubles(f"__{_name}__"))


def _power(self: Single, other: Any) -> Any:
    """float32 to a whole power is float32 in Numba too."""
    if type(other) is float:
        return _from(listeners[-1].promoted(), np.float64(self) ** other)
    return _own(np.float32(self) ** other)


def _same(function: Callable[[Any], Any]) -> Callable[[Single], Single]:
    return lambda self: Single(function(np.float32(self)))


for _name, _function in {
    "pow": _power, "neg": _same(operator.neg), "pos": _same(operator.pos), "abs": _same(operator.abs)
}.items():  # fmt: skip
    setattr(Single, f"__{_name}__", _function)


def _small(kind: Any) -> Any:
    """An integer type whose numbers are calculated with in 64 bits, as in Numba; NumPy would stay in that type."""

    wide = Unsigned if np.iinfo(kind).min == 0 else int

    def in_64_bits(name: str) -> Callable[..., Any]:
        function = getattr(operator, name)
        return lambda self, *other: function(wide(self), *other)

    def reflected(name: str) -> Callable[..., Any]:
        function = getattr(operator, name)
        return lambda self, other: function(other, wide(self))

    methods: dict[str, Any] = {f"__{name}__": in_64_bits(f"__{name}__") for name in (*_BINARY, "neg", "abs", "invert")}
    methods |= {f"__r{name}__": reflected(f"__{name}__") for name in _BINARY}
    return type(kind.__name__, (kind,), {"__slots__": (), **_wrapping(kind), **methods})


def _wrapping(kind: Any) -> dict[str, Any]:
    """Unsigned integers wrap around when they are made, as in Numba: hashes and random numbers rely on it."""
    limits = np.iinfo(kind)

    def made(cls: Any, value: Any = 0) -> Any:
        is_whole = isinstance(value, (int, np.integer))
        return kind.__new__(cls, int(value) & int(limits.max) if is_whole else value)

    return {"__new__": made} if limits.min == 0 else {}


_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift")

for _name in set(_BINARY) - {"truediv", "pow"}:
    setattr(Unsigned, f"__{_name}__", _unsigned(f"__{_name}__"))

TYPES = {kind.__name__: _small(kind) for kind in (np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint32)}
"""Names of NumPy's types, as a kernel that names them gets them."""
TYPES |= {"float32": Single, "float64": Double}
TYPES["uint64"] = type("uint64", (np.uint64,), {"__slots__": (), **_wrapping(np.uint64)})


def scalar(value: Any) -> Any:
    """An element of an array as the kernel gets it.

    Small integers become Python's: Numba computes with them in 64 bits, where NumPy's would overflow.
    """
    kind = type(value)
    if kind is np.float32 or kind is np.float64:
        return _own(value)
    if isinstance(value, np.integer) and not isinstance(value, np.uint64):
        return Unsigned(value) if isinstance(value, np.unsignedinteger) else int(value)
    return value


def math_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `math`: float32 for float32, and infinity or NaN where Python raises an error, as compiled."""

    def calculate(*numbers: Any) -> Any:
        try:
            result = function(*numbers)
        except OverflowError:
            result = math.inf
        except ValueError:
            result = -math.inf if function in (math.log, math.log2, math.log10) and numbers[0] == 0 else math.nan
        promotion = promotion_of(*numbers)
        if type(result) is float and (promotion or any(isinstance(x, np.float32) for x in numbers)):
            is_double = any(isinstance(x, float) for x in numbers)
            return _from(promotion, np.float64(result)) if is_double else Single(result)
        return result

    return calculate


def math_module(module: ModuleType) -> ModuleType:
    """`math`, or a part of it, with such functions."""
    copy = ModuleType(module.__name__)
    for name, value in vars(module).items():
        setattr(copy, name, math_function(value) if callable(value) else value)
    return copy
