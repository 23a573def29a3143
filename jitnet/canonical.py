"""The canonical text of a value: 1, 1.0, "1" and " 1.0" are the same, for the cells of a table and for labels."""

import math
import re
import unicodedata
from typing import Any

import numpy as np

NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""Each string matches in at most one way, so that a long string that does not match takes linear time."""
DIGITS = 15
"""A float64 represents whole numbers of this many digits; longer ones, such as card numbers, stay text."""


def is_number(text: str) -> bool:
    """True for a plain decimal number; 1e999, which would be infinite, is text."""
    return NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


def is_code(text: str) -> bool:
    """True for whole numbers that float64 would change: 007, or a number of 20 digits.

    A column of whole numbers with such a cell, like ZIP codes or card numbers, stays text.
    """
    digits = text.lstrip("+-")
    return digits.isdecimal() and ((len(digits) > 1 and int(digits[0]) == 0) or len(digits) > DIGITS)


def composed(text: str) -> str:
    """The canonical form of ü, which Unicode can also write as two characters, as macOS does."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def column_name(text: Any) -> str:
    """The canonical name of a column: spaces around it, and how Unicode writes ü, do not matter."""
    return composed(str(text).strip())


def canonical(value: Any) -> str:
    """The canonical text of a value.

    1, 1.0, "1" and " 1.0" are "1"; true and TRUE are "True", which is not 1; codes such as "007" and other text stay,
    with the line ends of Unix.
    """
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))  # float64 would change long ones
    if isinstance(value, str):
        text = composed(value.strip()).replace("\r\n", "\n")
        if not text.isascii():
            text = text.replace("−", "-") if is_number(text.replace("−", "-")) else text
        if text.casefold() in ("true", "false"):
            return text.capitalize()
        if not is_number(text) or is_code(text):
            return text
        value = float(text)
    number = float(value)
    if number.is_integer() and abs(number) < 2**53:
        return str(int(number))
    return repr(number)
