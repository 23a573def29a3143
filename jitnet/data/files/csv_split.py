"""Cells that an unquoted comma splits in two, such as 1,120 and Smith, John."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from ...canonical import is_number
from ...checks import shown
from ..values import without_unit
from .csv_header import counts_rows

UP_TO_999, SMALL = re.compile("[+-]?[1-9][0-9]{0,2}"), re.compile("[+-]?[0-9]{1,3}")
THREE_DIGITS, ONE_OR_TWO = re.compile("[0-9]{3}"), re.compile("[0-9]{1,2}")
"""What stands before and behind a comma that separates thousands, and one that is decimal."""
OPENING, CLOSING = set("'‘“„«"), set("'’”“»")
"""Quotes of texts, which enclose no cell of a CSV."""


@dataclass(frozen=True)
class Split:
    """Two columns that seem to be one."""

    place: int
    """The first of the two."""
    cells: str
    """Their first cells."""
    fix: str
    is_number: bool


def split_of(rows: list[list[str]], raw: list[list[str]]) -> Split | None:
    """The first two columns that seem to be one; None if there are none.

    rows    rows of one width, without the header
    raw     the same cells as they are written, with the spaces around them
    """
    spaced = [all(cell[:1] == " " for cell in column) for column in zip(*raw, strict=True)]
    for j, (left, right) in enumerate(pairwise(zip(*rows, strict=True))):
        first, second = list(map(without_unit, left)), list(map(without_unit, right))
        can_be_thousands = _all(UP_TO_999, first) and _all(THREE_DIGITS, second)
        can_be_decimals = j == 0 and not counts_rows(first) and _all(SMALL, first) and _all(ONE_OR_TWO, second)
        if can_be_thousands or can_be_decimals:
            fix = "if commas separate thousands or decimals, quote these numbers or use another separator"
            return Split(j, f"{shown(left[0])}, {shown(right[0])}", fix, True)
        are_quoted = all(cell[:1] in OPENING and cell[-1:] not in CLOSING for cell in left) and all(
            cell[-1:] in CLOSING and cell[:1] not in OPENING for cell in right
        )
        # spaces behind all commas are a style, and before numbers they align columns
        is_behind_space = spaced[j + 1 : j + 2] == [True] and not all(spaced[1:]) and not all(map(is_number, right))
        if are_quoted or is_behind_space:
            fix = 'if the comma belongs to a cell, put the cell in double quotes (")'
            return Split(j, f"{shown(left[0])}, {shown(right[0])}", fix, False)
    return None


def _all(pattern: re.Pattern[str], cells: Iterable[str]) -> bool:
    return all(map(pattern.fullmatch, cells))
