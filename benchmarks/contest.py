"""What the tables in this folder share: candidates are timed in turn, and ratios come out of one run.

Machines are noisy: a neighbour, the clock frequency, a scheduler. So with one thread nobody is timed alone. In every
round each candidate has its turn, for about the same short time, and what is compared is the medians over the rounds.
The peak of the machine takes part as a candidate: a kernel that does nothing but fused multiply-adds in registers.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def arguments(about: str) -> argparse.Namespace:
    """The options of every table. They are read before NumPy is imported, because threads are settled there."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--threads", type=int, default=1, help="for every candidate (default: 1)")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each candidate (default: 15)")
    parser.add_argument("--only", default="", help="only rows whose name holds this text")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the JSON and the Markdown")
    given = parser.parse_args()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(given.threads)
    several = "true" if given.threads > 1 else "false"
    os.environ["XLA_FLAGS"] = (
        f"--xla_cpu_multi_thread_eigen={several} --xla_force_host_platform_device_count=1 "
        f"intra_op_parallelism_threads={given.threads}"
    )
    os.environ["NPROC"] = str(given.threads)  # XLA sizes its pool by it
    if given.threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core for all, whatever a library thinks
    os.environ["NUMBA_NUM_THREADS"] = str(given.threads)
    return given


def in_turn(candidates: dict[str, Callable[[], Any]], rounds: int, seconds: float = 0.02) -> dict[str, float]:
    """Median seconds of one call of each candidate; a turn lasts about `seconds`, and at least one call.

    With several threads each candidate is timed in a process of its own: in one process the thread pools of the
    libraries take the cores from one another, and PyTorch, for one, ran at half its speed. It has TURNS such processes,
    in turn with the others, and the median of their medians counts.
    """
    if os.environ.get("OMP_NUM_THREADS", "1") == "1":
        return _median_of_turns(candidates, rounds, seconds)
    alone = os.environ.get(ALONE)
    if alone:
        along = ("peak",) if alone == "jitnet" else ()  # the peak is measured once
        wanted = {name: call for name, call in candidates.items() if name in (alone, *along)}
        _TIMES.append(_median_of_turns(wanted, rounds, seconds))
        return dict.fromkeys(candidates, 1.0)
    names = [name for name in candidates if name != "peak"]
    if not _TIMES:
        each = [_in_a_process_of_its_own(name) for _ in range(TURNS) for name in names]
        for tables in zip(*each, strict=True):
            keys = dict.fromkeys(key for times in tables for key in times)
            _TIMES.append({key: statistics.median(t[key] for t in tables if key in t) for key in keys})
    return _TIMES.pop(0)


ALONE = "JITNET_BENCHMARK_ALONE"
"""Set to the name of a candidate in the process that times it."""

TURNS = 3

_TIMES: list[dict[str, float]] = []
"""What each call of `in_turn` measured: to be told to the parent, or as the children told it."""


def _in_a_process_of_its_own(name: str) -> list[dict[str, float]]:
    say(f"{name}, alone")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *sys.argv, "--out", folder]
        subprocess.run(command, env={**os.environ, ALONE: name}, stdout=subprocess.DEVNULL, check=True)
        return json.loads((Path(folder) / "times.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _median_of_turns(candidates: dict[str, Callable[[], Any]], rounds: int, seconds: float) -> dict[str, float]:
    from jitnet.lab.timing import in_turn  # not before threads are settled: it brings NumPy

    return {name: timing.seconds for name, timing in in_turn(candidates, rounds, seconds, most=math.inf).items()}


def peak_probe(dtype: Any, threads: int) -> tuple[Callable[[], None], int]:
    """A call that does nothing but multiply-adds in registers, on each thread, and how many FLOP it does."""
    import numpy as np

    from jitnet.lab.probes import MULTIPLY_ADDS, flop_of_multiply_adds, start_values

    x, out, rounds = start_values(dtype), np.empty((threads, 256), dtype), 100_000
    return lambda: MULTIPLY_ADDS(x, out, rounds), flop_of_multiply_adds(out, rounds)


def machine(threads: int) -> dict[str, Any]:
    """What the figures were measured on."""
    from jitnet.compiler.intrinsics import VECTOR_BYTES
    from jitnet.lab.machine import cpu_name

    versions = {}
    for package in ("numba", "llvmlite", "numpy", "torch", "jax", "scikit-learn"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "cpu": cpu_name(), "cores": os.cpu_count(), "vector bits": 8 * VECTOR_BYTES, "threads": threads,
        "system": platform.system(), "python": platform.python_version(), **versions,
    }  # fmt: skip


def publish(name: str, given: argparse.Namespace, columns: list[str], rows: list[dict[str, Any]]) -> None:
    """Print the table, and write it as JSON and Markdown."""
    if ALONE in os.environ:
        (given.out / "times.json").write_text(json.dumps(_TIMES), encoding="utf-8")
        return
    stem = f"{name}_{given.threads}_thread{'s' if given.threads > 1 else ''}"
    write(given.out / stem, machine(given.threads), columns, rows)


def write(stem: Path, about: dict[str, Any], columns: list[str], rows: list[dict[str, Any]]) -> None:
    """Print the table, and write it to files of that name: as JSON and Markdown, with what it was measured on."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(row.get(column, "")) for column in columns) + " |" for row in rows]
    text = "\n".join([*lines, "", ", ".join(f"{key} {value}" for key, value in about.items()), ""])
    print(text)
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    stem.with_suffix(".json").write_text(
        json.dumps({"machine": about, "rows": rows}, indent=1) + "\n", encoding="utf-8"
    )


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)
