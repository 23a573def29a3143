"""What surrounds the kernels: settings of the environment that hurt, and the folder that keeps what is compiled."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ...compiler.cache import SOURCES, kernels_folder
from ...compiler.cache_folder import cache_folder, fault_of, temporary_cache_folder, usual_cache_folder
from ...compiler.environment import FAULTS
from .items import NOTE, OK, WRONG, Item, export, quoted, unset

ENOUGH = 100 << 20
"""Bytes that should be free for compiled kernels, which take some 40 KB each."""


def _is_on(value: str) -> bool:
    return value.strip() not in ("", "0")


BLAS_THREADS = "holds NumPy's BLAS to so many threads; the kernels go by NUMBA_NUM_THREADS"

SETTINGS: dict[str, tuple[str, Callable[[str], bool], str]] = {
    "NUMBA_DISABLE_JIT": (WRONG, _is_on, "loops are interpreted, not compiled: hundreds of times slower"),
    "NUMBA_OPT": (WRONG, lambda value: value.strip() in ("0", "1", "2"), "LLVM optimises less than it could (3)"),
    "NUMBA_LOOP_VECTORIZE": (WRONG, lambda value: not _is_on(value), "loops do not use the vector unit"),
    "NUMBA_ENABLE_CUDASIM": (WRONG, _is_on, "GPU code is simulated by the interpreter: thousands of times slower"),
    "NUMBA_DISABLE_CUDA": (NOTE, _is_on, "Numba does not look for a GPU"),
    "NUMBA_BOUNDSCHECK": (NOTE, _is_on, "every index is checked, which costs time"),
    "NUMBA_CPU_NAME": (NOTE, bool, "Numba compiles for that processor, and not for this one"),
    "NUMBA_CPU_FEATURES": (NOTE, bool, "Numba compiles for these features, and not for those of this processor"),
    "OMP_PROC_BIND": (NOTE, lambda value: value.lower() not in ("", "false"), "OpenMP ties each thread to a core"),
    "OMP_WAIT_POLICY": (NOTE, lambda value: value.lower() == "active", "idle threads keep their cores busy"),
    "OPENBLAS_CORETYPE": (NOTE, bool, "NumPy's BLAS takes the kernels of that processor, not of this one"),
    "OMP_NUM_THREADS": (NOTE, bool, BLAS_THREADS),
    "OPENBLAS_NUM_THREADS": (NOTE, bool, BLAS_THREADS),
    "MKL_NUM_THREADS": (NOTE, bool, BLAS_THREADS),
}
"""Variable -> what it is where it hurts, when it does, and how."""

NARROWING = (
    "NUMBA_DISABLE_JIT", "NUMBA_OPT", "NUMBA_LOOP_VECTORIZE", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES",
    "NUMBA_ENABLE_AVX",
)  # fmt: skip
"""Settings that can keep loops from using the whole vector unit."""

OF_THREADS = (
    "NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY", "OMP_THREAD_LIMIT", "OMP_DYNAMIC",
)  # fmt: skip
"""Settings that can keep threads from being there; what comes of them is seen when a loop runs."""

NUMBERS = (
    "NUMBA_DISABLE_JIT",
    "NUMBA_LOOP_VECTORIZE",
    "NUMBA_ENABLE_CUDASIM",
    "NUMBA_BOUNDSCHECK",
)


def that_are_set(names: Iterable[str]) -> list[str]:
    """Those of these variables that the environment has."""
    return [name for name in names if name in os.environ]


def examine_settings() -> Iterator[Item]:
    """Variables of the environment that hurt."""
    items = [Item(name, WRONG, what, unset(name)) for name, what in FAULTS.items()]
    for name, (state, hurts, how) in SETTINGS.items():
        value = os.environ.get(name)
        if value is not None and hurts(value) and not (name in NUMBERS and not _is_whole(value)):
            items.append(Item(name, state, f"is {value}: {how}", unset(name)))
    for name in that_are_set(NUMBERS):
        if not _is_whole(os.environ[name]):
            items.append(Item(name, NOTE, f"is {os.environ[name]!r}, no whole number, so it is ignored", unset(name)))
    for name in sorted(os.environ):
        if re.fullmatch(r"NUMBA_(DUMP|DEBUG)\w*", name) and _is_on(os.environ[name]):
            items.append(Item(name, NOTE, f"is {os.environ[name]}: Numba prints among the results", unset(name)))
    if Path(".numba_config.yaml").exists():
        found = "Numba takes settings from this file, which lies in the working folder"
        items.append(Item(".numba_config.yaml", NOTE, found, "mv .numba_config.yaml numba_config_off.yaml"))
    yield from items or [Item("settings", OK, "no variable of the environment is in the way")]


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"\s*[+-]?\d+\s*", text) is not None


def examine_cache() -> Iterator[Item]:
    """The folder of compiled kernels: can it be written, what is in it, and is there room?"""
    folder, chosen = cache_folder(), os.environ.get("JITNET_CACHE_DIR")
    refused = fault_of(kernels_folder())
    if refused:
        found, fix = refused
        command = fix if fix.startswith("chmod") else _another_folder()
        yield Item("cache folder", WRONG, f"{found}, so every process compiles again", command)
        return
    existing = _existing(kernels_folder())
    fault = _fault_of_folder(existing)
    if fault:
        found = f"{folder} cannot be written ({fault}), so every process compiles again"
        yield Item("cache folder", WRONG, found, _another_folder())
        return
    if chosen and not folder.is_absolute():
        found = f"{folder}: a relative path, so every working folder has a cache of its own"
        yield Item("cache folder", NOTE, found, export("JITNET_CACHE_DIR", folder.absolute()))
    else:
        by_whom = ", by JITNET_CACHE_DIR" if chosen else ""
        yield Item("cache folder", OK, f"{folder}{by_whom}" + ("" if folder.exists() else ", not made yet"))
    free = shutil.disk_usage(existing).free
    room = f"{_size(free)} free"
    if free < ENOUGH:
        yield Item("room for the cache", WRONG, f"{room}, but kernels need up to {_size(ENOUGH)}", _another_folder())
    else:
        yield Item("room for the cache", OK, room)
    yield from _kept(folder)


def _existing(folder: Path) -> Path:
    """The folder, or the one above it in which it would be made."""
    folder = folder.absolute()
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder


def _fault_of_folder(folder: Path) -> str | None:
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _another_folder() -> str | None:
    """The command that leads to a folder that can be written and has room: the usual one, or one that is temporary."""
    temporary = temporary_cache_folder()
    if "JITNET_CACHE_DIR" in os.environ and _is_good(usual_cache_folder()):
        return unset("JITNET_CACHE_DIR")
    return export("JITNET_CACHE_DIR", temporary) if _is_good(temporary) else None


def _is_good(folder: Path) -> bool:
    if fault_of(folder / kernels_folder().name):
        return False
    existing = _existing(folder)
    return _fault_of_folder(existing) is None and shutil.disk_usage(existing).free >= ENOUGH


def _kept(folder: Path) -> Iterator[Item]:
    """Kernels of this version, and what other versions and ended processes left behind."""
    files = [(file, file.stat().st_size) for file in folder.glob("kernels-*/*") if file.is_file()]
    current = [size for file, size in files if file.parent.name == f"kernels-{SOURCES}" and file.suffix == ".kernel"]
    stale = [(file, size) for file, size in files if file.parent.name != f"kernels-{SOURCES}"]
    yield Item("kept kernels", OK, f"{len(current)} files, {_size(sum(current))}, of this version")
    if stale:
        folders = sorted({file.parent for file, _ in stale})
        found = f"{len(stale)} files, {_size(sum(size for _, size in stale))}, of {len(folders)} other versions"
        fix = f"find {quoted(folder)} -maxdepth 1 -name 'kernels-*' ! -name kernels-{SOURCES} -exec rm -r {{}} +"
        if os.name == "nt":
            fix = " ".join(["rmdir /s /q", *map(quoted, folders)])
        yield Item("stale kernels", NOTE, f"{found}; they are swept out after a month without use", fix)


def _size(count: int) -> str:
    for unit, factor in (("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
