"""Large CSV files with pyarrow: the same table as `csv_file.Reader`, or None if pyarrow might read a different one.

The order of the work: the lines of a file are examined, so that pyarrow sees only files that both read alike; samples
give the type of each column; pyarrow reads some lines at a time; and `csv_arrow` adds them to the columns.
"""

import contextlib
import csv
import functools
import importlib.util
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cells import are_whole, has_code, numbers_of
from ..missing import MISSING
from ..text_column import Words
from .csv_arrow import UnusualError, add_column
from .csv_builder import Builder
from .csv_dialect import Dialect

QUOTE, NEWLINE = ord('"'), ord("\n")
PORTION = 1 << 21
"""Bytes that are examined at a time."""
SAMPLE = 1 << 17
"""Bytes that are sampled at each of three places to guess the types of the columns."""


def read_by_pyarrow(data: bytes, dialect: Dialect) -> tuple[list[NDArray[np.float64] | Words], range] | None:
    """The cells of each column, and the line of each row; None if pyarrow is missing or the file is unusual.

    Unusual files have quotes that do not enclose whole cells, line breaks within quotes, lines that are blank or have
    another number of cells (such as comments), or Mac line ends.
    """
    if importlib.util.find_spec("pyarrow") is None:
        return None
    try:
        lines = _lines_below_header(data, dialect)
        _expect_usual_characters(lines, dialect)
        cells = _cells(lines, dialect)
    except UnusualError:
        return None
    first = dialect.skipped + dialect.has_header + 1
    return cells, range(first, first + lines.number)


# -- the lines of the file -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Lines:
    """The lines data[start:end] of a file, without a copy, since it may be large. The last one may lack its end."""

    data: bytes
    start: int
    end: int

    @property
    def octets(self) -> memoryview:
        return memoryview(self.data)[self.start : self.end]

    @functools.cached_property
    def number(self) -> int:
        return self.data.count(b"\n", self.start, self.end - 1) + 1

    def count(self, text: bytes) -> int:
        return self.data.count(text, self.start, self.end)

    def hold(self, character: bytes) -> bool:
        """Whether there is one; to search for one character takes a fraction of the time of counting."""
        return self.data.find(character, self.start, self.end) >= 0

    def portions(self) -> Iterator[memoryview]:
        """Some lines at a time: pyarrow copies its input, so memory holds a second copy only of these."""
        start = self.start
        while start < self.end:
            until = self.data.find(b"\n", min(start + PORTION, self.end), self.end) + 1 or self.end
            yield memoryview(self.data)[start:until]
            start = until


def _lines_below_header(data: bytes, dialect: Dialect) -> _Lines:
    """Those of the rows, without blank ones at the end. Lines above them must be complete, and the header not blank."""
    start, blank = 0, b' \t\r\n"' + dialect.separator.encode()
    for line in range(dialect.skipped + dialect.has_header):
        until = data.find(b"\n", start) + 1
        is_header = line == dialect.skipped
        if until == 0 or (is_header and not data[start:until].strip(blank)):
            raise UnusualError
        start = until
    ends_with_blank_lines = data[-2:-1] in (b"\r", b"\n")
    if ends_with_blank_lines and len(dialect.names) == 1:  # which may be missing cells, and are named in a note
        raise UnusualError
    return _Lines(data, start, len(data.rstrip(b"\r\n")) if ends_with_blank_lines else len(data))


def _expect_usual_characters(lines: _Lines, dialect: Dialect) -> None:
    if lines.hold(b"\r") and lines.count(b"\r") != lines.count(b"\r\n"):
        raise UnusualError
    if lines.hold(b'"') and not _quotes_enclose_cells(lines.octets, ord(dialect.separator)):
        raise UnusualError


def _quotes_enclose_cells(text: memoryview, separator: int) -> bool:
    """True if quotes open at the start of a cell and close at its end, in one line; two within a cell count as one."""
    octets = np.frombuffer(text, np.uint8)
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
        beside = np.concatenate([octets[before[before >= 0]], octets[after[after < len(octets)]]])
        if not np.isin(beside, edges).all():
            return False
        is_open = (is_open + int(is_quote.sum())) % 2
    return not is_open


# -- the types of the columns ----------------------------------------------------------------------


def _kinds(lines: _Lines, dialect: Dialect) -> list[str]:
    """What each column seems to hold; in "text", equal cells become one string, and in "names" most cells differ."""
    rows = list(csv.reader(_samples(lines), delimiter=dialect.separator, skipinitialspace=True))
    if not rows or {len(row) for row in rows} != {len(dialect.names)}:
        raise UnusualError
    return [_kind([cell.strip() for cell in cells], dialect.decimal) for cells in zip(*rows, strict=True)]


def _samples(lines: _Lines) -> Iterator[str]:
    """Whole lines at the start, in the middle and at the end."""
    for place in (lines.start, (lines.start + lines.end) // 2, max(lines.start, lines.end - SAMPLE)):
        text = lines.data[place : place + SAMPLE].decode("utf-8", "replace")
        yield from text.split("\n")[place > lines.start : -1]


def _kind(words: list[str], decimal: str) -> str:
    """ "decimal", "whole", "text" or "names"."""
    numbers = numbers_of([word.replace(",", ".") for word in words] if decimal == "," else words)
    if numbers is None:
        return "names" if 2 * len(set(words)) > len(words) else "text"
    if not are_whole(words):
        return "decimal"
    return "text" if has_code(words) else "whole"


# -- reading ---------------------------------------------------------------------------------------


def _cells(lines: _Lines, dialect: Dialect) -> list[NDArray[np.float64] | Words]:
    kinds = _kinds(lines, dialect)
    are_text = [kind in ("text", "names") for kind in kinds]
    arrays = iter(np.empty((are_text.count(False), lines.number)))  # one allocation, for which there are large pages
    builders = [Builder(dialect.decimal, is_text, None if is_text else next(arrays)) for is_text in are_text]
    _fill(builders, range(len(kinds)), lines, kinds, dialect)
    again = [j for j, builder in enumerate(builders) if builder.must_restart()]
    if again:  # columns that turned out to be text late
        _fill(builders, again, lines, ["text"] * len(kinds), dialect)
    cells = [builder.cells() for builder in builders]
    if all((column[-1:].missing if isinstance(column, Words) else np.isnan(column[-1:])).all() for column in cells):
        raise UnusualError  # an empty row at the end may be none
    return cells


def _fill(builders: list[Builder], wanted: Sequence[int], lines: _Lines, kinds: list[str], dialect: Dialect) -> None:
    """Add all cells of the wanted columns to their builders."""
    total = 0
    for portion in lines.portions():
        columns = _columns(portion, dialect, kinds, wanted)
        total += len(columns[0])
        for j in wanted:  # one at a time, so that memory holds few of them twice
            add_column(builders[j], columns.pop(0))
    if total != lines.number:  # pyarrow skips blank lines
        raise UnusualError


def _columns(text: memoryview, dialect: Dialect, kinds: list[str], wanted: Sequence[int]) -> list[Any]:
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
    raise UnusualError


def _spellings() -> list[str]:
    """The spellings of a missing cell in lower and upper case."""
    return [
        "".join(letters)
        for word in MISSING
        for letters in itertools.product(*({letter, letter.upper()} for letter in word))
    ]
