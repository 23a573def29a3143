"""The tests of one kernel of a submission: correct, no race, vectorized, speed.

A kernel that is not correct gets no points for anything else: a loop that does nothing is free of races, and fast. One
with a race is not correct: its results are right by chance, or because its threads take turns.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ... import checks
from ...process import disturbance
from .. import explain, machine, roofline
from ..benchmark.shapes import drawn_shapes, growing_shapes
from ..formatting import duration
from ..oracle import Case, Shape, holds_nothing
from . import inspection
from .assignment import PEAK, Test
from .board import Board
from .calls import UNEXAMINED, Calls
from .output import RACY
from .parent import FailureError, Process
from .parts import is_interpreted

DRAWN = 60
"""Shapes that are drawn from the seed, besides those of the problem."""

LONG = 0.25
"""The fraction of the time limit of a call that one on a large shape may take; larger shapes are left out."""

ROUNDS, MOST_ROUNDS = 7, 42
"""Timed calls; the best counts, because a disturbance only makes a call longer. More where it is not fast enough."""

HOPELESS = 16
"""The factor of speed that more calls cannot make up for. With five programs on each core, it was up to six."""

FALSE_PEAK = 1.5
"""No kernel is that much faster than a peak that was measured well."""


@dataclass
class Verdict:
    """A test, and how a submission did in it."""

    kernel: str
    test: Test
    passed: bool | None
    """None if the test cannot be made on this machine."""
    said: str
    """What happened."""
    tried: bool = True
    """False if the test was not made, because something else is wrong; its hint would not help."""

    @property
    def hint(self) -> str:
        return self.test.hint if self.tried and not self.passed else ""

    @property
    def points(self) -> float:
        return self.test.points if self.passed else 0.0

    @property
    def of(self) -> float:
        return 0.0 if self.passed is None else self.test.points


@functools.cache
def peaks() -> dict[str, Any]:
    """The machine peaks, measured once for a class, even on a busy machine, where they are not kept on file."""
    return machine.limits()


class _RivalError(Exception):
    """The rung that a submission is compared with failed; the reason is the cause."""


@contextlib.contextmanager
def _as_rival() -> Iterator[None]:
    try:
        yield
    except FailureError as failure:
        raise _RivalError from failure


class Judge(Calls):
    """The tests of one kernel in a file that is not trusted, as long as the `with` block lasts."""

    def verdicts(self, report: Callable[[str], object]) -> Iterator[Verdict]:
        """The verdicts of all tests, in their order."""
        report(f"{self.kernel.name}, correct")
        wrong, race = self._error_on(self._all_cases()), ""
        self.examined: dict[Test, tuple[bool | None, str]] = {}
        has_ended = self.process is None  # by a crash, an exception or its time limit
        by_chance = self.limits.threads > 1  # does a race show
        if not wrong or not has_ended or by_chance:
            race = self._race(report)
        if race and by_chance:
            wrong = None
        for test in self.kernel.tests:
            if test.check not in ("correct", "no race") and not wrong and not race:
                report(f"{self.kernel.name}, {test.title}")
            yield self._verdict(test, wrong, race)

    def _race(self, report: Callable[[str], object]) -> str:
        """What a test `no race` finds; its results are right by chance, so no test gives points."""
        for test in self.kernel.tests:
            if test.check == "no race":
                report(f"{self.kernel.name}, {test.title}")
                passed, said = self.examined[test] = self._without_race(test)
                if passed is False and not said.startswith((UNEXAMINED, inspection.UNDIVIDED)):
                    return said
        return ""

    def _verdict(self, test: Test, wrong: str | None, race: str) -> Verdict:
        passed: bool | None
        tried = True
        if race and test.check == "no race":
            passed, said, tried = False, race, "is out of bounds" not in race  # its hint is about races
        elif race and (test.is_chosen or not wrong):
            is_result = test.check == "correct"
            passed, tried, said = False, False, RACY if is_result else f"not tried, because {self.kernel.name} {RACY}"
        elif test.check == "correct":
            error = self._error_on(self._cases(test)) if test.is_chosen else wrong
            passed, said = not error, error or "right for all shapes that were tried"
        elif wrong:
            is_free, found = self.examined.get(test, (None, ""))
            is_free = is_free or found.startswith(inspection.UNDIVIDED)
            why = "no race was found, but" if is_free else "not tried, because"
            passed, tried, said = False, False, f"{why} {self.kernel.name} is not correct"
            if not any(other.check == "correct" for other in self.kernel.tests):
                said += f": it {wrong}"
        else:
            made: dict[str, Callable[[Test], tuple[bool | None, str]]] = {
                "no race": self.examined.__getitem__, "vectorized": self._vectorized, "speed": self._fast,
            }  # fmt: skip
            passed, said = made[test.check](test)
            is_slow = test.check == "speed" and passed is False
            if is_slow and is_interpreted(Path(self.file).read_bytes(), self.kernel.name):
                said += f"; {self.kernel.name} is not compiled: write @numba.njit above it"
        return Verdict(self.kernel.name, test, passed, said, tried)

    # correct

    def _all_cases(self) -> Iterator[Case]:
        """The shapes of the problem in all its dtypes; then larger and larger ones, until one takes long.

        A slow kernel is not wrong, but what does not end is. The shapes that are drawn come in the order of their size.
        """
        for dtype in self.problem.dtypes:
            yield from (self._case(shape, dtype) for shape in self.problem.shapes)
        drawn = islice(filter(self.problem.takes, drawn_shapes(self.problem, self.seed)), DRAWN)
        left = sorted(drawn, key=math.prod)
        for shape in filter(self.problem.takes, growing_shapes(self.problem, self.seed)):
            yield self._case(shape, self.problem.dtypes[0])
            took = self.took
            while left and math.prod(left[0]) <= math.prod(shape):
                yield self._drawn_case(left.pop(0), len(left) % 2 == 0)
            if took * 2 ** len(shape) > LONG * self.limits.seconds:  # about what the next one takes
                break

    def _drawn_case(self, shape: Shape, filled: bool) -> Case:
        """A case, with numbers in its outputs if they are `filled`: what was there before must not matter."""
        case = self._case(shape, self.problem.dtypes[0])
        for output in case.outputs if filled else ():
            if holds_nothing(output):
                output.fill(1)
        return case

    def _cases(self, test: Test) -> Iterator[Case]:
        for dtype in [test.dtype] if test.dtype else self.problem.dtypes:
            yield from (self._case(shape, dtype) for shape in test.shapes or self.problem.shapes)

    # in separate processes

    def _without_race(self, test: Test) -> tuple[bool | None, str]:
        dtype = test.dtype or self.problem.dtypes[0]
        asked = self.kernel.spec, dtype, test.points > 0
        found, failure = self._asked(inspection.has_no_race, *asked, NUMBA_DISABLE_JIT="1")
        passed, said = found or (False, failure)
        return passed, said.removeprefix("race: ")

    def _vectorized(self, test: Test) -> tuple[bool | None, str]:
        if not explain.is_readable():
            return None, "not judged: only the instructions of x86-64 can be read"
        shape, dtype = self._speed_case(test)
        wrong = self._error_on(iter([self._case(shape, dtype)]))
        if wrong:
            return False, wrong
        found, failure = self._asked(inspection.scalar_loop_in, self.kernel.spec, dtype, shape)
        error = found or failure
        return not error, error or "its hottest loop computes with vectors"

    # speed

    def check_rungs(self) -> None:
        """Call each rung of the problem that a test of speed compares with, as that test will; an error if it fails.

        A rung of a teacher's own file may be wrong. No submission could get the points of that test.
        """
        for test in self.kernel.tests:
            if test.check == "speed" and test.of != PEAK and self.problem.is_own:
                try:
                    with contextlib.ExitStack() as stack:
                        self._seconds(self._rival(test.of, stack), self._case(*self._speed_case(test)))
                except (_RivalError, FailureError) as error:
                    raise checks.Error(
                        f"{self.problem.path}: the rung {test.of} {error.__cause__ or error}; correct it, because "
                        f"{self.kernel.name!r} is compared with its speed"
                    ) from None

    def _speed_case(self, test: Test) -> tuple[Shape, str]:
        """The shape and dtype of a test of speed, or of vectors."""
        return test.shapes[0] if test.shapes else self.problem.timed[0], test.dtype or self.problem.dtypes[0]

    def _fast(self, test: Test) -> tuple[bool | None, str]:
        """Compare the best times of the submission and of a rung, alternating, with new numbers in each call."""
        shape, dtype = self._speed_case(test)
        try:
            mine, other = self._times(test, shape, dtype)
        except _RivalError as failure:
            return None, f"not judged: the rung {test.of} {failure.__cause__}"
        except FailureError as failure:
            self._end_submission()
            return False, f"{failure}, given the shape {shape}"
        fraction = other / mine
        rival = "the peak of this machine" if test.of == PEAK else test.of
        said = f"{duration(mine)} for {shape}, {fraction:.0%} of the speed of {rival}"
        if test.of == PEAK and fraction > FALSE_PEAK:
            return None, f"not judged: {said}; the peak is out of date (jitnet machine --again)"
        if self.timing_disturbed_by and test.reach / HOPELESS < fraction < test.reach:
            return None, f"not judged: {said}, but {' and '.join(self.timing_disturbed_by)}"
        return fraction >= test.reach, said

    def timed_again(self, test: Test) -> Verdict:
        """The verdict of a test of speed of a correct kernel, which was disturbed before."""
        return Verdict(self.kernel.name, test, *self._fast(test))

    def _times(self, test: Test, shape: Shape, dtype: str) -> tuple[float, float]:
        """The best seconds of a call of the submission, and of its rival; more calls if they are not fast enough."""
        with contextlib.ExitStack() as stack, disturbance.Watch(self.limits.threads + 1) as watch:
            rival = None if test.of == PEAK else self._rival(test.of, stack)
            least = 0.0 if rival else self._least_seconds(shape, np.dtype(dtype))
            self._in_turn(rival, shape, dtype)  # compiles, and touches the memory
            times: list[tuple[float, float]] = []
            while len(times) < MOST_ROUNDS:
                times += [self._in_turn(rival, shape, dtype) for _ in range(ROUNDS)]
                mine, other = (min(column) for column in zip(*times, strict=True))
                fraction = (least or other) / mine
                if not test.reach / HOPELESS < fraction < test.reach:
                    break
        self.timing_disturbed_by = watch.reasons
        self.disturbed_by = self.disturbed_by or watch.reasons
        return mine, least or other

    def _rival(self, name: str, stack: contextlib.ExitStack) -> Process:
        """The process of a rung, which ends with the stack."""
        board = Board()
        stack.callback(board.close)
        with _as_rival():
            return stack.enter_context(Process.of_rung(self.kernel.spec, name, self.limits, board))

    def _in_turn(self, rival: Process | None, shape: Shape, dtype: str) -> tuple[float, float]:
        """Seconds of a call of the submission, and of its rival, on the same new numbers."""
        case = self._case(shape, dtype)
        with _as_rival():
            other = self._seconds(rival, case) if rival else 0.0
        return self._seconds(self._submission(), case), other

    def _seconds(self, process: Process, case: Case) -> float:
        copy = replace(case, arguments=list(case.arguments))
        seconds, error = self._call(process, copy)
        if error:
            raise FailureError(error)
        return seconds

    def _least_seconds(self, shape: Shape, dtype: np.dtype[Any]) -> float:
        """The time that the roofline of this machine allows."""
        limits, threads = peaks(), self.limits.threads
        self.disturbed_by = self.disturbed_by or limits["disturbed_by"]
        moved = self.problem.memory(shape, dtype)
        level = machine.level_of(limits["caches"], moved, threads)
        arithmetic = self.problem.flops(shape) / machine.for_threads(limits["peak"][dtype.name], threads)
        return max(arithmetic, moved / roofline.moving(limits, level, "copy", threads))
