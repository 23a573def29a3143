"""Rows given in Python as a table: arrays, DataFrames, dictionaries."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date, time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..canonical import DIGITS, canonical, column_name, is_code
from ..checks import shown
from .cells import are_whole, numbers_of
from .missing import is_missing
from .table import Column, Table, called, expect_different


def table_of(X: Any) -> Table:
    """X as a table.

    X    an array (m, columns) in the order of the file, a DataFrame, a list of dictionaries, a dictionary of columns,
         or a table
    Errors    ValueError for anything else, and if there are no rows
    """
    if isinstance(X, Table):
        return X
    X = _plain(X)
    columns = _named_columns(X)
    table = _of_array(X) if columns is None else Table(columns, "X", "frame", True)
    table.notes += [column.note for column in table.columns if column.note]
    expect_different(table.names, "X")
    lengths = {len(column.cells) for column in table.columns}
    if len(lengths) > 1:
        raise checks.Error(f"the columns of X have different lengths: {sorted(lengths)}")
    if not table.names or not len(table):
        raise checks.Error("X is empty: it has no rows")
    return table


def _plain(X: Any) -> Any:
    """X as an array, a DataFrame, a dictionary or a list; an error for anything else says what to write."""
    if hasattr(X, "toarray"):  # scipy
        checks.expect_dense_fits("X", X.shape)
        X = X.toarray()
    if isinstance(X, (str, Path)):
        raise checks.Error(f"X is {shown(str(X))}, a string; read a file with jitnet.data.read_table")
    if hasattr(X, "collect"):  # polars
        raise checks.Error(f"X is a {type(X).__name__}; write X.collect()")
    if hasattr(X, "to_pydict"):  # pyarrow
        expect_different(X.schema.names, "X")  # a dictionary would have the last one of two
        X = {name: X.column(name) for name in X.schema.names}
    if getattr(getattr(X, "dtype", None), "names", None):  # NumPy's structured arrays
        X = {name: X[name] for name in X.dtype.names}
    if hasattr(X, "to_frame"):  # a Series
        raise checks.Error("X is a Series; write X.to_frame() for one column, or X.to_frame().T for one row of pandas")
    if isinstance(X, Iterator):
        raise checks.Error(f"X is a {type(X).__name__}, which can be read only once; write list(...)")
    return X


def _named_columns(X: Any) -> list[Column] | None:
    """The columns of a DataFrame, a dictionary or a list of dictionaries; None for anything without names."""
    if hasattr(X, "to_dict") and hasattr(X, "columns"):  # pandas, polars
        expect_different(map(str, X.columns), "X")
        columns = {name: X[name] for name in X.columns}
    elif isinstance(X, Mapping):
        if X and all(
            isinstance(cell, str) or not getattr(cell, "ndim", hasattr(cell, "__len__")) for cell in X.values()
        ):
            raise checks.Error("X is one row; write [X], a list of rows")
        columns = dict(X)
    elif isinstance(X, Sequence) and len(X) and all(isinstance(row, Mapping) for row in X):
        names = dict.fromkeys(name for row in X for name in row)
        columns = {name: [row.get(name) for row in X] for name in names}
    else:
        return None
    return [column_of(name, cells) for name, cells in columns.items()]


def are_counted(frame: Table) -> bool:
    """True for a frame whose columns have the names that a library gives them: 0, 1, ... or column_1, column_2, ..."""
    names = [name.removeprefix("column_") for name in frame.names]
    return frame.kind == "frame" and any(names == [str(first + j) for j in range(len(names))] for first in (0, 1))


def from_frame(X: Any, y: Any = None) -> Table:
    """Data in Python as a table with a target, for `Recipe.learn`.

    X    a DataFrame of pandas or polars, a dictionary of columns, a list of dictionaries, an array, a sparse matrix
    y    the name of a column of X, or a Series, list or array with one cell for each row; None for predictions
    Errors    ValueError if X and y differ in length, or contain anything but numbers, text and dates
    """
    found = table_of(X)
    if isinstance(y, (str, int, np.integer)) or (isinstance(y, tuple) and y in getattr(X, "columns", ())):
        found.target = checks.one_of("column of X", column_name(y), found.names)
    elif y is not None:
        y = one_column(y)
        _expect_one_order(X, y)
        name = next(
            name for name in (str(getattr(y, "name", None) or "y"), "y", "target", "the target") if name not in found
        )
        column = column_of(name, y)
        if len(column.cells) != len(found):
            raise checks.Error(f"X has {checks.count(len(found), 'row')}, but y has {len(column.cells)}")
        found = Table(
            [*found.columns, column], "X", found.kind, found.has_header, target=name, matrix=found.matrix,
            are_images=found.are_images, notes=found.notes + [column.note] * bool(column.note),
        )  # fmt: skip
    return found


def one_column(y: Any) -> Any:
    """The cells of y, one for each row."""
    if hasattr(y, "toarray"):  # scipy
        y = y.toarray()
    if isinstance(y, (Mapping, Set, Iterator)) or not hasattr(y, "__len__"):
        raise checks.Error(f"y is a {type(y).__name__}, but must be a list, array or Series with one cell for each row")
    if hasattr(y, "columns"):  # a DataFrame
        if len(y.columns) != 1:
            raise checks.Error(f"y has {len(y.columns)} columns, but must have one")
        y = y[y.columns[0]]
    return np.ravel(y) if isinstance(y, np.ndarray) and not np.ma.isMA(y) else y


def _expect_one_order(X: Any, y: Any) -> None:
    """An error if X and y of pandas have the same row labels in different orders: rows are matched by position."""
    first, second = (getattr(one, "index", None) for one in (X, y))
    if first is None or second is None or not (hasattr(first, "sort_values") and hasattr(second, "sort_values")):
        return
    if not first.equals(second) and first.sort_values().equals(second.sort_values()):
        raise checks.Error("X and y have the same index in different orders; write y.loc[X.index]")


def _of_array(X: Any) -> Table:
    try:
        array = X if isinstance(X, np.ma.MaskedArray) else np.asarray(X)
        if isinstance(X, Sequence) and array.dtype == np.float64 and _are_long(array):
            array = np.array(X, object)  # with the digits of whole numbers beside others
    except (ValueError, RuntimeError, TypeError) as error:  # the latter for tensors with gradients, and of bfloat16
        raise checks.Error(f"X is not a rectangular array: {checks.reason(error)}") from None
    are_images = array.ndim > 2
    if are_images:
        array = array.reshape(len(array), -1)
    if array.ndim != 2:
        raise checks.Error(f"X has shape {array.shape}, but must be (m, columns): one sample per row")
    if (
        array.dtype.kind in "fiub"
        and not (array.dtype.kind in "iu" and _are_long(array))
        and not np.ma.is_masked(array)
        and not np.isnan(array).any()
    ):
        array = np.ma.getdata(array)
        matrix = array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
        return Table([], "X", "npz", matrix=matrix, are_images=are_images)
    names = [str(j + 1) for j in range(array.shape[1])]
    columns = [
        Column(name, values_of(array[:, j]), note=durations_note(name, array.dtype)) for j, name in enumerate(names)
    ]
    return Table(columns, "X", "npz", are_images=are_images)


def column_of(name: Any, cells: Any) -> Column:
    """Cells of any kind as a column."""
    kind = getattr(cells, "dtype", getattr(cells, "type", ""))  # of NumPy, pandas, polars or pyarrow
    values = values_of(cells, f"column {shown(str(name))}")
    is_category = str(kind).lower().startswith(("category", "categorical", "enum", "dictionary"))
    return Column(str(name), values, is_category, durations_note(str(name), kind))


_DURATIONS = re.compile(r"timedelta64\[(?![YM]\])|[Dd]uration|dictionary<values=duration")


def durations_note(name: str, kind: Any) -> str:
    """The sentence about a column of this type of NumPy, pandas, polars or pyarrow; "" for other types."""
    return f"{called(name)} holds durations, which become hours" if _DURATIONS.match(str(kind)) else ""


def values_of(cells: Any, what: str = "X") -> NDArray[Any]:
    """Cells of any kind as the values of a column, by the rules for the cells of a CSV.

    Masked cells, None, NaN, NA and null are missing. `what` has these cells, for messages.
    """
    if isinstance(cells, np.ma.MaskedArray):
        mask, cells = np.ma.getmaskarray(cells), cells.data
        values = values_of(cells, what)
        values[mask] = None if values.dtype == object else np.nan
        return values
    if getattr(cells, "ndim", 1) != 1:
        raise checks.Error(f"{what} holds an array of shape {cells.shape}, but needs one cell for each row")
    numbers = _plain_numbers(cells)
    if numbers is not None:
        return numbers
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":  # nanoseconds become integers in a list
        cells = ["" if text == "NaT" else text.replace("T", " ") for text in np.datetime_as_string(cells).tolist()]
    if isinstance(cells, np.ndarray) and durations_note("", cells.dtype):  # years and months are numbers
        return cells / np.timedelta64(1, "h")
    listed = next(
        (getattr(cells, name)() for name in ("tolist", "to_list", "to_pylist") if hasattr(cells, name)), cells
    )
    texts = [_text(cell, what) for cell in listed]
    numbers = numbers_of(texts)
    if numbers is not None and not (are_whole(texts) and any(map(is_code, texts))):
        return numbers
    values = np.empty(len(texts), object)
    values[:] = [None if is_missing(text) else text for text in texts]
    return values


def _plain_numbers(cells: Any) -> NDArray[np.float64] | None:
    """An array or a Series of numbers as a whole; None if it has other cells, or whole numbers of many digits."""
    if isinstance(cells, np.ndarray):
        array = cells
    elif getattr(getattr(cells, "dtype", None), "kind", "") in ("f", "i", "u"):  # pandas, with NA
        array = cells.to_numpy(np.float64, na_value=np.nan) if str(cells.dtype)[0].isupper() else cells.to_numpy()
    elif getattr(getattr(cells, "dtype", None), "is_numeric", bool)() and "128" not in str(cells.dtype):
        # polars; nulls become NaN, and NumPy has no integers of 128 bits
        array = cells.to_numpy()
    else:
        return None
    are_whole = "int" in str(getattr(cells, "dtype", "")).lower()  # if values are missing, the array is float64
    return None if array.dtype.kind not in "fiu" or (are_whole and _are_long(array)) else np.array(array, np.float64)


def _are_long(whole: NDArray[Any]) -> bool:
    """True if whole numbers have digits that float64 would lose."""
    least, most = (of.reduce(np.ma.getdata(whole), axis=None, initial=0) for of in (np.fmin, np.fmax))  # without NaN
    return bool(max(-float(least), float(most)) >= 10**DIGITS)


def _text(cell: Any, what: str) -> str:
    """The cell as in a CSV."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return ""
    if getattr(cell, "ndim", 0):
        raise checks.Error(f"{what} holds {shown(cell)}, but must hold numbers, text or dates")
    if cell != cell:
        return ""
    if isinstance(cell, time):
        return cell.isoformat()
    if isinstance(cell, date):  # and datetime
        return cell.isoformat(*[" "] * hasattr(cell, "hour"))
    if isinstance(cell, bytes):  # as SciPy reads the words of ARFF files
        with contextlib.suppress(UnicodeDecodeError):
            return cell.decode().strip()
    if isinstance(cell, str):
        return cell.strip()
    if hasattr(cell, "total_seconds"):
        return repr(cell.total_seconds() / 3600)  # hours, as in workbooks
    if type(cell).__name__ in ("Period", "Interval"):  # of pandas
        return str(cell)
    if isinstance(cell, float) and abs(cell) >= 10**DIGITS:
        return repr(float(cell))  # a quantity; only long integers are codes
    try:
        return canonical(cell)
    except (TypeError, ValueError):
        raise checks.Error(f"{what} holds {shown(cell)}, but must hold numbers, text or dates") from None
