"""The meaning of a cell: numbers as people write them, yes and no, dates; and the distinct values of a column."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..canonical import DIGITS, canonical, is_code, is_number
from ..checks import shown
from .dates import (
    DATES,
    DAY_FIRST,
    FIRST_YEAR,
    MONTH,
    PLAIN_MONTH,
    TIMES,
    Parts,
    Reader,
    can_be_dates,
    can_be_days,
    iso,
    parts_of,
    plain_dates,
    with_four_digits,
    with_zeros,
)
from .missing import is_missing_word
from .text_column import Words

YES_AND_NO = (("yes", "no"), ("true", "false"), ("y", "n"), ("t", "f"), ("on", "off"))


def distinct(values: NDArray[Any] | Words) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct values of a column as canonical texts, and for each cell the index of its value, or −1."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        codes = np.full(len(values), -1, np.int64)
        there = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)
        found, codes[there] = np.unique(values[there], return_inverse=True)
        return [canonical(value) for value in found.tolist()], codes
    words = values if isinstance(values, Words) else Words.of(values)
    names: dict[str, int] = {}
    same = np.full(len(words.texts) + 1, -1, np.int64)
    for place, text in words.used.items():
        same[place] = names.setdefault(canonical(text), len(names))
    return list(names), same[words.codes]


def form_of_dates(numbers: NDArray[np.float64]) -> str | None:
    """The form of dates that are plain numbers, NaN for missing; None for other numbers."""
    few = numbers[~np.isnan(numbers)][:5].tolist()  # most columns end here
    return plain_dates(distinct(numbers)[0]) if can_be_dates(map(canonical, few)) else None


def in_order(names: list[str]) -> list[str]:
    """In the order of numbers if all are numbers, otherwise alphabetically."""
    if all(is_number(name) for name in names):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names)


_DASHES = re.compile("[\N{HYPHEN}-\N{HORIZONTAL BAR}\N{MINUS SIGN}]")


def as_people_read(name: str) -> Parts | str:
    """Equal for names that people would read as one: 'Yes' and 'yes', 'New York' and 'NewYork', '1' and '01'."""
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(_DASHES.sub("-", c) for c in text if not c.isspace() and unicodedata.category(c) != "Cf")
    number = next((parts for read in NUMBERS.values() if (parts := read(text))), None)
    number = {"true": (1.0,), "yes": (1.0,), "false": (0.0,), "no": (0.0,)}.get(text, number)
    return text if number is None or len(text) > DIGITS else number


_GENOTYPE = re.compile(r"(?:([A-Za-z])(?i:\1))+")
"""AA, Aa and aa, where the case has a meaning."""


def _are_genotypes(names: list[str]) -> bool:
    """True if one has both cases, as in Aa, unlike mm and MM."""
    return all(map(_GENOTYPE.fullmatch, names)) and any(name not in (name.upper(), name.lower()) for name in names)


def lookalikes(names: list[str]) -> list[str]:
    """Groups of names that people would read as the same, each as one text."""
    alike: dict[Parts | str, list[str]] = {}
    for name in names:
        alike.setdefault(as_people_read(name), []).append(name)
    return [" and ".join(map(shown, same)) for same in alike.values() if len(same) > 1 and not _are_genotypes(same)]


def labels_of(classes: list[str]) -> NDArray[Any]:
    """The classes as Python objects: False and True, numbers, or text."""
    if classes == ["False", "True"]:
        return np.array([False, True])
    if any(not is_number(name) or is_code(name) for name in classes):
        return np.array(classes, object)
    numbers = np.array([float(name) for name in classes])
    return numbers.astype(np.int64) if (numbers % 1 == 0).all() else numbers


# Numbers as people write them. A form is called by an example.

_CURRENCY = (
    r"(?:(?:US|CA|AU|NZ|HK|[ACRS])?\$|[£¥฿円元원\u20a0-\u20c0]|Rs\.?|Fr\.?|kr\.?|zł|Kč|USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD"
    "|NZD|BRL|MXN|ZAR|SEK|NOK|DKK|PLN|CZK|HUF|TRY|KRW|RUB)"
)
_UNIT = re.compile(rf"%|{_CURRENCY}")
_NOTHING = re.compile(rf"{_CURRENCY} *-|- *{_CURRENCY}")
"""0 in the accounting formats of spreadsheets."""
_IN_BRACKETS = re.compile(rf"({_CURRENCY}?) *\(([^()]*)\) *((?:%|{_CURRENCY})?)")
"""A negative number as accountants and spreadsheets write it: (1,234) and $ (1,234)."""
_SIGNS = str.maketrans(
    "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}\N{FIGURE SPACE}−–‒’．，－％￥٫٬٪",
    "    ---'.,-%¥.,%",
) | {ord(zero) + digit: str(digit) for zero in "０٠۰०০๐" for digit in range(10)}
"""Spaces, minus signs, apostrophes and digits (wide, Arabic, Persian, Indian, Thai) -> those of a keyboard."""


def _written(thousands: str, decimal: str) -> Reader:
    t, d = re.escape(thousands), re.escape(decimal)
    lakhs = "[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}|" if thousands == "," else ""  # 12,34,567, as in India
    pattern = (
        rf"([+-]?) ?(?:{_CURRENCY} ?)?([+-]?)"
        rf"((?:{lakhs}[1-9][0-9]{{0,2}}(?:{t}[0-9]{{3}})+|[0-9]+)(?:{d}[0-9]*)?|{d}[0-9]+)"
        rf"((?:[eE][+-]?[0-9]+)?)(?:(?:{d}|/)--?)? ?(?:%|{_CURRENCY})?"  # 12.- and 500/- have no cents
    )

    def read(cell: str) -> Parts | None:
        text = cell.translate(_SIGNS)
        in_brackets = _IN_BRACKETS.fullmatch(text)
        is_negative = in_brackets is not None
        text = "".join(in_brackets.groups()) if in_brackets else text
        if not is_negative and re.search("[.,][0-9]+-$", text):  # 1.234,50- as SAP writes it; 2- is a grade
            is_negative, text = True, text[:-1]
        found = re.fullmatch(pattern, text)  # compiled once, if used
        if found is None or (is_negative and (found[1] or found[2])):  # (-1) and -1.5- have two signs
            return (0.0,) if is_zero_as_dash(cell) else None
        sign, inner, digits, exponent = found.groups()
        if exponent and thousands in digits:  # 6.453e+02 has a decimal point, whatever other cells have
            return None
        number = float((sign or inner) + digits.replace(thousands, "").replace(decimal, ".") + exponent)
        return (-number if is_negative else number,)

    return read


def without_unit(text: str) -> str:
    """The text of a number without its currency or %, in the digits of a keyboard."""
    return _UNIT.sub("", text.translate(_SIGNS)).strip()


def has_sign_of_unit(text: str) -> bool:
    return without_unit(text) != text.translate(_SIGNS)


def is_zero_as_dash(text: str) -> bool:
    """True for `$ -`, as accounting formats show 0."""
    return _NOTHING.fullmatch(text.translate(_SIGNS)) is not None


def units_in(texts: Iterable[str]) -> dict[str, str]:
    """The units of numbers, such as $ and %, and "" for none; each with the first text that has it. 0 needs no unit."""
    units: dict[str, str] = {}
    for text in texts:
        if text != "0" and not is_missing_word(text):
            found = _UNIT.search(text.translate(_SIGNS))
            units.setdefault(found[0] if found else "", text)
    return units


def _plain(cell: str) -> Parts | None:
    return (float(cell),) if is_number(cell) else None


def _plain_in_any_digits(cell: str) -> Parts | None:
    return _plain(cell.translate(_SIGNS))


def _nothing(_: str) -> None:
    """Reads no cell."""


def _yes_or_no(cell: str) -> Parts | None:
    word = cell.casefold()
    return next(((float(word == yes),) for yes, no in (*YES_AND_NO, ("1", "0")) if word in (yes, no)), None)


PLAIN = "1234.5"
ENGLISH, POINTS = "1,234.5", "1.234,5"
NUMBERS: dict[str, Reader] = {
    PLAIN: _plain,
    ENGLISH: _written(",", "."),
    POINTS: _written(".", ","),
    "1 234,5": _written(" ", ","),
    "1 234.5": _written(" ", "."),
    "1'234.5": _written("'", "."),
}
FORMS: dict[str, Reader] = {**NUMBERS, "yes/no": _yes_or_no, **TIMES, **DATES}
"""Form of a text -> its reader. A column has the form that reads most of its cells, the first one of several."""


def reader_of(form: str, first_year: int = FIRST_YEAR) -> Reader:
    """The reader of a form, for a column whose years of two digits begin with `first_year`."""
    read = FORMS[form]
    if form == PLAIN_MONTH:
        return lambda cell: read(with_zeros(cell))
    return (lambda cell: read(with_four_digits(cell, first_year))) if form in DATES else read


def form_of(
    texts: list[str], counts: NDArray[np.int64], decimal: str = ".", day_first: bool = False
) -> tuple[str | None, list[str]]:
    """The form that a column of texts has, and the texts that it cannot read; None for words.

    counts    how often each text occurs
    decimal   the decimal sign of the file: 1.100 is 1100 if it is a comma
    day_first whether 03/04/2024 is in April

    A few odd ones among many numbers or dates (one in twenty, or two) are mistakes, not words.
    """
    if any(is_code(text) for text in texts):  # a ZIP code is not a quantity
        return None, []
    known = [not is_missing_word(text) for text in texts]
    present = int(counts[known].sum())
    words = [text for text, is_known in zip(texts, known, strict=True) if is_known]
    folded = {text.casefold() for text in words}
    if any(folded - {"0", "1"} == set(pair) for pair in YES_AND_NO):
        return "yes/no", []
    best, most, odd = None, 0, words
    few = max(2, present // 20)
    preferred = ([POINTS] if decimal == "," else []) + (DAY_FIRST if day_first else [])  # of those that fit
    for form, read in {**{form: FORMS[form] for form in preferred}, **NUMBERS, **TIMES, **DATES}.items():
        if form == MONTH and can_be_days(words):
            continue
        unread, left = [], 0
        for text, count in zip(texts, counts.tolist(), strict=True):
            if not is_missing_word(text) and read(text) is None:
                unread.append(text)
                left += count
                if present - left <= most or left > few:
                    break
        else:
            if present - left > most:
                best, most, odd = form, present - left, unread
    if best is None or 2 * most <= present:
        return None, odd
    return best, odd


def form_at_all(texts: list[str], forms: Mapping[str, Reader] = NUMBERS) -> str | None:
    """The form that reads the most texts, the first one of several; None if none reads any."""
    times = {form: sum(read(text) is not None for text in texts) for form, read in forms.items()}
    best = max(times, key=lambda form: times[form])
    return best if times[best] else None


def with_decimal(form: str, decimal: str) -> str:
    """The form of the same numbers with this decimal sign: 1.234,5 becomes 1,234.5; other forms stay."""
    if form == PLAIN:
        return POINTS if decimal == "," else PLAIN
    other = form.translate(str.maketrans(".,", ",."))
    return other if other in NUMBERS and form[-2] != decimal else form


def numbers_in(
    values: NDArray[Any] | Words,
    form: str,
    decimal: str = ".",
    gaps: Collection[str] = (),
    first_year: int = FIRST_YEAR,
) -> tuple[NDArray[np.float64], int | None, str | None]:
    """The numbers of a column (n, parts), NaN for missing; and row and text of the first cell that is not a number.

    decimal   the decimal sign of the file: 1.100 is 1100 if it is a comma
    gaps      words that are missing cells
    first_year    the first of the hundred years that years of two digits mean
    """
    width = len(parts_of(form))
    if form == PLAIN and decimal == ",":
        form = POINTS
    if isinstance(values, np.ndarray) and values.dtype != object:
        if width == 1:
            return values.astype(np.float64).reshape(-1, 1), None, None
        values = Words.of(None if np.isnan(value) else canonical(value) for value in values.tolist())
    words = values if isinstance(values, Words) else Words.of(values)
    # 3.5 is a mistake where points separate thousands; dates in DataFrames become those of ISO
    also = iso if form in DATES else _nothing if form == POINTS else _plain_in_any_digits
    read = reader_of(form, first_year)
    numbers, is_odd = np.full((len(words.texts) + 1, width), np.nan), np.zeros(len(words.texts) + 1, bool)
    for place, text in words.used.items():
        if (parts := read(text) or also(text)) is not None:
            numbers[place] = parts
        else:
            is_odd[place] = text not in gaps and not is_missing_word(text)
    odd = is_odd[words.codes]
    where = int(odd.argmax()) if odd.any() else None
    return numbers[words.codes], where, None if where is None else str(words[where])
