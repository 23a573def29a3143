"""The cells of a table of text: which are numbers."""

import numpy as np
from numpy.typing import NDArray

from ..canonical import DIGITS, is_code, is_number
from .missing import LONGEST, is_missing


def numbers_of(cells: list[str]) -> NDArray[np.float64] | None:
    """The cells as numbers, NaN where one is missing; None if a cell is not a plain number."""
    if any(not is_missing(cell) and not is_number(cell) for cell in cells[:8]):
        return None
    present = cells
    try:
        values = np.array(list(map(float, cells)))
        if not np.isfinite(values).all():  # nan is missing, inf is not a number
            raise ValueError
    except ValueError:
        present = [cell for cell in cells if len(cell) > LONGEST or not is_missing(cell)]
        try:
            found = np.array(list(map(float, present)))
        except ValueError:
            return None
        if not np.isfinite(found).all():
            return None
        values = np.full(len(cells), np.nan)
        values[[i for i, cell in enumerate(cells) if not is_missing(cell)]] = found
    text = "".join(present)
    # float() also accepts 1_000 and the digits of all scripts
    return values if "_" not in text and text.isascii() else None


def are_whole(cells: list[str]) -> bool:
    """True if every number is written without a point and an exponent, which no spelling in MISSING contains."""
    text = "".join(cells)
    return not any(sign in text for sign in ".,eE")


def has_code(cells: list[str]) -> bool:
    """True if a cell is a code."""
    return any(is_code(cell) for cell in cells if len(cell) > 1 and (cell[0] in "0+-" or len(cell) > DIGITS))
