"""Calls of one kernel of a submission in its process, and the first error in words."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ... import checks
from ..benchmark.judge import AGAIN
from ..oracle import Case, Shape, holds_nothing
from ..sanitizer import reasons
from ..worker import NoAnswerError, ask
from . import inspection
from .assignment import Assignment, Kernel
from .board import Board
from .parent import FailureError, Process
from .parts import parameters_of

UNEXAMINED = "could not be examined"

INSPECTING = 120.0
"""Seconds that the sanitizer, or the explanation of a loop, may take."""

Own = TypeVar("Own", bound="Calls")


class Calls:
    """One kernel in a file that is not trusted, as long as the `with` block lasts."""

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

    def __enter__(self: Own) -> Own:
        self.board = Board()
        return self

    def __exit__(self, *_: object) -> None:
        self._end_submission()
        self.board.close()

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
                return self._in_one_dtype(self._explained(process, case, error)) + reasons.joined(self._order())
        return None

    def _in_one_dtype(self, error: str) -> str:
        """The error of the numbers drawn last, with their dtype if the kernel is right in all others."""
        shape, dtype, seed = self.drawn
        others = [other for other in self.problem.dtypes if other != dtype]
        if not (
            error.startswith("is wrong: ")
            and others
            and all(self._is_right(self.problem.case(shape, o, seed)) for o in others)
        ):
            return error
        case = self.problem.case(*self.drawn)
        if self._is_right(case):  # a race may be right once
            return error
        why = "" if "keep sums" in error else reasons.only_in(dtype, case)
        return error.replace("is wrong:", f"is wrong for {dtype} only:", 1) + reasons.joined(why)

    def _is_right(self, case: Case) -> bool:
        try:
            return not self._call(self._submission(), case)[1]
        except FailureError:
            self._end_submission()
            return False

    def _order(self) -> str:
        """Why fewer parameters than those of the problem are wrong, or another order of them; "" for others."""
        names = parameters_of(Path(self.file).read_bytes(), self.kernel.name)
        if 0 < len(names) < len(self.problem.parameters):
            given, wanted = ", ".join(names), ", ".join(self.problem.parameters)
            results = checks.joined(list(self.problem.results))
            return f"its parameters are ({given}), but must be ({wanted}); the result is written into {results}"
        return self.problem.order_of(names, self.kernel.name) or ""

    def _explained(self, process: Process, case: Case, error: str) -> str:
        """The error of the last call, with the line that wrote the wrong number and its usual cause, if it is known."""
        is_beside = error.startswith(reasons.BESIDE)
        if not (is_beside or error.startswith("is wrong")):
            return error
        (shape, dtype, seed), where = self.drawn, reasons.first_of(case) if is_beside else reasons.first_wrong(case)
        line = unread = ""
        idle = reasons.writes_nothing(self.problem.results)
        if where and not self.is_free:
            asked = self.kernel.spec, dtype, shape, seed, *where
            with contextlib.suppress(NoAnswerError):
                line, unread, idle = self._ask(inspection.cause_in, *asked, NUMBA_DISABLE_JIT="1")
        if is_beside:
            return error + reasons.joined(line if reasons.OUTSIDE in line else "")
        known, wrote = reasons.pattern(case, line), line.startswith(reasons.LAST_WRITE)
        untouched = all(map(holds_nothing, case.outputs))  # they are on the board, which the next call changes
        if all(self._needs_zeros(process) for _ in range(AGAIN)):  # a race may be right once
            error = f"{reasons.only_from_zeros(self.problem.results)}, {self.problem.given(case)}"
        elif untouched and not wrote and process is self.process and self._is_idle(process):
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
        if not all(map(holds_nothing, zeros.outputs)) or not any(map(np.any, zeros.expected)):
            return False  # where all results are 0, a kernel that writes nothing would seem to need them
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
            return None, f"{UNEXAMINED}: {failure}"
