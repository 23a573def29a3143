"""`jitnet trace` on the command line, and its film strip."""

import json
import re
from argparse import Namespace

import numpy as np
import pytest
from command import jitnet_command
from test_trace import TINY, alone, traced

from jitnet import cli
from jitnet.cli import trace
from jitnet.kernels import LADDERS
from jitnet.lab.trace import plots, recording, table, tracing


def test_animation_of_a_small_product_shows_its_accesses():
    found = traced("njit", (1, 2, 2))
    accesses = found.counts.accesses
    X, W, Z = accesses.arrays
    assert [array.name for array in (X, W, Z)] == ["X", "W", "Z"]
    assert repr(found["times"]) == "4"
    assert plots._end_of_film(accesses, [X, W, Z]) == 9  # the second sum reads W[1, 1]
    assert plots._latest(W, accesses.addresses).tolist() == [[1, 6], [3, 8]]
    assert plots._latest(Z, accesses.addresses[:5]).tolist() == [[4, None]]
    missed = plots._missed(X, accesses.addresses, found.counts.misses > 0)
    assert missed.tolist() == [[0.5, 0.0]]


def test_animation_has_a_panel_for_each_array_and_frame():
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    axes = plots.film_strip(traced("njit", (1, 2, 2))).axes
    assert len(axes) == 3 * (plots.FRAMES + 1) + 2  # one row per array, and two color bars
    assert axes[-1].get_xlabel() == "misses per access"
    assert {axis.get_aspect() for axis in axes[:-2]} == {1.0}
    without = tracing.trace(alone, (8,), levels=[TINY], time=False)  # its only array is its own
    assert len(plots.film_strip(without).axes) == plots.FRAMES + 1
    for shape, aspect in (((40,), "auto"), ((6, 1), 1.0), ((1, 7), "auto")):
        plots._panel(axes[0], np.ones(shape), cmap="Reds")
        assert axes[0].get_aspect() == aspect
    image = plots._panel(axes[0], np.arange(6.0).reshape(1, 2, 3), cmap="Reds").get_array()
    assert image[::150, ::100].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_command_prints_a_table_and_draws(tmp_path):
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    file = tmp_path / "film.png"
    result = jitnet_command(
        "trace", "matmul.njit", "--size", "2x3x5", "--cache", "L1=1K/2", "L2=32K/8", "--plot", file, "--quiet"
    )
    assert result.stderr == ""
    assert "matmul.njit: X 2x3, W 3x5, Z 2x5" in result.stdout
    assert "L1 1 KB, 2 ways; L2 32 KB, 8 ways" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert file.read_bytes().startswith(b"\x89PNG")


def test_command_guesses_the_arguments_of_a_kernel(tmp_path, untried):
    file = tmp_path / "mine.py"
    file.write_text(
        "def total(A, out):\n    for j in range(A.shape[1]):\n        for i in range(A.shape[0]):\n"
        "            out[j] += A[i, j]\n"
    )
    result = jitnet_command("trace", f"{file}:total", "--size", "16", "--cache", "L1=1K/2", "--json", "--quiet")
    found = json.loads(result.stdout)
    assert (found["per"], found["times"], found["loads"], found["stores"]) == ("iteration", 256, 512, 256)
    assert [row["stride"] for row in found["rows"] if row["array"] == "A"] == [64]
    refused = jitnet_command("trace", f"{file}:total", "--size", "4096", status=2)
    assert f"too many accesses to trace, about {3 * 4096**2:,}" in refused.stderr
    given = jitnet_command("trace", f"{file}:total", "--args", "ones((4, 8)), zeros(8)", "--cache", "L1=1K/2")
    assert "32 iterations" in given.stdout


def test_command_takes_the_arguments_of_a_problem(tmp_path, untried):
    file = tmp_path / "mine.py"
    file.write_text("def add(x, total):\n    for i in range(x.size):\n        total[0] += x[i]\n")
    command = "trace", f"{file}:add", "--problem", "sum", "--cache", "L1=1K/2", "--quiet"
    assert "63 accesses, 21 iterations" in jitnet_command(*command, "--size", "21").stdout
    assert "3,027 accesses, 1,009 iterations" in jitnet_command(*command).stdout  # for the problem's largest test shape


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["matmul.nijt"], "did you mean 'njit'"),
        (["matmul"], "which rung of matmul? Write matmul.packed_parallel; rungs: python, njit"),
        (["mine.py"], "which function of mine.py? Write mine.py:function"),
        (["matmul.njit", "--size", "0"], "size"),
        (["matmul.njit", "--size", "2000"], "too many accesses to trace, about 16,1"),
        (["matmul.njit", "--size", "2000"], "; take fewer rows, such as 12x64x512"),
        (["matmul.njit", "--args", "ones(3)"], "its own arguments"),
        (["matmul.njit", "--cache", "48K"], "L1=48K/12"),
        (["matmul.numpy"], "NumPy's own code"),
        (["matmul.njit", "--problem", "sum"], "--problem takes a function"),
        (["f.py:f", "--problem", "sum", "--as", "matmul"], "leave all but one out"),
        (["operator:add", "--as", "matmul"], "add has the parameters (a, b, /), but is called as add(X, W, Z)"),
    ],
)
def test_command_errors_are_one_line(arguments, said):
    result = jitnet_command("trace", *arguments, "--quiet", status=2)
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("measured", "waits", "says"),
    [
        (2e-3, 5e-4, "They overlap, so memory is the limit: predicted 1e+03 ns, measured 2e+03 ns (2 times that)."),
        (1e-3, None, "with warm caches: predicted memory 1e+03 ns (), measured 1e+03 ns (as predicted)."),
        (1.2, None, "memory 1e+03 ns (); measured 1.2e+06 ns. The rest is other arithmetic, branches or calls, which "
         "is not predicted: see jitnet explain."),
    ],
)  # fmt: skip
def test_memory_is_no_limit_where_it_takes_a_small_part_of_the_time(measured, waits, says):
    predicted = {"memory": 1e-3, "levels": {}, "waits": waits, "waits_for": "s", "arithmetic": None, "limit": "memory",
                 "seconds": 1e-3}  # fmt: skip
    found = {"predicted": predicted, "times": 1000, "per": "iteration", "measured": measured, "disturbed_by": [],
             "unpredicted": ["other arithmetic", "branches", "calls"], "conflicts": 0}  # fmt: skip
    (sentence,) = table._time(found)
    assert sentence.endswith(says)
    predicted["seconds"] = predicted["memory"] = 1e-7
    (sentence,) = table._time(found | {"measured": 1e-5})
    assert "branches, calls or the call itself" in sentence


@pytest.mark.parametrize(("measured", "conflicts", "is_said"), [(2e-3, 990, 1), (2e-3, 9, 0), (1e-3, 990, 0)])
def test_conflicts_may_explain_a_time_above_the_prediction(measured, conflicts, is_said):
    predicted = {"memory": 8e-4, "levels": {}, "waits": 1e-3, "waits_for": "s", "arithmetic": None, "limit": "waits",
                 "seconds": 1e-3}  # fmt: skip
    found = {"predicted": predicted, "times": 1000, "per": "multiply-add", "measured": measured, "disturbed_by": [],
             "unpredicted": [], "conflicts": conflicts}  # fmt: skip
    (sentence,) = table._time(found)
    assert ("that). Lines that collide can take longer than other misses" in sentence) == is_said


def test_faster_additions_than_predicted_have_two_causes():
    predicted = {"memory": 1e-4, "levels": {}, "waits": 1e-3, "waits_for": "s", "arithmetic": None, "limit": "waits",
                 "seconds": 1e-3}  # fmt: skip
    found = {"predicted": predicted, "times": 1000, "per": "iteration", "measured": 6e-4, "disturbed_by": [],
             "unpredicted": []}  # fmt: skip
    assert "takes less than 4 cycles here, or a sum begins before the previous one ends" in table._time(found)[0]
    predicted["waits_for"] = "an element of y"  # which is stored and loaded, too
    assert table._time(found)[0].endswith(" A sum begins before the previous one ends.")


@pytest.mark.parametrize(("measured", "is_said"), [(1.43e-6, False), (2.6e-6, True), (4e-6, False)])
def test_a_call_takes_most_of_a_short_time_only_if_most_is_not_predicted(measured, is_said):
    predicted = {"memory": 1.28e-6, "levels": {}, "waits": None, "arithmetic": None, "limit": "memory",
                 "seconds": 1.28e-6}  # fmt: skip
    found = {"predicted": predicted, "times": 65536, "per": "iteration", "measured": measured, "disturbed_by": [],
             "unpredicted": ["branches"]}  # fmt: skip
    assert ("Most of this is call overhead" in table._time(found)[0]) == is_said


@pytest.mark.parametrize(("measured", "is_said"), [(0.7e-3, True), (1e-3, False)])
def test_kernel_faster_than_the_saved_peak_says_that_the_peak_is_too_low(measured, is_said):
    predicted = {
        "memory": 1e-4,
        "levels": {},
        "waits": None,
        "arithmetic": 1e-3,
        "limit": "arithmetic",
        "seconds": 1e-3,
    }
    found = {"predicted": predicted, "times": 1000, "per": "multiply-add", "measured": measured, "disturbed_by": []}
    assert ("So the saved peak was measured too low" in table._time(found)[0]) == is_said


@pytest.mark.parametrize(("measured", "limit"), [(1.2, "memory"), (4e-4, "waits"), (4e-4, "arithmetic")])
def test_disturbed_time_is_not_compared_with_the_prediction(measured, limit):
    predicted = {"memory": 1e-3, "levels": {}, "waits": 1e-3, "waits_for": "s", "arithmetic": 1e-3, "limit": limit,
                 "seconds": 1e-3}  # fmt: skip
    found = {"predicted": predicted, "times": 1000, "per": "multiply-add", "measured": measured,
             "disturbed_by": ["other processes used 1.7 of 2 cores"], "unpredicted": ["branches"]}  # fmt: skip
    (sentence,) = table._time(found)
    time, _, rest = sentence.partition(
        " ns. Other processes used 1.7 of 2 cores, so times and ratios are too uncertain "
    )
    assert time.endswith(f"measured {measured * 1e6:.3g}")
    assert rest == "to compare; run it again when the machine is idle."


@pytest.mark.parametrize("rung", ["njit", "blocked", "packed"])
def test_accesses_are_extrapolated_from_a_small_shape(rung):
    kernel = LADDERS["matmul"][rung]
    assert trace._expected(kernel, "matmul", (12, 96, 160), "float32") == pytest.approx(
        traced(rung, (12, 96, 160))["accesses"], rel=0.1
    )
    assert trace._expected(kernel, "matmul", (12, 64, 512), "float32") < recording.MOST  # the size that errors suggest


def test_size_of_a_tile_that_reuses_its_numbers_is_not_refused():
    options = Namespace(size="192", args=None, problem=None, dtype="float32")
    (X, *_), seconds = trace._arguments(options, LADDERS["matmul"]["packed"], "matmul")
    assert X.shape == (192, 192)
    assert 0.15 * 192**3 < seconds / trace.ACCESS < 0.4 * 192**3  # 6 rows and 16 to 64 columns; 2 without reuse


def test_kernel_of_blocks_that_fits_no_small_shape_can_be_traced():
    def blocks(X, W, Z):
        for i in range(0, Z.shape[0], 16):
            for row in range(16):
                Z[i + row, 0] = X[i + row, 0] * W[0, 0]

    assert trace._expected(blocks, "matmul", (32, 32, 32), "float32") == 2 * 32**3


@pytest.mark.parametrize("command", ["ladder", "explain", "trace"])
def test_every_command_writes_sizes_in_the_same_way(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    assert re.search(r"--size N .*? or m x n_in x n_out: \d+x\d+x\d+", " ".join(capsys.readouterr().out.split()))
