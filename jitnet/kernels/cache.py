"""Where machine code is kept between processes, so that compiling happens once per machine.

Numba's own cache would do, but for its key: it holds the signature, the CPU and the bytecode, and neither the
decorator's options nor the functions that a kernel calls in other files. Two compilations of one body, one serial and
one parallel, would load each other's machine code, and an edited helper would go unnoticed. Here each file is named by
a hash of what decides the machine code: all sources of this folder, the file that the kernel is written in, options,
signature, CPU, versions, Numba's settings. A stale or foreign file simply has another name. There is no index that two
processes could clobber: a file is written whole under a temporary name and then renamed.
"""

import functools
import hashlib
import os
import pickle
import re
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature
from numba.np.ufunc.parallel import _launch_threads


def cache_folder() -> Path:
    """Where jitnet keeps what can be made again: $JITNET_CACHE_DIR, else the usual folder."""
    chosen = os.environ.get("JITNET_CACHE_DIR")
    return _at_home(chosen) if chosen else usual_cache_folder()


def usual_cache_folder() -> Path:
    """Where jitnet keeps it if nobody chose another folder: in the user's cache folder."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _at_home(f"{base}/jitnet")


def _at_home(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # nobody's home, as in some containers
        return Path(tempfile.gettempdir()) / "jitnet"


def hash_of_sources(folder: Path, versions: object) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for source in sorted(folder.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    digest.update(repr(versions).encode())
    return digest.hexdigest()


SOURCES = hash_of_sources(
    Path(__file__).parent, (sys.version_info[:3], numba.__version__, llvmlite.__version__, np.__version__)
)
"""Taken when the sources are imported: what is edited later is not what will be compiled."""


def kernels_folder() -> Path:
    """Where the machine code of these sources is kept."""
    return cache_folder() / f"kernels-{SOURCES}"


def kept(path: Path) -> bytes | None:
    """What `keep` wrote there; None if there is nothing, or it was cut short or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, payload = content[:32], content[32:]
    return payload if hashlib.blake2b(payload, digest_size=32).digest() == checksum else None


def keep(path: Path, payload: bytes) -> None:
    """Write a file whole, or not at all; that it cannot be written is told once."""
    temporary = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep_out_old_folders(path.parent)
        temporary.write_bytes(hashlib.blake2b(payload, digest_size=32).digest() + payload)
        os.replace(temporary, path)
    except OSError as error:
        _warn_once(
            f"cannot keep compiled kernels in {path.parent} ({error.strerror}), so every "
            "process compiles them again; set JITNET_CACHE_DIR to a folder that can be written"
        )


class KernelCache(_Cache):  # type: ignore[misc]
    """The cache of one kernel, in the form that Numba asks for.

    A body outside this package is told from others by the content of its own file; helpers that it calls in further
    files are not looked at. One that has no file (typed at a prompt) or a closure is not kept.
    """

    def __init__(self, body: Callable[..., Any], options: dict[str, Any]) -> None:
        self.body = body
        self.options = {name: sorted(value) if isinstance(value, set) else value for name, value in options.items()}
        self.file = Path(body.__code__.co_filename)
        self.enabled = body.__closure__ is None and self.file.is_file()
        self.content = hashlib.blake2b(self.file.read_bytes()).hexdigest() if self.enabled else ""

    @property
    def cache_path(self) -> str:
        return str(kernels_folder())

    def enable(self) -> None:
        self.enabled = True

    def disable(self) -> None:
        self.enabled = False

    def flush(self) -> None:
        for file in Path(self.cache_path).glob(f"{self.body.__name__}-*.kernel"):
            file.unlink(missing_ok=True)

    def holds(self, signature: Any, codegen: Any) -> bool:
        """True if there is a file to load."""
        return self.enabled and self._path(signature, codegen).exists()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        if not self.enabled:
            return None
        payload = kept(self._path(sig, target_context.codegen()))
        if payload is None:
            return None
        from . import linking  # which needs this module in turn

        _launch_threads()  # defines the symbol that `thread_count` calls
        links, data = pickle.loads(payload)
        linking.link(links)
        return CompileResult._rebuild(target_context, *data)

    def save_overload(self, sig: Any, data: Any) -> None:
        if not self.enabled:
            return
        from . import linking

        keep(self._path(sig, data.codegen), dumps((linking.links_of(data), data._reduce())))

    def _path(self, signature: Any, codegen: Any) -> Path:
        code = self.body.__code__
        arguments, _ = normalize_signature(signature)
        key = (
            self.body.__module__, self.body.__qualname__, code.co_firstlineno, code.co_code, self.content,
            sorted(self.options.items()), [str(argument) for argument in arguments], codegen.magic_tuple(), settings(),
        )  # fmt: skip
        digest = hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
        return Path(self.cache_path) / f"{self.body.__name__}-{digest}.kernel"


def settings() -> list[tuple[str, str]]:
    """Numba's settings from the environment; some of them change the machine code, and those below surely do not."""
    harmless = ("NUMBA_NUM_THREADS", "NUMBA_CACHE_DIR", "NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY")
    return sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_") and item[0] not in harmless)


def _sweep_out_old_folders(current: Path, days: int = 30) -> None:
    """Remove what other versions of the kernels left beside `current` and nobody has added to for a month."""
    for folder in current.parent.iterdir():
        ours = re.fullmatch(r"kernels-[0-9a-f]{32}", folder.name) and folder != current
        if ours and time.time() - folder.stat().st_mtime > days * 86400:
            for file in [*folder.glob("*.kernel"), *folder.glob("*.tmp")]:
                file.unlink(missing_ok=True)
            if not any(folder.iterdir()):
                folder.rmdir()


@functools.cache
def _warn_once(message: str) -> None:
    warnings.warn(message, stacklevel=2)
