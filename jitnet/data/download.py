"""MNIST and Fashion-MNIST: downloaded once, checked, and kept.

The files go to `cache_folder()/data`, or to $JITNET_DATA_DIR. Nothing is downloaded that lies there already, or where
`path=` points to.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from .. import checks, progress, storage
from ..kernels.folder import cache_folder, make_cache_folder
from .idx import images_and_labels, read_idx
from .split import Pair

TIMEOUT = 20
"""Seconds without an answer after which a mirror is given up."""


@dataclass(frozen=True)
class Source:
    """Where a data set is published, and how its files are known."""

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
    "md5",  # as its publisher gives them; they guard against damage, not against malice
    dict(zip(FILES, (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ), strict=True)),
)  # fmt: skip


def mnist(path: str | Path | None = None) -> tuple[Pair, Pair]:
    """Handwritten digits: 60 000 to learn from, 10 000 to be judged by.

    Shapes    ((X, y), (X, y)) with X (n, 784), y (n,)
    Dtype     X float32 from 0 to 1; y int64 from 0 to 9
    path      folder in which the four files lie already, gzipped or not; None downloads what is missing
    Errors    FileNotFoundError if `path` lacks a file; ValueError if a file is damaged, or could not be downloaded
    Source    http://yann.lecun.com/exdb/mnist/
    """
    return _load(MNIST, path)


def fashion_mnist(path: str | Path | None = None) -> tuple[Pair, Pair]:
    """Pictures of ten kinds of clothes, in the form of `mnist`. https://github.com/zalandoresearch/fashion-mnist"""
    return _load(FASHION_MNIST, path)


def _load(source: Source, path: str | Path | None) -> tuple[Pair, Pair]:
    files = [_fetch(source, name) if path is None else _find(Path(path), name) for name in source.files]
    arrays = [read_idx(file) for file in files]
    return (
        images_and_labels(arrays[0], arrays[1], f"{files[0]} and {files[1]}"),
        images_and_labels(arrays[2], arrays[3], f"{files[2]} and {files[3]}"),
    )


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / name.removesuffix(".gz")):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"{folder} has neither {name} nor {name.removesuffix('.gz')}")


def _fetch(source: Source, name: str) -> Path:
    """The file in the data folder; downloaded first if it is not there or not whole."""
    import urllib.request  # brings the whole of ssl with it, which nobody else needs

    chosen = os.environ.get("JITNET_DATA_DIR")
    folder = Path(chosen or cache_folder() / "data") / source.name
    file = folder / name
    if file.exists() and _is_whole(file.read_bytes(), source, name):
        return file
    failures = []
    for mirror in source.mirrors:
        try:
            progress.say(f"downloading {mirror}{name}")
            with urllib.request.urlopen(mirror + name, timeout=TIMEOUT) as response:
                content: bytes = response.read()
        except OSError as error:  # no network, no such host, refused, timed out, 404
            failures.append(f"{mirror}: {getattr(error, 'reason', error)}")
            continue
        if not _is_whole(content, source, name):
            failures.append(f"{mirror}: {len(content)} bytes with the wrong checksum")
            continue
        try:
            if not chosen:
                make_cache_folder()
            folder.mkdir(parents=True, exist_ok=True)
            with storage.replacing(file) as target:
                target.write(content)
        except OSError as error:
            raise checks.Error(
                f"cannot keep {file}: {error.strerror}; set JITNET_DATA_DIR to a writable folder"
            ) from None
        return file
    raise checks.Error(
        f"could not download {name} of {source.name} ({'; '.join(failures)}); connect to the network, or fetch the "
        f"four files elsewhere and put them into {folder}, or say where they are with path=FOLDER (--path FOLDER)"
    )


def _is_whole(content: bytes, source: Source, name: str) -> bool:
    return hashlib.new(source.hash, content, usedforsecurity=False).hexdigest() == source.files[name]
