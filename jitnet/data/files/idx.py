"""IDX, the file format of MNIST, as arrays and as tables.

Two zero bytes, one byte for the type, one for the number of dimensions, each dimension as a big-endian 32-bit integer,
and then the values in C order. http://yann.lecun.com/exdb/mnist/ describes the format.
"""

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import checks
from ...npz import DENSEST, PORTION
from ..table import Column, Table

GZIP = b"\x1f\x8b"
"""The first bytes of a gzip file."""

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_idx(path: str | Path) -> bool:
    """True if the file name looks like IDX: ...-idx3-ubyte, .idx, gzipped or not."""
    name = Path(path).name.removesuffix(".gz")
    return name.endswith((".idx", "-ubyte")) or "-idx" in name


def read_idx(path: str | Path) -> NDArray[Any]:
    """Read an IDX file, raw or gzipped.

    Shapes    as in the file, for example (60000, 28, 28)
    Dtype     as in the file, in native byte order
    Limits    decompresses the size in the header and one byte more; the size in the header is limited to what a file of
              this size can hold
    Errors    FileNotFoundError; ValueError if the file is not IDX, is truncated or too long, or needs more memory than
              is available
    """
    with checks.fits_into_memory(path), open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        is_gzipped = file.read(len(GZIP)) == GZIP
        file.seek(0)
        if not is_gzipped:
            return _read(file, path, size, "")
        try:
            with gzip.open(file) as content:
                return _read(content, path, DENSEST * size, " at most, given its size")
        except (EOFError, OSError, zlib.error) as error:
            raise checks.Error(f"{path} is a damaged gzip file: {checks.reason(error)}; download it again") from None


def _read(file: Any, path: str | Path, size: int, at_most: str) -> NDArray[Any]:
    """The array in an open file of `size` bytes, or of at most `size` bytes."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or head[3] == 0:
        raise checks.Error(
            f"{path} is not an IDX file: it begins with {head.hex(' ') or 'nothing'}, but an IDX file begins with "
            "00 00, a type (08 for bytes) and the number of dimensions"
        )
    dtype, dimensions = np.dtype(TYPES[head[2]]), head[3]
    start = 4 + 4 * dimensions
    head += file.read(start - 4)
    if len(head) < start:
        raise checks.Error(f"{path} is truncated: its header needs {start} bytes, but it has {len(head)}")
    shape = tuple(int(n) for n in np.frombuffer(head, ">u4", dimensions, 4))
    needed = math.prod(shape) * dtype.itemsize
    wanted = f"shape {shape} needs {start + needed} bytes, but it has"
    if start + needed > size:
        raise checks.Error(f"{path} is truncated: {wanted} {size}{at_most}")
    try:
        array = np.empty(shape, dtype)
    except ValueError as error:  # more dimensions, or empty ones larger, than NumPy has room for
        raise checks.Error(f"{path} has an impossible shape {shape}: {error}") from None
    content, filled = memoryview(array.reshape(-1).view(np.uint8)), 0  # type: ignore[arg-type]
    while filled < needed:
        portion = file.readinto(content[filled : filled + PORTION])
        if not portion:
            raise checks.Error(f"{path} is truncated: {wanted} {start + filled}")
        filled += portion
    if file.read(1):
        raise checks.Error(f"{path} is too long: {wanted} {'more' if at_most else size}")
    return array.astype(dtype.newbyteorder("="), copy=False)


def images_and_labels(
    images: NDArray[Any], labels: NDArray[Any], names: str
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images (n, ...) as rows of numbers from 0 to 1, and their labels."""
    if images.ndim < 2 or labels.ndim != 1 or len(images) != len(labels):
        raise checks.Error(
            f"{names} hold {images.shape} and {labels.shape}, but must be images (n, ...) and labels (n,)"
        )
    if labels.dtype.kind not in "iu":
        raise checks.Error(f"{names}: the labels are {labels.dtype}, but must be integers")
    return scaled(images, names), labels.astype(np.int64)


def scaled(images: NDArray[Any], names: str) -> NDArray[np.float32]:
    """Bytes from 0 to 255 as numbers from 0 to 1, one image per row; other types keep their values."""
    if images.size == 0:
        raise checks.Error(f"{names}: there are no images, the shape is {images.shape}")
    rows = images.reshape(len(images), -1).astype(np.float32)
    if images.dtype == np.uint8:
        rows /= np.float32(255)
    elif not np.isfinite(rows).all():
        raise checks.Error(f"{names}: image {np.argwhere(~np.isfinite(rows))[0, 0] + 1} has a pixel that is not finite")
    return rows


def read_images(path: str | Path, labels: str | Path | None, needs_target: bool) -> Table:
    """Images as a table; their labels are in the file `labels`, or in the one that MNIST's naming scheme gives."""
    images = read_idx(path)
    if images.ndim < 2:
        raise checks.Error(f"{path} holds {images.shape}: these seem to be labels; give the file with the images")
    X, columns = scaled(images, str(path)), []
    if needs_target:
        beside = Path(labels) if labels else _labels_beside(Path(path))
        X, y = images_and_labels(images, read_idx(beside), f"{path} and {beside}")
        columns = [Column("label", y.astype(np.float64))]
    return Table(columns, str(path), "pictures", target="label", matrix=X)


def _labels_beside(path: Path) -> Path:
    name = path.name.replace("images", "labels").replace("idx3", "idx1")
    for candidate in (name, name.removesuffix(".gz"), name + ".gz"):
        if candidate != path.name and (path.parent / candidate).exists():
            return path.parent / candidate
    raise checks.Error(f"no labels found next to {path}; name their file with --labels FILE")
