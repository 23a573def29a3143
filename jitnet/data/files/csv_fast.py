"""Large CSV files with pyarrow: the same table as `csv_file.Reader`, or None if pyarrow might read a different one."""

import contextlib
import csv
import importlib.util
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...spelling import DIGITS
from ..cells import MISSING, are_whole, has_code, is_missing, numbers_of
from ..words import Words
from .builder import Builder
from .dialect import Dialect

QUOTE, NEWLINE = ord('"'), ord("\n")
PORTION = 1 << 21
"""Bytes that are examined at a time."""
BLOCK = 1 << 12
"""Strings that are converted to Python's at a time."""
WHITESPACE = "".join(character for character in map(chr, range(0x3001)) if character.isspace())
"""All that `str.strip` removes. pyarrow's own list is a table that takes 0.2 s to fill."""
SHORT = 10**6
"""A text that is read as a smaller number, and has as many characters as its digits and sign, is written like it.

Larger numbers can have other texts of that length, such as 0xFFFFF.
"""
SAMPLE = 1 << 17
"""Bytes that are sampled at each of three places to guess the types of the columns."""


def read_by_pyarrow(data: bytes, dialect: Dialect) -> tuple[list[NDArray[np.float64] | Words], range] | None:
    """The cells of each column, and the line of each row; None if pyarrow is missing or the file is unusual.

    Unusual files have quotes that do not enclose whole cells, line breaks within quotes, lines that are blank or have
    another number of cells (such as comments), or Mac line ends.
    """
    if importlib.util.find_spec("pyarrow") is None:
        return None
    start, blank = 0, b' \t\r\n"' + dialect.separator.encode()
    for line in range(dialect.skipped + dialect.has_header):
        until = data.find(b"\n", start) + 1
        if line == dialect.skipped and not data[start:until].strip(blank):
            return None
        start = until
    end = len(data.rstrip(b"\r\n")) if data[-2:-1] in (b"\r", b"\n") else len(data)
    lines = data.count(b"\n", start, end - 1) + 1
    if (start == 0) != (dialect.skipped + dialect.has_header == 0) or data.count(b'"', 0, start) % 2 or lines < 2:
        return None
    if _holds(data, b"\r", start) and data.count(b"\r", start, end) != data.count(b"\r\n", start, end):
        return None
    body = memoryview(data)[start:end]
    if _holds(data, b'"', start) and not _quotes_enclose_cells(body, ord(dialect.separator)):
        return None
    kinds = _kinds(data, start, end, dialect)
    if kinds is None:
        return None
    are_text = [kind in ("text", "names") for kind in kinds]
    arrays = iter(np.empty((are_text.count(False), lines)))  # one allocation: the system gives large pages for it
    builders = [Builder(dialect.decimal, is_text, None if is_text else next(arrays)) for is_text in are_text]
    wanted: Sequence[int] = range(len(kinds))
    for _ in range(2):  # columns that turned out to be text are read once more
        total = 0
        for place, until in _pieces(data, start, end):
            columns = _columns(body[place - start : until - start], dialect, kinds, wanted)
            if columns is None:
                return None
            total += len(columns[0])
            for j in wanted:  # one at a time, so that memory holds few of them twice
                if not _add(builders[j], columns.pop(0)):
                    return None
        if total != lines:
            return None
        wanted = [j for j, builder in enumerate(builders) if builder.must_restart()]
        kinds = ["text"] * len(kinds)
        if not wanted:
            break
    cells = [builder.cells() for builder in builders]
    if _has_blank_rows(cells):
        return None
    first = dialect.skipped + dialect.has_header + 1
    return cells, range(first, first + lines)


def _holds(data: bytes, character: bytes, start: int) -> bool:
    """A search for one character is many times as fast as one for two."""
    return data.find(character, start) >= 0


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
    """What each column seems to hold, from rows at the start, in the middle and at the end.

    Numbers are decimal or whole; in a column of text, equal cells become one string, in one of names most differ.
    """
    rows: list[list[str]] = []
    for place in (start, (start + end) // 2, max(start, end - SAMPLE)):
        text = data[place : place + SAMPLE].decode("utf-8", "replace").split("\n")[place > start : -1]
        rows += csv.reader(text, delimiter=dialect.separator, skipinitialspace=True)
    if not rows or {len(row) for row in rows} != {len(dialect.names)}:
        return None
    kinds: list[str] = []
    for cells in zip(*rows, strict=True):
        words = [cell.strip() for cell in cells]
        if dialect.decimal == ",":
            words = [word.replace(",", ".") for word in words]
        numbers = numbers_of(words)
        is_whole = numbers is not None and are_whole(words)
        is_text = numbers is None or (is_whole and has_code(words))
        varied = "names" if numbers is None and 2 * len(set(words)) > len(words) else "text"
        kinds.append(varied if is_text else "whole" if is_whole else "decimal")
    return kinds


def _spellings() -> list[str]:
    """The spellings of a missing cell in lower and upper case."""
    return [
        "".join(letters)
        for word in MISSING
        for letters in itertools.product(*({letter, letter.upper()} for letter in word))
    ]


def _pieces(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Whole lines, of about PORTION bytes: pyarrow copies its input, so memory holds a second copy only of these."""
    while start < end:
        until = data.find(b"\n", min(start + PORTION, end), end) + 1 or end
        yield start, until
        start = until


def _columns(text: memoryview, dialect: Dialect, kinds: list[str], wanted: Sequence[int]) -> list[Any] | None:
    """The wanted columns of some lines; as text if a cell does not have the type guessed from the samples."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    categories = pa.dictionary(pa.int32(), pa.string())
    types = {"decimal": pa.float64(), "whole": pa.string(), "text": categories, "names": pa.string()}
    for attempt in (kinds, ["text"] * len(kinds)):
        with contextlib.suppress(pa.ArrowException):
            table = arrow_csv.read_csv(
                pa.BufferReader(pa.py_buffer(text)),
                read_options=arrow_csv.ReadOptions(column_names=[str(j) for j in range(len(kinds))]),
                parse_options=arrow_csv.ParseOptions(delimiter=dialect.separator),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={str(j): types[kind] for j, kind in enumerate(attempt)},
                    include_columns=[str(j) for j in wanted], null_values=_spellings(), strings_can_be_null=True,
                    quoted_strings_can_be_null=True, decimal_point=dialect.decimal,
                ),
            )  # fmt: skip
            return list(table.columns)
    return None


def _add(builder: Builder, column: Any) -> bool:
    """Add a pyarrow column; False if Python would read a different number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type):
        if builder.is_text:
            if pc.utf8_trim(column, characters=WHITESPACE).equals(column):
                texts = pa.concat_arrays(column.chunks)  # without the memory that was reserved for more
                builder.add_texts(ArrowTexts(texts), _missing(texts))
                return True
        elif (whole := _whole_numbers(column)) is not None:
            builder.add_numbers(whole, are_whole=True)
            return True
        column = column.dictionary_encode()
    if pa.types.is_floating(column.type):
        for chunk in column.chunks:
            values = _numbers(chunk, np.float64)
            values = np.where(_missing(chunk), np.nan, values) if chunk.null_count else values
            if np.count_nonzero(np.isfinite(values)) != len(values) - chunk.null_count:
                return False
            builder.add_numbers(values, are_whole=False)
        return True
    merged = column.unify_dictionaries().combine_chunks()
    if isinstance(merged, pa.ChunkedArray):
        merged = merged.chunk(0)
    quoted = merged.dictionary.to_pylist()
    words = list(map(str.strip, quoted))
    places = np.where(_missing(merged.indices), len(words), _numbers(merged.indices, np.int32))
    if words != quoted:  # then there can be spellings of missing cells that pyarrow does not know
        places = np.where(np.array([*map(is_missing, words), False])[places], len(words), places)
    builder.add_words(words, places)
    return True


def _numbers(array: Any, dtype: type[np.generic]) -> NDArray[Any]:
    """The numbers of a pyarrow array, where it is not null. Its `to_numpy` imports pandas, which takes 0.3 s."""
    return np.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]


def _missing(array: Any) -> NDArray[np.bool_]:
    """(n,) True where a pyarrow array is null."""
    if not array.null_count:
        return np.zeros(len(array), bool)
    bits = np.unpackbits(np.frombuffer(array.buffers()[0], np.uint8), bitorder="little")
    return np.asarray(bits[array.offset : array.offset + len(array)] == 0)


class ArrowTexts(Sequence[str]):
    """The strings of a pyarrow array, which takes less memory than Python's strings; "" for null."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, place: Any) -> Any:
        return self._array[place].as_py() or ""

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BLOCK):
            for text in self._array.slice(start, BLOCK).to_pylist():
                yield text or ""


def _whole_numbers(column: Any) -> NDArray[np.float64] | None:
    """The texts as numbers, if they are written as Python would write them; so no text is a code, such as 007."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with contextlib.suppress(pa.ArrowException):
        whole = pc.cast(column, pa.int64())
        numbers = pa.concat_arrays(pc.cast(whole, pa.float64()).chunks)
        values = np.where(_missing(numbers), np.nan, _numbers(numbers, np.float64))
        sizes = np.abs(values)
        largest = np.nanmax(sizes, initial=0)
        if largest < SHORT:  # the length is enough, and takes less time than the comparison below
            lengths = _numbers(pa.concat_arrays(pc.binary_length(column).chunks), np.int32)
            digits = 1 + sum((sizes >= 10**k).astype(np.int8) for k in range(1, len(f"{largest:.0f}")))
            if ((lengths == digits + (values < 0)) | np.isnan(values)).all():
                return values
        elif largest < 10**DIGITS and pc.cast(whole, pa.string()).equals(column):
            return values
    return None


def _has_blank_rows(columns: list[NDArray[np.float64] | Words]) -> bool:
    blank = np.ones(len(columns[0]), bool)
    for cells in columns:
        blank &= cells.missing if isinstance(cells, Words) else np.isnan(cells)
        if not blank.any():
            return False
    return True
