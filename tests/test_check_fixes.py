"""The sanitizer's fixes fit: those of races, and those of numbers that become float64."""

import math

import buggy_loops
import numba
import numpy as np
import pytest
from buggy_loops import PAIRS

from jitnet.lab.sanitizer.checking import examine
from jitnet.lab.sanitizer.conflicts import OUTPUT, Dependences
from jitnet.lab.sanitizer.findings import FIXES, Finding

RACES = {
    "exponential_average": "an iteration needs the result of another one: write range, or compute it as a scan",
    "running_sum_in_place": "if it needs what was there before the loop, read from a copy of a",
    "scan_by_doubling": "if it needs what was there before the loop, read from a copy of a",
    "neighbors": "read from a copy of a, which is made before the loop",
    "stencil_in_place": "read from a copy of a, which is made before the loop",
    "relaxation": "read from a copy of A, which is made before the loop",
    "histogram": "give each thread its own table, tables[numba.get_thread_id()], and add the tables up into hist",
    "histogram_of_floats": "give each thread its own table, tables[numba.get_thread_id()]",
    "sum_by_hand": "update a variable instead, total += x or best = max(best, x)",
    "flag": "update a variable instead",
    "column_sums": "divide another loop: let prange run over the elements of sums",
    "product_over_k": "divide another loop: let prange run over the elements of C",
    "shared_buffer": "allocate the buffer inside the loop",
    "while_inside": "allocate the buffer inside the loop",
    "in_a_closure": "allocate the buffer inside the loop",
    "wraps_around": "divide another loop, such as one over the elements of out",
    "blocks_that_overlap": "let each iteration write its own elements",
    "transpose_in_place": "let each iteration write its own elements",
    "elimination": "let each iteration write its own elements: divide another loop",
    "prefix_sum": "for the sum up to each element, write range, or compute it as a scan",
}
"""Kernel with a race -> the fix that fits what its iterations do to each other."""


@pytest.mark.parametrize("name", RACES)
def test_a_race_has_the_fix_that_fits(name):
    pair = PAIRS[name]
    errors = examine(pair.wrong, [pair.arguments()], pair.writes).errors
    fixes = {error.fix for error in errors if error.kind == pair.kind}
    assert len(fixes) == 1
    assert RACES[name] in fixes.pop()
    assert ("range, or compute" in errors[0].fix) == (name in (*list(RACES)[:3], "prefix_sum"))


LOOP = """
import numba

@numba.njit(parallel=True)
def adds(x, out, n):
    for i in numba.prange(x.size):
        {} += x[i]
"""


@pytest.mark.parametrize(
    ("element", "fix"),
    [
        ("out[n - 1]", "racing result"),
        ("out[len(out) - 1]", "racing result"),
        ("out[int(i / 2)]", "racing sum"),
        ("out[(len(x) - 1 - i) // 2]", "racing sum"),
        ("out[i // x.shape[0]]", "racing sum"),
        ("out[i % out.size]", "racing table"),
        ("out[int(x[i] / 9)]", "racing table"),
        ("out[numba.get_thread_id() // 2]", "racing table"),
        ("out[0] = out[0]", "racing result"),
        ("out[0] = n + out[0] - x[0]", "racing result"),
        ("out[0] = out[0] * n * n", "recurrence"),
        ("out[0] = 0.9 * out[0]", "recurrence"),
        ("out[0] = out[0] * 5 % 7", "recurrence"),
    ],
)
def test_the_fix_of_a_sum_fits_its_index(element, fix, tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 4)
    loop = LOOP.replace("{} +=", "{} +") if "=" in element else LOOP
    (tmp_path / "adds.py").write_text(loop.format(element))
    errors = examine(f"{tmp_path / 'adds.py'}:adds", [(np.arange(7.0), np.zeros(4), 4)]).errors
    assert {error.fix for error in errors if error.kind == "race"} == {FIXES[fix].replace("ARRAY", "out")}


def test_a_race_that_is_known_may_still_be_seen_to_read():
    dependences, finding = Dependences("a"), Finding("race", "")
    for is_read in (False, True):
        dependences.add(OUTPUT, finding, is_read, None, 1, 1)
        assert finding.fix == FIXES["racing buffer" if is_read else "race"].replace("ARRAY", "a")


def averages(x, a, y):
    b = 1 - a
    y[0] = x[0]
    for i in range(1, x.size):
        y[i] = a * x[i]
        y[i] = y[i] + math.sqrt(b) * y[i - 1]


def doubles(x, a, y):
    a *= 2
    for i in range(x.size):
        y[i] = a * x[i]


def sums(x, a, y):
    total = 0.0
    for i in range(x.size):
        total += x[i]
        y[i] = a * x[i] + total


def multiplies(x, a, y):
    product = 1.0
    for i in range(x.size):
        product *= x[i]
        y[i] = a * x[i] + product


def divides(x, a, y):
    rest = 2.0
    for i in range(x.size):
        rest /= x[i] + a
        y[i] = rest


def negates(x, a, y):
    for i in range(x.size):
        y[i] = -0.5 * x[i] + a


@pytest.mark.parametrize(
    ("kernel", "line", "expression", "fix"),
    [
        (averages, 1, "1 - a", "write y.dtype.type(1) instead of 1"),
        (doubles, 1, "a *= 2", "write y.dtype.type(2) instead of 2"),
        (sums, 3, "total += x[i]", "begin total with y.dtype.type(0)"),
        (multiplies, 3, "product *= x[i]", "begin product with y.dtype.type(1)"),
        (divides, 3, "rest /= x[i] + a", "begin rest with y.dtype.type(its value)"),
        (negates, 2, "-0.5 * x[i]", "write y.dtype.type(-0.5) instead of -0.5"),
    ],
)
def test_a_float64_is_found_where_it_is_made(kernel, line, expression, fix):
    """The lines that use it, and store it, are no findings of their own."""
    (found,) = examine(kernel, [(buggy_loops.vector(), np.float32(0.5), buggy_loops.unset(7))]).findings
    assert found.lines == [kernel.__code__.co_firstlineno + line]
    assert f"{expression}` mixes a float32 with a Python number" in found.message
    assert found.fix == fix


def scales_both(x, w, y, z):
    for i in range(x.size):
        z[i] = np.sqrt(0.5 * x[i])
        y[i] = w[i]


def test_a_float64_of_an_array_has_nothing_to_do_with_one_that_is_made():
    """The square root is stored in a float64, and w holds float64."""
    x, wide = buggy_loops.vector(), np.ones(7)
    (found,) = examine(scales_both, [(x, wide, buggy_loops.unset(7), wide.copy())]).findings
    assert found.lines == [scales_both.__code__.co_firstlineno + 3]
    assert "this line, or one before it," in found.message
    (found,) = examine(scales_both, [(x, x, wide, buggy_loops.unset(7))]).findings
    assert "`0.5 * x[i]` mixes" in found.message
