"""Memory that the grader and the process of a submission share: the arguments of one call, with guards around them.

The other process finds nothing there but inputs, and outputs that hold nothing yet. What it leaves is compared outside.
"""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

GUARD = 1 << 13
"""Bytes before, between and after the arrays."""

ALIGNED = 64
"""An array begins on a cache line, as those of a network do."""

PATTERNS = ((0xFF, 0x3F), (0x3F, 0x40))
"""Each byte of the guards of inputs and of outputs, in turn: 0xFF is NaN, so that reading there gives NaN.

The others are numbers, to which adding shows. Those of outputs differ, so that a copy of what is beside an input shows.
"""


class Board:
    """Memory that the grader and the other process share, with the arguments of one call."""

    def __init__(self) -> None:
        self.number = _anonymous_file()
        self.size = 0
        self.memory: mmap | None = None
        self.calls = 0
        self._grow(1 << 20)

    def close(self) -> None:
        os.close(self.number)

    def _grow(self, size: int) -> None:
        if size > self.size:
            os.ftruncate(self.number, size)
            self.memory, self.size = mmap(self.number, size), size

    def place(self, arguments: Sequence[Any], inputs: int) -> dict[str, Any]:
        """Write the arguments of a call, the first `inputs` of them inputs; returns where they are, for a line."""
        self.calls += 1
        pattern, of_outputs = PATTERNS[self.calls % len(PATTERNS)]
        places, end = [], GUARD
        for argument in arguments:
            places.append(end)
            if isinstance(argument, np.ndarray):
                end = -(-(end + argument.nbytes) // ALIGNED) * ALIGNED + GUARD
        self._grow(end)
        self.bytes: NDArray[np.uint8] = np.frombuffer(self.memory or b"", np.uint8, end)
        self.bytes.fill(pattern)
        self.bytes[places[inputs] - GUARD // 2 :] = of_outputs
        self.guards = self.bytes.copy()
        self.views = [self._written(argument, place) for argument, place in zip(arguments, places, strict=True)]
        self.given = [np.array(view) for view in self.views[:inputs]]
        described = [_described(argument, place) for argument, place in zip(arguments, places, strict=True)]
        return {"size": self.size, "arguments": described}

    def _written(self, argument: Any, place: int) -> Any:
        if not isinstance(argument, np.ndarray):
            return argument
        view: Array = np.ndarray(argument.shape, argument.dtype, self.bytes, place)
        view[...] = argument
        return view

    def _arrays(self) -> list[Array]:
        return [view for view in self.views if isinstance(view, np.ndarray)]

    def error(self, names: Sequence[str]) -> str | None:
        """The error if anything but the outputs has changed."""
        for name, view, before in zip(names, self.views, self.given, strict=False):
            if isinstance(view, np.ndarray) and view.tobytes() != before.tobytes():
                return f"changes its input {name}"
        outside = np.ones(self.bytes.size, np.bool_)
        start = self.bytes.ctypes.data
        for view in self._arrays():
            at = view.ctypes.data - start
            outside[at : at + view.nbytes] = False
        wrong = np.flatnonzero(outside & (self.bytes != self.guards))
        return f"writes outside its arrays, {self._place(int(wrong[0]), names)}" if wrong.size else None

    def _place(self, wrong: int, names: Sequence[str]) -> str:
        """`past the end of Z`, for the byte of that number."""
        pairs = [(name, view) for name, view in zip(names, self.views, strict=True) if isinstance(view, np.ndarray)]
        ends = [(view.ctypes.data - self.bytes.ctypes.data + view.nbytes, name) for name, view in pairs]
        before = [name for end, name in ends if end <= wrong]
        return f"past the end of {before[-1]}" if before else f"before the start of {pairs[0][0]}"


def _anonymous_file() -> int:
    """A file in memory, which cannot be made shorter while the grader reads it, or sealed further."""
    if hasattr(os, "memfd_create"):
        import fcntl

        number = os.memfd_create("jitnet-grade", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        with contextlib.suppress(AttributeError, OSError):
            fcntl.fcntl(number, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        return number
    number, path = tempfile.mkstemp()
    os.unlink(path)
    return number


def _described(argument: Any, place: int) -> dict[str, Any]:
    """An argument as JSON."""
    if isinstance(argument, np.ndarray):
        return {"shape": argument.shape, "dtype": argument.dtype.str, "at": place}
    value = np.asarray(argument)
    return {"value": value.item(), "dtype": value.dtype.str, "plain": isinstance(argument, (bool, int, float))}
