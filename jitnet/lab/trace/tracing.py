"""A trace: the accesses of a kernel, the misses of the caches, and the time that follows from them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import backend, checks
from ...compiler.registry import FLOP
from ...process.progress import Report
from .. import machine
from ..benchmark.candidates import PRODUCTS
from ..loading import Custom, load
from ..sanitizer.checking import names_of
from ..sanitizer.given import arrays_in
from . import caches, figures, prediction, recording
from .caches import Level


class Trace(dict[str, Any]):
    """The result of `trace`: a dict for JSON. `counts` has what happened at each access."""

    counts: figures.Counts


def trace(
    kernel: Custom, arguments: Sequence[Any], operation: str | None = None, levels: Sequence[Level] | None = None,
    time: bool = True, limits: dict[str, Any] | None = None, name: str | None = None, report: Report | None = None,
) -> Trace:  # fmt: skip
    """Trace a kernel on these arguments, which are copied: its source is interpreted, 5 µs an access.

    operation   whose arguments they are: figures are then per multiply-add, otherwise per iteration of its busiest line
    levels      the caches, such as those of `caches.parsed(["L1=32K/8"])`; by default those of this machine
    time        whether to predict and to measure the time of a call on one thread
    limits      the machine peaks for the prediction; by default those of `machine.limits`

    Keys: target, arguments, per (multiply-add or iteration), times (how many), accesses, caches, caches_known, rows (of
    `figures.rows`), loads, stores, misses, misses_again, conflicts, predicted (of `prediction.predicted`), measured
    (seconds). The last two are None without `time`.
    """
    function = load(kernel)
    body = getattr(function, "py_func", function)
    known = list(levels) if levels is not None else caches.of_this_machine()
    chosen = known or caches.UNKNOWN
    say = report or (lambda *_: None)
    say(0, 3, "tracing: accesses")
    given = recording.arranged(arguments)
    accesses = recording.record(function, given)
    say(1, 3, "tracing: caches")
    counts = figures.counted(accesses, chosen)
    rows = figures.rows(counts)
    flop = FLOP[operation](*given) if operation in PRODUCTS else None
    busiest = max((max(row["loads"], row["stores"]) for row in rows), default=0)
    found = Trace({
        "target": name or str(getattr(body, "__name__", body)),
        "arguments": [_described(*argument) for argument in zip(names_of(body, arguments), arguments, strict=True)],
        "per": "iteration" if flop is None else "multiply-add", "times": (flop // 2 if flop else busiest) or 1,
        "accesses": len(accesses),
        "caches": [{"name": x.name, "size": x.size, "ways": x.ways, "sets": x.sets, "line": x.line} for x in chosen],
        "caches_known": bool(known), "rows": rows,
        "loads": sum(row["loads"] for row in rows), "stores": sum(row["stores"] for row in rows),
        "misses": figures.misses_per_level(counts.misses, chosen),
        "misses_again": figures.misses_per_level(counts.misses_again, chosen),
        "conflicts": int(counts.conflicts.sum()), "predicted": None, "measured": None,
    })  # fmt: skip
    found.counts = counts
    if time and len(accesses):
        say(2, 3, "tracing: time")
        chain = prediction.longest_chain(function, accesses.functions, rows)
        dtype = next((a.dtype.name for x in given for a in arrays_in(x) if a.dtype.kind == "f"), "float64")
        machine.check_compiling()
        found["predicted"] = prediction.predicted(
            rows, chain, flop, [level.name for level in chosen], chosen[0].line, dtype, limits or machine.limits()
        )
        with backend.threads(1), np.errstate(all="ignore"):
            found["measured"] = prediction.measured(function, given)
    say(3, 3, "")
    return found


def _described(name: str, argument: Any) -> str:
    if isinstance(argument, np.ndarray):
        return f"{name} {'x'.join(map(str, argument.shape)) or 'a number'}"
    return f"{name} {checks.shown(argument)}"
