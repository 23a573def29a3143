"""A check: the kernel runs on copies of its arguments, and everything that it does wrong is reported.

A kernel that asks for the number of threads also runs with two and three, and its results are compared bit for bit.
"""

import contextlib
import inspect
import io
import itertools
import math
import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numba
import numpy as np
from numba.core.errors import NumbaError
from numpy.typing import NDArray

from ... import checks
from ...process import progress
from ..loading import Custom, body_of, called_with, load
from .argument_copies import arrays_in, as_python, recording_copies
from .arrays import Traced, traced_in
from .findings import BROKEN, Finding, Report, returned
from .instrumented import Instrumenter
from .numbers import listeners
from .races import ALONE, MOST, Memory, Run, TooLongError, numbers_of
from .recorded import bare
from .syntax import integers_in, renamed
from .targets import name_of, opened

_HERE, _NUMBA = os.path.dirname(__file__), os.path.dirname(numba.__file__)

_LIBRARIES = (_HERE, _NUMBA, os.path.dirname(np.__file__))

_RAISED = (ValueError, IndexError, ZeroDivisionError)
"""Exceptions that arrays and numbers raise in place of compiled code."""

SECONDS = 10.0
"""The time limit of a run without any access to an array."""

FEW = 200_000
"""Accesses of a run on small arrays, after which it counts as endless, in some seconds. Many loops need the square of
the number of elements, and few the cube."""

THREADS = (1, 2, 3)
"""The numbers of threads for a kernel that asks for it."""

FIXED = range(4, 65)
"""Integers of its source for which it may have buffers of as many threads: twice as many are tried."""

WRITTEN = 100_000
"""Accesses of a run that shows which elements are written."""

OF_LOOPS = ("race", "shared", "carried", "lost")
"""Errors that only a prange loop has whose iterations are threads."""

NESTED = "with the threading layer that Numba takes where TBB and OpenMP are missing, workqueue, this ends the process"

DIFFERENT = 1e-3
"""Results that differ by more than this, relative to the largest, differ by more than the order of a sum."""


Writes = str | Sequence[str] | int | None


class CheckError(AssertionError):
    """A kernel has errors; `report` has all findings."""

    def __init__(self, report: Report) -> None:
        super().__init__(f"\n{report}")
        self.report = report

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.report,), vars(self)


def check(kernel: Custom, *arguments: Any, writes: Writes = None) -> Report:
    """Run a kernel's Python source on these arguments, every prange iteration as a thread, and raise if it has errors.

    kernel      a function, compiled by Numba or not, or the name of one: "file.py:function"
    arguments   arrays and numbers, small ones: the loops are interpreted. They are copied, not changed. An array of
                NaN counts as not initialized: the kernel must write it before it reads it, and all of it
    writes      the parameters that it may write, "C" or ["W", "b"], or how many of the last ones; the other arrays are
                inputs. By default it may write all, except arrays that are read-only (`A.flags.writeable = False`)

    Returns the report, whose `warnings` and `notes` are no errors. Errors: `CheckError`, an AssertionError
    """
    report = examine(kernel, [arguments], writes)
    if report:
        raise CheckError(report)
    return report


def examine(
    kernel: Custom, cases: Iterable[Sequence[Any]], writes: Writes = None, name: str | None = None,
    as_compiled: bool = False, most: int = MOST, say: progress.Report = progress.ignore,
) -> Report:  # fmt: skip
    """The report of a kernel on several lists of arguments, up to the first on which it may be endless.

    as_compiled    its prange loops are parallel only if it is compiled with parallel=True; otherwise always
    most           accesses of a run, after which it counts as too long
    say            is called before each case: done, total, what
    """
    kernel = load(kernel)
    function, bound = opened(kernel)
    report, cases = Report(name or name_of(kernel)), list(cases)
    report.given = cases[0] if cases else ()
    for done, given in enumerate(cases):
        arguments = [as_python(argument) for argument in (*bound, *given)]
        case = _Case(report, function, arguments, writes, as_compiled, most)
        say(done, len(cases), f"checking: {case.shapes}")
        case.run()
        if case.is_endless:
            break
    return report


def results(kernel: Callable[..., Any], arguments: Sequence[Any]) -> list[NDArray[Any]]:
    """What a run on one thread writes and returns; nothing is reported."""
    return _unreported(kernel, arguments).once(1)[1]


def written(kernel: Callable[..., Any], arguments: Sequence[Any]) -> dict[str, NDArray[np.bool_]]:
    """Array -> which of its elements a run on one thread writes; nothing if it does not end. Nothing is reported."""
    case = _unreported(kernel, arguments, WRITTEN)
    with contextlib.redirect_stdout(io.StringIO()):
        run, _ = case.once(1, _Writing(case.report, 1))
    assert isinstance(run, _Writing)
    if any(error.kind in BROKEN for error in case.report.errors):
        return {}
    return {name: run.mask(array) for name, array in case.traced.items()}


def _unreported(kernel: Callable[..., Any], arguments: Sequence[Any], most: int = MOST) -> "_Case":
    """A case whose findings are discarded."""
    function, bound = opened(kernel)
    return _Case(Report(""), function, [as_python(argument) for argument in (*bound, *arguments)], most=most)


class _Checking(Run):
    """A run that also checks what the threads do that an iteration starts."""

    def called_alone(self, function: Any, arguments: Sequence[Any], options: dict[str, Any]) -> None:
        given = inspect.signature(function.py_func).bind(*arguments, **options)
        values = [as_python(bare(value, [])) for value in given.args]
        if any(map(callable, values)):  # it belongs to this run
            return
        case = _Case(Report(""), function, values, most=FEW)
        run, _ = case.once(THREADS[0])
        if run.loop:
            self.found("nested", f"calls {name_of(function)} in a prange loop, which has one of its own: {NESTED}")
        is_long = any(error.kind == "too long" for error in case.report.errors)
        if is_long or any(iterations > 1 for _, iterations in run.loops.values()):
            self.nested[function] = ALONE
        for error in case.report.errors:
            if error.kind in OF_LOOPS:
                self.report.add(error, error.array)


class _Writing(Run):
    """A run that notes which elements are written."""

    def __init__(self, report: Report, threads: int) -> None:
        super().__init__(report, threads)
        self.writes: dict[Memory, NDArray[np.bool_]] = {}

    def touched(self, memory: Memory, at: Any, stores: bool) -> None:
        super().touched(memory, at, stores)
        if stores:
            self.writes.setdefault(memory, np.zeros(memory.count, np.bool_))[at] = True

    def mask(self, array: Traced) -> NDArray[np.bool_]:
        """Which elements of an array are written."""
        marked = self.writes.get(array.memory)
        return np.zeros(array.data.shape, np.bool_) if marked is None else marked[numbers_of(array.data, array.memory)]


@contextlib.contextmanager
def limited(seconds: float, progress: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Raise TooLongError after this many seconds without `progress`, and every time that as many pass again.

    The number of accesses does not limit a loop without arrays, which can be endless in Python, whose integers do not
    wrap. Only the main thread can be interrupted, and not on Windows. A timer that runs already, such as that of a
    `limited` around this one, continues afterwards; if it ends first, it ends this one too.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    remaining, interval = signal.getitimer(signal.ITIMER_REAL)
    is_first = seconds < (remaining or math.inf)
    seconds, last = seconds if is_first else remaining, progress()

    def stop(*_: object) -> None:
        nonlocal last
        before, last = last, progress()
        if last == before or not is_first:
            raise TooLongError(f"no end after {seconds:g} seconds")

    before, start = signal.signal(signal.SIGALRM, stop), time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if remaining:
            signal.setitimer(signal.ITIMER_REAL, max(remaining - (time.monotonic() - start), 1e-6), interval)


def names_of(function: Any, arguments: Sequence[Any]) -> list[str]:
    """The names of the arguments."""
    given = called_with(function, name_of(function), arguments)
    names: list[str] = []
    for name, value in given.arguments.items():
        is_several = given.signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
        names += [f"{name}[{i}]" for i in range(len(value))] if is_several else [name]
    return names


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without the warnings of NumPy, which compiled code does not give."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Case:
    """A kernel on one list of arguments."""

    def __init__(
        self, report: Report, function: Callable[..., Any], arguments: list[Any], writes: Writes = None,
        as_compiled: bool = False, most: int = MOST,
    ) -> None:  # fmt: skip
        self.report, self.function, self.arguments = report, function, arguments
        self.names = names = names_of(function, arguments)
        self.as_compiled, self.most, self.is_endless = as_compiled, most, False
        self.file = body_of(function).__code__.co_filename
        self.shapes = ", ".join(f"{n} {a.shape}" for n, a in zip(names, arguments, strict=True) if hasattr(a, "shape"))
        if isinstance(writes, int):
            writes = names[len(names) - writes :]
        self.writes = [writes] if isinstance(writes, str) else writes
        for name in self.writes or ():
            checks.one_of("parameter", name, names)

    def run(self) -> None:
        run, first = self.once(THREADS[0])
        if (run.asked or run.by_thread) and not self.is_endless:
            fixed = integers_in(body_of(self.function), FIXED)[:2]
            for threads in (*THREADS[1:], *(2 * number for number in fixed)):
                with self._possible(run.asked or threads <= numba.config.NUMBA_NUM_THREADS, threads):
                    _, other = self.once(threads)
                    self._compare(first, other, threads)

    @contextlib.contextmanager
    def _possible(self, is_certain: bool, threads: int) -> Iterator[None]:
        """Errors become warnings if this machine cannot have that many threads, which the kernel may rely on."""
        report = self.report
        self.report = report if is_certain else Report(report.name)
        try:
            yield
        finally:
            mine, self.report = self.report, report
        if mine is not report:
            report.runs += mine.runs
            report.of_runs += mine.of_runs
            for error in mine.errors:
                when = "" if error.kind == "differs" else f"with {threads} threads, "
                report.add(replace(error, kind="machine", message=f"{when}{error.message}"))

    def once(self, threads: int, run: Run | None = None) -> tuple[Run, list[NDArray[Any]]]:
        """A run with this many threads, and its results."""
        run = run or _Checking(self.report, threads)
        sizes = [array.size for argument in self.arguments for array in arrays_in(argument)]
        sizes += [abs(argument) for argument in self.arguments if isinstance(argument, int)]  # such as steps
        run.most = min(self.most, FEW + sum(sizes) ** 3)
        instrumenter = Instrumenter(run)
        body = instrumenter.instrumented(self.function, self.as_compiled)
        given = recording_copies(instrumenter, self.arguments, self.names, self._may_write)
        self.traced = {name: a for name, a in zip(self.names, given, strict=True) if isinstance(a, Traced)}
        shapes = [f"{name} {a.shape}" for name, a in self.traced.items()]
        shapes = shapes or [f"{name} = {value}" for name, value in zip(self.names, given, strict=True)]
        self.report.runs.append(", ".join(shapes) + (f"; {threads} threads" if threads > 1 else ""))
        result = None
        listeners.append(run)
        try:
            with np.errstate(all="ignore"), _silent(), limited(SECONDS, lambda: run.accesses):
                result = body(*given)
                if inspect.isgenerator(result):  # which runs when it is asked for values
                    result = list(itertools.islice(result, MOST))
        except (Exception, SystemExit, TooLongError) as error:
            # with a lower limit of accesses, other cases may be below it
            self.is_endless = isinstance(error, TooLongError) and (self.most == MOST or run.accesses <= self.most)
            self._raised(error)
        else:
            self._look_at_the_end(given, result)
        finally:
            listeners.pop()
            self.report.of_runs.append((run.accesses, run.loops))
        is_parallel = getattr(self.function, "targetoptions", {"parallel": True}).get("parallel")
        if not is_parallel and run.loop and self.report.errors:
            message = "it is compiled without parallel=True, so prange is a range there; it was checked as if with it"
            self.report.add(Finding("serial", message))
        outputs = [a.data for a in traced_in(given) if not a.memory.is_input]
        outputs += [a.data for a in traced_in(result)] + [np.asarray(x) for x in _numbers(result)]
        return run, outputs

    def _may_write(self, i: int, array: NDArray[Any]) -> bool:
        return self.names[i] in self.writes if self.writes is not None else bool(array.flags.writeable)

    def _look_at_the_end(self, given: list[Any], result: Any) -> None:
        """Elements of outputs and results that nothing wrote."""
        outputs, lost = traced_in(given), renamed(self.function) or {}
        results = [a for a in traced_in(result) if a.memory not in [other.memory for other in outputs]]
        missing = {id(a): a.memory.unwritten(a.data) for a in [*outputs, *results]}
        awaited = [a for a in outputs if a.memory.initialized is not None]
        if (results or _numbers(result)) and awaited and all(0 < a.data.size == len(missing[id(a)]) for a in awaited):
            self.report.add(Finding("returned", returned([a.memory.name for a in awaited])))
            outputs = []
        for said, arrays in [
            ("never writes {count} of {name}", outputs),
            ("returns {name}, of which nothing wrote {count}", results),
        ]:
            for array in (a for a in arrays if missing[id(a)]):
                name, elements = array.memory.name, missing[id(array)]
                if name in lost and len(elements) == array.data.size:
                    message = f"writes nothing into {name}, because `{name} = ...` gives its name to something else"
                    self.report.add(Finding("renamed", message, [lost[name]], self.file, name), name)
                    continue
                message = said.format(count=checks.count(len(elements), "element"), name=name)
                message += f", first {array.memory.named(elements[0])}, given {self.report.runs[-1]}"
                self.report.add(Finding("unwritten", message, array=name, element=elements[0]), name)

    def _raised(self, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        of_kernel = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
        place = of_kernel[-1] if of_kernel else frames[-1]
        is_numpy_rule = getattr(self.function, "targetoptions", {}).get("error_model") == "numpy"
        if isinstance(error, OverflowError):
            kind, what = "overflow", f"raises {checks.described(error)}"
        elif isinstance(error, NumbaError) or frames[-1].filename.startswith(_NUMBA):
            kind, what = "stopped", "it calls compiled code without Python source, which takes no arrays that record"
        elif isinstance(error, ZeroDivisionError) and is_numpy_rule:
            kind, what = "stopped", "Python does not divide by zero, as error_model='numpy' does"
        elif isinstance(error, TooLongError):
            kind, what = "too long", str(error)
        elif frames[-1].filename.startswith(_HERE) and not isinstance(error, _RAISED):
            kind, what = "stopped", checks.described(error)
        else:
            kind, what = "raises", f"raises {checks.described(error)}"
        special = "division" if kind == "raises" and isinstance(error, ZeroDivisionError) else ""
        message = f"could not be checked to its end: {what}" if kind in ("stopped", "too long") else what
        message += f", given {self.report.runs[-1]}" if self.report.runs[-1] else ""
        self.report.add(Finding(kind, message, [place.lineno or 0], place.filename, special=special))

    def _compare(self, first: list[Any], other: list[Any], threads: int) -> None:
        """Results with one thread and with several."""
        for one, several in zip(first, other, strict=False):
            if (
                one.shape != several.shape
                or one.dtype.kind not in "fiub"
                or np.array_equal(one, several, equal_nan=one.dtype.kind == "f")
            ):
                continue
            a, b = one.astype(np.float64), several.astype(np.float64)
            largest = float(np.nanmax(np.abs(a), initial=0.0))
            difference = np.abs(a - b)
            index = np.unravel_index(int(np.nanargmax(np.where(np.isnan(difference), np.inf, difference))), a.shape)
            is_rounding = difference[index] <= DIFFERENT * largest
            message = f"gives {a[index]:.9g} with 1 thread, but {b[index]:.9g} with {threads}"
            why = ": it adds up in another order" if is_rounding else ""
            self.report.add(Finding("threads" if is_rounding else "differs", message + why))


def _numbers(result: Any) -> list[Any]:
    if isinstance(result, (int, float, np.number, np.bool_)):
        return [result]
    return [x for part in result for x in _numbers(part)] if isinstance(result, (tuple, list)) else []
