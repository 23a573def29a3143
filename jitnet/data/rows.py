"""Rows given in Python as a table: arrays, DataFrames, dictionaries."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..checks import shown
from .cells import are_whole, is_code, is_missing, numbers_of
from .table import Column, Table
from .values import spelled


def table_of(X: Any) -> Table:
    """X as a table.

    X    an array (m, columns) in the order of the file, a DataFrame, a list of dictionaries, a dictionary of columns,
         or a table
    Errors    ValueError for anything else, and if there are no rows
    """
    if isinstance(X, Table):
        return X
    if hasattr(X, "to_dict") and hasattr(X, "columns"):  # pandas, polars
        table = Table([Column(str(name), values_of(X[name])) for name in X.columns], "X", "frame", True)
    elif isinstance(X, Mapping):
        table = Table([Column(str(name), values_of(cells)) for name, cells in X.items()], "X", "frame", True)
    elif isinstance(X, Sequence) and len(X) and all(isinstance(row, Mapping) for row in X):
        names = dict.fromkeys(name for row in X for name in row)
        columns = [Column(str(name), values_of([row.get(name) for row in X])) for name in names]
        table = Table(columns, "X", "frame", True)
    else:
        table = _of_array(X)
    lengths = {len(column.values) for column in table.columns}
    if len(lengths) > 1:
        raise checks.Error(f"the columns of X have different lengths: {sorted(lengths)}")
    if not table.names or not len(table):
        raise checks.Error("X is empty: it has no rows")
    return table


def _of_array(X: Any) -> Table:
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise checks.Error(f"X is not a rectangular array: {error}") from None
    if array.ndim > 2:  # images
        array = array.reshape(len(array), -1)
    if array.ndim != 2:
        raise checks.Error(f"X has shape {array.shape}, but must be (m, columns): one sample per row")
    if array.dtype.kind in "fiub" and not (array.dtype.kind == "f" and np.isnan(array).any()):
        return Table([], "X", "npz", matrix=array if array.dtype.kind == "f" else array.astype(np.float64))
    columns = [Column(str(j + 1), values_of(array[:, j])) for j in range(array.shape[1])]
    return Table(columns, "X", "npz")


def values_of(cells: Any) -> NDArray[Any]:
    """Cells of any kind as the values of a column, by the rules for the cells of a CSV."""
    kind = getattr(getattr(cells, "dtype", None), "kind", "O")
    if isinstance(cells, np.ndarray) and kind in "fiu":
        return cells.astype(np.float64)
    listed = next((getattr(cells, name)() for name in ("tolist", "to_list") if hasattr(cells, name)), cells)
    texts = [_text(cell) for cell in listed]
    numbers = numbers_of(texts)
    if numbers is not None and not (are_whole(texts) and any(map(is_code, texts))):
        return numbers
    values = np.empty(len(texts), object)
    values[:] = [None if is_missing(text) else text for text in texts]
    return values


def _text(cell: Any) -> str:
    """The cell as a CSV would have it."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType") or cell != cell:
        return ""
    if isinstance(cell, date):  # and datetime
        return cell.isoformat(*[" "] * hasattr(cell, "hour"))
    if isinstance(cell, str):
        return cell.strip()
    try:
        return spelled(cell)
    except (TypeError, ValueError):
        raise checks.Error(f"X holds {shown(cell)}, but must hold numbers, text or dates") from None
