"""The decimal sign of numbers that a sheet stores as text; those that it stores as numbers have none.

A stored number proves nothing about the sign, but its size does about texts of its column such as 3.369, which can be
3369 too.
"""

import math
import re
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import median
from typing import Any, NamedTuple

from ...checks import shown
from ..missing import is_missing
from ..table import called
from ..values import without_unit
from .csv_decimal import NAMES, THOUSANDS, certain, perhaps_thousands
from .sheet import column_names

BETWEEN = re.compile("(?<=[0-9])[ '](?=[0-9]{3})")
"""What separates thousands, whatever the decimal sign is."""
NUMBER = re.compile(r"[+-]?[0-9.,]*[0-9][0-9.,]*([eE][+-]?[0-9]+)?")
OTHER = {".": ",", ",": "."}
SAMPLE = 1000
"""Stored numbers that decide on the size of a column, and texts that are remembered."""


@dataclass
class _Column:
    """The cells of a column that decide on the sign."""

    name: str
    texts: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Numbers that are stored as text, without units; each with its first row, and how it is written there."""
    sizes: list[float] = field(default_factory=list)
    """Those of the stored numbers; 0 has none."""
    numbers: int = 0
    """The count of both."""
    words: int = 0


class _Doubt(NamedTuple):
    """A text that can be read with both signs."""

    cell: str
    place: str
    readings: dict[str, float]
    """Its value with each decimal sign."""
    suggested: str
    """The sign that other cells of its column suggest; "" if they suggest none."""
    why: str


def sign_of_sheet(sheet: Any, notes: list[str]) -> tuple[str, list[str]]:
    """The decimal sign of the texts; and those of the notes about it that may well be wrong.

    `12,43` proves a comma. Where only columns of texts prove both signs, it is a point, since a column without stored
    numbers is read in either notation. Without proof, the reading is right whose size fits the stored numbers.
    """
    columns = [one for one in _columns(sheet) if one.texts and one.numbers >= one.words]
    doubts = [doubt for doubt in map(_doubt, columns) if doubt]
    sign, proof = _proven(columns)
    if not sign:
        suggested = [doubt.suggested for doubt in doubts if doubt.suggested]
        sign = max(suggested, key=suggested.count, default=".")
    against = [doubt for doubt in doubts if doubt.suggested not in ("", sign)]
    others = [doubt for doubt in doubts if doubt.suggested in ("", sign)]
    own_notes = [_doubt_note(doubt, sign) for doubt in against]
    if not proof:
        own_notes += [_doubt_note(doubt, sign) for doubt in others[:1]]
    elif sign == ",":
        has = "a decimal comma" if "," in proof else "two points"
        pointed = [
            doubt._replace(why=f"{shown(proof)} has {has}", suggested=sign) for doubt in others if "." in doubt.cell
        ]
        notes.append(f"{shown(proof)} and others are read as numbers with a decimal comma")
        notes += (sure := [_doubt_note(doubt, sign) for doubt in pointed[:1] if "." in proof])
        own_notes += [] if sure else [_doubt_note(doubt, sign) for doubt in pointed[:1]]
    notes += own_notes
    return sign, own_notes


def _columns(sheet: Any) -> list[_Column]:
    columns = [_Column(name) for name in column_names(sheet)]
    for number, row in enumerate(sheet.iter_rows(), 1):
        for column, cell in zip(columns, row, strict=True):
            if isinstance(cell, float):
                column.numbers += 1
                if cell and len(column.sizes) < SAMPLE:
                    column.sizes.append(abs(cell))
            elif isinstance(cell, str):
                _add(column, number, cell)
    return columns


def _add(column: _Column, row: int, cell: str) -> None:
    if text := _number_in(cell):
        column.texts.setdefault(text, (row, cell.strip()))
        column.numbers += 1
    elif not is_missing(cell.strip()):
        column.words += 1


@lru_cache(SAMPLE)
def _number_in(cell: str) -> str:
    """A number without its unit, brackets and spaces; "" for other texts."""
    text = BETWEEN.sub("", without_unit(cell).strip("()")).removesuffix("-")
    return text if NUMBER.fullmatch(text) else ""


def _proven(columns: list[_Column]) -> tuple[str, str]:
    """The sign that a text proves, and the text; "" without proof. Columns with stored numbers come first."""
    proofs = {".": "", ",": ""}
    for some in ([one for one in columns if one.sizes], columns):
        texts = [list(column.texts) for column in some]
        proofs = {sign: certain(texts, sign) for sign in proofs}
        if bool(proofs["."]) != bool(proofs[","]):
            break
    sign = next((sign for sign, text in proofs.items() if text), "")
    text = proofs.get(sign, "")
    return sign, next((one.texts[text][1] for one in columns if text in one.texts), "")


def _doubt(column: _Column) -> _Doubt | None:
    """The first text that is a number with both signs, if all texts with this sign are."""
    for sign, other in OTHER.items():
        text, whole = perhaps_thousands([["", *column.texts]], sign)
        if not text:
            continue
        row, cell = column.texts[text]
        decimal, thousands = float(text.replace(sign, ".")), float(text.replace(sign, ""))
        readings = {sign: decimal, other: thousands}
        suggested, why = (other, f"{shown(whole)} in its column has no {NAMES[sign]}") if whole else ("", "")
        if column.sizes:
            size = median(column.sizes)
            swapped = [text.replace(sign, ".") for text in column.texts if sign in text]
            typical = median(abs(float(text)) for text in swapped if THOUSANDS.fullmatch(text))
            suggested = sign if abs(math.log(typical / size)) < abs(math.log(1000 * typical / size)) else other
            why = f"the stored numbers of its column are about {size:.4g}"
        return _Doubt(cell, f"row {row} of {called(column.name)}", readings, suggested, why)
    return None


def _doubt_note(doubt: _Doubt, sign: str) -> str:
    here, there = (f"{doubt.readings[one]:.10g}" for one in (sign, OTHER[sign]))
    why = f", {'because' if doubt.suggested == sign else 'although'} {doubt.why}" if doubt.why else ""
    return f"{shown(doubt.cell)} in {doubt.place} is read as {here}{why}; if it is {there}, add --decimal {OTHER[sign]}"
