"""What kernels run on: the compiler and its vector width, threads, free cores, and a GPU.

A check that could abort the process, such as starting threads, runs in a separate one.
"""

import ctypes
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from numba import prange
from numba.np.ufunc.parallel import get_thread_id

from ...backend.thread_choice import cpus
from ...compiler.intrinsics import VECTOR_BYTES
from ...compiler.jit import compiled, is_compiled
from ...compiler.threads import thread_count
from ...compiler.types import Vector
from ...process import disturbance
from ..worker import NoAnswerError, ask
from . import NOTE, OK, WRONG, Item, export, pip_install, unset
from .packages import installed
from .settings import NARROWING, OF_THREADS, fix_of

SECONDS = 300
"""Time limit of a check in a separate process, generous because a machine may be busy."""

UNITS = {"avx512f": (512, "AVX-512"), "avx2": (256, "AVX2"), "avx": (256, "AVX")}


def vector_unit() -> tuple[int, str]:
    """Bits of a vector register of this processor, and the name of the unit, whatever the settings are."""
    features = llvmlite.binding.get_host_cpu_features()
    return next((unit for feature, unit in UNITS.items() if features.get(feature)), (128, "128-bit vectors"))


def examine_compiler() -> Iterator[Item]:
    """Compile and run a small loop, and compare the vectors of the kernels with those of the processor."""
    bits, name = vector_unit()
    with tempfile.TemporaryDirectory() as folder:
        # another check covers threads; this layer is always there
        environment = {"JITNET_CACHE_DIR": folder, "NUMBA_THREADING_LAYER": "workqueue"}
        found = ask(compile_loop, environment=environment, seconds=SECONDS)
    fix = fix_of(NARROWING)
    if not found["right"]:
        fix = fix or pip_install("numba", anew=True)
        yield Item("compiler", WRONG, "a small compiled loop gives wrong numbers", fix)
    elif not found["compiled"]:
        yield Item("compiler", WRONG, "nothing is compiled: the interpreter runs every loop", fix)
        return
    else:
        yield Item("compiler", OK, f"a small loop compiled in {found['seconds']:.2f} s and gave the right numbers")
    cpu = llvmlite.binding.get_host_cpu_name()
    width = f"kernels use vectors of {found['bits']} bits; {cpu} has {name}, {bits} bits"
    if found["bits"] < bits:
        yield Item("vector width", WRONG if fix else NOTE, width, fix)
    else:
        yield Item("vector width", OK, width)


def axpy(a: float, x: Vector, y: Vector) -> None:
    """y ← a·x + y"""
    for i in range(x.size):
        y[i] = a * x[i] + y[i]


def compile_loop() -> dict[str, Any]:
    """Compile, run and check `axpy`; for a separate process."""
    began, kernel = time.perf_counter(), compiled(axpy)
    a, x, y = np.float32(3), np.arange(1024, dtype=np.float32), np.ones(1024, np.float32)
    kernel(a, x, y)
    return {
        "right": bool((y == 3 * x + 1).all()), "compiled": is_compiled(kernel), "bits": 8 * VECTOR_BYTES,
        "seconds": time.perf_counter() - began,
    }  # fmt: skip


def examine_threads() -> Iterator[Item]:
    """Run a parallel loop: how many threads write to its output?"""
    fix = fix_of(OF_THREADS)
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = ask(start_threads, environment={"JITNET_CACHE_DIR": folder}, seconds=SECONDS)
        except NoAnswerError as error:
            yield Item("threads", WRONG, f"a parallel loop does not run: {error}", fix)
            return
    if not found["compiled"]:
        yield Item("threads", NOTE, "not tried, since nothing is compiled")
        return
    count, seen, cores, variable = found["count"], found["seen"], cpus(), "NUMBA_NUM_THREADS"
    if seen < count:
        yield Item("threads", WRONG, f"only {seen} of {count} threads run in a parallel loop", fix)
    elif count != cores:
        effect = "so cores stay idle" if count < cores else "so threads wait for one another"
        chosen = variable in os.environ
        text = f"{count} run in a parallel loop{f', by {variable}' if chosen else ''}; for {cores} cores, {effect}"
        yield Item("threads", NOTE, text, unset(variable) if chosen else export(variable, str(cores)))
    else:
        yield Item("threads", OK, f"{count} run in a parallel loop, one for each usable core")
    if found["layer"] == "workqueue":
        text = "workqueue: runs one parallel loop at a time; those of other Python threads get one thread meanwhile"
        openmp = "sudo apt install libgomp1" if sys.platform == "linux" and shutil.which("apt") else None
        yield Item("threading layer", NOTE, text, fix or openmp)
    else:
        yield Item("threading layer", OK, found["layer"])


def thread_numbers(out: Vector) -> None:
    """Each element gets the number of the thread that wrote it."""
    for i in prange(out.size):
        out[i] = get_thread_id()


def start_threads() -> dict[str, Any]:
    """Run a parallel loop and count the threads that wrote; for a separate process."""
    kernel = compiled(thread_numbers, parallel=True)
    if not is_compiled(kernel):
        return {"compiled": False}
    count, seen = thread_count(), set[int]()
    until = time.monotonic() + 2  # a layer that hands out work on demand may need several calls to use all threads
    while len(seen) < count and time.monotonic() < until:
        out = np.full(100_000, -1, np.int64)
        kernel(out)
        seen |= set(out.tolist())
    return {"compiled": True, "layer": numba.threading_layer(), "count": count, "seen": len(seen)}


def examine_load() -> Iterator[Item]:
    """Do other processes use the cores now?"""
    with disturbance.Watch() as watch:
        time.sleep(2 * disturbance.SHORTEST)
    yield Item("load", NOTE if watch.reasons else OK, disturbance.sentence(watch.reasons) or "the cores are free")


NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE: the driver works, but finds no GPU."""


def examine_gpu() -> Iterator[Item]:
    """CUDA needs a package, a driver and a GPU."""
    found = ask(ask_driver, seconds=SECONDS)
    version, release = installed("numba-cuda"), found["version"] or 0  # 12040 is CUDA 12.4
    if version:
        yield Item("CUDA package", OK, f"numba-cuda {version}")
    elif found["library"]:  # without a driver, the extra of jitnet that needs it is enough
        package = "jitnet[cuda12]" if 0 < release < 13000 else "jitnet[cuda]"
        yield Item("CUDA package", NOTE, "numba-cuda (kernels on an NVIDIA GPU) is missing", pip_install(package))
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if found["library"] is None:
        yield Item("CUDA driver", NOTE, "there is none (libcuda); it comes with an NVIDIA GPU")
    elif found["error"] not in (0, NO_DEVICE):
        yield Item("CUDA driver", WRONG, f"{found['library']} does not start: error {found['error']}")
    else:
        yield Item("CUDA driver", OK, f"for CUDA {release // 1000}.{release % 1000 // 10}")
    if found["devices"]:
        yield Item("CUDA device", OK, ", ".join(found["devices"]))
    elif hidden is not None and found["library"]:
        text = f"CUDA_VISIBLE_DEVICES is {hidden!r}, and no device is left"
        yield Item("CUDA device", NOTE, text, unset("CUDA_VISIBLE_DEVICES"))
    else:
        yield Item("CUDA device", NOTE, "no NVIDIA GPU was found; kernels run on the processor")


def ask_driver() -> dict[str, Any]:
    """The library of the CUDA driver, its CUDA version, its error, its devices; for a separate process."""
    about: dict[str, Any] = {"library": None, "version": None, "error": 0, "devices": []}
    name = {"win32": "nvcuda.dll"}.get(sys.platform, "libcuda.so.1")
    try:
        cuda = ctypes.CDLL(name)
    except OSError:
        return about
    version, count = ctypes.c_int(), ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    about |= {"library": name, "version": version.value}
    about["error"] = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
    for index in range(count.value):
        text, major, minor = ctypes.create_string_buffer(100), ctypes.c_int(), ctypes.c_int()
        cuda.cuDeviceGetName(text, len(text), index)
        cuda.cuDeviceGetAttribute(ctypes.byref(major), 75, index)  # of the compute capability
        cuda.cuDeviceGetAttribute(ctypes.byref(minor), 76, index)
        about["devices"].append(f"{text.value.decode()} (compute capability {major.value}.{minor.value})")
    return about
