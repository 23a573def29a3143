"""Every rung of an operation on the same data: first checked against the oracle, then timed in alternation.

A rung is compared with the interpreted loop, with the previous rung, with NumPy, and with the peak of this machine:
multiply-adds for products, the bandwidth of the cache that holds the data for other operations.
"""

import contextlib
import dataclasses
import functools
import math
import secrets
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import backend, checks
from ..compiler.threads import thread_count
from ..process import disturbance
from ..process.progress import Report, ignore, stage
from . import formatting, loading, machine, peaks, roofline
from .benchmark import candidates, gpu, sandbox, training
from .benchmark.candidates import Candidate
from .ladder_table import Ladder, as_text, errors
from .loading import Custom
from .oracle import Shape
from .problems import Problem
from .timing import CandidateError, RemoteCall, Timing, blas_threads, time_alternating

__all__ = ["Ladder", "as_text", "compare", "dtype_of", "errors", "measure", "measure_gpu", "shape_of"]

UNKNOWN = {"share_of_peak": None, "share_of_numpy": None}
"""The figures of a rung that a disturbed measurement does not give."""

PATIENCE = 0.5
"""Seconds that one call may take. A slower rung gets a smaller size, and the table shows it."""


def _warn(error: str) -> None:
    """Before the rungs are timed, so that users can stop them."""
    warnings.warn(error, stacklevel=3)


def shape_of(size: str | int | None, problem: Problem | None = None) -> Shape:
    """The sizes in `"64x784x128"`; for an operation, `"512"` is short for three. None: the default of the problem."""
    if size is None and problem:
        return problem.timed[0]
    usual, wanted = [1, 3], "a whole number such as 512, or m x n_in x n_out: 64x784x128"
    if problem and problem.path:
        usual, wanted = [len(problem.timed[0])], f"whole numbers, as in {'x'.join(map(str, problem.timed[0]))}"
    parts = str(size).lower().split("x")
    if len(parts) not in usual or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise checks.Error(f"size is {size!r}, but must be {wanted}")
    shape = tuple(map(int, parts * 3 if usual == [1, 3] and len(parts) == 1 else parts))
    if math.prod(sorted(shape)[-2:]) > 2**28:
        raise checks.Error(f"size {size} is too large; a matrix may have 2**28 numbers")
    return shape


def dtype_of(name: str | None, problem: Problem) -> np.dtype[Any]:
    dtype = checks.dtype_of(problem.dtypes[0] if name is None else name)
    if dtype.name not in problem.dtypes:
        raise checks.Error(f"dtype is {dtype}, but {problem.name} has {' and '.join(problem.dtypes)} only")
    return dtype


def measure(
    operation: str | Problem, size: str | int | None = None, dtype: str | None = None,
    threads: int | None = None, report: Report = ignore, limits: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Check and time every rung of an operation, or of a problem; the machine peaks are `limits`, or those of
    `machine.limits`.

    Keys: operation, shape, dtype, threads, unit (GFLOP/s or GB/s), limit (the peak that `share_of_peak` is a fraction
    of), raised (a sentence for each peak that a rung exceeded), numpy_threads, cpu, disturbed (True if times or peaks
    are unreliable), disturbed_by (the reasons), roofline (of `roofline.roofline`; None if disturbed), rungs: a list of
    name, custom (False), idea, shape, checked, seconds, low, high (quartiles), gflops or gbytes, speedup (vs the
    interpreted loop), gain (vs the rung that it improves on; for a threaded rung, vs the same on one thread),
    share_of_peak and share_of_numpy (None if disturbed), interpreted (a custom kernel that is not compiled), untested
    (shapes that a slow custom kernel was not tested on), rank (by speed; 1 is the slowest).
    """
    return compare(operation, {}, size, dtype, threads, report=report, limits=limits)


def compare(
    operation: str | Problem, custom: Mapping[str, Custom], size: str | int | None = None, dtype: str | None = None,
    threads: int | None = None, patience: float = sandbox.PATIENCE, report: Report = ignore,
    limits: dict[str, Any] | None = None, tell: Callable[[str], object] = _warn,
    seed: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Check and time custom kernels among the rungs of an operation: `compare("matmul", {"mine": my_matmul})`; or of a
    problem: `compare(problems.load("conv2d.py"), {"mine": my_conv2d})`, whose first timed shape is the default size.

    A kernel is any callable with the arguments of a rung, (inputs..., outputs), or the name of one, "file.py:function"
    or "module:function". It is tested and timed in a separate process, where a call may take `patience` seconds
    without compilation; `sandbox` limits its memory and the files that it writes. `seed` draws the shapes that it is
    tested on; by default it is new each time, and the result contains it.

    The result is that of `measure`, with an entry for each custom kernel at the end, where `custom` is True. A kernel
    that fails the test is not timed: it has name, custom, checked (False) and error, a sentence that `tell` also gets
    at once, before the rungs are tested; by default it becomes a warning. So has a rung of a user's problem. A kernel
    that cannot be loaded, or sent to the other process, is a `checks.Error`.
    """
    problem = candidates.problem_of(operation)
    machine.check_compiling()
    kind, shape = dtype_of(dtype, problem), shape_of(size, problem)
    backend.check_threads(threads, "fast")
    checks.number("patience", patience, above=0, below=1e6)
    _check_custom(problem, custom)
    seed = secrets.randbelow(10**6) if seed is None else checks.whole("seed", seed, 0)
    count, names = threads or thread_count(), [*custom, *problem.rungs]
    found: dict[str, Candidate] = {}
    # repeated updates diverge, which costs no time
    with (
        backend.threads(threads), blas_threads(count) as blas, np.errstate(all="ignore"),
        contextlib.ExitStack() as trials,
    ):  # fmt: skip
        for done, name in enumerate(names):  # custom ones first, so that loading errors come at once
            say = functools.partial(stage("checking", report), done, len(names))
            if name in custom or (problem.is_own and name != "numpy"):
                trial = sandbox.Trial(name, custom.get(name), problem, shape, kind, count, patience, seed)
                found[name] = candidates.apart(trials.enter_context(trial), PATIENCE, say)
            else:
                say(f"{problem.name}.{name} against float64")
                used = {"numpy": blas}.get(name, count if name.endswith("parallel") else 1)
                found[name] = candidates.rung(problem, name, shape, kind, used, PATIENCE)
            if found[name].error:
                tell(f"{name} {found[name].error}")
        times, disturbed_by = _times(found, count, report, tell)
    if not times:
        raise checks.Error(f"there is nothing to time: no rung of {problem.name} passed the check")
    head = {
        "operation": problem.name, "shape": list(shape), "dtype": kind.name, "threads": count, "numpy_threads": blas,
        "seed": seed if custom or problem.is_own else None,
    }  # fmt: skip
    limits = limits or machine.limits(report=stage("machine peaks", report))
    return _result(head, problem, found, times, limits, disturbed_by or limits["disturbed_by"], report, tell)


def _result(
    head: dict[str, Any], problem: Problem, found: dict[str, Candidate], times: dict[str, Timing],
    limits: dict[str, Any], disturbed_by: list[str], report: Report, tell: Callable[[str], object],
) -> dict[str, Any]:  # fmt: skip
    """The ladder from its timings; kernels that were faster than the machine can be are refused."""
    names = [*problem.rungs, *(name for name in found if found[name].custom)]
    dtype = np.dtype(head["dtype"])
    typical = dataclasses.replace(max(found.values(), key=lambda who: who.moves), threads=1)
    unit = problem.unit or _unit(limits, dtype, typical)
    is_product = unit == "GFLOP/s"
    rates = [(name, found[name], found[name].work(unit) / time.seconds) for name, time in times.items()]
    if disturbed_by:
        raised = peaks.too_low(rates, limits, dtype, is_product)
    else:
        limits, raised = peaks.above(rates, limits, dtype, is_product, stage("machine peaks", report))
    rungs = _compared(names, found, times, limits, dtype, is_product)
    if not disturbed_by and _refuse_impossible(rungs, found, problem, tell):
        times = {name: timing for name, timing in times.items() if not found[name].error}
        rungs = _compared(names, found, times, limits, dtype, is_product)
    result = head | {
        "unit": unit, "limit": peaks.name_of(limits, typical, is_product), "limit_kind": typical.kind, "raised": raised,
        "cpu": limits["cpu"], "disturbed": bool(disturbed_by), "disturbed_by": disturbed_by,
        "rungs": [rung | (UNKNOWN if disturbed_by and rung["checked"] else {}) for rung in rungs],
    }  # fmt: skip
    return Ladder(result | {"roofline": None if disturbed_by else roofline.roofline(result, limits)})


def _unit(limits: dict[str, Any], dtype: np.dtype[Any], who: Candidate) -> str:
    """The unit of the peak that limits a kernel: the larger of its minimum times for work and for memory decides."""
    by_work = who.flops / peaks.peak_of(limits, dtype, who, True)
    by_memory = who.moves / peaks.peak_of(limits, dtype, who, False)
    return "GFLOP/s" if by_work > by_memory else "GB/s"


def measure_gpu(operation: str, size: str | int | None = None, report: Report = ignore) -> dict[str, Any]:
    """Check and time every rung of an operation on the GPU, in float32.

    The result is that of `measure`, where speedup is vs the first rung. These keys are None: threads, numpy_threads,
    limit, roofline, share_of_peak and share_of_numpy. cpu is the name of the GPU.
    """
    problem = candidates.problem_of(operation)
    ladder, shape = list(gpu.ladder_of(problem.name)), shape_of(size, problem)
    found: dict[str, Candidate] = {}
    with np.errstate(all="ignore"):
        for done, name in enumerate(ladder):
            say = functools.partial(stage("checking", report), done, len(ladder))
            say(f"{problem.name}.{name} against float64")
            found[name] = candidates.rung_of_gpu(problem.name, name, shape, PATIENCE)
        times, disturbed_by = _times(found, 1, report)
    return Ladder({
        "operation": problem.name, "shape": list(shape), "dtype": "float32", "threads": None,
        "unit": problem.unit, "limit": None, "numpy_threads": None, "cpu": gpu.name(),
        "disturbed": bool(disturbed_by), "disturbed_by": disturbed_by,
        "roofline": None,
        "rungs": _compared(ladder, found, times, None, np.dtype(np.float32), problem.unit == "GFLOP/s"),
    })  # fmt: skip


def _check_custom(problem: Problem, custom: Mapping[str, Custom]) -> None:
    """Raise the errors that need no run."""
    if not isinstance(custom, Mapping):
        wanted = f"a dict of names and functions: {{'mine': my_{problem.name}}}"
        raise checks.Error(f"custom is {custom!r}, but must be {wanted}")
    if custom and problem is training.STEP:
        raise checks.Error("the rungs of train are backends; try yours with an operation, such as matmul")
    for name, function in custom.items():
        if name in problem.rungs:
            raise checks.Error(f"{problem.name} has a rung {name!r} already; give yours another name")
        if isinstance(function, str):
            loading.check_name(function)
        elif not callable(function):
            raise checks.Error(
                f"{name} is {function!r}, but must be a function, or the name of one: 'file.py:function'"
            )


def _times(
    found: dict[str, Candidate], threads: int, report: Report, tell: Callable[[str], object] = ignore
) -> tuple[dict[str, Timing], list[str]]:
    """Timings of all, and what disturbed them. If a custom kernel fails now, the others begin again."""
    while True:
        calls = {name: who.call for name, who in found.items() if not who.error}
        try:
            with disturbance.Watch(threads) as watch:
                times = time_alternating(calls, most=1.0, report=stage("timing, round", report))
            return times, watch.reasons or disturbance.of_timings(times.values())
        except CandidateError as failure:
            if not isinstance(found[failure.name].call, RemoteCall):
                raise
            found[failure.name].error = str(failure.__cause__)
            tell(f"{failure.name} {found[failure.name].error}")


def _refuse_impossible(
    rungs: list[dict[str, Any]], found: dict[str, Candidate], problem: Problem, tell: Callable[[str], object]
) -> bool:
    """Refuse users' kernels that are faster than the peak of the machine."""
    above = [rung for rung in rungs if (rung.get("share_of_peak") or 0.0) > disturbance.ABOVE]
    for rung in above:
        who = found[rung["name"]]
        who.error = (
            f"took {formatting.duration(rung['seconds'])}, {rung['share_of_peak']:.0%} of the machine's peak, so it "
            f"cannot have done the work; if it has, the peak is out of date ({_or_the_peak(problem)})"
        )
        tell(f"{rung['name']} {who.error}")
    if len(above) == sum("share_of_peak" in rung for rung in rungs):
        raise checks.Error(f"nothing is left to compare; flops or memory of {problem.name} count too much")
    return bool(above)


def _or_the_peak(problem: Problem) -> str:
    """Other possible reasons for a kernel that is faster than the peak."""
    again = "jitnet machine --again"
    return f"{again}), or the problem counts more work than there is (flops, memory" if problem.path else again


def _compared(
    names: list[str], found: dict[str, Candidate], times: dict[str, Timing], limits: dict[str, Any] | None,
    dtype: np.dtype[Any], is_product: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    """The entry of each rung, in this order; None where there is nothing to compare with."""
    unit = "GFLOP/s" if is_product else "GB/s"
    work = {name: found[name].work(unit) for name in times}
    rates = {name: work[name] / times[name].seconds for name in times}
    key = formatting.SPEEDS[unit]
    rungs: list[dict[str, Any]] = []
    first = serial = next(name for name in names if name in times)
    for name in names:
        who = found[name]
        if who.error:
            rungs.append({"name": name, "custom": who.custom, "checked": False, "error": who.error})
            continue
        below = None if name in (first, "numpy") or who.custom else serial
        limit = None
        if limits and not limits["disturbed"]:
            limit = peaks.peak_of(limits, dtype, who, is_product)
        rungs.append({
            "name": name, "custom": who.custom, "idea": who.idea, "shape": list(who.shape), "checked": True,
            "seconds": times[name].seconds, "low": times[name].low, "high": times[name].high,
            key: rates[name] / 1e9, "bytes": who.moves, "intensity": work[name] / who.moves,
            "speedup": rates[name] / rates[first],
            "gain": rates[name] / rates[below] if below else None,
            "share_of_peak": rates[name] / limit if limit else None,
            "share_of_numpy": rates[name] / rates["numpy"] if "numpy" in rates else None,
            "interpreted": who.is_interpreted, "untested": who.untested,
            "rank": sorted(rates.values()).index(rates[name]) + 1,
        })  # fmt: skip
        if not name.endswith("parallel"):
            serial = name
    return rungs
