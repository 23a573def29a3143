"""Pictures of what was measured. Needs matplotlib, which the extra `cli` brings."""

from pathlib import Path
from typing import Any

from .. import storage


def draw_ladder(result: dict[str, Any], path: str | Path) -> None:
    """The speed of each rung as a bar, on a logarithmic scale, as a PNG; your own hatched, if they could be timed."""
    from matplotlib.figure import Figure

    key = "gflops" if result["unit"] == "GFLOP/s" else "gbytes"
    rungs = [rung for rung in result["rungs"] if rung["checked"]]
    speeds = [rung[key] for rung in rungs]
    colors = ["#009e73" if rung["own"] else "#d55e00" if rung["name"] == "numpy" else "#0072b2" for rung in rungs]
    hatches = ["//" if rung["own"] else "" for rung in rungs]
    figure = Figure(figsize=(8, 0.42 * len(rungs) + 1.4), layout="constrained")
    axis = figure.subplots()
    bars = axis.barh([rung["name"] for rung in rungs], speeds, color=colors, hatch=hatches, edgecolor="white")
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
