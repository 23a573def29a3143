"""The machine peaks (compute and bandwidth), measured by the kernels in probes.py.

    peak        FLOP/s of fused multiply-adds, per dtype and number of threads
    bandwidth   bytes/s of reading, writing and copying, from each cache and from memory
    clock       Hz, by a chain of instructions whose latency is known; x86-64 only

A measurement takes a few seconds and is stored in the cache folder, until the processor, the vector unit or Numba
changes.
"""

import copy
import datetime
import json
import math
import os
import platform
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numba
import numpy as np

from .. import checks, storage
from ..backend import threads
from ..compiler.cache import SOURCES, settings
from ..compiler.cache_folder import cache_folder, make_cache_folder
from ..compiler.cpu_caches import TYPICAL, data_caches
from ..compiler.intrinsics import VECTOR_BYTES, lanes
from ..compiler.memory import aligned
from ..process import disturbance
from ..process.progress import Report, ignore
from . import formatting
from .probes import DEPENDENT_STEPS, MOVES, MULTIPLY_ADDS, VECTORS, flop_of_multiply_adds, start_values
from .timing import time_of

RUN = 0.01
"""Seconds of one run; the best of RUNS is used, because a peak is the speed without disturbances."""

RUNS = 9

RUNS_OF_CLOCK = 20
"""Runs of some tens of microseconds each."""

SLOWEST = 1e8
"""FLOP/s or bytes/s. No machine that runs Numba is slower, so a lower rate is a wrong measurement."""

CYCLES_OF_A_STEP = 4

OF_A_CORE = ("L1", "L2")
"""Caches that cores do not share."""

LESS = 0.9
"""Rates that should be equal or ordered may differ by a tenth; if they differ more, one was disturbed."""


def limits(again: bool = False, report: Report = ignore) -> dict[str, Any]:
    """The machine peaks: those on file, or, without a file or with `again`, measured now.

    Keys: cpu, cores, vector_bits, clock (Hz, or None), multiply_adds_per_cycle (vectors, or None), caches (bytes of
    each level), peak (dtype -> threads -> FLOP/s), bandwidth (level -> threads -> read, write, copy in bytes/s),
    measured (date), disturbed (True if other processes used the cores, or the rates contradict one another; then they
    are not kept), disturbed_by (the reasons). Numbers of threads are text, as in JSON.

    Errors    ValueError if NUMBA_DISABLE_JIT is set
    """
    check_compiling()
    if not again and (on_file := cached()):
        return on_file
    with disturbance.Watch() as watch:
        found = _identity() | {"disturbed": False, "disturbed_by": []} | _measure(report)
    found["disturbed_by"] = watch.reasons or contradictions(found)
    found["disturbed"] = bool(found["disturbed_by"])
    if found["disturbed"]:
        return found  # used once, but not stored
    _keep(found)
    return found


def _keep(found: dict[str, Any]) -> None:
    try:
        make_cache_folder()
        storage.put(_file(), json.dumps(found, indent=1).encode())
    except (OSError, checks.Error):
        pass  # without a cache, it is measured again


def best_of(found: dict[str, Any], again: dict[str, Any]) -> dict[str, Any]:
    """The better of two measurements for each rate; the second may be disturbed."""
    if again["disturbed"]:
        return found
    rates = {name: _better(found[name], again[name]) for name in ("peak", "bandwidth")}
    return again | rates


def _better(one: Any, other: Any) -> Any:
    return {key: _better(one[key], other[key]) for key in one} if isinstance(one, dict) else max(one, other)


def raised(found: dict[str, Any], where: tuple[str, ...], threads: int, factor: float) -> dict[str, Any]:
    """The peaks with one of them, ("peak", dtype) or ("bandwidth", cache, kind), larger by a factor; they are saved.

    For a number of threads between two measured ones, the peaks of both are raised.
    """
    raised = copy.deepcopy(found)
    counts = sorted(map(int, found["peak"]["float32"]))
    below = max((count for count in counts if count <= threads), default=counts[0])
    beyond = min((count for count in counts if count >= threads), default=counts[-1])
    for count in {str(below), str(beyond)}:
        rates = raised[where[0]][where[1]]
        rates, key = (rates[count], where[2]) if len(where) > 2 else (rates, count)
        rates[key] *= factor
    raised["multiply_adds_per_cycle"] = _per_cycle(raised)
    _keep(raised)
    return raised


def cached() -> dict[str, Any] | None:
    """The peaks on file, if they are for this machine and do not contradict one another."""
    about = _identity() | {"disturbed": False, "disturbed_by": []}
    try:
        found: dict[str, Any] = json.loads(_file().read_text(encoding="utf-8"))
        good = {key: found.get(key) for key in about} == about and _is_whole(found) and not contradictions(found)
        return found if good else None
    except (OSError, ValueError, AttributeError, TypeError, LookupError, OverflowError, RecursionError):
        return None  # missing, cut short or in another format: measure again


def _file() -> Path:
    return cache_folder() / "machine.json"


def check_compiling() -> None:
    """Raise if NUMBA_DISABLE_JIT is set: the instruments measure compiled loops."""
    if numba.config.DISABLE_JIT:
        raise checks.Error("NUMBA_DISABLE_JIT is set, so nothing is compiled; unset it")


def cpu_name() -> str:
    """The name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _identity() -> dict[str, Any]:
    """The machine and settings that a measurement is for."""
    return {
        "cpu": cpu_name(), "cores": os.cpu_count(), "most_threads": numba.config.NUMBA_NUM_THREADS,
        "vector_bits": 8 * VECTOR_BYTES, "numba": numba.__version__, "settings": [list(item) for item in settings()],
        "kernels": SOURCES,
    }  # fmt: skip


def _measure(report: Report) -> dict[str, Any]:
    counts = _counts_of_threads(numba.config.NUMBA_NUM_THREADS)
    caches = cache_sizes()
    sizes = _working_sets(caches)
    total, done = len(counts) * (2 + len(sizes)) + 1, 0

    def next_one(name: str) -> None:
        nonlocal done
        report(done, total, name)
        done += 1

    next_one("clock")
    clock = clock_now()
    peak: dict[str, dict[str, float]] = {"float32": {}, "float64": {}}
    bandwidth: dict[str, dict[str, dict[str, float]]] = {level: {} for level in sizes}
    for count in counts:
        with threads(count):
            for dtype, by_count in peak.items():
                next_one(f"multiply-adds, {dtype}, {formatting.count(count, 'thread')}")
                by_count[str(count)] = _peak(dtype, count)
            for level, (size, shared) in sizes.items():
                next_one(f"bandwidth of {level}, {formatting.count(count, 'thread')}")
                bandwidth[level][str(count)] = _bandwidth(size // count if shared else size, count)
    for count in counts:  # a second time: other processes on the same core may have stopped by then
        with threads(count):
            for dtype, by_count in peak.items():
                by_count[str(count)] = max(by_count[str(count)], _peak(dtype, count))
    report(total, total, "")
    found = {"clock": clock, "caches": caches, "peak": peak, "bandwidth": bandwidth}
    return {**found, "multiply_adds_per_cycle": _per_cycle(found), "measured": datetime.date.today().isoformat()}


def _per_cycle(found: dict[str, Any]) -> float | None:
    one_vector = 2 * VECTOR_BYTES // 4  # FLOP of one multiply-add of float32
    return found["peak"]["float32"]["1"] / (found["clock"] * one_vector) if found.get("clock") else None


def _is_whole(found: dict[str, Any]) -> bool:
    """Whether a file is complete; `contradictions` checks the rates.

    Errors    many, for a file in another format
    """
    peak, levels = found["peak"], found["bandwidth"]
    counts = set(peak["float32"])
    for name, size in found["caches"].items():
        checks.number(name, checks.whole(name, size, least=1), below=1 << 63)
    for name in ("clock", "multiply_adds_per_cycle") if found["clock"] is not None else ():
        checks.number(name, found[name], above=0)
    return (
        set(peak) == {"float32", "float64"}
        and set(levels) == {*found["caches"], "memory"}
        and "1" in counts
        and all(count.isdecimal() for count in counts)
        and all(set(by_count) == counts for by_count in [*peak.values(), *levels.values()])
        and all(set(rates) == set(MOVES) for by_count in levels.values() for rates in by_count.values())
        and isinstance(found["measured"], str)
    )


def contradictions(found: dict[str, Any]) -> list[str]:
    """Contradictions between the rates, as sentences: something disturbed the measurement."""
    single, double = found["peak"]["float32"], found["peak"]["float64"]
    levels = found["bandwidth"]
    reading = {count: rates["read"] for count, rates in levels["L1"].items()}
    apart = {"multiply-adds of float32": single, "multiply-adds of float64": double, "reading from L1": reading}
    moves = [rates for by_count in levels.values() for rates in by_count.values()]
    every = [rate for by in (single, double, *moves) for rate in by.values()]
    reasons = []
    if not all(math.isfinite(rate) and rate >= SLOWEST for rate in every):
        reasons.append("one of the rates is close to zero")
    if any(double[count] > disturbance.ABOVE * single[count] for count in single):
        reasons.append("multiply-adds of float64 were faster than those of float32")
    for name, by_count in apart.items():
        if any(rate < LESS * by_count["1"] for rate in by_count.values()):
            reasons.append(f"more threads were slower than one at {name}")
    for near, far in pairwise(level for level in levels if level != "L3"):  # the working set of memory may fit into it
        if any(
            LESS * levels[far][count][kind] > rates[kind] for count, rates in levels[near].items() for kind in rates
        ):
            reasons.append(f"{far} was faster than {near}")
    return reasons


def _counts_of_threads(most: int) -> list[int]:
    return sorted({*(2**i for i in range(most.bit_length()) if 2**i <= most), most})


def for_threads(by_count: dict[str, float], threads: int) -> float:
    """A peak for any number of threads, interpolated between the measured ones."""
    counts = sorted(map(int, by_count))
    return float(np.interp(threads, counts, [by_count[str(count)] for count in counts]))


def level_of(caches: dict[str, int], size: float, threads: int = 1) -> str:
    """The smallest cache that holds this many bytes, or "memory". Each thread has its own L1 and L2."""
    return next((level for level, room in rooms(caches, threads).items() if size <= room), "memory")


def rooms(caches: dict[str, int], threads: int) -> dict[str, int]:
    """Bytes of each cache that this many threads have together."""
    return {level: size * (threads if level in OF_A_CORE else 1) for level, size in caches.items()}


def _best(call: Callable[[int], Any], work: float) -> float:
    """Work per second; `call(times)` repeats it this many times.

    If a run is much shorter than planned, the call on which the plan was based was disturbed, and it is planned again.
    """
    call(1)
    once = time_of(lambda: call(1), 1)
    while True:
        times = max(1, math.ceil(RUN / max(once, 1e-8)))
        best = min(time_of(lambda: call(times), 1) for _ in range(RUNS))  # noqa: B023
        if best > RUN / 4:
            return work * times / best
        once = best / times


def clock_now() -> float | None:
    """The clock in Hz, by a chain of dependent multiplications; None if this is not an x86 processor.

    The best of many short runs, which other processes disturb less than long ones.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    state, steps = np.array([3, 5, 7], np.uint64), 20_000
    DEPENDENT_STEPS(state, steps)
    best = min(time_of(lambda: DEPENDENT_STEPS(state, steps), 1) for _ in range(RUNS_OF_CLOCK))
    return CYCLES_OF_A_STEP * steps / best


def _peak(dtype: str, count: int) -> float:
    x, iterations = start_values(dtype), 10_000
    out = aligned((count, 1024 // np.dtype(dtype).itemsize), dtype)  # rows a kilobyte apart: no line is shared
    return _best(lambda times: MULTIPLY_ADDS(x, out, iterations * times), flop_of_multiply_adds(out, iterations))


def _bandwidth(size: int, count: int) -> dict[str, float]:
    """Bytes per second of each kind of move, for all threads together; each has its own `size` bytes."""
    memory = aligned((count, 4), np.float32)
    whole = 2 * VECTORS * lanes(memory) * 2  # what the kernels process at a time, in both halves
    memory = aligned((count, max(1, size // 4 // whole) * whole), np.float32)
    memory[...] = 1  # touch every page
    return {
        name: _best(lambda times, move=move: move(memory, times), memory.nbytes)  # type: ignore[misc]
        for name, move in MOVES.items()
    }


def cache_sizes() -> dict[str, int]:
    """Bytes of each data cache; caches that the system does not describe get the usual size."""
    return {f"L{level}": cache.size for level, cache in sorted((TYPICAL | data_caches()).items())}


def _working_sets(caches: dict[str, int]) -> dict[str, tuple[int, bool]]:
    """Level -> bytes that fit into it but not into the smaller ones, and whether the threads share them."""
    last = max(caches.values())
    sets = {level: (min(size // 2, 16 << 20), level not in OF_A_CORE) for level, size in caches.items()}
    return sets | {"memory": (min(max(4 * last, 64 << 20), 256 << 20), True)}


def rows(found: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The rows of the table: a name, and a figure for each number of threads."""
    for dtype, by_count in found["peak"].items():
        yield f"multiply-adds, {dtype}, GFLOP/s", [f"{rate / 1e9:.1f}" for rate in by_count.values()]
    for level, by_count in found["bandwidth"].items():
        size = found["caches"].get(level)
        where = f"{level} ({formatting.kilobytes(size)})" if size else level
        for kind in ("read", "write", "copy"):
            yield f"{where}, {kind}, GB/s", [f"{rates[kind] / 1e9:.1f}" for rates in by_count.values()]


NAME, COLUMNS = 32, 5
"""Columns of the name, and numbers of threads side by side."""


def as_text(found: dict[str, Any]) -> str:
    """A table for a terminal of 80 columns."""
    counts = list(found["peak"]["float32"])
    doubt = disturbance.sentence(found["disturbed_by"]) if found["disturbed"] else ""
    lines = formatting.wrapped(f"{found['cpu']}, {found['cores']} cores, vectors of {found['vector_bits']} bits", doubt)
    if found["clock"]:
        lines.append(
            f"clock {found['clock'] / 1e9:.2f} GHz, "
            f"about {found['multiply_adds_per_cycle']:.1f} vector multiply-adds per cycle"
        )
    lines.append("")
    for first in range(0, len(counts), COLUMNS):  # several tables on a machine with many cores
        for name, cells in [("threads", counts), *rows(found)]:
            lines += formatting.row(name, cells[first : first + COLUMNS], [9] * COLUMNS, NAME)
        lines.append("")
    end = f"measured {found['measured']}; jitnet machine --again measures again"
    if doubt:
        end = "Nothing was saved: jitnet machine measures again."
    return "\n".join([*lines, *formatting.wrapped(end)])
