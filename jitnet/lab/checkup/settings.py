"""Environment variables that slow jitnet down, and the cache folder of compiled kernels."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ...checks import byte_count, count
from ...compiler.cache import kernels_folder
from ...compiler.cache_folder import cache_folder, objection_to, temporary_cache_folder, usual_cache_folder
from ...compiler.environment import REFUSED
from . import NOTE, OK, WRONG, Item, export, unset

ENOUGH = 100 << 20
"""Bytes that should be free for compiled kernels, which take some 40 KB each."""


def _is_on(value: str) -> bool:
    return re.fullmatch(r"\s*[+-]?\d*[1-9]\d*\s*", value) is not None


BLAS_THREADS = "limits the threads of NumPy's BLAS only; those of the kernels are NUMBA_NUM_THREADS"

SETTINGS: dict[str, tuple[str, Callable[[str], bool], str]] = {
    "NUMBA_DISABLE_JIT": (WRONG, _is_on, "loops are interpreted, not compiled: hundreds of times slower"),
    "NUMBA_OPT": (WRONG, lambda value: value.strip() in ("0", "1", "2"), "LLVM optimizes less than it could (3)"),
    "NUMBA_LOOP_VECTORIZE": (WRONG, lambda value: value.strip() == "0", "loops do not use the vector unit"),
    "NUMBA_ENABLE_CUDASIM": (WRONG, _is_on, "GPU code is simulated by the interpreter: thousands of times slower"),
    "NUMBA_DISABLE_CUDA": (NOTE, _is_on, "Numba does not look for a GPU"),
    "NUMBA_BOUNDSCHECK": (NOTE, _is_on, "every index is checked, which costs time"),
    "NUMBA_CPU_NAME": (NOTE, bool, "Numba compiles for that processor, and not for this one"),
    "NUMBA_CPU_FEATURES": (NOTE, bool, "Numba compiles for these features, and not for those of this processor"),
    "OMP_PROC_BIND": (NOTE, lambda value: value.lower() not in ("", "false"), "OpenMP binds each thread to a core"),
    "OMP_WAIT_POLICY": (NOTE, lambda value: value.lower() == "active", "idle threads keep their cores busy"),
    "OPENBLAS_CORETYPE": (NOTE, bool, "NumPy's BLAS takes the kernels of that processor, not of this one"),
    "OMP_NUM_THREADS": (NOTE, bool, BLAS_THREADS),
    "OPENBLAS_NUM_THREADS": (NOTE, bool, BLAS_THREADS),
    "MKL_NUM_THREADS": (NOTE, bool, BLAS_THREADS),
}
"""Variable -> the state of its item, the values that do harm, and the harm."""

NARROWING = ("NUMBA_DISABLE_JIT", "NUMBA_OPT", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_ENABLE_AVX")
"""Settings that can narrow the vectors of kernels, or keep them from being compiled."""

OF_THREADS = ("NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY", "OMP_THREAD_LIMIT", "OMP_DYNAMIC")
"""Settings that can keep threads from starting; whether they do shows when a parallel loop runs."""


def fix_of(names: Iterable[str]) -> str | None:
    """The command that removes those of these variables that are set."""
    found = [name for name in names if name in os.environ]
    return unset(*found) if found else None


def examine_settings() -> Iterator[Item]:
    """Environment variables that do harm."""
    items = [Item(name, WRONG, what, unset(name)) for name, what in REFUSED.items()]
    for name, (state, does_harm, how) in SETTINGS.items():
        value = os.environ.get(name)
        if value is not None and does_harm(value):
            items.append(Item(name, state, f"is {value}: {how}", unset(name)))
    for name in sorted(os.environ):
        if re.fullmatch(r"NUMBA_(DUMP|DEBUG)\w*", name) and _is_on(os.environ[name]):
            items.append(Item(name, NOTE, f"is {os.environ[name]}: Numba prints among the results", unset(name)))
    if Path(".numba_config.yaml").exists():
        found = "Numba takes settings from this file in the working folder"
        items.append(Item(".numba_config.yaml", NOTE, found, "mv .numba_config.yaml numba_config_off.yaml"))
    yield from items or [Item("settings", OK, "no harmful environment variables")]


def examine_cache() -> Iterator[Item]:
    """The cache folder: can kernels be kept there, and is there room?"""
    folder, chosen = cache_folder(), os.environ.get("JITNET_CACHE_DIR")
    refused = objection_to(kernels_folder())
    existing = _existing(kernels_folder())
    if refused or (error := _not_writable(existing)):
        found, fix = refused or (f"{folder} cannot be written ({error})", "")
        command = fix if fix.startswith("chmod") else _another_folder()
        yield Item("cache folder", WRONG, f"{found}, so every process compiles again", command)
        return
    if chosen and not folder.is_absolute():
        found = f"{folder}: a relative path, so every working folder has its own cache"
        yield Item("cache folder", NOTE, found, export("JITNET_CACHE_DIR", folder.absolute()))
    else:
        sizes = [file.stat().st_size for file in kernels_folder().glob("*.kernel")]
        found = f"{folder}, with {count(len(sizes), 'kernel')}, {byte_count(sum(sizes))}"
        yield Item("cache folder", OK, found + (", by JITNET_CACHE_DIR" if chosen else ""))
    free = shutil.disk_usage(existing).free
    if free < ENOUGH:
        found = f"{byte_count(free)} free, but kernels need up to {byte_count(ENOUGH)}"
        yield Item("disk space for the cache", WRONG, found, _another_folder())
    else:
        yield Item("disk space for the cache", OK, f"{byte_count(free)} free")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder


def _not_writable(folder: Path) -> str | None:
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _another_folder() -> str | None:
    """The command that selects a folder that can be written and has room: the usual one, or a temporary one."""
    if "JITNET_CACHE_DIR" in os.environ and _is_good(usual_cache_folder()):
        return unset("JITNET_CACHE_DIR")
    temporary = temporary_cache_folder()
    return export("JITNET_CACHE_DIR", temporary) if _is_good(temporary) else None


def _is_good(folder: Path) -> bool:
    existing = _existing(folder)
    refused = objection_to(folder / kernels_folder().name) or _not_writable(existing)
    return not refused and shutil.disk_usage(existing).free >= ENOUGH
