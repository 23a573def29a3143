"""The commands, code, links and figures of the README and the guide in docs/ are current."""

import json
import math
import re
import runpy
from pathlib import Path

import pytest
from course import run_here

import jitnet
from jitnet.compiler.registry import USER_DEFINED
from jitnet.kernels.activations import ActivationName
from jitnet.losses import LossName

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


README = text_of("README.md")
KERNELS = text_of("docs/guide/kernels.md")


def blocks(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_code_of_every_page_runs(tmp_path, monkeypatch, page):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.py").write_text("\n".join(blocks(page)), encoding="utf-8")  # functions need a file
    status, printed, errors = run_here("page.py")
    assert status == 0, errors
    lines = printed.splitlines()
    if page.stem == "README":
        assert float(re.search(r"'accuracy': ([\d.]+)", lines[-1])[1]) > 0.95
    elif page.stem == "library":
        assert float(lines[0].split()[1]) > 0.95
        assert lines[-1].endswith("(64, 32) (64, 32)")


def test_readme_has_short_code_blocks():
    assert {page.stem for page in PAGES if blocks(page)} >= {"README", "library", "your_kernel"}
    (tour,) = blocks(ROOT / "docs" / "guide" / "library.md")
    assert len([line for line in tour.splitlines() if line.strip()]) <= 25
    assert len(README.splitlines()) <= 130


def test_readme_has_one_command_for_users_and_one_for_tests():
    """`.ci/run` reads the second command from the README."""
    commands = re.findall(r"^python3 -m venv \.venv && (.*)$", README, re.MULTILINE)
    assert [len(re.findall(r"bin/pytest -n auto *$", command)) for command in commands] == [0, 1]


def test_commands_never_replace_an_editable_install_by_a_copy():
    for page in (*PAGES, ROOT / "examples" / "README.md", ROOT / "CONTRIBUTING.md"):
        assert not re.findall(r"pip install ['\"]?\.", page.read_text(encoding="utf-8")), page.name


def test_links_exist():
    pages = [*PAGES, *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY", "CHANGELOG", "docs/decisions"))]
    for page in pages:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", text):
            assert (page.parent / target).exists(), (page.name, target)


def test_contributing_is_short():
    assert len(text_of("CONTRIBUTING.md").splitlines()) <= 150


def test_table_of_loops_names_every_kernel_file():
    files = {path.name for path in (ROOT / "jitnet" / "kernels").glob("*.py")}
    for name in files - {"__init__.py", "numpy_baseline.py"}:
        assert f"kernels/{name}" in KERNELS, name
    house = text_of("CONTRIBUTING.md")
    folders = [ROOT / "jitnet" / name for name in ("", "compiler", "kernels")]
    for name in {path.name for folder in folders for path in folder.glob("*.py")} - {"__main__.py"}:
        assert name in house, name


@pytest.mark.parametrize("operation", jitnet.kernels.LADDERS)
def test_table_of_rungs_names_every_rung(operation):
    (row,) = [line for line in KERNELS.splitlines() if line.startswith("|") and f"`{operation}`" in line]
    rungs = [rung for rung in jitnet.kernels.LADDERS[operation] if not rung.endswith("_parallel") and rung != "numpy"]
    assert row.endswith(f"| {', '.join(rungs)} |")


def test_table_of_rungs_names_no_other_loop():
    rows = [line.split(" | ") for line in KERNELS.splitlines() if line.startswith("| ")][1:]
    named = [name for _, loops, rungs in rows if rungs.startswith("python") for name in re.findall(r"`(\w+)`", loops)]
    assert sorted(named) == sorted(
        jitnet.kernels.LADDERS.keys() - USER_DEFINED.keys()
    )  # users' functions, as on the pages


def test_library_guide_names_every_function_and_optimizer():
    guide = text_of("docs/guide/library.md")
    for name in (*ActivationName.__args__, *LossName.__args__, *jitnet.optimizers.__all__):
        assert f"`{name}`" in guide, name


def test_figures_are_the_output_of_the_benchmarks():
    assert text_of("benchmarks/results/intel_xeon_emeraldrapids/estimators_1_thread.md").strip() in text_of(
        "docs/guide/other_libraries.md"
    )
    tables = runpy.run_path(str(ROOT / "benchmarks" / "tables.py"))
    assert text_of("docs/guide/machines.md") == tables["page"]()
    assert tables["PICTURE"].is_file()
    assert tables["fastest"](("5 µs", {"NumPy": 1.2, "JAX": 0.9})) == 0.9
    assert math.isnan(tables["fastest"](None))
    assert tables["readme"](README) == README
    assert README.count("| 784-512-512-10, batch 128") == len(tables["FRONT_MACHINES"])
    assert tables["times"]({"jitnet µs": "2.0", "NumPy µs": "3.0", "PyTorch µs": ""}) == ["2.0", "3.0", "–", "–"]


def test_fractions_of_cublas_are_the_output_of_the_benchmark():
    path = RESULTS / "nvidia_h200" / "gpu_products.json"
    rows = [row for row in json.loads(path.read_text(encoding="utf-8"))["rows"] if row["operation"] == "matmul"]
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    measured = {(row["rung"], row["size"]): row["of cuBLAS"].replace("%", " %") for row in rows}
    rungs = [name for name in dict.fromkeys(row["rung"] for row in rows) if not name.startswith("cuBLAS")]
    for rung in rungs:
        cells = [measured.get((rung, size), "–") for size in sizes]
        assert f"| {rung} | {' | '.join(cells)} |" in text_of("docs/guide/gpu.md")
