"""The decimal sign of a CSV: whether the point or the comma is decimal, or separates thousands."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ... import checks
from ..dates import PLAIN_MONTH, plain_dates
from ..missing import is_missing_word
from ..sentinels import CODE
from ..table import called
from ..values import without_unit

FRACTION = re.compile(r"[+-]?((?:[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
MILLIONS = re.compile("[+-]?[1-9][0-9]{0,2},[0-9]{3},[0-9]{3}")
"""A number with a decimal point, one whose point may separate thousands, and one whose commas do."""
UP_TO_THREE, WHOLE = re.compile("0|[1-9][0-9]{0,2}"), re.compile("[0-9]+")
FAR = 10
"""Numbers up to 999 are mostly this many times as large as those like 5.505, if its point separates thousands."""
NAMES = {".": "point", ",": "comma"}
SWAPPED = str.maketrans(".,", ",.")


class Sign(NamedTuple):
    """A decimal sign."""

    sign: str
    guess: str = ""
    """The sentence about it, if it may well be the other one."""
    is_open: bool = False
    """True if no cell shows which one it is."""


def decimal_sign(rows: list[list[str]], separator: str, decimal: str | None, notes: list[str]) -> Sign:
    """The decimal sign, as the cells of all columns suggest it, unless `decimal` is given.

    `1.5`, `0.567`, `1,234.50` and `1,234,567` prove a decimal point, but `5.505` does not. It is 5505 if there are
    decimal commas, or if its column also has `991`, but neither `1500` nor `5.5`. The same holds for `5,505`; without
    evidence, it is 5.505, but 5505 in a file separated by commas: programs that write one rarely have decimal commas.
    """
    if decimal is not None:
        if decimal not in (".", ","):
            raise checks.Error(f"the decimal sign is {checks.shown(decimal)}, but must be . or ,")
        return Sign(decimal)
    columns = _columns_with_signs(rows)
    point, comma = certain(columns, "."), certain(columns, ",")
    if point and not comma:
        return Sign(".")
    pointed, beside_point = perhaps_thousands(columns, ".")
    with_comma, beside_comma = perhaps_thousands(columns, ",")
    is_usual = separator != ","  # a decimal comma, without evidence
    suggests_comma = not beside_comma and (beside_point or (with_comma and not pointed and is_usual))
    if not point and (comma or suggests_comma):
        sign = ","
        sentence, is_sure = _decimal_comma_note(comma, pointed, beside_point, with_comma)
    else:
        sign = "."
        sentence, is_sure = _decimal_point_note(point, comma, pointed, with_comma, beside_comma, is_usual)
    notes += [sentence] if sentence else []
    return Sign(sign, "" if is_sure else sentence, sign == "." and not (point or sentence))


def _decimal_comma_note(comma: str, pointed: str, beside_point: str, with_comma: str) -> tuple[str, bool]:
    """The sentence about a decimal comma, and whether it leaves no doubt."""
    if pointed:
        has = "a decimal comma" if "," in comma else "two points"
        why = f"{comma!r} has {has}" if comma else f"{beside_point!r} in its column has no point"
        return _thousands_note(pointed, ".", why), bool(comma and (beside_point or "." in comma))
    if with_comma and not comma:
        return f"{with_comma!r} is read with a decimal comma; if it separates thousands, add --decimal .", False
    option = " (--decimal .)" if with_comma else ""  # with it, 0,13 is the same number
    return f"{with_comma or comma!r} and others are read as numbers with a decimal comma{option}", True


def _decimal_point_note(
    point: str, comma: str, pointed: str, with_comma: str, beside_comma: str, is_usual: bool
) -> tuple[str, bool]:
    """The same about a decimal point; "" if no cell raises a doubt."""
    if pointed and (comma or (not point and is_usual)):
        also = f", although {comma!r} has {'a comma' if ',' in comma else 'two points'}" if comma else ""
        return f"{pointed!r} is read with a decimal point{also}; if it separates thousands, add --decimal ,", False
    if with_comma and not point:
        why = f"{beside_comma!r} in its column has no comma" if beside_comma else ""
        return _thousands_note(with_comma, ",", why), bool(why and not is_usual)
    return "", False


def _thousands_note(cell: str, sign: str, why: str) -> str:
    because = f", because {why}" if why else ""
    return (
        f"{cell!r} is read as {cell.replace(sign, '')}{because}; if its {NAMES[sign]} is decimal, add --decimal {sign}"
    )


def _columns_with_signs(rows: list[list[str]]) -> list[list[str]]:
    """The columns with a point or a comma, and their cells without units; rows of another width are comments."""
    width, _ = Counter(map(len, rows)).most_common(1)[0]
    columns = zip(*(row for row in rows if len(row) == width), strict=True)
    return [
        [cell if cell[-1:].isdigit() and cell[0].isdigit() else without_unit(cell) for cell in column]
        for column in columns
        if any("." in cell or "," in cell for cell in column) and not _are_months(column)
    ]


def _are_months(column: Sequence[str]) -> bool:
    """True for months such as 03.2024, whose point is no decimal sign."""
    return plain_dates(list({cell for cell in column[1:] if not is_missing_word(cell) and cell})) == PLAIN_MONTH


def certain(columns: list[list[str]], sign: str) -> str:
    """The first number in which this sign must be the decimal one, whatever the others are; "" if there is none."""
    other = "," if sign == "." else "."
    for cell in (cell for cells in columns for cell in cells if sign in cell or cell.count(other) == 2):
        number = cell if sign == "." else cell.translate(SWAPPED)
        if MILLIONS.fullmatch(number) or (FRACTION.fullmatch(number) and not THOUSANDS.fullmatch(number)):
            return cell
    return ""


def perhaps_thousands(columns: list[list[str]], sign: str) -> tuple[str, str]:
    """A cell such as 5.505 of a column in which this sign may separate thousands; and a cell such as 991 beside it.

    The latter is evidence if no cell without the sign has more digits, and if these cells are `FAR` from the decimals,
    unlike 150 among 151.333 and 150.667. Codes for missing cells, such as -999, do not count. "" without such cells.
    """
    found = [("", "")]
    for cells in columns:
        numbers = [number for cell in cells if sign in cell and FRACTION.fullmatch(number := cell.replace(sign, "."))]
        if numbers and all(map(THOUSANDS.fullmatch, numbers)):
            whole = [cell for cell in cells[1:] if WHOLE.fullmatch(cell) and not CODE.fullmatch(cell)]  # no name: 2024
            is_far = whole and median(map(int, whole)) > FAR * median(abs(float(number)) for number in numbers)
            suggests = is_far and all(map(UP_TO_THREE.fullmatch, whole))
            found.append((numbers[0].replace(".", sign), max(whole, key=len) if suggests else ""))
    return max(found, key=lambda pair: (bool(pair[1]), bool(pair[0])))


def late_thousands_note(columns: Iterable[tuple[str, NDArray[Any]]]) -> str:
    """The sentence about a column whose points seem to separate thousands in rows that did not decide on the sign.

    columns    the names and numbers of whole columns, read with a decimal point
    """
    sentence = ""
    for name, numbers in columns:
        with np.errstate(invalid="ignore"):
            is_whole = numbers % 1 == 0
        sizes, whole = np.abs(numbers[~is_whole & np.isfinite(numbers)]), numbers[is_whole & (numbers >= 0)]
        if len(sizes) == 0:
            continue
        thousandths = np.rint(1000 * sizes)
        are_exact = (np.abs(1000 * sizes - thousandths) < 1e-6).all() and (thousandths % 10 != 0).mean() > 0.5
        if not are_exact or sizes.min() < 1 or sizes.max() >= 1000:
            return ""  # a decimal point
        if len(whole) and whole.max() <= 999 and np.median(whole) > FAR * np.median(sizes):
            sentence = sentence or (
                f"{sizes[0]:.3f} in {called(name)} is read with a decimal point, but other cells are up to "
                f"{whole.max():.0f}; if it separates thousands, add --decimal ,"
            )
    return sentence
