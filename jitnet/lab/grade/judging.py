"""The tests of one kernel of a submission: correct, no race, vectorized, speed.

A kernel that is not correct gets no points for anything else: a loop that does nothing is free of races, and fast.
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
from ..benchmark.judge import AGAIN, drawn_shapes, growing_shapes
from ..formatting import duration
from ..oracle import Case, Shape, holds_nothing
from ..sanitizer import reasons
from ..worker import NoAnswerError, ask
from . import inspection
from .assignment import PEAK, Assignment, Kernel, Test
from .board import Board
from .parent import FailureError, Process
from .parts import parameters_of

DRAWN = 60
"""Shapes that are drawn from the seed, besides those of the problem."""

LONG = 0.25
"""The fraction of the time limit of a call that one on a large shape may take; larger shapes are left out."""

ROUNDS, MOST_ROUNDS = 7, 42
"""Timed calls; the best counts, because a disturbance only makes a call longer. More where it is not fast enough."""

HOPELESS = 4
"""The factor of speed that more calls cannot make up for."""

INSPECTING = 120.0
"""Seconds that the sanitizer, or the explanation of a loop, may take."""

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


class Judge:
    """The tests of one kernel in a file that is not trusted, as long as the `with` block lasts."""

    def __init__(self, assignment: Assignment, kernel: Kernel, file: str, seed: int) -> None:
        self.kernel, self.problem, self.file, self.seed = kernel, kernel.problem, file, seed
        self.limits, self.is_free = assignment.limits, assignment.language.is_free
        self.numbers = np.random.default_rng(seed)
        self.process: Process | None = None
        self.unfenced = ""
        """What the process can still do on this system."""
        self.disturbed_by: list[str] = []
        self.took = 0.0
        """Seconds of the last call."""

    def __enter__(self) -> "Judge":
        self.board = Board()
        return self

    def __exit__(self, *_: object) -> None:
        self._end_submission()
        self.board.close()

    def verdicts(self, report: Callable[[str], object]) -> Iterator[Verdict]:
        """The verdicts of all tests, in their order."""
        report(f"{self.kernel.name}, correct")
        wrong = self._error_on(self._all_cases())
        for test in self.kernel.tests:
            if test.check != "correct" and not wrong:
                report(f"{self.kernel.name}, {test.title}")
            yield self._verdict(test, wrong)

    def _verdict(self, test: Test, wrong: str | None) -> Verdict:
        passed: bool | None
        tried = True
        if test.check == "correct":
            error = self._error_on(self._cases(test)) if test.is_chosen else wrong
            passed, said = not error, error or "right for all shapes that were tried"
        elif wrong:
            passed, tried, said = False, False, f"not tried, because {self.kernel.name} is not correct"
            if not any(other.check == "correct" for other in self.kernel.tests):
                said += f": it {wrong}"
        else:
            made: dict[str, Callable[[Test], tuple[bool | None, str]]] = {
                "no race": self._without_race, "vectorized": self._vectorized, "speed": self._fast,
            }  # fmt: skip
            passed, said = made[test.check](test)
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

    def _case(self, shape: Shape, dtype: str) -> Case:
        """Numbers that a submission cannot know before; the seed repeats them."""
        self.drawn = shape, dtype, int(self.numbers.integers(2**31))
        return self.problem.case(*self.drawn)

    def _error_on(self, cases: Iterator[Case]) -> str | None:
        """The error of the kernel on the first case that it gets wrong, or None."""
        try:
            process = self._submission()
        except FailureError as failure:
            return str(failure)
        for case in cases:
            try:
                _, error = self._call(process, case)
            except FailureError as failure:
                self._end_submission()
                return f"{failure}, {self.problem.given(case)}" + reasons.joined(self._order())
            if error:
                return self._explained(process, case, error) + reasons.joined(self._order())
        return None

    def _order(self) -> str:
        """Why parameters in another order than those of the problem are wrong; "" for others."""
        names = parameters_of(Path(self.file).read_bytes(), self.kernel.name)
        return self.problem.order_of(names, self.kernel.name) or ""

    def _explained(self, process: Process, case: Case, error: str) -> str:
        """The error of the last call, with the line that wrote the wrong number and its usual cause, if it is known."""
        if not error.startswith("is wrong"):
            return error
        (shape, dtype, seed), where = self.drawn, reasons.first_wrong(case)
        line = unread = ""
        idle = reasons.writes_nothing(self.problem.results)
        if where and not self.is_free:
            asked = self.kernel.spec, dtype, shape, seed, *where
            with contextlib.suppress(NoAnswerError):
                line, unread, idle = self._ask(inspection.cause_in, *asked, NUMBA_DISABLE_JIT="1")
        known = reasons.pattern(case, line)
        untouched = all(map(holds_nothing, case.outputs))  # they are on the board, which the next call changes
        if all(self._needs_zeros(process) for _ in range(AGAIN)):  # a race may be right once
            error = f"{reasons.only_from_zeros(self.problem.results)}, {self.problem.given(case)}"
        elif untouched and process is self.process and self._is_idle(process):
            return f"{idle}, {self.problem.given(case)}"
        return error + reasons.joined(line, known or unread)

    def _is_idle(self, process: Process) -> bool:
        """Whether calls on the numbers drawn last leave the outputs as they were: NaN, or 0."""
        for clear in (False, True):
            case = self.problem.case(*self.drawn)
            for output in case.outputs if clear else ():
                output.fill(0)
            before = [output.tobytes() for output in case.outputs]
            try:
                self._call(process, case)
            except FailureError:
                self._end_submission()
                return False
            if before != [view.tobytes() for view in process.board.views[-len(before) :]]:
                return False
        return True

    def _needs_zeros(self, process: Process) -> bool:
        """Whether a call on the numbers drawn last is right if the outputs are 0 before, and wrong if not."""
        zeros, nothing = (self.problem.case(*self.drawn) for _ in range(2))
        if not all(map(holds_nothing, zeros.outputs)):
            return False
        for output in zeros.outputs:
            output.fill(0)
        try:
            return not self._call(process, zeros)[1] and bool(self._call(process, nothing)[1])
        except FailureError:
            self._end_submission()
            return False

    def _submission(self) -> Process:
        """The process of the submission; a new one if the last failed."""
        if self.process is None:
            process = Process.of_submission(self.file, self.kernel.name, self.limits, self.board)
            self.process = process.__enter__()
            self.unfenced = process.unfenced
        return self.process

    def _end_submission(self) -> None:
        """End the process, which may be at work still: it must not disturb what is timed next."""
        if self.process is not None:
            self.process.close()
            self.process = None

    def _call(self, process: Process, case: Case) -> tuple[float, str | None]:
        """Seconds of a call, and its error."""
        inputs = len(case.arguments) - len(case.expected)
        seconds = self.took = process.call(case.arguments, inputs)
        error = process.board.error(self.problem.parameters)
        if not error:
            case.arguments[inputs:] = process.board.views[inputs:]
            found = case.error()
            error = f"is wrong: {found}" if found else None
        return seconds, f"{error}, {self.problem.given(case)}" if error else None

    # in separate processes

    def _ask(self, function: Callable[..., Any], *arguments: Any, **environment: str) -> Any:
        file, memory = self.file, int(self.limits.memory * 2**30)
        return ask(function, file, self.kernel.name, *arguments, memory, environment=environment, seconds=INSPECTING)

    def _asked(self, function: Callable[..., Any], *arguments: Any, **environment: str) -> tuple[Any, str]:
        """The answer of `_ask`, or None and why there is none."""
        try:
            return self._ask(function, *arguments, **environment), ""
        except NoAnswerError as failure:
            return None, f"could not be examined: {failure}"

    def _without_race(self, test: Test) -> tuple[bool | None, str]:
        dtype = test.dtype or self.problem.dtypes[0]
        found, failure = self._asked(inspection.has_no_race, self.kernel.spec, dtype, NUMBA_DISABLE_JIT="1")
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
        return fraction >= test.reach, said

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
