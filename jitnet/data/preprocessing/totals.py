"""Rows that summarize the others, such as totals and averages, which would be learned as data.

They are found by their numbers, which are the sums or the means of the others, or by a word such as Total.
"""

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from ...checks import shown, some
from ..table import Table, listed
from ..text_column import Words
from ..values import NUMBERS

ENDS = 5
"""How many of the last rows are examined, in addition to the first one: for sums, and for words such as Total."""
SKIPPED = 50
"""Rows without numbers, such as blank ones and footers, are skipped if they are among this many of the last rows."""
LEAST = 5
"""The minimum number of rows that a sum or mean must summarize: with fewer, the relation can be a coincidence."""
FEW = 2
"""A word in more rows than this is a category, unless each of these rows lacks cells that other rows have."""

HALF = "half"
"""A grand total is half of the sum if each row counts twice: by itself and in a subtotal."""
SUM, MEAN, MIN, MAX, SPREAD, COUNT, PART = "sum", "mean", "min", "max", "spread", "count", "part"
_TOTALS = (
    "total", "totals", "subtotal", "subtotals", "sub total", "grand total", "sum", "sums", "summe", "gesamt",
    "gesamtsumme", "zwischensumme", "total général", "sous total", "somme", "totale", "totaal", "suma",
)  # fmt: skip
_OTHERS = {
    MEAN: ("average", "avg", "mean", "median", "mittelwert", "durchschnitt", "moyenne"),
    MIN: ("min", "minimum"),
    MAX: ("max", "maximum"),
    SPREAD: ("std", "stdev", "std dev", "stddev", "standard deviation", "standardabweichung"),
    COUNT: ("count", "anzahl"),
    PART: ("media",),  # a mean in Italian, but also an industry
}
KINDS = {**dict.fromkeys(_TOTALS, SUM), **{word: kind for kind, words in _OTHERS.items() for word in words}}
"""Words of rows that summarize others, in lower case, without points and hyphens."""
_OF_A_GROUP = re.compile(rf"({'|'.join(_TOTALS)}) .{{1,40}}|.{{1,40}} ({'|'.join(_TOTALS)})")
LONGEST, MOST = 60, 1000
"""The length of the longest text that is compared with these words, and how many rows with such a word are examined."""


@dataclass(frozen=True)
class Row:
    """The cells of a row that are not missing."""

    row: int
    numbers: dict[str, float]
    texts: dict[str, str]


@dataclass(frozen=True)
class Numbers:
    """What is known of a column of numbers, without the rows at the ends."""

    total: float
    largest: float
    rows: int
    not_zero: int


def totals_notes(table: Table) -> list[str]:
    """A sentence about the rows that seem to summarize others, if they have a target, and so are learned."""
    if table.matrix is not None or len(table) < 2:
        return []
    first, last = _row(table, 0), _last_rows(table)
    sums, words = _by_numbers(table, first, last), _by_words(table, [first, *last])
    is_left_out = table[table.target].missing
    rows = [row for row in sorted({*sums, *words}) if not is_left_out[row]]
    if not rows:
        return []
    if len(rows) == 1 and rows[0] in sums:
        return [f"{table.where(rows[0])} has {sums[rows[0]]}, remove it"]
    places = [table.place(row) for row in rows]
    kind = places[0].split()[0]
    where = (
        f"{kind}s {some([place.split()[1] for place in places], ENDS)} seem" if len(rows) > 1 else f"{places[0]} seems"
    )
    found = list(dict.fromkeys(words[row] for row in rows if row in words))
    examples = f" ({some([shown(text) for text in found], ENDS)})" if found else ""
    them = "they do, remove them" if len(rows) > 1 else "it does, remove it"
    return [f"{table.source}, {where} to summarize other rows{examples}; if {them}"]


def _row(table: Table, row: int) -> Row:
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    for column in table.columns:
        cell = column.cells[row]
        if isinstance(column.cells, Words):
            texts |= {} if cell is None else {column.name: str(cell)}
        elif not np.isnan(cell):
            numbers[column.name] = float(cell)
    return Row(row, numbers, texts)


def _last_rows(table: Table) -> list[Row]:
    """The last rows with numbers or several texts, without the first row."""
    rows: list[Row] = []
    for i in range(len(table) - 1, max(0, len(table) - 1 - SKIPPED), -1):
        row = _row(table, i)
        if row.numbers or len(row.texts) > 1:
            rows.insert(0, row)
        if len(rows) == ENDS:
            break
    return rows


def _by_numbers(table: Table, first: Row, last: list[Row]) -> dict[int, str]:
    """Rows with the sums or means of the others -> in which columns, as a part of a sentence.

    Any number of the last rows can be such rows, or the first; all others are then taken for data.
    """
    end = last[0].row if last else len(table)
    known = {
        column.name: _numbers(column.cells[1:end])
        for column in table.columns
        if not isinstance(column.cells, Words) and any(column.name in row.numbers for row in (first, *last))
    }
    trials = [(last[k:], [first, *last[:k]], "above") for k in reversed(range(len(last)))]
    found: dict[int, str] = {}
    for rows, data, side in [*trials, ([first], last, "below")]:
        if end - 1 + len(data) < LEAST:
            continue
        for row in rows:
            found_in = _relations(table, row, known, data)
            sums, means, others = ([n for n in found_in if found_in[n] == what] for what in (SUM, MEAN, ""))
            totals = [n for n in found_in if found_in[n] in (SUM, HALF)]
            is_last = rows == last[-1:]  # the usual place of a total, where sums in half of the columns suffice
            several = not others and len(found_in) >= 2
            if (is_last and sums and 2 * len(sums) >= len(found_in)) or several:
                what, name = ("sums", "a total") if totals else ("means", "an average")
                where = f"the {what} of the rows {side} it in {listed(totals or means, 5)}"
                found.setdefault(row.row, f"{where}; if it is {name}")
    return found


def _numbers(cells: NDArray[np.float64]) -> Numbers:
    there = cells[~np.isnan(cells)]
    with np.errstate(all="ignore"):
        return Numbers(
            float(there.sum()), float(np.abs(there).max(initial=0)), len(there), int(np.count_nonzero(there))
        )


def _relations(table: Table, row: Row, known: dict[str, Numbers], data: list[Row]) -> dict[str, str]:
    """What the numbers of this row are for those of the data: column -> SUM, HALF, MEAN or ""."""
    found = {}
    for name, number in row.numbers.items():
        more = [other.numbers[name] for other in data if name in other.numbers]
        total = known[name].total + sum(more)
        largest = max([known[name].largest, *map(abs, more)])
        rows = known[name].rows + len(more)
        is_sum, is_half = (largest < abs(number) and _is_near(number, total / parts) for parts in (1, 2))
        if is_sum or is_half:
            if known[name].not_zero + np.count_nonzero(more) >= LEAST:  # 2 is the sum of two 1 and many 0 by chance
                found[name] = SUM if is_sum else HALF
        elif rows >= LEAST and _is_near(number, total / rows) and _occurs_once(table, name, number):
            found[name] = MEAN
        else:
            found[name] = ""
    return found


def _is_near(number: float, other: float) -> bool:
    return abs(number - other) <= 1e-9 * abs(other)


def _occurs_once(table: Table, name: str, number: float) -> bool:
    """A mean that other rows have too, as in a column of 0 and 1, can be an ordinary number."""
    return int((table[name].values == number).sum()) == 1


def _by_words(table: Table, ends: list[Row]) -> dict[int, str]:
    """Rows with a word such as Total, and mostly numbers -> this word."""
    names = dict.fromkeys(name for row in ends for name, text in row.texts.items() if _kind(text))
    found: dict[int, str] = {}
    for name in names:
        cells = table[name].cells
        assert isinstance(cells, Words)
        kinds = {place: kind for place, text in cells.used.items() if (kind := _kind(text))}
        is_word = np.isin(cells.codes, list(kinds))
        if 3 * is_word.sum() > len(table):
            continue
        rows = np.flatnonzero(is_word)
        times, full = Counter(cells.codes[rows].tolist()), set(cells.codes[rows[_without_gaps(table)[rows]]].tolist())
        data = cache(partial(_range, table, ~is_word))
        for row in (_row(table, i) for i in [*rows[:1].tolist(), *rows[-MOST:].tolist()]):
            place = int(cells.codes[row.row])
            if (times[place] <= FEW or place not in full) and _is_summary(row, name, kinds[place], data):
                found[row.row] = row.texts[name]
    return found if any(row.row in found for row in ends) else {}


def _kind(text: str) -> str:
    """What a row with this text summarizes; "" for any other text."""
    if len(text) > LONGEST:
        return ""
    words = " ".join(re.sub("[.:-]", " ", text.casefold()).split())
    return KINDS.get(words) or (PART if _OF_A_GROUP.fullmatch(words) else "")


def _without_gaps(table: Table) -> NDArray[np.bool_]:
    """(n,) True for rows with a value in each column in which most rows have one."""
    full = np.ones(len(table), bool)
    for column in table.columns:
        is_there = ~column.missing
        if 2 * is_there.sum() > len(table):
            full &= is_there
    return full


def _range(table: Table, is_data: NDArray[np.bool_], column: str) -> tuple[int, float, float]:
    """The number of these rows, and the least and the greatest number in them; NaN without any."""
    values = table[column].values[is_data]
    there = values[~np.isnan(values)]
    return len(values), *((float(there.min()), float(there.max())) if len(there) else (math.nan, math.nan))


def _is_summary(row: Row, name: str, kind: str, data: Callable[[str], tuple[int, float, float]]) -> bool:
    """True if a row with such a word has mostly numbers, and these can be what the word says: Max is a name, too."""
    others = [text for column, text in row.texts.items() if column != name]
    words = [text for text in others if all(read(text) is None for read in NUMBERS.values())]
    numbers = len(row.numbers) + len(others) - len(words)
    if not numbers or len(words) > (0 if kind == PART else numbers):
        return False
    return all(_fits(kind, number, *data(column)) for column, number in row.numbers.items())


def _fits(kind: str, number: float, rows: int, least: float, most: float) -> bool:
    """True if a number can be what the word says of other rows, and of their least and greatest number."""
    return {
        SPREAD: number >= 0, COUNT: number % 1 == 0 and 0 <= number <= rows, SUM: True, PART: True,
        MIN: not number > least, MAX: not number < most, MEAN: not (number < least or number > most),
    }[kind]  # fmt: skip
