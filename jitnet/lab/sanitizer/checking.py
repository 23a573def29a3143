"""A check: the kernel runs on copies of its arguments, once for each number of threads that matters.

With two and three threads too, if it asks how many there are; the results are then compared bit for bit.
"""

import inspect
import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import checks
from ..loading import Custom, load
from .arrays import Traced
from .findings import Finding, Report
from .numbers import Single, listeners
from .recorded import mapped
from .shadow import MOST, Memory, Run, address_of, bounds_of
from .twin import Twins

_HERE = os.path.dirname(__file__)

THREADS = (1, 2, 3)
"""The numbers of threads for a kernel that asks for it."""

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
    as_compiled: bool = False, most: int = MOST,
) -> Report:  # fmt: skip
    """The report of a kernel on several lists of arguments.

    as_compiled    its prange loops are parallel only if it is compiled with parallel=True; otherwise always
    most           accesses of a run, after which it counts as too long
    """
    function = load(kernel)
    body = getattr(function, "py_func", function)
    report = Report(name or str(getattr(body, "__name__", body)))
    for arguments in cases:
        _Case(report, function, list(arguments), names_of(body, arguments), writes, as_compiled, most).run()
    return report


def names_of(body: Any, arguments: Sequence[Any]) -> list[str]:
    """The names of the arguments."""
    try:
        bound = inspect.signature(body).bind(*arguments)
    except TypeError as error:
        raise checks.Error(
            f"{getattr(body, '__name__', body)} cannot be called with these arguments: {error}"
        ) from None
    except ValueError:  # it has no signature
        return [f"argument {i + 1}" for i in range(len(arguments))]
    names: list[str] = []
    for name, value in bound.arguments.items():
        is_several = body and inspect.signature(body).parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
        names += [f"{name}[{i}]" for i in range(len(value))] if is_several else [name]
    return names


class _Case:
    """A kernel on one list of arguments."""

    def __init__(
        self, report: Report, function: Callable[..., Any], arguments: list[Any], names: list[str],
        writes: Writes, as_compiled: bool, most: int,
    ) -> None:  # fmt: skip
        self.report, self.function, self.arguments, self.names = report, function, arguments, names
        self.as_compiled, self.most = as_compiled, most
        if isinstance(writes, int):
            writes = names[len(names) - writes :]
        self.writes = [writes] if isinstance(writes, str) else writes
        for name in self.writes or ():
            checks.one_of("parameter", name, names)

    def run(self) -> None:
        asked, first = self._once(THREADS[0])
        if asked:
            for threads in THREADS[1:]:
                _, other = self._once(threads)
                self._compare(first, other, threads)

    def _once(self, threads: int) -> tuple[bool, list[NDArray[Any]]]:
        """A run with so many threads; whether it asked for their number, and its results."""
        run = Run(self.report, threads)
        run.most = self.most
        twins = Twins(run)
        body = twins.of(self.function, self.as_compiled)
        run.sums = twins.sums
        given = shadowed(run, self.arguments, self.names, self._may_write)
        shapes = [f"{name} {a.shape}" for name, a in zip(self.names, given, strict=True) if isinstance(a, Traced)]
        self.report.runs.append(", ".join(shapes) + (f"; {threads} threads" if threads > 1 else ""))
        result = None
        listeners.append(run.promoted)
        try:
            with np.errstate(all="ignore"):
                result = body(*given)
        except (Exception, SystemExit) as error:
            self._raised(error)
        else:
            self._look_at_the_end(run, given, result)
        finally:
            listeners.pop()
        for name, file, line in twins.sums:
            if (file, line, name) in run.float_sums:
                message = f"adds up {name} in parallel: its last bits depend on the number of threads"
                self.report.add(Finding("order", message, [line], file, name), name)
        is_parallel = getattr(self.function, "targetoptions", {"parallel": True}).get("parallel")
        if not is_parallel and run.loop and self.report.errors:
            message = "it is compiled without parallel=True, so prange is a range there; it was checked as if with it"
            self.report.add(Finding("serial", message))
        for name in twins.without_source:
            message = f"the source of {name} was not found, so its reductions and private variables are unknown"
            self.report.add(Finding("not covered", message), name)
        outputs = [a.data for a in _arrays(given) if not a.memory.is_input]
        outputs += [a.data for a in _arrays(result)] + [np.asarray(x) for x in _numbers(result)]
        return run.asked or run.by_thread, outputs

    def _may_write(self, i: int, array: NDArray[Any]) -> bool:
        return self.names[i] in self.writes if self.writes is not None else bool(array.flags.writeable)

    def _look_at_the_end(self, run: Run, given: list[Any], result: Any) -> None:
        """Elements of outputs and results that nothing wrote."""
        outputs = _arrays(given)
        results = [a for a in _arrays(result) if a.memory not in [other.memory for other in outputs]]
        for array in [*outputs, *results]:
            missing = array.memory.unwritten(array.data)
            if missing:
                name, element = array.memory.name, missing[0]
                first = f"{name}[{', '.join(map(str, element))}]"
                how = "returns" if array in results else "leaves"
                of = f"{name}, of which nothing wrote" if how == "returns" else f"{name} unwritten:"
                message = f"{how} {of} {checks.count(len(missing), 'element')}, first {first}"
                self.report.add(Finding("unwritten", message, array=name, element=element), name)

    def _raised(self, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        inside = [frame for frame in frames if not (frame.filename or "").startswith(_HERE)]
        place = inside[-1] if inside else frames[-1]
        kind = "raises" if frames[-1] in inside else "stopped"
        kind = "overflow" if isinstance(error, OverflowError) else kind
        what = "could not be checked to its end:" if kind == "stopped" else "raises"
        message = f"{what} {checks.described(error)}, given {self.report.runs[-1]}"
        self.report.add(Finding(kind, message, [place.lineno or 0], place.filename))

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


def shadowed(
    run: Run, arguments: Sequence[Any], names: Sequence[str], may_write: Callable[[int, NDArray[Any]], bool]
) -> list[Any]:
    """Arguments that record: copies of the arrays, which share memory where the originals do.

    may_write    whether the kernel may write an array that is, or is in, the argument of that number
    """
    arrays: dict[int, NDArray[Any]] = {}
    of: dict[int, list[int]] = {}
    """Array -> the parameters that it is given to."""
    for i, argument in enumerate(arguments):
        for array in arrays_in(argument):
            arrays[id(array)] = array
            of.setdefault(id(array), []).append(i)
    made: dict[int, Traced] = {}
    for group in sharing(arrays):
        start = min(bounds_of(arrays[i])[0] for i in group)
        block = np.zeros(max(bounds_of(arrays[i])[1] for i in group) - start + 1, np.uint8)
        copies = {}
        for i in group:
            copies[i] = copied(arrays[i], block, address_of(arrays[i]) - start)
        memory = Memory(run, copies[group[0]], names[of[group[0]][0]], block=block)
        memory.origin = start
        memory.is_input = not any(may_write(k, arrays[i]) for i in group for k in of[i])
        if len(group) == 1 and not memory.is_input and has_nan(copies[group[0]]):
            memory.initialized = np.zeros(memory.count, np.bool_)
        for i in group:
            made[i] = Traced(copies[i], memory)

    def recording(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return made[id(value)]
        return Single(value) if type(value) is np.float32 else value

    return [mapped(argument, recording) for argument in arguments]


def copied(array: NDArray[Any], block: NDArray[np.uint8], at: int) -> NDArray[Any]:
    """A copy with the same strides, whose first element is at byte `at` of the block."""
    copy: NDArray[Any] = np.ndarray(array.shape, array.dtype, block, at if array.size else 0,
                                    array.strides if array.size else None)  # fmt: skip
    copy[...] = array
    return copy


def sharing(arrays: dict[int, NDArray[Any]]) -> list[list[int]]:
    """The arguments in groups of those whose memory overlaps."""
    groups: list[list[int]] = []
    for i, array in arrays.items():
        low, high = bounds_of(array)
        found = [
            g for g in groups if any(low < bounds_of(arrays[j])[1] and bounds_of(arrays[j])[0] < high for j in g)
        ]  # fmt: skip
        groups = [g for g in groups if g not in found] + [[j for g in found for j in g] + [i]]
    return groups


def arrays_in(argument: Any) -> list[NDArray[Any]]:
    """The arrays of an argument, which may be a tuple or list of them."""
    if isinstance(argument, np.ndarray):
        return [argument]
    return [a for part in argument for a in arrays_in(part)] if isinstance(argument, (tuple, list)) else []


def _arrays(result: Any) -> list[Traced]:
    if isinstance(result, Traced):
        return [result]
    return [a for part in result for a in _arrays(part)] if isinstance(result, (tuple, list)) else []


def _numbers(result: Any) -> list[Any]:
    if isinstance(result, (int, float, np.number, np.bool_)):
        return [result]
    return [x for part in result for x in _numbers(part)] if isinstance(result, (tuple, list)) else []


def has_nan(array: NDArray[Any]) -> bool:
    """True for an array that holds nothing but NaN: it counts as not initialized."""
    return array.dtype.kind == "f" and array.size > 0 and bool(np.isnan(array).all())
