"""Parquet files, with pyarrow."""

import importlib.util
from typing import Any

import numpy as np

from ... import checks
from ..frames import values_of
from ..table import Column, Table, called


def read_parquet(data: bytes, source: str) -> Table:
    """The columns of a Parquet file; numbers keep their values, the rest becomes text, nulls are missing.

    Columns of lists, structures or bytes are left out; a warning names each.

    Errors    ValueError if pyarrow is missing, the file is damaged, or no column can be read
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise checks.Error(f"{source} is a Parquet file, which needs pyarrow: pip install 'jitnet[data]'")
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(pa.BufferReader(pa.py_buffer(data))).read()  # two columns can have one name
        types = (table.schema.pandas_metadata or {}).get("columns", [])
        categories = {entry["name"] for entry in types if entry["pandas_type"] == "categorical"}
    except Exception as error:  # a damaged file can cause any exception in its reader
        raise checks.Error(f"{source} is not a readable Parquet file: {checks.reason(error)}") from None
    if table.num_rows == 0 or table.num_columns == 0:
        raise checks.Error(f"{source} is empty: it has no rows")
    columns, notes, unread = [], [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            unread.append(
                f"{called(name)} holds {column.type} and is not read; to learn from it, spread it over columns"
            )
        else:
            notes += [f"{called(name)} holds durations, which become hours"] * pa.types.is_duration(column.type)
            columns.append(Column(name, _values(column), pa.types.is_dictionary(column.type) or name in categories))
    if not columns:
        raise checks.Error(f"{source}: {unread[0]}")
    return Table(columns, source, "parquet", True, notes=notes + unread, guesses=unread)


def _values(column: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        return np.require(column.to_numpy(), np.float64, ["C", "W"])
    if pa.types.is_integer(column.type) and column.null_count == 0:
        return values_of(column.to_numpy())
    return values_of(column.to_pylist())
