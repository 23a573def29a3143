"""A sheet of a workbook, as calamine returns it, as the text of a CSV."""

import csv
import io
import re
from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any

from ... import checks
from ...canonical import DIGITS, column_name, is_number
from ...checks import shown
from ..table import called

BREAKS = re.compile("[\0\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
"""What would end a line; a cell is a part of one."""
ERRORS = re.compile(r"#(DIV/0!|N/A|NAME\?|NULL!|NUM!|REF!|VALUE!)|Err:[0-9]{3}")
"""Results of formulas that failed, in an .ods; calamine returns those of Excel as empty cells."""
DURATION = re.compile(r"(-?)PT([0-9]+)H([0-9]+)M([0-9.]+)S")
"""A day or more in an .ods; calamine returns less than a day as a time of day."""
FEW = 100
"""Rows that decide whether there is a title above the table."""
Area = tuple[tuple[int, int], tuple[int, int]]
"""The first and the last cell of merged cells, each with its row and column from 0."""


def expect_table(sheet: Any, source: str, header: bool | None, names: Collection[str] = ()) -> None:
    """An error for rows above the header, and for merged cells, of which only the first has a value.

    names     of columns that the table should have
    """
    first = enumerate(islice(sheet.iter_rows(), FEW), 1)
    rows = [(number, row) for number, row in first if not all(map(_is_empty, row))]
    if header is not False:
        found = header_row(sheet, names)
        if any(number < found and not _is_comment(row[0]) for number, row in rows):
            above = "row 1" if found == 2 else f"rows 1 to {found - 1}"
            raise checks.Error(f"{source}, row {found} has the names of the columns: delete {above}")
        _expect_no_title(rows, source)
    (top, left), (bottom, right) = sheet.start, sheet.end
    merged = [
        ((above, before), (below, after))
        for (above, before), (below, after) in sorted(sheet.merged_cell_ranges or ())
        if above <= bottom and below >= top and before <= right and after >= left
    ]
    if merged:
        raise _merged_cells_error(merged, source, rows[0][0] - 1 if rows else -1, bottom)


def header_row(sheet: Any, names: Collection[str]) -> int:
    """The number of the first row that has most of these names, mostly text, and more cells than any row above it.

    0 without such a row. A row of a list of columns, as in a legend, has as many cells as those above it. Rows above it
    that begin with # are comments.
    """
    wanted, widest = set(map(column_name, names)), 0
    for number, row in enumerate(islice(sheet.iter_rows(), FEW), 1) if wanted else ():
        cells = [cell for cell in row if not _is_empty(cell)]
        texts = [column_name(cell) for cell in cells if isinstance(cell, str)]
        if len(cells) > widest and 2 * len(texts) > len(cells) and 2 * len(wanted.intersection(texts)) > len(wanted):
            return number
        widest = max(widest, len(cells)) if cells and not _is_comment(cells[0]) else widest
    return 0


def _expect_no_title(rows: list[tuple[int, list[Any]]], source: str) -> None:
    widths = [sum(not _is_empty(cell) for cell in row) for _, row in rows]
    number, (title, *_) = rows[0] if rows else (0, [""])
    is_alone = widths[:1] == [1] and 2 * sum(width > 1 for width in widths) > len(widths)
    if is_alone and isinstance(title, str) and title.strip() and not _is_comment(title):
        raise checks.Error(
            f"{source}, row {number} has 1 cell, {shown(title)}, but most rows have more; if it is a title, remove it, "
            "or let it begin with #; if it is the header, name all columns"
        )


def _merged_cells_error(merged: list[Area], source: str, top: int, bottom: int) -> checks.Error:
    """The error about merged cells of a table from row `top` to row `bottom`, counted from 0."""
    (above, before), (below, after) = merged[0]
    fix = "unmerge them, and fill in the others"
    if above == below == top:
        fix = f"if these are titles above the names of the columns, delete row {top + 1}; otherwise {fix}"
    elif above == below == bottom:
        fix = f"if it is a note, delete the row; otherwise {fix}"
    area = f"{place(above, before)}:{place(below, after)}"
    what = f"the cells {area} are merged, and only the first has a value"
    if len(merged) > 1:
        what = f"{len(merged)} areas are merged, the first {area}, and only the first cell of each has a value"
    return checks.Error(f"{source}: {what}; {fix}")


def column_names(sheet: Any) -> list[str]:
    """The names of the columns for sentences: those in the first row that is no title, or numbers from 1."""
    for row in sheet.iter_rows():
        filled = sum(not _is_empty(cell) for cell in row)
        if filled > 1 or filled == len(row):
            break
    return [
        column_name(cell) if isinstance(cell, str) and cell and not is_number(cell) else str(j)
        for j, cell in enumerate(row, sheet.start[1] + 1)
    ]


def text_of_sheet(sheet: Any, decimal: str, notes: list[str]) -> bytes:
    """Line 7 of the text is row 7 of the sheet.

    decimal   the decimal sign of numbers that are stored as text; the others are written with it, so they keep their
              values
    """
    durations: dict[int, str] = {}
    text = _written(sheet, decimal, durations, ())
    if durations:  # the times of day in these columns are durations of less than a day
        examples, names = dict[int, str](), column_names(sheet)
        text = _written(sheet, decimal, examples, tuple(durations))
        notes += [f"{called(names[j])} holds durations: {example}" for j, example in examples.items()]
    return text


def _written(sheet: Any, decimal: str, durations: dict[int, str], in_hours: tuple[int, ...]) -> bytes:
    """A line for each row; blank lines above the table, and for rows of one column, where a reader keeps them.

    durations    gets the columns that have durations, each with an example
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
        hours = cell / timedelta(hours=1)
        if j not in durations or (hours % 1 and "." not in durations[j]):  # 13:30 says more than 13:00
            whole, minutes = divmod(round(60 * abs(hours)), 60)
            durations[j] = f"{'-' if hours < 0 else ''}{whole}:{minutes:02} is {hours:.4g} hours"
        return _number(hours, decimal)
    return str(cell).removesuffix(" 00:00:00")  # dates and times in ISO 8601, True, False and whole numbers


def _number(number: float, decimal: str) -> str:
    """Whole numbers have no point, but those with more digits than a code may have."""
    if number.is_integer() and abs(number) < 10**DIGITS:
        return str(int(number))
    return repr(number).replace(".", decimal)


def _is_empty(cell: Any) -> bool:
    return isinstance(cell, str) and not cell.strip()


def _is_comment(cell: Any) -> bool:
    return isinstance(cell, str) and cell.startswith("#")


def place(row: int, column: int) -> str:
    """(0, 27) is AB1."""
    letters = ""
    column += 1
    while column:
        column, last = divmod(column - 1, 26)
        letters = chr(ord("A") + last) + letters
    return f"{letters}{row + 1}"
