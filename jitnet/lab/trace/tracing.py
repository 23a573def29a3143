"""A trace: the accesses of a kernel, the misses of the caches, and the time that follows from them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import backend, checks
from ...compiler.registry import FLOP
from ...process import disturbance
from ...process.progress import Report, ignore
from .. import machine
from ..loading import Custom, body_of, load, not_compiled
from ..problems.operations import PRODUCTS
from ..sanitizer.argument_copies import arrays_in, as_python
from ..sanitizer.checking import names_of
from ..sanitizer.targets import name_of, opened
from ..timing import CandidateError
from . import caches, figures, prediction, recording
from .caches import Level


class Trace(dict[str, Any]):
    """The result of `trace`: a dict for JSON. `counts` has what happened at each access."""

    counts: figures.Counts


def trace(
    kernel: Custom, arguments: Sequence[Any], operation: str | None = None, levels: Sequence[Level] | None = None,
    time: bool = True, limits: dict[str, Any] | None = None, name: str | None = None, report: Report = ignore,
) -> Trace:  # fmt: skip
    """Trace a kernel on these arguments, which are copied: its source is interpreted, at 5 µs per access.

    operation   whose arguments they are: figures are then per multiply-add, otherwise per iteration of its busiest line
    levels      the caches, such as those of `caches.parsed(["L1=32K/8"])`; by default those of this machine
    time        whether to predict and to measure the time of a call on one thread; a function that is not compiled is
                compiled by numba.njit for that
    limits      the machine peaks for the prediction; by default those of `machine.limits`

    Keys: target, arguments, per (multiply-add or iteration), times (how many), accesses, caches, caches_known, rows (of
    `figures.rows`), loads, stores, misses, misses_again, conflicts, predicted (of `prediction.predicted`), unpredicted
    (what else takes time), measured (seconds), not_measured (why, if Numba does not compile it), disturbed_by (what
    makes the times uncertain). Without `time` there are no times: None.
    """
    known = list(levels) if levels is not None else caches.of_this_machine()
    report(0, 3, "tracing: 0 accesses")
    function, given, accesses = recorded(
        load(kernel), arguments, say=lambda done: report(0, 3, f"tracing: {done:,} accesses")
    )
    report(1, 3, "tracing: caches")
    counts = figures.counted(accesses, known or caches.UNKNOWN)
    rows = figures.rows(counts)
    flop = FLOP[operation](*given) if operation in PRODUCTS else None
    found = Trace(_subject(function, given, name) | _totals(counts, rows, flop) | {"caches_known": bool(known)})
    found.counts = counts
    found |= {"predicted": None, "unpredicted": [], "measured": None, "not_measured": None, "disturbed_by": []}
    if time:
        report(2, 3, "tracing: time")
        machine.check_compiling()
        limits = limits or machine.limits()
        chain = prediction.longest_chain(function, accesses.functions, rows)
        dtype = next((a.dtype.name for x in given for a in arrays_in(x) if a.dtype.kind == "f"), "float64")
        found["predicted"] = prediction.predicted(rows, chain, flop, counts.levels, dtype, limits)
        found["unpredicted"] = prediction.unpredicted(function, accesses.functions)
        found |= _measured(function, given)
        found["disturbed_by"] = found["disturbed_by"] or limits["disturbed_by"]
    report(3, 3, "")
    return found


def recorded(
    kernel: Callable[..., Any], arguments: Sequence[Any], say: Callable[[int], object] = ignore
) -> tuple[Callable[..., Any], list[Any], recording.Accesses]:
    """The function of a kernel, its arguments where they are in memory, and what it does with them."""
    function, bound = opened(kernel)
    given = recording.arranged([as_python(argument) for argument in (*bound, *arguments)])
    return function, given, recording.record(function, given, say=say)


def _subject(function: Any, arguments: Sequence[Any], name: str | None) -> dict[str, Any]:
    body = body_of(function)
    parameters = zip(names_of(body, arguments), arguments, strict=True)
    return {
        "target": name or name_of(body),
        "arguments": [f"{parameter} {_described(argument)}" for parameter, argument in parameters],
    }


def _totals(counts: figures.Counts, rows: list[dict[str, Any]], flop: int | None) -> dict[str, Any]:
    levels, busiest = counts.levels, int(np.bincount(counts.accesses.site_of).max())  # executions of an expression
    return {
        "per": "multiply-add" if flop else "iteration", "times": flop // 2 if flop else busiest,
        "accesses": len(counts.accesses),
        "caches": [{"name": x.name, "size": x.size, "ways": x.ways, "sets": x.sets, "line": x.line} for x in levels],
        "rows": rows,
        "loads": sum(row["loads"] for row in rows), "stores": sum(row["stores"] for row in rows),
        "misses": figures.misses_per_level(counts.misses, levels),
        "misses_again": figures.misses_per_level(counts.misses_again, levels),
        "conflicts": int(counts.conflicts.sum()),
    }  # fmt: skip


def _measured(function: Any, given: list[Any]) -> dict[str, Any]:
    with disturbance.Watch(1) as watch, backend.threads(1), np.errstate(all="ignore"):
        try:
            seconds, why = prediction.measured(function, given), None
        except CandidateError as error:
            seconds, why = None, not_compiled(error.__cause__ or error)
    return {"measured": seconds, "not_measured": why, "disturbed_by": watch.reasons}


def _described(argument: Any) -> str:
    """The shape of an array, the value of a number."""
    if isinstance(argument, np.ndarray):
        return "x".join(map(str, argument.shape)) or "a number"
    if arrays_in(argument):
        return f"({', '.join(map(_described, argument))})"
    return checks.shown(argument.item() if isinstance(argument, np.generic) else argument)
