"""The default number of threads: one, or all that this process can use, whichever is faster now.

On idle cores, all threads are faster. While other processes use the cores, a loop waits for the thread that has no
core, and can take many times as long as with one thread. The load changes, so both numbers are timed during training.
Results do not depend on the number of threads.
"""

import contextvars
import functools
import math
import os
import time
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from numba import config
from numba.np.ufunc import parallel

from ..compiler.parallel_for import can_have_threads, start_layer
from ..compiler.threads import thread_count
from ..process import resources

SLICE = 0.002
"""Minimum seconds of work before the two numbers of threads are compared."""

TRIALS = 64
"""The slower number is tried again after work of this many times the length of its slice: trials cost 1/64 of the time
that the work takes. Pauses between calls do not count, as they would only lead to more trials."""

MEMORY = 0.1
"""Seconds of work in the means that are compared. The weight of older measurements decays."""

LONG_FLOP = 2_000_000_000
"""Single calls of this size are never tried on one thread: the scheduler delays a thread by less than they take."""

is_set_by_user = contextvars.ContextVar("is_set_by_user", default=False)
"""True if the user has set the number of threads."""


def cpus() -> int:
    """The number of CPUs of this process: its affinity, limited by its control groups."""
    return max(1, math.ceil(min(len(resources.cores()), quota())))


@functools.cache
def quota() -> float:
    """The CPU limit of the control groups of this process (Linux), as set by `docker run --cpus`, or infinity."""
    return min(map(_granted_by, resources.control_groups("cpu")), default=math.inf)


def _granted_by(folder: Path) -> float:
    try:
        if (folder / "cpu.max").exists():
            amount, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            amount, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return math.inf if amount == "max" or int(amount) < 0 else int(amount) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


@dataclass
class Option:
    """A number of threads to choose from, and its measurements."""

    threads: int
    seconds: float = 0.0
    work: float = 0.0
    last: float = -math.inf
    """When its last slice ended."""
    retry_after: float = 0.0
    """Seconds of work, of both numbers of threads, after which it is tried again."""

    def note(self, now: float, seconds: float, work: float) -> None:
        """Add a slice; the longer it was, the less weight the older measurements keep."""
        is_recent = now - seconds - self.last < MEMORY
        stays = max(0.0, 1 - seconds / MEMORY) if is_recent else 0.0
        self.seconds, self.work, self.last = stays * self.seconds + seconds, stays * self.work + work, now

    @property
    def pace(self) -> float:
        """Seconds per unit of work; infinite before the first trial."""
        return self.seconds / self.work if self.work else math.inf


class Choice:
    """One thread or all, for one kind of work. It begins with all, then tries one; if the cores are busy, with one.

    After a trial, the slower number is not used for `TRIALS` times the length of its slice. One thread is safe, and can
    be selected at any time. Several Python threads can share a choice without a lock: they can disturb each other's
    measurement, which costs a slice and changes no result.
    """

    def __init__(self, most: int, is_busy: bool = False) -> None:
        self._one, self._all = Option(1), Option(most)
        self._now = self._all
        if is_busy:  # a first slice with all can take as long as the scheduler lets others run
            self._now, self._all.retry_after = self._one, TRIALS * SLICE
        self._seconds, self._work = 0.0, 0.0
        self._worked = 0.0
        """Seconds of all slices."""

    @property
    def threads(self) -> int:
        """The number of threads for the next work."""
        return self._now.threads

    @property
    def best(self) -> int:
        """The faster number so far."""
        return min(self._all, self._one, key=lambda option: option.pace).threads

    def note(self, threads: int, seconds: float, work: float) -> None:
        """Add the time of some work with this number of threads to the current slice, which can end here."""
        if threads != self._now.threads:  # another Python thread has ended the slice
            return
        self._seconds += seconds
        self._work += work
        if self._seconds >= SLICE:
            self._decide()
            self._seconds, self._work = 0.0, 0.0

    def _decide(self) -> None:
        mine, other = self._now, self._one if self._now is self._all else self._all
        mine.note(time.perf_counter(), self._seconds, self._work)
        self._worked += self._seconds
        is_slower = mine.pace > other.pace
        if is_slower:
            mine.retry_after = self._worked + TRIALS * self._seconds
        if self._worked >= other.retry_after or (is_slower and other is self._one):
            self._now = other


class Slices:
    """For `with`: sets Numba's number of threads by a choice, and times the work.

    Work in several steps calls `done` after each; otherwise it counts as one piece.
    """

    __slots__ = ("_before", "_began", "_choice", "_until", "_work", "threads")

    def __init__(self, choice: Choice | None, before: int, most: int, work: int) -> None:
        self._choice, self._before, self.threads, self._work = choice, before, most, work

    @property
    def best(self) -> int:
        """The number of threads that was faster so far."""
        return self.threads if self._choice is None else self._choice.best

    def __enter__(self) -> "Slices":
        self._begin(self._before)
        return self

    def _begin(self, threads: int) -> None:
        if self._choice is not None:
            self.threads = self._choice.threads
        if self.threads != threads:
            parallel._set_num_threads(self.threads)
        self._began = time.perf_counter()
        self._until = self._began + SLICE

    def done(self, work: int) -> None:
        """Record that this much more work was done."""
        self._work += work
        if self._choice is not None and time.perf_counter() >= self._until:
            self._note()
            self._begin(self.threads)

    def _note(self) -> None:
        if self._choice is not None:
            self._choice.note(self.threads, time.perf_counter() - self._began, self._work)
        self._work = 0

    def __exit__(self, failed: object, *_: object) -> None:
        if self._work and not failed:
            self._note()
        if self.threads != self._before:
            parallel._set_num_threads(self._before)


ONE = Slices(None, 1, 1, 0)
"""One thread, if more make no difference."""


def slices(flop: int, kind: tuple[Hashable, ...], is_repeated: bool) -> Slices:
    """`Slices` for work of that kind and size; see `Backend.spread`."""
    if config.DISABLE_JIT or not can_have_threads():
        return ONE
    start_layer()
    before = parallel._get_num_threads()  # numba.get_num_threads, without its locks, which take longer than small work
    most = before if is_set_by_user.get() else min(before, cpus())
    is_open = most > 1 and not is_set_by_user.get() and (is_repeated or flop < LONG_FLOP)
    return Slices(_choice(most, *kind) if is_open else None, before, most, 0 if is_repeated else flop)


def possible() -> tuple[int, ...]:
    """The possible numbers of threads."""
    if is_set_by_user.get():
        return (thread_count(),)
    if config.DISABLE_JIT or not can_have_threads():
        return (1,)
    return tuple({1, min(thread_count(), cpus())})


@functools.lru_cache(256)
def _choice(most: int, *kind: Hashable) -> Choice:
    """The choice for this kind of work in this process."""
    return Choice(most, cores_are_busy())


def cores_are_busy() -> bool:
    """Whether more threads of all processes want to run now than the machine has cores; False if it does not tell."""
    try:
        running = Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[0]
        return int(running) > (os.cpu_count() or 1)
    except (OSError, ValueError, IndexError):
        return False
