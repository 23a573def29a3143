"""How a loop is compiled and cached: the one place that says it.

Three facts about Numba shape this file.

*Options are inherited.* A kernel that leaves `fastmath` or `error_model` unset takes them from whichever
caller compiles it first, so every kernel here gets them spelled out.

*Numba's own cache forgets the options.* Its key holds the signature, the CPU and the bytecode, but neither the
decorator's options nor the functions that a kernel calls in other files: two compilations of one body, one
serial and one parallel, would load each other's machine code, and an edited helper would go unnoticed.
`KernelCache` names each file by a hash of everything that decides the machine code, so a stale or foreign
file simply has another name. There is no index that two processes could clobber: a file is written whole
under a temporary name and then renamed.

*A relaxed rule is a promise.* `contract` lets a*b + c become one fused multiply-add, and that is all that is
relaxed here: every sum is added up in the order in which it is written, on every machine and with any number of
threads. `reassoc` would let a sum be split over the lanes of a vector, but it also turned (c − z) + log s, which is
exact for z = c = 1e4, into (c + log s) − z, which is not. `nnan` and `ninf` would promise that there are no NaNs
and infinities, and then `isnan` answers False.
"""

import functools
import hashlib
import os
import pickle
import shutil
import sys
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import config
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature
from numba.extending import register_jitable

Kernel = Callable[..., None]

OPTIONS: dict[str, Any] = {
    "fastmath": {"contract"},
    "error_model": "numpy",  # x/0 is inf, as in NumPy; without a check the loop can be vectorised
    "nogil": True,
}


def compiled(body: Kernel, parallel: bool = False) -> Kernel:
    """Compile a loop: once per signature, once per machine.

    Nothing is compiled here yet; that happens at the first call, or in `compile_for`.
    With NUMBA_DISABLE_JIT=1 the body itself comes back and is interpreted.
    """
    kernel = numba.njit(parallel=parallel, **OPTIONS)(body)
    if kernel is not body:
        kernel._cache = KernelCache(body, parallel)
    return kernel  # type: ignore[no-any-return]


def part_of_kernels(helper: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function callable from compiled kernels; from interpreted ones it is called as it stands."""
    return register_jitable(**OPTIONS)(helper)  # type: ignore[no-any-return]


def is_compiled(kernel: Kernel) -> bool:
    """True for a compiled rung, False for one that the interpreter runs."""
    return hasattr(kernel, "py_func")


def signature_for(pattern: str, dtype: np.dtype[Any]) -> str:
    """`signature_for("T[:,::1], T", float32)` is `"(float32[:,::1], float32)"`."""
    return "(" + pattern.replace("T", dtype.name) + ",)"


def needs_compiling(kernel: Kernel, signature: str) -> bool:
    """True if `compile_for` would have to run the compiler and not just load a file."""
    if not is_compiled(kernel):
        return False
    arguments = _arguments(signature)
    dispatcher: Any = kernel
    return arguments not in dispatcher.overloads and not dispatcher._cache.holds(
        arguments, dispatcher.targetctx.codegen()
    )


def compile_for(kernel: Kernel, signature: str) -> None:
    """Compile for one signature, or load what an earlier process compiled."""
    if is_compiled(kernel):
        kernel.compile(signature)  # type: ignore[attr-defined]


def cache_folder() -> Path:
    """Where jitnet keeps what can be made again: $JITNET_CACHE_DIR, else the user's cache folder."""
    chosen = os.environ.get("JITNET_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "jitnet"


@functools.cache
def _hash_of_file(path: str) -> str:
    """Of the file that a kernel is written in, which may be somebody else's; of a notebook cell, nothing."""
    return hashlib.blake2b(Path(path).read_bytes()).hexdigest() if os.path.exists(path) else ""


@functools.cache
def _hash_of_sources() -> str:
    digest = hashlib.blake2b(digest_size=16)
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    versions = sys.version_info[:3], numba.__version__, llvmlite.__version__, np.__version__
    digest.update(repr(versions).encode())
    return digest.hexdigest()


class KernelCache(_Cache):  # type: ignore[misc]
    """One file per kernel, options, signature and machine; see the top of this file."""

    def __init__(self, body: Kernel, parallel: bool) -> None:
        self.body = body
        self.parallel = parallel
        self.enabled = True

    @property
    def cache_path(self) -> str:
        return str(cache_folder() / f"kernels-{_hash_of_sources()}")

    def enable(self) -> None:
        self.enabled = True

    def disable(self) -> None:
        self.enabled = False

    def flush(self) -> None:
        for file in Path(self.cache_path).glob(f"{self.body.__name__}-*.kernel"):
            file.unlink(missing_ok=True)

    def holds(self, arguments: tuple[Any, ...], codegen: Any) -> bool:
        return self.enabled and self._file(arguments, codegen).exists()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        if not self.enabled:
            return None
        try:
            content = self._file(_arguments(sig), target_context.codegen()).read_bytes()
        except OSError:
            return None
        checksum, payload = content[:32], content[32:]
        if hashlib.blake2b(payload, digest_size=32).digest() != checksum:
            return None  # cut short or damaged: compile again
        return CompileResult._rebuild(target_context, *pickle.loads(payload))

    def save_overload(self, sig: Any, data: Any) -> None:
        if not self.enabled:
            return
        payload = dumps(data._reduce())
        file = self._file(_arguments(sig), data.codegen)
        temporary = file.with_suffix(f".{uuid.uuid4().hex}.tmp")
        try:
            if not file.parent.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                _forget_old_folders(file.parent)
            temporary.write_bytes(hashlib.blake2b(payload, digest_size=32).digest() + payload)
            os.replace(temporary, file)
        except OSError as error:
            _warn_once(
                f"jitnet cannot keep compiled kernels in {file.parent} ({error.strerror}), so every "
                "process compiles them again; set JITNET_CACHE_DIR to a folder that can be written"
            )

    def _file(self, arguments: tuple[Any, ...], codegen: Any) -> Path:
        code = self.body.__code__
        key = (
            self.body.__module__, self.body.__qualname__, code.co_code, _hash_of_file(code.co_filename),
            tuple(str(argument) for argument in arguments), codegen.magic_tuple(),
            self.parallel, sorted((name, repr(_in_order(value))) for name, value in OPTIONS.items()),
            config.OPT, config.BOUNDSCHECK, config.DEBUGINFO_DEFAULT,
        )  # fmt: skip
        digest = hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
        return Path(self.cache_path) / f"{self.body.__name__}-{digest}.kernel"


def _arguments(signature: Any) -> tuple[Any, ...]:
    arguments, _ = normalize_signature(signature)
    return tuple(arguments)


def _in_order(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else value


def _forget_old_folders(current: Path, days: int = 30) -> None:
    """Sweep out what other versions of the kernels left here and nobody has added to for a month."""
    for folder in current.parent.glob("kernels-*"):
        if folder != current and time.time() - folder.stat().st_mtime > days * 86400:
            shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _warn_once(message: str) -> None:
    warnings.warn(message, stacklevel=2)
