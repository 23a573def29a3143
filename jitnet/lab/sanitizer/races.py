"""The record of one block of memory: which iterations wrote and read each element, and the rules of a race.

Every iteration of a prange loop has its own number, its stamp, and counts as a thread. Two stamps of one loop that
access the same element, at least one of them writing, race, whatever the scheduler does. Outside of prange loops
the stamp is 0, and nothing can race. Iterations run one after the other here, so it is enough to remember the last
writer and the first reader of each element.
"""

import os
from collections import Counter
from collections.abc import Sequence
from types import CodeType
from typing import Any

import numpy as np
from numba.typed import Dict, List
from numpy.typing import NDArray

from .conflicts import FLOW, Dependences
from .findings import Finding, Report
from .loops import Stale, Watched
from .numbers import Listener
from .places import Place, frame_of_kernel, here
from .promotions import Promotion, promotion_here
from .stale import keep, leave
from .syntax import tree_of

MOST = 3_000_000
"""Accesses of a run, about half a minute."""

ALONE = 8
"""Calls of a function that are checked until a prange loop in it has several iterations: the first may have none."""


class TooLongError(BaseException):
    """The kernel makes too many accesses for a check. No `except Exception` of the kernel catches it."""


class Run(Listener):
    """What is known during one run: the report, the iteration, the number of threads."""

    def __init__(self, report: Report, threads: int) -> None:
        self.report, self.threads = report, threads
        self.stamp = self.start = self.last = 0
        """The current iteration, 0 outside of prange; the stamps of this loop are those above `start`."""
        self.index_of: dict[int, Any] = {}
        self.by_thread = False
        """True if the kernel asks for the number of its thread: then iterations of one thread do not race."""
        self.serial: set[CodeType] = set()
        """Functions that are compiled without parallel=True."""
        self.raising: set[CodeType] = set()
        """Functions whose compiled code raises an exception if it divides by zero."""
        self.places: list[Place] = [("", 0)]
        self.numbers: dict[Place, int] = {self.places[0]: 0}
        self.watched: dict[Place, list[Watched]] = {}
        """Loop -> variables to look at when it ends."""
        self.stale: dict[Place, dict[str, Stale]] = {}
        """Loop -> variables that an iteration may read before it assigns them."""
        self.used: set[str] = set()
        """Those that an iteration did read before it assigned them."""
        self.serial_loops: set[Place] = set()
        """Loops to run as `range`."""
        self.reductions: set[Place] = set()
        """Lines that add to a reduction variable, of which each thread has its own."""
        self.literal: set[Place] = set()
        """Lines with an index like A[-1], which is meant to be negative."""
        self.loops: dict[Place, tuple[int, int]] = {}
        """Prange loop -> the accesses in it, and its most iterations."""
        self.nested = Counter[Any]()
        """Function with prange loops of its own -> its calls by iterations that were checked; `ALONE` are enough."""

    def place(self) -> int:
        """The number of the line that the kernel is in."""
        where = here()
        number = self.numbers.get(where)
        if number is None:
            number = self.numbers[where] = len(self.places)
            self.places.append(where)
        return number

    def is_reduction(self) -> bool:
        return bool(self.stamp) and here() in self.reductions

    def prange(self, *bounds: Any) -> Any:
        """Every iteration is a thread; inside of another prange loop it is a range."""
        return self._loop(range(*map(int, bounds)))

    def pndindex(self, *shape: Any) -> Any:
        return self._loop(list(np.ndindex(*shape)))

    def _loop(self, indices: Sequence[Any]) -> Any:
        place = here()
        if self.stamp or place in self.serial_loops:
            return indices
        self.loop = place[1]
        return self._iterations(indices)

    def _iterations(self, indices: Sequence[Any]) -> Any:
        self.start, count = self.last, len(indices)
        self.last += max(count, self.threads)
        frame, before = frame_of_kernel(), self.accesses
        place = frame.f_code.co_filename, frame.f_lineno
        stale = self.stale.get(place, {})
        try:
            for k, index in enumerate(indices):
                self.thread = k * self.threads // count
                self.stamp = self.start + 1 + (self.thread if self.by_thread else k)
                self.index_of[self.stamp] = self.thread if self.by_thread else index
                if stale and k:
                    leave(frame, stale, lambda name: self._is_used(stale, name))
                yield index
            if stale:
                keep(frame, stale)
                self._note_unused(stale)
            self._look_at_variables()
        finally:
            self.stamp, self.thread = 0, 0
            inside, most = self.loops.get(place, (0, 0))
            self.loops[place] = inside + self.accesses - before, max(most, count)

    def _is_used(self, stale: dict[str, Stale], name: str) -> None:
        self.report.add(stale[name].finding, name)
        self.used.add(name)

    def _note_unused(self, stale: dict[str, Stale]) -> None:
        """Note what the source allows, but this run did not do."""
        for name, (_, _, finding, is_known) in stale.items():
            if is_known and name not in self.used:
                message = f"an iteration may read {name}, which another iteration assigns, but none did"
                self.report.add(Finding("not shown", message, finding.lines, finding.file, name), name)

    def _look_at_variables(self) -> None:
        """At the end of a loop: errors that depend on the type of a variable, so the source does not show them."""
        frame = frame_of_kernel()
        file = frame.f_code.co_filename
        for name, loop, line, how in self.watched.get((file, frame.f_lineno), ()):
            value = frame.f_locals.get(name)
            is_float = isinstance(value, float) or getattr(value, "dtype", np.dtype(np.int64)).kind == "f"
            if how == "assigned" and hasattr(value, "ndim") and value.ndim > 0:
                message = f"assigns {name} a new array in every iteration: the sums of the threads are lost"
                self.report.add(Finding("lost", message, [line], file, name), name)
            elif how in ("sum", "assigned") and is_float:
                message = f"adds up {name} in parallel: its last bits depend on the number of threads"
                self.report.add(Finding("order", message, [loop], file, name), name)
            elif how[0] in "[." and isinstance(value, (list, dict, set, List, Dict)):
                change = f"assigns an item of {name}" if how == "[]" else f"calls {name}{how}"
                message = f"{change} in a prange loop, but all threads share {name}: no list, dict or set allows that"
                self.report.add(Finding("shared", message, [line], file, name), name)

    thread = loop = 0
    """The current thread, and the line of the current loop."""

    def thread_id(self) -> int:
        return self.thread

    def thread_count(self) -> int:
        self.asked = True
        return self.threads

    def touched(self, memory: "Memory", at: Any, stores: bool) -> None:
        """The kernel reads or writes elements `at`: one more access."""
        self.count_access()

    def count_access(self) -> None:
        """One more access, inside of an array or outside; raises `TooLongError` beyond the limit."""
        self.accesses += 1
        if self.accesses > self.most:
            raise TooLongError(f"more than {self.most:,} accesses")

    accesses, most = 0, MOST

    def allocated(self, memory: "Memory", place: Place) -> None:
        """This line makes an array, which is not the result of arithmetic: that may stay in registers."""

    def called_alone(self, function: Any, arguments: Sequence[Any], options: dict[str, Any]) -> None:
        """An iteration calls a function with prange loops of its own: check what its threads do."""

    def found_outside(self, memory: "Memory") -> None:
        """The kernel uses this array without having it as an argument."""

    def promoted(self) -> Promotion:
        """A float32 becomes a float64 here."""
        self.promotion = promotion_here()
        return self.promotion

    def wrapped(self, one: int, other: int) -> None:
        """The difference of two unsigned integers is below 0."""
        message = f"{one} - {other} is {(one - other) % 2**64}: the difference of unsigned integers wraps around"
        self.found("unsigned", message)

    def divided_by_zero(self) -> None:
        """Raise what compiled code raises. The body of a prange loop divides as NumPy does."""
        if not self.stamp and frame_of_kernel().f_code in self.raising:
            raise ZeroDivisionError("division by zero")

    promotion: Promotion | None = None
    """Where that happened last."""

    wants_float64 = False
    """True if the kernel names the type, as in astype: then a float64 is intended."""

    asked = False
    """True if the kernel asked for the number of threads."""

    def found(self, kind: str, message: str, *key: Any, places: Sequence[int] | None = None, **more: Any) -> Finding:
        where = [self.places[number] for number in (places or [self.place()])]
        return self.report.add(Finding(kind, message, [line for _, line in where], where[0][0], **more), *key)


class Memory:
    """A block of memory and its record; `unit` bytes are an element."""

    def __init__(
        self, run: Run, array: NDArray[Any], name: str, initialized: bool = True, block: NDArray[Any] | None = None
    ) -> None:
        self.run, self.array, self.name = run, array, name
        self.is_input = self.is_constant = False
        self.low, self.high = bounds_of(array if block is None else block)
        self.origin = self.low
        """The address of the argument that it is a copy of; its own for an array that the kernel makes."""
        self.unit = 1 if array.dtype.names else max(array.itemsize, 1)
        self.count = max(1, -(-(self.high - self.low) // self.unit))
        self.initialized: NDArray[np.bool_] | None = None if initialized else np.zeros(self.count, np.bool_)
        self.owner = run.stamp
        """The iteration that made it, 0 if it was made outside."""
        self.made = run.place() if run.stamp else 0
        self.has_record = False

    def _record(self) -> None:
        """Shadows of the same size, from the first access in a loop on."""
        self.has_record = True
        self.writer = np.full(self.count, self.owner, np.int64)
        self.reader = np.zeros(self.count, np.int64)
        self.write_line = np.full(self.count, self.made, np.int32)
        self.read_line = np.zeros(self.count, np.int32)

    def _is_private(self) -> bool:
        """True if no other iteration can have accessed it: no prange loop runs, or this iteration made it.

        Or it is the sum so far, `acc = acc + x`: each thread has its own.
        """
        run = self.run
        return not run.stamp or run.stamp == self.owner or (self.owner > run.start and run.is_reduction())

    def read(self, at: Any) -> None:
        """The kernel reads elements `at`: a number, or an array of numbers."""
        run = self.run
        run.touched(self, at, False)
        if self.initialized is not None and not np.all(self.initialized[at]):
            self._not_initialized(at)
        if self._is_private():
            return
        if not self.has_record:
            self._record()
        stamp, start, place = run.stamp, run.start, run.place()
        writer, reader = self.writer[at], self.reader[at]
        racing = (writer > start) & (writer != stamp)
        if np.any(racing):
            self._race(at, racing, "writes", "reads")
        new = reader <= start
        self.reader[at], self.read_line[at] = np.where(new, stamp, reader), np.where(new, place, self.read_line[at])

    def read_one(self, at: int) -> None:
        """The same for one element, faster."""
        run = self.run
        run.touched(self, at, False)
        if self.initialized is not None and not self.initialized[at]:
            self._not_initialized(at)
        stamp = run.stamp
        if not stamp or stamp == self.owner:
            return
        if not self.has_record:
            self._record()
        start, writer = run.start, self.writer[at]
        if writer > start and writer != stamp:
            self._race(at, True, "writes", "reads")
        if self.reader[at] <= start:
            self.reader[at], self.read_line[at] = stamp, run.place()

    def write(self, at: Any) -> None:
        """The kernel writes these elements."""
        run = self.run
        run.touched(self, at, True)
        if self.is_input:
            element = self._index(at)
            kind, what = ("constant", "the global array") if self.is_constant else ("input", "its input")
            constant = ", which compiled code cannot: it is a constant there" if self.is_constant else ""
            message = f"writes into {what} {self.name}: {self.named(element)}{constant}"
            run.found(kind, message, self.name, array=self.name, element=element)
        if self.initialized is not None:
            self.initialized[at] = True
        if self._is_private():
            return
        if not self.has_record:
            self._record()
        stamp, start, place = run.stamp, run.start, run.place()
        for did, who in (("writes", self.writer), ("reads", self.reader)):
            racing = (who[at] > start) & (who[at] != stamp)
            if np.any(racing):
                self._race(at, racing, did, "writes")
                break
        self.writer[at], self.write_line[at] = stamp, place

    def write_one(self, at: int) -> None:
        """The same for one element, faster."""
        run = self.run
        if self.is_input:
            self.write(at)
            return
        run.touched(self, at, True)
        stamp, start = run.stamp, run.start
        if self.initialized is not None:
            self.initialized[at] = True
        if not stamp or stamp == self.owner:
            return
        if not self.has_record:
            self._record()
        for did, who in (("writes", self.writer), ("reads", self.reader)):
            if who[at] > start and who[at] != stamp:
                self._race(at, True, did, "writes")
                break
        self.writer[at], self.write_line[at] = stamp, run.place()

    def _race(self, at: Any, racing: Any, did: str, does: str) -> None:
        """This iteration `does` "reads" or "writes" what another one `did`; `racing` marks the elements."""
        run, place = self.run, self.run.place()
        who, line = (self.writer, self.write_line) if did == "writes" else (self.reader, self.read_line)
        at = at if np.ndim(at) == 0 else at[racing][0]
        earlier, element = int(who[at]), self._index(at)
        one, two = run.index_of[earlier], run.index_of[run.stamp]
        single = "thread" if run.by_thread else "iteration"
        (file1, line1), (file2, line2) = run.places[line[at]], run.places[place]
        other = f" of {os.path.basename(file1)}" if file1 != file2 else ""
        past = {"writes": "written", "reads": "read"}
        message = (
            f"race: {self.named(element)} is {past[did]} by {single} {one} (line {line1}{other}) and "
            f"{past[does]} by {single} {two} (line {line2}) of the prange loop in line {run.loop}"
        )
        found = run.found("race", message, self.name, places=[place, int(line[at])], array=self.name, element=element,
                          iterations=[one, two])  # fmt: skip
        tree = tree_of(frame_of_kernel().f_code) if file1 == file2 else None
        is_read = bool(self.reader[at] == earlier if (did, does) == FLOW else self.reader[at] > run.start)
        dependences = run.report.dependences.setdefault((file2, run.loop, self.name), Dependences(self.name))
        dependences.add((did, does), found, is_read, tree, line1 if (did, does) == FLOW else line2, run.loop)

    def _not_initialized(self, at: Any) -> None:
        assert self.initialized is not None
        at = at if np.ndim(at) == 0 else at[~self.initialized[at]][0]
        element = self._index(at)
        self.run.found(
            "not initialized", f"reads {self.named(element)} before anything wrote it", self.name,
            array=self.name, element=element,
        )  # fmt: skip

    def unwritten(self, array: NDArray[Any]) -> list[list[int]]:
        """The elements of this view that nothing has written."""
        if self.initialized is None:
            return []
        missing = np.argwhere(~self.initialized[numbers_of(array, self)])
        return [[int(i) for i in index] for index in missing]

    def _index(self, at: Any) -> list[int]:
        """The index of an element in the array that owns the memory."""
        at = int(at if np.ndim(at) == 0 else np.ravel(at)[0]) * self.unit
        at -= address_of(self.array) - self.low
        index = [0] * self.array.ndim
        strides = self.array.strides
        for axis in sorted(range(self.array.ndim), key=lambda axis: -abs(strides[axis])):
            if strides[axis]:
                index[axis] = int(at / strides[axis])
                at -= index[axis] * strides[axis]
        return index

    def named(self, element: list[int]) -> str:
        return f"{self.name}[{', '.join(map(str, element))}]"


def address_of(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def bounds_of(array: NDArray[Any]) -> tuple[int, int]:
    """The first address of its elements, and the one after them."""
    if not array.size:
        return (address_of(array),) * 2
    reach = [(size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True)]
    low = address_of(array) + sum(step for step in reach if step < 0)
    return low, address_of(array) + sum(step for step in reach if step > 0) + array.itemsize


def numbers_of(array: NDArray[Any], memory: Memory) -> NDArray[np.int64]:
    """The number of each element of a view in its memory."""
    at = np.full(array.shape, address_of(array) - memory.low, np.int64)
    for axis, (size, stride) in enumerate(zip(array.shape, array.strides, strict=True)):
        steps = np.arange(size, dtype=np.int64) * stride
        at += steps.reshape([-1 if axis == other else 1 for other in range(array.ndim)])
    return np.asarray(at // memory.unit)
