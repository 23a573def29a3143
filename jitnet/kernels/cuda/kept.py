"""Kernels compiled for the card, kept between processes beside those of the CPU (`cache.py`, which says why).

What decides the machine code is in the name of the file: all sources, versions, the launch, the card's capability,
Numba's settings. Only Numba's own packages know how a compiled kernel is taken apart and put together again; should
they change that, kernels are compiled anew in each process, as if nothing had been kept.
"""

import hashlib
import importlib.metadata
import pickle
from pathlib import Path
from typing import Any

from numba.cuda.core.caching import _Cache
from numba.cuda.core.sigutils import normalize_signature
from numba.cuda.dispatcher import _Kernel
from numba.cuda.serialize import dumps

from ..cache import hash_of_sources, keep, kept, kernels_folder, settings
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


SOURCES = hash_of_sources(Path(__file__).parent, [_version(package) for package in PACKAGES])


class Kept(_Cache):
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
        return self._path(signature).exists()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        payload = kept(self._path(sig))
        if payload is None:
            return None
        target_context.refresh()
        try:
            kernel = _Kernel._rebuild(**pickle.loads(payload))
            kernel.bind()  # to the card, as a kernel is that was compiled: in the middle of a graph it is too late
        except Exception:  # of another making of Numba's: whatever is wrong with it, there is a way without
            return None
        return kernel

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            payload = dumps(data._reduce_states())
        except Exception:  # likewise
            return
        keep(self._path(sig), payload)

    def _path(self, signature: Any) -> Path:
        capability = cuda.get_current_device().compute_capability
        arguments, _ = normalize_signature(signature)
        key = SOURCES, self._launch, [str(argument) for argument in arguments], tuple(capability), settings()
        digest = hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
        return kernels_folder() / f"card-{self._launch[1].rpartition('.')[2]}-{digest}.kernel"
