"""Every rung of an operation on the same data: first checked against the oracle, then timed in turn.

A rung is compared with the interpreted loop, with the previous rung, with NumPy, and with the peak of this machine:
multiply-adds for products, the bandwidth of the cache that holds the data for other operations.
"""

import contextlib
import functools
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import backend, checks
from ..compiler.threads import thread_count
from ..display import markup
from ..process import disturbance
from ..process.progress import Report, stage
from . import formatting, loading, machine, peaks, roofline
from .benchmark import candidates, gpu, sandbox
from .benchmark.candidates import PRODUCTS, Candidate, ignore, known, rungs_of
from .loading import Custom
from .oracle import Shape
from .timing import CandidateError, Timing, blas_threads, in_turn

PATIENCE = 0.5
"""Seconds that one call may take. A slower rung gets a smaller size, and the table shows it."""


def shape_of(size: str | int) -> Shape:
    """(m, n_in, n_out) of `"512"` or `"64x784x128"`."""
    parts = str(size).lower().split("x")
    if len(parts) not in (1, 3) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise checks.Error(f"size is {size!r}, but must be a whole number such as 512, or m x n_in x n_out: 64x784x128")
    m, n_in, n_out = (int(part) for part in (parts * 3 if len(parts) == 1 else parts))
    if max(m * n_in, n_in * n_out, m * n_out) > 2**28:
        raise checks.Error(f"size {size} is too large; a matrix may have 2**28 numbers")
    return m, n_in, n_out


def measure(
    operation: str, size: str | int = 512, dtype: str = "float32", threads: int | None = None,
    report: Report | None = None, limits: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Check and time every rung of an operation; the machine peaks are `limits`, or those of `machine.limits`.

    Keys: operation, shape, dtype, threads, unit (GFLOP/s or GB/s), limit (the peak that `share_of_peak` is a fraction
    of), raised (a sentence for each peak that a rung exceeded), numpy_threads, cpu, disturbed (True if times or peaks
    are unreliable), disturbed_by (the reasons), roofline (of `roofline.roofline`; None if disturbed), rungs: a list of
    name, custom (False), idea, shape, checked, seconds, low, high (quartiles), gflops or gbytes, speedup (vs the
    interpreted loop), gain (vs the rung that it improves on; for a threaded rung, vs the same on one thread),
    share_of_peak (None if disturbed), share_of_numpy, rank (by speed; 1 is the slowest).
    """
    return compare(operation, {}, size, dtype, threads, report=report, limits=limits)


def compare(
    operation: str, custom: Mapping[str, Custom], size: str | int = 512, dtype: str = "float32",
    threads: int | None = None, patience: float = sandbox.PATIENCE, report: Report | None = None,
    limits: dict[str, Any] | None = None, tell: Callable[[str], object] = ignore,
    seed: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Check and time custom kernels among the rungs of an operation: `compare("matmul", {"mine": my_matmul})`.

    A kernel is any callable with the arguments of a rung, (inputs..., outputs), or the name of one, "file.py:function"
    or "module:function". It is tested and timed in a separate process, where a call may take `patience` seconds
    without compilation; `sandbox` limits its memory and the files that it writes. `seed` draws the shapes that it is
    tested on; by default it is new each time, and the result contains it.

    The result is that of `measure`, with an entry for each custom kernel at the end, where `custom` is True. A kernel
    that fails the test is not timed: it has name, custom, checked (False) and error, a sentence that `tell` also gets
    at once. A kernel that cannot be loaded, or sent to the other process, is a `checks.Error`.
    """
    operation = known(operation)
    machine.check_compiling()
    kind = checks.dtype_of(dtype)
    shape = shape_of(size)
    backend.check_threads(threads, "fast")
    checks.number("patience", patience, above=0, below=1e6)
    _check_custom(operation, custom)
    seed = secrets.randbelow(10**6) if seed is None else checks.whole("seed", seed, 0)
    count = threads or thread_count()
    ladder = rungs_of(operation)
    found: dict[str, Candidate] = {}
    # repeated updates diverge, which costs no time
    with (
        backend.threads(threads), blas_threads(count) as blas, np.errstate(all="ignore"),
        contextlib.ExitStack() as trials,
    ):  # fmt: skip
        for done, name in enumerate([*custom, *ladder]):  # custom ones first: one that cannot be loaded fails at once
            say = functools.partial(stage("checking", report) or ignore, done, len(custom) + len(ladder))
            if name in custom:
                found[name] = candidates.custom(
                    name, custom[name], operation, shape, kind, count, patience, PATIENCE, say, trials, seed
                )
                if found[name].error:
                    tell(f"{name} {found[name].error}")
            else:
                say(f"{operation}.{name} against float64")
                used = {"numpy": blas}.get(name, count if name.endswith("parallel") else 1)
                found[name] = candidates.rung(operation, name, shape, kind, used, PATIENCE)
        times, disturbed_by = _times(found, count, report, tell)
    limits = limits or machine.limits(report=stage("machine peaks", report))
    disturbed_by = disturbed_by or limits["disturbed_by"]
    is_product, raised = operation in PRODUCTS, list[str]()
    if not disturbed_by:
        rates = [(name, found[name], found[name].work / time.seconds) for name, time in times.items()]
        limits, raised = peaks.above(rates, limits, kind, is_product, stage("machine peaks", report))
    rungs = _compared([*ladder, *custom], found, times, limits, kind, is_product)
    if not disturbed_by and _refuse_impossible(rungs, found, tell):
        times = {name: timing for name, timing in times.items() if not found[name].error}
        rungs = _compared([*ladder, *custom], found, times, limits, kind, is_product)
    result = {
        "operation": operation, "shape": list(shape), "dtype": kind.name, "threads": count,
        "unit": "GFLOP/s" if is_product else "GB/s",
        "limit": peaks.name_of(limits, found["njit"], is_product), "limit_kind": found["njit"].kind,
        "raised": raised, "numpy_threads": blas,
        "cpu": limits["cpu"], "disturbed": bool(disturbed_by), "disturbed_by": disturbed_by,
        "seed": seed if custom else None,
        "rungs": [rung | ({"share_of_peak": None} if disturbed_by and rung["checked"] else {}) for rung in rungs],
    }  # fmt: skip
    return Ladder(result | {"roofline": None if disturbed_by else roofline.roofline(result, limits)})


def measure_gpu(operation: str, size: str | int = 512, report: Report | None = None) -> dict[str, Any]:
    """Check and time every rung of an operation on the GPU, in float32.

    The result is that of `measure`, where speedup is vs the first rung. These keys are None: threads, numpy_threads,
    limit, roofline, share_of_peak and share_of_numpy. cpu is the name of the GPU.
    """
    operation = known(operation)
    ladder = rungs_of(operation, on_gpu=True)
    shape = shape_of(size)
    found: dict[str, Candidate] = {}
    with np.errstate(all="ignore"):
        for done, name in enumerate(ladder):
            say = functools.partial(stage("checking", report) or ignore, done, len(ladder))
            say(f"{operation}.{name} against float64")
            found[name] = candidates.rung_of_gpu(operation, name, shape, PATIENCE)
        times, disturbed_by = _times(found, 1, report)
    is_product = operation in PRODUCTS
    return Ladder({
        "operation": operation, "shape": list(shape), "dtype": "float32", "threads": None,
        "unit": "GFLOP/s" if is_product else "GB/s", "limit": None, "numpy_threads": None, "cpu": gpu.name(),
        "disturbed": bool(disturbed_by), "disturbed_by": disturbed_by,
        "roofline": None,
        "rungs": _compared(ladder, found, times, None, np.dtype(np.float32), is_product),
    })  # fmt: skip


def _check_custom(operation: str, custom: Mapping[str, Custom]) -> None:
    """Raise the errors that need no run."""
    if not isinstance(custom, Mapping):
        wanted = f"a dict of names and functions: {{'mine': my_{operation}}}"
        raise checks.Error(f"custom is {custom!r}, but must be {wanted}")
    if custom and operation == "train":
        raise checks.Error("the rungs of train are backends; try yours with an operation, such as matmul")
    for name, function in custom.items():
        if name in rungs_of(operation):
            raise checks.Error(f"{operation} has a rung {name!r} already; give yours another name")
        if isinstance(function, str):
            loading.check_name(function)
        elif not callable(function):
            raise checks.Error(
                f"{name} is {function!r}, but must be a function, or the name of one: 'file.py:function'"
            )


def _times(
    found: dict[str, Candidate], threads: int, report: Report | None, tell: Callable[[str], object] = ignore
) -> tuple[dict[str, Timing], list[str]]:
    """Timings of all, and what disturbed them. If a custom kernel fails now, the others begin again."""
    while True:
        calls = {name: who.call for name, who in found.items() if not who.error}
        try:
            with disturbance.Watch(threads) as watch:
                times = in_turn(calls, most=1.0, report=stage("timing", report))
            return times, watch.reasons or disturbance.of_timings(times.values())
        except CandidateError as failure:
            if not found[failure.name].custom:
                raise
            found[failure.name].error = str(failure.__cause__)
            tell(f"{failure.name} {found[failure.name].error}")


def _refuse_impossible(rungs: list[dict[str, Any]], found: dict[str, Candidate], tell: Callable[[str], object]) -> bool:
    """Refuse custom kernels that are faster than the machine; no other rung is."""
    above = [rung for rung in rungs if (rung.get("share_of_peak") or 0.0) > disturbance.ABOVE]
    for rung in above:
        who = found[rung["name"]]
        who.error = (
            f"took {formatting.duration(rung['seconds'])}, {rung['share_of_peak']:.0%} of the machine's peak, so it "
            "cannot have done the work; if it has, the peak is out of date (jitnet machine --again)"
        )
        tell(f"{rung['name']} {who.error}")
    return bool(above)


def _compared(
    names: list[str], found: dict[str, Candidate], times: dict[str, Timing], limits: dict[str, Any] | None,
    dtype: np.dtype[Any], is_product: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    """The entry of each rung, in this order; None where there is nothing to compare with."""
    rates = {name: found[name].work / times[name].seconds for name in times}
    key = formatting.SPEEDS["GFLOP/s" if is_product else "GB/s"]
    rungs: list[dict[str, Any]] = []
    first = serial = names[0]
    for name in names:
        who = found[name]
        if who.error:
            rungs.append({"name": name, "custom": True, "checked": False, "error": who.error})
            continue
        below = None if name in (first, "numpy") or who.custom else serial
        limit = None
        if limits and not limits["disturbed"]:
            limit = peaks.peak_of(limits, dtype, who, is_product)
        rungs.append({
            "name": name, "custom": who.custom, "idea": who.idea, "shape": list(who.shape), "checked": True,
            "seconds": times[name].seconds, "low": times[name].low, "high": times[name].high,
            key: rates[name] / 1e9, "bytes": who.moves, "intensity": who.work / who.moves,
            "speedup": rates[name] / rates[first],
            "gain": rates[name] / rates[below] if below else None,
            "share_of_peak": rates[name] / limit if limit else None,
            "share_of_numpy": rates[name] / rates["numpy"] if "numpy" in rates else None,
            "rank": sorted(rates.values()).index(rates[name]) + 1,
        })  # fmt: skip
        if not name.endswith("parallel"):
            serial = name
    return rungs


NAME = 20
COLUMNS = {"time": 9, "spread": 7, "speed": 9, "first": 10, "previous": 8, "peak": 8, "numpy": 9}
"""Widths of the table, in all 80: the name of a rung, and its figures."""


def as_text(result: dict[str, Any], shown: bool = False) -> str:
    """The ladder as a table for a terminal of 80 columns; without the errors of custom kernels, if they were shown."""
    widths = list(COLUMNS.values())
    lines = [*formatting.wrapped(subject(result)), "", *formatting.row("rung", _head(result), widths, NAME)]
    for rung in result["rungs"]:
        name = _name(rung, result)
        cells = _cells(rung, result) if rung["checked"] else ["not timed: it failed the check"]
        lines += formatting.row(name, cells, widths if rung["checked"] else [32], NAME)
    yours = [_place(rung, result["rungs"]) for rung in result["rungs"] if rung["custom"] and rung["checked"]]
    said = formatting.wrapped(*yours, *([] if shown else errors(result)))
    lines += ["", *said, ""] if said else [""]
    return "\n".join(lines + formatting.wrapped(*_footnotes(result), disturbance.sentence(result["disturbed_by"])))


class Ladder(dict[str, Any]):
    """The result of a measurement: a dict, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        head = _head(self)
        rows = [
            [_name(rung, self), *(_cells(rung, self) if rung["checked"] else ["not timed", *[""] * (len(head) - 1)])]
            for rung in self["rungs"]
        ]
        notes = [*errors(self), *_footnotes(self), disturbance.sentence(self["disturbed_by"])]
        return markup.table(subject(self), ["rung", *head], rows, " ".join(filter(None, notes)))


def _head(result: dict[str, Any]) -> list[str]:
    """The names of the columns with figures."""
    first = result["rungs"][0]["name"]
    head = ["time", "spread", result["unit"], f"vs {first}" if len(first) < 8 else "vs first", "vs prev"]
    return [*head, *(["of peak", "vs NumPy"] if result["limit"] is not None else [])]


def _name(rung: dict[str, Any], result: dict[str, Any]) -> str:
    """The name of a rung, with its size if that is another one."""
    shape = rung.get("shape", result["shape"])
    return f"{rung['name']}" + ("" if shape == result["shape"] else f" ({'x'.join(map(str, shape))})")


def _cells(rung: dict[str, Any], result: dict[str, Any]) -> list[str]:
    speed, speedup = rung[formatting.SPEEDS[result["unit"]]], rung["speedup"]
    cells = [
        formatting.duration(rung["seconds"]), formatting.spread(rung["low"], rung["seconds"], rung["high"]),
        f"{speed:.4g}" if speed >= 1 else f"{speed:.3g}", f"{speedup:,.1f}" if speedup < 1e5 else f"{speedup:,.0f}",
        f"{rung['gain']:.{2 if rung['gain'] < 100 else 0}f}" if rung["gain"] else "",
    ]  # fmt: skip
    if result["limit"] is None:
        return cells
    return [*cells, formatting.share(rung["share_of_peak"]), f"{rung['share_of_numpy']:.2f}"]


def _footnotes(result: dict[str, Any]) -> list[str]:
    if result["limit"] is None:
        return ["Each was checked against float64 first, and timed until it had finished. vs prev: vs the rung above."]
    notes = ["Each was checked against float64 first. vs prev: vs the previous rung on one thread."]
    if not result["disturbed"]:
        notes.append(f"of peak: fraction of the {result['limit']}, for the threads, and their caches, of a rung.")
    notes += result.get("raised", [])
    if result.get("seed") is not None:
        notes.append(f"Your kernels were tested on shapes drawn from seed {result['seed']}; --seed draws them again.")
    if result["numpy_threads"] != result["threads"]:
        notes.append(f"NumPy used {result['numpy_threads']} threads; to limit it too: pip install 'jitnet[cli]'")
    return notes


def subject(result: dict[str, Any]) -> str:
    """What was measured, and on what."""
    shape = "x".join(map(str, result["shape"]))
    threads = f", {formatting.count(result['threads'], 'thread')}" if result["threads"] else ""
    return f"{result['operation']} {shape} {result['dtype']}{threads}, on {result['cpu']}"


def _place(rung: dict[str, Any], rungs: list[dict[str, Any]]) -> str:
    """The place of a custom kernel: compared with the next slower, the next faster, and the fastest rung."""
    order = sorted((other for other in rungs if other["checked"]), key=lambda other: other["speedup"])
    at = order.index(rung)
    below = [f"{rung['speedup'] / other['speedup']:.3g}× over {other['name']}" for other in order[:at][-1:]]
    faster = {other["name"]: rung["speedup"] / other["speedup"] for other in [*order[at + 1 :][:1], order[-1]]}
    above = [f"{share:.2g} of {name}" for name, share in faster.items() if at + 1 < len(order)]
    best = [] if at + 1 < len(order) else ["the fastest"]
    return f"{rung['name']} is rung {at + 1} of {len(order)}: {', '.join([*best, *below, *above])}"


def errors(result: dict[str, Any]) -> list[str]:
    """A sentence for each custom kernel that is not timed, because it has an error."""
    return [f"{rung['name']} {rung['error']}" for rung in result["rungs"] if not rung["checked"]]
