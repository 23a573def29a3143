"""The range of each column of numbers in training, and the notes about new numbers far outside of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import checks
from ...canonical import canonical
from ...checks import count
from ..dates import DATES, EPOCH, TIMES, iso_date, time_of_day
from ..table import Table, called, listed
from ..values import NUMBERS, PLAIN

MARGIN = 0.5
"""Numbers may exceed the range by this fraction of its extent. After 100 training rows with an exponential
distribution, 3 % of the test sets of 25 rows exceed it, of a normal distribution 0.05 %; with a tenth of the extent, 14
and 12 % would."""
MOST_NOTES = 3
"""More columns are listed in one sentence."""


class Outside:
    """Collects one note for each column of a table with numbers far outside of the range in training."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._notes: dict[str, str] = {}

    def check(self, name: str, values: NDArray[Any], extent: list[float], form: str = PLAIN) -> None:
        """The numbers of a column (n,), NaN where one is missing. `extent` is the range, [] if the model has none."""
        if not extent:
            return
        low, high = _limits(extent, form)
        outside = (values < low) | (values > high)
        if not outside.any():
            return
        row, number = int(outside.argmax()), int(outside.sum())
        # a date as in the file; but 1.100 can be 1100
        first = canonical(str(values[row])) if form in NUMBERS else canonical(self._table[name].cells[row])
        write = iso_date if form in DATES else time_of_day if form in TIMES else "{:.6g}".format
        least, most = map(write, extent)
        self._notes[name] = (
            f"{called(name)}: {number} of {count(len(values), 'cell')} {'is' if number == 1 else 'are'} outside of the "
            f"range in training, {least} to {most}, the first {first} ({self._table.where(row)})"
        )

    def check_all(self, names: list[str], matrix: NDArray[Any], extents: list[list[float]]) -> None:
        """Plain numbers (n, columns). Only columns whose least or greatest number is outside are checked further."""
        if extents:
            low, high = np.array([_limits(extent, PLAIN) for extent in extents]).T
            for j in np.flatnonzero((matrix.min(axis=0) < low) | (matrix.max(axis=0) > high)).tolist():
                self.check(names[j], matrix[:, j], extents[j])

    def sentences(self) -> list[str]:
        """The notes of the first columns, and one with the names of the others."""
        notes, others = list(self._notes.values())[:MOST_NOTES], list(self._notes)[MOST_NOTES:]
        return [*notes, f"also with cells outside of the range in training: {listed(others)}"] if others else notes


def extents_of(values: NDArray[Any]) -> list[list[float]]:
    """The least and the greatest number of each column (n, columns)."""
    least, most = values.min(axis=0), values.max(axis=0)
    return [[float(low), float(high)] for low, high in zip(least, most, strict=True)]


def check_extent(what: str, extent: Any, form: str = PLAIN) -> None:
    """Two numbers in order, or days that Python can write as dates."""
    least, most = (
        ((last - EPOCH) / timedelta(days=1) for last in (datetime.min, datetime.max)) if form in DATES else (-inf, inf)
    )
    what_of_it = f"a number of {what}"
    low, high = (checks.number(what_of_it, number, least=least, most=most) for number in checks.listed(what, extent, 2))
    if low > high:
        raise checks.Error(f"{what} is {checks.shown(extent)}, but must begin with the smaller number")


def _limits(extent: Sequence[float], form: str) -> tuple[float, float]:
    """From which number to which there is no note. If no number was negative, a negative one is outside however near,
    such as a price of -999; the same for positive ones."""
    low, high = extent
    margin = MARGIN * (high - low)
    first, last = low - margin, high + margin
    if form in DATES:  # days since 1970
        return first, last
    return max(first, 0.0) if low >= 0 else first, min(last, 0.0) if high <= 0 else last
