"""What kernels run on: the vector unit that the compiler really uses, threads that really start, and a GPU."""

import ctypes
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from numba import prange
from numba.np.ufunc.parallel import get_thread_id

from ... import disturbance
from ...backend.thread_choice import cpus
from ...compiler.intrinsics import lanes
from ...compiler.jit import compiled, is_compiled
from ...compiler.simd import broadcast, load, store
from ...compiler.threads import thread_count
from ...compiler.types import Vector
from ..worker import NoAnswerError, ask
from .items import NOTE, OK, WRONG, Item, export, pip_install, unset
from .settings import NARROWING, OF_THREADS, that_are_set
from .versions import installed

SECONDS = 300
"""How long an examination in a process of its own may take, on a busy machine too."""


def vector_unit() -> tuple[int, str]:
    """Bits in a vector register of this processor, whatever the settings say, and the name of the unit."""
    has = {name for name, there in llvmlite.binding.get_host_cpu_features().items() if there}
    for feature, bits, name in (("avx512f", 512, "AVX-512"), ("avx2", 256, "AVX2"), ("avx", 256, "AVX"),
                                ("sse2", 128, "SSE2"), ("sve", 128, "SVE"), ("neon", 128, "NEON")):  # fmt: skip
        if feature in has:
            return bits, name
    return 128, "unknown"


def examine_compiler() -> Iterator[Item]:
    """A small loop, compiled and run in a process of its own, and the vectors in its assembly."""
    unit, name = vector_unit()
    cpu = llvmlite.binding.get_host_cpu_name()
    yield Item("vector unit", OK, f"{name}, {unit} bits, on {cpu} (in LLVM's words)")
    with tempfile.TemporaryDirectory() as folder:  # what comes from a cache shows no assembly
        # threads have an examination of their own, and this layer is always there
        environment = {"JITNET_CACHE_DIR": folder, "NUMBA_THREADING_LAYER": "workqueue"}
        found = ask(compile_loops, environment=environment, seconds=SECONDS)
    blamed = that_are_set(NARROWING)
    fix = unset(*blamed) if blamed else None
    if not found["right"]:
        yield Item(
            "compiler", WRONG, "a small compiled loop gives wrong numbers", fix or pip_install("numba", anew=True)
        )
    elif not found["compiled"]:
        yield Item("compiler", WRONG, "nothing is compiled: the interpreter runs every loop", fix)
        return
    else:
        yield Item("compiler", OK, f"two small loops compiled in {found['seconds']:.2f} s, and give the right numbers")
    loop, strip = found["loop"], found["strip"]
    widths = f"a plain loop works on {_bits(loop)}, the kernels' strips on {_bits(strip)}, by their assembly"
    if min(loop, strip) < unit and blamed:
        yield Item("vector width", WRONG, f"{widths}; {_bits(unit)} would do ({', '.join(blamed)})", fix)
    elif strip < unit:
        yield Item("vector width", NOTE, f"{widths}, though the unit has {unit}")
    else:
        yield Item("vector width", OK, widths + ("" if loop == unit else " (LLVM's choice for this processor)"))


def _bits(count: int) -> str:
    return f"{count} bits" if count > 32 else "one number at a time"


def axpy(a: float, x: Vector, y: Vector) -> None:
    """y ← a·x + y as anybody would write it."""
    for i in range(x.size):
        y[i] = a * x[i] + y[i]


def axpy_of_a_strip(a: float, x: Vector, y: Vector) -> None:
    """y ← a·x + y for as many numbers as fill one register, as the kernels do it."""
    store(load(x, 0, 1) * broadcast(a, x, 1) + load(y, 0, 1), y, 0)


def compile_loops() -> dict[str, Any]:
    """Compile, run and check both, and read the width of their vectors off the assembly; for a fresh process."""
    began, right, widths = time.perf_counter(), True, []
    kernels = [compiled(axpy), compiled(axpy_of_a_strip)]
    for kernel in kernels:
        a, x, y = np.float32(3), np.arange(1024, dtype=np.float32), np.ones(1024, np.float32)
        kernel(a, x, y)
        count = 1024 if kernel is kernels[0] else lanes(x)
        right = right and bool((y == np.where(np.arange(1024) < count, 3 * x + 1, 1)).all())
        if is_compiled(kernel):
            widths.append(vector_bits("\n".join(kernel.inspect_asm().values())))  # type: ignore[attr-defined]
    found = {"right": right, "compiled": len(widths) == 2, "seconds": time.perf_counter() - began}
    return found | dict(zip(("loop", "strip"), widths, strict=False))


def vector_bits(assembly: str) -> int:
    """Bits of the widest vectors that are calculated with: 32 if numbers are taken one by one.

    Only multiplications and additions of whole vectors count: moving memory in wide registers is no calculation.
    """
    widths = {"xmm": 128, "ymm": 256, "zmm": 512, "v": 128, "z": 128}  # SVE does not say: 128 or more
    of_x86 = r"\bv?(?:fn?m(?:add|sub)\w*|mul|add)p[sd]\b.*?\b(xmm|ymm|zmm)\d"
    of_arm = r"\bf(?:mla|mul|add|mad)\s+(v|z)\d+\.(?:\d*[sd])\b"
    return max(
        (widths[name] for name in re.findall(f"{of_x86}|{of_arm}", assembly) for name in name if name), default=32
    )


def examine_threads() -> Iterator[Item]:
    """A parallel loop in a process of its own, since threads that cannot start may abort it: who took part?"""
    blamed = that_are_set(OF_THREADS)
    fix = unset(*blamed) if blamed else None
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = ask(start_threads, environment={"JITNET_CACHE_DIR": folder}, seconds=SECONDS)
        except NoAnswerError as error:
            yield Item("threads", WRONG, f"a parallel loop does not run: {error}", fix)
            return
    if not found["compiled"]:
        yield Item("threads", NOTE, "not tried, since nothing is compiled")
        return
    layer, count, seen = found["layer"], found["count"], found["seen"]
    cores, chosen = cpus(), "NUMBA_NUM_THREADS"
    if seen < count:
        limits = f" ({', '.join(blamed)})" if blamed else ""
        yield Item("threads", WRONG, f"{seen} of {count} threads take part in a parallel loop{limits}", fix)
    elif count != cores:
        what = "so cores stay idle" if count < cores else "so threads wait for one another"
        by_whom, change = (
            (f", by {chosen}", unset(chosen)) if chosen in os.environ else ("", export(chosen, str(cores)))
        )
        yield Item("threads", NOTE, f"{count} take part in a parallel loop{by_whom}; for {cores} cores, {what}", change)
    else:
        yield Item("threads", OK, f"{count} take part in a parallel loop, one for each usable core")
    if layer == "workqueue":
        found = "workqueue: runs one parallel loop at a time; those of other Python threads get one thread meanwhile"
        yield Item("threading layer", NOTE, found, fix or _better_layer())
    else:
        yield Item("threading layer", OK, layer)


def _better_layer() -> str | None:
    """What brings OpenMP: Numba's layer of that name links to GCC's library."""
    return "sudo apt install libgomp1" if sys.platform == "linux" and shutil.which("apt") else None


def who_takes_part(out: Vector) -> None:
    """Each element gets the number of the thread that wrote it."""
    for i in prange(out.size):
        out[i] = get_thread_id()


def start_threads() -> dict[str, Any]:
    """Run a parallel loop, and say which threads took part; for a fresh process."""
    kernel = compiled(who_takes_part, parallel=True)
    if not is_compiled(kernel):
        return {"compiled": False}
    count, seen = thread_count(), set[int]()
    until = time.monotonic() + 2  # a layer that hands out work on demand may need some turns until all had a share
    while len(seen) < count and time.monotonic() < until:
        out = np.full(100_000, -1, np.int64)
        kernel(out)
        seen |= set(out.tolist())
    return {"compiled": True, "layer": numba.threading_layer(), "count": count, "seen": len(seen)}


def examine_load() -> Iterator[Item]:
    """Whether something else uses the cores just now."""
    with disturbance.Watch() as watch:
        time.sleep(2 * disturbance.SHORTEST)
    yield Item("load", NOTE if watch.reasons else OK, disturbance.sentence(watch.reasons) or "the cores are free")


GPUS = Path("/sys/bus/pci/devices")

NVIDIA = "0x10de"
"""NVIDIA's number among the makers of PCI cards."""


def examine_gpu() -> Iterator[Item]:
    """CUDA takes three things: a package, a driver, and a GPU."""
    found = ask(ask_driver, seconds=SECONDS)
    release = found["version"] or 0  # 12040 is CUDA 12.4
    version = installed("numba-cuda")
    if version:
        yield Item("CUDA package", OK, f"numba-cuda {version}")
    else:
        package = "numba-cuda[cu12]" if 0 < release < 13000 else "numba-cuda[cu13]"
        yield Item("CUDA package", NOTE, "numba-cuda (kernels on an NVIDIA GPU) is missing", pip_install(package))
    gpu = bool(found["devices"]) or _has_gpu()
    if found["library"] is None:
        what = "no driver (libcuda)" + ("; it comes with a GPU, and none was found" if not gpu else "")
        yield Item("CUDA driver", NOTE, what, _get_driver() if gpu else None)
    elif found["fault"] and gpu:
        yield Item("CUDA driver", WRONG, f"{found['library']} does not start: error {found['fault']}", _get_driver())
    else:
        yield Item("CUDA driver", OK, f"for CUDA {release // 1000}.{release % 1000 // 10}")
    if found["devices"]:
        yield Item("CUDA device", OK, ", ".join(found["devices"]))
    elif gpu:
        yield Item("CUDA device", NOTE, "there is an NVIDIA gpu, but without its driver it cannot be used")
    elif os.environ.get("CUDA_VISIBLE_DEVICES") is not None and found["library"]:
        hidden = f"CUDA_VISIBLE_DEVICES is {os.environ['CUDA_VISIBLE_DEVICES']!r}, and no device is left"
        yield Item("CUDA device", NOTE, hidden, unset("CUDA_VISIBLE_DEVICES"))
    else:
        yield Item("CUDA device", NOTE, "no NVIDIA gpu was found; kernels run on the processor")


def _has_gpu() -> bool:
    """An NVIDIA display card or accelerator (PCI class 03) on the bus; Linux says so without a driver."""
    for device in GPUS.glob("*"):
        try:
            if (device / "vendor").read_text().strip() == NVIDIA and (device / "class").read_text().startswith("0x03"):
                return True
        except OSError:
            continue
    return False


def _get_driver() -> str | None:
    for program, command in (
        ("ubuntu-drivers", "sudo ubuntu-drivers install"), ("apt", "sudo apt install nvidia-driver"),
        ("pacman", "sudo pacman -S nvidia"),
    ):  # fmt: skip
        if shutil.which(program):
            return command
    return None


def ask_driver() -> dict[str, Any]:
    """What CUDA's driver says: its library, the CUDA that it is made for, a fault, its devices; for a fresh process."""
    about: dict[str, Any] = {"library": None, "version": None, "fault": None, "devices": []}
    name = {"win32": "nvcuda.dll"}.get(sys.platform, "libcuda.so.1")
    try:
        cuda = ctypes.CDLL(name)
    except OSError:
        return about
    version, count = ctypes.c_int(), ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    about |= {"library": name, "version": version.value}
    about["fault"] = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) or None
    for index in range(count.value):
        text, major, minor = ctypes.create_string_buffer(100), ctypes.c_int(), ctypes.c_int()
        cuda.cuDeviceGetName(text, len(text), index)
        cuda.cuDeviceGetAttribute(ctypes.byref(major), 75, index)  # of the compute capability
        cuda.cuDeviceGetAttribute(ctypes.byref(minor), 76, index)
        about["devices"].append(f"{text.value.decode()} (compute capability {major.value}.{minor.value})")
    return about
