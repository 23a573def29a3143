"""Memory that starts on a cache line.

A 512-bit load that straddles two cache lines costs twice as much as an aligned one, and NumPy aligns only to 16 bytes.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

LINE = 64
"""Bytes in a cache line, and in the widest vector register."""


def aligned(shape: int | Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Zeros; the address of the first element is a multiple of 64."""
    dtype = np.dtype(dtype)
    size = math.prod(shape if isinstance(shape, Sequence) else (shape,)) * dtype.itemsize
    if size > 2**62:  # where NumPy raises a ValueError instead of a MemoryError
        raise MemoryError("more bytes than any machine has")
    memory = np.zeros(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def whole_lines(count: int, dtype: DTypeLike) -> int:
    """`count` rounded up to whole cache lines."""
    per_line = LINE // np.dtype(dtype).itemsize
    return -(-count // per_line) * per_line
