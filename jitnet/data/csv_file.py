"""CSV files: from text to columns of numbers and text."""

import csv
import io
import re
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..checks import count
from .cells import are_whole, is_code, is_missing, numbers_of
from .content import Content, text_of
from .csv_fast import read_by_pyarrow
from .dialect import Dialect, dialect_of
from .table import Column, Table

BLOCK = 4096
"""Rows that are converted at a time."""
WORTH = 1 << 20
"""Bytes from which importing a library pays."""


def read_csv(
    content: Content, *, header: bool | None = None, separator: str | None = None, decimal: str | None = None,
    encoding: str | None = None, expected: Collection[str] = (), engine: str | None = None,
) -> Table:  # fmt: skip
    """All columns of a CSV.

    expected  names of columns that make the first row the header
    engine    "python" or "pyarrow", which give the same table; None takes pyarrow for large files if it is installed
    Errors    ValueError with the file and line of the error
    """
    data, notes = text_of(content, encoding), content.notes
    dialect = dialect_of(data, content.source, notes, header, separator, decimal, expected)
    found = None
    if engine == "pyarrow" or (engine is None and len(data) >= WORTH):
        found = read_by_pyarrow(data, dialect)
    values, lines = found or Reader(data, content.source, dialect, notes).read()
    columns = [Column(name, one) for name, one in zip(dialect.names, values, strict=True)]
    return Table(columns, content.source, "csv", dialect.has_header, lines, notes)


class Reader:
    """Reads rows in blocks. A column is numbers until a cell is not; then its cells are read once more, as text."""

    def __init__(self, data: bytes, source: str, dialect: Dialect, notes: list[str]) -> None:
        self._data, self._source, self._dialect, self._notes = data, source, dialect, notes
        self._width = len(dialect.names)
        self._lines: list[int] = []

    def read(self) -> tuple[list[NDArray[Any]], NDArray[np.int64]]:
        """The values of each column, and the line of each row."""
        parts: list[list[NDArray[Any]]] = [[] for _ in range(self._width)]
        whole, codes, texts = [True] * self._width, [False] * self._width, [False] * self._width
        lines: list[int] = []
        for block_lines, columns in self._blocks(say=True):
            lines += block_lines
            for j, cells in enumerate(columns):
                if texts[j]:
                    continue
                numbers = self.numbers(cells)
                if numbers is None:
                    texts[j], parts[j] = True, []
                    continue
                parts[j].append(numbers)
                if whole[j]:
                    whole[j] = are_whole(cells)
                    codes[j] = codes[j] or any(map(is_code, cells))
        if not lines:
            raise checks.Error(f"{self._source} has a header but no rows")
        again = [j for j in range(self._width) if texts[j] or (whole[j] and codes[j])]
        values = [np.concatenate(part) if part else np.empty(0) for part in parts]
        for j, text in zip(again, self._texts(again, len(lines)), strict=True):
            values[j] = text
        return values, np.array(lines)

    def numbers(self, cells: list[str]) -> NDArray[np.float64] | None:
        if self._dialect.decimal == ",":
            if any("." in cell and not is_missing(cell) for cell in cells):
                return None
            cells = [cell.replace(",", ".") for cell in cells]
        return numbers_of(cells)

    def _texts(self, chosen: list[int], n: int) -> list[NDArray[Any]]:
        found = [np.empty(n, object) for _ in chosen]
        known: list[dict[str, str | None]] = [{} for _ in chosen]  # one string for equal cells
        at = 0
        for lines, columns in self._blocks() if chosen else ():
            for j, values, words in zip(chosen, found, known, strict=True):
                for cell in set(columns[j]) - words.keys():
                    words[cell] = None if is_missing(cell) else cell
                values[at : at + len(lines)] = [words[cell] for cell in columns[j]]
                if len(words) > n // 2 + BLOCK:  # nearly all differ
                    words.clear()
            at += len(lines)
        return found

    def _blocks(self, say: bool = False) -> Iterator[tuple[list[int], list[list[str]]]]:
        """Lines and columns of up to BLOCK rows, without the header."""
        rows: list[list[str]] = []
        lines: list[int] = []
        has_comments = b"\n#" in self._data
        reader, first = self._reader()
        line, waits_for_header = first, self._dialect.has_header
        try:
            for row in reader:
                if len(row) != self._width or not row[0]:
                    if not any(cell.strip() for cell in row):
                        line = first + reader.line_num
                        continue
                    if has_comments and len(row) != self._width and row[0].startswith("#"):
                        if say:
                            self._say_once("lines that begin with # are skipped")
                        line = first + reader.line_num
                        continue
                    if len(row) != self._width:
                        self._ragged(row, line + 1)
                if waits_for_header:
                    waits_for_header = False
                else:
                    rows.append(row)
                    lines.append(line + 1)
                    if len(rows) == BLOCK:
                        yield lines, _columns(rows)
                        rows, lines = [], []
                line = first + reader.line_num
        except csv.Error as error:
            raise self._unreadable(error, line + 1, first + reader.line_num) from None
        if rows:
            yield lines, _columns(rows)

    def _reader(self) -> tuple[Any, int]:
        """A reader of the rows, and the number of lines before them."""
        text = io.TextIOWrapper(io.BytesIO(self._data), "utf-8", newline="")
        for _ in range(self._dialect.skipped):
            text.readline()
        reader = csv.reader(text, delimiter=self._dialect.separator, skipinitialspace=True, strict=True)
        return reader, self._dialect.skipped

    def _say_once(self, note: str) -> None:
        if note not in self._notes:
            self._notes.append(note)

    def _ragged(self, row: list[str], line: int) -> None:
        cells, columns = count(len(row), "cell"), count(self._width, "column")
        raise checks.Error(
            f"{self._source}, line {line} has {cells}, but the table has {columns} (separator "
            f"{self._dialect.separator!r}; --separator); it begins with {checks.shown(row[0].strip())}"
        )

    def _unreadable(self, error: csv.Error, start: int, end: int) -> checks.Error:
        """The error for a row from line `start` to line `end`: mostly a quote that is never closed."""
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
            what = str(error)
        return checks.Error(f"{self._source}, line {opened}: {what}")


def _columns(rows: list[list[str]]) -> list[list[str]]:
    return [list(map(str.strip, cells)) for cells in zip(*rows, strict=True)]
