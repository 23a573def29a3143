"""A kernel while it is timed: on numbers that it has not seen, with results that are verified.

Before a timing, the inputs get new numbers and the outputs are cleared. The first call cannot know its result; it is
verified, and timed alone. Many calls on the same numbers follow. Before some of them, chosen at random, a few elements
of the outputs are cleared while the clock stands still, and a call that is skipped leaves them so. At the end, one call
is timed like the first, on numbers that are no longer new; it is faster if the kernel stores results. A single short
call cannot be timed well, so some tens of short calls follow, each on new numbers; the last is verified, and no kernel
knows which that is. The expected result is computed only afterwards, so it is not in memory before.
"""

import contextlib
import functools
import math
import os
import statistics
from collections.abc import Callable
from time import perf_counter, process_time  # before a kernel's file could replace them
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...checks import count
from ..loading import Function
from ..oracle import Case, Shape, holds_nothing, nothing
from ..problems import Problem
from ..timing import time_of
from .guarded import LATE, Late, placed

SMALL = 1 << 26
"""Arguments of up to this many bytes are kept in several sets."""

FASTER, SLACK = 1.5, 3e-5
"""How much faster a call on numbers that the kernel has seen may be: a factor, and seconds, because branch prediction
learns. `WAKING` is added for many calls in a row."""

WAKING = 3e-4
"""Seconds until threads that sleep between two requests run again."""

SHORT, FRESH, TOGETHER = 2e-3, 64, 0.02
"""Calls shorter than SHORT seconds are also made in a row on new numbers: at most FRESH calls, in TOGETHER seconds."""

SLOWER, NOISE = 2.0, 1e-6
"""How much slower these may be than calls on the same numbers: a factor, because all branches of a short call can be
predicted the second time (1.5 is usual for a sorted list), and seconds."""

BLOCK = 1e-4
"""Seconds of calls between two readings of the clock, so that stopping it costs nothing; at least one call."""

CLEARED = 8
"""Elements of each output that are cleared, at random, before the last call of a block."""

QUICK = 0.05
"""A call shorter than this many seconds is made once more, to warm up caches and threads."""

FIRST_CALLS = 5
"""The number of first calls that are timed; the fastest counts."""

LEAST_DOUBTS, DOUBTS, DOUBTING = 3, 15, 1.0
"""A kernel that seems to store results is timed again on new numbers, which can clear it: at least LEAST_DOUBTS times,
then up to DOUBTS times or for DOUBTING seconds. On a busy machine, several calls in a row may each wait for a core."""

VERIFYING = 1.0
"""After this many seconds for new numbers and verification, only every fourth timing has them."""

SKIPPED = "skips calls: after one that was timed, its outputs were as before; every call must do all the work"

CROWDED, MORE = 0.1, 1.3
"""After CROWDED seconds of timed calls, the cores that they use are counted: at most MORE times the threads."""

IDLE = 1.5
"""Seconds between requests from which it matters that the process was busy meanwhile."""

Timing = Callable[[], contextlib.AbstractContextManager[object]]


class Timed:
    """A kernel and the data that it is timed on: several sets, at different addresses, which take turns."""

    def __init__(self, kernel: Function, problem: Problem, shape: Shape, dtype: np.dtype[Any], seed: int) -> None:
        self.kernel, self.problem, self.shape, self.dtype, self.seed = kernel, problem, shape, dtype, seed
        self.seed_of: dict[int, int] = {}
        """Set -> the seed of its numbers."""
        self.seed += 1
        case = placed(problem.case(shape, dtype, self.seed))
        self.written_only = [holds_nothing(output) for output in case.outputs]
        self.sets = [case, *(self._another(case) for _ in range(2 if _bytes_of(case) < SMALL else 0))]
        self.first: list[float] = []
        """Seconds of calls on new numbers."""
        self.fastest = math.inf
        """Seconds of a call in a row on the same numbers, the fastest."""
        self.alone: list[tuple[float, float]] = []
        """Seconds of a call on new numbers, and of one on the same numbers soon afterwards."""
        self.in_a_row: list[tuple[float, float]] = []
        """Seconds of one of several short calls, each on new numbers, and of one of many on the same numbers."""
        self.repeated: list[tuple[float, float]] = []
        """Seconds of the latest call on new numbers, and of one in a later question, on numbers of an earlier one."""
        self.rng = np.random.default_rng()
        self.timed_seconds = self.verifying = 0.0
        """Seconds that the timed calls of the last question took, and that all verification has taken."""

    def ask(self, number: int, calls: int, timing: Timing) -> tuple[float, str | None]:
        """Seconds for one of this many calls in a row, and their error; they are made within `timing()`."""
        case, start = self.sets[number % len(self.sets)], perf_counter()
        is_new, self.timed_seconds = self.verifying < VERIFYING or number % 4 == 0, 0.0
        seconds, error = self._answer(case, calls, is_new, timing)
        error = error or self._doubted(case, calls, timing)
        self.verifying += perf_counter() - start - self.timed_seconds
        return seconds, error

    def _doubted(self, case: Case, calls: int, timing: Timing) -> str | None:
        """The error of a kernel that seems to store results, if it does not clear itself on more new numbers."""
        doubts, start = 0, perf_counter()
        while found := self._stores_results():
            if doubts == DOUBTS or (doubts >= LEAST_DOUBTS and perf_counter() - start > DOUBTING):
                return found
            doubts += 1
            _, error = self._answer(case, max(calls, 2), True, timing)
            if error:
                return error
            self.repeated.extend((self.first[-1], known) for _, known in self.repeated[-1:])
        return None

    def _answer(self, case: Case, calls: int, is_new: bool, timing: Timing) -> tuple[float, str | None]:
        """Seconds for one of this many calls in a row, and their error."""
        seconds, error, later = 0.0, None, list[float]()
        if is_new:
            self.seed += 1
            seconds, error = self._alone(case, self.seed, timing)
            self.first.append(seconds)
        if not error and (calls > 1 or not is_new):
            seconds, error = self._in_a_row(case, calls, timing)
            later = [seconds]
            self.fastest = min(self.fastest, seconds)
        if not is_new:
            self.repeated.append((self.first[-1], seconds + WAKING))
        elif not error:
            again, error = self._alone(case, self.seed, timing)
            self.alone.append((self.first[-1], min([again, *(one + WAKING for one in later)])))
        if is_new and not error and min(self.first) < SHORT:
            fresh, error = self._on_new_numbers(case, timing)
            self.in_a_row.extend((fresh, one) for one in later)
        return seconds, error

    def _alone(self, case: Case, seed: int, timing: Timing) -> tuple[float, str | None]:
        """Seconds of one call, on numbers that were just put there, and its error."""
        self._renew(case, seed)
        self._clear(case)
        with timing():
            seconds = time_of(functools.partial(self.kernel, *case.arguments), 1)
        self.timed_seconds += seconds
        return seconds, self._error(case)

    def _in_a_row(self, case: Case, calls: int, timing: Timing) -> tuple[float, str | None]:
        """The mean seconds of this many calls, and the error that they show."""
        self._clear(case)
        call = functools.partial(self.kernel, *case.arguments)
        cleared = [_ClearedElements(output, self.rng) for output in self._written(case) if output.size]
        least = max(1, int(BLOCK / max(min(self.fastest, self.first[-1]), 1e-7)))
        seconds, left, skipped = 0.0, calls, False
        with timing():
            start = perf_counter()
            while left:
                block = min(left, int(self.rng.integers(least, 2 * least)))
                seconds += (block - 1) * time_of(call, block - 1) if block > 1 else 0.0
                for elements in cleared:
                    elements.clear()
                seconds += time_of(call, 1)
                skipped = skipped or any(elements.are_left for elements in cleared)
                left -= block
            self.timed_seconds += perf_counter() - start
        # an update of an update is another one
        error = SKIPPED if skipped else self._error(case) if all(self.written_only) else None
        return seconds / calls, error

    def _on_new_numbers(self, case: Case, timing: Timing) -> tuple[float, str | None]:
        """Seconds for one of several calls, each on new numbers that are copied to the same place, and its error."""
        most = min(FRESH, max(2, min(SMALL // (1 + _bytes_of(case)), int(TOGETHER / min(self.first)))))
        seeds = range(self.seed + 1, self.seed + 1 + int(self.rng.integers(most // 2, most, endpoint=True)))
        self.seed = seeds[-1]
        new = [self.problem.numbers(self.shape, self.dtype, seed) for seed in seeds]
        kept = len(case.arguments) - len(case.outputs)
        read = [i < kept or not self.written_only[i - kept] for i in range(len(case.arguments))]

        def put(arguments: list[Any]) -> None:
            for i, argument in enumerate(arguments):
                if not isinstance(argument, np.ndarray):
                    case.arguments[i] = argument
                elif read[i]:
                    np.copyto(case.arguments[i], argument)

        seconds = 0.0
        with timing():
            begin = perf_counter()
            self.kernel(*case.arguments)  # wakes the threads
            for arguments in new:
                put(arguments)
                start = perf_counter()
                self.kernel(*case.arguments)
                seconds += perf_counter() - start
            self.timed_seconds += perf_counter() - begin
        self.seed_of[id(case)], case.bounds = self.seed, []
        return seconds / len(new), self._error(case)

    def _another(self, case: Case) -> Case:
        """A set with other numbers. Their expected results come later: see `_error`."""
        self.seed += 1
        numbers = self.problem.numbers(self.shape, self.dtype, self.seed)
        another = placed(Case([*numbers, *map(np.copy, case.arguments[len(numbers) :])], case.expected, []))
        self.seed_of[id(another)] = self.seed
        return another

    def _renew(self, case: Case, seed: int) -> None:
        """The numbers of this seed at the same addresses. The expected results of new ones come later: see `_error`."""
        new = self.problem.numbers(self.shape, self.dtype, seed)
        if self.first and self.first[-1] < QUICK:
            self.kernel(*case.arguments)  # on the numbers before, so that caches and threads are ready
        for i, argument in enumerate(new):
            if isinstance(argument, np.ndarray):
                case.arguments[i][...] = argument
            else:
                case.arguments[i] = argument
        if self.seed_of.get(id(case)) != seed:
            self.seed_of[id(case)], case.bounds = seed, []

    def _written(self, case: Case) -> list[NDArray[Any]]:
        """The outputs that a kernel need not read."""
        return [output for output, alone in zip(case.outputs, self.written_only, strict=True) if alone]

    def _clear(self, case: Case) -> None:
        for output in self._written(case):
            output[...] = nothing(output.shape, output.dtype)

    def _error(self, case: Case) -> str | None:
        """What is wrong with the outputs, or with inputs that were changed."""
        found, before = None, list(case.arguments)
        late = Late(case)  # drawing the expected results may take longer than what a thread of the kernel still does
        if not case.bounds:
            again = self.problem.case(self.shape, self.dtype, self.seed_of[id(case)])
            case.expected, case.bounds, case.typical = again.expected, again.bounds, again.typical
            inputs = len(case.arguments) - len(case.outputs)
            pairs = zip(self.problem.parameters, case.arguments[:inputs], again.arguments, strict=False)
            changed = [name for name, one, other in pairs if not np.array_equal(one, other, equal_nan=True)]
            found = f"it changes its input {changed[0]}" if changed else None
        found = found or case.error()
        if found and late.writes():
            found = LATE.format(" and ".join(self.problem.results))
        case.arguments[:] = before
        return f"was right in the check, but is wrong when it is timed, on new numbers: {found}" if found else None

    def _stores_results(self) -> str | None:
        """The error of a kernel that is faster on numbers that it has seen."""
        pairs = (self.alone, FASTER, SLACK), (self.repeated, FASTER, SLACK), (self.in_a_row, SLOWER, NOISE)
        return next(filter(None, (_faster(*each) for each in pairs)), None)


def _faster(pairs: list[tuple[float, float]], factor: float, slack: float) -> str | None:
    """The error if calls on numbers that a kernel has seen (second) are faster than those on new numbers (first).

    The fastest call on new numbers is compared with the usual one on the same numbers: other processes slow single
    calls down, and a kernel gains only from what is usual. Both are timed soon after each other, because the whole
    machine may be slow for a while.
    """
    if len(pairs) < FIRST_CALLS:
        return None
    new, known = min(new for new, _ in pairs), statistics.median(known for _, known in pairs)
    if new <= factor * known + slack:
        return None
    return (
        f"keeps results, or skips calls: a call on new numbers takes {new:.2g} s, on numbers that it has seen "
        f"{known:.2g} s; every call must do all the work"
    )


def _bytes_of(case: Case) -> int:
    return sum(argument.nbytes for argument in case.arguments if isinstance(argument, np.ndarray))


class _ClearedElements:
    """Some elements of an output, others each time, that are cleared before a call, and that it must write."""

    def __init__(self, output: NDArray[Any], rng: np.random.Generator) -> None:
        self.flat, self.rng, self.nothing = output.reshape(-1), rng, nothing((), output.dtype)

    def clear(self) -> None:
        self.at = self.rng.integers(self.flat.size, size=CLEARED)
        self.were_written = ~self._are_empty()
        self.flat[self.at] = self.nothing

    @property
    def are_left(self) -> bool:
        return bool((self.were_written & self._are_empty()).any())

    def _are_empty(self) -> NDArray[np.bool_]:
        found = self.flat[self.at]
        empty: NDArray[np.bool_] = np.isnan(found) if found.dtype.kind == "f" else found == self.nothing
        return empty


class Cores:
    """The cores that timed calls use: --threads limits the threads of Numba and BLAS, but not those of Python."""

    def __init__(self, threads: int) -> None:
        self.threads, self.seconds, self.busy = threads, 0.0, 0.0

    def __enter__(self) -> None:
        self.start = perf_counter(), process_time()

    def __exit__(self, *_: object) -> None:
        self.seconds += perf_counter() - self.start[0]
        self.busy += process_time() - self.start[1]

    def error(self) -> str | None:
        used = self.busy / max(self.seconds, 1e-9)
        if self.seconds < CROWDED or used < MORE * self.threads:
            return None
        return (
            f"computes on {used:.1f} cores, but is compared with loops on {count(self.threads, 'thread')}: start no "
            "threads, or let all use more: --threads"
        )


def other_process() -> str | None:
    """The error of a kernel that has started a process: the time that it takes does not count as the kernel's."""
    with contextlib.suppress(AttributeError, ChildProcessError):  # Windows; there is none
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return "starts another process, which may work for it, or slow the others down; compute in this one"
    return None


class Idle:
    """The time between requests, in which a kernel's process should be idle.

    A loop that continues in the background slows down the kernels that are timed meanwhile. Threads of a library may
    spin for some tenths of a second before they sleep.
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
