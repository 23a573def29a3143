"""NPZ files with arrays X and y as tables; `jitnet.npz` reads the archive."""

import math
from pathlib import Path

import numpy as np

from ... import checks, npz
from ...spelling import DIGITS
from ..table import Column, Table


def read_npz(path: str | Path, needs_target: bool) -> Table:
    """X (n, ...) as the features, and y (n,) as the target, which may be missing in a file for predictions."""
    with npz.opened(path, ".npz file") as archive:
        names = archive.names
        missing = [name for name in ("X", "y") if name not in names and (name == "X" or needs_target)]
        if missing:
            raise checks.Error(f"{path} lacks {' and '.join(missing)}; it holds: {checks.some(names) or 'nothing'}")
        shape, dtype = archive.form("X")
        if len(shape) < 2 or math.prod(shape) == 0 or dtype.kind not in "fiub":
            raise checks.Error(
                f"X in {path} is {shape} {dtype}, but must be numbers (n, ...), one sample per row, at least one"
            )
        columns = []
        if "y" in names:
            its_shape, its_dtype = archive.form("y")
            if its_shape not in ((shape[0],), (shape[0], 1)) or its_dtype.kind not in "fiubU":
                raise checks.Error(
                    f"y in {path} is {its_shape} {its_dtype}, but must be numbers or strings ({shape[0]},)"
                )
            y = archive.array("y").ravel()
            is_long = its_dtype.kind in "iu" and max(abs(int(y.min())), abs(int(y.max()))) >= 10**DIGITS
            is_text = its_dtype.kind in "Ub" or is_long  # True is not 1, and float64 cannot represent long numbers
            columns = [Column("y", y.astype(str).astype(object) if is_text else y.astype(np.float64))]
        X = archive.array("X", np.dtype(np.float64))
    return Table(columns, str(path), "npz", target="y", matrix=X.reshape(len(X), -1), are_images=len(shape) > 2)
