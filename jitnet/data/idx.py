"""IDX, the format that MNIST is published in.

Two zero bytes, one byte for the type, one for the number of dimensions, each dimension as a big-endian 32-bit number,
and then the values, the last dimension fastest. http://yann.lecun.com/exdb/mnist/ describes it.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_idx(path: str | Path) -> bool:
    """True if the name looks like one of an IDX file: ...-idx3-ubyte, .idx, gzipped or not."""
    name = Path(path).name.removesuffix(".gz")
    return name.endswith((".idx", "-ubyte")) or "-idx" in name


def read_idx(path: str | Path) -> NDArray[Any]:
    """Read an IDX file, raw or gzipped.

    Shapes    as the file says, for example (60000, 28, 28)
    Dtype     as the file says, in this machine's byte order
    Errors    FileNotFoundError; ValueError if the file is no IDX, cut short or too long
    """
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise checks.Error(f"{path} is a damaged gzip file: {error}; fetch it again") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES or content[3] == 0:
        raise checks.Error(
            f"{path} is no IDX file: it begins with {content[:4].hex(' ') or 'nothing'}, but an IDX file begins with "
            "00 00, a type (08 for bytes) and the number of dimensions"
        )
    dtype, dimensions = np.dtype(TYPES[content[2]]), content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise checks.Error(f"{path} is cut short: its header needs {start} bytes, but it has {len(content)}")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", dimensions, 4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        fault = "cut short" if len(content) < expected else "too long"
        raise checks.Error(f"{path} is {fault}: shape {shape} needs {expected} bytes, but it has {len(content)}")
    try:
        return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
    except ValueError as error:  # more dimensions, or empty ones larger, than NumPy has room for
        raise checks.Error(f"{path} has an impossible shape {shape}: {error}") from None


def images_and_labels(
    images: NDArray[Any], labels: NDArray[Any], names: str
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pictures (n, ...) of bytes as rows from 0 to 1, beside their labels."""
    if images.ndim < 2 or labels.ndim != 1 or len(images) != len(labels):
        raise checks.Error(
            f"{names} hold {images.shape} and {labels.shape}, but must be pictures (n, ...) and labels (n,)"
        )
    if labels.dtype.kind not in "iu":
        raise checks.Error(f"{names}: the labels are {labels.dtype}, but must be whole numbers")
    return scaled(images, names), labels.astype(np.int64)


def scaled(images: NDArray[Any], names: str) -> NDArray[np.float32]:
    """Bytes from 0 to 255 as numbers from 0 to 1, one picture a row; other types keep their values."""
    if images.size == 0:
        raise checks.Error(f"{names}: there are no pictures, the shape is {images.shape}")
    rows = images.reshape(len(images), -1).astype(np.float32)
    return rows / np.float32(255) if images.dtype == np.uint8 else rows
