"""Timing: the candidates alternate, so that noise affects all of them alike.

Machines are noisy: other processes, the clock frequency, the scheduler. In every round each candidate runs for about
the same short time. The result is the median over the rounds; the quartiles show how reliable it is.
"""

import contextlib
import importlib.util
import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter  # imported now, so that a custom kernel cannot replace it
from typing import Any

import numba

from ..process.progress import Report, ignore
from .oracle import Shape

Call = Callable[[], Any]


@dataclass(frozen=True)
class RemoteCall:
    """A call that another process makes and times: `seconds_of(calls)` is the mean time of this many in a row."""

    seconds_of: Callable[[int], float]

    def __call__(self) -> None:
        self.seconds_of(1)


class CandidateError(Exception):
    """A candidate raised an exception, which is the cause of this one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Timing:
    """Seconds for one call: the median over the rounds, and the quartiles around it."""

    seconds: float
    low: float
    high: float
    best: float


def time_alternating(
    candidates: dict[str, Call],
    rounds: int = 9,
    seconds: float = 0.02,
    most: float = 2.0,
    report: Report = ignore,
) -> dict[str, Timing]:
    """Time all candidates, one after the other in each round, with as many calls as fit in `seconds`, at least one.

    A candidate that needs more than `most` seconds for all rounds runs in fewer of them, at least in three.
    `report` is called with (rounds done, rounds, candidate). `CandidateError` names a candidate that raised an
    exception.
    """
    calls, every = {}, {}
    for name, call in candidates.items():
        with _blaming(name):
            call()  # warm up: pages, caches, compilation
            once = max(time_of(call, 1), 1e-7)
        calls[name] = max(1, int(seconds / once))
        runs = max(3, min(rounds, math.floor(min(most / (calls[name] * once), rounds))))
        every[name] = max(1, rounds // runs)
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for done in range(rounds):
        for name, call in candidates.items():
            if done % every[name] == 0:
                report(done, rounds, name)
                with _blaming(name):
                    call()  # fills the caches and wakes the threads again after another candidate
                    times[name].append(time_of(call, calls[name]))
    report(rounds, rounds, "")
    return {name: _summary(values) for name, values in times.items()}


@contextlib.contextmanager
def blas_threads(count: int) -> Iterator[int]:
    """Limit NumPy's BLAS to this many threads; yields how many it will use (all, without threadpoolctl)."""
    if importlib.util.find_spec("threadpoolctl") is None:
        yield numba.config.NUMBA_DEFAULT_NUM_THREADS
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(count, user_api="blas"):
        yield count


@contextlib.contextmanager
def _blaming(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise CandidateError(name) from error


def affordable_shape(
    call_for: Callable[[Shape], Call], shape: Shape, most: float, takes: Callable[[Shape], bool] = lambda shape: True
) -> Shape:
    """The shape, or its half, quarter, ...: the largest at which a call takes at most `most` seconds.

    The time is extrapolated from the next smaller shape. `call_for(shape)` gives the call for each, smallest first.
    Sizes up to 16 are not reduced, and shapes that `takes` refuses are skipped.
    """
    shapes = [shape]
    while max(shapes[-1]) > 16:
        shapes.append(tuple((size + 1) // 2 if size > 16 else size for size in shapes[-1]))
    shapes = [shape, *filter(takes, shapes[1:])]
    shapes.reverse()
    call_for(shapes[0])()  # compile it
    for smaller, larger in pairwise(shapes):
        call = call_for(smaller)
        seconds = min(time_of(call, 1), time_of(call, 1))  # a single one may be disturbed
        if seconds * math.prod(larger) / math.prod(smaller) > most:
            return smaller
    return shape


def time_of(call: Call, calls: int) -> float:
    """The mean seconds of this many calls in a row."""
    if isinstance(call, RemoteCall):
        return call.seconds_of(calls)
    start = perf_counter()
    for _ in range(calls):
        call()
    return (perf_counter() - start) / calls


def _summary(values: list[float]) -> Timing:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Timing(middle, low, high, min(values))
