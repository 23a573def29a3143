"""Every rung of the product X·W on one thread, and a plot: source, machine code and speed of three of them.

    python benchmarks/rungs.py [--out FOLDER]

512×512×512 in float32. The plot shows the hottest loop of a rung as `jitnet explain` finds it; an instruction has the
color of its source line. It needs x86-64.
"""

import textwrap

import common
import tables

given = common.arguments(__doc__ or "")

import numpy as np  # noqa: E402

from jitnet.compiler.memory import aligned  # noqa: E402
from jitnet.kernels import LADDERS  # noqa: E402

SIZE = 512
SHOWN = {  # rung -> what its machine code shows
    "njit": "One number at a time, each from another row of W;\nevery sum waits for the one before it.",
    "reordered": "Whole vectors. But each sum is loaded and stored\nfor every term, which is the limit.",
    "tiled": "Sums of six rows stay in registers: 24\nmultiply-adds for ten loads, and no store.",
}
COLORS = ("#ffe08a", "#a8d8f0", "#b9e3b4", "#f5c1a9", "#d9c3ec", "#f3bcd6", "#d5d5d5")


def measure() -> dict[str, float]:
    """Median seconds of each rung, checked and timed in alternation, and of the peak's multiply-adds."""
    rng = np.random.default_rng(0)
    X, W, Z = (aligned(SIZE * SIZE, "float32").reshape(SIZE, SIZE) for _ in range(3))
    X[...], W[...] = rng.standard_normal(X.shape), rng.standard_normal(W.shape)
    exact = X.astype(np.float64) @ W.astype(np.float64)
    bound = 2 * SIZE * np.finfo(X.dtype).eps * (np.abs(X.astype(np.float64)) @ np.abs(W.astype(np.float64)))
    rungs = {name: kernel for name, kernel in LADDERS["matmul"].items() if not name.endswith("parallel")}
    del rungs["python"]  # each call takes a minute
    for name, kernel in rungs.items():
        Z[...] = np.nan
        kernel(X, W, Z)
        assert (np.abs(Z - exact) <= bound).all(), name
    calls = {name: lambda kernel=kernel: kernel(X, W, Z) for name, kernel in rungs.items()}
    probe, flop = common.peak_probe("float32", 1)
    times = common.time_alternating({"peak": probe, **calls}, given.rounds)
    return times | {"peak": times["peak"] * 2 * SIZE**3 / flop}


def main() -> None:
    if given.threads != 1:
        raise SystemExit("the rungs are compared on one thread")
    times = measure()
    peak = times.pop("peak")
    rows, before = [], None
    for name, seconds in times.items():
        gain = f"{before / seconds:.1f}" if before and name != "numpy" else ""
        rows.append({"rung": name, "ms": f"{1e3 * seconds:.4g}", "GFLOP/s": f"{2 * SIZE**3 / seconds / 1e9:.3g}",
                     "vs previous rung": gain, "fraction of peak": f"{peak / seconds:.3f}"})  # fmt: skip
        before = seconds
    common.publish("rungs", given, rows)
    draw({row["rung"]: row for row in rows}, tables.processor(common.machine(1)))


def draw(rows: dict[str, dict[str, str]], cpu: str) -> None:
    from matplotlib.figure import Figure

    from jitnet.lab import explain

    figure = Figure(figsize=(12, 5.75), facecolor="white")
    figure.text(0.015, 0.965, "One product, three loops: the Python line, its instructions, the speed", size=15)
    figure.text(0.985, 0.965, f"{SIZE}×{SIZE}×{SIZE}, float32, one core, {cpu}", size=10, ha="right", color="#555")
    for column, (rung, remark) in enumerate(SHOWN.items()):
        axis = figure.add_axes((0.015 + 0.33 * column, 0.02, 0.31, 0.91))
        axis.axis("off")
        axis.set(xlim=(0, 1), ylim=(30.8, 0))
        share = float(rows[rung]["fraction of peak"])
        axis.barh(1.6, 1, height=1.5, color="#e8e8e8")
        axis.barh(1.6, share, height=1.5, color="#0072b2")
        axis.text(0, 0.4, rung, size=13, weight="bold")
        speed = f"{rows[rung]['GFLOP/s']} GFLOP/s, {100 * share:.3g} % of the peak"
        axis.text(1, 0.4, speed, size=11, ha="right")
        axis.text(0, 3.1, remark, size=10, va="top")
        panels(axis, explain.explain(f"matmul.{rung}"))
    figure.savefig(given.out / "rungs.png", dpi=120)


def panels(axis, found) -> None:
    """The source of the hottest loop, and below it its first instructions, in the colors of their lines."""
    loop, (source,) = found["loop"], found["sources"]
    numbers = range(loop["line"] - 1, loop["last"] + 1)
    lines = [source["lines"][number - source["first"]] for number in numbers]
    inside = list(dict.fromkeys(number for number in numbers if number > loop["line"]))
    color = {number: COLORS[place % len(COLORS)] for place, number in enumerate(inside)} | {loop["line"]: "#eeeeee"}
    texts = [line.partition("  #")[0] for line in textwrap.dedent("\n".join(lines)).splitlines()]
    write(axis, 6.6, "Python", [(text, color.get(n, "none")) for text, n in zip(texts, numbers, strict=True)])
    code = [(one["text"].replace("\t", " "), color.get(one["line"], "none")) for one in found["instructions"]]
    most = 14
    rest = [(f"… and {len(code) - most} more", "none")] if len(code) > most + 1 else code[most:]
    write(axis, 13.2, f"Loop of {len(code)} instructions, each in the color of its Python line", code[:most] + rest)


def write(axis, top: float, title: str, lines: list[tuple[str, str]]) -> None:
    axis.text(0, top, title, size=9, color="#555")
    for place, (text, color) in enumerate(lines):
        axis.barh(top + 1.15 * place + 1.1, 1, height=1.15, color="#f7f7f7" if color == "none" else color)
        text = text if len(text) < 50 else text[:48] + " …"
        axis.text(0.015, top + 1.15 * place + 1.1, text, size=9, family="monospace", va="center")


if __name__ == "__main__":
    main()
