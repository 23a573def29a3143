"""A rung cannot exceed a peak of the machine: a peak that was measured too low is raised (simulated timings)."""

import dataclasses
import json

import numpy as np
import pytest
from test_ladder import LIMITS

from jitnet.lab import ladder, machine, peaks, problems
from jitnet.lab.benchmark.candidates import Candidate
from jitnet.lab.timing import Timing

F32 = np.dtype("float32")


def limits(multiply_adds=137e9, moves=50e9, disturbed=False):
    """Peaks of one, two and four threads, in the form of the saved file."""
    by_count = {str(count): multiply_adds * count for count in (1, 2, 4)}
    rates = {str(count): dict.fromkeys(("read", "write", "copy"), moves * count) for count in (1, 2, 4)}
    return machine._identity() | {
        "clock": 2.6e9, "caches": {"L1": 1 << 15, "L2": 1 << 20}, "disturbed": disturbed, "disturbed_by": [],
        "peak": {"float32": by_count, "float64": {count: peak / 2 for count, peak in by_count.items()}},
        "bandwidth": dict.fromkeys(("L1", "L2", "memory"), rates), "measured": "2026-01-01",
        "multiply_adds_per_cycle": 137 / 2.6 / 32,
    }  # fmt: skip


@pytest.fixture
def again(monkeypatch, tmp_path):
    """Simulates the second measurement of the machine; a list has its calls."""
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))
    calls = []

    def found(result):
        monkeypatch.setattr(machine, "limits", lambda again, report: calls.append(again) or result)
        return calls

    return found


def candidate(threads=1, custom=False):
    return Candidate((8, 8, 8), custom, threads, moves=1 << 16, is_trusted=not custom)


def test_rungs_below_the_peak_change_nothing(again):
    calls, before = again(limits()), limits()
    rates = [("tiled", candidate(), 141e9), ("packed_parallel", candidate(2), 270e9)]
    assert peaks.above(rates, before, F32, True) == (before, [])
    assert calls == []


@pytest.mark.parametrize(
    ("second", "peak"),
    [
        (limits(170e9), 170e9),  # the other load has ended
        (limits(120e9), 166e9),  # the other load remains
        (limits(900e9, disturbed=True), 166e9),  # disturbed, so it does not count
    ],
)
@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_peak_that_a_rung_exceeds_is_raised(again, second, peak, threads):
    calls = again(second)
    rates = [("njit", candidate(), 2e9), ("fast", candidate(threads), 166e9 * threads)]
    rates.insert(1, ("slightly_slower", candidate(threads), 165e9 * threads))
    found, said = peaks.above(rates, limits(), F32, True)
    assert calls == [True]  # one more measurement
    assert machine.for_threads(found["peak"]["float32"], threads) == pytest.approx(peak * threads)
    assert found["peak"]["float64"]["1"] >= 68.5e9
    for _, who, rate in rates:
        assert rate <= 1.03 * peaks.peak_of(found, F32, who, True)
    (sentence,) = said
    many = "1 thread" if threads == 1 else f"{threads} threads"
    assert sentence == (
        f"The peak rate of multiply-adds ({many}) was measured too low, as fast exceeded it; it was raised from "
        f"{137 * threads} to {peak / 1e9 * threads:.4g} GFLOP/s."
    )


def test_raised_peak_is_saved(again, tmp_path):
    again(limits())
    found, _ = peaks.above([("fast", candidate(), 166e9)], limits(), F32, True)
    assert json.loads((tmp_path / "machine.json").read_text()) == found
    assert machine.cached() == found
    assert found["multiply_adds_per_cycle"] == pytest.approx(166e9 / 2.6e9 / (2 * machine.VECTOR_BYTES // 4))


def test_only_the_bandwidth_of_one_cache_is_raised(again):
    again(limits())
    who = candidate()  # its data fit into L2
    found, said = peaks.above([("wide", who, 60e9)], limits(), F32, False)
    assert found["bandwidth"]["L2"]["1"] == {"read": 50e9, "write": 50e9, "copy": 60e9}
    assert found["bandwidth"]["L2"]["2"]["copy"] == 100e9
    assert found["bandwidth"]["L1"] == limits()["bandwidth"]["L1"]
    assert "peak bandwidth of copying in L2 (1 thread) was measured too low, as wide exceeded it" in said[0]


def test_custom_kernel_alone_raises_no_peak(again):
    """The kernel may have done less work than stated, so the peaks are measured again before it is rejected."""
    rates = [("mine", candidate(custom=True), 166e9), ("packed", candidate(), 130e9)]
    calls = again(limits(120e9))
    found, said = peaks.above(rates, limits(), F32, True)
    assert (found["peak"], said, calls) == (limits()["peak"], [], [True])
    again(limits(165e9))
    found, said = peaks.above(rates, limits(), F32, True)
    assert found["peak"]["float32"]["1"] == 165e9
    assert "as mine exceeded it; it was raised from 137 to 165 GFLOP/s" in said[0]


def test_disturbed_rung_above_the_saved_peak_says_that_the_peak_is_too_low(again):
    rates = [("tiled", candidate(), 160e9), ("packed", candidate(), 166e9), ("mine", candidate(custom=True), 1e12)]
    calls = again(limits(165e9))
    (said,) = peaks.too_low(rates, limits(), F32, True)
    assert said.startswith(
        "packed reached 166 GFLOP/s, more than the saved peak rate of multiply-adds (1 thread) of 137,"
    )
    assert said.endswith("jitnet machine --again.")
    assert calls == []  # that measurement would be disturbed too
    assert peaks.too_low(rates[2:], limits(), F32, True) == peaks.too_low(rates, limits(165e9), F32, True) == []
    who = candidate()
    who.moves = 1000
    assert (
        "peak bandwidth of copying in L1 (1 thread) of 50"
        in peaks.too_low([("wide", who, 60e9)], limits(), F32, False)[0]
    )


@pytest.mark.parametrize("noise", [[], ["other processes used 1.4 of 2 cores"]])
def test_disturbed_ladder_says_that_the_peak_is_too_low(again, noise):
    again(limits(165e9))
    head = {
        "operation": "matmul",
        "shape": [64, 64, 64],
        "dtype": "float32",
        "threads": 1,
        "numpy_threads": 1,
        "seed": None,
    }
    problem, flops = problems.of_operation("matmul"), 2.0 * 64**3
    found = {name: Candidate((64, 64, 64), flops=flops, moves=5e4) for name in ("python", "njit")}
    times = {"python": Timing(1.0, 1.0, 1.0, 1.0), "njit": Timing(*[flops / 166e9] * 4)}
    one = dataclasses.replace(problem, rungs={name: problem.rungs[name] for name in found})
    result = ladder._result(head, one, found, times, limits(), noise, None, lambda error: None)
    text = " ".join(ladder.as_text(result).split())
    assert ("njit reached 166 GFLOP/s, more than the saved peak" in text) == bool(noise)
    assert "was measured too low" in text


def test_lower_of_the_two_limits_decides_the_unit():
    """A vector addition moves 12 bytes per FLOP, a large filter 8 bytes per 242 FLOP; the ratio of peaks is 10."""
    for name, unit in {"vector_add": "GB/s", "transpose": "GB/s", "histogram": "GB/s", "conv2d": "GFLOP/s"}.items():
        problem = problems.load(name)
        shape = problem.timed[-1]
        who = Candidate(shape, flops=problem.flops(shape), moves=problem.memory(shape, F32))
        assert ladder._unit(LIMITS, F32, who) == unit
