"""Tables: CSV files, NPZ files with X and y, IDX images with their labels."""

import csv
import io
import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks, npz
from ..checks import count, shown
from .idx import images_and_labels, is_idx, read_idx, scaled


@dataclass
class Table:
    """Features and target."""

    X: NDArray[Any]
    """(n, n_in) floating-point numbers."""
    y: NDArray[Any] | None
    """(n,) the cells of a CSV as strings, or the numbers or strings of an array; None if there is no target."""
    features: list[str]
    """Names of the columns of X."""
    target: str
    """Name of the target."""
    kind: str
    """"csv", "npz" or "pictures"."""


NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""Each string matches in at most one way, so that a long string that does not match takes linear time."""
MISSING = ("", "?", "na", "n/a", "nan", "null")


def read_table(
    path: str | Path,
    target: str | None = None,
    *,
    labels: str | Path | None = None,
    features: list[str] | None = None,
) -> Table:
    """Read a CSV, NPZ or IDX file.

    CSV   separated by comma, semicolon or tab; the first row is a header if it has the target's name or no cell that
          is a number, otherwise the columns are called 1, 2, 3, ...; `target` names the column to learn; all others
          must be numbers
    NPZ   arrays X (n, ...) and y (n,)
    IDX   images; the labels are in the file `labels`, or in the one that MNIST's naming scheme gives
    features   for predictions: the columns to read; `target` is then optional

    Limits    memory: a table becomes float64, images float32. An NPZ or gzipped file whose headers declare more than
              the file can hold is rejected before memory is allocated; see `jitnet.npz`
    Errors    FileNotFoundError; ValueError with the file, line and column of the error, or with the memory that is
              needed
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {path}")
    with checks.fits_into_memory(path):
        return _read_table(path, target, labels, features)


def _read_table(path: str | Path, target: str | None, labels: str | Path | None, features: list[str] | None) -> Table:
    kind = "npz" if Path(path).suffix == ".npz" else "pictures" if is_idx(path) else "csv"
    if labels is not None and kind != "pictures":
        raise checks.Error(f"a separate file of labels belongs to IDX images, not to {path}")
    if target is not None and kind != "csv" and features is None:
        raise checks.Error(f"a target is named only for a CSV file; that of {path} is y, or the labels of the images")
    if kind == "npz":
        return _read_npz(path, needs_target=features is None)
    if kind == "pictures":
        return _read_pictures(path, labels, needs_target=features is None or labels is not None)
    return _read_csv(path, target, features)


def is_number(cell: str) -> bool:
    """True for a plain decimal number."""
    return NUMBER.fullmatch(cell) is not None


def _read_rows(path: str | Path, target: str | None) -> tuple[list[str], list[tuple[int, list[str]]], bool]:
    """Column names, numbered rows, and whether the names came from a header."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise checks.Error(f"{path} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from None
    first_line = re.sub('"[^"]*"', "", text.lstrip("\n\r")).partition("\n")[0]
    separator = max(",;\t", key=first_line.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
        rows = [
            (reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise checks.Error(f"{path}, line {reader.line_num}: {error}") from None
    if not rows:
        raise checks.Error(f"{path} is empty")
    first = rows[0][1]
    has_header = target in first or not any(is_number(cell) for cell in first)
    names = rows.pop(0)[1] if has_header else [str(i + 1) for i in range(len(first))]
    if not rows:
        raise checks.Error(f"{path} has a header but no rows")
    for line, row in rows:
        if len(row) != len(names):
            cells, columns = count(len(row), "cell"), count(len(names), "column")
            raise checks.Error(f"{path}, line {line} has {cells}, but the table has {columns}")
    return names, rows, has_header


def _read_csv(path: str | Path, target: str | None, features: list[str] | None) -> Table:
    names, rows, has_header = _read_rows(path, target)
    needed = None if features is None else {*features, target}
    times = Counter(name for name in names if needed is None or name in needed)
    twice = next((name for name in names if times[name] > 1), None)
    if twice is not None:
        raise checks.Error(f"{path} has two columns called {shown(twice)}; rename one")
    if features is not None:
        if not has_header and len(names) == len(features):  # no target column, so numbers shift
            names = features
        there = set(names)
        missing = [name for name in features if name not in there]
        if missing:
            hint = "" if has_header else "; it seems to have no header"
            raise checks.Error(f"{path} lacks the columns {checks.some(missing, 5)} that the model learned from{hint}")
        chosen = features
    else:
        if target is None:
            raise checks.Error(f"name the column of {path} to learn with --target NAME; columns: {checks.some(names)}")
        checks.one_of(f"target column of {path}", target, names)
        chosen = [name for name in names if name != target]
        if not chosen:
            raise checks.Error(f"{path} has no column besides the target {shown(target)} to learn from")
    place = {name: column for column, name in enumerate(names)}
    X = np.empty((len(rows), len(chosen)))
    for j, name in enumerate(chosen):
        column = place[name]
        for i, (line, row) in enumerate(rows):
            X[i, j] = _number(row[column], path, line, name)
    y = None
    if target in place:
        cells = [row[place[target]] for _, row in rows]
        blank = next((i for i, cell in enumerate(cells) if cell.lower() in MISSING), None)
        if blank is not None and features is None:
            raise checks.Error(
                f"{path}, line {rows[blank][0]}: the target {shown(target)} is missing (cell {shown(cells[blank])})"
            )
        # As objects: in an array of strings each would take as much memory as the longest
        y = np.array(cells, object) if blank is None else None  # a file for predictions can lack some answers
    return Table(X, y, chosen, target or "", "csv")


def _number(cell: str, path: str | Path, line: int, name: str) -> float:
    value = float(cell) if is_number(cell) else math.nan
    if not math.isfinite(value):
        what = f"{shown(cell)} is" if cell else "an empty cell is"
        raise checks.Error(
            f"{path}, line {line}, column {shown(name)}: {what} not a finite number, and every column but the target "
            "needs one; turn it into a number, or leave the row or the column out"
        )
    return value


def _read_npz(path: str | Path, needs_target: bool) -> Table:
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
        y = None
        if "y" in names:
            its_shape, its_dtype = archive.form("y")
            if its_shape not in ((shape[0],), (shape[0], 1)) or its_dtype.kind not in "fiubU":
                raise checks.Error(
                    f"y in {path} is {its_shape} {its_dtype}, but must be numbers or strings ({shape[0]},)"
                )
            y = archive.array("y", np.dtype(np.int64) if its_dtype.kind == "b" else None).ravel()
        X = archive.array("X", np.dtype(np.float64))
    rows = X.reshape(len(X), -1)
    return Table(rows, y, [str(i + 1) for i in range(rows.shape[1])], "y", "npz")


def _read_pictures(path: str | Path, labels: str | Path | None, needs_target: bool) -> Table:
    images = read_idx(path)
    if images.ndim < 2:
        raise checks.Error(f"{path} holds {images.shape}: these seem to be labels; give the file with the images")
    X, y = scaled(images, str(path)), None
    if needs_target:
        beside = Path(labels) if labels else _labels_beside(Path(path))
        X, y = images_and_labels(images, read_idx(beside), f"{path} and {beside}")
    return Table(X, y, [str(i + 1) for i in range(X.shape[1])], "label", "pictures")


def _labels_beside(path: Path) -> Path:
    name = path.name.replace("images", "labels").replace("idx3", "idx1")
    for candidate in (name, name.removesuffix(".gz"), name + ".gz"):
        if candidate != path.name and (path.parent / candidate).exists():
            return path.parent / candidate
    raise checks.Error(f"no labels found next to {path}; name their file with --labels FILE")
