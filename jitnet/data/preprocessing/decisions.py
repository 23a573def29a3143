"""How each column is prepared, learned from the training rows, with a sentence for each decision."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ... import checks
from ...canonical import canonical, column_name, is_code, is_number
from ...checks import count, shown, some
from .. import notation
from ..dates import COMPACT, DATES, FIRST_YEAR, PLAIN_MONTH, TIMES, first_year_of, other_order, parts_of, plain_dates
from ..missing import is_missing_word
from ..sentinels import FEW as LEAST
from ..sentinels import sentinel_notes, sentinels
from ..table import Table, as_named, as_option, called, listed
from ..text_column import Words
from ..values import (
    FORMS,
    NUMBERS,
    PLAIN,
    distinct,
    form_at_all,
    form_of,
    form_of_dates,
    numbers_in,
    reader_of,
    with_decimal,
)
from .columns import MOST_WORDS, Category, Number, Standard, are_nearly_equal
from .layout import layout_notes
from .number_cells import too_large
from .totals import totals_notes

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Choices:
    """What the user decides: columns by name, and values that are missing."""

    drop: list[str] = field(default_factory=list)
    categorical: list[str] = field(default_factory=list)
    numeric: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Values that stand for a missing cell: "-999" in all columns, "age=0" in one."""

    def __post_init__(self) -> None:
        for option in ("drop", "categorical", "numeric", "missing"):  # in Python, names and values can be numbers
            entries = checks.listed(option, getattr(self, option))  # a string would be a list of letters
            object.__setattr__(self, option, list(map(column_name, entries)))

    def for_table(self, table: Table) -> "Choices":
        """The choices with "" for (unnamed), as lists of columns show an empty name.

        Errors    ValueError unless every name is that of a column, and is named once
        """
        if checks.UNNAMED in table.names or "" not in table.names:
            chosen = self
        else:
            options = ("drop", "categorical", "numeric")
            names = {option: [as_named(name) for name in getattr(self, option)] for option in options}
            chosen = replace(self, **names)
        chosen._check(table)
        return chosen

    def _check(self, table: Table) -> None:
        if table.kind == "pictures" and (self.drop or self.categorical or self.numeric):
            raise checks.Error("--drop, --categorical and --numeric work with tables, not with images")
        named: dict[str, str] = {}
        for option in ("drop", "categorical", "numeric"):
            for name in getattr(self, option):
                if name == table.target:
                    raise checks.Error(f"--{option} names the target {shown(name)}; name other columns")
                checks.one_of(f"column in --{option}", name, table.features)
                if name in named:
                    raise checks.Error(
                        f"--{named[name]} and --{option} both name {shown(name or checks.UNNAMED)}; name it once"
                    )
                named[name] = option


@dataclass
class Plan:
    """The columns to learn from; a sentence for each decision; and those that may be wrong."""

    standard: Standard
    columns: list[Number | Category]
    decisions: list[str]
    warnings: list[str]


UNNAMED = re.compile(r"(Unnamed: [0-9.]+|__index_level_[0-9]+__|level_[0-9]+)?")
"""The names that pandas gives to an index without one."""
IDS = ("id", "uid", "guid", "uuid")
ROW_NUMBERS = (
    *IDS, "index", "row", "rowid", "rownum", "rownumber", "rownr", "rowname", "rownames", "nr", "no", "sno", "srno",
    "slno", "serialno", "serialnumber", "lfdnr", "#",
)  # fmt: skip
"""Names of row numbers in lower case, without spaces, points and underscores."""
IDENTIFIER = re.compile(r".*[_ -]([iI][dD]|[gu]uid|[GU]UID)|.*[a-z0-9](Id|ID)")
MEASURED, YEARS = 20, (1800, 2099)
"""At most this many numbers that follow each other, or any number of years, can be measurements in order."""
FEW_WORDS = 10
"""This many different words are categories even in a table with few rows."""

MOSTLY_EMPTY = 0.8
"""A column with a larger part of its cells missing can be something else beside the data, such as notes."""

AS_ASKED = "because of --drop"
EMPTY = "no value in the training rows"
SAME = "the same in all training rows (--numeric NAME or --categorical NAME keeps it)"
NEARLY_SAME = "the numbers differ only by rounding (subtract the smallest one from all of them to learn the difference)"
SAME_WORD = "the same in all training rows (--categorical NAME keeps it)"
NAMES_ROWS = "a different whole number in each row, like an ID (--numeric NAME keeps it)"
OWN_NUMBERS = "a different code or number of over 15 digits in each row, like an ID (--numeric NAME keeps it)"
OWN_WORDS = "a different text in each row, like an ID (--categorical NAME keeps it)"
MANY_WORDS = "nearly as many different texts as rows (--categorical NAME keeps it)"
TOO_MANY_WORDS = f"more than {MOST_WORDS} different texts"


class Planner:
    """Decides on the columns of one table, one after the other."""

    def __init__(self, table: Table, train: Rows, choices: Choices) -> None:
        choices = choices.for_table(table)
        self.table, self.train, self.choices = table, train, choices
        self.standard: list[str] = []
        self.columns: list[Number | Category] = []
        self.left_out: dict[str, list[str]] = {}  # the reason -> the columns
        self.decisions: list[str] = []
        self.warnings: list[str] = []
        self.unread: dict[str, notation.Unread] = {}  # what the cells of columns are
        self.sentinels: dict[str, dict[str, int]] = {}  # the value -> the columns, and how many rows have it there

    def plan(self) -> Plan:
        """Decide on all columns.

        Errors    ValueError for a cell that does not fit the kind of its column, and if no column is left
        """
        table, names = self.table, self.table.features
        if table.kind == "pictures":  # a pixel is a pixel, even if it is the same in all images
            return Plan(Standard.learn(table, names, self.train), [], [], [])
        for name in names:
            why = self._decide(name)
            if why is not None:
                self.left_out.setdefault(why, []).append(name)
        self.warnings += notation.unread_notes(self.unread)
        if not self.standard and not self.columns:
            reasons = [f"{listed(names, 5)}: {why}" for why, names in self.left_out.items()]
            raise checks.Error(f"{table.source} has no column left to learn from: {'; '.join(reasons + self.warnings)}")
        self.warnings += sentinel_notes(self.sentinels, "cells of training rows") + self._mostly_empty_notes()
        self.warnings += totals_notes(table) + layout_notes(table)
        decisions = [f"left out: {listed(names)}: {why}" for why, names in self.left_out.items()]
        if self.standard:
            numbers = f"{count(len(self.standard), 'column')} of numbers: {listed(self.standard)} (--categorical NAME)"
            decisions = [numbers, *self.decisions, *decisions]
        else:
            decisions = self.decisions + decisions
        return Plan(Standard.learn(table, self.standard, self.train), self.columns, decisions, self.warnings)

    def _mostly_empty_notes(self) -> list[str]:
        """A warning about the columns that are learned although nearly all of their training cells are missing."""
        shares = {column.name: self.table[column.name].missing[self.train].mean() for column in self.columns}
        empty = {name: share for name, share in shares.items() if share > MOSTLY_EMPTY}
        if not empty:
            return []
        names = some([f"{called(name)} ({100 * share:.0f} %)" for name, share in empty.items()], 5)
        offer = as_option("drop", *empty)
        are, them = ("it is a note", "it") if len(empty) == 1 else ("they are notes", "them")
        return [
            f"most training cells are missing in {names}; if {are} or another table beside the data, leave {them} out: "
            f"{offer}"
        ]

    def _decide(self, name: str) -> str | None:
        """Learn a column, or return the reason to leave it out."""
        if name in self.choices.drop:
            return AS_ASKED
        column = self.table[name]
        if column.missing[self.train].all():
            return EMPTY
        is_declared = column.is_category and name not in self.choices.numeric
        if name in self.choices.categorical or is_declared:
            different = len(distinct(column.cells[self.train])[0])
            if is_declared and different == 1 and not column.missing[self.train].any():
                return SAME_WORD
            if different > MOST_WORDS:
                raise checks.Error(
                    f"{as_option('categorical', name)}: {different} different values; {MOST_WORDS} is the limit"
                )
            self._category(name)
            return None
        if isinstance(column.cells, Words):
            return self._texts(name, column.cells)
        return self._numbers(name, column.cells)

    def _numbers(self, name: str, values: NDArray[np.float64]) -> str | None:
        """A column of plain numbers."""
        learned = values[self.train]
        if np.isinf(learned).any():
            raise too_large(self.table, int(self.train[int(np.isinf(learned).argmax())]), name)
        has_gaps = bool(np.isnan(learned).any())
        if name not in self.choices.numeric:
            if not has_gaps and len(learned) > 1 and learned.min() == learned.max():
                return SAME
            if not has_gaps and len(learned) > 1 and are_nearly_equal(learned):
                return NEARLY_SAME
            if form := form_of_dates(values):
                if form == COMPACT:
                    self._note_sentinels(name, form, Counter(map(canonical, learned[~np.isnan(learned)].tolist())))
                self._number(name, form, [])
                return None
            if self._names_rows(name, values):
                return NAMES_ROWS
            for value, rows in sentinels(learned[~np.isnan(learned)]).items():
                self.sentinels.setdefault(canonical(value), {})[name] = rows
        if has_gaps:
            self._number(name, PLAIN, [])
        else:
            self.standard.append(name)
        return None

    def _names_rows(self, name: str, values: NDArray[np.float64]) -> bool:
        """True for row numbers and other identifiers; a warning for numbers that count the rows under another name."""
        has_name = self.table.has_header
        is_unnamed = has_name and bool(UNNAMED.fullmatch(name.strip()))
        plain_name = re.sub("[ ._]", "", name.casefold())
        is_id = has_name and bool(plain_name in IDS or IDENTIFIER.fullmatch(name))
        is_identifier = is_unnamed or is_id or (has_name and plain_name in ROW_NUMBERS)
        with np.errstate(all="ignore"):
            steps, can_count = np.diff(values), _can_count(values.min(), values.max())
            extent = can_count and values.max() - values.min() == len(values) - 1
            # 0, 10, 20, ..., or 1, 2, 3, ... without the rows that were removed
            is_spaced = can_count and len(values) > MEASURED and (steps == np.median(steps)).mean() > 0.9
            if len(values) < 5 or not (extent or is_spaced or is_identifier) or (values % 1 != 0).any():  # or NaN
                return False
        differ = len(np.unique(values)) == len(values)
        if not (extent or is_identifier or differ):
            return False
        counts = (extent or is_spaced) and differ  # if extent, in any order
        if is_unnamed and len(self.table.features) > 1 and (steps == 1).mean() > 0.9:  # tables below each other
            return True
        leaves_out = is_identifier or (extent and not has_name and values.min() in (0, 1))
        if len(self.table.features) == 1 or (counts and not leaves_out):
            self.warnings.append(
                f"{called(name)} seems to number the rows; if it means nothing else, leave it out: "
                f"{as_option('drop', name)}"
            )
            return False
        if is_id and not differ:
            self.warnings.append(
                f"{called(name)} seems to be an identifier, and is learned as a quantity; leave it out, or learn its "
                f"values as categories: {as_option('drop', name)} or {as_option('categorical', name)}"
            )
        return differ and leaves_out

    def _texts(self, name: str, cells: Words) -> str | None:
        """A column with text: numbers or dates in some form, or words.

        How they are written follows from all rows: a thousands comma only in test rows is no reason to refuse a file.
        """
        times, learned = cells.counted(), cells[self.train].counted()
        texts, present = list(times), sum(learned.values())
        day_first = self.table.decimal == "," or self.table.reading.get("separator") == ";"  # not files from the USA
        form, odd = form_of(texts, np.array(list(times.values()), np.int64), self.table.decimal, day_first)
        if name in self.choices.numeric:
            if form is None:
                form = form_at_all(texts, {**NUMBERS, **TIMES, **DATES})
                odd = [text for text in texts if form and FORMS[form](text) is None]
            if form is None:
                option = as_option("numeric", name)
                but = f", but {how}" if (how := notation.instead_of(texts)) else ""
                raise checks.Error(f"{option}: {shown(texts[0])} and all other cells are not numbers{but}")
        elif len(learned) == 1 and present == len(self.train) > 1:
            return SAME_WORD
        elif form is None:
            why = self._words(name, len(learned), present)
            option, effect = as_option("numeric", name), notation.LEFT_OUT if why else notation.AS_CATEGORIES
            found = notation.taken_for_words(called(name), times, partial(self.table.place_of, name), option, effect)
            if isinstance(found, notation.Unread):
                self.unread[name] = found
            elif found:
                self.warnings.append(found)
            return OWN_NUMBERS if why == OWN_WORDS and all(map(is_code, texts)) else why
        elif form == PLAIN:
            form = plain_dates([text for text in texts if not is_missing_word(text)]) or PLAIN
        unread = set(odd)
        read = [text for text in texts if text not in unread and not is_missing_word(text)]
        known = set(read)
        if known.isdisjoint(learned):
            return EMPTY
        first_year = first_year_of(read if form in DATES else [])
        if name not in self.choices.numeric:
            if form in NUMBERS and self._names_rows(name, numbers_in(cells, form, self.table.decimal)[0][:, 0]):
                return NAMES_ROWS
            self._note_sentinels(name, form, {text: n for text, n in learned.items() if text in known}, first_year)
        self._number(name, form, read, first_year)
        return None

    def _note_sentinels(self, name: str, form: str, times: Mapping[str, int], first_year: int = FIRST_YEAR) -> None:
        """Note texts that seem to stand for a missing cell, such as 9999-12-31; `times` counts all texts."""
        if max(times.values()) < LEAST or not (form in NUMBERS or form in DATES):
            return
        read = reader_of(form, first_year)
        values = {text: (read(text) or (math.nan,))[0] for text in times}
        for value, rows in sentinels(np.repeat(list(values.values()), list(times.values())), form in DATES).items():
            text = next(text for text in values if values[text] == value)
            self.sentinels.setdefault(canonical(text), {})[name] = rows

    def _number(self, name: str, form: str, read: list[str], first_year: int = FIRST_YEAR) -> None:
        """Learn a column of numbers with missing cells or in a special form; `read` are the texts that are numbers."""
        column = Number.learn(self.table, name, form, self.train, name in self.choices.numeric, first_year)
        self.columns.append(column)
        if form == "yes/no":
            words = sorted(read, key=str.casefold)
            sides = [[word for word in words if FORMS[form](word) == side] for side in ((0.0,), (1.0,))]
            text = f"is yes or no: {'; '.join(some(side, 4) for side in sides if side)}"
        elif form in DATES:
            text = f"holds dates, {form}: {', '.join(parts_of(form)[: len(column.mean)])}"
            if other := other_order(form, read):
                fits = f"is read as {form}, and {other} fits too; if that is meant, write year-month-day"
                self.warnings.append(f"{called(name)} {fits}")
        elif form in TIMES:
            text = f"holds times of day, {form}: hours"
        elif form == PLAIN:
            text = "is a number"
        else:
            example = max(self._doubtful(form, read) or read, key=len)
            text = f"is a number in text: {shown(example)} is {(FORMS[form](example) or [0])[0]:.15g}"
        if column.marked:
            median = "the median" if len(column.median) > 1 else f"the median {column.median[0]:.6g}"
            if form == "yes/no" and column.median[0] in (0, 1):
                median = f"the most frequent, {sides[int(column.median[0])][0]},"
            text += f"; {self._gaps(name, read)}, filled with {median} and marked"
        is_plain = not read or (is_number(read[0]) and self.table.decimal == ".")
        option = as_option("numeric" if form in DATES and is_plain else "categorical", name)
        if form == PLAIN_MONTH and is_plain:
            self.warnings.append(f"{called(name)} is read as months, month.year; if these are numbers, add {option}")
        self.decisions.append(f"{called(name)} {text} ({option})")
        for sentence in (
            notation.different_units(called(name), read, self.table.is_sheet),
            notation.zeros_as_dashes(called(name), read if form in NUMBERS else []),
            notation.years_of_two_digits(called(name), read, form, first_year),
        ):
            self.warnings += [sentence] if sentence else []

    def _doubtful(self, form: str, read: list[str]) -> list[str]:
        """The texts that are another number with the other decimal sign, such as 1,137."""
        other = FORMS[with_decimal(form, "." if self.table.decimal == "," else ",")]
        return [text for text in read if other(text) not in (None, FORMS[form](text))]

    def _gaps(self, name: str, read: list[str] | None) -> str:
        """How many cells are missing, and which words count as missing among numbers."""
        column = self.table[name]
        words: dict[str, int] = {}
        if isinstance(column.cells, Words) and read is not None:
            numbers = set(read)
            words = {text: n for text, n in column.cells[self.train].counted().items() if text not in numbers}
        gaps = int(column.missing[self.train].sum()) + sum(words.values())
        among = f", among them {some(list(map(shown, words)), 3)}" if words else ""
        return f"{gaps} of {count(len(self.train), 'cell')} missing{among}"

    def _words(self, name: str, different: int, present: int) -> str | None:
        """A column of words: categories, unless nearly every row has a different word."""
        if different > MOST_WORDS:
            return TOO_MANY_WORDS
        if different == present and different >= 5:
            return OWN_WORDS
        if different > FEW_WORDS and 2 * different > present:
            return MANY_WORDS
        self._category(name)
        return None

    def _category(self, name: str) -> None:
        column = Category.learn(self.table, name, self.train)
        self.columns.append(column)
        words = [*column.categories, *column.rare] or [column.most_frequent]
        names = [shown(word) if "," in word else word for word in words]
        text = f"{called(name)} has {count(len(names), 'category', 'categories')}: {some(names, 6)}"
        if column.rare:
            text += f"; {count(len(column.rare), 'rare one')} together as one"
        if column.marked:
            text += (
                f"; {self._gaps(name, None)}, filled with the most frequent, {some([column.most_frequent])}, and marked"
            )
        self.decisions.append(f"{text} ({as_option('drop', name)})")
        if sentence := notation.nearly_equal(called(name), "categories", names):
            self.warnings.append(sentence)


def _can_count(first: float, last: float) -> bool:
    """True if the whole numbers from first to last are likely to number rows."""
    is_year = YEARS[0] <= first and last <= YEARS[1]
    return first in (0, 1) or (last - first >= MEASURED and not is_year)
