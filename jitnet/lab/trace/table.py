"""A trace on a terminal: a row per source line and array, and what follows from the figures, in sentences."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from ... import checks
from ...process import disturbance
from .. import formatting
from ..formatting import kilobytes
from .caches import Level
from .figures import KEPT, sets_of_stride

NAME = 17
WIDTHS = [9, 9, 9, 9, 10, 10]

LAYOUT = (
    "Assumed: the arrays follow one another, and each starts at a cache line; addresses are physical; "
    "variables, SIMD vectors and results of array expressions stay in registers; one thread executes all iterations."
)

SEEN = 0.1
"""Accesses per multiply-add, or iteration, from which on a row is worth a sentence."""

CALL = 3e-6
"""Seconds of a call that has nothing to do, and a little work."""

SHORT = 10
"""For a kernel that takes less than this many times CALL, the call itself is a part of the time."""

UNPREDICTED = 0.5
"""A call of at most CALL seconds is mostly the call itself if more than this part of it is not predicted."""

UNEXPLAINED = 3
"""A kernel that takes this many times the predicted time spends most of it on something else."""

OVERLAPS = 0.85
"""A kernel that takes less than this part of the time of its additions one by one executes several sums at once."""

SLOWER = 1.5
"""A kernel that takes this many times the predicted time is slower than it, in spite of noise and rounding."""

STEADY = 0.5
"""The minimum fraction of the steps that must have a stride."""

BLOCKED = 1
"""A kernel that uses a loaded number more often than this is made of blocks already."""

OFTEN = 0.25
"""A row of whose misses this part is conflicts is worth one."""


def as_text(found: dict[str, Any]) -> str:
    """For a terminal of 80 columns."""
    levels = [Level(x["name"], x["size"], x["ways"], x["line"]) for x in found["caches"]]
    where = "" if found["caches_known"] else " (assumed: the system does not describe them)"
    lines = [
        *formatting.wrapped(
            f"{found['target']}: {', '.join(found['arguments'])}",
            f"{found['accesses']:,} accesses, {found['times']:,} {found['per']}{'s' * (found['times'] > 1)}",
            f"caches: {'; '.join(map(str, levels))}; lines of {levels[0].line} bytes{where}",
        ),
        "", *_table(found, levels), "",
        *formatting.wrapped(
            f"Loads, stores and misses are per {found['per']}, from empty caches. stride: bytes from one access to the "
            f"next; reuse: a cache of this size keeps {KEPT:.0%} of the lines until they are used again."
        ), "",
    ]  # fmt: skip
    for sentence in conclusions(found):
        lines += [*formatting.wrapped(sentence), ""]
    return "\n".join([*lines, *formatting.wrapped(LAYOUT)])


def _table(found: dict[str, Any], levels: list[Level]) -> list[str]:
    shown = levels[:2]
    head = ["loads", "stores", "stride", "reuse", *(f"{level.name} misses" for level in shown)]
    lines = formatting.row("line  array", head, WIDTHS, NAME)
    for file, rows in groupby(found["rows"], key=lambda row: row["file"]):
        lines.append(Path(file).name)
        for (number, source), of_line in groupby(rows, key=lambda row: (row["line"], row["source"])):
            text = f"{number:4}  {source}"
            lines.append(text if len(text) <= formatting.WIDTH else f"{text[: formatting.WIDTH - 1]}…")
            for row in of_line:
                lines += formatting.row(f"      {row['array']}", _cells(row, found["times"], shown), WIDTHS, NAME)
    return lines + formatting.row("all", _cells(found, found["times"], shown), WIDTHS, NAME)


def _cells(row: dict[str, Any], times: int, levels: list[Level]) -> list[str]:
    reuse = row.get("reuse")
    return [
        _each(row["loads"], times), _each(row["stores"], times), _stride(row),
        "" if reuse is None else f"{reuse} B" if reuse < 1024 else kilobytes(reuse),
        *(_each(row["misses"][level.name], times, zero="0") for level in levels),
    ]  # fmt: skip


def _stride(row: dict[str, Any]) -> str:
    if row.get("stride") is None:
        return ""
    return f"{row['stride']} B" if row["stride_share"] >= STEADY else "varies"


def _each(count: int, times: int, zero: str = "") -> str:
    return f"{count / times:.4f}" if count else zero


def conclusions(found: dict[str, Any]) -> list[str]:
    """Strides that waste cache lines, lines that collide in a set, how often a number is used, and the time."""
    return [*_strides(found), *_conflicts(found), *_use(found), *_time(found)]


def _worth_saying(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in found["rows"] if row["loads"] + row["stores"] >= SEEN * found["times"]]


def _strides(found: dict[str, Any]) -> list[str]:
    line = found["caches"][0]["line"]
    return [
        f"Line {row['line']} accesses {row['array']} with a stride of {row['stride']} bytes: of each cache line of "
        f"{line} bytes it uses {row['itemsize']} bytes at a time, and no load can fill a vector. With an inner loop "
        f"along the row, the stride is {row['itemsize']} bytes."
        for row in _worth_saying(found)
        if row["stride"] is not None and abs(row["stride"]) >= line and row["stride_share"] >= STEADY
    ]


def _conflicts(found: dict[str, Any]) -> list[str]:
    top = found["caches"][0]
    level = Level(top["name"], top["size"], top["ways"], top["line"])
    sentences = []
    for row in _worth_saying(found):
        share = row["conflicts"] / max(row["misses"][level.name], 1)
        if row["conflicts"] < SEEN * found["times"] or share < OFTEN:
            continue
        text = f"Line {row['line']}: {share:.0%} of the {level.name} misses of {row['array']} are conflicts, which " \
               f"another layout would avoid."  # fmt: skip
        if (row["reuse"] or 0) > level.size:
            text += (
                f" These accesses return to their lines soon enough for a fully associative cache of "
                f"{kilobytes(level.size)}; the reuse of {kilobytes(row['reuse'])} includes others, which return later."
            )
        sets = sets_of_stride(row["stride"] or row["itemsize"], level)
        if sets < level.sets:
            longer = abs(row["stride"]) + level.line // 2
            text += (
                f" Addresses {row['stride']} bytes apart fall into {sets} of the {level.sets} sets of {level.name}, "
                f"which hold {sets * level.ways} lines; with rows half a cache line longer, {longer} bytes or "
                f"{longer // row['itemsize']} numbers, they fall into {sets_of_stride(longer, level)}."
            )
        sentences.append(text)
    return sentences


def _use(found: dict[str, Any]) -> list[str]:
    if found["per"] != "multiply-add" or not found["loads"]:
        return []
    uses, loads = found["times"] / found["loads"], found["loads"] / found["times"]
    said = f"A multiply-add takes {loads:.3g} loads, which is {uses:.3g} multiply-adds per loaded number"
    advice = "" if uses >= BLOCKED else "; blocks of rows and terms use each number more often"
    return [
        f"{said}{advice}. These are numbers; jitnet explain counts instructions, of which one may load a whole vector."
    ]


def _time(found: dict[str, Any]) -> list[str]:
    predicted = found["predicted"]
    if predicted is None:
        return []
    times = found["times"]

    def each(seconds: float) -> str:
        return f"{seconds / times * 1e9:.3g} ns"

    parts = [f"memory {each(predicted['memory'])} ("
             + ", ".join(f"{level} {each(x)}" for level, x in predicted["levels"].items() if x) + ")"]  # fmt: skip
    if predicted["waits"] is not None:
        parts.append(f"additions to {predicted['waits_for']} that wait for one another {each(predicted['waits'])}")
    if predicted["arithmetic"] is not None:
        parts.append(f"multiply-adds at the peak {each(predicted['arithmetic'])}")
    head = f"Time per {found['per']}, with warm caches"
    if _is_elsewhere(found):
        return [
            f"{head}: {', '.join(parts)}; {_measured(found, each)} The rest is {_rest(found)}, which is not predicted: "
            "see jitnet explain."
        ]
    limit = {"memory": "memory", "waits": "waiting", "arithmetic": "arithmetic"}[predicted["limit"]]
    if len(parts) == 1:
        return [f"{head}: predicted {parts[0]}, {_measured(found, each)}"]
    return [
        f"{head}: {', '.join(parts)}. They overlap, so {limit} is the limit: "
        f"predicted {each(predicted['seconds'])}, {_measured(found, each)}"
    ]


def _rest(found: dict[str, Any]) -> str:
    """What else takes time: `branches, calls or the call itself`."""
    parts = [*found["unpredicted"], *(["the call itself"] if found["measured"] <= SHORT * CALL else [])]
    return checks.joined(parts, "or")


def _is_elsewhere(found: dict[str, Any]) -> bool:
    """Whether most of the time is in what is not predicted; a disturbed measurement does not show it."""
    measured = None if found["disturbed_by"] else found["measured"]
    return measured is not None and measured > max(CALL, UNEXPLAINED * found["predicted"]["seconds"])


def _measured(found: dict[str, Any], each: Callable[[float], str]) -> str:
    if found["measured"] is None:
        return f"not measured: {found['not_measured']}"
    if found["disturbed_by"]:
        return f"measured {each(found['measured'])}. {disturbance.sentence(found['disturbed_by'])}"
    share = found["measured"] / found["predicted"]["seconds"]
    short = share < OVERLAPS and found["predicted"]["limit"] == "waits"
    why = " A sum begins before the previous one ends." if short else ""
    if short and not found["predicted"]["waits_for"].startswith("an element"):
        why = " An addition takes less than 4 cycles here, or a sum begins before the previous one ends."
    if found["measured"] <= CALL and share * (1 - UNPREDICTED) > 1:
        why = " Most of this is call overhead: use a larger size."
    if share < OVERLAPS and found["predicted"]["limit"] == "arithmetic":
        why = " So the saved peak was measured too low: jitnet machine --again."
    if share >= SLOWER and not why and not _is_elsewhere(found) and found["conflicts"] >= SEEN * found["times"]:
        why = " Lines that collide can take longer than other misses, which is not predicted."
    times = float(f"{share:.2g}")
    compared = "" if _is_elsewhere(found) else " (as predicted)" if times == 1 else f" ({times:,g} times that)"
    return f"measured {each(found['measured'])}{compared}.{why}"
