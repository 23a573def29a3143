"""Every access of a kernel to its arrays, in order: its Python source runs on the arrays of the sanitizer.

The arrays follow one another in memory; each starts at a cache line, and the first at a page. Arrays that the kernel
allocates come after its arguments, and one that the same line allocates again gets the same place. Variables, SIMD
vectors and results of arithmetic are in registers and count as no accesses. A prange loop runs as a range: the accesses
are those of one thread that executes all iterations.
"""

import itertools
import os
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import checks
from ...compiler import intrinsics, simd, simd_rows
from ...compiler.memory import LINE
from ...process.progress import ignore
from ..loading import body_of
from ..sanitizer import races
from ..sanitizer.argument_copies import arrays_in, copied, recording_copies, sharing
from ..sanitizer.arrays import Traced, traced_in
from ..sanitizer.checking import SECONDS, limited, names_of
from ..sanitizer.findings import Report
from ..sanitizer.instrumented import Instrumenter
from ..sanitizer.places import OF_SANITIZER, Place, innermost_outside, name_of_new
from ..sanitizer.races import Memory, Run, address_of, bounds_of, numbers_of
from ..sanitizer.recorded import mapped
from ..sanitizer.targets import name_of

PAGE = 4096

STEP = 100_000
"""Accesses between two reports of progress."""

MOST = 5_000_000
"""Accesses of a recording, about a minute: the loops are interpreted."""

_frame = innermost_outside(*OF_SANITIZER, os.path.dirname(simd.__file__), __file__)
"""Returns the innermost frame of the kernel, or of a helper; SIMD functions belong to the line that calls them."""


@dataclass(frozen=True)
class Site:
    """A place in the source that reads, or writes, elements of an array."""

    file: str
    line: int
    array: str
    stores: bool
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Placed:
    """An argument of the kernel: the address of each of its elements."""

    name: str
    addresses: NDArray[np.int64]


@dataclass(frozen=True)
class Accesses:
    """What a kernel did: access t is to `addresses[t]`, at `sites[site_of[t]]`."""

    addresses: NDArray[np.int64]
    site_of: NDArray[np.int32]
    sites: list[Site]
    arrays: list[Placed]
    functions: list[CodeType]
    """The code of the kernel, and of the helpers that access arrays."""

    def __len__(self) -> int:
        return self.addresses.size


def arranged(arguments: Sequence[Any]) -> list[Any]:
    """Copies of the arguments, whose arrays lie one after another, each from the start of a cache line on."""
    arrays = {id(a): a for argument in arguments for a in arrays_in(argument)}
    starts, at = [], 0
    groups = sharing(arrays)
    for group in groups:
        starts.append(at)
        low, high = min(bounds_of(arrays[i])[0] for i in group), max(bounds_of(arrays[i])[1] for i in group)
        at += -(-(high - low) // LINE) * LINE
    block = np.zeros(at + 2 * PAGE, np.uint8)
    first = -address_of(block) % PAGE
    made = {}
    for start, group in zip(starts, groups, strict=True):
        low = min(bounds_of(arrays[i])[0] for i in group)
        for i in group:
            made[i] = copied(arrays[i], block, first + start + address_of(arrays[i]) - low)
    return [mapped(x, lambda a: made[id(a)] if isinstance(a, np.ndarray) else a) for x in arguments]


def record(
    kernel: Callable[..., Any], arguments: Sequence[Any], most: int = MOST, say: Callable[[int], object] = ignore
) -> Accesses:
    """The accesses of a kernel on arguments that are `arranged`; addresses count from the first page on.

    `say` is called from time to time with the number of accesses; `most` is the limit.
    """
    body = body_of(kernel)
    name = name_of(body)
    run = _Recording(Report(name), most, [a for argument in arguments for a in arrays_in(argument)], say)
    instrumenter = Instrumenter(run)
    instrumented = instrumenter.instrumented(body, as_compiled=True)
    given = recording_copies(instrumenter, arguments, names_of(body, arguments), lambda *_: True)
    for recording in traced_in(given):
        recording.memory.initialized = None  # whether elements are written before they are read is for `check`
        run.put(recording.memory)
    try:
        with np.errstate(all="ignore"), limited(SECONDS, lambda: len(run.addresses)):
            instrumented(*given)
    except races.TooLongError:
        if len(run.addresses) < most:
            raise checks.Error(
                f"{name} has not ended, and made no access in the last {SECONDS:g} seconds; "
                "does it have an infinite loop?"
            ) from None
        raise checks.Error(
            f"{name} makes more than {most:,} accesses; take smaller arrays, or fewer rows of the same length"
        ) from None
    except (Exception, SystemExit) as error:
        raise checks.Error(f"{name} raises {checks.described(error)}; jitnet check says more") from None
    outside = [finding for finding in run.report.errors if finding.kind in ("outside", "stopped")]
    if outside:
        raise checks.Error(
            f"{name} cannot be traced: {outside[0]}; jitnet check says more; "
            "if the kernel is correct, pass valid arguments with --args or --problem"
        )
    if not run.sites:
        raise checks.Error(f"{name} accesses no elements of these arguments, so there is nothing to trace")
    return run.accesses_of(traced_in(given))


class _Recording(Run):
    """A run that records each access to an array that has a place in memory."""

    def __init__(self, report: Report, most: int, arguments: list[NDArray[Any]], say: Callable[[int], object]) -> None:
        super().__init__(report, threads=1)
        self.most, self.pause, self.say = most, min(STEP, most), say
        ends = [bounds_of(a) for a in arguments if a.size]
        self.first = min((low for low, _ in ends), default=0)
        self.end = max((high for _, high in ends), default=0) - self.first
        self.bases: dict[Memory, int] = {}
        self.remade: dict[tuple[str, int, int], int] = {}
        """Line that allocates an array, and its size -> its place."""
        self.addresses, self.site_of = array("q"), array("i")
        self.sites: list[Site] = []
        self.numbers_of_sites: dict[tuple[int, int, int, bool], int] = {}
        self.functions: dict[int, CodeType] = {}
        self.expressions: dict[tuple[int, Any, int, bool], int] = {}

    def put(self, memory: Memory) -> None:
        """The place of an argument is that of the original."""
        self.bases[memory] = memory.origin - self.first

    def allocated(self, memory: Memory, place: Place) -> None:
        """The next free place, or that of the array that this line has made before; SIMD vectors have none."""
        if place[0] in (simd.__file__, simd_rows.__file__):
            return
        frame, size = _frame(), memory.high - memory.low
        key = frame.f_code.co_filename, frame.f_lineno, size
        if key not in self.remade:
            self.remade[key] = self._next_place(size)
        if place[0] == intrinsics.__file__:
            memory.name = name_of_new(key[:2])
        self.bases[memory] = self.remade[key]

    def found_outside(self, memory: Memory) -> None:
        self.bases[memory] = self._next_place(memory.high - memory.low)

    def _next_place(self, size: int) -> int:
        start = -(-self.end // LINE) * LINE
        self.end = start + size
        return start

    def touched(self, memory: Memory, at: Any, stores: bool) -> None:
        base = self.bases.get(memory)
        if base is None:
            return
        if len(self.addresses) >= self.pause:
            self._go_on()
        site = self._site(memory, base, stores, at)
        if type(at) is int:
            self.addresses.append(base + at * memory.unit)
            self.site_of.append(site)
        else:
            places = base + np.ravel(at).astype(np.int64) * memory.unit
            self.addresses.frombytes(places.tobytes())
            self.site_of.extend(itertools.repeat(site, places.size))

    def _go_on(self) -> None:
        if len(self.addresses) >= self.most:
            raise races.TooLongError
        self.say(len(self.addresses))
        self.pause = min(self.pause + STEP, self.most)

    def _site(self, memory: Memory, base: int, stores: bool, at: Any) -> int:
        """Its number. A line has several if it has several expressions that access arrays."""
        frame = _frame()
        key = id(frame.f_code), frame.f_lasti, base, stores
        number = self.numbers_of_sites.get(key)
        if number is None:
            number = self.numbers_of_sites[key] = self._number(frame, memory, base, stores, at)
        return number

    def _number(self, frame: Any, memory: Memory, base: int, stores: bool, at: Any) -> int:
        """That of a site; Python executes one expression by several instructions, which it specializes."""
        expression = id(frame.f_code), _expression(frame), base, stores
        if expression not in self.expressions:
            self.expressions[expression] = len(self.sites)
            self.functions[expression[0]] = frame.f_code
            site = Site(frame.f_code.co_filename, frame.f_lineno, memory.name, stores, _dtype_at(memory, at))
            self.sites.append(site)
        return self.expressions[expression]

    def accesses_of(self, arguments: list[Traced]) -> Accesses:
        placed = {
            x.memory: Placed(x.memory.name, self.bases[x.memory] + numbers_of(x.data, x.memory) * x.memory.unit)
            for x in arguments
            if x.data.size
        }
        addresses, site_of = np.frombuffer(self.addresses, np.int64), np.frombuffer(self.site_of, np.int32)
        return Accesses(addresses, site_of, self.sites, list(placed.values()), list(self.functions.values()))


def _dtype_at(memory: Memory, at: Any) -> np.dtype[Any]:
    """The dtype of an element, or of the field of a record."""
    dtype = memory.array.dtype
    if not dtype.fields or not np.size(at):
        return dtype
    offset = int(np.ravel(at)[0]) * memory.unit % dtype.itemsize
    return max((field for field in dtype.fields.values() if field[1] <= offset), key=lambda field: field[1])[0].base


def _expression(frame: Any) -> Any:
    """Where the expression is that is being evaluated: line and columns; before Python 3.11 the instruction."""
    code = frame.f_code
    if not hasattr(code, "co_positions"):
        return frame.f_lasti
    return next(itertools.islice(code.co_positions(), frame.f_lasti // 2, None), frame.f_lasti)
