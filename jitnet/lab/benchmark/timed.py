"""A kernel while it is timed: on numbers that it has not seen, with results that are verified.

Before a timing, the inputs get new numbers and the outputs are cleared. The first call cannot know its result; it is
verified, and timed separately. Later calls on the same numbers are faster than it if the kernel stores results, skips
calls, or continues in the background. The expected result is computed only afterwards, so it is not in memory before.
"""

import contextlib
import functools
import statistics
from collections.abc import Callable
from time import perf_counter, process_time  # before a kernel's file could replace them
from typing import Any

import numpy as np

from ..loading import Function
from ..oracle import Case, Shape, holds_nothing, nothing
from ..problems import Problem
from ..timing import time_of
from .judge import placed

SMALL = 1 << 26
"""Bytes of arguments of which there can be several sets."""

FASTER, SLACK = 2.0, 3e-4
"""By how much calls on the same numbers may be faster than the first: a factor, and seconds for a busy machine."""

QUICK = 0.05
"""Seconds of a call that may be made once more, to warm up caches and threads."""

FIRST_CALLS = 5
"""Timings of first calls, of which the fastest is used."""

VERIFYING = 1.0
"""Seconds that new numbers and the verification may take; then every fourth timing has them."""

IDLE = 1.5
"""Seconds between questions, after which it counts whether the process was busy in them."""

Timing = Callable[[], contextlib.AbstractContextManager[object]]


class Timed:
    """A kernel and the data that it is timed on: several sets, at different addresses, which take turns."""

    def __init__(self, kernel: Function, problem: Problem, shape: Shape, dtype: np.dtype[Any], seed: int) -> None:
        self.kernel, self.problem, self.shape, self.dtype, self.seed = kernel, problem, shape, dtype, seed
        case = placed(self._drawn())
        self.written_only = [holds_nothing(output) for output in case.outputs]
        bytes_of_a_set = sum(a.nbytes for a in case.arguments if isinstance(a, np.ndarray))
        self.sets = [case, *(placed(self._drawn()) for _ in range(2 if bytes_of_a_set < SMALL else 0))]
        self.seed_of: dict[int, int] = {}
        """Set -> the seed of its numbers."""
        self.first: list[float] = []
        """Seconds of calls on new numbers."""
        self.later: list[float] = []
        """Seconds of a call on numbers that the kernel has seen."""
        self.claimed = self.spent = 0.0
        """Seconds that the timed calls of the last question took, and that all verification has taken."""

    def ask(self, number: int, calls: int, timing: Timing) -> tuple[float, str | None]:
        """Seconds for one of so many calls in a row, and the error that they show; they are made within `timing()`."""
        case, start = self.sets[number % len(self.sets)], perf_counter()
        is_new = self.spent < VERIFYING or number % 4 == 0
        if is_new:
            self._renew(case)
        self.claimed = 0.0
        seconds = self._time(case, 1, timing)
        error = self._error(case) if is_new or all(self.written_only) else None
        (self.first if is_new else self.later).append(seconds)
        if calls > 1 and not error:
            seconds = self._time(case, calls, timing)
            self.later.append(seconds)
            error = self._error(case) if all(self.written_only) else None  # an update of an update is another one
        self.spent += perf_counter() - start - self.claimed
        if error:
            return seconds, f"was right in the check, but is wrong when it is timed, on new numbers: {error}"
        return seconds, self._kept()

    def _drawn(self) -> Case:
        self.seed += 1
        return self.problem.case(self.shape, self.dtype, self.seed)

    def _renew(self, case: Case) -> None:
        """Other numbers at the same addresses. Their results come later: see `_error`."""
        new = self._drawn()
        if self.later and self.later[-1] < QUICK:
            self.kernel(*case.arguments)  # on the numbers before, so that the first call is no slower than the others
        for i, argument in enumerate(new.arguments):
            if isinstance(argument, np.ndarray):
                case.arguments[i][...] = argument
            else:
                case.arguments[i] = argument
        self.seed_of[id(case)] = self.seed
        case.bounds = []

    def _time(self, case: Case, calls: int, timing: Timing) -> float:
        for output, is_written_only in zip(case.outputs, self.written_only, strict=True):
            if is_written_only:
                output[...] = nothing(output.shape, output.dtype)
        call = functools.partial(self.kernel, *case.arguments)
        with timing():
            seconds = time_of(call, calls)
        self.claimed += calls * seconds
        return seconds

    def _error(self, case: Case) -> str | None:
        """What is wrong with the outputs, or with inputs that were changed."""
        if not case.bounds:
            again = self.problem.case(self.shape, self.dtype, self.seed_of[id(case)])
            case.expected, case.bounds, case.typical = again.expected, again.bounds, again.typical
            inputs = len(case.arguments) - len(case.outputs)
            pairs = zip(self.problem.parameters, case.arguments[:inputs], again.arguments, strict=False)
            changed = [name for name, one, other in pairs if not np.array_equal(one, other, equal_nan=True)]
            if changed:
                return f"it changes its input {changed[0]}"
        return case.error()

    def _kept(self) -> str | None:
        """The error of a kernel that is faster on numbers that it has seen."""
        if len(self.first) < FIRST_CALLS or len(self.later) < FIRST_CALLS:
            return None
        first, later = min(self.first), statistics.median(self.later)
        if first <= FASTER * later + SLACK:
            return None
        return (
            f"keeps results, or skips calls: a call on new numbers takes {first:.2g} s, on numbers that it has seen "
            f"{later:.2g} s; every call must do all the work"
        )


class Idle:
    """The time between questions, in which a kernel's process should use no processor.

    A loop that goes on in the background makes the others look slow that are timed meanwhile. Threads of a library
    may wait actively for some tenths of a second.
    """

    def __init__(self) -> None:
        self.seconds = self.busy = 0.0
        self.begin()

    def begin(self) -> None:
        self.start = perf_counter(), process_time()

    def end(self) -> str | None:
        """The error of a process that was busy all the time."""
        self.seconds += perf_counter() - self.start[0]
        self.busy += process_time() - self.start[1]
        if self.seconds < IDLE or self.busy < 0.9 * self.seconds:
            return None
        return (
            f"goes on in the background: it used the processor for {self.busy:.1f} of the {self.seconds:.1f} s between "
            "calls; end or join its threads before it returns"
        )
