"""MNIST and Fashion-MNIST: downloaded once, verified by checksum, and saved.

The files go to `cache_folder()/data`, or to $JITNET_DATA_DIR. Files that exist there, or in the folder of `path=`, are
not downloaded.
"""

import hashlib
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import checks, storage
from ..compiler.cache_folder import cache_folder, make_cache_folder
from ..npz import PORTION
from ..process import progress
from .files.idx import images_and_labels, read_idx
from .split import Pair

TIMEOUT = 600
"""Time limit in seconds for the download of one file; then the next mirror is tried."""
SILENCE = 20
"""Seconds without data after which the next mirror is tried."""
NEWS = 5
"""Seconds between progress messages."""
LIMIT = 64 * 2**20
"""The maximum size of a file in bytes. The largest published file has 26 million."""


@dataclass(frozen=True)
class Source:
    """The mirrors of a data set, and the checksums of its files."""

    name: str
    mirrors: tuple[str, ...]
    hash: str
    files: dict[str, str]
    """File name -> checksum: training images, training labels, test images, test labels."""


FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)

MNIST = Source(
    "mnist",
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    "sha256",
    dict(zip(FILES, (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ), strict=True)),
)  # fmt: skip

FASHION_MNIST = Source(
    "fashion_mnist",
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    "md5",  # as published; it detects damage, not manipulation
    dict(zip(FILES, (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ), strict=True)),
)  # fmt: skip


def mnist(path: str | Path | None = None) -> tuple[Pair, Pair]:
    """Handwritten digits: 60 000 training samples, 10 000 test samples.

    Shapes    ((X, y), (X, y)) with X (n, 784), y (n,)
    Dtype     X float32 from 0 to 1; y int64 from 0 to 9
    path      folder that contains the four files, gzipped or not; None downloads missing files
    Errors    FileNotFoundError if `path` lacks a file; ValueError if a file is damaged or cannot be downloaded
    Source    http://yann.lecun.com/exdb/mnist/
    """
    return _load(MNIST, path)


def fashion_mnist(path: str | Path | None = None) -> tuple[Pair, Pair]:
    """Images of ten kinds of clothes, in the format of `mnist`. https://github.com/zalandoresearch/fashion-mnist"""
    return _load(FASHION_MNIST, path)


def _load(source: Source, path: str | Path | None) -> tuple[Pair, Pair]:
    files = [_download(source, name) if path is None else _find(Path(path), name) for name in source.files]
    arrays = [read_idx(file) for file in files]
    return (
        images_and_labels(arrays[0], arrays[1], f"{files[0]} and {files[1]}"),
        images_and_labels(arrays[2], arrays[3], f"{files[2]} and {files[3]}"),
    )


def _find(folder: Path, name: str) -> Path:
    """The file under its published name, or as others save it: .idx3 for -idx3, without .gz, two folders deeper."""
    if not folder.is_dir():
        what = "is a file; give the folder that contains it" if folder.exists() else "does not exist"
        raise FileNotFoundError(f"{folder} {what}")
    plain = name.removesuffix("-ubyte.gz")
    form = re.compile(plain.replace("-", "[-._ ]") + r"([-._ ]ubyte)?(\.gz)?", re.IGNORECASE)
    for depth in ("*", "*/*", "*/*/*"):
        files = [file for file in folder.glob(depth) if form.fullmatch(file.name) and file.is_file()]
        files.sort(key=lambda file: (file.name == name, file))  # a published file replaces others in its folder
        found = list({file.parent: file for file in files}.values())
        if any(not np.array_equal(read_idx(found[0]), read_idx(file)) for file in found[1:]):
            named = checks.some(sorted(str(file.parent) for file in found), longest=200)
            raise checks.Error(f"{named} each contain {plain}, with different data; name one of these folders")
        if found:
            return found[0]
    names = sorted(file.name for file in folder.iterdir())
    packed = [file for file in names if file.lower().endswith((".zip", ".tar", ".tgz", ".7z", ".rar"))]
    what = f"unpack {packed[0]}" if packed else f"it holds {checks.some(names, 5)}" if names else "it is empty"
    raise FileNotFoundError(f"{folder} has neither {name} nor {plain}-ubyte, and none of its folders has them; {what}")


def _download(source: Source, name: str) -> Path:
    """The file in the data folder; it is downloaded if it is missing or damaged."""
    chosen = os.environ.get("JITNET_DATA_DIR")
    folder = (Path(os.path.expanduser(chosen)) if chosen else cache_folder() / "data") / source.name
    file = folder / name
    if file.exists() and _is_whole(file.read_bytes(), source, name):
        return file
    failures = []
    for mirror in source.mirrors:
        progress.say(f"downloading {mirror}{name}")
        try:
            content = Download(mirror + name).wait()
        except checks.Error as error:
            failures.append(f"{mirror}: {error}")
            continue
        if not _is_whole(content, source, name):
            failures.append(f"{mirror}: {len(content)} bytes with the wrong checksum")
            continue
        try:
            if not chosen:
                make_cache_folder()
            folder.mkdir(parents=True, exist_ok=True)
            storage.put(file, content)
        except (OSError, checks.Error) as error:
            raise checks.Error(
                f"cannot save {file}: {checks.reason(error)}; set JITNET_DATA_DIR to a writable folder"
            ) from None
        return file
    raise checks.Error(
        f"could not download {name} of {source.name} ({'; '.join(failures)}); connect to the network, or download "
        f"the four files elsewhere and put them into {folder}, or into any folder with path=FOLDER (--path FOLDER)"
    )


class Download:
    """A download in its own thread, so that the time limit holds whatever the server does.

    A socket's timeout restarts with each byte, so a slow server could make a download last forever. An abandoned thread
    ends with the next byte, or after `SILENCE`; it does not keep the program from exiting.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._content = bytearray()
        self._failure: Exception | None = None
        self._until = time.monotonic() + TIMEOUT
        self._thread = threading.Thread(target=self._receive, daemon=True)

    def wait(self) -> bytes:
        """Wait for the content, and report the progress.

        Errors    ValueError with the reason of the failure
        """
        self._thread.start()
        while self._thread.is_alive():
            self._thread.join(max(0.0, min(NEWS, self._until - time.monotonic())))
            if self._thread.is_alive():
                self._check()
                progress.say(f"{len(self._content) / 1e6:.1f} MB so far")
        if self._failure is not None:
            why = getattr(self._failure, "reason", self._failure)  # URLError has the reason in an attribute
            raise checks.Error(checks.reason(why) if isinstance(why, Exception) else str(why))
        return bytes(self._content)

    def _check(self) -> None:
        if len(self._content) > LIMIT:
            raise checks.Error(f"more than {LIMIT} bytes, which no file of this data set has")
        if time.monotonic() >= self._until:
            raise checks.Error(f"{len(self._content)} bytes in {TIMEOUT} s, still incomplete")

    def _receive(self) -> None:
        import urllib.request  # imports ssl, which nothing else needs

        try:
            with urllib.request.urlopen(self._address, timeout=min(SILENCE, TIMEOUT)) as response:
                while portion := response.read1(PORTION):
                    self._content += portion
                    self._check()
        except Exception as error:  # no network, no such host, refused, silent, 404, no HTTP, too slow, too long
            self._failure = error


def _is_whole(content: bytes, source: Source, name: str) -> bool:
    return hashlib.new(source.hash, content, usedforsecurity=False).hexdigest() == source.files[name]
