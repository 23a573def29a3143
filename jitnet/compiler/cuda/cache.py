"""Kernels compiled for the GPU, kept between processes beside those of the CPU (`cache.py`, which says why).

What decides the machine code is in the name of the file: all sources, versions, the launch, the GPU's capability,
Numba's settings. Only Numba's own packages know how a compiled kernel is taken apart and put together again; should
they change that, kernels are compiled anew in each process, as if nothing had been kept.
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

from ..cache import COMPILER, KERNELS, hash_of_sources, kernels_folder, settings
from ..cache_folder import is_kept, keep, kept, packed, unpacked
from .device import cuda

PACKAGES = (
    "numba-cuda", "cuda-bindings", "cuda-core", "nvidia-nvvm", "nvidia-nvjitlink",  # of CUDA 13
    "nvidia-cuda-nvcc-cu12", "nvidia-nvjitlink-cu12",
)  # fmt: skip
"""What compiles, assembles and takes apart."""


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


SOURCES = hash_of_sources([COMPILER / "cuda", KERNELS / "cuda"], [_version(package) for package in PACKAGES])


class GpuCache(_Cache):
    """The cache of one launch, in the form that Numba asks for. `launch` names it: body, threads and bounds."""

    def __init__(self, launch: tuple[Any, ...]) -> None:
        self._launch = launch

    @property
    def cache_path(self) -> str:
        return str(kernels_folder())

    def enable(self) -> None:
        """It always is."""

    def disable(self) -> None:
        """It never is."""

    def flush(self) -> None:
        """Old files go with their folder."""

    def holds(self, signature: Any) -> bool:
        """True if there is a file to load."""
        return is_kept(self._path(signature))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        content = unpacked(kept(self._path(sig)))
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
            kernel.bind()  # to the GPU, as a kernel is that was compiled: in the middle of a graph it is too late
        except Exception:  # of another making of Numba's: whatever is wrong with it, there is a way without
            return None
        return kernel

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            kernel = data._reduce_states()
            library = kernel.pop("codelibrary")._reduce_states()
            ((capability, cubin),) = library.pop("cubin_cache").items()
            del kernel["signature"], kernel["call_helper"]  # known from the call; used by debug code alone
            library |= {"llvm_strs": [], "ptx_cache": {}, "linkerinfo_cache": {}}  # what the cubin was made from
            payload = packed({"kernel": kernel, "library": library, "capability": capability}, cubin.code)
        except Exception:  # likewise
            return
        keep(self._path(sig), payload)

    def _path(self, signature: Any) -> Path:
        capability = cuda.get_current_device().compute_capability
        arguments, _ = normalize_signature(signature)
        key = SOURCES, self._launch, [str(argument) for argument in arguments], tuple(capability), settings()
        digest = hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
        return kernels_folder() / f"gpu-{self._launch[1].rpartition('.')[2]}-{digest}.kernel"
