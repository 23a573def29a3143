"""Samples of threads that wait for work: they run in the library that starts the threads of a prange loop.

Such a thread asks again and again whether there is work, so it gives as many samples as one that works.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_LIBRARIES = re.compile(r"/(lib(gomp|i?omp5?|tbb\w*)|omppool|tbbpool|workqueue)\.[^/]*$")
"""The libraries of OpenMP and TBB, and the modules of Numba that use them."""

_MAPS = Path("/proc/self/maps")


def samples_that_wait(addresses: NDArray[np.uint64], maps: Path = _MAPS) -> int:
    """How many of the addresses are in such a library, as this process has loaded it."""
    found = 0
    for line in maps.read_text(errors="replace").splitlines():
        where, _, path = line.partition(" ")
        if _LIBRARIES.search(path):
            low, high = (int(end, 16) for end in where.split("-"))
            found += int(((addresses >= low) & (addresses < high)).sum())
    return found
