"""Whether other load disturbed a measurement, and the one sentence in which every command reports it.

    with disturbance.Watch(threads=2) as watch:
        ...                                        # the measurement
    watch.reasons                                  # ["other processes used 1.4 of 2 cores"], or []
    disturbance.sentence(watch.reasons)            # "Other processes used 1.4 of 2 cores, so ...", or ""

Linux counts the busy time of each core (/proc/stat) and the time of this process; other processes used the difference.
Other systems have the load average and the context switches. A counter that the system does not have is not used.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import resources

SHORTEST = 0.25
"""Seconds. /proc/stat counts in hundredths of a second, so shorter measurements are too uncertain."""

SLACK = 0.25, 0.05
"""The load of other processes that is tolerated: a quarter of a core or a twentieth of all cores, whichever is more."""

SWITCHES = 50
"""Involuntary context switches per second and thread: a scheduler that shares a core switches every few ms."""

SPREAD = 0.25
"""Half of the interquartile range of a timing, as a fraction of its median; the median over all timings."""

ABOVE = 1.03
"""The factor by which a rate may exceed a measured peak, because both have errors. Above it, the peak is wrong."""


def sentence(reasons: Iterable[str]) -> str:
    """What disturbed one or several measurements, and the consequence; empty if nothing did."""
    worst: dict[str, str] = {}  # of each kind of reason: the same words with other numbers
    for reason in reasons:
        kind = re.sub(r"[\d.]+", "", reason)
        worst[kind] = max(
            reason, worst.get(kind, reason), key=lambda text: [float(n) for n in re.findall(r"[\d.]+", text)]
        )
    text = ", and ".join(worst.values())
    if not text:
        return ""
    return (
        f"{text[0].upper()}{text[1:]}, so times and ratios are too uncertain to compare; "
        "run it again when the machine is idle."
    )


def of_timings(timings: Iterable[Any]) -> list[str]:
    """Why these timings (`seconds`, `low`, `high`) are uncertain by themselves, or []."""
    spreads = [(timing.high - timing.low) / timing.seconds / 2 for timing in timings if timing.seconds > 0]
    typical = float(np.median(spreads)) if spreads else 0
    return [f"the times of the same call differ by ±{typical:.0%}"] if typical > SPREAD else []


HELPERS: set[int] = set()
"""Running child processes that belong to the measurement; `os.times` counts those that have ended."""


@dataclass(frozen=True)
class _Counters:
    """Counters since the start of the machine or of this process; None where a system has no such counter."""

    time: float
    own: float
    busy: float | None
    steal: float | None
    switches: float | None
    held: float | None
    hot: float | None
    load: float | None


class Watch:
    """Records what disturbs the measurement inside its `with`.

    threads     the maximum number of cores that the measurement uses; None for all. Others may use the rest.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.cores = resources.cores()
        self.needed = min(threads or len(self.cores), len(self.cores))
        self.reasons: list[str] = []
        self._looked: float | None = time.monotonic()

    def begin(self) -> "Watch":
        """Start watching; for `news` alone, no `with` is needed."""
        self._before = _counters(self.cores)
        return self

    def __enter__(self) -> "Watch":
        return self.begin()

    def __exit__(self, *_: object) -> None:
        self.reasons = self.so_far()

    def news(self) -> str:
        """The sentence, once, as soon as there is a disturbance. It checks every two seconds; more calls are cheap."""
        if self._looked is None or time.monotonic() - self._looked < 2:
            return ""
        self._looked = time.monotonic()
        text = sentence(self.so_far())
        if text:
            self._looked = None
        return text

    def so_far(self) -> list[str]:
        """What has disturbed the measurement until now."""
        return reasons(self._before, _counters(self.cores), len(self.cores), self.needed)


def reasons(before: Any, after: Any, cores: int, needed: int) -> list[str]:
    """What disturbed a measurement on `needed` of `cores` cores, from the counters before and after it."""

    def grown(name: str) -> float:
        start, end = getattr(before, name), getattr(after, name)
        return 0.0 if start is None or end is None else max(0.0, end - start)

    seconds = grown("time")
    if seconds < SHORTEST:
        return []
    slack = max(SLACK[0], SLACK[1] * cores)
    found = []
    tick = 0.01 * cores  # the time of each core is rounded
    others = max(0.0, grown("busy") - grown("own") - tick) / seconds if after.busy is not None else 0.0
    if others > cores - needed + slack:
        found.append(f"other processes used {min(others, cores):.1f} of {cores} core{'s' * (cores > 1)}")
    stolen = max(0.0, grown("steal") - tick) / seconds
    if stolen > slack / 2:
        found.append(f"the host of this virtual machine took {stolen:.1f} of {cores} core{'s' * (cores > 1)}")
    held = grown("held") / seconds
    if held > slack / 2:
        found.append(f"a CPU quota stopped this process for {held:.1f} s of each second")
    if grown("hot"):
        found.append("the processor ran slower because it was too hot")
    if not found and after.busy is None and min(before.load or 0.0, after.load or 0.0) > cores + 0.5:
        found.append(f"the load average was {after.load:.1f} on {cores} core{'s' * (cores > 1)}")
    switches = grown("switches") / seconds
    if not found and switches > SWITCHES * needed:
        found.append(f"the system preempted this process {switches:.0f} times a second")
    return found


def _counters(cores: list[int]) -> _Counters:
    own = os.times()
    busy, steal = _of_cores(cores)
    return _Counters(
        time.monotonic(), own.user + own.system + own.children_user + own.children_system + _of_helpers(), busy, steal,
        _switches(), _held(), _hot(cores), os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )  # fmt: skip


def _of_helpers() -> float:
    """Processor time of the running helpers."""
    used = 0.0
    for helper in HELPERS:
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{helper}/stat").read_text().rpartition(")")[2].split()
            used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # in user mode, in the kernel
    return used


def _of_cores(cores: list[int]) -> tuple[float | None, float | None]:
    """Seconds that these cores were busy, and that the host took from them (steal time)."""
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines() if line.startswith("cpu")]
        ticks = os.sysconf("SC_CLK_TCK")
        rows = {name: [int(part) / ticks for part in parts] for name, *parts in lines}
        mine = [rows[f"cpu{core}"] for core in cores]
        # user, nice, system, idle, iowait, irq, softirq, steal
        busy = sum(sum(row[:3]) + sum(row[5:7]) for row in mine)
        return (busy, sum(row[7] for row in mine)) if busy else (None, None)  # a sandbox may show zeros
    except (OSError, ValueError, KeyError, IndexError):
        return None, None


def _switches() -> float | None:
    """The number of involuntary context switches of this process."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw)


def _held() -> float | None:
    """Seconds that the quotas of its control groups stopped threads of this process."""
    found = [
        seconds
        for folder in resources.control_groups("cpu")
        if (seconds := _throttled(folder / "cpu.stat")) is not None
    ]
    return sum(found) if found else None


def _throttled(counters: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        counts = dict(line.split() for line in counters.read_text().splitlines())
        if "throttled_usec" in counts:
            return int(counts["throttled_usec"]) / 1e6
        if "throttled_time" in counts:  # in version 1 of control groups
            return int(counts["throttled_time"]) / 1e9
    return None


def _hot(cores: list[int]) -> float | None:
    """The number of times that these cores were throttled because of their temperature."""
    with contextlib.suppress(OSError, ValueError):
        folder = Path("/sys/devices/system/cpu")
        return float(
            sum(int((folder / f"cpu{core}/thermal_throttle/core_throttle_count").read_text()) for core in cores)
        )
    return None
