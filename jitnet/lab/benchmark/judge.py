"""The correctness test of a kernel: one call on guarded arrays, and a sentence that describes the error.

A kernel must write its outputs and nothing else. The outputs hold NaN before the call, each array lies between guards
that must not change, and the inputs must be the same afterwards. The guards are NaN, so that a kernel that reads there
gives a wrong result. Adding there would not show, since NaN + x is the same NaN: a kernel that passes is called again
with guards that are numbers.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher
from numpy.typing import NDArray

from ...checks import count
from ...compiler.memory import aligned
from ...kernels import LADDERS
from .. import oracle
from ..sanitizer import arguments
from ..sanitizer.checking import examine

GUARD = 1 << 16
"""Bytes before and after each array."""

UNTOUCHED = 0xFF
"""Each byte of guards and outputs before the call. Eight of them are NaN, and so are four."""

HIDDEN = ("race", "carried", "reduction", "escapes", "overlap", "differs", "outside")
"""Kinds of findings that are errors even if a result was right."""

MISLEADING = ("is wrong", "gives NaN", "leaves ")
"""How errors of results begin, whose cause the sanitizer may know."""

ACCESSES = 200_000
"""Accesses of one interpreted run, about a second, that the sanitizer may take."""

FINITE = 0x3F
"""Each byte of the guards of the second call. Four of them are 0.75, about, as a float32."""


def names_of(operation: str) -> list[str]:
    """The names of the arguments of an operation, inputs first and outputs last."""
    return list(inspect.signature(LADDERS[operation]["python"]).parameters)


def outputs_of(operation: str) -> list[str]:
    """The names of its outputs."""
    return names_of(operation)[-len(oracle.case(operation, (1, 1, 1), "float32").expected) :]


def given(operation: str, case: oracle.Case) -> str:
    """`given X (2, 3), W (3, 5), Z (2, 5)`."""
    pairs = zip(names_of(operation), case.arguments, strict=True)
    return "given " + ", ".join(f"{name} {array.shape}" for name, array in pairs if isinstance(array, np.ndarray))


def error_of(kernel: Callable[..., object], operation: str, shape: oracle.Shape, dtype: np.dtype[Any]) -> str | None:
    """The error of a kernel on this shape, or None. Exceptions of the kernel pass through."""
    case = oracle.case(operation, shape, dtype)
    call = _Call(kernel, case)
    found = call.beside(names_of(operation))
    if not found and case.error():
        again = functools.partial(_Call, kernel, oracle.case(operation, shape, dtype), start=0.0)
        found = call.within(outputs_of(operation), again)
    elif not found:
        found = _Call(kernel, oracle.case(operation, shape, dtype), guard=FINITE).beside(names_of(operation))
    return f"{found}, {given(operation, case)}" if found else None


def hidden_error(kernel: Callable[..., object], operation: str, dtype: np.dtype[Any]) -> str | None:
    """What the sanitizer finds in the source of a compiled kernel that its results may hide: a race, above all."""
    if not _is_compiled(kernel):
        return None
    cases = arguments.of_operation(operation, dtype.name)
    report = examine(kernel, cases, arguments.written_by(operation), as_compiled=True, most=ACCESSES)
    found = [finding for finding in report.errors if finding.kind in HIDDEN]
    if not found or any(note.kind == "not covered" for note in report.notes):
        return None
    return f"{found[0]}; {found[0].fix}"


def _is_compiled(kernel: Callable[..., object]) -> bool:
    """True for a function that Numba compiles, and for one that names such functions."""
    if isinstance(kernel, Dispatcher):
        return True
    code, names = getattr(kernel, "__code__", None), getattr(kernel, "__globals__", {})
    return code is not None and any(isinstance(names.get(name), Dispatcher) for name in code.co_names)


def placed(case: oracle.Case) -> oracle.Case:
    """The same with arrays that begin on a cache line, as those of a network do, so that alignment favors no rung."""
    for position, argument in enumerate(case.arguments):
        if isinstance(argument, np.ndarray):
            case.arguments[position] = aligned(argument.shape, argument.dtype)
            case.arguments[position][...] = argument
    return case


class _Call:
    """A call on guarded arrays, which replace those of the case."""

    def __init__(
        self, kernel: Callable[..., object], case: oracle.Case, start: float = np.nan, guard: int = UNTOUCHED
    ) -> None:
        self.case, self.guard = case, guard
        inputs = len(case.arguments) - len(case.expected)
        self.memories: dict[int, NDArray[np.uint8]] = {}
        for position, argument in enumerate(case.arguments):
            if isinstance(argument, np.ndarray):
                memory = aligned(argument.nbytes + 2 * GUARD, np.uint8)
                memory.fill(guard)
                memory[GUARD : GUARD + argument.nbytes] = UNTOUCHED
                inner = memory[GUARD : GUARD + argument.nbytes].view(argument.dtype).reshape(argument.shape)
                if position < inputs or not np.isnan(argument).all():
                    inner[...] = argument
                elif not np.isnan(start):
                    inner.fill(start)
                case.arguments[position] = inner
                self.memories[position] = memory
        before = {position: memory.copy() for position, memory in self.memories.items()}
        self.result = kernel(*case.arguments)
        self.changed = {
            position: bool((memory != before[position]).any()) for position, memory in self.memories.items()
        }

    @property
    def idle(self) -> bool:
        """True if it wrote nothing at all."""
        return not any(self.changed.values())

    def beside(self, names: list[str]) -> str | None:
        """The error if it wrote outside of its outputs."""
        for position, memory in self.memories.items():
            name, size = names[position], self.case.arguments[position].itemsize
            for guard, where in ((memory[:GUARD], "before the start"), (memory[-GUARD:], "past the end")):
                count = int((guard.reshape(-1, size) != self.guard).any(axis=1).sum())
                if count:
                    return f"writes outside its output: {count} number{'s' * (count > 1)} {where} of {name}"
            if self.changed[position] and position < len(names) - len(self.case.expected):
                return f"changes its input {name}"
        return None

    def within(self, outputs: list[str], with_zeros: Callable[[], "_Call"]) -> str:
        """The error of wrong outputs."""
        into, first = " and ".join(outputs), outputs[0]
        if self.idle and self.result is not None:
            return f"returns its result, but must write it into {into}: {first}[...] = the result"
        untouched = sum(map(_untouched, self.case.outputs))
        # or it calculated NaN from NaN; then it gives something else from 0
        second = with_zeros() if untouched else self
        if second.case.error() is None:
            return f"is right only if {into} is 0 before: begin with {first}[...] = 0"
        if self.idle and second.idle:  # zeros that it writes over zeros would not show
            return f"writes nothing into {into}; {first} = ... names another array, {first}[...] = ... writes"
        if untouched and not any(np.isnan(output).any() for output in second.case.outputs):
            return f"leaves {count(untouched, 'number')} of {into} unwritten: {self.case.error()}"
        if any(np.isnan(output).any() for output in self.case.outputs):
            return f"gives NaN, as when it reads outside of its inputs: {self.case.error()}"
        return f"is wrong: {self.case.error()}"


def _untouched(array: NDArray[Any]) -> int:
    return int((array.reshape(-1, 1).view(np.uint8) == UNTOUCHED).all(axis=1).sum())
