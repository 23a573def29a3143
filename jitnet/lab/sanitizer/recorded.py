"""What an array that records has to know: the number of each element in its memory, whether an index lies inside."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import as_dtype
from numpy.typing import NDArray

from .findings import Finding
from .numbers import Double, promotion_of
from .places import here
from .promotions import Promotion, expression_of, fix_of
from .races import Memory, Run, address_of, numbers_of


class Recorded:
    """A view of a recorded memory."""

    __slots__ = ("data", "memory", "offset", "unit")

    def __init__(self, data: NDArray[Any], memory: Memory) -> None:
        self.data, self.memory = data, memory
        self.offset, self.unit = address_of(data) - memory.low, memory.unit

    @property
    def run(self) -> Run:
        return self.memory.run

    def read_all(self) -> NDArray[Any]:
        """The plain array, after its elements are recorded as read."""
        if self.data.dtype.names:
            for name in self.data.dtype.names:
                Recorded(self.data[name], self.memory).read_all()
        elif self.data.size:
            self.memory.read(numbers_of(self.data, self.memory))
        return self.data

    def write_all(self) -> None:
        if self.data.dtype.names:
            for name in self.data.dtype.names:
                Recorded(self.data[name], self.memory).write_all()
        elif self.data.size:
            self.memory.write(numbers_of(self.data, self.memory))

    def element(self, index: Any) -> tuple[int, Any] | None:
        """The number and the checked index of one element, or None if the index is that of several."""
        shape, strides = self.data.shape, self.data.strides
        parts = index if type(index) is tuple else (index,)
        if len(parts) != len(shape):
            return None
        at, where = self.offset, []
        for part, size, stride in zip(parts, shape, strides, strict=True):
            if type(part) is not int:
                if isinstance(part, (bool, np.bool_)) or not isinstance(part, (int, np.integer)):
                    return None
                part = int(part)
            if part < 0:
                if part < -size:
                    return None  # outside: see `checked`
                self._is_negative(index)
                part += size
            elif part >= size:
                return None
            at += part * stride
            where.append(part)
        return at // self.unit, tuple(where)

    def _is_negative(self, index: Any) -> None:
        if here() not in self.run.literal:
            name = self.memory.name
            self.run.found(
                "negative", f"{name}[{_shown(index)}] has a negative index, which counts from the end", name, array=name
            )

    def checked(self, index: Any) -> Any:
        """The index for NumPy, without `Traced`, or None if it lies outside."""
        parts = index if type(index) is tuple else (index,)
        where: list[Any] = []
        axis = 0
        dims = len(self.data.shape)
        for part in parts:
            if isinstance(part, Recorded):
                part = part.read_all()
            if part is Ellipsis:
                where.append(part)
                axis = dims - sum(other is not None and other is not Ellipsis for other in parts[len(where) :])
                continue
            if part is None:
                where.append(part)
                continue
            if axis >= dims:
                raise IndexError(f"{len(parts)} indices for an array of {dims} dimensions")
            size = self.data.shape[axis]
            if isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_)):
                if not -size <= part < size:
                    return self._is_outside(index)
                if part < 0:
                    self._is_negative(index)
            elif isinstance(part, np.ndarray) and part.dtype.kind in "iu" and _reaches_out(part, size):
                return self._is_outside(index)
            axis += part.ndim if isinstance(part, np.ndarray) and part.dtype.kind == "b" else 1
            where.append(part)
        return tuple(where)

    def _is_outside(self, index: Any) -> None:
        self.run.count_access()
        name, shape = self.memory.name, self.data.shape
        view = "" if shape == self.memory.array.shape else f" of a part of {name}"
        self.run.found(
            "outside", f"{name}[{_shown(index)}] is out of bounds for the shape {shape}{view}", name, array=name,
            element=[int(p) for p in (index if type(index) is tuple else (index,)) if isinstance(p, (int, np.integer))],
        )  # fmt: skip

    def fitting(self, value: Any) -> Any:
        """The value as it is stored; warns if that changes it."""
        kind = self.data.dtype.kind
        number = value.data if isinstance(value, Recorded) else value
        if kind != "c" and isinstance(number, (complex, np.complexfloating, np.ndarray)) and np.iscomplexobj(number):
            name, what = self.memory.name, f"which is {self.data.dtype}: Numba does not compile that"
            self.run.found("complex", f"a complex number is stored in {name}, {what}", name, array=name)
            return value.read_all().real if isinstance(value, Recorded) else value.real
        if kind == "f" and self.data.dtype == np.float32:
            is_double = isinstance(value, np.float64) or (
                isinstance(value, Recorded) and value.data.dtype == np.float64
            )
            promotion = promotion_of(value) if isinstance(value, Double) else self.run.promotion
            if is_double and (promotion or not self.run.wants_float64):
                self._is_double(promotion)
        elif kind in "iu" and isinstance(value, (int, np.integer)):
            limits = np.iinfo(self.data.dtype)
            if not limits.min <= value <= limits.max:
                self._overflows(value)
                return (int(value) - int(limits.min)) % 2**limits.bits + int(limits.min)
        elif kind in "iu" and isinstance(value, Recorded) and value.data.dtype.kind in "iu" and value.data.size:
            limits = np.iinfo(self.data.dtype)
            for extreme in (value.data.min(), value.data.max()):
                if not limits.min <= int(extreme) <= limits.max:
                    self._overflows(extreme)
                    break
        return value

    def _is_double(self, promotion: Promotion | None) -> None:
        """The finding is in the line that makes the float64, or else in the one that stores it."""
        name = self.memory.name
        mixing = f"`{expression_of(promotion)}`" if promotion else "this line, or one before it,"
        message = (
            f"a float64 is stored in {name}, which is float32: {mixing} mixes a float32 with a Python number or with"
        )
        file, line = (promotion.file, promotion.line) if promotion else here()
        finding = Finding("float64", f"{message} a float64", [line], file, name)
        finding.fix = fix_of(promotion, name)
        self.run.report.add(finding, name)

    def _overflows(self, value: Any) -> None:
        name = self.memory.name
        self.run.found("overflow", f"{value} does not fit into {name}, which is {self.data.dtype}", name, array=name)


def plain(value: Any) -> Any:
    """For NumPy: arrays without their record, which is read."""
    return mapped(value, lambda x: x.read_all() if isinstance(x, Recorded) else as_numpy(x))


def bare(value: Any, known: list[Recorded]) -> Any:
    """The same, but the arrays are noted in `known`; nothing is read."""

    def without(x: Any) -> Any:
        if isinstance(x, Recorded):
            known.append(x)
            return x.data
        return as_numpy(x)

    return mapped(value, without)


def as_numpy(value: Any) -> Any:
    """A type of Numba as NumPy knows it: `np.zeros(3, numba.float32)`."""
    return as_dtype(value) if isinstance(value, types.Type) else value


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """A value, or a tuple or list of values, each changed."""
    if type(value) in (tuple, list):
        return type(value)(mapped(x, change) for x in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(x, change) for x in value))
    return change(value)


def is_view(value: Any, data: NDArray[Any]) -> bool:
    return isinstance(value, np.ndarray) and (value is data or (value.base is not None and _root(value) is _root(data)))


def _root(array: Any) -> Any:
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array


def base_of(result: Any, known: list[Recorded]) -> Recorded | None:
    """The array that a result of NumPy is a view of."""
    first = result[0] if type(result) in (tuple, list) and result else result
    return next((x for x in known if is_view(first, x.data)), None)


def _shown(index: Any) -> str:
    parts = index if type(index) is tuple else (index,)
    return ", ".join(":" if isinstance(p, slice) else "..." if p is Ellipsis else str(p) for p in parts)


def _reaches_out(indices: NDArray[Any], size: int) -> bool:
    return bool(indices.min(initial=0) < -size or indices.max(initial=-1) >= size)
