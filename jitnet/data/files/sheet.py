"""A sheet of a workbook, as calamine returns it, as the text of a CSV."""

import csv
import io
import re
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any

from ... import checks
from ...checks import shown
from ...spelling import DIGITS

BREAKS = re.compile("[\0\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
"""What would end a line; a cell is a part of one."""
ERRORS = re.compile(r"#(DIV/0!|N/A|NAME\?|NULL!|NUM!|REF!|VALUE!)|Err:[0-9]{3}")
"""Results of formulas that failed, in an .ods; calamine returns those of Excel as empty cells."""
DURATION = re.compile(r"(-?)PT([0-9]+)H([0-9]+)M([0-9.]+)S")
"""A day or more in an .ods; calamine returns less than a day as a time of day."""
FEW = 100
"""Rows that decide whether there is a title above the table."""


def expect_table(sheet: Any, source: str, header: bool | None) -> None:
    """An error for a title above the table, and for merged cells, of which only the first has a value."""
    first = enumerate(islice(sheet.iter_rows(), FEW), 1)
    rows = [(number, row) for number, row in first if not all(map(_is_empty, row))]
    widths = [sum(not _is_empty(cell) for cell in row) for _, row in rows]
    number, (title, *_) = rows[0] if rows else (0, [""])
    is_alone = widths[:1] == [1] and 2 * sum(width > 1 for width in widths) > len(widths)
    if header is not False and is_alone and isinstance(title, str) and title.strip() and title[0] != "#":
        raise checks.Error(
            f"{source}, row {number} has 1 cell, {shown(title)}, but most rows have more; if it is a title, remove it, "
            "or let it begin with #; if it is the header, name all columns"
        )
    (top, left), (bottom, right) = sheet.start, sheet.end
    for (above, before), (below, after) in sheet.merged_cell_ranges or ():
        if above <= bottom and below >= top and before <= right and after >= left:
            raise checks.Error(
                f"{source}: the cells {_place(above, before)}:{_place(below, after)} are merged, and only the first "
                "has a value; unmerge them, and fill in the others"
            )


def text_of_sheet(sheet: Any, decimal: str, notes: list[str]) -> bytes:
    """Line 7 of the text is row 7 of the sheet.

    decimal   the decimal sign of numbers that are stored as text; the others are written with it, so they keep their
              values
    """
    durations: dict[int, str] = {}
    text = _written(sheet, decimal, durations, ())
    if durations:  # the times of day in these columns are durations of less than a day
        text = _written(sheet, decimal, {}, tuple(durations))
        notes.append(f"durations are read as hours, such as {next(iter(durations.values()))}")
    return text


def _written(sheet: Any, decimal: str, durations: dict[int, str], in_hours: tuple[int, ...]) -> bytes:
    """A line for each row; blank lines above the table, and for rows of one column, where a reader keeps them.

    durations    gets the columns that have durations, each with its first
    in_hours     columns whose times of day are durations
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    margin, is_above = [""] * sheet.start[1], True  # column 1 is always A
    for row in sheet.iter_rows():
        cells = [*margin, *(_cell(cell, j, decimal, durations, in_hours) for j, cell in enumerate(row))]
        is_empty = not any(cells)
        is_above = is_above and is_empty
        writer.writerow([] if is_above or (is_empty and len(cells) == 1) else cells)
    return text.getvalue().encode()


def _cell(cell: Any, j: int, decimal: str, durations: dict[int, str], in_hours: tuple[int, ...]) -> str:
    """The text of a cell of column j."""
    if isinstance(cell, float):
        return _number(cell, decimal)
    if isinstance(cell, str):
        if (found := DURATION.fullmatch(cell)) is None:
            return "" if ERRORS.fullmatch(cell) else BREAKS.sub(" ", cell)
        cell = timedelta(hours=int(found[2]), minutes=int(found[3]), seconds=float(found[4])) * (-1 if found[1] else 1)
    if isinstance(cell, time) and j in in_hours:
        cell = datetime.combine(date.min, cell) - datetime.min
    if isinstance(cell, timedelta):
        durations.setdefault(j, f"{cell / timedelta(hours=1):.6g}")
        return _number(cell / timedelta(hours=1), decimal)
    return str(cell).removesuffix(" 00:00:00")  # dates and times in ISO 8601, True, False and whole numbers


def _number(number: float, decimal: str) -> str:
    """Whole numbers have no point, but those with more digits than a code may have."""
    if number.is_integer() and abs(number) < 10**DIGITS:
        return str(int(number))
    return repr(number).replace(".", decimal)


def _is_empty(cell: Any) -> bool:
    return isinstance(cell, str) and not cell.strip()


def _place(row: int, column: int) -> str:
    """(0, 27) is AB1."""
    letters = ""
    column += 1
    while column:
        column, last = divmod(column - 1, 26)
        letters = chr(ord("A") + last) + letters
    return f"{letters}{row + 1}"
