"""The commands and the code of the README run as printed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jitnet

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tour(tmp_path):
    (tour,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in tour.splitlines() if line.strip()]) <= 25
    result = subprocess.run([sys.executable, "-c", tour], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert float(lines[0].split()[1]) > 0.95
    assert lines[-1].endswith("(64, 32) (64, 32)")


def test_links_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md"):
        text = re.sub(r"```.*?```", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (ROOT / target).exists(), (name, target)


def test_the_table_of_loops_names_every_kernel_file():
    files = {path.name for path in (ROOT / "jitnet" / "kernels").glob("*.py")}
    for name in files - {"__init__.py", "numpy_baseline.py"}:
        assert f"kernels/{name}" in README, name
    house = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = [ROOT / "jitnet" / name for name in ("", "compiler", "kernels")]
    for name in {path.name for folder in folders for path in folder.glob("*.py")} - {"__main__.py"}:
        assert name in house, name


@pytest.mark.parametrize("operation", ["matmul", "matmul_tn", "matmul_nt"])
def test_the_table_names_the_rungs(operation):
    table = README[README.index("## Where to read") : README.index("## The lab")]
    (row,) = [line for line in table.splitlines() if f"`{operation}`" in line]
    rungs = [rung for rung in jitnet.kernels.LADDERS[operation] if not rung.endswith("_parallel") and rung != "numpy"]
    assert row.endswith(f"| {', '.join(rungs)} |")


def test_the_figures_are_the_output_of_the_benchmark():
    table = (ROOT / "benchmarks" / "results" / "steps_1_thread.md").read_text(encoding="utf-8").strip()
    assert table in README


def test_the_fractions_of_cublas_are_the_output_of_the_benchmark():
    path = ROOT / "benchmarks" / "results" / "gpu_products_nvidia_h200.json"
    rows = [row for row in json.loads(path.read_text(encoding="utf-8"))["rows"] if row["operation"] == "matmul"]
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    measured = {(row["rung"], row["size"]): row["of cuBLAS"].replace("%", " %") for row in rows}
    rungs = [name for name in dict.fromkeys(row["rung"] for row in rows) if not name.startswith("cuBLAS")]
    for rung in rungs:
        cells = [measured.get((rung, size), "–") for size in sizes]
        assert f"| {rung} | {' | '.join(cells)} |" in README
