"""The correctness test of a kernel: one call on guarded arrays, and a sentence that describes the error.

A kernel must write its outputs and nothing else. The outputs are NaN before the call, each array is between guards that
must not change, and the inputs must be the same afterwards. The guards are NaN, so that a kernel that reads them gives
a wrong result. A kernel that adds to a guard would go unnoticed, because NaN + x is the same NaN, so a kernel that
passes is called again with numbers in guards and outputs.
"""

import ast
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter, sleep  # before a kernel's file could replace it
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher
from numpy.typing import NDArray

from ... import checks
from ...checks import count
from ...compiler.memory import aligned
from ..loading import Function
from ..oracle import Case, Shape, holds_nothing
from ..problems import Problem
from ..sanitizer import arguments
from ..sanitizer.checking import examine, limited
from ..sanitizer.findings import returned
from ..sanitizer.races import TooLongError
from ..sanitizer.reasons import WRITES, first_wrong, only_from_zeros, reasons, writes_nothing
from ..sanitizer.syntax import tree_of
from ..sanitizer.targets import opened

GUARD = 1 << 16
"""Bytes before and after each array."""

NARROW = 1 << 10
"""The same for the quick test of many shapes."""

NOT_SMALL = {1: (8_000, 250_000), 2: (90, 500), 3: (20, 200)}
"""Number of dimensions -> size limits of the random shapes without a small size."""

LARGE = (513, 640)
"""Limits of each size of the large shape of an operation, above the usual sizes of blocks."""

MEMORY = 1 << 26
"""Bytes of a random shape; for a matrix with n rows and n columns, a large n needs many GiB."""

SLOW = 0.1
"""Seconds for a shape, after which those of twice its sizes are left out."""

UNTOUCHED = 0xFF
"""Each byte of guards and outputs before the call. Eight of them are NaN, and so are four."""

HIDDEN = ("race", "shared", "carried", "reduction", "escapes", "overlap", "differs", "outside")
"""Kinds of findings of the sanitizer that are errors even if a result was right."""

MISLEADING = ("is wrong", "gives NaN", "never writes ", "is right only if", "writes nothing")
"""The beginnings of errors whose cause the sanitizer may find."""

CHANGING = "is wrong in some calls"
"""The beginning of the error of a kernel whose results change from call to call, such as those of a race."""

AGAIN = 4
"""Calls that must agree with the first before its error is explained, because it may be one of a race."""

LATE = "still writes {} after it has returned; wait until its threads have ended: thread.join()"

SETTLING = 0.1
"""Seconds in which threads that a kernel has left behind would write into its outputs."""

ACCESSES = 50_000
"""Accesses of one interpreted run, some tenths of a second, that the sanitizer may take."""

SECONDS = 10.0
"""The time limit of one such run."""

FINITE = 0x3F
"""Each byte of the guards of the second call. Four of them are 0.75, about, as a float32."""

BESIDE_OUTPUTS = 0x40
"""Those of its outputs, so that a copy of what is beside an input shows."""


def error_of(
    kernel: Function, problem: Problem, shape: Shape, dtype: np.dtype[Any] | str,
    sanitizer: Callable[[], str | None] = lambda: None,
) -> str | None:  # fmt: skip
    """The error of a kernel on this shape, or None. Exceptions of the kernel pass through.

    sanitizer    returns a `hidden_error`, a likely cause; without one, the cause is looked for in the numbers
    """

    def called(start: float = np.nan, guard: int = UNTOUCHED) -> _Call:
        return _Call(kernel, problem.case(shape, dtype), start, guard)

    call = called()
    case, found = call.case, call.beside(problem.parameters)
    is_wrong = not found and case.error()
    if is_wrong:
        on_zeros = functools.partial(called, 0.0)
        found = call.within(problem.results, on_zeros)
        needs_zeros = found == only_from_zeros(problem.results)
        if found.startswith(MISLEADING) and _changes(called, on_zeros if needs_zeros else None):
            found = f"{CHANGING}: {case.error()}"
    elif not found:
        found = _error_of_numbers(problem, called, functools.partial(called, 1.0, FINITE))
    if not found:
        return None
    said = f"{found}, {problem.given(case)}"
    if not found.startswith(MISLEADING):
        return said
    if cause := sanitizer():
        return f"{said}. It {cause}"
    is_explained = found.startswith(CHANGING) or found.endswith(WRITES)
    if not is_wrong or is_explained or kernel is problem.rungs["numpy"]:
        return said
    return said + reasons(kernel, problem, shape, dtype, case)


def _error_of_numbers(
    problem: Problem, on_nothing: Callable[[], "_Call"], on_numbers: Callable[[], "_Call"]
) -> str | None:
    """The error of a kernel that was right, if guards and outputs hold numbers before the call."""
    call = on_numbers()
    found, error = call.beside(problem.parameters), call.case.error()
    if found or not error:
        return found
    if _changes(on_numbers, on_nothing):
        return f"{CHANGING}: {error}"
    into = " and ".join(problem.results)
    return f"is right only if {into} is NaN before; write all of it, whatever it holds: {error}"


def _changes(wrong: Callable[[], "_Call"], right: Callable[[], "_Call"] | None = None) -> bool:
    """Whether a call that was wrong is ever right when it is repeated, or one that was right is ever wrong."""
    return any(not wrong().case.error() or (right and right().case.error()) for _ in range(AGAIN))


def drawn_shapes(problem: Problem, seed: int) -> Iterator[Shape]:
    """Shapes in random order; each size has every value up to 255, so every remainder of every block up to 128.

    Some sizes are larger, up to 1100, and some shapes have no small size. Others are shapes of the problem with one
    size larger or smaller by one. A size that all shapes of the problem share is not changed.
    """
    rng = np.random.default_rng(seed)
    known = np.array([*problem.shapes, *problem.timed])
    fixed = (known == known[0]).all(axis=0)
    least, most = NOT_SMALL.get(int((~fixed).sum()), (4, 40))
    shapes = [rng.integers(least, most, fixed.size) for _ in range(8)]
    for axis in np.flatnonzero(~fixed):
        one = np.eye(fixed.size, dtype=int)[axis]
        for size in (*range(1, 256), *rng.integers(256, 1100, 24)):
            small = rng.integers(1, 12, fixed.size)
            shapes.append(np.where(one, size, small))
        shapes += [shape + step * one for shape in known[: len(problem.shapes)] for step in (-1, 1)]
    for place in rng.permutation(len(shapes)):
        shape = tuple(np.where(fixed, known[0], shapes[place]).tolist())
        if min(shape) > 0 and _needed(problem, shape) <= MEMORY:
            yield shape


def _needed(problem: Problem, shape: Shape) -> float:
    """The bytes of a shape; 0 for one that the problem refuses, as its inputs will."""
    try:
        return problem.memory(shape, np.dtype(problem.dtypes[0]))
    except checks.Error:
        return 0.0


def growing_shapes(problem: Problem, seed: int) -> Iterator[Shape]:
    """A shape without a small size; before it, shapes whose sizes double up to it, the largest of them from 16 to 31.

    The time of a call shows whether the next takes too long. Each size of the last shape is in `LARGE`; or near that of
    the largest timed shape, for a problem, whose reference may not scale.
    """
    rng = np.random.default_rng(seed)
    fixed = (np.array([*problem.shapes, *problem.timed]) == problem.timed[0]).all(axis=0)
    largest = np.array(max(problem.timed, key=math.prod))
    whole = largest - rng.integers(0, largest // 16 + 1) if problem.path else rng.integers(*LARGE, largest.size)
    for halvings in reversed(range(max(int(whole.max()).bit_length() - 4, 1))):
        yield tuple(np.where(fixed, largest, -(-whole >> halvings)).tolist())


def quick_error_of(kernel: Function, problem: Problem, shape: Shape, dtype: np.dtype[Any]) -> str | None:
    """Like `error_of`, but with one call and narrow guards, unless something is wrong."""
    case = problem.case(shape, dtype)
    call = _Call(kernel, case, width=NARROW)
    if not call.beside(problem.parameters) and not case.error():
        return None
    wrong = f"{CHANGING}: {case.error()}, {problem.given(case)}"  # a race, if the next call is right
    return error_of(kernel, problem, shape, dtype) or wrong


def error_of_repeating(
    kernel: Function, problem: Problem, shape: Shape, dtype: np.dtype[Any], seconds: float
) -> str | None:
    """The error of a parallel kernel whose results change from call to call, or None after this many seconds."""
    most, end = numba.config.NUMBA_NUM_THREADS, perf_counter() + seconds
    before = numba.get_num_threads()
    try:
        for threads in sorted({1, min(2, most), most}, reverse=True):
            numba.set_num_threads(threads)
            error = _error_of_calls(kernel, problem, shape, dtype, end)
            if error or perf_counter() > end:
                return error
    finally:
        numba.set_num_threads(before)
    return None


def _error_of_calls(kernel: Function, problem: Problem, shape: Shape, dtype: np.dtype[Any], end: float) -> str | None:
    """The error of ten calls on the same numbers, or of those before this time."""
    first: list[NDArray[Any]] = []
    threads = count(numba.get_num_threads(), "thread")
    for calls in range(1, 11):
        case = problem.case(shape, dtype)
        kernel(*case.arguments)
        late = Late(case)
        if error := case.error():
            if late.writes():
                return f"{LATE.format(' and '.join(problem.results))}, {problem.given(case)}"
            return f"{CHANGING}, with {threads}: {error}, {problem.given(case)}"
        first = first or case.outputs
        pairs = zip(first, case.outputs, strict=True)
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs):
            return f"gives other bits in call {calls} than in call 1, as in a race, {problem.given(case)}"
        if perf_counter() > end:
            break
    return None


def hidden_error(kernel: Function, problem: Problem, dtype: np.dtype[Any]) -> str | None:
    """What the sanitizer finds in the source of a compiled kernel that its results may hide: a race, above all."""
    try:
        function, _ = opened(kernel)
    except checks.Error:  # it has no Python source
        return None
    if not _is_compiled(function):
        return None
    cases = arguments.of_problem(problem, dtype.name)
    try:
        with limited(SECONDS):
            report = examine(kernel, cases, len(problem.results), as_compiled=True, most=ACCESSES)
    except TooLongError:
        return None
    found = [finding for finding in report.errors if finding.kind in HIDDEN]
    if not found or any(note.kind == "not covered" for note in report.notes):
        return None
    return f"is not safe: {found[0]}; {found[0].fix}"


def is_interpreted(kernel: object) -> bool:
    """True for a Python function with loops that is not compiled and calls no compiled function."""
    tree = tree_of(kernel.__code__) if isinstance(kernel, FunctionType) else None
    has_loops = any(isinstance(node, (ast.For, ast.While, ast.comprehension)) for node in ast.walk(tree or ast.Pass()))
    return has_loops and not _is_compiled(kernel)


def _is_compiled(kernel: object, *callers: object) -> bool:
    """True for a function that Numba compiles, and for one that calls such functions."""
    if isinstance(kernel, Dispatcher):
        return True
    if not isinstance(kernel, FunctionType) or kernel in callers:
        return False
    named = [kernel.__globals__.get(name) for name in kernel.__code__.co_names]
    called = [*named, *inspect.getclosurevars(kernel).nonlocals.values()]
    return any(_is_compiled(value, kernel, *callers) for value in called)


def placed(case: Case) -> Case:
    """The same with arrays that begin on a cache line, as those of a network do, so that alignment favors no rung."""
    for position, argument in enumerate(case.arguments):
        if isinstance(argument, np.ndarray):
            case.arguments[position] = aligned(argument.shape, argument.dtype)
            case.arguments[position][...] = argument
    return case


class _Call:
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
                inner = np.ndarray(argument.shape, argument.dtype, memory, width)  # an empty slice is at the start
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
                count = int(changed.reshape(-1, size).any(axis=1).sum())
                if count:
                    return f"writes outside its output: {count} number{'s' * (count > 1)} {where} of {name}"
            if self.changed[position] and position < len(names) - len(self.case.expected):
                return f"changes its input {name}"
        return None

    def within(self, outputs: Sequence[str], with_zeros: Callable[[int], "_Call"]) -> str:
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
