"""CSV files: text with separators, with or without a header."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..checks import count
from .table import Column, Table, is_code, is_missing, is_number, numbers_of


def read_csv(path: str | Path, header: bool | None = None) -> Table:
    """All columns of a CSV.

    Errors    ValueError with the file and line of the error
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise checks.Error(f"{path} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from None
    first_line = re.sub('"[^"]*"', "", text.lstrip("\n\r")).partition("\n")[0]
    separator = max(",;\t", key=first_line.count)
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append(cells)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise checks.Error(f"{path}, line {reader.line_num}: {error}") from None
    if not rows:
        raise checks.Error(f"{path} is empty")
    first = rows[0]
    notes = []
    if header is None:
        header = _looks_like_a_header(first, rows[1:1000])
        if not header:
            notes.append("the first row is taken for data, and the columns are called 1, 2, 3, ... (--header)")
        elif any(is_number(cell) for cell in first):
            notes.append(f"the first row, {checks.some(first, 5)}, is taken for the header (--no-header)")
    names = rows.pop(0) if header else [str(i + 1) for i in range(len(first))]
    lines = lines[1:] if header else lines
    if not rows:
        raise checks.Error(f"{path} has a header but no rows")
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(names):
            cells_, columns = count(len(row), "cell"), count(len(names), "column")
            raise checks.Error(f"{path}, line {line} has {cells_}, but the table has {columns}")
    found = [Column(name, values_of(list(cells))) for name, cells in zip(names, zip(*rows, strict=True), strict=True)]
    return Table(found, str(path), "csv", header, np.array(lines), notes)


def _looks_like_a_header(first: list[str], rows: list[list[str]]) -> bool:
    """Decided by the first rows of the file alone, and never by the column that is to be learned.

    Numbers in a header are whole, as in 0, 1, 2 or 2019, 2020, and no two are equal. Then the first row is a header if

    - it has no number, and at most half of its cells occur again in their columns;
    - or a text of it stands above a column of numbers;
    - or its numbers are 0, 1, 2, ..., three or more, as pandas writes them;
    - or it has no text, and every number below it has a decimal point.
    """
    numbers = [cell for cell in first if is_number(cell)]
    if not all(cell.isdigit() for cell in numbers) or len(set(numbers)) < len(numbers):
        return False
    below = zip(first, *(row for row in rows if len(row) == len(first)), strict=True)
    columns = [[cell for cell in cells if not is_missing(cell)] for _, *cells in below]
    texts = [(cell, column) for cell, column in zip(first, columns, strict=True) if cell and not is_number(cell)]
    if any(column and not is_missing(cell) and all(map(is_number, column)) for cell, column in texts):
        return True
    if not numbers:
        return sum(cell in column for cell, column in texts) <= len(first) / 2
    if len(numbers) > 2 and numbers == [str(i) for i in range(len(numbers))]:
        return True
    return not texts and bool(columns[0]) and all("." in cell for column in columns for cell in column)


def values_of(cells: list[str]) -> NDArray[Any]:
    """The values of a column."""
    numbers = numbers_of(cells)
    if numbers is not None and not _are_codes(cells):
        return numbers
    known: dict[str, str] = {}
    return np.array([None if is_missing(cell) else known.setdefault(cell, cell) for cell in cells], object)


def _are_codes(cells: list[str]) -> bool:
    present = [cell for cell in cells if not is_missing(cell)]
    return any(map(is_code, present)) and all(cell.lstrip("+-").isdigit() for cell in present)
