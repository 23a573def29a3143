"""Save and load. A file is replaced whole or not at all, and what is read is believed only after it was checked.

A model is a plain .npz archive: W0, b0, W1, ... as arrays, and what they mean in `about.json`. NumPy's own loader
reads it too.
"""

import contextlib
import glob
import json
import math
import os
import shutil
import tempfile
import time
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from . import checks
from .losses import ACTIVATIONS, LOSSES

VERSION = 1
"""Of the file format; a reader refuses files from the future."""


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """Write a file so that a kill at any moment leaves the old one or the new one.

    The bytes go to a temporary file beside it, reach the disk, and only then take the old file's place in one step.
    The temporary name is new each time, so that two processes that write the same file do not write into one another;
    what a kill has left behind is swept out by the first writer that comes an hour later.
    """
    target = _target(path)
    for stale in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - stale.stat().st_mtime > 3600:
                stale.unlink()
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name has to reach the disk too
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _target(path: str | Path) -> Path:
    """The file to replace: of a link, what it points to; no folder and no device."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise checks.Error(f"cannot write {path}: it is a folder; name a file")
    if not target.parent.is_dir():
        raise checks.Error(f"cannot write {path}: there is no folder {target.parent}; make it first")
    if target.exists() and not target.is_file():
        raise checks.Error(f"cannot write {path}: it is no regular file")
    if target.exists() and not os.access(target, os.W_OK):
        raise checks.Error(f"cannot write {path}: the file there is read-only")
    return target


def check_writable(path: str | Path, kind: str | None = None) -> None:
    """Find out now, and not after the work is done, that a file cannot be written.

    kind     refuse to replace a file that is something else than a jitnet `kind`
    """
    target = _target(path)
    try:
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise checks.Error(f"cannot write {path}: {error.strerror}") from None
    if kind is not None and target.exists() and target.stat().st_size > 0:
        try:
            read(target, kind)
        except checks.Error as error:
            raise checks.Error(f"{path} would be replaced by a {kind}, but {error}; name another file") from None


def plain(value: Any) -> Any:
    """As it looks after a round trip through JSON: tuples become lists."""
    return json.loads(json.dumps(value))


def write(path: str | Path, kind: str, about: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays and what they mean, atomically and durably."""
    header = json.dumps({"format": f"jitnet {kind}", "version": VERSION, **about}, indent=1)
    try:
        with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("about.json", header)
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    except OSError as error:
        raise checks.Error(f"cannot write {path}: {error.strerror}") from error


def read(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `write` wrote."""
    try:
        about, arrays = _read_archive(path, kind)
    except (checks.Error, FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # a damaged archive can fail in any way that its reader can
        raise checks.Error(f"{path} is not a readable jitnet {kind}: {error or type(error).__name__}") from None
    return about, arrays


def _read_archive(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    with zipfile.ZipFile(path) as archive:
        if "about.json" not in archive.namelist():
            raise checks.Error(f"{path} is no jitnet {kind}: it has no about.json")
        about = json.loads(archive.read("about.json"))
        found = about.get("format") if isinstance(about, dict) else None
        if found != f"jitnet {kind}":
            raise checks.Error(f"{path} is no jitnet {kind}, but {found!r}")
        if not isinstance(about.get("version"), int) or about["version"] > VERSION:
            raise checks.Error(
                f"{path} has format version {about.get('version')!r}, but this jitnet reads up to {VERSION}; "
                "update jitnet"
            )
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        return about, {info.filename[:-4]: read_array(archive, info) for info in members}


def read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """One array out of an archive. Its declared shape is compared with its size before memory is set aside.

    Errors    any that a reader of a damaged file can have; the caller says which file it was
    """
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(member)
        if dtype.hasobject:
            raise ValueError(f"{info.filename} holds Python objects, which are not read from files; save plain arrays")
        declared = math.prod(shape) * dtype.itemsize
        present = info.file_size - member.tell()
        if declared != present:
            raise ValueError(f"{info.filename} declares {shape} {dtype}, {declared} bytes, but holds {present} bytes")
        content = member.read()
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    return array.copy()


@dataclass(frozen=True)
class Model:
    """The content of a model file, checked."""

    layers: list[dict[str, Any]]
    dtype: str
    seed: int | None
    loss: str | None
    recipe: dict[str, Any] | None
    arrays: dict[str, NDArray[Any]]


def save(path: str | Path, net: Any) -> None:
    """Write a network; see `Network.save`."""
    arrays = {}
    for l, layer in enumerate(net.layers):
        arrays[f"W{l}"] = layer.W
        if layer.b is not None:
            arrays[f"b{l}"] = layer.b
    about = {
        "layers": [
            {name: getattr(layer, name) for name in ("n_in", "n_out", "activation", "bias", "init")}
            for layer in net.layers
        ],
        "dtype": net.dtype.name, "seed": net.seed, "loss": net.loss, "recipe": net.recipe,
    }  # fmt: skip
    write(path, "model", about, arrays)


def read_model(path: str | Path) -> Model:
    """Read a model file and make sure that what it says about itself is what it holds."""
    about, arrays = read(path, "model")
    try:
        layers, dtype = about["layers"], checks.dtype_of(about["dtype"])
        if not isinstance(layers, list):
            raise TypeError("layers is no list")
        expected: dict[str, tuple[int, ...]] = {}
        for l, layer in enumerate(layers):
            checks.one_of("activation", layer["activation"], ACTIVATIONS)
            expected[f"W{l}"] = (layer["n_in"], layer["n_out"])
            if layer["bias"]:
                expected[f"b{l}"] = (layer["n_out"],)
        if about["loss"] is not None:
            checks.one_of("loss", about["loss"], LOSSES)
        for name, shape in expected.items():
            if name not in arrays or arrays[name].shape != shape or arrays[name].dtype != dtype:
                found = f"{arrays[name].shape} {arrays[name].dtype}" if name in arrays else "nothing"
                raise checks.Error(f"{name} should be {shape} {dtype}, but is {found}")
            if not np.isfinite(arrays[name]).all():
                raise checks.Error(f"{name} holds NaN or infinity")
        return Model(layers, dtype.name, about["seed"], about["loss"], about["recipe"], arrays)
    except (checks.Error, KeyError, TypeError, AttributeError) as error:
        raise checks.Error(f"{path} is no valid jitnet model: {error}") from None
