"""CSV files: from text to columns of numbers and text."""

import contextlib
import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import checks
from ...canonical import column_name
from ...checks import count
from ..cells import numbers_of
from ..table import Column, Table
from ..text_column import Words
from .content import Content, text_of
from .csv_builder import Builder
from .csv_decimal import late_thousands_note
from .csv_dialect import Dialect, dialect_of
from .csv_fast import read_by_pyarrow
from .csv_split import split_of

BLOCK = 512
"""Rows that are converted at a time; few, because the garbage collector scans rows that live long."""
LONGEST = 2**31 - 1
"""Characters of a cell; Python takes no larger limit on Windows."""
WORTH = 1 << 20
"""The file size from which pyarrow is faster, including its import."""


def read_csv(
    content: Content, *, header: bool | None = None, separator: str | None = None, decimal: str | None = None,
    encoding: str | None = None, expected: Collection[str] = (), usual: Mapping[str, str] | None = None,
    engine: str | None = None, target: str | None = None,
) -> Table:  # fmt: skip
    """All columns of a CSV.

    expected  names of columns; a first row that has most of them is the header
    usual     how the file was read that a model learned from, see `Table.reading`; this file is read in the same way,
              unless it plainly has another separator
    target    the column to learn: of its cells that are missing, the table keeps the first text
    engine    "python" or "pyarrow", which give the same table; None uses pyarrow for large files if it is installed
    Errors    ValueError with the file and line of the error
    """
    with _cells_of_any_length():
        return _read(content, header, separator, decimal, encoding, expected, usual or {}, engine, target)


@contextlib.contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """Python's reader accepts cells of more than 131072 characters, as pyarrow's does."""
    before = csv.field_size_limit(LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _read(
    content: Content, header: bool | None, separator: str | None, decimal: str | None, encoding: str | None,
    expected: Collection[str], usual: Mapping[str, str], engine: str | None, target: str | None,
) -> Table:  # fmt: skip
    data, found_encoding = text_of(content, encoding, usual.get("encoding", "utf-8"))
    notes = content.notes
    dialect = dialect_of(data, content.source, notes, header, separator, decimal, expected, usual, content.line)
    reading = {"separator": dialect.separator, "decimal": dialect.decimal, "encoding": found_encoding}
    found = None
    if engine == "pyarrow" or (engine is None and len(data) >= WORTH):
        found = read_by_pyarrow(data, dialect)
    cells, lines = found or Reader(data, content.source, dialect, notes, content.line).read()
    columns = [Column(name, one) for name, one in zip(dialect.names, cells, strict=True)]
    if dialect.has_header:  # spreadsheets write rows that end with commas
        columns = [column for column in columns if column.name or not column.missing.all()]
    guesses = dialect.guesses
    if dialect.sign.is_open:
        late = late_thousands_note((one.name, one.cells) for one in columns if not isinstance(one.cells, Words))
        notes, guesses = [*notes, *filter(None, [late])], [*guesses, *filter(None, [late])]
    table = Table(
        columns, content.source, "csv", dialect.has_header, lines, notes, guesses, reading=reading, line=content.line
    )
    _expect_one_header(table)
    if target is not None and target in table and (missing := table[target].missing).any():
        j = [column_name(name) for name in dialect.names].index(column_name(target))
        line = int(lines[int(missing.argmax())])
        table.gap = Reader(data, content.source, dialect, notes).cell(line, j)
    return table


def _expect_one_header(table: Table) -> None:
    """Files joined one below the other bring a header each; among words its names would be categories and classes."""
    if not table.has_header or not any(isinstance(column.cells, Words) and column.name for column in table.columns):
        return
    repeats = np.full(len(table), len(table.columns) > 1)
    for column in table.columns:
        if not column.name:
            repeats &= column.missing
        elif isinstance(column.cells, Words):
            repeats &= column.cells.equal(column.name)
        else:
            number = numbers_of([column.name])
            repeats &= column.cells == (np.nan if number is None else number[0])
    if repeats.any():
        raise checks.Error(f"{table.where(int(repeats.argmax()))} repeats the header; remove it")


class Reader:
    """Reads rows in blocks; columns that turn out to be text late are read once more."""

    def __init__(self, data: bytes, source: str, dialect: Dialect, notes: list[str], line: str = "line") -> None:
        """line: what a line is called in the notes."""
        self._data, self._source, self._dialect, self._notes, self._line = data, source, dialect, notes, line
        self._width = len(dialect.names)

    def read(self) -> tuple[list[NDArray[np.float64] | Words], NDArray[np.int64]]:
        """The cells of each column, and the line of each row."""
        builders = [Builder(self._dialect.decimal) for _ in range(self._width)]
        lines: list[int] = []
        for block_lines, columns in self._blocks():
            lines += block_lines
            for builder, cells in zip(builders, columns, strict=True):
                builder.add(list(map(str.strip, cells)))
        if not lines:
            raise checks.Error(f"{self._source} has a header but no rows")
        again = [j for j, builder in enumerate(builders) if builder.must_restart()]
        for _, columns in self._blocks() if again else ():
            for j in again:
                builders[j].add(list(map(str.strip, columns[j])))
        return [builder.cells() for builder in builders], np.array(lines)

    def cell(self, line: int, j: int) -> str:
        """The cell of column j in the row that begins in this line."""
        return str(next(self._reader(line - 1))[j].strip())

    def _blocks(self) -> Iterator[tuple[list[int], list[tuple[str, ...]]]]:
        """Lines and columns of up to BLOCK rows."""
        lines, rows = list[int](), list[list[str]]()
        for line, row in self._rows():
            lines.append(line)
            rows.append(row)
            if len(rows) == BLOCK:
                yield lines, list(zip(*rows, strict=True))
                lines, rows = [], []
        if rows:
            yield lines, list(zip(*rows, strict=True))

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The first line and the cells of each row below the header, without blank lines and comments.

        A row whose cells are all empty counts if another row follows; spreadsheets end with such rows. With one column,
        a blank line is such a row, and "" is a missing cell.
        """
        waits_for_header, has_comments = self._dialect.has_header, b"\n#" in self._data
        empty: list[int] = []  # lines of empty rows that no other row has followed yet
        above = self._dialect.skipped
        reader = self._reader(above)
        end = above
        try:
            for row in reader:
                line, end = end + 1, above + reader.line_num
                is_ragged = len(row) != self._width
                is_empty = (is_ragged or waits_for_header or not row[0]) and not any(cell.strip() for cell in row)
                if is_empty and (is_ragged or waits_for_header or self._width > 1):
                    if not waits_for_header and (not is_ragged or self._width == 1):
                        empty.append(line)
                elif waits_for_header:
                    waits_for_header = False
                elif is_ragged and has_comments and row[0].startswith("#"):
                    self._say_once(f"{self._line}s that begin with # are skipped")
                elif is_ragged:
                    self._refuse(row, line, self._is_below_table(reader))
                else:
                    for before in empty:
                        yield before, [""] * self._width
                    empty.clear()
                    yield line, row
        except csv.Error as error:
            raise self._unreadable(error, end + 1, above + reader.line_num) from None
        if empty:
            self._say_once(f"the empty rows at the end, from {self._line} {empty[0]} on, are skipped")

    def _reader(self, above: int) -> Any:
        """A reader of the rows below this many lines."""
        text = io.TextIOWrapper(io.BytesIO(self._data), "utf-8", newline="")
        for _ in range(above):
            text.readline()
        return csv.reader(text, delimiter=self._dialect.separator, skipinitialspace=True, strict=True)

    def _say_once(self, note: str) -> None:
        if note not in self._notes:
            self._notes.append(note)

    def _is_below_table(self, reader: Iterator[list[str]]) -> bool:
        """True if no row of the table follows."""
        with contextlib.suppress(csv.Error):
            return all(len(row) != self._width for row in reader)
        return False

    def _refuse(self, row: list[str], line: int, is_below_table: bool) -> None:
        cells, columns = count(len(row), "cell"), count(self._width, "column")
        stripped, hint = list(map(str.strip, row)), ""
        if len(row) == self._width + 1 and not stripped[-1]:
            hint = "; it ends with a separator, which the header lacks: remove it"
        elif len(row) > self._width and self._dialect.separator == "," and (split := split_of([stripped], [row])):
            hint = f", and has {split.cells}: {split.fix}"
        elif len(list(filter(None, stripped))) == 1 and is_below_table:
            hint = "; if it is a note below the table, remove it"
        raise checks.Error(
            f"{self._source}, line {line} has {cells}, but the table has {columns} (separator "
            f"{self._dialect.separator!r}; --separator); it begins with {checks.shown(stripped[0])}{hint}"
        )

    def _unreadable(self, error: csv.Error, start: int, end: int) -> checks.Error:
        """The error for a row from line `start` to line `end`: usually a quote that is never closed."""
        lines = self._data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[start - 1 : end]
        after = (b"", b'"', self._dialect.separator.encode())
        is_open, opened = False, start
        for number, line in enumerate(lines, start):
            for found in re.finditer(b'"', line):
                is_open = not is_open
                if is_open:
                    opened = number
                elif line[found.end() : found.end() + 1] not in after:  # a later quote, taken for the end of this one
                    break
            else:
                continue
            break
        if "end of data" in str(error):
            what = "a quote is never closed; close it, or write it twice"
        elif opened < number:
            what = f"a quote is not closed in this line (line {end}: {error}); close it, or write it twice"
        else:
            what = f"{error}; a quote within a cell is written twice"
        return checks.Error(f"{self._source}, line {opened}: {what}")
