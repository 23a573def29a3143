"""Values that stand for a missing cell, such as −999: found in columns of numbers, and emptied if the user says so."""

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..canonical import canonical, column_name, is_number
from ..checks import shown, some
from .missing import is_missing
from .table import Column, Table, as_list, as_named, as_option, called
from .text_column import Words

FEW = 3
"""A value that fewer rows have, or fewer than one in a thousand, can be an outlier."""
MOST = 3
"""The maximum number of sentinels at one end, as in −999, −998."""
LIMITS = (32767, 32768, 65535)
"""Missing cells of programs with integers of 16 bits. Other codes below a billion have one or two different digits."""
FAR = 1.5
"""Sentinels are farther from the other numbers than this times their extent; powers of 2 are not."""
FAR_NINES = 0.3
"""The same for −999, 9999 and the like, which are rarely measured values."""
MOST_NAMED = 5
"""A sentence names at most this many columns."""
DIFFERENT = 10
"""The other numbers have at least this many values; fewer could be categories, unless the far ones are codes."""
CODE = re.compile("-[0-9]+|([789])\\1+|9+[78]")
"""What surveys write for a missing answer beside answers such as 1 to 5: -9, 88, 99, 97, 998 and the like."""


def sentinels(values: NDArray[np.float64], are_dates: bool = False) -> dict[float, int]:
    """Whole numbers at the ends of a column, far from the others, that several rows have; and how many have them.

    values    (n,) finite numbers; or days, if they are dates
    """
    low, high = (_at_the_end(values, extreme, are_dates) for extreme in (np.min, np.max))
    for left, right in sorted(product(range(len(low)), range(len(high))), key=sum)[1:]:  # as few sentinels as possible
        first, last = low[left][0], high[right][0]
        nearest = [low[left - 1][0]] * (left > 0) + [high[right - 1][0]] * (right > 0)
        if all(_is_far(value, first, last) for value in nearest):
            others = values[(values >= first) & (values <= last)]
            found = dict([*low[:left], *high[:right]])
            are_codes = all(CODE.fullmatch(canonical(value)) for value in found)
            if 2 * len(others) <= len(values) or not (are_codes or len(np.unique(others[:1000])) >= DIFFERENT):
                return {}
            return found | sentinels(others, are_dates)
    return {}


def _is_far(value: float, first: float, last: float) -> bool:
    """True if a value is far from all numbers from first to last."""
    far = FAR_NINES if re.fullmatch("-?9{3,}", canonical(value)) else FAR
    return max(first - value, value - last) > far * (last - first) > 0


def _at_the_end(values: NDArray[np.float64], extreme: Callable[..., Any], are_dates: bool) -> list[tuple[float, int]]:
    """The extreme values and how many rows have them, up to the first that is no sentinel."""
    found: list[tuple[float, int]] = []
    while len(values) and len(found) <= MOST:
        here = values == extreme(values)
        found.append((float(extreme(values)), int(here.sum())))
        if found[-1][1] < max(FEW, here.size / 1000) or not _can_be_code(found[-1][0], are_dates):
            break
        values = values[~here]
    return found


def _can_be_code(value: float, is_date: bool) -> bool:
    """True for days, and whole numbers such as -1, 98, 999 and 10000, but not 150 and 4779118, which are measured."""
    size = abs(value)
    return value % 1 == 0 and (is_date or size >= 1e9 or size in LIMITS or len(set(f"{size:.0f}")) <= 2)


def sentinel_notes(found: dict[str, dict[str, int]], cells: str = "cells") -> list[str]:
    """A sentence for each value that seems to stand for a missing cell; value -> columns -> the number of cells."""
    notes = []
    for value, columns in found.items():
        names = list(columns)
        offer = as_option("missing", *(f"{name}={value}" for name in names))
        if len(names) > MOST_NAMED:
            offer = f"{as_option('missing', value)}, for all columns"
        have, its = ("has", "its") if len(names) == 1 else ("have", "their")
        listed = some(list(map(called, names)), MOST_NAMED)
        notes.append(
            f"{listed} {have} {value} in {sum(columns.values())} {cells}, far from {its} other "
            f"numbers; if it means that the cell is missing, add {offer}"
        )
    return notes


def emptied(table: Table, entries: list[str], learns: bool = False, names: Collection[str] = ()) -> Table:
    """The table without the cells that have these values. Its `reading["missing"]` lists the entries.

    entries    "-999" for all columns, "age=0" for one: up to the = is a name, if a column is called so
    learns     each column must be there, and each value must occur
    names      those of the columns in training; if there are none, those of this table
    Errors     ValueError if they do not
    """
    if not entries or table.reading.get("missing") == as_list(entries):
        return table
    if table.kind == "pictures":
        raise checks.Error("--missing works with tables, not with images")
    wide = 0 if table.matrix is None else table.matrix.shape[1]
    before = [table[name] for name in table.names[:wide]] + table.columns
    columns = list(before)
    for entry in entries:
        name, value = _column_and_value(entry, names or table.names)
        chosen = [j for j, column in enumerate(columns) if name in (None, column.name)]
        if learns and all(_without(before[j], canonical(value)) is before[j] for j in chosen):
            if name is None and "=" in entry:
                checks.one_of("column in --missing", column_name(entry.rpartition("=")[0]), table.names)
            if is_missing(value):
                raise checks.Error(f"{as_option('missing', entry)}: {shown(value)} is missing already; omit it")
            raise checks.Error(f"{as_option('missing', entry)}: no cell of {table.source} is {shown(value)}")
        for j in chosen:
            columns[j] = _without(columns[j], canonical(value))
    reading = {**table.reading, "missing": as_list(entries)}
    if columns[:wide] == before[:wide]:
        return replace(table, columns=columns[wide:], reading=reading)
    return replace(table, columns=columns, matrix=None, reading=reading)


def _column_and_value(entry: str, names: Collection[str]) -> tuple[str | None, str]:
    """The name of the column, of several the longest, and the value; None for all columns."""
    parts = entry.split("=")
    for end in range(len(parts) - 1, 0, -1):
        name = column_name("=".join(parts[:end]))
        if name in names or (name := as_named(name)) in names:
            return name, "=".join(parts[end:])
    return None, entry


def _without(column: Column, value: str) -> Column:
    """The column without the cells of this value; the same object if there are none."""
    cells = column.cells
    if isinstance(cells, Words):
        places = [place for place, text in cells.used.items() if canonical(text) == value]
        codes = np.where(np.isin(cells.codes, places), -1, cells.codes)
        return Column(column.name, Words(cells.texts, codes), column.is_category) if places else column
    here = cells == (float(value) if is_number(value) else np.nan)
    return Column(column.name, np.where(here, np.nan, cells), column.is_category) if here.any() else column
