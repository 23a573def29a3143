"""Shared by the benchmarks: the timings of candidates alternate, and ratios come from one run.

Machines are noisy: other processes, the clock frequency, the scheduler. With one thread, the candidates are
therefore timed in rounds: in each round every candidate runs for about the same short time, and the medians over the
rounds are compared. The peak of the machine is one of the candidates: a kernel of fused multiply-adds in registers.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

AVX2 = {
    "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma", "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
}  # fmt: skip
"""Environment variables that limit each library to vectors of 256 bits; XLA has a flag of its own."""


def arguments(about: str, paths: dict[str, str] | None = None) -> argparse.Namespace:
    """The options of every benchmark, and `paths`: the options of a single benchmark, with their help.

    They are read before NumPy is imported, which fixes the number of threads.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--threads", type=int, default=1, help="threads of every candidate (default: 1)")
    parser.add_argument("--rounds", type=int, default=15, help="repetitions of each candidate (default: 15)")
    parser.add_argument("--only", default="", help="only rows whose name contains this text")
    parser.add_argument("--avx2", action="store_true", help="limit every candidate to AVX2 (default: what the CPU has)")
    parser.add_argument("--out", type=Path, help="folder for the JSON and the Markdown (default: that of this machine)")
    for name, text in (paths or {}).items():
        parser.add_argument(f"--{name}", type=Path, help=text)
    given = parser.parse_args()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(given.threads)
    os.environ.update(AVX2 if given.avx2 else {})
    several = "true" if given.threads > 1 else "false"
    os.environ["XLA_FLAGS"] = (
        f"--xla_cpu_multi_thread_eigen={several} --xla_force_host_platform_device_count=1 "
        f"intra_op_parallelism_threads={given.threads}{' --xla_cpu_max_isa=AVX2' * given.avx2}"
    )
    os.environ["NPROC"] = str(given.threads)  # sets the size of XLA's thread pool
    if given.threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # all candidates get one core
    os.environ["NUMBA_NUM_THREADS"] = str(given.threads)
    given.out = given.out or folder_of_this_machine("avx2" * given.avx2)
    return given


def folder_of_this_machine(variant: str = "") -> Path:
    """The folder of results, such as results/intel_xeon_icelake_server; tables.py compares the machines."""
    from jitnet.lab.machine import cpu_name  # after the number of threads is set: it imports NumPy

    name = re.sub(r"\((R|TM|C)\)|@.*|\b(CPU|Processor|\d+-Core)\b", " ", cpu_name())
    return RESULTS / "_".join(re.findall(r"[a-z0-9]+", f"{name} {architecture()} {variant}".lower()))


def architecture() -> str:
    """LLVM's name of the CPU's architecture, since one name of a CPU can stand for several: "znver4"."""
    import llvmlite.binding

    return llvmlite.binding.get_host_cpu_name()  # type: ignore[no-any-return]


def time_alternating(candidates: dict[str, Callable[[], Any]], rounds: int, seconds: float = 0.02) -> dict[str, float]:
    """Median seconds per call of each candidate; each round lasts about `seconds` per candidate, and at least one call.

    With several threads, each candidate is timed in its own process: in one process the thread pools of the
    libraries compete for the cores, and PyTorch ran at half its speed. Each candidate has PROCESSES of them, which
    alternate with those of the others; the result is the median of their medians.
    """
    if os.environ.get("OMP_NUM_THREADS", "1") == "1":
        return _median_of_rounds(candidates, rounds, seconds)
    alone = os.environ.get(ALONE)
    if alone:
        along = ("peak",) if alone == "jitnet" else ()  # the peak is measured once
        wanted = {name: call for name, call in candidates.items() if name in (alone, *along)}
        _TIMES.append(_median_of_rounds(wanted, rounds, seconds))
        return dict.fromkeys(candidates, 1.0)
    names = [name for name in candidates if name != "peak"]
    if not _TIMES:
        each = [_in_a_process_of_its_own(name) for _ in range(PROCESSES) for name in names]
        for tables in zip(*each, strict=True):
            keys = dict.fromkeys(key for times in tables for key in times)
            _TIMES.append({key: statistics.median(t[key] for t in tables if key in t) for key in keys})
    return _TIMES.pop(0)


ALONE = "JITNET_BENCHMARK_ALONE"
"""Environment variable: the candidate to be timed in this process."""

PROCESSES = 3

_TIMES: list[dict[str, float]] = []
"""The results of each call of `time_alternating`, sent from child processes to the parent."""


def _in_a_process_of_its_own(name: str) -> list[dict[str, float]]:
    say(f"{name}, in a separate process")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *sys.argv, "--out", folder]
        subprocess.run(command, env={**os.environ, ALONE: name}, stdout=subprocess.DEVNULL, check=True)
        return json.loads((Path(folder) / "times.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _median_of_rounds(candidates: dict[str, Callable[[], Any]], rounds: int, seconds: float) -> dict[str, float]:
    from jitnet.lab.timing import time_alternating  # after the number of threads is set: it imports NumPy

    timings = time_alternating(candidates, rounds, seconds, most=math.inf)
    return {name: timing.seconds for name, timing in timings.items()}


def peak_probe(dtype: Any, threads: int) -> tuple[Callable[[], None], int]:
    """A call that only computes multiply-adds in registers, on each thread, and its FLOP."""
    import numpy as np

    from jitnet.lab.probes import MULTIPLY_ADDS, flop_of_multiply_adds, start_values

    x, out, rounds = start_values(dtype), np.empty((threads, 256), dtype), 100_000
    return lambda: MULTIPLY_ADDS(x, out, rounds), flop_of_multiply_adds(out, rounds)


def machine(threads: int) -> dict[str, Any]:
    """A description of the machine and the versions."""
    from jitnet.compiler.intrinsics import VECTOR_BYTES
    from jitnet.lab.machine import cpu_name

    versions = {}
    for package in ("numba", "llvmlite", "numpy", "torch", "jax", "scikit-learn"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "cpu": f"{cpu_name()} ({architecture()})", "cores": os.cpu_count(), "vector bits": 8 * VECTOR_BYTES,
        "threads": threads, "system": platform.system(), "python": platform.python_version(), **versions,
    }  # fmt: skip


def publish(name: str, given: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """Print the table, and write it as JSON and Markdown."""
    if ALONE in os.environ:
        (given.out / "times.json").write_text(json.dumps(_TIMES), encoding="utf-8")
        return
    stem = f"{name}_{given.threads}_thread{'s' if given.threads > 1 else ''}"
    write(given.out / stem, machine(given.threads), rows)


def write(stem: Path, about: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Print the table, and write it as JSON and Markdown, with a description of the machine."""
    if not rows:
        raise SystemExit("the name of no row contains the text given by --only; nothing was measured or written")
    print(save(stem, about, rows))


def save(stem: Path, about: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Write the table as JSON and Markdown, with a description of the machine; returns the Markdown."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(row.get(column, "")) for column in columns) + " |" for row in rows]
    text = "\n".join([*lines, "", ", ".join(f"{key} {value}" for key, value in about.items()), ""])
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    stem.with_suffix(".json").write_text(
        json.dumps({"machine": about, "rows": rows}, indent=1) + "\n", encoding="utf-8"
    )
    return text


def say(text: str) -> None:
    """Print progress on standard error."""
    print(text, file=sys.stderr, flush=True)
