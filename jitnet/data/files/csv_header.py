"""Whether the first row of a CSV is the header: decided by the first rows, never by the target column."""

import re
from collections.abc import Collection

from ... import checks
from ...canonical import is_number
from ..missing import is_missing, is_missing_word
from ..values import NUMBERS

FEW = 100
"""Rows whose notation is compared with that of the first row."""


def has_header(rows: list[list[str]], expected: Collection[str], notes: list[str]) -> bool:
    """Whether the first row is the header; a guess is a sentence in `notes`.

    expected  the names of a model's columns
    """
    first = rows[0]
    if _has_most(first, expected):
        return True
    is_header = looks_like_a_header(first, rows)
    if not is_header:
        notes.append(
            f"the first row, {_row_shown(first)}, is taken for data, and the columns are called 1, 2, 3, ... (--header)"
        )
    elif any(map(is_number, first)) or not any(is_number(cell) for row in rows for cell in row):
        notes.append(f"the first row, {_row_shown(first)}, is taken for the header (--no-header)")
    return is_header


def _row_shown(row: list[str]) -> str:
    return checks.some([cell or "''" for cell in row], 5)


def looks_like_a_header(first: list[str], rows: list[list[str]]) -> bool:
    """Decided only by the first rows of the file, never by the target column.

    Rows that repeat the first row do not count; they are found later. The first row is a header if its first cell alone
    of this column is empty, and its numbers, some with a decimal point, are in order above whole numbers. Otherwise,
    numbers in a header are whole, as in 0, 1, 2 or 2019, 2020, and no two are equal. Then the first row is a header if

    - it has no number, and at most half of its cells are like cells below: they occur again, are missing, such as NA,
      or differ only in their digits, such as 12 kr and 7 kr;
    - or one of its words is above a column of numbers;
    - or its first cell is empty, above row numbers, as pandas writes them;
    - or its numbers are 0, 1, 2, ..., three or more, as pandas writes them, or five or more that follow each other,
      unless those of the next row do so too, or are the same in another order, as in rankings;
    - or its numbers follow each other, such as 0, 1 or 2019, 2020, 2021, and are unlike the cells below;
    - or its numbers are years in order, as in wide tables, no column below holds years only, and its first cell is
      empty or a word unlike those below;
    - or every number below its numbers has a decimal point, and no word of it occurs again in its column.
    """
    numbers = [cell for cell in first if is_number(cell)]
    rows = [row for row in rows if len(row) == len(first) and row != first]
    if _are_grades(first, rows):
        return True
    if not all(cell.isdigit() for cell in numbers) or len(set(numbers)) < len(numbers):
        return False
    cells_of = zip(first, *rows, strict=True)
    columns = [[cell for cell in cells if not is_missing(cell)] for _, *cells in cells_of]
    texts = [(cell, column) for cell, column in zip(first, columns, strict=True) if cell and not is_number(cell)]
    words = [(cell, column) for cell, column in texts if not is_missing_word(cell) and not _is_amount(cell)]
    if any(column and all(map(is_number, column)) for _, column in words):
        return True
    if not numbers:
        return sum(is_like(cell, column) for cell, column in texts) <= len(first) / 2
    follow = _follow(numbers)
    are_counted = follow and numbers[0] == "0"
    if not first[0] and _are_row_numbers(columns[0], in_order=not are_counted):
        return True
    below = [(cell, column) for cell, column in zip(first, columns, strict=True) if is_number(cell)]
    if are_counted and len(numbers) > 2:
        return True
    next_numbers = [cell for row in rows[:1] for cell in row if is_number(cell)]
    if follow and len(numbers) >= 5 and not _follow(next_numbers) and set(next_numbers) != set(numbers):
        return True
    if follow and len(numbers) > 1 and _are_unlike(below, texts):
        return True
    begins_with_name = not is_number(first[0]) and not (first[0] and is_like(first[0], columns[0]))
    are_years = len(numbers) > 1 and numbers == sorted(numbers) and _are_years(numbers)
    filled = [column for _, column in below if column]
    if begins_with_name and are_years and filled and not any(map(_are_years, filled)):
        return True
    have_points = all(column and all("." in cell for cell in column) for _, column in below)
    return have_points and all(cell not in column for cell, column in texts)


def _are_grades(first: list[str], rows: list[list[str]]) -> bool:
    """True for 16.5, 17, 17.5 above counts, as in a table of how often two quantities occur together."""
    if first[0] or len(first) < 4 or len(rows) < 2 or not all(map(is_number, first[1:])):
        return False
    numbers = list(map(float, first[1:]))
    are_in_order = numbers in (sorted(set(numbers)), sorted(set(numbers), reverse=True))
    are_counts = all(row[0] and all(cell.isdigit() or is_missing(cell) for cell in row[1:]) for row in rows)
    return are_in_order and any("." in cell for cell in first) and are_counts


def _follow(numbers: list[str]) -> bool:
    """True for whole numbers that follow each other, such as 2019, 2020, 2021."""
    return bool(numbers) and numbers[0].isdigit() and numbers == [str(int(numbers[0]) + i) for i in range(len(numbers))]


def _are_years(cells: list[str]) -> bool:
    return all(re.fullmatch("(?:1[89]|20)[0-9]{2}", cell) for cell in cells)


def is_like(cell: str, column: list[str]) -> bool:
    """True if a cell without a plain number seems to belong to the cells below it."""
    if cell in column or is_missing(cell):
        return True
    form, column = re.sub("[0-9]+", "0", cell), column[:FEW]
    if form != cell and any(re.sub("[0-9]+", "0", one) == form for one in column):
        return True
    return _is_amount(cell) and bool(column) and all(is_number(one) or _is_amount(one) for one in column)


def _is_amount(cell: str) -> bool:
    """True for $12 and 1,234, but not for names such as 5%, of a percentile, and EUR2024."""
    return "%" not in cell and not cell.isidentifier() and any(read(cell) is not None for read in NUMBERS.values())


def _are_unlike(below: list[tuple[str, list[str]]], texts: list[tuple[str, list[str]]]) -> bool:
    """True if two or more numbers and the words beside them, each with the column below it, are unlike these columns.

    The words are above columns of categories, but are not categories themselves. Without words, the numbers are three,
    or 0 and 1; and one is above a column of words, or is unlike numbers with decimal points, or all are unlike.
    """
    if texts:
        return all(column and cell not in column and 2 * len(set(column)) <= len(column) for cell, column in texts)
    if any(column and not any(map(is_number, column)) for _, column in below):
        return True
    if len(below) == 2 and below[0][0] != "0":
        return False
    unlike = [column for name, column in below if _is_unlike(name, column)]
    return len(unlike) == len(below) or any(all("." in cell for cell in column) for column in unlike)


def _is_unlike(name: str, column: list[str]) -> bool:
    """True for ten numbers or more that are not in order, none of them the name."""
    if len(column) < 10 or name in column or not all(map(is_number, column)):
        return False
    numbers = [float(cell) for cell in column]
    return numbers != sorted(numbers)


def _are_row_numbers(column: list[str], in_order: bool) -> bool:
    """True for 0, 1, 2, ...; unless `in_order`, for all whole numbers that differ, as in a shuffled table."""
    if in_order:
        return len(column) > 1 and column == [str(i) for i in range(len(column))]
    return len(column) > 1 and all(cell.isdigit() for cell in column) and len(set(column)) == len(column)


def counts_rows(column: list[str]) -> bool:
    """True for 0, 1, 2, ... and 1, 2, 3, ..."""
    return column[0] in ("0", "1") and _follow(column)


def with_nameless_column(rows: list[list[str]]) -> list[str] | None:
    """The names of all columns, if the header lacks one; otherwise None.

    R writes no name above the names of the rows; some programs end every row but the header with a separator.
    """
    first, below = rows[0], rows[1:]
    if len(first) < 2 or len(below) < 2 or any(len(row) != len(first) + 1 for row in below):
        return None
    if not any(row[-1] for row in below):
        names = [*first, ""]
    elif all(row[0] for row in below) and len({row[0] for row in below}) == len(below):
        names = ["", *first]
    else:
        return None
    has_numbers = any(all(map(is_number, column)) for column in zip(*below, strict=True))
    return names if has_numbers and looks_like_a_header(names, below) else None


def has_columns(rows: list[list[str]], expected: Collection[str]) -> bool:
    """True if the rows have a model's columns: their names or, without names, their number, or one more, the target."""
    if not _are_places(expected):
        return _has_most(rows[0], expected)
    return all(len(row) - len(expected) in (0, 1) for row in rows) and bool(expected)


def _has_most(first: list[str], expected: Collection[str]) -> bool:
    """True if the first row has most of the expected names."""
    wanted = set(expected)
    return not _are_places(expected) and 2 * len(wanted & set(first)) > len(wanted)


def _are_places(names: Collection[str]) -> bool:
    """True for 1, 2, 3, ...: the names of columns without a header, and likely cells. True for none."""
    return all(name.isdigit() and name != "0" for name in names)
