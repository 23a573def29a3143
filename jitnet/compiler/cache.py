"""Where machine code is kept between processes, so that compiling happens once per machine.

Numba's own cache would do, but for its key: it holds the signature, the CPU and the bytecode, and neither the
decorator's options nor the functions that a kernel calls in other files. Two compilations of one body, one serial and
one parallel, would load each other's machine code, and an edited helper would go unnoticed. Here each file is named by
a hash of what decides the machine code: all sources of `compiler/` and `kernels/`, the file that the kernel is written
in, options, signature, CPU, versions, Numba's settings. A stale or foreign file simply has another name. There is no
index that two processes could clobber: a file is written whole under a temporary name and then renamed.
`cache_folder.py` says whose files are trusted.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import types
from numba.core.caching import _Cache
from numba.core.compiler import compile_result
from numba.core.environment import _rebuild_env
from numba.core.funcdesc import PythonFunctionDescriptor
from numba.core.sigutils import normalize_signature
from numba.core.typing import signature

from . import linking
from .cache_folder import cache_folder, is_kept, keep, kept, packed, unpacked
from .fingerprint import described, is_lasting
from .parallel_for import start_layer


def hash_of_sources(folders: list[Path], versions: object) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for source in sorted(source for folder in folders for source in folder.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    digest.update(repr(versions).encode())
    return digest.hexdigest()


COMPILER = Path(__file__).parent
KERNELS = COMPILER.with_name("kernels")

SOURCES = hash_of_sources(
    [COMPILER, KERNELS], (sys.version_info[:3], numba.__version__, llvmlite.__version__, np.__version__)
)
"""Taken when the sources are imported: what is edited later is not what will be compiled."""


def kernels_folder() -> Path:
    """Where the machine code of these sources is kept."""
    return cache_folder() / f"kernels-{SOURCES}"


class KernelCache(_Cache):  # type: ignore[misc]
    """The cache of one kernel, in the form that Numba asks for.

    A body outside this package is told from others by the content of its own file; helpers that it calls in further
    files are not looked at. One that closes over functions is told by what they compute, too. One that has no file
    (typed at a prompt), or closes over objects that differ from process to process, is not kept.
    """

    def __init__(self, body: Callable[..., Any], options: dict[str, Any]) -> None:
        self.body = body
        self.options = {name: sorted(value) if isinstance(value, set) else value for name, value in options.items()}
        self.file = Path(body.__code__.co_filename)
        closure = described(body) if body.__closure__ else ""
        self.enabled = is_lasting(closure) and self.file.is_file()
        self.content = hashlib.blake2b(self.file.read_bytes() + closure.encode()).hexdigest() if self.enabled else ""

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
        return self.enabled and is_kept(self._path(signature, codegen))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        start_layer()  # before machine code is made or loaded: it defines symbols that are called there
        target_context.refresh()
        if not self.enabled:
            return None
        content = unpacked(kept(self._path(sig, target_context.codegen())))
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
            return  # objects of Python's, which no kernel needs: it writes numbers into arrays and returns nothing
        about = {
            "library": library, "unique_name": function.unique_name, "symbol": function.mangled_name,
            "environment": _name_of(environment), "environments": [_name_of(each) for each in environments],
            "links": linking.links_of(data),
        }  # fmt: skip
        keep(self._path(sig, data.codegen), packed(about, *code))

    def _put_together(self, sig: Any, target_context: Any, about: dict[str, Any], code: tuple[bytes, bytes]) -> Any:
        """What `CompileResult._rebuild` makes of a pickle: types are known from the call, and names are text."""
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
    """What Numba needs to make an environment again, which is where machine code finds objects of Python's."""
    return environment.globals["__name__"], environment.env_name


def settings() -> list[tuple[str, str]]:
    """Numba's settings from the environment; some of them change the machine code, and those below surely do not."""
    harmless = ("NUMBA_NUM_THREADS", "NUMBA_CACHE_DIR", "NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY")
    return sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_") and item[0] not in harmless)
