"""Traces: the accesses of a kernel, the simulated caches, and what they explain."""

import functools
import re
import time
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from jitnet import checks
from jitnet.kernels import LADDERS
from jitnet.kernels.register_tile import ROWS
from jitnet.lab import oracle
from jitnet.lab.trace import caches, prediction, recording, table, tracing
from jitnet.lab.trace.caches import Level

L1, L2 = Level("L1", 48 << 10, 12), Level("L2", 2 << 20, 16)
TINY = Level("L1", 2 * 2 * 64, 2)  # two sets of two lines


@functools.cache
def traced(rung, shape, levels=(L1, L2), operation="matmul", **options):
    arguments = oracle.case(operation, shape, "float32").arguments
    return tracing.trace(LADDERS[operation][rung], arguments, operation, levels, time=False, **options)


def test_accesses_of_a_small_product_equal_those_by_hand():
    counts = traced("njit", (1, 2, 2)).counts
    x, w, z = 0, 64, 128  # each array begins at a cache line
    assert counts.accesses.addresses.tolist() == [x, w, x + 4, w + 8, z, x, w + 4, x + 4, w + 12, z + 4]
    assert [(site.array, site.stores) for site in counts.accesses.sites] == [("X", False), ("W", False), ("Z", True)]
    assert counts.misses.tolist() == [2, 2, 0, 0, 2, 0, 0, 0, 0, 0]
    assert not counts.misses_again.any()


def test_figures_of_a_product_equal_those_by_hand():
    found = traced("njit", (4, 8, 32))
    x, w, z = found["rows"]
    n = found["times"]
    assert (n, found["per"]) == (4 * 8 * 32, "multiply-add")
    assert (x["loads"], w["loads"], z["stores"], found["loads"], found["stores"]) == (n, n, 4 * 32, 2 * n, 4 * 32)
    assert (x["stride"], w["stride"], z["stride"]) == (4, 4 * 32, 4)
    assert "X[i, k] * W[k, j]" in x["source"]
    lines = 4 * 8 * 4 // 64 + 8 * 32 * 4 // 64 + 4 * 32 * 4 // 64
    assert found["misses"] == {"L1": lines, "L2": lines}  # everything fits: each line is loaded once
    assert w["reuse"] == 64 * (16 + 2 + 2)  # the lines of W, two rows of X and a row of Z


def test_progress_is_reported_while_tracing():
    said = []
    tracing.trace(shifted, (np.ones(2), np.ones(2)), levels=[TINY], time=False, report=lambda *s: said.append(s))
    assert said == [(0, 3, "tracing: 0 accesses"), (1, 3, "tracing: caches"), (3, 3, "")]


def shifted(A, B):
    for i in range(A.shape[0]):
        B[i] = A[i]


def test_views_share_the_addresses_of_their_memory():
    memory = np.arange(20.0)
    for A, B in ((memory[5:10], memory[3:8]), (memory[9:4:-1], memory[3:8]), (memory[10:20:2], memory[13:8:-1])):
        given = recording.arranged([A, B])
        accesses = recording.record(shifted, given)
        start = A.__array_interface__["data"][0] - B.__array_interface__["data"][0]
        found = accesses.addresses
        assert np.array_equal(found[::2], found[0] + np.arange(5) * A.strides[0])
        assert np.array_equal(found[1::2], found[0] - start + np.arange(5) * B.strides[0])
        assert np.array_equal(given[0], A)


def backwards(A, B):
    for i in range(A.shape[0]):
        B[i] = A[-1 - i]


def test_negative_indices_address_the_end():
    accesses = recording.record(backwards, recording.arranged([np.ones(8), np.ones(8)]))
    assert accesses.addresses[::2].tolist() == list(range(56, -8, -8))


def scratch(A):
    for i in range(A.shape[0]):
        row = np.empty(A.shape[1])
        row[:] = A[i] * 2.0
        A[i] = row


def test_array_made_in_a_loop_reuses_its_address():
    accesses = recording.record(scratch, recording.arranged([np.ones((3, 8))]))
    own = [accesses.sites[s].array == "row" for s in accesses.site_of]
    assert set(accesses.addresses[own]) == set(range(192, 256, 8))
    assert len(accesses) == 3 * (8 + 8 + 8 + 8)  # A, row, row, A; A[i] * 2.0 stays in registers


def alone(n):
    row = np.zeros(n)
    row[0] = 1


def test_first_array_of_a_kernel_without_array_arguments_is_at_0():
    assert recording.record(alone, [8]).addresses.tolist() == [0]


@pytest.mark.parametrize("rung", ["tiled", "packed", "packed_parallel"])
def test_vectors_of_the_tile_count_as_registers(rung):
    shape = 2 * ROWS, 24, 64
    found = traced(rung, shape)
    arrays = {row["array"]: row for row in found["rows"]}
    assert {"X", "W", "Z"} <= set(arrays) <= {"X", "W", "Z", "panel", "zeros", "stack"}
    assert sum(row["stores"] for row in found["rows"] if row["array"] == "Z") == 2 * ROWS * 64
    assert found["loads"] < 0.3 * found["times"]


def fields(R):
    for i in range(R.size):
        R[i]["a"] = R[i]["b"]


def test_fields_of_records_have_their_own_addresses():
    accesses = recording.record(fields, recording.arranged([np.zeros(2, [("a", "f4"), ("b", "f8")])]))
    assert accesses.addresses.tolist() == [4, 0, 16, 12]


TABLE = np.arange(4.0)


def from_outside(A):
    for i in range(A.size):
        A[i] = TABLE[i]


def test_global_array_has_addresses_after_the_arguments():
    accesses = recording.record(from_outside, recording.arranged([np.zeros(4)]))
    assert accesses.addresses.tolist() == [64, 0, 72, 8, 80, 16, 88, 24]


def test_every_kernel_can_be_traced():
    for operation, ladder in LADDERS.items():
        for rung, kernel in ladder.items():
            if rung in ("python", "numpy") or rung.endswith("parallel"):
                continue
            arguments = oracle.case(operation, (3, 4, 5), "float64").arguments
            found = tracing.trace(kernel, arguments, operation, [TINY], time=False, name=f"{operation}.{rung}")
            assert found["loads"] > 0, found["target"]
            assert found["loads"] + found["stores"] == found["accesses"]
            assert found["target"] in table.as_text(found)


def test_kernels_that_cannot_be_traced_are_an_error():
    def outside(A):
        A[7] = 0

    def forever(A):
        while True:
            A[0] = 0

    for kernel, said in ((outside, "outside"), (forever, "accesses")):
        with pytest.raises(checks.Error, match=said):
            recording.record(kernel, recording.arranged([np.ones(3)]), most=1000)


def test_loop_without_accesses_ends_too_but_a_slow_kernel_goes_on(monkeypatch):
    def forever(A):
        while True:
            pass

    def slow(A):
        for i in range(A.size):
            A[i] = i
            time.sleep(0.03)

    monkeypatch.setattr(recording, "SECONDS", 0.1)
    with pytest.raises(checks.Error, match=r"forever has not ended, and made no access in the last 0\.1 seconds"):
        recording.record(forever, recording.arranged([np.ones(3)]))
    assert len(recording.record(slow, recording.arranged([np.ones(12)]))) == 12


def test_number_of_accesses_is_said_now_and_then(monkeypatch):
    def sets(A):
        for i in range(7):
            A[i] = i

    monkeypatch.setattr(recording, "STEP", 3)
    said = []
    recording.record(sets, recording.arranged([np.ones(7)]), most=10, say=said.append)
    assert said == [3, 6]


def test_options_of_a_kernel_that_allow_another_order():
    for option, expected in ((True, {"fast"}), ({"nsz"}, {"nsz"}), (False, set())):
        assert prediction._fastmath(njit(fastmath=option)(shifted)) == expected
    assert prediction._fastmath(shifted) == set()


# -- explanations ----------------------------------------------------------------------------------


def per_multiply_add(found, key="L1"):
    return found["misses"][key] / found["times"]


def test_trace_explains_why_reordered_beats_njit():
    njit, reordered = (traced(rung, (1, 64, 512)) for rung in ("njit", "reordered"))
    assert next(row for row in njit["rows"] if row["array"] == "W")["stride"] == 2048
    assert all(row["stride"] <= 4 for row in reordered["rows"])
    assert per_multiply_add(njit) > 1 > 14 * per_multiply_add(reordered)  # one line per number, or per 16 numbers
    assert chain_of("njit", njit) == ("total", 4 * njit["times"])  # each addition waits for the previous one
    assert chain_of("reordered", reordered) is None


def chain_of(rung, found):
    return prediction.longest_chain(LADDERS["matmul"][rung], found.counts.accesses.functions, found["rows"])


def test_trace_explains_why_512_columns_collide_and_520_do_not():
    collides, spreads = (traced("njit", (1, 64, columns)) for columns in (512, 520))
    assert per_multiply_add(collides) > 15 * per_multiply_add(spreads)
    assert collides["conflicts"] > 0.9 * collides["times"]
    assert spreads["conflicts"] == 0
    (said,) = (x for x in table.conclusions(collides) if "conflicts" in x)
    assert "into 2 of the 64 sets of L1, which hold 24 lines" in said
    assert "2080 bytes or 520 numbers, they fall into 64" in said
    assert not any("conflicts" in x for x in table.conclusions(spreads))


def test_conflicts_do_not_contradict_a_reuse_above_the_cache():
    """Two rows: the second needs all of W again, 130 KB; most lines only need to stay until the next column."""
    once, twice = (traced("njit", (rows, 64, 512)) for rows in (1, 2))
    said = "for a fully associative cache of 48 KB; the reuse of 130 KB includes others, which return later."
    assert [any(said in x for x in table.conclusions(found)) for found in (once, twice)] == [False, True]
    whole = traced("njit", (2, 64, 512), (Level("L1", 48 << 10, 768), L2))
    assert whole["misses"]["L1"] == twice["misses"]["L1"] - twice["conflicts"]


def test_loads_are_counted_per_multiply_add_and_the_other_way_round():
    (said,) = (x for x in table.conclusions(traced("njit", (4, 8, 32))) if "loaded number" in x)
    assert said.startswith("A multiply-add takes 2 loads, which is 0.5 multiply-adds per loaded number; ")
    assert said.endswith("jitnet explain counts instructions, of which one may load a whole vector.")
    assert "blocks of rows and terms" in said


@pytest.mark.parametrize(("rung", "shape"), [("blocked", (8, 32, 32)), ("tiled", (12, 8, 64)), ("packed", (12, 8, 64))])
def test_blocks_are_no_advice_for_a_kernel_that_has_them(rung, shape):
    (said,) = (x for x in table.conclusions(traced(rung, shape)) if "loaded number" in x)
    assert "blocks of rows and terms" not in said


def test_trace_explains_what_blocking_saves():
    small = Level("L1", 2048, 4), L2  # W has 4 KB
    reordered, blocked = (traced(rung, (8, 32, 32), small) for rung in ("reordered", "blocked"))
    assert reordered["loads"] > 3.5 * blocked["loads"]
    assert reordered["stores"] > 3.5 * blocked["stores"]
    assert per_multiply_add(reordered) > 2.5 * per_multiply_add(blocked)


def test_figures_of_the_guide_are_current():
    guide = (Path(__file__).parents[1] / "docs" / "guide" / "trace.md").read_text(encoding="utf-8")
    figures = re.findall(r"^\| (\w+) \| ([\d.]+) \| ([\d.]+) \| (\d+) B \| ([\d.]+) \|$", guide, re.MULTILINE)
    assert len(figures) == 4
    for rung, *said in figures:
        found = traced(rung, (8, 64, 64), tuple(caches.parsed(["L1=8K/8", "L2=2M/16"])))
        stride = max((row for row in found["rows"] if row["array"] == "W"), key=lambda row: row["loads"])["stride"]
        loads, stores = found["loads"] / found["times"], found["stores"] / found["times"]
        assert said == [f"{loads:.2f}", f"{stores:.2f}", str(stride), f"{per_multiply_add(found):.3f}"], rung


# -- time ------------------------------------------------------------------------------------------

LIMITS = {
    "clock": 2e9, "peak": {"float32": {"1": 1e11}, "float64": {"1": 5e10}}, "disturbed": False, "disturbed_by": [],
    "bandwidth": {
        "L1": {"1": {"read": 1e11, "write": 5e10, "copy": 1e11}},
        "L2": {"1": {"read": 3.2e10, "write": 2e10, "copy": 2e10}},
        "memory": {"1": {"read": 8e9, "write": 5e9, "copy": 5e9}},
    },
}  # fmt: skip


def predicted(rung, shape):
    found = traced(rung, shape)
    flop = 2 * found["times"]
    result = prediction.predicted(found["rows"], chain_of(rung, found), flop, [L1, L2], "float32", LIMITS)
    return result, found["times"]


def test_predicted_times_equal_those_by_hand():
    njit, times = predicted("njit", (4, 8, 32))
    assert njit["waits"] == pytest.approx(times * 4 / 2e9)
    assert (njit["limit"], njit["waits_for"], njit["seconds"]) == ("waits", "total", njit["waits"])
    assert njit["arithmetic"] == pytest.approx(2 * times / 1e11)
    collides, times = predicted("njit", (1, 64, 512))
    assert collides["levels"]["L2"] == pytest.approx(times * 64 / 3.2e10, rel=0.03)  # each number loads a line
    assert collides["levels"]["memory"] == 0  # in the second call everything is in L2
    reordered, times = predicted("reordered", (4, 8, 32))
    assert reordered["waits"] is None
    assert reordered["levels"]["L1"] == pytest.approx(times * (8 / 1e11 + 4 / 1e11), rel=0.1)
    assert reordered["limit"] == "memory"


def dot(A, B):
    total = A.dtype.type(0)
    for i in range(A.size):
        a = A[i]
        total += a * B[i]
    return total


def count_large(A):
    count = 0
    for i in range(A.size):
        if A[i] > 1:
            count += 1
    return count


def add_rows(A, B):
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            B[j] = B[j] + A[i, j]


def sum_rows(A, B):
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            B[i] += A[i, j]


def count_each(A, B):
    for v in A:
        B[v] += 1


def dot_of_records(R):
    total = 0.0
    for i in range(R.size):
        total += R[i]["x"] * R[i].w
    return total


PAIR = [("x", "f8"), ("w", "f8")]


@pytest.mark.parametrize(
    ("kernel", "arguments", "chain"),
    [(dot, (np.ones(40), np.ones(40)), ("total", 160)),
     (dot_of_records, (np.zeros(40, PAIR),), ("total", 160)),
     (count_each, (np.zeros(40, int), np.zeros(3, int)), ("an element of B", 6 * 40)),
     (count_each, (np.arange(40) % 3, np.zeros(3, int)), None), (count_large, (np.ones(40),), None),
     (add_rows, (np.ones((3, 5)), np.ones(5)), None),
     (sum_rows, (np.ones((3, 5)), np.ones(3)), ("an element of B", 9 * 15)),
     (sum_rows, (np.ones((5, 3)), np.ones(5)), ("an element of B", 9 * 15))],  # 10 of 14 steps add to the same element
)  # fmt: skip
def test_dependent_additions_are_found(kernel, arguments, chain):
    found = tracing.trace(kernel, arguments, levels=[TINY], time=False)
    assert prediction.longest_chain(kernel, found.counts.accesses.functions, found["rows"]) == chain


def test_fields_of_records_have_their_own_dtype():
    found = tracing.trace(fields, (np.zeros(2, [("a", "f4"), ("b", "f8")]),), levels=[TINY], time=False)
    assert {site.dtype.name for site in found.counts.accesses.sites} == {"float32", "float64"}
    assert found["rows"][0]["itemsize"] == 8


def test_only_what_a_kernel_does_is_named_where_a_time_is_not_predicted():
    def with_call(A):
        for i in range(A.size):
            A[i] = np.sqrt(A[i])

    def named(kernel, *arguments, options=None):
        body = recording.record(kernel, recording.arranged(arguments)).functions
        return prediction.unpredicted(options or kernel, body)

    usual = ["other arithmetic", "branches"]
    assert named(shifted, np.ones(2), np.ones(2)) == usual
    assert named(with_call, np.ones(2)) == [*usual, "calls"]
    parallel = njit(parallel=True)(shifted)
    assert named(shifted, np.ones(2), np.ones(2), options=parallel) == [*usual, "the start of threads"]


def test_compiled_kernel_is_timed(monkeypatch):
    monkeypatch.setattr(tracing.machine, "limits", lambda: pytest.fail("the peaks are given"))
    arguments = oracle.case("matmul", (3, 4, 5), "float32").arguments
    found = tracing.trace(LADDERS["matmul"]["njit"], arguments, "matmul", [L1, L2], limits=LIMITS)
    assert 0 < found["measured"] < 0.1
    assert "predicted" in table.as_text(found)
    assert "multiply-adds at the peak" in " ".join(table.as_text(found).split())
    assert np.isnan(arguments[2]).all()  # the caller's arrays are copied
