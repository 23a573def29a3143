"""The tables of all machines side by side, one column per machine: docs/guide/machines.md, and three rows in README.md.

    python benchmarks/tables.py

The other scripts write their results to a folder of their machine; this one only reads those folders.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]
PAGE, README = ROOT / "docs" / "guide" / "machines.md", ROOT / "README.md"

Row = dict[str, str]

INTRODUCTION = """\
# Every machine

The same benchmarks on different processors. Each cell has the time in jitnet, the fraction of the core's peak, and how
many times as long the other libraries take: with "1.40 × NumPy", NumPy takes 1.4 times as long as jitnet. The timings
of all libraries alternate on one machine. The peak is the speed of a loop of multiply-adds in registers in the same
minute. The machines are virtual and shared, so compare times within a column, and only roughly between columns. A dash
means not measured. Emerald Rapids was measured with the present kernels; Zen 5 with kernels that copied B before the
first tile computed anything, and that masked all rows of narrow panels; Zen 4 and Ice Lake with still earlier ones,
which had smaller tiles and slower versions of sigmoid, tanh and softmax. `python benchmarks/steps.py` (and
`products.py`, `activations.py`, `epochs.py`) writes to a folder of its machine; `python benchmarks/tables.py` writes
this page.
"""


def ratios(row: Row, unit: str) -> str:
    """Time of each other library relative to jitnet: "1.40 × NumPy, 2.31 × PyTorch"."""
    own = float(row[f"jitnet{unit}"])
    others = {name.removesuffix(unit): row[name] for name in row if name.endswith(unit) and name not in NO_PEERS}
    return ", ".join(f"{float(time) / own:.2f} × {peer}" for peer, time in others.items() if time)


NO_PEERS = {"jitnet µs", "limit µs", "jitnet ns", "jitnet", "µs at peak", "what", "× best peer"}


def step(row: Row) -> str:
    return f"{row['jitnet µs']} µs, {row['fraction of peak']} of peak; {ratios(row, ' µs')}"


def product(row: Row) -> str:
    share = f"{row['jitnet GFLOP/s']} GFLOP/s, {row['jitnet, of peak']} of peak"
    return f"{share}; {', '.join(f'{row[name]} {name}' for name in row if name.startswith('× ') and row[name])}"


def operation(row: Row) -> str:
    return f"{row['jitnet ns']} ns; {ratios(row, ' ns')}"


def epoch(row: Row) -> str:
    return f"{row['jitnet']} s; {ratios(row, '')}"


TABLES: list[tuple[str, str, str, Callable[[Row], str]]] = [
    ("A training step, one thread", "steps_1_thread", "step", step),
    ("A training step, two threads", "steps_2_threads", "step", step),
    ("Products, one thread", "products_1_thread", "product", product),
    ("Products, two threads", "products_2_threads", "product", product),
    ("Activations, time per number, one thread", "activations_1_thread", "operation", operation),
    ("An epoch, and predictions, one thread", "epochs_1_thread", "what", epoch),
]
"""Title, file, the column with the names of the rows, and the function for the text of a cell."""


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


def table(file: str, names: str, cell: Callable[[Row], str]) -> list[str]:
    """The lines of the table of a file."""
    machines = results_of(file)
    columns = {machine: {row[names]: cell(row) for row in found["rows"]} for machine, found in machines.items()}
    lines = [f"| {names} | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 1)]
    for name in dict.fromkeys(name for cells in columns.values() for name in cells):
        lines.append(f"| {name} | {' | '.join(cells.get(name, '–') for cells in columns.values())} |")
    return lines


def page() -> str:
    """The whole page, as Markdown."""
    lines = [INTRODUCTION]
    for title, file, names, cell in TABLES:
        lines += [f"## {title}", "", *table(file, names, cell), ""]
    return "\n".join(lines)


FRONT = (
    "784-128-10, batch 64, relu + cross_entropy, Adam", "784-512-512-10, batch 128, relu + cross_entropy, SGD"
)  # fmt: skip
"""Rows of the first table that are also in README.md."""

FRONT_MACHINES = ("amd_epyc_znver5", "intel_xeon_emeraldrapids")
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
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
