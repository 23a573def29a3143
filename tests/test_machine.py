"""The peaks of this machine: probes are correct, figures are consistent, and the results are saved."""

import json
import time

import numpy as np
import pytest
from cases import slow
from command import jitnet_command

from jitnet.compiler.intrinsics import lanes
from jitnet.lab import machine, probes, timing


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The peaks that the command line measures with an empty cache."""
    folder = tmp_path_factory.mktemp("cache")
    result = jitnet_command("machine", "--json", JITNET_CACHE_DIR=str(folder))
    assert "measuring 1/" in result.stderr
    return folder, json.loads(result.stdout)


@pytest.mark.slow  # compiles the probes and measures for seconds
def test_every_peak_is_a_finite_speed(found):
    _, limits = found
    assert set(limits["peak"]) == {"float32", "float64"}
    assert {"L1", "L2", "memory"} <= set(limits["bandwidth"])
    speeds = [speed for by_count in limits["peak"].values() for speed in by_count.values()]
    speeds += [s for level in limits["bandwidth"].values() for moves in level.values() for s in moves.values()]
    assert np.isfinite(speeds).all()
    assert min(speeds) > 1e6  # in FLOP/s and bytes/s, even on a busy machine


@pytest.mark.slow  # uses the same measurement
def test_peaks_are_saved_unless_the_measurement_was_disturbed(found):
    folder, limits = found
    assert (folder / "machine.json").exists() == (not limits["disturbed"])


def speeds(two_threads):
    by_count = {"1": 1e11, "2": two_threads}
    moves = {count: dict.fromkeys(("read", "write", "copy"), rate) for count, rate in by_count.items()}
    return {
        "clock": None, "caches": {"L1": 1 << 15}, "peak": {"float32": by_count, "float64": by_count},
        "bandwidth": {"L1": moves, "memory": moves}, "measured": "2026-01-01",
    }  # fmt: skip


def test_saved_peaks_are_used_and_measured_again_on_demand(tmp_path, monkeypatch):
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(machine, "_measure", lambda report: speeds(2e11))
    first = machine.limits()
    assert first["disturbed"] is False
    assert "jitnet machine --again measures again" in machine.as_text(first)
    monkeypatch.setattr(machine, "_measure", lambda report: speeds(1.9e11))
    assert machine.limits() == first
    assert machine.limits(again=True)["peak"]["float32"]["2"] == 1.9e11
    assert machine.limits()["peak"]["float32"]["2"] == 1.9e11
    monkeypatch.setattr(machine, "_measure", lambda report: speeds(1.8e11))
    monkeypatch.setenv("NUMBA_OPT", "1")  # slower machine code
    assert machine.limits()["peak"]["float32"]["2"] == 1.8e11


def test_table_has_the_peaks_in_readable_units():
    found = speeds(2e11) | {"cpu": "a machine", "cores": 2, "vector_bits": 256, "disturbed": False, "disturbed_by": []}
    rows = dict(machine.rows(found))
    assert rows["multiply-adds, float64, GFLOP/s"] == ["100.0", "200.0"]
    assert rows["L1 (32 KB), copy, GB/s"] == rows["memory, write, GB/s"] == ["100.0", "200.0"]
    text = machine.as_text(found)
    assert all(name in text for name in rows)
    assert "\nthreads                                 1        2\n" in text


def test_table_of_a_large_machine_fits_a_terminal():
    by_count = {str(2**i): 1e11 * 2**i for i in range(9)}
    moves = {count: dict.fromkeys(("read", "write", "copy"), rate) for count, rate in by_count.items()}
    found = {
        "cpu": "a machine with a name that goes on and on, " * 3, "cores": 256, "vector_bits": 512, "clock": None,
        "caches": {"L1": 48 << 10, "L2": 2 << 20, "L3": 300 << 20}, "measured": "2026-01-01", "disturbed": True,
        "disturbed_by": ["other processes used 100.4 of 256 cores"],
        "peak": {"float32": by_count, "float64": by_count}, "bandwidth": dict.fromkeys(("L1", "L2", "L3"), moves),
    }  # fmt: skip
    text = machine.as_text(found)
    assert max(map(len, text.splitlines())) <= 80
    assert all(f" {count}" in text for count in by_count)
    assert "25600.0" in text
    assert "L3 (300 MB), copy, GB/s" in text


def changed(*path, rate):
    """Plausible peaks with one changed value."""
    found = json.loads(json.dumps(speeds(2e11)))
    found["peak"]["float64"] = {"1": 0.5e11, "2": 1e11}
    place = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = rate
    return found


@pytest.mark.parametrize(
    ("path", "rate", "contradicts"),
    [
        (("peak", "float64", "1"), 0.52e11, []),
        (("peak", "float64", "1"), 1.06e11, ["multiply-adds of float64 were faster than those of float32"]),
        (("bandwidth", "L1", "2", "copy"), 0.0, ["one of the rates is close to zero", "memory was faster than L1"]),
        (("bandwidth", "L1", "2", "write"), float("nan"), ["one of the rates is close to zero"]),
        (("bandwidth", "L1", "2", "read"), 0.5e11, ["more threads were slower than one at reading from L1"]),
        (("bandwidth", "memory", "1", "copy"), 1.2e11, ["memory was faster than L1"]),
        (("bandwidth", "memory", "1", "copy"), 1.05e11, []),
    ],
)
def test_inconsistent_peaks_are_reported_and_not_saved(path, rate, contradicts, tmp_path, monkeypatch, quiet):
    """Nor are they used if a saved file has them."""
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))
    found = changed(*path, rate=rate)
    assert set(contradicts) <= set(machine.contradictions(found))
    assert bool(contradicts) == bool(machine.contradictions(found))
    monkeypatch.setattr(machine, "_measure", lambda report: found)
    assert machine.limits()["disturbed"] == bool(contradicts)
    assert (tmp_path / "machine.json").exists() == (not contradicts)
    monkeypatch.setattr(machine, "_measure", lambda report: changed("clock", rate=None))
    good = machine.limits()
    kept = json.loads((tmp_path / "machine.json").read_text())
    assert kept == good
    (tmp_path / "machine.json").write_text(json.dumps(kept | found))
    monkeypatch.setattr(machine, "_measure", lambda report: changed("clock", rate=1e9) | {"multiply_adds_per_cycle": 1})
    assert (machine.limits()["clock"] == 1e9) == bool(contradicts)


def test_load_is_reported_if_peaks_are_consistent(tmp_path, monkeypatch):
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(machine, "_measure", lambda report: changed("clock", rate=None))
    monkeypatch.setattr(machine.disturbance, "reasons", lambda *_: ["other processes used 1.4 of 2 cores"])
    found = machine.limits()
    assert (found["disturbed"], found["disturbed_by"]) == (True, ["other processes used 1.4 of 2 cores"])
    assert not (tmp_path / "machine.json").exists()
    above, _, below = " ".join(machine.as_text(found).split()).partition("threads 1 2")
    assert "Other processes used 1.4 of 2 cores, so" in above  # readers begin at the top
    assert "uncertain" not in below
    assert below.endswith("Nothing was saved: jitnet machine measures again.")


def test_repetitions_are_planned_again_after_a_slow_first_call():
    """The first call is delayed; the measured speed is that of all calls, not that of a short run."""
    calls = []

    def call(times):
        calls.append(times)
        time.sleep(0.05 if len(calls) == 2 else 0)
        until = time.perf_counter() + 1e-5 * times
        while time.perf_counter() < until:
            pass

    assert machine._best(call, 1.0) == pytest.approx(1e5, rel=0.3)
    assert max(calls) > 100


def test_inconsistent_peaks_are_not_saved(tmp_path, monkeypatch):
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(machine, "_measure", lambda report: speeds(0.5e11))
    assert machine.limits()["disturbed"] is True
    assert not (tmp_path / "machine.json").exists()
    assert "More threads were slower than one" in machine.as_text(machine.limits())


@pytest.mark.parametrize("words", ["machine", slow("ladder relu"), slow("explain relu.njit"), slow("report")])
def test_disabled_jit_is_an_error_for_measurements(words, tmp_path):
    result = jitnet_command(*words.split(), status=2, NUMBA_DISABLE_JIT="1", JITNET_CACHE_DIR=str(tmp_path))
    assert result.stderr == "jitnet: NUMBA_DISABLE_JIT is set, so nothing is compiled; unset it\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cpu": "another"}'])
def test_file_of_another_machine_is_ignored(content, tmp_path, monkeypatch):
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(machine, "_measure", lambda report: speeds(2e11))
    (tmp_path / "machine.json").write_text(content)
    assert machine.limits()["measured"] == "2026-01-01"
    assert json.loads((tmp_path / "machine.json").read_text())["measured"] == "2026-01-01"


@pytest.mark.parametrize("path", [
    ["clock"], ["caches"], ["caches", "L1"], ["peak"], ["peak", "float64"], ["peak", "float32", "1"], ["bandwidth"],
    ["bandwidth", "memory"], ["bandwidth", "L1", "2"], ["bandwidth", "L1", "2", "copy"], ["measured"],
])  # fmt: skip
def test_malformed_file_is_ignored(path, tmp_path, monkeypatch):
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(machine, "_measure", lambda report: speeds(2e11))
    right = machine.limits()
    for value in (None, "x", [], {}, -1, 10**400, float("nan"), "gone"):
        forged = json.loads(json.dumps(right))
        place = forged
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        if value == "gone":
            del place[path[-1]]
        if (path, value) not in [(["clock"], None), (["measured"], "x")]:  # valid values
            (tmp_path / "machine.json").write_text(json.dumps(forged))
            assert machine.limits() == right
    (tmp_path / "machine.json").write_text("[" * 100_000)
    assert machine.limits() == right


def test_read_only_cache_folder_only_costs_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path / "file" / "below"))
    monkeypatch.setattr(machine, "_measure", lambda report: speeds(2e11))
    assert machine.limits()["measured"] == "2026-01-01"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("multiply_adds", [probes.multiply_adds, probes.MULTIPLY_ADDS])
def test_probe_does_all_its_multiply_adds(multiply_adds, dtype):
    """x ← x·a + b from twelve initial values, `rounds` times; each lane has their sum."""
    x, rounds = probes.start_values(dtype), 7
    out = np.full((3, 64), np.nan, dtype)
    multiply_adds(x, out, rounds)
    c = x[2:].astype(np.float64)
    for _ in range(rounds):
        c = c * float(x[0]) + float(x[1])
    np.testing.assert_allclose(out[:, : lanes(out)], c.sum(), rtol=50 * np.finfo(dtype).eps)
    assert np.isnan(out[:, lanes(out) :]).all()
    assert probes.flop_of_multiply_adds(out, rounds) == 3 * 12 * 7 * 2 * lanes(out)


@pytest.mark.parametrize("copy", [probes.copy, probes.MOVES["copy"]])
@pytest.mark.parametrize("write", [probes.write, probes.MOVES["write"]])
@pytest.mark.parametrize("read", [probes.read, probes.MOVES["read"]])
def test_probes_access_every_number(read, write, copy):
    count = 2 * probes.VECTORS * lanes(np.empty(1, np.float32))
    memory = np.random.default_rng(0).standard_normal((2, 2 * count)).astype(np.float32)
    first = memory[:, :count].copy()
    copy(memory, 2)
    np.testing.assert_array_equal(memory[:, count:], first)
    np.testing.assert_array_equal(memory[:, :count], first)
    half = count // 2
    sums = 2 * memory.reshape(2, -1, half).sum(axis=1)  # the probe stores its sums, one per lane, at the start
    read(memory, 2)
    np.testing.assert_allclose(memory[:, :half], sums, rtol=1e-5, atol=1e-5)
    write(memory, 4)
    assert (memory == 3).all()


@pytest.mark.parametrize("steps", [probes.dependent_steps, probes.DEPENDENT_STEPS])
def test_clock_probe_is_a_dependency_chain(steps):
    state = np.array([3, 5, 7], np.uint64)
    steps(state, 3)
    assert state[0] == ((((3 * 5) ^ 7) * 5 ^ 7) * 5) ^ 7


def test_candidates_are_timed_in_alternation():
    """Each round calls every candidate; slow candidates take part in fewer rounds, but at least three."""
    calls, heard = [], []
    candidates = {"quick": lambda: calls.append("quick"), "slow": lambda: [calls.append("slow"), sum(range(300_000))]}
    times = timing.time_alternating(candidates, rounds=6, seconds=0, most=0.01, report=lambda *news: heard.append(news))
    assert calls.count("quick") == 2 + 6 * 2
    assert calls.count("slow") == 2 + 3 * 2
    assert times["slow"].seconds > times["quick"].seconds > 0
    for measured in times.values():
        assert measured.best <= measured.low <= measured.seconds <= measured.high
    assert heard[-1] == (6, 6, "")
