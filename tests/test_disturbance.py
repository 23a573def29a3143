"""Load is detected and reported in one sentence: with real load, and with simulated counters and figures."""

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command import jitnet_command

import jitnet
from jitnet.lab import ladder
from jitnet.lab.checkup import hardware
from jitnet.lab.timing import Timing
from jitnet.process import disturbance, progress, resources

COUNTED = Path("/proc/stat").exists()
BEFORE = disturbance._Counters(100.0, 5.0, 50.0, 1.0, 10.0, 0.0, 0.0, 0.5)
SENTENCE = "so times and ratios are too uncertain to compare; run it again when the machine is idle."


@contextlib.contextmanager
def load():
    """Other processes that keep all cores busy."""
    cores = len(os.sched_getaffinity(0))
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores + 1)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def work(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def after(**grown):
    """The counters two seconds later: this process kept one of two cores busy."""
    grown = {"time": 2.0, "own": 2.0, "busy": 2.0} | grown
    return replace(BEFORE, **{name: getattr(BEFORE, name) + more for name, more in grown.items()})


@pytest.mark.parametrize(
    ("grown", "needed", "expected"),
    [
        ({}, 2, []),
        ({"busy": 4.0}, 2, ["other processes used 1.0 of 2 cores"]),
        ({"busy": 4.0}, 1, []),  # the other core was idle
        ({"own": 0.8, "busy": 4.0}, 1, ["other processes used 1.6 of 2 cores"]),
        ({"steal": 1.0}, 1, ["the host of this virtual machine took 0.5 of 2 cores"]),
        ({"steal": 0.26}, 1, []),  # counted to a hundredth of a second on each core
        ({"held": 1.0}, 2, ["a CPU quota stopped this process for 0.5 s of each second"]),
        ({"hot": 3.0}, 2, ["the processor ran slower because it was too hot"]),
        ({"switches": 300.0}, 1, ["the system preempted this process 150 times a second"]),
        ({"switches": 150.0}, 2, []),
        ({"time": 0.1, "busy": 9.0}, 2, []),  # too short to measure
        ({"own": 9.0}, 2, []),  # the time of an ended child is included
    ],
)
def test_reasons_follow_from_the_counters(grown, needed, expected):
    found = disturbance.reasons(BEFORE, after(**grown), 2, needed)
    assert [reason[: len(words)] for reason, words in zip(found, expected, strict=True)] == expected


def test_sentence_has_the_worst_of_each_kind_of_disturbance():
    several = [f"other processes used {cores} of 16 cores" for cores in (1.4, 10.2, 9.8)]
    said = disturbance.sentence([*several, "the processor ran slower because it was too hot"])
    assert said.startswith(
        "Other processes used 10.2 of 16 cores, and the processor ran slower because it was too hot,"
    )


def test_load_average_is_used_where_counters_are_missing():
    nothing = dict.fromkeys(("busy", "steal", "switches", "held", "hot", "load"))
    before, later = replace(BEFORE, **nothing), replace(after(), **nothing)
    assert disturbance.reasons(before, later, 2, 2) == []
    before, later = replace(before, load=5.0), replace(later, load=5.5)
    assert disturbance.reasons(before, later, 2, 2) == ["the load average was 5.5 on 2 cores"]


def test_reasons_are_reported_in_one_sentence():
    assert disturbance.sentence([]) == ""
    assert disturbance.sentence(["this", "that"]) == f"This, and that, {SENTENCE}"


def test_spread_of_timings_is_a_reason():
    calm, wild = Timing(1.0, 0.9, 1.1, 0.9), Timing(1.0, 0.5, 1.5, 0.4)
    assert disturbance.of_timings([calm, calm, wild]) == []
    assert disturbance.of_timings([calm, wild, wild]) == ["the times of the same call differ by ±50%"]
    assert disturbance.of_timings([]) == []


@pytest.mark.skipif(not COUNTED, reason="this system does not count the CPU time of other processes")
def test_real_load_is_detected_and_own_work_is_not():
    with load(), disturbance.Watch() as watch:
        work(0.6)
    (reason, *_) = watch.reasons
    assert reason.startswith("other processes used ")
    used, cores = (float(part) for part in reason.removesuffix("cores").split() if part[0].isdigit())
    assert 0.4 * cores < used <= cores
    alone = disturbance.Watch(1)
    with alone:
        work(0.6)
    if alone.reasons:  # other processes are busy, and must be reported
        assert (
            "other processes" in alone.reasons[0] or "the host" in alone.reasons[0] or "the system" in alone.reasons[0]
        )


@pytest.mark.release
@pytest.mark.skipif(not COUNTED, reason="this system does not count the CPU time of other processes")
def test_training_and_ladder_report_load(tmp_path):
    with load():
        trained = jitnet_command("train", "digits", "--epochs", "60", "--backend", "numpy")
        printed = json.loads(jitnet_command("train", "digits", "--epochs", "20", "--backend", "numpy", "--json").stdout)
        found = json.loads(jitnet_command("ladder", "relu", "--size", "200", "--json", "--quiet").stdout)
    assert "Other processes used" in trained.stdout
    assert SENTENCE in trained.stdout
    for result in (printed, found):
        assert result["disturbed"]
        assert result["disturbed_by"][0].startswith("other processes used ")
    assert {rung["share_of_peak"] for rung in found["rungs"]} == {None}
    assert found["roofline"] is None
    assert SENTENCE in " ".join(ladder.as_text(found).split())


def test_long_training_reports_load_once_while_it_runs(monkeypatch):
    monkeypatch.setattr(disturbance, "reasons", lambda *_: ["other processes used 1.4 of 2 cores"])
    clock = iter(range(0, 10_000, 3))
    monkeypatch.setattr(disturbance.time, "monotonic", lambda: float(next(clock)))
    said = []

    class Listener(progress.Progress):
        def note(self, text):
            said.append(text)

    X, y = np.zeros((8, 2), np.float32), np.arange(8) % 2
    net = jitnet.Network(jitnet.Dense(2, 2, "softmax"), seed=0)
    net.fit(X, y, epochs=5, backend="numpy", progress=Listener())
    assert said == [f"Other processes used 1.4 of 2 cores, {SENTENCE}"]


UNWATCHED = """
import sys
import numpy as np
from jitnet import Dense, Network
from jitnet.process.progress import Lines

net, read = Network(Dense(2, 2, "softmax"), seed=0), []
sys.addaudithook(lambda event, about: event == "open" and read.append(str(about[0])))
for show in (False, Lines()):
    net.fit(np.zeros((8, 2), np.float32), np.arange(8) % 2, epochs=2, backend="numpy", progress=show)
    print(any(name.startswith(("/proc", "/sys")) for name in read))
"""


@pytest.mark.skipif(not COUNTED, reason="this system does not count the CPU time of other processes")
def test_training_reads_no_counters_without_a_display():
    answer = subprocess.run([sys.executable, "-c", UNWATCHED], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.split() == ["False", "True"]


def test_doctor_reports_load(monkeypatch):
    monkeypatch.setattr(disturbance, "reasons", lambda *_: ["other processes used 1.4 of 2 cores"])
    (item,) = hardware.examine_load()
    assert (item.state, item.finding) == ("note", f"Other processes used 1.4 of 2 cores, {SENTENCE}")
    monkeypatch.setattr(disturbance, "reasons", lambda *_: [])
    (item,) = hardware.examine_load()
    assert item.state == "ok"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads counters from /proc")
def test_load_of_worker_processes_is_no_disturbance():
    """A kernel that runs in a worker process is part of the measurement."""
    helper = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        before = disturbance._of_helpers()
        disturbance.HELPERS.add(helper.pid)
        used = 0.0
        while used < 0.2:
            assert helper.poll() is None
            used = disturbance._of_helpers() - before
            time.sleep(0.02)
        own = sum(os.times()[:4])
        assert disturbance._counters(resources.cores()).own >= own + used
    finally:
        disturbance.HELPERS.discard(helper.pid)
        helper.kill()
        helper.wait()
    assert disturbance._of_helpers() == before
