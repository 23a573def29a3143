"""The tables of all machines side by side, one column per machine: docs/guide/machines.md with its picture, and four
rows in README.md.

    python benchmarks/tables.py

The other scripts write their results to a folder of their machine; this one only reads those folders.
"""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

CURRENT = ("znver4", "emeraldrapids")
"""The machines that were measured with the present kernels, or nearly so."""

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]
PAGE, README = ROOT / "docs" / "guide" / "machines.md", ROOT / "README.md"
PICTURE = RESULTS / "machines.png"

Row = dict[str, str]
Cell = tuple[str, dict[str, float]]
"""jitnet's figures, and the time of each other library relative to jitnet's."""

INTRODUCTION = """\
# Every machine

The same benchmarks on different processors. Each cell has jitnet's time or speed, the fraction of the core's peak, and
how many times as long the other libraries take: with "1.40 × NumPy", NumPy takes 1.4 times as long. The timings of all
libraries alternate on one machine. The peak is the speed of a loop of multiply-adds in registers in the same minute.
The machines are virtual and shared, so compare times within a column, and only roughly between columns. A dash means
not measured. Zen 4 was measured with the present kernels; Emerald Rapids before a single column of C had a tile of its
own (1000x64x1, and the last column of 65x785x129 and 511x1023x513); Zen 5 with kernels that copied B before the first
tile computed anything, masked all rows of narrow panels, and divided products into parts of more rows; Ice Lake with
still earlier ones, which had smaller tiles. `python benchmarks/steps.py` (and `products.py`, `activations.py`,
`epochs.py`) writes to a folder of its machine; `python benchmarks/tables.py` writes this page.

![Time of the fastest other library divided by jitnet's, on one thread: blue where jitnet is
faster](../../benchmarks/results/machines.png)
"""


NO_PEERS = {"jitnet µs", "limit µs", "jitnet ns", "jitnet", "µs at peak", "what", "× best peer"}


def by_time(row: Row, unit: str) -> dict[str, float]:
    """Time of each other library relative to jitnet's, from the columns whose names end in `unit`."""
    own = float(row[f"jitnet{unit}"])
    others = {name.removesuffix(unit): row[name] for name in row if name.endswith(unit) and name not in NO_PEERS}
    return {peer: float(time) / own for peer, time in others.items() if time}


def step(row: Row) -> Cell:
    return f"{row['jitnet µs']} µs, {row['fraction of peak']} of peak", by_time(row, " µs")


def product(row: Row) -> Cell:
    ratios = {name.removeprefix("× "): float(row[name]) for name in row if name.startswith("× ") and row[name]}
    return f"{row['jitnet GFLOP/s']} GFLOP/s, {row['jitnet, of peak']} of peak", ratios


def operation(row: Row) -> Cell:
    return f"{row['jitnet ns']} ns", by_time(row, " ns")


def epoch(row: Row) -> Cell:
    return f"{row['jitnet']} s", by_time(row, "")


TABLES: list[tuple[str, str, str, Callable[[Row], Cell]]] = [
    ("A training step, one thread", "steps_1_thread", "step", step),
    ("A training step, two threads", "steps_2_threads", "step", step),
    ("Products, one thread", "products_1_thread", "product", product),
    ("Products, two threads", "products_2_threads", "product", product),
    ("Activations, time per number, one thread", "activations_1_thread", "operation", operation),
    ("An epoch, and predictions, one thread", "epochs_1_thread", "what", epoch),
]
"""Title, file, the column with the names of the rows, and the function for a cell."""


def results_of(file: str) -> dict[str, dict[str, Any]]:
    """Machine -> content of the file, for each machine that has the file."""
    paths = sorted(RESULTS.glob(f"*/{file}.json"))
    found = [json.loads(path.read_text(encoding="utf-8")) | {"from": path.parent.name} for path in paths]
    return {label(content["machine"]): content for content in found}


def label(machine: dict[str, Any]) -> str:
    return f"{processor(machine)}, {machine['vector bits']} bits"


def processor(machine: dict[str, Any]) -> str:
    """The name of the processor, without marks: "Intel Xeon (emeraldrapids)"."""
    return re.sub(r"\(R\)|\(TM\)| Processor| @ [\d.]+GHz", "", machine["cpu"])


def columns_of(file: str, column: str, cell: Callable[[Row], Cell]) -> dict[str, dict[str, Cell]]:
    """Machine -> name of the row -> cell."""
    return {machine: {row[column]: cell(row) for row in found["rows"]} for machine, found in results_of(file).items()}


def names_in(columns: dict[str, dict[str, Cell]]) -> list[str]:
    """The names of all rows, each once."""
    return list(dict.fromkeys(name for cells in columns.values() for name in cells))


def table(file: str, column: str, cell: Callable[[Row], Cell]) -> list[str]:
    """The lines of the table of a file."""
    columns = columns_of(file, column, cell)
    lines = [f"| {column} | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 1)]
    for name in names_in(columns):
        lines.append(f"| {name} | {' | '.join(text(cells.get(name)) for cells in columns.values())} |")
    return lines


def text(cell: Cell | None) -> str:
    """The text of a cell, such as "163.3 µs, 0.92 of peak; 1.83 × NumPy, 3.00 × PyTorch"."""
    if cell is None:
        return "–"
    figures, ratios = cell
    return f"{figures}; {', '.join(f'{ratio:.2f} × {peer}' for peer, ratio in ratios.items())}"


def page() -> str:
    """The whole page, as Markdown."""
    lines = [INTRODUCTION]
    for title, file, column, cell in TABLES:
        lines += [f"## {title}", "", *table(file, column, cell), ""]
    return "\n".join(lines)


def picture(path: Path) -> None:
    """The tables for one thread as colors: the time of the fastest other library divided by jitnet's."""
    from matplotlib import pyplot as plt
    from matplotlib.colors import LogNorm

    tables = [(title, columns_of(*rest)) for title, *rest in TABLES if "one thread" in title]
    machines = list(dict.fromkeys(machine for _, columns in tables for machine in columns))
    heights = [len(names_in(columns)) for _, columns in tables]
    figure, axes = plt.subplots(
        len(tables), figsize=(11, 3 + 0.24 * sum(heights)), height_ratios=heights, layout="constrained"
    )
    for (title, columns), axis in zip(tables, axes, strict=True):
        names = names_in(columns)
        best = [[fastest(columns.get(machine, {}).get(name)) for machine in machines] for name in names]
        image = axis.imshow(best, cmap="RdBu", norm=LogNorm(1 / 4, 4), aspect="auto")
        for y, row in enumerate(best):
            for x, ratio in enumerate(row):
                shown = "–" if math.isnan(ratio) else f"{ratio:.2f}"
                axis.text(x, y, shown, ha="center", va="center", size=8, color="w" if ratio > 2.2 else "k")
        axis.set_yticks(range(len(names)), [name.removesuffix(", s") for name in names], size=8)
        axis.set_xticks(range(len(machines)), [])
        axis.set_title(title.removesuffix(", one thread"), size=10, loc="left")
    labels = [machine.replace(" (", "\n(").replace(", ", "\n") + age(machine) for machine in machines]
    axes[0].set_xticks(range(len(machines)), labels, size=8)
    axes[0].xaxis.tick_top()
    bar = figure.colorbar(image, ax=axes, location="bottom", aspect=60, shrink=0.6, ticks=[0.25, 0.5, 1, 2, 4])
    bar.ax.set_xticklabels(["≤ 0.25", "0.5", "1", "2", "≥ 4"])
    bar.minorticks_off()
    bar.set_label("time of the fastest other library / time of jitnet (blue: jitnet is faster), one thread")
    figure.savefig(path, dpi=90, bbox_inches="tight")
    plt.close(figure)


def age(machine: str) -> str:
    return "" if any(name in machine for name in CURRENT) else "\nearlier kernels"


def fastest(cell: Cell | None) -> float:
    """The smallest ratio of a cell: that of the fastest other library; NaN without one."""
    return min(cell[1].values(), default=math.nan) if cell else math.nan


FRONT = (
    "784-128-10, batch 64, relu + cross_entropy, Adam", "784-512-512-10, batch 128, relu + cross_entropy, SGD"
)  # fmt: skip
"""Rows of the first table that are also in README.md."""

FRONT_MACHINES = ("amd_epyc_znver4", "intel_xeon_emeraldrapids")
"""Folders of the machines in README.md: for each vendor, the one measured last."""


LIBRARIES = ("jitnet", "NumPy", "PyTorch", "JAX")
"""Columns of the table in README.md."""


def readme(text: str) -> str:
    """README.md with the current figures in the table whose first column is `step`."""
    before, after = text.split("| step |")
    rest = after[after.index("\n\n") :]
    return before + "\n".join(front()) + rest


def front() -> list[str]:
    """The lines of the table in README.md: a row for each step and machine."""
    lines = [f"| step | one core of | {' | '.join(LIBRARIES)} |", "|" + "---|" * (len(LIBRARIES) + 2)]
    for step in FRONT:
        for found in results_of("steps_1_thread").values():
            if found["from"] in FRONT_MACHINES:
                (row,) = [row for row in found["rows"] if row["step"] == step]
                lines.append(f"| {step} | {processor(found['machine'])} | {' | '.join(times(row))} |")
    return lines


def times(row: Row) -> list[str]:
    """The time in each library, and a dash for one with wrong numbers, which is left out."""
    return [row.get(f"{name} µs") or "–" for name in LIBRARIES]


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    picture(PICTURE)
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
