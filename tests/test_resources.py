"""The limits of the process's control group and of all parent groups apply."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from jitnet.backend import thread_choice
from jitnet.lab.benchmark import child
from jitnet.lab.checkup import hardware
from jitnet.process import disturbance, resources


@pytest.fixture
def grant(tmp_path, monkeypatch):
    """Creates control groups: lines of /proc/self/cgroup, or None for no such file, and files below the root."""

    def made(groups, files):
        for name, text in files.items():
            (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "cgroup" / name).write_text(text + "\n")
        if groups is not None:
            (tmp_path / "membership").write_text(groups + "\n")

    monkeypatch.setattr(resources, "ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(resources, "MEMBERSHIP", tmp_path / "membership")
    thread_choice.quota.cache_clear()
    yield made
    thread_choice.quota.cache_clear()


@pytest.mark.parametrize(
    ("groups", "files", "cpus"),
    [
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "max 100000"}, np.inf),
        ("0::/a/b", {"cpu.max": "400000 100000", "a/cpu.max": "50000 100000", "a/b/cpu.max": "max 100000"}, 0.5),
        ("4:cpu,cpuacct:/docker/x", {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpu:/x", {"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, np.inf),
        ("9:memory:/x", {"x/cpu.max": "100000 100000"}, np.inf),
        ("0::/", {"cpu.max": "nonsense"}, np.inf),
        ("0::/", {"cpu.max": "100000 0"}, np.inf),
        (None, {"cpu.max": "100000 100000"}, np.inf),
    ],
)
def test_cpus_follow_from_control_groups(grant, groups, files, cpus):
    grant(groups, files)
    assert thread_choice.quota() == cpus


@pytest.mark.parametrize(
    ("groups", "files", "seconds"),
    [
        ("0::/a/b", {"cpu.stat": "usage_usec 9", "a/b/cpu.stat": "usage_usec 9\nthrottled_usec 1500000"}, 1.5),
        ("0::/a:b", {"a:b/cpu.stat": "throttled_usec 1000000"}, 1.0),
        ("0::/a", {"cpu.stat": "throttled_usec 250000", "a/cpu.stat": "throttled_usec 1000000"}, 1.25),
        ("4:cpu:/x", {"cpu/x/cpu.stat": "nr_throttled 3\nthrottled_time 2500000000"}, 2.5),
        ("0::/", {"cpu.stat": "throttled_usec nonsense"}, None),
        ("0::/", {}, None),
    ],
)
def test_throttled_time_is_read_from_control_groups(grant, groups, files, seconds):
    grant(groups, files)
    assert disturbance._held() == seconds


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        ("0::/a/b", {"memory.max": "max", "a/memory.max": "1000000", "a/b/memory.max": "max"}),
        ("0::/a", {"memory.max": "2000000", "a/memory.max": "1000000"}),
        ("9:memory:/x", {"memory/memory.limit_in_bytes": "2000000", "memory/x/memory.limit_in_bytes": "1000000"}),
    ],
)
def test_memory_follows_from_control_groups(grant, groups, files):
    everything = child._memory()
    grant(groups, files)
    assert child._memory() == 1_000_000 < everything


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or len(resources.cores()) < 2, reason="needs two cores")
def test_pinning_after_the_first_call_is_respected(grant):
    """A worker of a pool can be pinned after its first call."""
    before = resources.cores()
    assert thread_choice.cpus() == len(before)
    try:
        os.sched_setaffinity(0, before[:1])
        assert thread_choice.cpus() == 1
        assert resources.cores() == before[:1]
    finally:
        os.sched_setaffinity(0, before)
    assert thread_choice.cpus() == len(before)


@pytest.mark.skipif(len(resources.cores()) < 2, reason="needs two cores")
@pytest.mark.parametrize(("more", "state"), [(-0.5, "ok"), (0.5, "ok"), (-1, "note")])
def test_doctor_and_training_count_the_same_cores(grant, monkeypatch, more, state):
    """Half a core counts as one thread."""
    count = len(resources.cores())
    grant("0::/own", {"own/cpu.max": f"{int(100 * (count + more))} 100"})
    found = {"compiled": True, "layer": "omp", "count": count, "seen": count}
    monkeypatch.setattr(hardware, "ask", lambda *_, **__: found)
    item, _ = hardware.examine_threads()
    assert item.state == state


def test_repeated_work_begins_with_none_done(monkeypatch):
    noted = []
    choice = SimpleNamespace(threads=1, note=lambda threads, seconds, work: noted.append(work))
    two = SimpleNamespace(_get_num_threads=lambda: 2, _set_num_threads=lambda threads: None)
    monkeypatch.setattr(thread_choice, "parallel", two)
    monkeypatch.setattr(thread_choice, "_choice", lambda *_: choice)
    for name, value in (("start_layer", None), ("can_have_threads", True), ("cpus", 2)):
        monkeypatch.setattr(thread_choice, name, lambda value=value: value)
    with thread_choice.slices(1000, ("steps",), True):
        pass
    assert noted == []
    with thread_choice.slices(1000, ("steps",), True) as steps:
        steps.done(30)
    with thread_choice.slices(1000, ("one piece",), False):
        pass
    assert noted == [30, 1000]
