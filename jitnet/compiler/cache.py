"""The cache of machine code on disk, so that kernels are compiled once per machine.

The key of Numba's own cache contains signature, CPU and bytecode, but neither the decorator's options nor the functions
that a kernel calls in other files. The serial and the parallel version of one body would load each other's machine
code, and an edited helper would go unnoticed. Here the name of each file is a hash of everything that determines the
machine code: all sources of `compiler/` and `kernels/`, the file that contains the kernel, options, signature, CPU and
its caches, versions, Numba's settings. A stale or foreign file therefore has another name. There is no index that two
processes could overwrite: a file is written under a temporary name and then renamed. `cache_folder.py` decides which
files are trusted.
"""

import functools
import hashlib
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import types
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import _Cache
from numba.core.compiler import compile_result
from numba.core.environment import _rebuild_env
from numba.core.funcdesc import PythonFunctionDescriptor
from numba.core.sigutils import normalize_signature
from numba.core.typing import signature

from . import linking
from .cache_folder import cache_folder, is_cached, packed, read_cached, unpacked, write_cached
from .cpu_caches import data_caches
from .fingerprint import FOLDERS, HASHED, described, is_reproducible
from .intrinsics import IS_AMD
from .parallel_for import start_layer

FunctionIdentity._unique_ids = iter(functools.partial(secrets.randbits, 64), None)
"""The numbers that Numba puts into the symbols of functions. Its own numbers are 1, 2, 3, ... in every process.

Two functions of one factory, compiled by two processes, could then have the same symbol. A third process that loads
both files would link both callers to one of the functions: <https://github.com/numba/numba/issues/10486>.
"""


def hash_of_sources(folders: list[Path], versions: object) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for source in sorted(source for folder in folders for source in folder.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    digest.update(repr(versions).encode())
    return digest.hexdigest()


VERSIONS = sys.version_info[:3], numba.__version__, llvmlite.__version__, np.__version__
SOURCES = hash_of_sources(HASHED, (VERSIONS, data_caches(), IS_AMD))
"""Computed at import, because later edits of the files are not what will be compiled. The sizes of blocks, constants in
the machine code, follow from the CPU's caches and vendor, which can differ between two machines that share a folder.
"""


def _hash_of_source(body: Callable[..., Any]) -> "hashlib.blake2b | None":
    """Begun with the file of a body, unless it is in `SOURCES`; None without a file."""
    name = body.__code__.co_filename
    if os.path.dirname(name) in FOLDERS:
        return hashlib.blake2b()
    file = Path(name)
    return hashlib.blake2b(file.read_bytes()) if file.is_file() else None


def kernels_folder() -> Path:
    """The folder for the machine code of these sources."""
    return cache_folder() / f"kernels-{SOURCES}"


class KernelCache(_Cache):  # type: ignore[misc]
    """The cache of one kernel, with the interface that Numba expects.

    The key of a body outside this package contains the content of its file, but not of other files with helpers that it
    calls. For a closure, it also contains what the functions in it compute. A body without a file (typed at a prompt),
    or with a closure over objects that differ from process to process, is not cached.
    """

    def __init__(self, body: Callable[..., Any], options: dict[str, Any]) -> None:
        self.body = body
        self.options = {name: sorted(value) if isinstance(value, set) else value for name, value in options.items()}
        self.source = _hash_of_source(body)  # now: see SOURCES
        self.is_wanted = True

    @functools.cached_property
    def content(self) -> str:
        """A hash of the file and of the closure, or "". Computed on first use: it can take a millisecond."""
        closure = described(self.body) if self.body.__closure__ else ""
        if self.source is None or not is_reproducible(closure):
            return ""
        whole = self.source.copy()
        whole.update(closure.encode())
        return whole.hexdigest()

    @property
    def enabled(self) -> bool:
        return self.is_wanted and self.content != ""

    @property
    def cache_path(self) -> str:
        return str(kernels_folder())

    def enable(self) -> None:
        self.is_wanted = True

    def disable(self) -> None:
        self.is_wanted = False

    def flush(self) -> None:
        for file in Path(self.cache_path).glob(f"{self.body.__name__}-*.kernel"):
            file.unlink(missing_ok=True)

    def holds(self, signature: Any, codegen: Any) -> bool:
        """True if the file of this signature exists."""
        return self.enabled and is_cached(self._path(signature, codegen))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        start_layer()  # first: it defines symbols that machine code calls
        target_context.refresh()
        if not self.enabled:
            return None
        content = unpacked(read_cached(self._path(sig, target_context.codegen())))
        if content is None:
            return None
        about, (object_code, bitcode) = content
        linking.link(about["links"])
        return self._put_together(sig, target_context, about, (object_code, bitcode))

    def save_overload(self, sig: Any, data: Any) -> None:
        if not self.enabled:
            return
        (library, _, code), function, environment, result, *_, environments = data._reduce()
        if result.return_type != types.none or any(each.consts for each in [environment, *environments]):
            return  # code that uses Python objects, which kernels never do
        about = {
            "library": library, "unique_name": function.unique_name, "symbol": function.mangled_name,
            "environment": _name_of(environment), "environments": [_name_of(each) for each in environments],
            "links": linking.links_of(data),
        }  # fmt: skip
        write_cached(self._path(sig, data.codegen), packed(about, *code))

    def _put_together(self, sig: Any, target_context: Any, about: dict[str, Any], code: tuple[bytes, bytes]) -> Any:
        """Like `CompileResult._rebuild`, but without a pickle: the call has the types, and names are text."""
        arguments, _ = normalize_signature(sig)
        library = target_context.codegen().unserialize_library((about["library"], "object", code))
        environment, *environments = [
            _rebuild_env(module, [], name) for module, name in [about["environment"], *about["environments"]]
        ]
        function = PythonFunctionDescriptor(
            native=True, modname=self.body.__module__, qualname=self.body.__qualname__,
            unique_name=about["unique_name"], doc="", typemap=None, restype=types.none, calltypes=None,
            args=self.body.__code__.co_varnames[: len(arguments)], kws=(), mangler=lambda *_, **__: about["symbol"],
            argtypes=arguments, env_name=environment.env_name,
        )  # fmt: skip
        result = compile_result(
            target_context=target_context, typing_context=target_context.typing_context, library=library,
            environment=environment, entry_point=target_context.get_executable(library, function, environment),
            fndesc=function, type_annotation="", signature=signature(types.none, *arguments), objectmode=False,
            lifted=(), reload_init=[], referenced_envs=environments,
        )  # fmt: skip
        for each in environments:
            library.codegen.set_env(each.env_name, each)
        return result

    def _path(self, signature: Any, codegen: Any) -> Path:
        code = self.body.__code__
        arguments, _ = normalize_signature(signature)
        key = (
            self.body.__module__, self.body.__qualname__, code.co_firstlineno, code.co_code, self.content,
            sorted(self.options.items()), [str(argument) for argument in arguments], codegen.magic_tuple(), settings(),
        )  # fmt: skip
        digest = hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
        return Path(self.cache_path) / f"{self.body.__name__}-{digest}.kernel"


def _name_of(environment: Any) -> tuple[str, str]:
    """What Numba needs to recreate an environment, where machine code looks up Python objects."""
    return environment.globals["__name__"], environment.env_name


def settings() -> list[tuple[str, str]]:
    """Numba's environment variables, except those that certainly do not change the machine code."""
    harmless = ("NUMBA_NUM_THREADS", "NUMBA_CACHE_DIR", "NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY")
    return sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_") and item[0] not in harmless)
