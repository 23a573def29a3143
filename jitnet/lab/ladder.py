"""Every rung of an operation on the same data: checked against the oracle first, then timed in turn.

A rung is compared with the naive loop, with the rung above, with NumPy, and with the limit of this machine: the peak
of multiply-adds for products, the bandwidth of the cache that holds the data for all else.
"""

import contextlib
import functools
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numba
import numpy as np

from .. import backend, checks
from ..progress import Report, stage
from . import loading, machine, roofline, words
from .contest import card, contestants, trial
from .contest import own as functions
from .contest.contestants import PRODUCTS, Contestant, known, nobody, rungs_of
from .loading import Own
from .oracle import Shape
from .timing import ContestantError, Timing, in_turn

PATIENCE = 0.5
"""Seconds that one call may take. A rung that would need more gets a smaller size, and says so."""


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
    """Check and time every rung of an operation, against these limits of the machine, or those of `machine.limits`.

    Keys: operation, shape, dtype, threads, unit (GFLOP/s or GB/s), limit (what `share_of_peak` is a share of),
    numpy_threads, cpu, disturbed (of `machine.limits`), roofline (of `roofline.roofline`), rungs:
    a list of name, own (False), idea, shape, checked, seconds, low, high (quartiles), gflops or gbytes, speedup (over
    the interpreted loop), gain (over the rung it improves on: a threaded one over the same on one thread),
    share_of_peak (None where others disturbed the limits), share_of_numpy, rank (by speed; 1 is the slowest).
    """
    return compare(operation, {}, size, dtype, threads, report=report, limits=limits)


def compare(
    operation: str, own: Mapping[str, Own], size: str | int = 512, dtype: str = "float32", threads: int | None = None,
    patience: float = trial.PATIENCE, report: Report | None = None, limits: dict[str, Any] | None = None,
    tell: Callable[[str], object] = nobody,
) -> dict[str, Any]:  # fmt: skip
    """Check and time kernels of your own among the rungs of an operation: `compare("matmul", {"mine": my_matmul})`.

    A kernel is any callable with the arguments of a rung, (inputs..., outputs), or the name of one, "file.py:function"
    or "module:function". It is tried in a process of its own first, where a call may take `patience` seconds,
    compilation apart.

    The result is that of `measure`, with an entry for each of yours at the end, where `own` is True. One that fails the
    trial is not timed: it has name, own, checked (False) and fault, what is wrong in words; `tell` hears it at once, in
    a sentence. One that cannot be loaded, or sent to the process that tries it, is a `checks.Error`.
    """
    operation = known(operation)
    machine.check_compiling()
    kind = checks.dtype_of(dtype)
    shape = shape_of(size)
    backend.check_threads(threads, "fast")
    checks.number("patience", patience, above=0, below=1e6)
    _check_own(operation, own)
    count = threads or numba.get_num_threads()
    ladder = rungs_of(operation)
    found: dict[str, Contestant] = {}
    # repeated updates run away, which costs no time
    with backend.threads(threads), blas_threads(count) as blas, np.errstate(all="ignore"):
        for done, name in enumerate([*own, *ladder]):  # yours first: that one cannot be loaded is told at once
            say = functools.partial(stage("checking", report) or nobody, done, len(own) + len(ladder))
            if name in own:
                found[name] = contestants.yours(name, own[name], operation, shape, kind, count, patience, PATIENCE, say)
                if found[name].fault:
                    tell(f"{name} {found[name].fault}")
            else:
                say(f"{operation}.{name} against float64")
                used = {"numpy": blas}.get(name, count if name.endswith("parallel") else 1)
                found[name] = contestants.rung(operation, name, shape, kind, used, PATIENCE)
        times = _times(found, report, tell)
    limits = limits or machine.limits(report=stage("limits of this machine", report))
    result = {
        "operation": operation, "shape": list(shape), "dtype": kind.name, "threads": count,
        "unit": "GFLOP/s" if operation in PRODUCTS else "GB/s",
        "limit": _limit(limits, kind, 1, found["njit"].work, operation in PRODUCTS)[1], "numpy_threads": blas,
        "cpu": limits["cpu"], "disturbed": limits["disturbed"],
        "rungs": _compared([*ladder, *own], found, times, limits, kind, operation in PRODUCTS),
    }  # fmt: skip
    return result | {"roofline": roofline.roofline(result, limits)}


def measure_card(operation: str, size: str | int = 512, report: Report | None = None) -> dict[str, Any]:
    """Check and time every rung of an operation on the card, in float32.

    The result is that of `measure`, where speedup is over the first rung, and what belongs to the processor is None:
    threads, numpy_threads, limit, roofline, and each share_of_peak and share_of_numpy. cpu is the name of the card.
    """
    operation = known(operation)
    ladder = rungs_of(operation, on_card=True)
    shape = shape_of(size)
    found: dict[str, Contestant] = {}
    with np.errstate(all="ignore"):
        for done, name in enumerate(ladder):
            say = functools.partial(stage("checking", report) or nobody, done, len(ladder))
            say(f"{operation}.{name} against float64")
            found[name] = contestants.rung_of_card(operation, name, shape, PATIENCE)
        times = _times(found, report)
    is_product = operation in PRODUCTS
    return {
        "operation": operation, "shape": list(shape), "dtype": "float32", "threads": None,
        "unit": "GFLOP/s" if is_product else "GB/s", "limit": None, "numpy_threads": None, "cpu": card.name(),
        "disturbed": False, "roofline": None,
        "rungs": _compared(ladder, found, times, None, np.dtype(np.float32), is_product),
    }  # fmt: skip


def _check_own(operation: str, own: Mapping[str, Own]) -> None:
    """Complain of what can be seen before anything is run."""
    if not isinstance(own, Mapping):
        raise checks.Error(f"own is {own!r}, but must be a dict of names and functions: {{'mine': my_{operation}}}")
    if own and operation == "train":
        raise checks.Error("the rungs of train are back ends; try yours with an operation, such as matmul")
    for name, function in own.items():
        if name in rungs_of(operation):
            raise checks.Error(f"{operation} has a rung {name!r} already; give yours another name")
        if isinstance(function, str):
            loading.check_name(function)
        elif not callable(function):
            raise checks.Error(
                f"{name} is {function!r}, but must be a function, or the name of one: 'file.py:function'"
            )


def _times(
    found: dict[str, Contestant], report: Report | None, tell: Callable[[str], object] = nobody
) -> dict[str, Timing]:
    """Timings of all. If one of yours fails even now that is its fault, and the others begin again."""
    while True:
        calls = {name: who.call for name, who in found.items() if not who.fault}
        try:
            return in_turn(calls, most=1.0, report=stage("timing", report))
        except ContestantError as failure:
            if not found[failure.name].own:
                raise
            call: Any = calls[failure.name]
            found[failure.name].fault = functions.in_words(
                failure.__cause__ or failure, call.func, list(call.args), "while it was timed"
            )
            tell(f"{failure.name} {found[failure.name].fault}")


def _compared(
    names: list[str], found: dict[str, Contestant], times: dict[str, Timing], limits: dict[str, Any] | None,
    dtype: np.dtype[Any], is_product: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    """What is said of each rung, in this order. Where there is nothing to compare with, that is None."""
    rates = {name: found[name].work / times[name].seconds for name in times}
    key = words.SPEEDS["GFLOP/s" if is_product else "GB/s"]
    rungs: list[dict[str, Any]] = []
    first = serial = names[0]
    for name in names:
        who = found[name]
        if who.fault:
            rungs.append({"name": name, "own": True, "checked": False, "fault": who.fault})
            continue
        below = None if name in (first, "numpy") or who.own else serial
        limit = None
        if limits and not limits["disturbed"]:
            limit, _ = _limit(limits, dtype, who.threads, who.work, is_product)
        rungs.append({
            "name": name, "own": who.own, "idea": who.idea, "shape": list(who.shape), "checked": True,
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


@contextlib.contextmanager
def blas_threads(count: int) -> Iterator[int]:
    """Hold NumPy's BLAS to as many threads; yields how many it will use, which without threadpoolctl are all."""
    if importlib.util.find_spec("threadpoolctl") is None:
        yield numba.config.NUMBA_DEFAULT_NUM_THREADS
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(count, user_api="blas"):
        yield count


def _limit(
    limits: dict[str, Any], dtype: np.dtype[Any], threads: int, work: float, is_product: bool
) -> tuple[float, str]:
    """What this machine can do at most, and its name."""
    if is_product:
        return machine.for_threads(limits["peak"][dtype.name], threads), "peak of multiply-adds"
    level = next((name for name, size in limits["caches"].items() if work <= size), "memory")
    copying = {count: rates["copy"] for count, rates in limits["bandwidth"][level].items()}
    return machine.for_threads(copying, threads), f"speed of copying in {level}"


def as_text(result: dict[str, Any]) -> str:
    """The ladder as a table."""
    key = words.SPEEDS[result["unit"]]
    first = result["rungs"][0]["name"]
    columns = ["of limit", "of NumPy"] if result["limit"] else []
    lines = [
        subject(result), "",
        f"{'rung':22}{'time':>12}{'spread':>9}{result['unit']:>10}{f'× {first}':>11}{'× last':>9}"
        + "".join(f"{column:>10}" for column in columns),
    ]  # fmt: skip
    for rung in result["rungs"]:
        if not rung["checked"]:
            lines.append(f"{rung['name']:22}{'not timed: it failed the check':>32}")
            continue
        about = words.spread(rung["low"], rung["seconds"], rung["high"])
        gain = f"{rung['gain']:.2f}" if rung["gain"] else ""
        smaller = "" if rung["shape"] == result["shape"] else f"  at {'x'.join(map(str, rung['shape']))}"
        lines.append(
            f"{rung['name']:22}{words.duration(rung['seconds']):>12}{about:>9}{rung[key]:10.4g}"
            f"{rung['speedup']:11,.1f}{gain:>9}"
            + (f"{words.share(rung['share_of_peak']):>10}{rung['share_of_numpy']:10.2f}" if columns else "")
            + smaller
        )
    lines += [""] * any(rung["own"] for rung in result["rungs"])
    lines += [_place(rung, result["rungs"]) for rung in result["rungs"] if rung["own"] and rung["checked"]]
    lines += faults(result)
    if not columns:
        return "\n".join(
            [*lines, "", "Each was checked against float64 first, and waited for. × last: over the rung above."]
        )
    lines += ["", "Each was checked against float64 first. × last: over the last rung that runs on one thread."]
    lines.append(f"The limit is the {result['limit']}, with as many threads as a rung uses.")
    if result["disturbed"]:
        lines.append("Others used the cores meanwhile, so shares of it would mean little: jitnet machine --again")
    if result["numpy_threads"] != result["threads"]:
        lines.append(f"NumPy used {result['numpy_threads']} threads; to hold it too: pip install 'jitnet[cli]'")
    return "\n".join(lines)


def subject(result: dict[str, Any]) -> str:
    """What was measured, and on what."""
    shape = "x".join(map(str, result["shape"]))
    threads = f", {words.count(result['threads'], 'thread')}" if result["threads"] else ""
    return f"{result['operation']} {shape} {result['dtype']}{threads}, on {result['cpu']}"


def _place(rung: dict[str, Any], rungs: list[dict[str, Any]]) -> str:
    """Where one of yours stands: against the next slower, the next faster, and the fastest of all."""
    order = sorted((other for other in rungs if other["checked"]), key=lambda other: other["speedup"])
    at = order.index(rung)
    below = [f"{rung['speedup'] / other['speedup']:.3g}× over {other['name']}" for other in order[:at][-1:]]
    faster = {other["name"]: rung["speedup"] / other["speedup"] for other in [*order[at + 1 :][:1], order[-1]]}
    above = [f"{share:.2g} of {name}" for name, share in faster.items() if at + 1 < len(order)]
    best = [] if at + 1 < len(order) else ["the fastest"]
    return f"{rung['name']} is rung {at + 1} of {len(order)}: {', '.join([*best, *below, *above])}"


def faults(result: dict[str, Any]) -> list[str]:
    """A sentence on each of yours that is not timed, because something is wrong with it."""
    return [f"{rung['name']} {rung['fault']}" for rung in result["rungs"] if not rung["checked"]]
