"""Pictures of what was measured. Needs matplotlib, which the extra `cli` brings."""

from pathlib import Path
from typing import Any

import numpy as np

from .. import storage
from .ladder import duration
from .ledger import subject


def draw_ladder(result: dict[str, Any], path: str | Path) -> None:
    """The speed of each rung as a bar, on a logarithmic scale, as a PNG."""
    from matplotlib.figure import Figure

    key = "gflops" if result["unit"] == "GFLOP/s" else "gbytes"
    rungs = result["rungs"]
    speeds = [rung[key] for rung in rungs]
    colors = ["#d55e00" if rung["name"] == "numpy" else "#0072b2" for rung in rungs]
    figure = Figure(figsize=(8, 0.42 * len(rungs) + 1.4), layout="constrained")
    axis = figure.subplots()
    bars = axis.barh([rung["name"] for rung in rungs], speeds, color=colors)
    labels = [
        f" {speed:.3g}  (× {rung['speedup']:,.0f}, {rung['share_of_peak']:.0%} of limit)"
        for rung, speed in zip(rungs, speeds, strict=True)
    ]
    axis.bar_label(bars, labels, fontsize=8)
    axis.set(xscale="log", xlabel=f"{result['unit']}, logarithmic; longer is faster")
    axis.set_xlim(min(speeds) / 2, max(speeds) * (max(speeds) / min(speeds)) ** 0.45)
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    shape = "×".join(map(str, result["shape"]))
    threads = f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    figure.suptitle(f"{result['operation']} {shape} {result['dtype']}, {threads}", parse_math=False)
    with storage.replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)


def draw_ledger(result: dict[str, Any], path: str | Path) -> None:
    """Seconds spent after so many calls, interpreted and compiled, and where they cross: logarithmic, as a PNG.

    Of an operation it shows the rung that the back end fast takes.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    (row,) = (row for row in result["rows"] if row["name"] == result["best"])
    unit = "step" if result["kind"] == "back end" else "call"
    interpreted, each = result["interpreted_seconds"], row["call_seconds"]
    ways = (
        ("compiled, from an empty cache", "compile_seconds", "first_call_seconds", "pays_after"),
        ("loaded, from a warm cache", "load_seconds", "warm_first_call_seconds", "pays_after_warm"),
    )
    last = 10 ** np.ceil(np.log10(max(1000, *(20 * (row[key] or 1) for *_, key in ways))))
    n = np.geomspace(1, last, 400)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axis = figure.subplots()
    axis.set(xscale="log", yscale="log", xlim=(1, last))
    axis.plot(n, n * interpreted, color="black", linewidth=2, label=f"interpreted: {duration(interpreted)} a {unit}")
    lowest = interpreted
    for (words, ready, first, pays), color, style, marker in zip(
        ways, ("#d55e00", "#0072b2"), ("--", "-."), "os", strict=True
    ):
        start, count = row[ready] + row[first], row[pays]
        seconds = start + (n - 1) * each
        label = f"{words}: {duration(row[ready])}, then {duration(each)} a {unit}"
        axis.plot(n, seconds, color=color, linestyle=style, linewidth=2, label=label)
        lowest = min(lowest, start)
        if count is None:
            continue
        axis.fill_between(n, seconds, n * interpreted, where=n >= count, color="black", alpha=0.05, linewidth=0)
        crossing = max(1.0, (start - each) / (interpreted - each)) if each < interpreted else 1.0
        height = start + (crossing - 1) * each
        axis.plot(crossing, height, marker, color=color, markersize=9, markeredgecolor="white", clip_on=False, zorder=3)
        left = marker == "o" and crossing > last**0.35  # the two may cross close to one another
        axis.annotate(
            f"ahead after {count:,} {unit}{'s' if count > 1 else ''}", (crossing, height), color=color,
            xytext=(-10, 9) if left else (12, -15), ha="right" if left else "left", textcoords="offset points",
            fontweight="bold",
        )  # fmt: skip
    axis.set_ylim(lowest / 3, last * interpreted * 2)
    axis.set(xlabel=f"{unit}s (logarithmic)", ylabel="time spent since import (logarithmic); lower is better")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axis.grid(alpha=0.3)
    axis.legend(loc="upper left", fontsize=9)
    name = "" if row["name"] == result["what"] else f", rung {row['name']}"
    axis.set_title(f"When compiling pays: {subject(result)}{name}", fontsize=10, parse_math=False)
    with storage.replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)
