"""A call of a kernel on guarded arrays.

A kernel must write its outputs and nothing else. The outputs are NaN before the call, each array is between guards that
must not change, and the inputs must be the same afterwards. The guards are NaN, so that a kernel that reads them gives
a wrong result. A kernel that adds to a guard would go unnoticed, because NaN + x is the same NaN, so a kernel that
passes is called again with numbers in guards and outputs.
"""

from collections.abc import Callable, Sequence
from time import sleep  # before a kernel's file could replace it
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...checks import count
from ...compiler.memory import aligned
from ..loading import Function
from ..oracle import Case, holds_nothing
from ..sanitizer.findings import returned
from ..sanitizer.reasons import first_wrong, only_from_zeros, writes_nothing

GUARD = 1 << 16
"""Bytes before and after each array."""

NARROW = 1 << 10
"""The same for the quick test of many shapes."""

UNTOUCHED = 0xFF
"""Each byte of guards and outputs before the call. Eight of them are NaN, and so are four."""

FINITE = 0x3F
"""Each byte of the guards of the second call. Four of them are 0.75, about, as a float32."""

BESIDE_OUTPUTS = 0x40
"""Those of its outputs, so that a copy of what is beside an input shows."""

LATE = "still writes {} after it has returned; wait until its threads have ended: thread.join()"

SETTLING = 0.1
"""Seconds in which threads that a kernel has left behind would write into its outputs."""


class Call:
    """A call on guarded arrays, which replace those of the case."""

    def __init__(
        self, kernel: Function, case: Case, start: float = np.nan, guard: int = UNTOUCHED,
        width: int = GUARD,
    ) -> None:  # fmt: skip
        self.kernel, self.case, self.width = kernel, case, width
        inputs = len(case.arguments) - len(case.expected)
        self.memories: dict[int, NDArray[np.uint8]] = {}
        for position, argument in enumerate(case.arguments):
            if isinstance(argument, np.ndarray):
                memory = aligned(argument.nbytes + 2 * width, np.uint8)
                memory.fill(BESIDE_OUTPUTS if guard == FINITE and position >= inputs else guard)
                memory[width : width + argument.nbytes] = UNTOUCHED
                inner = np.ndarray(argument.shape, argument.dtype, memory, width)  # memory[width:width] begins at 0
                if position < inputs or not holds_nothing(argument):
                    inner[...] = argument
                elif not np.isnan(start):
                    inner.fill(start)
                case.arguments[position] = inner
                self.memories[position] = memory
        self.before = {position: memory.copy() for position, memory in self.memories.items()}
        self.result = kernel(*case.arguments)
        self.late = Late(case)
        self.changed = {
            position: bool((memory != self.before[position]).any()) for position, memory in self.memories.items()
        }

    @property
    def idle(self) -> bool:
        """True if it wrote nothing at all."""
        return not any(self.changed.values())

    def beside(self, names: Sequence[str]) -> str | None:
        """The error if it wrote outside of its outputs."""
        for position, memory in self.memories.items():
            name, size = names[position], self.case.arguments[position].itemsize
            guards = (slice(self.width), "before the start"), (slice(-self.width, None), "past the end")
            for part, where in guards:
                changed = memory[part] != self.before[position][part]
                outside = int(changed.reshape(-1, size).any(axis=1).sum())
                if outside:
                    return f"writes outside its output: {count(outside, 'number')} {where} of {name}"
            if self.changed[position] and position < len(names) - len(self.case.expected):
                return f"changes its input {name}"
        return None

    def within(self, outputs: Sequence[str], with_zeros: Callable[[int], "Call"]) -> str:
        """The error of wrong outputs; `with_zeros(guard)` is another call, whose outputs are 0 before."""
        if self.late.writes():
            return LATE.format(" and ".join(outputs))
        if self.idle and self.result is not None:
            return returned(outputs)
        untouched = sum(map(_untouched, self.case.outputs))
        # or it added to what was there: NaN stays NaN, and −1 does not; then it gives something else from 0
        was_there = untouched or any(output.dtype.kind != "f" for output in self.case.outputs)
        second = with_zeros(UNTOUCHED) if was_there else self
        from_zeros = second.case.error() is None
        if from_zeros and any(np.any(expected) for expected in self.case.expected):
            return only_from_zeros(outputs)
        if self.idle and second.idle and not from_zeros:  # zeros that it writes over zeros would not show
            return writes_nothing(outputs, self.kernel)
        if untouched and not _has_nan(second.case):
            into = " and ".join(outputs)
            return f"never writes {count(untouched, 'number')} of {into}, or adds to what is there: {self.case.error()}"
        if _has_nan(self.case):
            outside = "" if _has_nan(with_zeros(FINITE).case) else ", as when it reads outside of its inputs"
            return f"gives NaN{_where(self.case, outputs)}{outside}: {self.case.error()}"
        return f"is wrong: {self.case.error()}"


class Late:
    """The outputs of a call as it leaves them: copies take their place, which no thread of the kernel can write."""

    def __init__(self, case: Case) -> None:
        self.live, self.left = case.outputs, [np.copy(output) for output in case.outputs]
        case.arguments[-len(self.left) :] = self.left

    def writes(self) -> bool:
        """True if something writes them after the call."""
        sleep(SETTLING)
        return any(one.tobytes() != other.tobytes() for one, other in zip(self.live, self.left, strict=True))


def _has_nan(case: Case) -> bool:
    return any(np.isnan(output).any() for output in case.outputs)


def _where(case: Case, names: Sequence[str]) -> str:
    """` at Z[0, 3]`, the first NaN; "" if it is the first wrong number, which the rest of the message names."""
    for number, (name, output) in enumerate(zip(names, case.outputs, strict=True)):
        if np.isnan(output).any():
            index = np.argwhere(np.isnan(output))[0].tolist()
            return "" if (number, index) == first_wrong(case) else f" at {name}[{', '.join(map(str, index))}]"
    return ""


def _untouched(array: NDArray[Any]) -> int:
    return int((array.reshape(-1, 1).view(np.uint8) == UNTOUCHED).all(axis=1).sum())


def placed(case: Case) -> Case:
    """The same with arrays that begin on a cache line, as those of a network do, so that alignment favors no rung."""
    for position, argument in enumerate(case.arguments):
        if isinstance(argument, np.ndarray):
            case.arguments[position] = aligned(argument.shape, argument.dtype)
            case.arguments[position][...] = argument
    return case
