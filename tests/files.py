"""Small files and tables that several tests write."""

import gzip
import struct

import numpy as np

from jitnet.data import Column, Table


def csv(tmp_path, text, name="data.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def idx_bytes(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder, train=20, test=10, compress=True):
    """The four files of MNIST, with a few samples."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for part, n in (("train", train), ("t10k", test)):
        images, labels = rng.integers(0, 256, (n, 28, 28), np.uint8), (np.arange(n) % 10).astype(np.uint8)
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            content = idx_bytes(array)
            if compress:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
            else:
                (folder / name).write_bytes(content)
    return folder


def table_of(X, y, kind="csv"):
    """A table of the columns 0, 1, 2, ... of X, or of an array for the other kinds, and the target y."""
    X = np.asarray(X, float)
    columns = [Column(str(j), values) for j, values in enumerate(X.T)] if kind == "csv" else []
    if y is not None:
        y = np.asarray(y)
        columns.append(Column("y", y.astype(object if y.dtype.kind in "UO" else float)))
    return Table(columns, "a table", kind, kind == "csv", target="y", matrix=None if kind == "csv" else X)
