"""Reading .npz archives that may be damaged or forged: every size is checked before memory is allocated.

Limits    A member is stored or deflated, as NumPy writes it, and deflate compresses by a factor of at most 1032. All
          members together take at most as many bytes as the file has. The size of the file therefore limits its
          content, whatever its directory says. Only the members that a caller asks for are read, and a large array
          needs memory only for itself.
"""

import contextlib
import io
import math
import os
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from . import checks

DENSEST = 1032
"""The highest compression ratio of deflate: 258 bytes for every two bits."""
HEADER = 1 << 14
"""Bytes to read for the header of an array. NumPy rejects headers of more than 10 000 characters."""
PORTION = 1 << 20
"""Bytes to decompress at a time."""


@contextlib.contextmanager
def opened(path: str | Path, what: str) -> Iterator["Archive"]:
    """Open the archive at `path`; `what` describes the expected file in messages.

    Errors    FileNotFoundError, IsADirectoryError, PermissionError; ValueError with the file and the reason
    """
    try:
        with checks.fits_into_memory(path):
            if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
                raise checks.Error(f"{path} is a pipe or a device, not a readable {what}; save it as a file first")
            with zipfile.ZipFile(path) as archive:
                yield Archive(archive, os.path.getsize(path))
    except (checks.Error, FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # a damaged archive can cause any exception in its reader
        reason = checks.reason(error) if zipfile.is_zipfile(path) else "it is not an NPZ archive"
        raise checks.Error(f"{path} is not a readable {what}: {reason}") from None


def office_document(members: Collection[str]) -> str:
    """What a zip archive with these members is, if an office program wrote it; otherwise an empty string."""
    if "[Content_Types].xml" not in members:
        return ""
    return "an Excel workbook" if any(name.startswith("xl/") for name in members) else "an Office document"


class Archive:
    """The members of an archive. A damaged file can raise any exception, which `opened` turns into one sentence."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive = archive
        self._members = {info.filename: info for info in archive.infolist()}
        taken = sum(info.compress_size for info in archive.infolist())
        if taken > size:
            raise ValueError(f"its members take {taken} bytes, but the file has {size}")

    @property
    def members(self) -> list[str]:
        return list(self._members)

    @property
    def names(self) -> list[str]:
        """The names of the arrays."""
        return [name.removesuffix(".npy") for name in self._members if name.endswith(".npy")]

    def content(self, name: str, most: int) -> bytes | None:
        """The bytes of a member, at most `most`; None if it does not exist."""
        if name not in self._members:
            return None
        size = self._members[name].file_size
        if size > most:
            raise ValueError(f"{name} has {size} bytes, but may have {most} at most")
        with self._open(name) as member:
            return member.read()

    def form(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and dtype of an array, from its header alone."""
        shape, dtype, _, _ = self._header(name)
        return shape, dtype

    def array(self, name: str, dtype: np.dtype[Any] | None = None) -> NDArray[Any]:
        """An array; if `dtype` is given, it is converted while it is read."""
        shape, stored, fortran, start = self._header(name)
        count, chunk = math.prod(shape), max(1, PORTION // stored.itemsize)
        flat = np.empty(count, dtype or stored)
        with self._open(f"{name}.npy") as member, np.errstate(all="ignore"):
            member.read(start)
            for first in range(0, count, chunk):
                wanted = min(chunk, count - first)
                portion = member.read(wanted * stored.itemsize)
                if len(portion) < wanted * stored.itemsize:
                    present = first * stored.itemsize + len(portion)
                    raise ValueError(f"{name}.npy ends after {present} of {count * stored.itemsize} bytes")
                flat[first : first + wanted] = np.frombuffer(portion, stored)
        if stored.kind == "U" and _is_beyond_unicode(flat):
            raise ValueError(f"{name}.npy holds characters that Unicode does not have")
        return flat.reshape(shape, order="F" if fortran else "C")

    def _header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any], bool, int]:
        """Shape, dtype, Fortran order, and offset of the values; checked against the size of the member."""
        name = f"{name}.npy"
        with self._open(name) as member:
            head = io.BytesIO(member.read(HEADER))
        version = np.lib.format.read_magic(head)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(head)
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects, which are not loaded; save plain arrays")
        if dtype.kind == "V" or dtype.itemsize == 0:
            raise ValueError(f"{name} holds {dtype}, but numbers or strings are expected")
        declared, present = math.prod(shape) * dtype.itemsize, self._members[name].file_size - head.tell()
        if declared != present:
            raise ValueError(f"{name} declares {shape} {dtype}, {declared} bytes, but holds {present} bytes")
        return shape, dtype, fortran, head.tell()

    def _open(self, name: str) -> IO[bytes]:
        member = self._members[name]
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name} is neither stored nor deflated; write it with numpy.savez or savez_compressed")
        ratio = 1 if member.compress_type == zipfile.ZIP_STORED else DENSEST
        if member.file_size > ratio * member.compress_size:
            raise ValueError(f"{name} declares {member.file_size} bytes, more than its {member.compress_size} can hold")
        return self._archive.open(member)


def _is_beyond_unicode(texts: NDArray[np.str_]) -> bool:
    """True if an array of strings holds invalid characters: half a surrogate pair, or a code above 10FFFF."""
    codes = texts.view(np.dtype(np.uint32).newbyteorder(texts.dtype.byteorder))
    return bool(((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any())
