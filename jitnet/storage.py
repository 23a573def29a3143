"""Save and load. Files are written atomically, and their content is validated before it is used.

A model is a plain .npz archive: W0, b0, W1, ... as arrays, and what they mean in `about.json`. NumPy's own loader
reads it too.
"""

import contextlib
import glob
import json
import math
import os
import shutil
import stat
import time
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, get_args

import numpy as np
from numpy.typing import NDArray

from . import checks, losses, npz, parameters
from .kernels.activations import ACTIVATIONS
from .labels import Task, checked
from .layers import Layer, from_settings
from .process import interruption

VERSION = 1
"""Version of the file format; newer files are rejected."""

ABOUT_LIMIT = 16 * 2**20
"""Maximum size of about.json: more than a checkpoint of 150 000 epochs, or a model of 200 000 columns, needs."""


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """Write a file atomically: after a kill at any moment, there is the old file or the new one.

    The bytes go to a temporary file in the same folder, which is synced and then renamed.
    If writing fails, the temporary file is removed; a later writer removes leftovers that are more than an hour old.
    The new file and the temporary file have the permissions of the old one.

    Errors    ValueError if the file cannot be written, for example without permission or space
    """
    target = _target(path)
    for stale in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 12}.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - stale.stat().st_mtime > 3600:
                stale.unlink()
    temporary = _temporary(target)
    try:
        with _created(temporary, target) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):  # its name, longer than that of the file, can be too long
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise checks.Error(f"cannot write {path}: {checks.reason(error)}") from error
        raise
    if os.name == "posix":  # the new name has to reach the disk too
        with contextlib.suppress(OSError):  # not every folder can be opened and synced; the file is in its place
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def put(path: str | Path, content: bytes) -> None:
    """Write these bytes as a file; see `replacing`."""
    with replacing(path) as file:
        file.write(content)


def _temporary(target: Path) -> Path:
    """A new name each time, so that two processes that write the same file do not overwrite each other's data."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.tmp")


def _created(temporary: Path, target: Path) -> IO[bytes]:
    """The temporary file, open for writing, with the permissions of `target` from the start."""
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666  # minus the umask, as for any file
    return open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode))


def _target(path: str | Path) -> Path:
    """The file to replace: for a link, its target; not a folder or a device."""
    checks.expect_path(path)
    try:
        target = Path(os.path.realpath(path))
        problem = _why_not_writable(target)
    except (OSError, UnicodeError) as error:  # the name is too long or not text, or the working folder was removed
        problem = checks.reason(error)
    if problem:
        raise checks.Error(f"cannot write {checks.printable(str(path))}: {problem}")
    return target


def _why_not_writable(target: Path) -> str:
    """Why this file cannot be written; an empty string if it can, as far as can be seen."""
    if target.is_dir():
        return "it is a folder; name a file"
    if not target.parent.is_dir():
        return f"there is no folder {target.parent}; create it first"
    if target.exists() and not target.is_file():
        return "it is not a regular file"
    if target.exists() and not os.access(target, os.W_OK):
        return "the file there is read-only"
    return ""


def check_writable(path: str | Path, kind: str | None = None) -> None:
    """Check before the work starts that a file can be written.

    kind     refuse to replace a file that is not a jitnet `kind`
    """
    target = _target(path)
    temporary = _temporary(target)
    try:
        with interruption.delayed():  # so that ^C leaves no file behind
            _created(temporary, target).close()
            temporary.unlink()
    except OSError as error:
        raise checks.Error(f"cannot write {path}: {checks.reason(error)}") from None
    if kind is not None and target.exists() and target.stat().st_size > 0:
        try:
            with reading(target, kind):
                pass
        except checks.Error as error:
            raise checks.Error(f"{path} would be replaced by a {kind}, but {error}; name another file") from None


def plain(value: Any) -> Any:
    """The value after a round trip through JSON: tuples become lists."""
    return json.loads(json.dumps(value))


def write(path: str | Path, kind: str, about: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays and their metadata, atomically and durably."""
    header = json.dumps({"format": f"jitnet {kind}", "version": VERSION, **about}, indent=1).encode()
    if len(header) > ABOUT_LIMIT:
        raise checks.Error(
            f"cannot write {path}: its about.json would have {len(header)} bytes, but may have {ABOUT_LIMIT} at most; "
            "train with fewer epochs or columns"
        )
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("about.json", header)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


@contextlib.contextmanager
def reading(path: str | Path, kind: str) -> Iterator[tuple[dict[str, Any], npz.Archive]]:
    """The metadata of a jitnet file, and the archive with its arrays.

    Limits    `ABOUT_LIMIT` for the metadata; those of `npz` for the arrays
    Errors    FileNotFoundError; ValueError if it is not a readable `kind`
    """
    with npz.opened(path, f"jitnet {kind}") as archive:
        content = archive.content("about.json", ABOUT_LIMIT)
        if content is None and (what := npz.office_document(archive.members)):
            raise checks.Error(f"{path} is {what}, not a jitnet {kind}; name the file that jitnet saved")
        if content is None:
            raise checks.Error(f"{path} is not a jitnet {kind}: it has no about.json")
        about = json.loads(content)
        found = about.get("format") if isinstance(about, dict) else None
        if found != f"jitnet {kind}":
            raise checks.Error(f"{path} is not a jitnet {kind}, but {checks.shown(found)}")
        version = about.get("version")
        if type(version) is not int or not 1 <= version <= VERSION:
            raise checks.Error(
                f"{path} has format version {checks.shown(version)}, but this jitnet reads up to {VERSION}; "
                "update jitnet"
            )
        yield about, archive


def read(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """All arrays that `write` wrote."""
    with reading(path, kind) as (about, archive):
        return about, {name: archive.array(name) for name in archive.names}


def arrays_of(archive: npz.Archive, forms: dict[str, tuple[int, ...]], dtype: np.dtype[Any]) -> dict[str, NDArray[Any]]:
    """The arrays with these names, if each has the expected shape and finite numbers of this dtype."""
    for name, shape in forms.items():
        found = archive.form(name) if name in archive.names else None
        if found != (shape, dtype):
            is_there = f"{found[0]} {found[1]}" if found else "nothing"
            raise checks.Error(f"{name} should be {shape} {dtype}, but is {is_there}")
    arrays = {name: archive.array(name) for name in forms}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise checks.Error(f"{name} holds NaN or infinity")
    return arrays


@dataclass(frozen=True)
class Model:
    """The validated content of a model file."""

    layers: list[Layer]
    dtype: str
    seed: int | None
    loss: str | None
    recipe: dict[str, Any] | None
    task: Task | None
    classes: NDArray[Any] | None
    arrays: dict[str, NDArray[Any]]


def save(path: str | Path, net: Any) -> None:
    """Write a network; see `Network.save`."""
    write(path, "model", described(net), parameters.named(net.layers, net.theta))


def described(net: Any) -> dict[str, Any]:
    """Everything about a network but its parameters, in the form of JSON."""
    return {
        "layers": [layer.settings() for layer in net.layers],
        "dtype": net.dtype.name, "seed": net.seed, "loss": net.loss, "recipe": net.recipe, "task": net.task,
        "classes": None if net._classes is None else net._classes.tolist(),
    }  # fmt: skip


class NotDefinedError(checks.Error):
    """A model needs a user's activation or loss that is not defined in this process."""


def model_of(about: Any) -> Model:
    """The validated description of a network, without arrays.

    Errors    ValueError or KeyError if it is not valid; NotDefinedError
    """
    dtype, listed = checks.dtype_of(about["dtype"]), checks.listed("layers", about["layers"])
    for l, settings in enumerate(listed):
        if "activation" in checks.fields(f"layer {l}", settings):
            _expect_defined("activation", settings["activation"], ACTIVATIONS)
    layers = [from_settings(f"layer {l}", settings) for l, settings in enumerate(listed)]
    if layers and about["loss"] is not None:
        _expect_defined("loss", about["loss"], losses.LOSSES)
        losses.get(about["loss"], layers[-1].activation)
    task, classes = about.get("task"), about.get("classes")  # older files have neither
    if task is not None:
        checks.one_of("task", task, get_args(Task))
    if classes is not None:
        classes = checked(checks.listed("classes", classes), layers[-1].n_out if layers else 0)
    return Model(layers, dtype.name, about["seed"], about["loss"], about["recipe"], task, classes, {})


def read_model(path: str | Path) -> Model:
    """Read a model file, and compare its metadata with its arrays."""
    with reading(path, "model") as (about, archive):
        try:
            model = model_of(about)
            shapes = {f"{n}{l}": shape for l, layer in enumerate(model.layers) for n, shape in layer.shapes.items()}
            shapes = {name: shape for name, shape in shapes.items() if math.prod(shape)}
            return replace(model, arrays=arrays_of(archive, shapes, np.dtype(model.dtype)))
        except NotDefinedError as error:
            raise NotDefinedError(f"{path} {error}") from None
        except (checks.Error, KeyError) as error:
            raise checks.Error(f"{path} is not a valid jitnet model: {checks.reason(error)}") from None


def _expect_defined(what: str, name: Any, known: Iterable[str]) -> None:
    """A model contains only the name of a user's function. The name was known when it was saved, so it is no typo."""
    if not isinstance(name, str):
        checks.one_of(what, name, known)
    if name not in known:
        raise NotDefinedError(
            f"needs the {what} {checks.shown(name)}, which is not one of jitnet's: first import the Python file that "
            f"defines it with @jitnet.{what}, or update jitnet if it is not yours"
        )
