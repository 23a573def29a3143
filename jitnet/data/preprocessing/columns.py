"""The kinds of columns: how each becomes inputs of the network, learned from the training rows and saved as data.

Standard    plain numbers without missing values, all such columns together: (x − mean) / scale
Number      numbers with missing values (filled in), numbers written like 1,234.5 or 12 %, yes and no, dates: the same
Category    words: one input per category, 1 or 0

`prepare(table, out, outside)` writes the inputs (n, width) of a table to `out`, and returns sentences about cells that
did not occur in training; `outside` collects those about numbers outside of the range in training.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ... import checks
from ...canonical import canonical, column_name
from ...checks import count, shown
from ..dates import DATES, FIRST_YEAR, parts_of
from ..table import Table, as_option, called
from ..text_column import Words
from ..values import FORMS, NUMBERS, PLAIN, as_people_read, distinct, in_order, numbers_in, units_in
from .number_cells import lenient_numbers, strict_numbers
from .ranges import Outside, check_extent, extents_of


@dataclass(frozen=True)
class Standard:
    """Columns of plain numbers, none missing in training: X = (x − mean) / scale."""

    names: list[str]
    mean: list[float]
    scale: list[float]
    extents: list[list[float]] = field(default_factory=list)
    """The least and the greatest number of each column in training; [] for images, and in earlier versions."""

    @classmethod
    def learn(cls, table: Table, names: list[str], train: NDArray[np.int64]) -> "Standard":
        """Mean and scale of the training rows; one scale for all pixels of images."""
        if table.matrix is not None and names == table.features:
            learned = table.matrix[train]
            mean, scale = mean_and_scale(learned)
            # a pixel that was always black can be white
            extents = [] if table.are_images or table.kind == "pictures" else extents_of(learned)
            if table.kind == "pictures":  # or pixels that are nearly always 0 would become very large
                scale = np.full(len(mean), mean_and_scale(learned.ravel())[1])
        else:
            columns = [table[name].values[train] for name in names]
            pairs = list(map(mean_and_scale, columns))
            mean, scale = np.array([m for m, _ in pairs]), np.array([s for _, s in pairs])
            extents = [extents_of(column[:, None])[0] for column in columns]
        for name, *numbers in zip(names, mean, scale, strict=True):
            expect_finite(name, numbers)
        return cls(names, mean.tolist(), scale.tolist(), extents)

    @property
    def width(self) -> int:
        return len(self.names)

    def prepare(self, table: Table, out: NDArray[Any], outside: Outside) -> list[str]:
        notes = []
        with np.errstate(all="ignore"):
            if table.matrix is not None and self.names == table.features:
                own = table.matrix.dtype  # float32 for images, which can be many
                out[...] = (table.matrix - np.array(self.mean, own)) / np.array(self.scale, own)
                outside.check_all(self.names, table.matrix, self.extents)
                return []
            for j, name in enumerate(self.names):
                values = strict_numbers(table, name, PLAIN)[:, 0]
                out[:, j] = (values - self.mean[j]) / self.scale[j]
                outside.check(name, values, self.extents[j] if self.extents else [])
                missing = np.isnan(values)
                if missing.any():
                    out[missing, j] = 0
                    notes.append(_filled(table, name, missing, f"the mean, {self.mean[j]:.6g}"))
        return notes

    def check(self) -> None:
        columns = len(names_in("features", self.names))
        for mean in checks.listed("mean", self.mean, columns):
            checks.number("a mean", mean)
        for scale in checks.listed("scale", self.scale, columns):
            checks.number("a scale", scale, above=0)
        for extent in checks.listed("extents", self.extents, columns) if self.extents != [] else ():
            check_extent("an extent", extent)


@dataclass(frozen=True)
class Number:
    """A column of numbers in some form. A missing cell gets the median; if `marked`, one more input is 1 there."""

    kind: ClassVar[str] = "number"

    name: str
    form: str
    """The form of the texts, a key of `FORMS`."""
    mean: list[float]
    """One entry per part: a date has several."""
    scale: list[float]
    median: list[float]
    marked: bool
    """True if cells were missing in training."""
    lenient: bool
    """True if cells that are not numbers count as missing."""
    unit: str = ""
    """The unit of all cells in training, such as % or $; "" if they had none, or several."""
    gaps: list[str] = field(default_factory=list)
    """If it is lenient, the words in the file of the training; if there are many, the most frequent ones."""
    extent: list[float] = field(default_factory=list)
    """The least and the greatest number in training, for dates in days since 1970; [] in earlier versions."""
    first_year: int = FIRST_YEAR
    """The first of the hundred years that years of two digits mean."""

    @classmethod
    def learn(
        cls, table: Table, name: str, form: str, train: NDArray[np.int64], lenient: bool, first_year: int = FIRST_YEAR
    ) -> "Number":
        """Mean, scale and median of the training rows."""
        number, category = as_option("numeric", name), as_option("categorical", name)
        hint = f"fix it, or choose: {number} takes it as missing, {category} as a category"
        gaps: list[str] = []
        if lenient:
            gaps = _words(table, name, form, first_year)
            read, _ = lenient_numbers(table, name, form, gaps, first_year)
        else:
            read = strict_numbers(table, name, form, first_year, hint)
        numbers = read[train]
        missing = np.isnan(numbers[:, 0])
        if form in DATES and np.ptp(numbers[~missing, -1]) == 0:
            numbers = numbers[:, :-1]  # the hour of dates without a time
        mean, scale = mean_and_scale(numbers[~missing])
        expect_finite(name, [*mean, *scale])
        median = np.median(numbers[~missing], axis=0)
        cells = table[name].cells[train]
        units = list(units_in(cells.counted() if isinstance(cells, Words) and form in NUMBERS else []))
        unit = units[0] if len(units) == 1 else ""
        numbers_of = (mean.tolist(), scale.tolist(), median.tolist())
        (extent,) = extents_of(numbers[~missing, :1])
        return cls(name, form, *numbers_of, bool(missing.any()), lenient, unit, gaps, extent, first_year)

    @property
    def width(self) -> int:
        return len(self.mean) + self.marked

    def prepare(self, table: Table, out: NDArray[Any], outside: Outside) -> list[str]:
        numbers, notes = self._numbers(table)
        outside.check(self.name, numbers[:, 0], self.extent, self.form)
        missing = np.isnan(numbers[:, 0])
        has_hours = self.form in DATES and len(self.mean) == len(parts_of(self.form))
        if has_hours and (~missing).sum() >= LEAST_DATES and not np.nan_to_num(numbers[:, -1]).any():
            notes.append(f"{called(self.name)}: no cell has a time of day, unlike in training: all count as 00:00")
        numbers[missing] = self.median
        with np.errstate(all="ignore"):
            out[:, : len(self.mean)] = (numbers - np.array(self.mean)) / np.array(self.scale)
        notes += self._other_unit(table)
        if self.marked:
            out[:, -1] = missing
        elif missing.any():
            notes.append(_filled(table, self.name, missing, "the median"))
        return notes

    def _numbers(self, table: Table) -> tuple[NDArray[np.float64], list[str]]:
        if self.lenient or self.form == "yes/no":  # another word beside yes and no is a new category
            numbers, notes = lenient_numbers(table, self.name, self.form, self.gaps, self.first_year)
            if self.lenient or not np.isnan(numbers).all():  # but if all are other words, they can be yes and no
                return numbers[:, : len(self.mean)], notes
        return strict_numbers(table, self.name, self.form, self.first_year)[:, : len(self.mean)], []

    def _other_unit(self, table: Table) -> list[str]:
        """A sentence about cells whose unit is not that of training; prices may lack it, but 0.2 is not 20 %."""
        cells = table[self.name].cells
        if isinstance(cells, Words):
            texts = list(cells.counted())
        else:  # 0 and NaN have no unit
            texts = list(map(canonical, cells[np.nan_to_num(cells) != 0][:1].tolist()))
        for unit, text in units_in(texts).items() if self.unit else ():
            if unit != self.unit and (unit or self.unit == "%"):
                here = f"{shown(text)} is not converted"
                return [f"{called(self.name)}: the cells had the unit {self.unit} in training; {here}"]
        return []

    def check(self) -> None:
        checks.one_of("form", self.form, FORMS)
        checks.text("unit", self.unit)
        names_in("gaps", self.gaps)
        if self.extent != []:
            check_extent("extent", self.extent, self.form)
        checks.whole("first_year", self.first_year, least=1)
        parts = len(parts_of(self.form))
        if self.form in DATES and len(checks.listed("mean", self.mean)) == parts - 1:
            parts -= 1  # without the hour, as in models of earlier versions
        for what, numbers in (("mean", self.mean), ("median", self.median)):
            for number in checks.listed(what, numbers, parts):
                checks.number(f"a {what}", number)
        for number in checks.listed("scale", self.scale, parts):
            checks.number("a scale", number, above=0)
        checks.flag("marked", self.marked)
        checks.flag("lenient", self.lenient)


@dataclass(frozen=True)
class Category:
    """A column of words: input j is 1 where the cell is category j.

    One more input is 1 for `rare` words, if there are any, and for unknown ones; without it, an unknown word is 0
    everywhere. A missing cell gets the most frequent category; if `marked`, one more input is 1 there.
    """

    kind: ClassVar[str] = "category"

    name: str
    categories: list[str]
    rare: list[str]
    most_frequent: str
    marked: bool
    """True if cells were missing in training."""

    @classmethod
    def learn(cls, table: Table, name: str, train: NDArray[np.int64]) -> "Category":
        """The categories of the training rows; those with fewer than two rows, or one in a thousand, are rare."""
        names, codes = distinct(table[name].cells[train])
        times = np.bincount(codes[codes >= 0], minlength=len(names))
        ranked = sorted(range(len(names)), key=lambda j: (-times[j], names[j]))
        least = min(max(2, len(train) // 1000), int(times.max()))
        kept = [names[j] for j in ranked[:MOST_CATEGORIES] if times[j] >= least]
        rare = [names[j] for j in ranked[len(kept) :]]
        marked = bool((codes < 0).any())
        if len(names) == 1 and marked:  # the only information is whether a cell is missing
            kept = []
        return cls(name, in_order(kept), in_order(rare), names[ranked[0]], marked)

    @property
    def width(self) -> int:
        return len(self.categories) + bool(self.rare) + self.marked

    def prepare(self, table: Table, out: NDArray[Any], _: Outside) -> list[str]:
        names, codes = distinct(table[self.name].cells)
        place = {canonical(name): j for j, name in enumerate(self.categories)}
        other = len(place) if self.rare else -1
        chosen = np.array([place.get(name, other) for name in [*names, canonical(self.most_frequent)]], np.int64)[codes]
        out[...] = 0
        there = np.flatnonzero(chosen >= 0)
        out[there, chosen[there]] = 1
        known, notes = {*place, *map(canonical, self.rare), canonical(self.most_frequent)}, []
        new = [j for j, name in enumerate(names) if name not in known]
        if new:
            alike = {as_people_read(name): name for name in sorted(known)}
            lookalike = {j: alike[read] for j in new[:MOST_LOOKALIKES] if (read := as_people_read(names[j])) in alike}
            new.sort(key=lambda j: j not in lookalike)  # the first has a hint, if any has
            first = table.where(int((codes == new[0]).argmax()))
            more = f" and {count(len(new) - 1, 'other word')}" if len(new) > 1 else ""
            notes.append(
                f"{called(self.name)}: {shown(names[new[0]])} ({first}){more} did not occur in training: "
                + f"counted {'with the rare ones' if self.rare else 'as none of the categories'}"
                + (f"; training had {shown(lookalike[new[0]])}" if new[0] in lookalike else "")
            )
        missing = codes < 0
        if self.marked:
            out[missing, -1] = 1
        elif missing.any():
            notes.append(_filled(table, self.name, missing, f"the most frequent category, {shown(self.most_frequent)}"))
        return notes

    def check(self) -> None:
        names_in("categories", [*checks.listed("categories", self.categories), *checks.listed("rare", self.rare)])
        checks.text("most_frequent", self.most_frequent)
        checks.flag("marked", self.marked)


MOST_CATEGORIES = 100
"""Categories of a column beyond the most frequent ones are rare."""
MOST_LOOKALIKES = 1000
"""New words that are compared with those of the training, in upper and lower case and as numbers."""

LEAST_DATES = 5
"""With fewer dates, all can be of midnight."""
RESOLUTION = 1e-14
"""Numbers whose standard deviation is a smaller fraction of their mean differ by rounding: float64 has 16 digits."""
CLOSE = 1e-6
"""Numbers closer together are shifted before their mean and standard deviation are computed."""

MOST_WORDS = 10_000
"""The maximum number of categories, or of other words of a column, that a model file stores."""

KINDS: dict[str, type[Number] | type[Category]] = {kind.kind: kind for kind in (Number, Category)}


def to_plain(column: Number | Category) -> dict[str, Any]:
    """The content for a model file."""
    return {"kind": column.kind, **asdict(column)}


def from_plain(content: Any) -> Number | Category:
    """From the content of a model file, which is validated."""
    content = dict(checks.fields("a column", content))
    kind = KINDS[checks.one_of("kind of column", content.pop("kind", None), KINDS)]
    if kind is Number:
        # earlier versions did not save these
        content = {"unit": "", "gaps": [], "extent": [], "first_year": FIRST_YEAR, **content}
    column = kind(**checks.fields("a column", content, [one.name for one in fields(kind)]))
    checks.text("the name of a column", column.name)
    column.check()
    return replace(column, name=column_name(column.name))


def names_in(what: str, value: Any, least: int = 0) -> list[str]:
    """A list of at least `least` distinct strings."""
    names = checks.listed(what, value)
    for name in names:
        checks.text(f"one of {what}", name)
    if len(names) < least or len(set(names)) < len(names):
        raise checks.Error(f"{what} is {shown(names)}, but must be at least {least}, each of them once")
    return names


def mean_and_scale(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of a column (n,), or of each column (n, columns); the scale is the standard deviation, if it is not rounding."""
    mean, scale = _mean_and_deviation(values)
    least = RESOLUTION * np.abs(mean)
    # A constant column carries no information; so does one whose spread is only rounding, which becomes nearly 0
    return mean, np.where(scale <= least, np.maximum(1.0, least), scale)


def are_nearly_equal(values: NDArray[np.float64]) -> bool:
    """True if numbers (n,) differ only by rounding."""
    mean, deviation = _mean_and_deviation(values)
    return bool(np.isfinite(mean) and deviation <= RESOLUTION * np.abs(mean))


def _mean_and_deviation(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = np.asarray(values.mean(axis=0, dtype=np.float64)), values.std(axis=0, dtype=np.float64)
        deviation = np.asarray(deviation)
        close = deviation < CLOSE * np.abs(mean)
        if close.any():  # sums lose the digits that differ: those of nanoseconds since 1970 have over 20 digits
            chosen = np.asarray(values[..., close] if values.ndim > 1 else values, np.float64)
            rest = chosen - chosen[0]
            mean[close], deviation[close] = chosen[0] + rest.mean(axis=0), rest.std(axis=0)
    return mean, deviation


def expect_finite(name: str, numbers: Any) -> None:
    if not np.isfinite(numbers).all():
        raise checks.Error(f"the numbers of column {shown(name)} are too large to be standardized; divide them first")


def _words(table: Table, name: str, form: str, first_year: int) -> list[str]:
    """The texts of a column that are not numbers."""
    cells = table[name].cells
    if not isinstance(cells, Words):
        return []
    numbers, _, _ = numbers_in(cells, form, table.decimal, first_year=first_year)
    times = cells[np.isnan(numbers[:, 0])].counted()
    return sorted(times, key=lambda text: -times[text])[:MOST_WORDS]


def _filled(table: Table, name: str, missing: NDArray[np.bool_], value: str) -> str:
    first = table.where(int(missing.argmax()))
    cells = count(int(missing.sum()), "cell")
    return f"{called(name)}: {cells} missing ({first}), none in training: filled with {value}"
