"""Large CSV files by pyarrow: the table that `csv_file.Reader` gives, or None where pyarrow might read another one."""

import contextlib
import csv
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cells import DIGITS, MISSING, are_whole, is_code, is_missing, numbers_of
from .dialect import Dialect

QUOTE, NEWLINE = ord('"'), ord("\n")
PORTION = 1 << 24
"""Bytes that are examined at a time."""
SAMPLE = 1 << 17
"""Bytes at each of three places that tell what the columns hold."""


def read_by_pyarrow(data: bytes, dialect: Dialect) -> tuple[list[NDArray[Any]], range] | None:
    """The values of each column, and the line of each row; None if pyarrow is missing or the file is unusual.

    Unusual are quotes that do not enclose whole cells, line breaks within quotes, lines that are blank or of another
    width, comments between rows, and Mac line ends.
    """
    try:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv
    except ImportError:
        return None
    start = 0
    for _ in range(dialect.skipped + dialect.has_header):
        start = data.find(b"\n", start) + 1
    head = data[:start]
    end = len(data.rstrip(b"\r\n")) if data[-2:-1] in (b"\r", b"\n") else len(data)
    lines = data.count(b"\n", start, end - 1) + 1
    if (start == 0) != (dialect.skipped + dialect.has_header == 0) or head.count(b'"') % 2 or lines < 2:
        return None
    returns = data.count(b"\r", start, end)
    if data.find(b"\n#", max(start - 1, 0)) >= 0 or (returns and returns != data.count(b"\r\n", start, end)):
        return None
    body = memoryview(data)[start:end]
    if data.find(b'"', start) >= 0 and not _quotes_enclose_cells(body, ord(dialect.separator)):
        return None
    kinds = _kinds(data, start, end, dialect)
    if kinds is None:
        return None
    types = {"decimal": pa.float64(), "whole": pa.string(), "text": pa.dictionary(pa.int32(), pa.string())}
    for attempt in (kinds, ["text"] * len(kinds)):  # where a text follows after many numbers, all is read as text
        try:
            columns = arrow_csv.read_csv(
                pa.BufferReader(pa.py_buffer(body)),
                read_options=arrow_csv.ReadOptions(column_names=[str(j) for j in range(len(kinds))]),
                parse_options=arrow_csv.ParseOptions(delimiter=dialect.separator),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={str(j): types[kind] for j, kind in enumerate(attempt)}, null_values=_spellings(),
                    strings_can_be_null=True, quoted_strings_can_be_null=True, decimal_point=dialect.decimal,
                ),
            ).columns  # fmt: skip
            break
        except pa.ArrowException:
            columns = []
    if not columns or len(columns[0]) != lines:
        return None
    values: list[NDArray[Any]] = []
    while columns:  # one at a time, so that memory holds few of them twice
        one = _values(columns.pop(0), dialect)
        if one is None:
            return None
        values.append(one)
    if _has_blank_rows(values):
        return None
    first = dialect.skipped + dialect.has_header + 1
    return values, range(first, first + lines)


def _quotes_enclose_cells(body: memoryview, separator: int) -> bool:
    """True if quotes open at the start of a cell and close at its end, in one line; two within a cell count as one."""
    octets = np.frombuffer(body, np.uint8)
    edges = np.array([separator, NEWLINE, ord("\r"), QUOTE], np.uint8)
    is_open = 0
    for first in range(0, len(octets), PORTION):
        part = octets[first : first + PORTION]
        at = np.flatnonzero((part == QUOTE) | (part == NEWLINE))
        is_quote = part[at] == QUOTE
        opens = ((is_open + np.cumsum(is_quote)) % 2).astype(bool)  # the state after each
        if (opens & ~is_quote).any():
            return False  # a line break within quotes
        places = at[is_quote] + first
        before, after = places[opens[is_quote]] - 1, places[~opens[is_quote]] + 1
        if (
            not np.isin(octets[before[before >= 0]], edges).all()
            or not np.isin(octets[after[after < len(octets)]], edges).all()
        ):
            return False
        is_open = (is_open + int(is_quote.sum())) % 2
    return not is_open


def _kinds(data: bytes, start: int, end: int, dialect: Dialect) -> list[str] | None:
    """Decimal, whole or text: what each column seems to hold, from rows at the start, in the middle and at the end."""
    rows: list[list[str]] = []
    for place in (start, (start + end) // 2, max(start, end - SAMPLE)):
        text = data[place : place + SAMPLE].decode("utf-8", "replace").split("\n")[place > start : -1]
        rows += csv.reader(text, delimiter=dialect.separator, skipinitialspace=True)
    if not rows or {len(row) for row in rows} != {len(dialect.names)}:
        return None
    kinds = []
    for cells in zip(*rows, strict=True):
        words = [cell.strip() for cell in cells]
        if dialect.decimal == ",":
            words = [word.replace(",", ".") for word in words]
        numbers = numbers_of(words)
        kinds.append("text" if numbers is None else "whole" if are_whole(words) else "decimal")
    return kinds


def _spellings() -> list[str]:
    """The spellings of a missing cell in lower and upper case."""
    return [
        "".join(letters)
        for word in MISSING
        for letters in itertools.product(*({letter, letter.upper()} for letter in word))
    ]


def _values(column: Any, dialect: Dialect) -> NDArray[Any] | None:
    """The values of a column of pyarrow; None if Python reads another number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type):
        if not _needs_python(column):
            with contextlib.suppress(pa.ArrowException):
                column = pc.cast(column, pa.float64())
        if pa.types.is_string(column.type):
            column = column.dictionary_encode()
    if pa.types.is_floating(column.type):
        values = column.to_numpy()
        if np.isinf(values).any() or np.isnan(values).sum() != column.null_count:
            return None
        return np.require(values, np.float64, ["C", "W"])
    merged = column.unify_dictionaries().combine_chunks()
    if isinstance(merged, pa.ChunkedArray):
        merged = merged.chunk(0)
    words = [word.strip() for word in merged.dictionary.to_pylist()]
    present = [word for word in words if not is_missing(word)]
    places = merged.indices.fill_null(len(words)).to_numpy()
    numbers = None
    if dialect.decimal == "." or not any("." in word for word in present):
        numbers = numbers_of([word.replace(",", ".") for word in words] if dialect.decimal == "," else words)
    if numbers is not None and not (are_whole(words) and any(map(is_code, present))):
        return np.asarray(np.append(numbers, np.nan)[places])
    texts = np.array([*(None if is_missing(word) else word for word in words), None], object)
    return np.asarray(texts[places])


def _needs_python(column: Any) -> bool:
    """True if one of the texts could be a code, such as 007."""
    import pyarrow.compute as pc

    lengths = pc.binary_length(column)
    zero = pc.and_(pc.starts_with(column, "0"), pc.greater(lengths, 1))
    signed = pc.and_(pc.match_substring_regex(column, r"^[+-]"), pc.greater(lengths, 1))
    longest = pc.max(lengths).as_py()
    return longest is None or longest > DIGITS or pc.any(zero).as_py() or pc.any(signed).as_py()


def _has_blank_rows(values: list[NDArray[Any]]) -> bool:
    rows = np.arange(len(values[0]))
    for column in values:
        cells = column[rows]
        missing = np.array([cell is None for cell in cells], bool) if column.dtype == object else np.isnan(cells)
        rows = rows[missing]
        if not len(rows):
            return False
    return True
