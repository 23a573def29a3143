"""A table: named columns of numbers or text, and where they came from."""

import csv
import io
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..canonical import column_name, composed, is_number
from ..checks import shown
from .text_column import Words

Kind = Literal["csv", "npz", "pictures", "parquet", "frame"]
"""What a table was read from, which a model remembers."""


class Column:
    """The cells below one name."""

    def __init__(self, name: str, cells: NDArray[Any] | Words, is_category: bool = False, note: str = "") -> None:
        """cells: (n,) numbers, or strings and None.
        is_category: True if the data say that the values, which can be numbers, are categories.
        note: a sentence about how the cells were read, for the table; "" if there is nothing to say."""
        self.name, self.is_category, self.note = column_name(name), is_category, note
        self.cells: NDArray[np.float64] | Words
        self.cells = Words.of(cells) if isinstance(cells, np.ndarray) and cells.dtype == object else cells

    @property
    def values(self) -> NDArray[Any]:
        """(n,) float64, NaN for a missing cell, if all others are plain numbers; otherwise strings and None."""
        return np.asarray(self.cells)

    @property
    def is_text(self) -> bool:
        return isinstance(self.cells, Words)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(n,) True where the cell is missing."""
        return self.cells.missing if isinstance(self.cells, Words) else np.isnan(self.cells)


@dataclass(eq=False)
class Table:
    """Columns of one length. Those of an array, which can be many, are kept as the array."""

    columns: list[Column]
    """All columns but those of the matrix."""
    source: str
    """The file, for messages."""
    kind: Kind
    has_header: bool = False
    """True if the names come from the file; otherwise they are 1, 2, 3, ..."""
    lines: Sequence[int] | NDArray[np.int64] | None = None
    """The line of each row in the file; None for files without lines."""
    notes: list[str] = field(default_factory=list)
    """The guesses, as one sentence each, with the option that changes it."""
    guesses: list[str] = field(default_factory=list)
    """Those of the notes that may well be wrong."""
    unread: dict[str, str] = field(default_factory=dict)
    """The names of columns that cannot be read, and a sentence about each."""
    target: str = ""
    """The name of the target column; "" if there is none."""
    gap: str = ""
    """The text of the first target of a CSV that is missing."""
    matrix: NDArray[Any] | None = None
    """(n, k) finite float32 or float64: the columns 1, 2, ..., k of an NPZ file or of images."""
    chosen: list[str] | None = None
    """The names of the features, unless they are all columns but the target."""
    reading: dict[str, str] = field(default_factory=dict)
    """How a CSV was read: its separator, decimal sign and encoding; and the values that are missing."""
    is_sheet: bool = False
    """True for a sheet of a workbook, which no separator divides."""
    line: str = "line"
    """What one of `lines` is called in messages: "line", or "row" in a sheet."""
    are_images: bool = False
    """True if each row of an array has several dimensions."""
    decimal_is_given: bool = False
    """True if the caller gave the decimal sign of a CSV with rows to predict."""
    has_other_decimal: bool = False
    """True if a CSV with rows to predict seems to have another decimal sign than the training data; none was given."""

    def __post_init__(self) -> None:
        wide = 0 if self.matrix is None else self.matrix.shape[1]
        self._wide = [str(j + 1) for j in range(wide)]
        self.names = [*self._wide, *(column.name for column in self.columns)]
        self._place: dict[str, int] = {}
        for j, name in enumerate(self.names):
            self._place.setdefault(name, j)

    def __len__(self) -> int:
        return len(self.columns[0].cells if self.matrix is None else self.matrix)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and column_name(name) in self._place

    def __getitem__(self, name: str) -> Column:
        """The column of this name; if there are several, the first."""
        j = self._place[column_name(name)]
        if j >= len(self._wide):
            return self.columns[j - len(self._wide)]
        assert self.matrix is not None
        return Column(name, self.matrix[:, j].astype(np.float64))

    @property
    def decimal(self) -> str:
        """The decimal sign of the cells."""
        return self.reading.get("decimal", ".")

    def place(self, row: int) -> str:
        """The line of a row in the file, or its number."""
        return f"row {row + 1}" if self.lines is None else f"{self.line} {self.lines[row]}"

    def place_of(self, name: str, text: str) -> str:
        """The place of the first cell of a column of words that has this text."""
        cells = self[name].cells
        assert isinstance(cells, Words)
        return self.place(cells.row_of(text))

    def where(self, row: int, name: str | None = None) -> str:
        """The place of a row, or of one of its cells: houses.csv, line 7, column 'price'."""
        return f"{self.source}, {self.place(row)}" + ("" if name is None else f", column {shown(name)}")

    def of_rows(self, rows: NDArray[np.int64]) -> "Table":
        """These rows as a table; messages call them as this table does."""
        columns = [Column(column.name, column.cells[rows], column.is_category) for column in self.columns]
        has_lines = self.lines is not None
        lines, line = (np.asarray(self.lines)[rows], self.line) if has_lines else (rows + 1, "row")
        matrix = None if self.matrix is None else self.matrix[rows]
        return replace(self, columns=columns, matrix=matrix, lines=lines, line=line)

    @property
    def gap_hint(self) -> str:
        """What a sentence about missing targets of words adds, if they have a text: NA can be a class."""
        if not self.gap or not self[self.target].is_text:
            return ""
        return f"; {shown(self.gap)} counts as missing: if it is a class, write another name"

    @property
    def features(self) -> list[str]:
        """The names of the feature columns."""
        return [name for name in self.names if name != self.target] if self.chosen is None else self.chosen

    @property
    def X(self) -> NDArray[Any]:
        """(n, k) the features as numbers.

        Errors    ValueError with the line and column of a cell that is missing or text
        """
        names = self.features
        if self.matrix is not None and names == self._wide:
            return self.matrix
        X = np.empty((len(self), len(names)))
        for j, name in enumerate(names):
            X[:, j] = self._numbers(name)
        return X

    @property
    def y(self) -> NDArray[Any] | None:
        """(n,) the target as numbers or strings; None if there is no such column.

        Errors    ValueError with the line of a target that is missing
        """
        if self.target not in self:
            return None
        column = self[self.target]
        missing = column.missing
        if missing.any():
            raise checks.Error(f"{self.where(int(missing.argmax()))}: the target {shown(self.target)} is missing")
        return column.values

    def _numbers(self, name: str) -> NDArray[np.float64]:
        values = self[name].values
        if values.dtype == object:
            row = next((i for i, cell in enumerate(values) if cell is None or not is_number(cell)), -1)
            if row < 0:  # codes, such as 007
                return values.astype(np.float64)
            what = "a missing cell is" if values[row] is None else f"{shown(values[row])} is"
        elif np.isfinite(values).all():
            return values
        else:
            row = int((~np.isfinite(values)).argmax())
            what = "a missing cell is" if math.isnan(values[row]) else f"{values[row]} is"
        raise checks.Error(
            f"{self.where(row, name)}: {what} not a finite number, and every column but the target needs one; turn it "
            "into a number, or leave the row or the column out"
        )


def expect_different(names: Iterable[str], source: str) -> None:
    """An error if two of the columns have one name."""
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise checks.Error(f"{source} has two columns called {shown(twice)}; rename one")


def called(name: str) -> str:
    """The name of a column in a sentence."""
    return checks.printable(name) or "the unnamed column"


def as_named(name: str) -> str:
    """The name of a column as the table has it: "" for (unnamed)."""
    return "" if name == checks.UNNAMED else name


def listed(names: list[str], most: int = 12) -> str:
    """The names of columns in a sentence."""
    return checks.some(list(map(called, names)), most)


def listed_in(text: str) -> list[str]:
    """The entries of a list such as `-999,age=0`; those with a comma are quoted, as in a CSV."""
    try:
        return [composed(entry.strip()) for entry in next(csv.reader([text], skipinitialspace=True), [])]
    except csv.Error:
        raise checks.Error(f"{shown(text)} has a line break; quote an entry with one, as in a CSV") from None


def as_list(entries: Iterable[str]) -> str:
    """The text that `listed_in` reads as these entries."""
    text = io.StringIO()
    csv.writer(text).writerow(entries)
    return text.getvalue().removesuffix("\r\n")


def as_option(name: str, *entries: str) -> str:
    """An option of the command line with a list of columns or values, as a user types it."""
    text = as_list(entry or checks.UNNAMED for entry in entries)
    is_plain = re.fullmatch(r"[\w.:/%+=,-]+", text)  # shlex quotes letters like ü too
    return f"--{name}{'=' if text[0] == '-' else ' '}{text if is_plain else shlex.quote(text)}"
