"""The format of a CSV, detected from its first lines: separator, decimal sign, comments before the table, header."""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from statistics import median

from ... import checks
from ...spelling import composed, is_number
from ..sentinels import CODE
from ..values import without_unit
from .csv_header import has_columns, has_header, with_nameless_column

SAMPLE = 1000
"""Rows that decide on the header and the decimal sign."""
FEW = 200
"""Rows that decide on the separator."""
SEPARATORS = "\t;|,"
"""The separators that are tried; of two that fit equally well, the first is used."""
NAMES = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|"}
"""Names that --separator takes."""
DECIMAL_COMMA = re.compile(r"[+-]?([0-9]+,[0-9]*|,[0-9]+)([eE][+-]?[0-9]+)?")

COMMA_IN_NUMBER = re.compile("(?<=[0-9]),(?=[0-9])|^[+-]?,(?=[0-9]+$)|(?<=[0-9]),$")
FRACTION = re.compile(r"[+-]?((?:[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
"""A number with a decimal point, and one whose point may separate thousands."""
UP_TO_999, WHOLE = re.compile("0|[1-9][0-9]{0,2}"), re.compile("[0-9]+")
FAR = 10
"""Numbers up to 999 are mostly this many times as large as those like 5.505, if its point separates thousands."""
SWAPPED = str.maketrans(".,", ",.")


@dataclass(frozen=True)
class Dialect:
    separator: str
    decimal: str
    skipped: int
    """Lines before the table: comments, and the line sep= that spreadsheets write."""
    has_header: bool
    names: list[str]
    guess: str = ""
    """The sentence about the decimal sign, if it may well be the other one."""


def dialect_of(
    data: bytes, source: str, notes: list[str],
    header: bool | None = None, separator: str | None = None, decimal: str | None = None,
    expected: Collection[str] = (), usual: Mapping[str, str] | None = None,
) -> Dialect:  # fmt: skip
    """Detect the format, as far as the caller does not give it; each guess is a sentence in `notes`.

    expected  the names of a model's columns, or 1, 2, 3, ... if its file had no header
    usual     the separator and decimal sign of that file; the decimal sign goes with the separator

    Errors    ValueError if there are no rows, or an option is wrong
    """
    lines = _first_lines(data)
    skipped, separator = _separator_line(lines, separator)
    skipped, has_comments = _after_comments(lines, skipped, separator, notes)
    lines = [*map(_without_hash, lines[skipped : skipped + 1]), *lines[skipped + 1 :]]
    if not any(line.strip() for line in lines):
        raise checks.Error(f"{source} is empty" + (": it has only comments" if has_comments else ""))
    usual = usual or {}
    learned = usual.get("separator")
    learned = NAMES.get(learned or "", learned)
    if separator is None:
        separator = _likely_separator(lines, expected, learned)
        notes += _said_of_separator(separator, learned)
    rows = list(islice(_rows(lines, separator), SAMPLE))
    if not rows and '"' in lines[0]:
        raise checks.Error(f"{source}, line {skipped + 1}: a quote is never closed; close it, or write it twice")
    if not rows:
        raise checks.Error(f"{source} is empty")
    rows[0] = list(map(composed, rows[0]))  # the names of the columns, if it is a header
    if decimal is None and separator == (learned or separator):
        decimal = usual.get("decimal")
    decimal, guess = _decimal_sign(rows, separator, decimal, notes)
    if decimal == ",":
        rows = [[cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell for cell in row] for row in rows]
    if header is not False and (names := with_nameless_column(rows)):
        if not names[0]:
            shown = checks.some(rows[0], 5)
            notes.append(f"the header, {shown}, has one name less than the rows have cells: the first has no name")
        return Dialect(separator, decimal, skipped, True, names, guess)
    _expect_no_title(rows, lines, skipped, f"(separator {separator!r}; --separator)", source)
    if header is None:
        header = has_header(rows, expected, notes)
    names = rows[0] if header else [str(j + 1) for j in range(len(rows[0]))]
    return Dialect(separator, decimal, skipped, header, names, guess)


def _separator_line(lines: list[str], separator: str | None) -> tuple[int, str | None]:
    """The number of lines before the text, 0 or 1, and the separator as one character, if it is known."""
    skipped = 0
    if lines and (found := re.fullmatch(r'"?sep=(\\t|.)"?[;,\t|]*', lines[0].strip("\r\n"), re.IGNORECASE)):
        skipped = 1
        separator = separator or found[1]
    if separator is not None:
        separator = NAMES.get(separator, separator)
        if len(separator) != 1 or separator in '\r\n"':
            raise checks.Error(f"the separator is {checks.shown(separator)}, but must be one character, or: tab, space")
    return skipped, separator


def _after_comments(lines: list[str], skipped: int, separator: str | None, notes: list[str]) -> tuple[int, bool]:
    """The number of lines before the table, and whether some of them are comments.

    The last comment can be the header, as in `#id,x,y`.
    """
    end = skipped
    while end < len(lines) and (lines[end].startswith("#") or not lines[end].strip()):
        end += 1
    comments = [i for i in range(skipped, end) if lines[i].startswith("#")]
    if not comments:
        return skipped, False
    last = comments[-1]
    is_header = _is_header_line(lines[last], lines[end:], separator)
    if not is_header or last > 0:
        notes.append(f"the lines before line {(last if is_header else end) + 1} begin with # and are skipped")
    return last if is_header else end, True


def _said_of_separator(separator: str, usual: str | None) -> list[str]:
    """The sentence on a separator that is neither a comma nor that of the model's file."""

    def name(separator: str) -> str:
        return {"\t": "tabs", " ": "spaces"}.get(separator, repr(separator))

    if separator == (usual or ","):
        return []
    learned = f", while the model learned from a file separated by {name(usual)}" if usual else ""
    return [f"read as separated by {name(separator)}{learned} (--separator)"]


def _decimal_sign(rows: list[list[str]], separator: str, decimal: str | None, notes: list[str]) -> tuple[str, str]:
    """The decimal sign, and the sentence about it if it may well be the other one.

    `1.5`, `0.567` and `1,234.50` prove a decimal point, but `5.505` does not. It is 5505 if there are decimal commas,
    or if its column also has `991`, but neither `1500` nor `5.5`.
    """
    if decimal is not None:
        if decimal not in (".", ",") or decimal == separator:
            raise checks.Error(f"the decimal sign is {checks.shown(decimal)}, but must be . or , and not the separator")
        return decimal, ""
    if separator == ",":
        return ".", ""
    rows = [[cell if cell[-1:].isdigit() and cell[0].isdigit() else without_unit(cell) for cell in row] for row in rows]
    point, comma = _certain(rows, "."), _certain(rows, ",")
    pointed, below_point = _perhaps_thousands(rows, ".")
    with_comma, below_comma = _perhaps_thousands(rows, ",")
    sentence, is_sure = "", False
    if not point and (comma or (not below_comma and (below_point or (with_comma and not pointed)))):
        decimal = ","
        if pointed:
            why = f"{comma!r} has a decimal comma" if comma else f"{below_point!r} in its column has no point"
            sentence, is_sure = _said_of_thousands(pointed, ".", why), bool(comma and below_point)
        elif with_comma and not comma:
            sentence = f"{with_comma!r} is read with a decimal comma; if it separates thousands, add --decimal ."
        else:
            option, is_sure = " (--decimal .)" if with_comma else "", True  # with it, 0,13 is the same number
            sentence = f"{with_comma or comma!r} and others are read as numbers with a decimal comma{option}"
    else:
        decimal = "."
        if pointed and (comma or not point):
            also = f", although {comma!r} has a comma" if comma else ""
            sentence = f"{pointed!r} is read with a decimal point{also}; if it separates thousands, add --decimal ,"
        elif with_comma and not point:
            sentence = _said_of_thousands(with_comma, ",", f"{below_comma!r} in its column has no comma")
    notes += [sentence] if sentence else []
    return decimal, "" if is_sure else sentence


def _said_of_thousands(cell: str, sign: str, why: str) -> str:
    name = "point" if sign == "." else "comma"
    number = cell.replace(sign, "")
    return f"{cell!r} is read as {number}, because {why}; if its {name} is decimal, add --decimal {sign}"


def _expect_no_title(rows: list[list[str]], lines: list[str], skipped: int, how: str, source: str) -> None:
    width, times = Counter(map(len, rows)).most_common(1)[0]
    if len(rows[0]) != width > 1 and 2 * times > len(rows):
        line = skipped + next(i for i, text in enumerate(lines, 1) if text.strip())
        shown = checks.some(list(map(checks.shown, rows[0])), 3)
        raise checks.Error(
            f"{source}, line {line} has {checks.count(len(rows[0]), 'cell')}, {shown}, but most rows "
            f"have {width} {how}; if it is a title, remove it, or let it begin with #"
        )


def _first_lines(data: bytes) -> list[str]:
    """The first lines, as far as they are whole; a line of more than a million bytes is whole too."""
    text = data[: 1 << 20]
    text = text if b"\n" in text else data
    if len(data) > len(text):
        text = text[: text.rfind(b"\n") + 1]
    return text.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").splitlines(keepends=True)


def _rows(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    """The rows of the first lines; what follows an unclosed quote is left to the reader."""
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield cells
    except csv.Error:
        return


def _is_header_line(line: str, below: list[str], separator: str | None) -> bool:
    """True if a line that begins with # has the names of the columns, as in `#id,x,y`."""
    separator = separator or _likely_separator(below)
    rows = list(islice(_rows([_without_hash(line), *below], separator), SAMPLE))
    first, columns = rows[0], list(zip(*(row for row in rows[1:] if len(row) == len(rows[0])), strict=True))
    return len(first) > 1 and any(
        not is_number(cell) and all(map(is_number, column)) for cell, column in zip(first, columns, strict=False)
    )


def _without_hash(line: str) -> str:
    """The names in a header such as `# x,y`, as NumPy writes it; in `#id,x,y`, the first is #id."""
    return re.sub("^#[ \t]+", "", line)


def _likely_separator(lines: list[str], expected: Collection[str] = (), usual: str | None = None) -> str:
    """The one that gives every row the same number of cells, and leaves no other separators within the cells.

    A comma in a number such as 5,1 or 1.234,50 does not count as a separator. If no candidate fits all rows, then the
    one that fits most rows; without any, spaces between numbers. For a model, first those that give its columns; of
    several, its own.
    """
    fits: list[tuple[bool, float, float, bool, str]] = []
    for separator in dict.fromkeys([*SEPARATORS, *filter(None, [usual])]):
        rows = list(islice(_rows(lines, separator), FEW))
        widths = Counter(map(len, rows))
        width, times = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        is_of_model = bool(rows) and has_columns(rows, expected)
        if width == 1 and not is_of_model:
            wider = sum(times for width, times in widths.items() if width > 1)
            if wider:
                fits.append((False, 0.5 * wider / len(rows), 0.0, separator == usual, separator))
            continue
        cells = [cell for row in rows[1:] or rows for cell in row]
        pure = sum(not any(c in SEPARATORS for c in COMMA_IN_NUMBER.sub("", cell)) for cell in cells)
        purity = 1.0 if separator == usual and is_of_model and width > 1 else pure / len(cells)
        fits.append((is_of_model, times / len(rows), purity, separator == usual, separator))
    if fits:
        return max(fits, key=lambda fit: fit[:-1])[-1]
    rows = list(islice(_rows(lines, " "), SAMPLE))
    different = {len(row) for row in rows[1:] or rows}
    if len(different) == 1 and max(different) - len(rows[0]) in (0, 1) and max(different) > 1:  # 1 for a header of R
        cells = [cell for row in rows[1:] for cell in row]
        if sum(map(is_number, cells)) > len(cells) / 2:
            return " "
    return ","


def _certain(rows: list[list[str]], sign: str) -> str:
    """The first number in which this sign is decimal, whatever the others are; "" if there is none."""
    for cell in (cell for row in rows for cell in row if sign in cell):
        number = cell if sign == "." else cell.translate(SWAPPED)
        if FRACTION.fullmatch(number) and not THOUSANDS.fullmatch(number):
            return cell
    return ""


def _perhaps_thousands(rows: list[list[str]], sign: str) -> tuple[str, str]:
    """A cell such as 5.505 of a column in which this sign may separate thousands; and a cell such as 991 beside it.

    The latter is evidence if no cell without the sign has more digits, and if these cells are `FAR` from the decimals,
    unlike 150 among 151.333 and 150.667. Codes for missing cells, such as -999, do not count. "" without such cells.
    """
    found = [("", "")]
    for cells in zip(*(row for row in rows if len(row) == len(rows[0])), strict=True):
        numbers = [number for cell in cells if sign in cell and FRACTION.fullmatch(number := cell.replace(sign, "."))]
        if numbers and all(map(THOUSANDS.fullmatch, numbers)):
            whole = [cell for cell in cells[1:] if WHOLE.fullmatch(cell) and not CODE.fullmatch(cell)]  # no name: 2024
            is_far = whole and median(map(int, whole)) > FAR * median(abs(float(number)) for number in numbers)
            suggests = is_far and all(map(UP_TO_999.fullmatch, whole))
            found.append((numbers[0].replace(".", sign), max(whole, key=len) if suggests else ""))
    return max(found, key=lambda pair: (bool(pair[1]), bool(pair[0])))
