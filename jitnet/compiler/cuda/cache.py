"""The cache of GPU kernels, in the same folder as that of CPU kernels (`cache.py` explains why jitnet has its own).

The name of a file is a hash of everything that determines the machine code: all sources, versions, the launch, the
GPU's compute capability, Numba's settings. Loading and saving depend on the internals of Numba's packages; if an update
changes these, every process compiles its kernels, as if there were no cache.
"""

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

from numba.cuda import types, typing
from numba.cuda.codegen import CUDACodeLibrary
from numba.cuda.core.caching import _Cache
from numba.cuda.core.sigutils import normalize_signature
from numba.cuda.cudadrv.driver import ObjectCode
from numba.cuda.dispatcher import _Kernel

from ..cache import hash_of_sources, kernels_folder, settings
from ..cache_folder import is_cached, packed, read_cached, unpacked, write_cached
from ..fingerprint import HASHED
from .device import cuda

PACKAGES = (
    "numba-cuda", "cuda-bindings", "cuda-core", "nvidia-nvvm", "nvidia-nvjitlink",  # of CUDA 13
    "nvidia-cuda-nvcc-cu12", "nvidia-nvjitlink-cu12",
)  # fmt: skip
"""The packages that compile, assemble and serialize kernels."""


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


SOURCES = hash_of_sources([folder / "cuda" for folder in HASHED], [_version(package) for package in PACKAGES])


class GpuCache(_Cache):
    """The cache of one launch, with the interface that Numba expects. `launch` is its key: body, threads and bounds."""

    def __init__(self, launch: tuple[Any, ...]) -> None:
        self._launch = launch

    @property
    def cache_path(self) -> str:
        return str(kernels_folder())

    def enable(self) -> None:
        """It is always enabled."""

    def disable(self) -> None:
        """It cannot be disabled."""

    def flush(self) -> None:
        """Old files are removed with their folder."""

    def holds(self, signature: Any) -> bool:
        """True if the file of this signature exists."""
        return is_cached(self._path(signature))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        content = unpacked(read_cached(self._path(sig)))
        if content is None:
            return None
        target_context.refresh()
        about, (cubin,) = content
        capability, arguments = tuple(about["capability"]), normalize_signature(sig)[0]
        try:
            library = about["library"] | {"cubin_cache": {capability: ObjectCode.from_cubin(cubin)}}
            kernel = _Kernel._rebuild(
                **about["kernel"], signature=typing.signature(types.none, *arguments), call_helper=None,
                codelibrary=CUDACodeLibrary._rebuild(**library),
            )  # fmt: skip
            kernel.bind()  # load it onto the GPU now: that is not possible while a graph is captured
        except Exception:  # with another version of Numba anything can fail; the kernel is then compiled
            return None
        return kernel

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            kernel = data._reduce_states()
            library = kernel.pop("codelibrary")._reduce_states()
            ((capability, cubin),) = library.pop("cubin_cache").items()
            del kernel["signature"], kernel["call_helper"]  # known from the call; used only by debug code
            library |= {"llvm_strs": [], "ptx_cache": {}, "linkerinfo_cache": {}}  # its sources
            payload = packed({"kernel": kernel, "library": library, "capability": capability}, cubin.code)
        except Exception:  # as above
            return
        write_cached(self._path(sig), payload)

    def _path(self, signature: Any) -> Path:
        capability = cuda.get_current_device().compute_capability
        arguments, _ = normalize_signature(signature)
        key = SOURCES, self._launch, [str(argument) for argument in arguments], tuple(capability), settings()
        digest = hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
        return kernels_folder() / f"gpu-{self._launch[1].rpartition('.')[2]}-{digest}.kernel"
