"""The numbers in the cells of a column, read as in training, and what errors and notes say about other cells."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from ... import checks
from ...canonical import canonical
from ...checks import count, shown
from ..dates import DATES, FIRST_YEAR, iso_date
from ..missing import is_missing_word
from ..notation import has_unit
from ..table import Table, called
from ..text_column import Words
from ..values import ENGLISH, NUMBERS, PLAIN, POINTS, has_sign_of_unit, numbers_in, reader_of, with_decimal


def form_in(table: Table, learned: str) -> str:
    """The form of a column that had this form in training; if the caller gave the decimal sign, with this sign."""
    return with_decimal(learned, table.decimal) if table.decimal_is_given else learned


def strict_numbers(
    table: Table, name: str, form: str, first_year: int = FIRST_YEAR, hint: str = ""
) -> NDArray[np.float64]:
    """The numbers of a column (n, parts), NaN where one is missing; any other cell that is not a number is an error.

    first_year    the first of the hundred years that years of two digits mean
    hint          how to fix a cell of the training
    """
    numbers, odd, text = _read(table, name, form, first_year)
    if odd is not None:
        if hint:
            no_row = "if the line belongs to the header, as a row of units does, remove it; otherwise "
            if odd == len(table) - 1:
                no_row = "if the last row is a total or a note, remove it; otherwise "
            elif odd != 0 or not table.has_header:
                no_row = ""
            hint = f", unlike most cells of the column; {no_row}{hint}"
        fix = _fix(table, name, form, str(text), first_year, hint) or "; empty the cell if it is missing"
        raise checks.Error(f"{table.where(odd, name)}: {_no_number(form, str(text))}{fix}")
    return numbers


def lenient_numbers(
    table: Table, name: str, form: str, gaps: Collection[str], first_year: int = FIRST_YEAR
) -> tuple[NDArray[np.float64], list[str]]:
    """The same, but cells that are not numbers are missing; and a sentence about those that are not in `gaps`."""
    gaps = set(gaps)
    numbers, odd, text = _read(table, name, form, first_year, gaps)
    cells = table[name].cells
    if odd is None or not isinstance(cells, Words):
        return numbers, []
    unread = cells[np.isnan(numbers[:, 0])].counted()
    new = sum(times for text, times in unread.items() if text not in gaps and not is_missing_word(text))
    counts = "counts" if new == 1 else "count"
    first = f"{_no_number(form, str(text))}{_fix(table, name, form, str(text), first_year)}"
    return numbers, [
        f"{called(name)}: {new} of {count(len(cells), 'cell')} cannot be read and {counts} as missing; the first, in "
        f"{table.where(odd)}: {first}"
    ]


def too_large(table: Table, row: int, name: str) -> checks.Error:
    """The error about a cell that is infinite, or is as a float64."""
    cell = table[name].cells[row]
    what = f"{shown(cell)} is too large" if isinstance(cell, str) else "infinity is not a finite number"
    return checks.Error(f"{table.where(row, name)}: {what}; replace it, or leave the row out")


def can_be_two_numbers(table: Table, name: str, form: str) -> tuple[int, str] | None:
    """The first cell that is one number as in training, and another with the decimal sign of the file; what to do.

    A plain number such as 1.5 is one where the sign of the file separated thousands in training.
    """
    cells, form = table[name].cells, form_in(table, form)
    if isinstance(cells, Words):
        return _two_readings(table, cells, form) if table.has_other_decimal else None
    if table.kind != "csv" or form[1] != table.decimal:
        return None
    with np.errstate(invalid="ignore"):
        fractions = cells % 1 > 0
    if not fractions.any():
        return None
    sign, other = ("point", ",") if table.decimal == "." else ("comma", ".")
    row = int(fractions.argmax())
    return row, (
        f"{cells[row]} is read with a decimal {sign}, but in training {sign}s separated thousands; "
        f"if they are decimal here, add --decimal {table.decimal}; otherwise add --decimal {other}"
    )


def _two_readings(table: Table, cells: Words, form: str) -> tuple[int, str] | None:
    """The same for text, such as 4,585, in a file whose decimal sign is not that of the training."""
    sign, other = (".", ",") if table.decimal == "." else (",", ".")
    as_here = with_decimal(form, sign)
    if form == PLAIN or as_here == form:  # plain numbers have the sign of the file
        return None
    one, another = (NUMBERS[form] for form in ((POINTS, ENGLISH) if sign == "." else (ENGLISH, POINTS)))
    for text in cells.used.values():
        learned, here = one(text), another(text)
        if learned and here and learned != here:
            first, second = f"{learned[0]:.15g}", f"{here[0]:.15g}"
            fix = f"write {second} or {first.replace('.', sign)}"
            if NUMBERS[as_here](text):
                fix = f"if it is {second}, add --decimal {sign}; otherwise write {first.replace('.', sign)}"
            return cells.row_of(text), (
                f"{shown(text)} is {first} with the decimal sign {other} of the training, and {second} with the "
                f"decimal sign {sign} of this file; {fix}"
            )
    return None


def _read(
    table: Table, name: str, form: str, first_year: int, gaps: Collection[str] = ()
) -> tuple[NDArray[np.float64], int | None, str | None]:
    """What `numbers_in` returns for a column; infinity is an error, and so is a cell that can be two numbers."""
    if (found := can_be_two_numbers(table, name, form)) is not None:
        row, why = found
        raise checks.Error(f"{table.where(row, name)}: {why}")
    numbers, odd, text = numbers_in(table[name].cells, form_in(table, form), table.decimal, gaps, first_year)
    infinite = np.isinf(numbers[:, 0])
    if infinite.any():
        raise too_large(table, int(infinite.argmax()), name)
    return numbers, odd, text


def _no_number(form: str, text: str) -> str:
    kind = "a date" if form in DATES else "a time"
    what = "a number" if form in NUMBERS else "yes or no" if form == "yes/no" else f"{kind} like {form}"
    return f"{shown(text)} is not {what}"


def _fix(table: Table, name: str, form: str, text: str, first_year: int, hint: str = "") -> str:
    """The end of the sentence about a text that is not a number; "" if nothing is known about it.

    hint    the end for a cell of the training
    """
    form = form_in(table, form)
    if text == name:
        return ", but the name of the column: if the line repeats the header, remove it"
    other_sign = _with_other_sign(table, form, text) if table.kind == "csv" else ""
    if form == PLAIN and table.decimal == ",":
        hint = other_sign or hint
    hint = hint or _with_unit(form, text) or other_sign
    return hint or _as_number(form, text, table.decimal) or _as_iso(form, text, first_year)


def _with_unit(form: str, text: str) -> str:
    """For 12 %, $1200 and 2.5 kg where training had plain numbers."""
    has_sign = has_sign_of_unit(text) and any(read(text) for read in NUMBERS.values())
    if form != PLAIN or not (has_sign or has_unit(text)):
        return ""
    return "; in training this column had plain numbers: remove the unit"


def _as_number(form: str, text: str, decimal: str) -> str:
    """For a number in another form, such as 2,641.09 where training had plain ones; "" if it can be several numbers."""
    found = {parts for read in NUMBERS.values() if (parts := read(text)) is not None}
    if form not in NUMBERS or len(found) != 1:
        return ""
    return f"; write {canonical(found.pop()[0])}".replace(".", decimal if form == PLAIN else form[-2])


def _as_iso(form: str, text: str, first_year: int) -> str:
    """For a date in another order; several dates, if it can be read in several orders."""
    if form not in DATES:
        return ""
    found = {parts[0] for other in DATES if (parts := reader_of(other, first_year)(text)) is not None}
    return f"; write {' or '.join(map(iso_date, sorted(found)))}" if found else ""


def _with_other_sign(table: Table, form: str, text: str) -> str:
    """For a number with the other decimal sign."""
    used = table.decimal if form == PLAIN else form[-2]
    other, name = (",", "comma") if used == "." else (".", "point")
    read = NUMBERS.get(with_decimal(form, other))
    if read is None or other not in text or read(text) is None:
        return ""
    if NUMBERS[with_decimal(POINTS, used)](text) is not None:  # 1,137, which can be 1137
        instead = text.replace(other, "")
        return f" with the decimal sign {used}; write {instead} or, if its {name} is decimal, add --decimal {other}"
    return f" with the decimal sign {used} (--decimal {other})"
