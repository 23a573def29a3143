"""The ladder: every rung is checked, timed and compared, and wrong ones are reported."""

import importlib.util
import json
import re
import subprocess
import sys

import numba
import numpy as np
import pytest
from brief import measure_briefly
from cases import release
from command import jitnet_command

import jitnet
from jitnet.kernels import LADDERS
from jitnet.lab import formatting, ladder, ladder_table, oracle, plots, problems
from jitnet.lab.benchmark import candidates, training
from jitnet.lab.problems import of_operation
from jitnet.lab.problems.operations import PRODUCTS

LIMITS = {
    "cpu": "a machine", "disturbed": False, "disturbed_by": [], "caches": {"L1": 1 << 15, "L2": 1 << 20},
    "peak": {"float32": {"1": 1e13, "2": 2e13}},
    "bandwidth": {
        level: {"1": {"copy": 1e12, "read": 1e12}, "2": {"copy": 2e12, "read": 2e12}}
        for level in ("L1", "L2", "memory")
    },
}  # fmt: skip


@pytest.fixture
def limits(monkeypatch, quiet):
    measure_briefly(monkeypatch)
    monkeypatch.setattr(ladder.machine, "limits", lambda again=False, report=None: LIMITS)
    monkeypatch.setattr(ladder.machine, "_keep", lambda found: None)


def test_command_line_prints_json(tmp_path, limits):
    picture = tmp_path / "ladder.png"
    result = jitnet_command("ladder", "sigmoid", "--size", "33x20x70", "--json", "--quiet", "--plot", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert (found["operation"], found["shape"], found["unit"]) == ("sigmoid", [33, 20, 70], "GB/s")
    assert [rung["name"] for rung in found["rungs"]] == list(LADDERS["sigmoid"])
    assert all(rung["checked"] for rung in found["rungs"])


@pytest.mark.parametrize("operation", ["matmul", "sigmoid", "adam"])
def test_figures_are_consistent(operation, limits):
    heard = []
    found = ladder.measure(operation, "24", threads=1, report=lambda *news: heard.append(news))
    key = "gflops" if operation in PRODUCTS else "gbytes"
    python, *_, numpy = found["rungs"]
    for rung in found["rungs"]:
        assert rung["shape"] == [24, 24, 24]
        assert 0 < rung["low"] <= rung["seconds"] <= rung["high"]
        assert rung["speedup"] == pytest.approx(rung[key] / python[key])
        assert rung["share_of_numpy"] == pytest.approx(rung[key] / numpy[key])
        limit = 10_000 if key == "gflops" else 1000
        assert rung["share_of_peak"] == pytest.approx(rung[key] / limit)
        assert rung["idea"]
    if operation == "matmul":
        assert python["gflops"] == pytest.approx(2e-9 * 24**3 / python["seconds"])
    if operation == "sigmoid":  # reads one matrix, writes one
        assert python["gbytes"] == pytest.approx(2e-9 * 4 * 24**2 / python["seconds"])
    if operation == "adam":  # reads grad; reads and writes theta, mean and square
        assert python["gbytes"] == pytest.approx(7e-9 * 4 * 24**2 / python["seconds"])
    assert {"timing, round: python", "timing, round: njit"} <= {what for _, _, what in heard}
    assert (1, len(found["rungs"]), f"checking: {operation}.njit against float64") in heard
    text = ladder.as_text(found)
    assert all(name in text for name in LADDERS[operation])


def test_training_step_has_backends_as_rungs(limits):
    found = ladder.measure("train", "5x7x3", threads=1)
    assert [rung["name"] for rung in found["rungs"]] == ["python", "njit", "parallel", "fast", "fast_parallel", "numpy"]
    flop = 2 * 5 * (2 * 7 * 3 + 3 * 3 * 10)  # two products in the first layer, three in the second
    for rung in found["rungs"]:
        assert rung["gflops"] == pytest.approx(1e-9 * flop / rung["seconds"])


@pytest.mark.parametrize(("name", "dtype"), [
    (release if (name, dtype) == ("parallel", "float64") else pytest.param)(name, dtype)
    for name in training.RUNGS for dtype in ("float32", "float64")
])  # fmt: skip
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (64, 50, 33)])
def test_training_step_equals_the_oracle(name, shape, dtype):
    call, case = training.prepare(name, shape, np.dtype(dtype))
    assert case.error() is not None or shape == (1, 1, 1)  # before the step the weights differ
    call()
    assert case.error() is None
    case.outputs[0][-1, -1] *= 1 + 100 * np.finfo(dtype).eps
    case.outputs[3][0] += 1e-3
    assert case.error() is not None


def test_data_are_aligned_and_equal_the_oracles():
    _, case = candidates.prepared(of_operation("gradients"), "njit", np.dtype("float32"), (5, 7, 3))
    usual = oracle.case("gradients", (5, 7, 3), "float32")
    for here, there in zip(case.arguments, usual.arguments, strict=True):
        assert here.ctypes.data % 64 == 0
        np.testing.assert_array_equal(here, there)


def test_update_is_an_alias_of_sgd(limits):
    assert ladder.measure("update", 8, threads=1)["operation"] == "sgd"


def test_registered_rung_is_part_of_the_ladder(limits, monkeypatch):
    def clip(Z, A):
        """Like the rung above, but by NumPy's function for two bounds. And so on."""
        np.clip(Z, 0, None, out=A)

    monkeypatch.setitem(LADDERS["relu"], "clip", clip)
    rung = ladder.measure("relu", 8, threads=1)["rungs"][-1]
    assert (rung["name"], rung["idea"]) == ("clip", "Like the rung above, but by NumPy's function for two bounds")


@pytest.mark.slow
def test_slow_rungs_get_a_smaller_size(limits, monkeypatch):
    monkeypatch.setattr(ladder, "PATIENCE", 0.01)
    found = ladder.measure("matmul", 96)
    shapes = {rung["name"]: rung["shape"] for rung in found["rungs"]}
    assert shapes["packed"] == [96, 96, 96]
    assert max(shapes["python"]) < 96
    assert f"python ({'x'.join(map(str, shapes['python']))}) " in ladder.as_text(found)


def test_wrong_rung_is_reported(limits, monkeypatch):
    def wrong(X, W, Z):
        Z[...] = X @ W
        Z[-1, -1] += 1

    monkeypatch.setitem(LADDERS["matmul"], "njit", wrong)
    with pytest.raises(jitnet.Error, match=r"matmul.njit is wrong: 1 of 64 wrong, first at \(7, 7\): expected"):
        ladder.measure("matmul", 8)


def test_uncertain_peaks_are_reported(limits, monkeypatch):
    assert "uncertain" not in ladder.as_text(ladder.measure("relu", 8))
    why = ["float64 was faster than float32"]
    monkeypatch.setattr(ladder.machine, "limits", lambda report: LIMITS | {"disturbed": True, "disturbed_by": why})
    shares_are_withheld(ladder.measure("relu", 8), "Float64 was faster than float32, so times and ratios are")


def test_rung_above_a_peak_raises_the_peak(limits, monkeypatch):
    slow = {count: {"copy": 1e3, "read": 1e3} for count in ("1", "2")}
    found = ladder.measure("relu", 8, limits=LIMITS | {"bandwidth": dict.fromkeys(("L1", "L2", "memory"), slow)})
    assert not found["disturbed"]
    assert max(rung["share_of_peak"] for rung in found["rungs"]) < 0.5  # the peak was measured again
    assert re.search(
        r"\(1 thread\).* from 1e-06 to 1000 GB/s|\(2 threads\).* from 1e-06 to 2000 GB/s", found["raised"][0]
    )
    monkeypatch.setattr(ladder.machine, "best_of", lambda found, again: found)
    found = ladder.measure("relu", 8, limits=LIMITS | {"bandwidth": dict.fromkeys(("L1", "L2", "memory"), slow)})
    assert 1 / 1.03 <= max(rung["share_of_peak"] for rung in found["rungs"]) <= 1.03
    assert "in L1 (1 thread) was measured too low, as" in " ".join(ladder.as_text(found).split())


def test_disturbed_timings_are_not_compared_with_peaks(limits, monkeypatch):
    monkeypatch.setattr(ladder.disturbance, "reasons", lambda *_: ["other processes used 1.4 of 2 cores"])
    shares_are_withheld(ladder.measure("relu", 8, threads=1), "Other processes used 1.4 of 2 cores, so times and")


def shares_are_withheld(found, sentence):
    assert found["disturbed"]
    assert found["roofline"] is None
    assert all(rung["share_of_peak"] is rung["share_of_numpy"] is None for rung in found["rungs"])
    lines = ladder.as_text(found).splitlines()
    above = next(place for place, line in enumerate(lines) if line.startswith("rung "))
    assert sentence in " ".join(lines[:above])  # readers begin at the top
    assert "uncertain" not in " ".join(lines[above:])
    assert "of peak and vs NumPy are left out" in " ".join(lines)
    assert max(map(len, lines)) <= 80
    head, *rows = lines[above : above + 1 + len(found["rungs"])]
    assert [row[head.index("of peak") :].split() for row in rows] == [["–", "–"]] * len(rows)


def test_numpy_threads_are_reported_without_threadpoolctl(limits, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(numba.config, "NUMBA_DEFAULT_NUM_THREADS", 2)
    found = ladder.measure("relu", 8, threads=1)
    assert "NumPy used 2 threads; to limit it too: pip install 'jitnet[cli]'" in ladder.as_text(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matmull"], "did you mean 'matmul'?"),
        (["tran"], "did you mean 'train'?"),
        (["train", "--with", "numpy:matmul"], "the rungs of train are backends"),
        (["matmul", "--backend", "fast"], "--backend can only be cuda"),
        (["matmul", "--backend", "cuda", "--threads", "1"], "leave them out"),
        (["matmul", "--size", "5x"], "size is '5x', but must be"),
        (["matmul", "--size", "0"], "size is '0', but must be"),
        (["matmul", "--size", "99999"], "size 99999 is too large"),
        (["matmul", "--dtype", "int8"], "dtype"),
        (["matmul", "--threads", "999"], "threads is 999"),
        (["matmul", "--plot", "nowhere/ladder.png"], "nowhere"),
        (["matmul", "--plot", "a.xyz"], "no plot can be written to a.xyz; its name must end in .png, .svg, .pdf"),
        (["matmul", "--plot", "png"], "no plot can be written to png"),
    ],
)
def test_errors_are_one_line_with_status_2(arguments, message):
    result = jitnet_command("ladder", *arguments, status=2)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_training_does_not_import_the_lab():
    code = "import sys, jitnet.cli; jitnet.cli.parser(); sys.exit('jitnet.lab' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def made_up(operation, names, on_gpu=False, **changes):
    """A simulated result with figures of maximum length."""
    shape = [100_000, 100, 1000]
    rungs = [
        {"name": name, "custom": False, "idea": "", "checked": True,
         "shape": shape if name != "python" else [64, 64, 64],
         "seconds": 0.0001234, "low": 1e-5, "high": 3e-4, "gflops": 0.00012345, "bytes": 1e6, "intensity": 9.0,
         "speedup": 123456.7 if name != "numpy" else 98765.4, "gain": 1829.05, "share_of_peak": None,
         "share_of_numpy": 123.456, "rank": 1}
        for name in names
    ]  # fmt: skip
    return {
        "operation": operation, "shape": shape, "dtype": "float64", "threads": None if on_gpu else 128,
        "unit": "GFLOP/s", "limit": None if on_gpu else "peak of multiply-adds", "numpy_threads": 1,
        "cpu": "AMD EPYC 9654 96-Core Processor at a long name",
        "disturbed": True, "rungs": rungs, "roofline": None,
        "disturbed_by": ["other processes used 101.4 of 128 cores", "the host of this virtual machine took 12.3 cores"],
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("disturbed", "said"),
    [(True, "mine passed the check, but is not ranked: the measurement was disturbed"), (False, "mine is the slowest")],
)
def test_kernel_is_not_ranked_by_a_disturbed_measurement(disturbed, said):
    found = made_up("matmul", ["python", "njit", "mine"], disturbed=disturbed)
    mine = found["rungs"][-1]
    mine |= {"custom": True, "speedup": 0.5}
    text = " ".join(ladder.as_text(found).split())
    assert said in text
    assert ("of njit" in text) != disturbed


@pytest.mark.parametrize(
    ("value", "quiet", "noisy"),
    [
        (21808.2, "21,800", "22,000"), (218.08, "218", "220"), (21.808, "21.8", "22"), (9.96, "10.0", "10"),
        (2.1808, "2.2", "2.2"), (0.218, "0.2", "0.2"), (0.0021, "0.002", "0.002"), (0, "0", "0"),
    ],
)  # fmt: skip
def test_ratios_have_the_digits_that_mean_something(value, quiet, noisy):
    assert (formatting.ratio(value), formatting.ratio(value, 2)) == (quiet, noisy)
    if value:
        found = made_up("matmul", ["python", "njit"], disturbed=False)
        found["rungs"][1] |= {"speedup": value, "share_of_peak": 0.000021, "share_of_numpy": 0.0021}
        assert f" {quiet} " in ladder.as_text(found)
        assert plots._label(found["rungs"][1], found).endswith(f"  ({quiet}×, 0.002% of peak)")
        assert re.search(r" 0\.002% +0\.002$", ladder.as_text(found), re.MULTILINE)
        assert f" {noisy} " in ladder.as_text(found | {"disturbed": True})


@pytest.mark.parametrize("operation", [*LADDERS, "train"])
def test_every_ladder_fits_a_terminal(operation, tmp_path):
    rungs = candidates.problem_of(operation).rungs
    names = [*rungs, "a/long/path/to/somebodys/kernels/my_kernels.py:my_matmul_parallel"]
    found = made_up(operation, names)
    lines = ladder.as_text(found).splitlines()
    assert max(map(len, lines)) <= 80
    used = problems.size_in_words(operation, [64, 64, 64]).removesuffix(" parameters")
    assert re.search(rf"^python \({used}\) +123.4 µs", "\n".join(lines), re.MULTILINE)
    assert any(line.startswith("A size in parentheses: ") for line in lines)
    figures = [line for line in lines if "±" in line]
    assert len(figures) == len(names)
    assert all(len(line[20:].split()) == 8 for line in figures), figures  # columns stay separate


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ("matmul", "512x784x10"), ("sigmoid", "512x10"), ("cross_entropy", "512x10"), ("gather", "512x784x10"),
        ("adam", "7,840 parameters"), ("sgd", "7,840 parameters"), ("rmsprop", "7,840 parameters"),
        ("train", "512x784x10"), ("mine", "512x784x10"),
    ],
)  # fmt: skip
def test_size_is_that_which_the_operation_uses(operation, said):
    assert problems.size_in_words(operation, (512, 784, 10)) == said
    result = {"operation": operation, "shape": [512, 784, 10], "dtype": "float32", "threads": 1, "cpu": "a CPU"}
    assert f"{operation} {said}" in ladder_table.subject(result)


@pytest.mark.parametrize("on_gpu", [False, True])
def test_no_row_without_a_time_is_said_to_be_checked(on_gpu):
    """One that is left out may have failed the check."""
    found = made_up("matmul", ["naive", "njit"], on_gpu)
    found["rungs"].append({"name": "mine", "custom": True, "checked": False, "error": "is wrong: 1 of 64 wrong"})
    for text in (ladder.as_text(found), ladder_table.Ladder(found)._repr_html_()):
        assert "Each row with a time passed the check against float64" in " ".join(text.split())
        assert "left out: it has an error" in text
        assert "Each was checked" not in text


def test_gpu_ladder_fits_a_terminal():
    names = ["naive", "coalesced", "blocktile_1d", "vectorized", "tensorcore"]
    lines = ladder.as_text(made_up("matmul", names, on_gpu=True)).splitlines()
    assert max(map(len, lines)) <= 80
    assert "128 cores" in " ".join(lines)


def test_disturbed_plot_has_no_roofline_but_the_reason(tmp_path):
    plots.draw_ladder(made_up("matmul", LADDERS["matmul"]), tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert "Machine peaks" not in text
    assert "of peak" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["matmul", "--problem", "dot"],
            "--problem names what the kernels compute; leave the operation and --backend out",
        ),
        (["--problem", "dot", "--size", "3x4"], "size is '3x4', but must be whole numbers, as in 1000000"),
        (
            ["--problem", "conv2d", "--size", "3x3x5"],
            "raises ValueError: the filter must fit into the image (conv2d.py",
        ),
        (["--problem", "dot", "--dtype", "int8"], "unknown dtype 'int8'"),
        (["conv2d"], "conv2d is a problem, not an operation: jitnet ladder --problem conv2d"),
        (["--problem", "dot", "--with", "nothing.py:f"], "there is no file nothing.py"),
    ],
)
def test_errors_about_problems_are_one_line(arguments, message):
    result = jitnet_command("ladder", *arguments, "--quiet", status=2)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
