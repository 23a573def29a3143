"""Parquet files, with pyarrow."""

import importlib.util
from typing import Any

import numpy as np

from ... import checks
from ..frames import durations_note, values_of
from ..table import Column, Table, called

BINARY = ("binary", "large_binary", "fixed_size_binary")
"""How the names of the types of bytes begin."""


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
    columns: list[Column] = []
    unread: dict[str, str] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = str(column.type)
        is_binary = kind.startswith(BINARY)
        if is_binary or pa.types.is_nested(column.type):
            how = "write numbers or text" if is_binary else "spread it over columns"
            unread[name] = f"{called(name)} holds {kind} and is not read; to learn from it, {how}"
        else:
            is_category = pa.types.is_dictionary(column.type) or name in categories
            columns.append(Column(name, _values(column), is_category, durations_note(name, kind)))
    sentences = list(unread.values())
    if not columns:
        raise checks.Error(f"{source}: {sentences[0]}")
    notes = [column.note for column in columns if column.note] + sentences
    return Table(columns, source, "parquet", True, notes=notes, guesses=sentences, unread=unread)


def _values(column: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        return np.require(column.to_numpy(), np.float64, ["C", "W"])
    if pa.types.is_integer(column.type) and column.null_count == 0:
        return values_of(column.to_numpy())
    return values_of(column.to_pylist())
