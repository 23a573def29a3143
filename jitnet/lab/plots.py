"""Plots of the measurements. They need matplotlib, which the extra `cli` installs."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..display import plots
from ..process import disturbance
from . import compile_cost, ladder_table
from .formatting import SPEEDS, duration, share


def draw_ladder(result: dict[str, Any], path: str | Path) -> None:
    """The speed of each rung as a bar, next to the roofline of this machine; custom kernels are hatched."""
    from matplotlib.figure import Figure

    panels = 2 if result["roofline"] else 1
    figure = Figure(figsize=(7 * panels, max(5, 0.42 * len(result["rungs"]) + 1.4)), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _bars(axes[0], result)
    if result["roofline"]:
        _roofline(axes[1], result["roofline"])
    figure.suptitle(ladder_table.subject(result), parse_math=False)
    _note(figure, result)
    plots.write(figure, path)


def _note(figure: Any, result: dict[str, Any]) -> None:
    """A note below a plot: what disturbed the measurement."""
    if result["disturbed"]:
        figure.supxlabel(disturbance.sentence(result["disturbed_by"]), fontsize=8, wrap=True)


def _bars(axis: Any, result: dict[str, Any]) -> None:
    key = SPEEDS[result["unit"]]
    rungs = [rung for rung in result["rungs"] if rung["checked"]]
    speeds = [rung[key] for rung in rungs]
    colors = [_color(rung["name"], rung["custom"]) for rung in rungs]
    hatches = ["//" if rung["custom"] else "" for rung in rungs]
    bars = axis.barh(
        [rung["name"].replace("$", r"\$") for rung in rungs], speeds, color=colors, hatch=hatches, edgecolor="white"
    )
    axis.bar_label(bars, [_label(rung, result) for rung in rungs], fontsize=8)
    axis.set(xscale="log", xlabel=f"{result['unit']}, logarithmic; longer is faster", title="Speed")
    axis.set_xlim(min(speeds) / 2, max(speeds) * (max(speeds) / min(speeds)) ** 0.55)
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)


def _label(rung: dict[str, Any], result: dict[str, Any]) -> str:
    """The figures of a rung beside its bar, as in the table."""
    peak = "" if rung["share_of_peak"] is None else f", {share(rung['share_of_peak'])} of peak"
    return f" {rung[SPEEDS[result['unit']]]:.3g}  ({ladder_table.speedup(rung, result)}×{peak})"


def _roofline(axis: Any, roofline: dict[str, Any]) -> None:
    """Lines for the peaks of the machine, points for the rungs, with their names at the right."""
    from matplotlib.transforms import blended_transform_factory

    axis.set(xscale="log", yscale="log", xlabel=roofline["x"], ylabel=roofline["y"], title="Machine peaks")
    most = max(roof["threads"] for roof in roofline["roofs"])
    for roof in roofline["roofs"]:
        axis.plot(roof["x"], roof["y"], color="#555555", linestyle="--" if roof["threads"] > 1 else "-", linewidth=1.2)
    points = roofline["points"]
    for point in points:
        marker = "D" if point["custom"] else "s" if point["name"] == "numpy" else "o"
        axis.plot(point["x"], point["y"], marker, color=_color(point["name"], point["custom"]))
    low, high = (math.log10(limit) for limit in axis.get_ylim())

    def height(y: float) -> float:
        return (math.log10(y) - low) / (high - low)

    named = [roof for roof in roofline["roofs"] if roof["threads"] == most]
    for roof, place in zip(named, apart([height(roof["y"][0]) for roof in named], 0.04, 0, 1), strict=True):
        here = blended_transform_factory(axis.transData, axis.transAxes)
        axis.text(roof["x"][0], place + 0.01, roof["name"], transform=here, fontsize=8)
    for point, place in zip(points, apart([height(point["y"]) for point in points], 0.035, 0, 1), strict=True):
        axis.annotate(
            point["name"], (point["x"], point["y"]), xytext=(1.02, place), va="center", fontsize=8,
            textcoords=blended_transform_factory(axis.transAxes, axis.transAxes), parse_math=False,
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.6},
        )  # fmt: skip
    axis.grid(alpha=0.3)
    if most > 1:
        axis.plot([], [], color="#555555", label="1 thread")
        axis.plot([], [], color="#555555", linestyle="--", label=f"{most} threads")
        axis.legend(loc="lower left", fontsize=8)


def _color(name: str, custom: bool) -> str:
    return "#009e73" if custom else "#d55e00" if name == "numpy" else "#0072b2"


def apart(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """Places from `low` to `high` for labels near these places, none overlapping, if there is room for all.

    Each is pushed on by the ones before, then centered.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[list[int]] = []  # labels that touch move together

    def start(group: list[int]) -> float:
        middle = sum(places[i] - gap * n for n, i in enumerate(group)) / len(group)
        return max(low, min(middle, high - gap * (len(group) - 1)))

    for i in order:
        groups.append([i])
        while len(groups) > 1 and start(groups[-2]) + gap * len(groups[-2]) > start(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    moved = [0.0] * len(places)
    for group in groups:
        for n, i in enumerate(group):
            moved[i] = start(group) + gap * n
    return moved


class _Way(NamedTuple):
    """A way to get a kernel: the keys of its costs, and how its line is drawn."""

    words: str
    ready: str
    first: str
    break_even: str
    color: str
    style: str
    marker: str


_WAYS = (
    _Way("compiled, from an empty cache", "compile_seconds", "first_call_seconds", "break_even", "#d55e00", "--", "o"),
    _Way(
        "loaded, from a warm cache", "load_seconds", "warm_first_call_seconds", "break_even_warm", "#0072b2", "-.", "s"
    ),
)


def draw_compile_cost(result: dict[str, Any], path: str | Path) -> None:
    """Seconds against the number of calls, interpreted and compiled, and the break-even point, on logarithmic axes.

    For an operation this is the rung that the backend fast takes.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    (row,) = (row for row in result["rows"] if row["name"] == result["best"])
    unit, interpreted = compile_cost.unit_of(result), result["interpreted_seconds"]
    last = 10 ** np.ceil(np.log10(max(1000, *(20 * (row[way.break_even] or 1) for way in _WAYS))))
    n = np.geomspace(1, last, 400)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axis = figure.subplots()
    axis.set(xscale="log", yscale="log", xlim=(1, last))
    axis.plot(n, n * interpreted, color="black", linewidth=2, label=f"interpreted: {duration(interpreted)} a {unit}")
    for way in _WAYS:
        _draw_way(axis, way, row, n, interpreted, unit)
    lowest = min(interpreted, *(row[way.ready] + row[way.first] for way in _WAYS))
    axis.set_ylim(lowest / 3, last * interpreted * 2)
    axis.set(xlabel=f"{unit}s (logarithmic)", ylabel="time spent since import (logarithmic); lower is better")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axis.grid(alpha=0.3)
    axis.legend(loc="upper left", fontsize=9)
    name = "" if row["name"] == result["what"] else f", rung {row['name']}"
    never = row["break_even"] is None and row["break_even_warm"] is None
    title = "Compiling never breaks even" if never else "Break-even of compiling"
    axis.set_title(f"{title}: {compile_cost.subject(result)}{name}", fontsize=10, parse_math=False)
    _note(figure, result)
    plots.write(figure, path)


def _draw_way(axis: Any, way: _Way, row: dict[str, Any], n: NDArray[np.float64], interpreted: float, unit: str) -> None:
    """The seconds of n calls, and the number of calls from which they are fewer than those of the interpreted loop."""
    start, each, count = row[way.ready] + row[way.first], row["call_seconds"], row[way.break_even]
    seconds = start + (n - 1) * each
    label = f"{way.words}: {duration(row[way.ready])}, then {duration(each)} a {unit}"
    axis.plot(n, seconds, color=way.color, linestyle=way.style, linewidth=2, label=label)
    if count is None:
        return
    axis.fill_between(n, seconds, n * interpreted, where=n >= count, color="black", alpha=0.05, linewidth=0)
    crossing = max(1.0, (start - each) / (interpreted - each)) if each < interpreted else 1.0
    height = start + (crossing - 1) * each
    axis.plot(
        crossing, height, way.marker, color=way.color, markersize=9, markeredgecolor="white", clip_on=False, zorder=3
    )
    left = way is _WAYS[0] and crossing > n[-1] ** 0.35  # the two may cross close to one another
    axis.annotate(
        f"ahead after {count:,} {unit}{'s' if count > 1 else ''}", (crossing, height), color=way.color,
        xytext=(-10, 9) if left else (12, -15), ha="right" if left else "left", textcoords="offset points",
        fontweight="bold",
    )  # fmt: skip
