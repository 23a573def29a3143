"""Arrays that record every access, and share the record of their base, as views share its memory.

A `Traced` stands for an array of NumPy in the kernel. A view of it is a `Traced` of the same `Memory`; the result of
arithmetic is one with its own memory. NumPy's functions accept it through NumPy's protocols (`__array_ufunc__`,
`__array_function__`).
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from .numbers import PYTHON, scalar
from .places import frame_of_kernel, here, name_of_new
from .races import Memory, Run, numbers_of
from .recorded import Recorded, bare, base_of, is_view, mapped, plain

WRITES_FIRST = {"copyto", "fill_diagonal", "put", "place", "putmask"}
"""Functions of NumPy that write into their first argument."""

PLACE_OF_OUT = {"dot": 2, "round": 2, "around": 2, "clip": 3}
"""Functions of NumPy that Numba compiles with an output -> its place among the arguments. Ufuncs know theirs."""

WRITES_ITSELF = {"fill", "sort", "put", "partition", "itemset", "byteswap"}
"""Methods that write into the array."""

VIEWS = {"shape", "dtype", "ndim", "size", "strides", "itemsize", "nbytes", "flags", "ctypes", "base"}
"""Attributes that are not elements."""


class Traced(Recorded, NDArrayOperatorsMixin):
    """An array that records which iteration reads and writes its elements."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        if type(index) is str:
            return Traced(self.data[index], self.memory)
        at = self.element(index)
        if at is not None:
            place, where = at
            if self.data.dtype.names:
                return Record(Traced(self.data[(*where, ...)], self.memory))
            self.memory.read_one(place)
            return scalar(self.data[where])
        where = self.checked(index)
        if where is None:  # outside: it is reported, and zeros let the run continue
            return self._zeros(index)
        found = self.data[where]
        if is_view(found, self.data):
            return Traced(found, self.memory)
        if isinstance(found, np.ndarray):
            self.memory.read(numbers_of(self.data, self.memory)[where])
            return new(self.run, found)
        return scalar(found)

    def __setitem__(self, index: Any, value: Any) -> None:
        if type(index) is str:
            self[index][...] = value
            return
        at = None if self.data.dtype.names else self.element(index)
        if at is not None and not isinstance(value, Traced):
            place, where = at
            value = self.fitting(value)
            self.memory.write_one(place)
            self.data[where] = value
            return
        where = self.checked(index)
        plain = self._taken(value)
        if where is None:
            return
        found = self.data[where]
        if not isinstance(found, np.ndarray):
            found = self.data[(*where, ...)] if isinstance(where, tuple) else self.data[where, ...]
        if is_view(found, self.data):
            target = Traced(found, self.memory)
            target.overlaps(value)
            target.write_all()
        else:
            self.memory.write(numbers_of(self.data, self.memory)[where])
        self.data[where] = plain

    def _taken(self, value: Any) -> Any:
        return plain(self.fitting(value))

    def overlaps(self, value: Any) -> None:
        """A copy between overlapping parts of an array: with parallel=True it is divided among threads."""
        if not isinstance(value, Traced) or value.memory is not self.memory:
            return
        if (
            frame_of_kernel().f_code in self.run.serial
            or self.offset == value.offset
            or not np.may_share_memory(self.data, value.data)
        ):
            return
        one, other = numbers_of(self.data, self.memory), numbers_of(value.data, self.memory)
        if np.isin(one, other).any():
            name = self.memory.name
            self.run.found("overlap", f"copies a part of {name} to another part of it that overlaps it", array=name)

    def _zeros(self, index: Any) -> Any:
        parts = index if type(index) is tuple else (index,)
        inside = tuple(0 if isinstance(part, (int, np.integer)) else part for part in parts)
        if 0 in self.data.shape or any(isinstance(part, (Traced, np.ndarray)) for part in parts):
            whole = sum(isinstance(part, (int, np.integer)) for part in parts)
            shape = self.data.shape[whole:]
            return new(self.run, np.zeros(shape, self.data.dtype)) if shape else scalar(self.data.dtype.type(0))
        found = self.data[inside]
        if isinstance(found, np.ndarray):
            return new(self.run, np.zeros_like(found))
        return scalar(self.data.dtype.type(0))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        outs = options.get("out", ())
        singles = any(isinstance(x, Traced) and x.data.dtype == np.float32 for x in inputs)
        given = []
        for x in inputs:
            value = plain(x)
            if singles and type(value) in PYTHON and method == "__call__" and ufunc is not np.power:
                value = np.float64(value)  # as in Numba
            given.append(value)
        if singles and any(getattr(value, "dtype", None) == np.float64 for value in given):
            self.run.promoted()
        if method == "at" and isinstance(inputs[0], Traced):
            inputs[0].write_all()
        if outs:
            options["out"] = tuple(out.data if isinstance(out, Traced) else out for out in outs)
            wide = any(
                isinstance(x, np.float64) or (isinstance(x, np.ndarray) and x.dtype == np.float64) for x in given
            )
            for out in outs:
                if isinstance(out, Traced):
                    if wide and out.data.dtype == np.float32:
                        out.fitting(np.float64(0))
                    for x in inputs:
                        out.overlaps(x)
                    out.write_all()
            if wide and "casting" not in options and method == "__call__":
                options["casting"] = "same_kind"
        result = getattr(ufunc, method)(*given, **options)
        if outs and len(outs) == 1:
            return outs[0]
        return traced(self.run, result, allocated=False)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        name = function.__name__
        targets = [x for x in arguments[:1] if name in WRITES_FIRST and isinstance(x, Traced)]
        place = PLACE_OF_OUT.get(name, len(arguments))
        out = options.get("out", arguments[place] if place < len(arguments) else None)
        targets += [out] if isinstance(out, Traced) else []
        known: list[Recorded] = []
        given = [bare(x, known) for x in arguments]
        named = {key: bare(x, known) for key, x in options.items()}
        if name in ("empty_like", "zeros_like", "ones_like", "full_like"):
            return new(self.run, function(*given, **named), initialized=name != "empty_like")
        result = function(*given, **named)
        view = base_of(result, known)
        if view is not None and not targets:
            return mapped(result, lambda x: Traced(x, view.memory) if isinstance(x, np.ndarray) else x)
        for x in known:
            if not any(x is target for target in targets):
                x.read_all()
        for target in targets:
            target.write_all()
        return out if isinstance(out, Traced) else traced(self.run, result)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        return np.array(self.read_all(), dtype)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in (self.data.dtype.names or ()):
            return self[name]
        if name == "flat":
            return Flat(self)
        value = getattr(self.data, name)
        if name in VIEWS or not callable(value):
            return Traced(value, self.memory) if isinstance(value, np.ndarray) and name not in VIEWS else value
        return self._method(name, value)

    def _method(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            known: list[Recorded] = []
            out = options.get("out")
            given, named = [bare(x, known) for x in arguments], {k: bare(x, known) for k, x in options.items()}
            for x in known:
                if x is not out:
                    x.read_all()
            if name == "fill":
                self.fitting(arguments[0])
            result = method(*given, **named)
            if isinstance(out, Traced):
                self.read_all()
                out.write_all()
                return out
            if is_view(result, self.data):
                return Traced(result, self.memory)
            if name != "fill":
                self.read_all()
            if name in WRITES_ITSELF:
                self.write_all()
            return traced(self.run, result)

        return call

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self.data)))

    def __bool__(self) -> bool:
        return bool(self.read_all())

    def __float__(self) -> float:
        return float(self.read_all())

    def __int__(self) -> int:
        return int(self.read_all())

    def __index__(self) -> int:
        return operator.index(self.read_all())

    def __repr__(self) -> str:
        return repr(self.data)


Traced.__name__ = "array"  # in messages of Python


def _in_place(name: str) -> Callable[[Traced, Any], Any]:
    """`acc += x`. If acc is a reduction variable, each thread adds to its own array, and nothing races."""
    usual = getattr(NDArrayOperatorsMixin, name)
    plainly = getattr(np.ndarray, name)

    def update(self: Traced, other: Any) -> Any:
        if not self.run.is_reduction():
            return usual(self, other)
        plainly(self.data, plain(other))
        return self

    return update


for _name in ("__iadd__", "__isub__", "__imul__", "__itruediv__"):
    setattr(Traced, _name, _in_place(_name))


class Record:
    """An element of a structured array, whose fields are separate elements."""

    array: Traced

    def __init__(self, array: Traced) -> None:
        self.__dict__["array"] = array

    def __getitem__(self, name: str) -> Any:
        field = self.array[name]
        return field[()] if field.data.ndim == 0 else field

    def __setitem__(self, name: str, value: Any) -> None:
        self.array[name][...] = value

    __getattr__, __setattr__ = __getitem__, __setitem__


Record.__name__ = "record"


class Flat:
    """`a.flat`: the elements in C order."""

    def __init__(self, array: Traced) -> None:
        self.array = array

    def __len__(self) -> int:
        return self.array.data.size

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def _where(self, i: Any) -> Any:
        data = self.array.data
        return (
            tuple(map(int, np.unravel_index(i, data.shape))) if -1 < i < data.size else (data.shape[0], *data.shape[1:])
        )

    def __getitem__(self, i: int) -> Any:
        return self.array[self._where(i)]

    def __setitem__(self, i: int, value: Any) -> None:
        self.array[self._where(i)] = value


def traced_in(value: Any) -> list[Traced]:
    """The arrays of an argument or a result, which may be a tuple or list of them."""
    if isinstance(value, Traced):
        return [value]
    return [x for part in value for x in traced_in(part)] if isinstance(value, (tuple, list)) else []


def new(run: Run, array: NDArray[Any], initialized: bool = True, allocated: bool = True) -> Traced:
    """An array that the kernel made; allocated is False for a result of arithmetic."""
    place = here()
    memory = Memory(run, array, name_of_new(place), initialized)
    if allocated:
        run.allocated(memory, place)
    return Traced(array, memory)


def traced(run: Run, value: Any, allocated: bool = True) -> Any:
    """Results of NumPy: arrays record from now on."""

    def recording(x: Any) -> Any:
        return new(run, x, allocated=allocated) if isinstance(x, np.ndarray) and x.ndim else scalar(x)

    return mapped(value, recording)
