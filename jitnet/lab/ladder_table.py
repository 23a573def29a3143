"""The result of a ladder as a table: for a terminal, and for a notebook; and the sentences below it."""

from typing import Any

from ..display import markup
from ..process import disturbance
from . import formatting, problems

NAME = 20
COLUMNS = {"time": 9, "spread": 7, "speed": 9, "first": 10, "previous": 8, "peak": 8, "numpy": 9}
"""Widths of the table, in all 80: the name of a rung, and its figures."""

LEFT_OUT = "left out: it has an error"
CHECKED = "Each row with a time passed the check against float64"


def as_text(result: dict[str, Any], shown: bool = False) -> str:
    """The ladder as a table for a terminal of 80 columns; without the errors of custom kernels, if they were shown."""
    widths = list(COLUMNS.values())
    doubt = disturbance.sentence(result["disturbed_by"])  # first, since it concerns every figure below
    lines = [*formatting.wrapped(subject(result), doubt), "", *formatting.row("rung", _head(result), widths, NAME)]
    for rung in result["rungs"]:
        name = _name(rung, result)
        cells = _cells(rung, result) if rung["checked"] else [LEFT_OUT]
        lines += formatting.row(name, cells, widths if rung["checked"] else [32], NAME)
    yours = [
        f"{rung['name']} passed the check, but is not ranked: the measurement was disturbed"
        if result["disturbed"] else _place(rung, result["rungs"])
        for rung in result["rungs"] if rung["custom"] and rung["checked"]
    ]  # fmt: skip
    said = formatting.wrapped(*yours, *([] if shown else errors(result)))
    lines += ["", *said, ""] if said else [""]
    return "\n".join(lines + formatting.wrapped(*_footnotes(result)))


class Ladder(dict[str, Any]):
    """The result of a measurement: a dict, which a prompt, `print` and a notebook show as a table, with the errors."""

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        head = _head(self)
        rows = [
            [_name(rung, self), *(_cells(rung, self) if rung["checked"] else [LEFT_OUT, *[""] * (len(head) - 1)])]
            for rung in self["rungs"]
        ]
        notes = [*errors(self), *_footnotes(self)]
        caption = ". ".join(filter(None, [subject(self), disturbance.sentence(self["disturbed_by"])]))
        return markup.table(caption, ["rung", *head], rows, " ".join(notes))


def _head(result: dict[str, Any]) -> list[str]:
    """The names of the columns with figures."""
    first = next(rung["name"] for rung in result["rungs"] if rung["checked"])
    head = ["time", "spread", result["unit"], f"vs {first}" if len(first) < 7 else "vs first", "vs prev"]
    return [*head, *(["of peak", "vs NumPy"] if result["limit"] is not None else [])]


def _name(rung: dict[str, Any], result: dict[str, Any]) -> str:
    """The name of a rung, with its size if that is another one."""
    shape = rung.get("shape", result["shape"])
    if shape == result["shape"]:
        return str(rung["name"])
    return f"{rung['name']} ({problems.size_in_words(result['operation'], shape).removesuffix(' parameters')})"


def _cells(rung: dict[str, Any], result: dict[str, Any]) -> list[str]:
    speed = rung[formatting.SPEEDS[result["unit"]]]
    cells = [
        formatting.duration(rung["seconds"]), formatting.spread(rung["low"], rung["seconds"], rung["high"]),
        f"{speed:.4g}" if speed >= 1 else f"{speed:.3g}", speedup(rung, result),
        formatting.ratio(rung["gain"], digits_of(result), 2) if rung["gain"] else "",
    ]  # fmt: skip
    if result["limit"] is None:
        return cells
    return [*cells, formatting.share(rung["share_of_peak"]), vs_numpy(rung)]


def digits_of(result: dict[str, Any]) -> int:
    """How many digits of a ratio mean something."""
    return 2 if result["disturbed"] else 3


def speedup(rung: dict[str, Any], result: dict[str, Any]) -> str:
    """The speed of a rung relative to the first."""
    return formatting.ratio(rung["speedup"], digits_of(result))


def vs_numpy(rung: dict[str, Any]) -> str:
    """The speed of a rung relative to NumPy."""
    return formatting.small(rung["share_of_numpy"], 2) if rung["share_of_numpy"] else "–"


def _footnotes(result: dict[str, Any]) -> list[str]:
    if result["limit"] is None:
        return [f"{CHECKED}, and was timed until it had finished. vs prev: vs the rung above."]
    notes = [f"{CHECKED}. vs prev: vs the previous rung on one thread."]
    if not result["disturbed"]:
        notes.append(f"of peak: fraction of the {result['limit']}, for the threads of a rung and their caches.")
    else:
        alone = " (--threads 1 leaves the other cores to other processes)" if (result["threads"] or 1) > 1 else ""
        notes.append(f"of peak and vs NumPy are left out, since the measurement was disturbed{alone}.")
    if any(_name(rung, result) != rung["name"] for rung in result["rungs"]):
        notes.append("A size in parentheses: the rung is too slow for the size of the others.")
    notes += result.get("raised", [])
    notes += [
        f"{rung['name']} is not compiled by Numba: it is timed as plain Python; decorate it with @numba.njit."
        for rung in result["rungs"] if rung.get("interpreted")
    ]  # fmt: skip
    notes += [
        f"{rung['name']} is slow: its test left out {formatting.count(rung['untested'], 'usual shape')}."
        for rung in result["rungs"] if rung.get("untested")
    ]  # fmt: skip
    if result.get("seed") is not None:
        notes.append(f"Your kernels were tested on shapes drawn from seed {result['seed']}; --seed draws them again.")
    if result["numpy_threads"] == result["threads"] > 1:
        notes.append(f"NumPy may use {result['numpy_threads']} threads, like the rungs whose names end in parallel.")
    elif result["numpy_threads"] != result["threads"]:
        notes.append(f"NumPy used {result['numpy_threads']} threads; to limit it too: pip install 'jitnet[cli]'")
    return notes


def subject(result: dict[str, Any]) -> str:
    """What was measured, and on what."""
    shape = problems.size_in_words(result["operation"], result["shape"])
    threads = f", {formatting.count(result['threads'], 'thread')}" if result["threads"] else ""
    return f"{result['operation']} {shape}{',' * shape.endswith('s')} {result['dtype']}{threads}, on {result['cpu']}"


def _place(rung: dict[str, Any], rungs: list[dict[str, Any]]) -> str:
    """The rank of a custom kernel, compared with the next slower, the next faster, and the fastest rung."""
    order = sorted((other for other in rungs if other["checked"]), key=lambda other: other["speedup"])
    at = order.index(rung)
    gains = {other["name"]: rung["speedup"] / other["speedup"] for other in order[:at][-1:]}
    below = [f"{gain:.3g}× over {name}" if gain < 1000 else f"{gain:,.0f}× over {name}" for name, gain in gains.items()]
    faster = {other["name"]: rung["speedup"] / other["speedup"] for other in [*order[at + 1 :][:1], order[-1]]}
    above = [f"{share:.2g} of {name}" for name, share in faster.items() if at + 1 < len(order)]
    alike = [other["name"] for other in order if other is not rung and _overlap(rung, other)]
    doubt = f"; its times overlap with those of {', '.join(alike)}, so their order may be chance" if alike else ""
    return f"{rung['name']} is {_rank(at + 1, len(order))}: {', '.join([*below, *above])}{doubt}"


def _rank(slower: int, count: int) -> str:
    """`the slowest of 15`, `the 10th fastest of 15`; `slower` counts from the slowest, 1."""
    place, end = (1, "slowest") if slower == 1 else (count + 1 - slower, "fastest")
    ending = {1: "st", 2: "nd", 3: "rd"}.get(place % 10 if place // 10 % 10 != 1 else 0, "th")
    return f"the {'' if place == 1 else f'{place}{ending} '}{end} of {count}"


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the quartiles of two rungs, for the same work, overlap."""
    (fast, slow), (least, most) = (
        [rung["seconds"] / rung[end] * rung["speedup"] for end in ("high", "low")] for rung in (one, other)
    )
    return bool(fast <= most and least <= slow)


def errors(result: dict[str, Any]) -> list[str]:
    """A sentence for each custom kernel that is not timed, because it has an error."""
    return [f"{rung['name']} {rung['error']}" for rung in result["rungs"] if not rung["checked"]]
