"""NPZ files with arrays X and y as tables; `jitnet.npz` reads the archive."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from ... import checks, npz
from ..frames import table_of, values_of
from ..table import Column, Table


def read_npz(path: str | Path, needs_target: bool) -> Table:
    """X (n, ...) as the features, and y (n,) as the target, which may be missing in a file for predictions."""
    with npz.opened(path, ".npz file") as archive:
        names = archive.names
        missing = [name for name in ("X", "y") if name not in names and (name == "X" or needs_target)]
        if missing:
            is_model = "about.json" in archive.members
            hint = "it is a jitnet model: jitnet predict uses it" if is_model else "write numpy.savez(FILE, X=X, y=y)"
            holds = checks.some(names) or "nothing"
            raise checks.Error(f"{path} lacks {' and '.join(missing)}; it holds: {holds}; {hint}")
        shape, dtype = archive.form("X")
        if len(shape) < 2 or math.prod(shape) == 0 or dtype.kind not in "fiub":
            raise checks.Error(
                f"X in {path} is {shape} {dtype}, but must be numbers (n, ...), one sample per row, at least one"
            )
        columns = []
        if "y" in names:
            its_shape, its_dtype = archive.form("y")
            if its_shape not in ((shape[0],), (shape[0], 1)) or its_dtype.kind not in "fiubUS":
                hint = "; for one-hot rows, save y.argmax(axis=1)" if len(its_shape) > 1 else ""
                raise checks.Error(
                    f"y in {path} is {its_shape} {its_dtype}, but must be numbers or strings ({shape[0]},){hint}"
                )
            y = archive.array("y").ravel()
            columns = [Column("y", values_of(np.char.decode(y, "utf-8") if its_dtype.kind == "S" else y))]
        X = archive.array("X", None if dtype.kind in "iu" and dtype.itemsize == 8 else np.dtype(np.float64))
    rows = table_of(X)  # as in Python: an array with missing values becomes columns
    return replace(rows, columns=[*rows.columns, *columns], source=str(path), target="y")
