"""What becomes of each column, decided on the training rows, and the sentence that says so."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..checks import count, shown, some
from .columns import Category, Number, Standard
from .table import Table
from .values import DATES, FORMS, NUMBERS, distinct, form_of, is_missing_word, parts_of

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Choices:
    """The columns that the user decides on."""

    drop: list[str] = field(default_factory=list)
    categorical: list[str] = field(default_factory=list)
    numeric: list[str] = field(default_factory=list)

    def check(self, table: Table) -> None:
        """Every name is that of a column, and is named once."""
        if table.kind == "pictures" and (self.drop or self.categorical or self.numeric):
            raise checks.Error("--drop, --categorical and --numeric work with tables, not with pictures")
        named: dict[str, str] = {}
        for option in ("drop", "categorical", "numeric"):
            for name in getattr(self, option):
                if name == table.target:
                    raise checks.Error(f"--{option} names the target {shown(name)}; name other columns")
                checks.one_of(f"column in --{option}", name, table.names)
                if name in named:
                    raise checks.Error(f"--{named[name]} and --{option} both name {shown(name)}; name it once")
                named[name] = option


@dataclass
class Plan:
    """The columns to learn from, those that are left out, and the sentences that say why."""

    standard: Standard
    columns: list[Number | Category]
    left_out: list[str]
    said: list[str]
    warned: list[str]


ROW_NUMBERS = ("", "id", "index", "row", "rowid", "rownum", "rownames", "nr", "no", "no.", "#", "unnamed: 0")
IDENTIFIER = re.compile(r".*[_ -]([iI][dD]|[gu]uid|[GU]UID)|.*[a-z0-9](Id|ID)|Unnamed: [0-9]+")
SAME = "the same in all training rows (--numeric or --categorical NAME keeps it)"
FEW_WORDS = 10
"""So many different words are categories, even if there are few rows."""


class Planner:
    """Decides on the columns of one table, one after the other."""

    def __init__(self, table: Table, train: Rows, choices: Choices) -> None:
        choices.check(table)
        self.table, self.train, self.choices = table, train, choices
        self.standard: list[str] = []
        self.columns: list[Number | Category] = []
        self.left_out: list[str] = []
        self.why: dict[str, list[str]] = {}  # the reason -> the columns that are left out for it
        self.said: list[str] = []
        self.warned: list[str] = []

    def plan(self) -> Plan:
        """Decide on all columns.

        Errors    ValueError for a cell that is none of what its column is, and if no column is left
        """
        table, names = self.table, self.table.features
        if table.kind == "pictures":  # a pixel is a pixel, even if it is the same in all images
            return Plan(Standard.learn(table, names, self.train), [], [], [], [])
        for name in names:
            self._decide(name)
        if not self.standard and not self.columns:
            reasons = "; ".join(f"{_listed(names, 5)}: {why}" for why, names in self.why.items())
            raise checks.Error(
                f"{table.source} has no column left to learn from ({reasons}); --numeric or --categorical NAME keeps one"
            )
        said = [f"{count(len(self.standard), 'column')} of numbers: {_listed(self.standard)} (--categorical NAME)"] if self.standard else []
        said += self.said
        for why, names in self.why.items():
            said.append(f"left out: {_listed(names)}: {why}")
        return Plan(Standard.learn(table, self.standard, self.train), self.columns, self.left_out, said, self.warned)

    def _decide(self, name: str) -> None:
        values = self.table[name].values
        if name in self.choices.drop:
            return self._leave_out(name, "as --drop says")
        if name in self.choices.categorical:
            return self._category(name)
        if self.table[name].missing[self.train].all():
            return self._leave_out(name, "no value in the training rows")
        if values.dtype.kind == "f":
            return self._numbers(name, values[self.train])
        return self._texts(name, values[self.train])

    def _leave_out(self, name: str, why: str) -> None:
        self.left_out.append(name)
        self.why.setdefault(why, []).append(name)

    def _numbers(self, name: str, values: NDArray[np.float64]) -> None:
        """A column of plain numbers."""
        if np.isinf(values).any():
            row = int(self.train[int(np.isinf(values).argmax())])
            raise checks.Error(f"{self.table.where(row, name)}: infinity is not a finite number; replace it")
        has_gaps = bool(np.isnan(values).any())
        if name not in self.choices.numeric:
            if not has_gaps and values.min() == values.max():
                return self._leave_out(name, SAME)
            if self._numbers_the_rows(name):
                return self._leave_out(name, "another whole number in each row, which only names it (--numeric NAME keeps it)")
        if not has_gaps:
            self.standard.append(name)
            return None
        return self._number(name, "1234.5", [])

    def _numbers_the_rows(self, name: str) -> bool:
        """True for the numbers of the rows and other identifiers; a warning where it only looks so."""
        values = self.table[name].values
        if np.isnan(values).any() or (values % 1 != 0).any() or len(values) < 5:
            return False
        has_name = self.table.kind != "npz" and (self.table.has_header or self.table.kind != "csv")
        label = name.strip().casefold() if has_name else ""
        in_turn = bool((np.diff(values) == 1).all()) and values[0] in (0, 1)
        if in_turn and has_name and label not in ROW_NUMBERS and not IDENTIFIER.fullmatch(name):
            self.warned.append(
                f"{name} counts the rows from {values[0]:.0f} to {values[-1]:.0f}; if it means nothing else, leave it "
                f"out: --drop {_quoted(name)}"
            )
            return False
        if not in_turn and not (has_name and (label in ROW_NUMBERS or IDENTIFIER.fullmatch(name))):
            return False
        return len(np.unique(values)) == len(values) and len(self.table.features) > 1

    def _texts(self, name: str, values: NDArray[np.object_]) -> None:
        """A column with text: numbers or dates in some form, or words."""
        texts: dict[str, int] = {}
        for cell in values:
            if cell is not None:
                texts[cell] = texts.get(cell, 0) + 1
        form, _ = form_of(list(texts), np.array(list(texts.values()), np.int64))
        if name in self.choices.numeric:
            form = form or _loose_form(texts)
            if form is None:
                raise checks.Error(
                    f"--numeric {_quoted(name)}: no cell of this column is a number; the first is {shown(next(iter(texts)))}"
                )
        elif form is None:
            return self._words(name, len(texts), sum(texts.values()))
        present = [text for text in texts if (FORMS[form])(text) is not None]
        if not present:
            return self._leave_out(name, "no value in the training rows")
        if len(present) == 1 and len(present) == len(texts) and len(values) == sum(texts.values()):
            return self._leave_out(name, SAME)
        return self._number(name, form, present)

    def _number(self, name: str, form: str, present: list[str]) -> None:
        lenient = name in self.choices.numeric
        column = Number.learn(self.table, name, form, self.train, lenient)
        self.columns.append(column)
        overrule = f"--categorical {_quoted(name)}"
        if form == "yes/no":
            text = f"{name} is yes or no ({' or '.join(sorted(present, key=str.casefold)[:4])})"
        elif form in DATES:
            text = f"{name} holds dates like {present[0]} ({form}): {', '.join(parts_of(form))}"
        elif form == "1234.5":
            text = f"{name} is a number"
        else:
            example = max(present, key=len)
            text = f"{name} is a number in text: {shown(example)} is {FORMS[form](example)[0]:.15g}"  # type: ignore[index]
        if column.marked:
            text += f"; {self._gaps(name, form, lenient)}"
            text += ", filled with " + ("the median" if len(column.median) > 1 else f"the median {column.median[0]:.6g}")
            text += " and marked"
        self.said.append(f"{text} ({overrule})")

    def _gaps(self, name: str, form: str, lenient: bool) -> str:
        values = self.table[name].values[self.train]
        if values.dtype.kind == "f":
            gaps = int(np.isnan(values).sum())
            words: list[str] = []
        else:
            words = [
                cell for cell in values
                if cell is not None and FORMS[form](cell) is None and (lenient or is_missing_word(cell))
            ]  # fmt: skip
            gaps = sum(cell is None for cell in values) + len(words)
        text = f"{count(gaps, 'cell')} of {len(values)} missing"
        if words:
            text += f", among them {some(list(dict.fromkeys(map(shown, words))), 3)}"
        return text

    def _words(self, name: str, different: int, present: int) -> None:
        """A column of words: categories, unless nearly each row has another."""
        if different == 1 and present == len(self.train):
            return self._leave_out(name, SAME)
        if different == present and different >= 5:
            return self._leave_out(name, "another text in each row, which only names it (--categorical NAME keeps it)")
        if different > FEW_WORDS and 2 * different > present:
            why = f"{different} different texts in {present} rows, too many for categories (--categorical NAME keeps it)"
            return self._leave_out(name, why)
        return self._category(name)

    def _category(self, name: str) -> None:
        column = Category.learn(self.table, name, self.train)
        self.columns.append(column)
        kinds = count(len(column.categories) + len(column.rare), "category", "categories")
        text = f"{name} has {kinds}: {some([*column.categories, *column.rare], 6)}"
        if column.rare:
            text += f"; {count(len(column.rare), 'rare one')} together as one"
        if column.marked:
            names, codes = distinct(self.table[name].values[self.train])
            text += f"; {count(int((codes < 0).sum()), 'cell')} of {len(codes)} missing, "
            text += f"filled with the most frequent, {column.most_frequent}, and marked"
        self.said.append(f"{text} (--drop {_quoted(name)})")


def _loose_form(texts: Iterable[str]) -> str | None:
    """The form of numbers that reads the most texts."""
    times = {form: sum(read(text) is not None for text in texts) for form, read in NUMBERS.items()}
    best = max(times, key=lambda form: times[form])
    return best if times[best] else None


def _listed(names: list[str], most: int = 12) -> str:
    return some([name or "the unnamed column" for name in names], most)


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w.:/%+-]+", name) else f"'{name}'"
