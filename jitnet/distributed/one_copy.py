"""Data that one rank of each machine reads, in one copy for all ranks of that machine.

The order of the samples is a permutation of all of them, so over the epochs each rank needs every sample. This saves
the other ranks reading and preparing them, and the memory for copies.
"""

from __future__ import annotations

import contextlib
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .. import checks
from .comm import Comm

Data = TypeVar("Data")

ALIGNED = 64
"""Each array begins at a multiple of this many bytes, for the kernels' vector loads."""


class Packed(NamedTuple):
    """Data without the contents of their arrays, which are in a file."""

    path: Path
    pickled: bytes
    places: list[tuple[int, int]]
    """Where each array begins and ends."""


def read_once(comm: Comm, read: Callable[[], Data]) -> Data:
    """read(), which the first rank of each machine calls. If there are several ranks, arrays are read-only memory maps.

    They map a temporary file; the ranks share the pages that they use.

    Errors    those of read(), on all ranks; ValueError if the file cannot be written
    """
    if comm.size == 1:
        return read()
    with contextlib.ExitStack() as stack:
        packed = None
        with comm.together():
            if comm.is_first_here:
                packed = _packed(read(), stack)
        mine: Any = comm.allgather(packed)[comm.first_here]
        with comm.together():  # the name of the file is removed after all ranks have opened it
            opened: Data = _opened(mine)
    return opened


def _packed(data: Any, stack: contextlib.ExitStack) -> Packed:
    """The data, with their arrays in a file, which is removed at the end of the stack."""
    try:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="jitnet-", ignore_cleanup_errors=True))
        return _written(data, Path(folder) / "arrays")
    except OSError as error:
        raise checks.Error(
            f"cannot write the data for all ranks of this machine to {tempfile.gettempdir()}: {checks.reason(error)}; "
            "set the environment variable TMPDIR to a folder with more room"
        ) from None


def _written(data: Any, path: Path) -> Packed:
    places: list[tuple[int, int]] = []
    with path.open("wb") as file:

        def write(buffer: pickle.PickleBuffer) -> None:
            start = file.seek(-file.tell() % ALIGNED, 1)
            places.append((start, start + file.write(buffer.raw())))

        pickled = pickle.dumps(data, protocol=5, buffer_callback=write)
        file.truncate(max(file.tell(), 1))  # no memory map is empty
    return Packed(path, pickled, places)


def _opened(packed: Packed) -> Any:
    whole = np.memmap(packed.path, np.uint8, "r")
    return pickle.loads(packed.pickled, buffers=[whole[start:stop] for start, stop in packed.places])
