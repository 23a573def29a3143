"""The format of a CSV, detected from its first lines: separator, decimal sign, comments before the table, header."""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from ... import checks
from ..cells import is_missing, is_number

SAMPLE = 1000
"""Rows that decide on the header and the decimal sign."""
FEW = 200
"""Rows that decide on the separator."""
SEPARATORS = "\t;|,"
"""The separators that are tried; of two that fit equally well, the first is used."""
NAMES = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|"}
"""Names that --separator takes."""
DECIMAL_COMMA = re.compile(r"[+-]?([0-9]+,[0-9]*|,[0-9]+)([eE][+-]?[0-9]+)?")

THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(\.[0-9]{3})+")


@dataclass(frozen=True)
class Dialect:
    separator: str
    decimal: str
    skipped: int
    """Lines before the table: comments, and the line sep= that spreadsheets write."""
    has_header: bool
    names: list[str]


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
    lines = lines[skipped:]
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
    if decimal is None and separator == (learned or separator):
        decimal = usual.get("decimal")
    decimal = _decimal_sign(rows, separator, decimal, notes)
    if decimal == ",":
        rows = [[cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell for cell in row] for row in rows]
    _expect_no_title(rows, lines, skipped, source)
    if header is None:
        header = _has_header(rows, expected, notes)
    names = rows[0] if header else [str(j + 1) for j in range(len(rows[0]))]
    return Dialect(separator, decimal, skipped, header, names)


def _separator_line(lines: list[str], separator: str | None) -> tuple[int, str | None]:
    """The number of lines before the text, 0 or 1, and the separator as one character, if it is known."""
    skipped = 0
    if lines and (found := re.fullmatch(r'"?sep=(\\t|.)"?', lines[0].strip("\r\n"), re.IGNORECASE)):
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


def _decimal_sign(rows: list[list[str]], separator: str, decimal: str | None, notes: list[str]) -> str:
    if decimal is None:
        decimal = "." if separator == "," or not _has_decimal_commas(rows) else ","
        if decimal == ",":
            example = next(cell for row in rows for cell in row if DECIMAL_COMMA.fullmatch(cell))
            notes.append(f"{example!r} and others are read as numbers with a decimal comma (--decimal .)")
        elif separator != "," and (unsure := _points_beside_commas(rows)):
            point, comma = unsure
            notes.append(f"{point!r} is read with a decimal point, although {comma!r} has a comma (--decimal ,)")
    elif decimal not in (".", ",") or decimal == separator:
        raise checks.Error(f"the decimal sign is {checks.shown(decimal)}, but must be . or , and not the separator")
    return decimal


def _expect_no_title(rows: list[list[str]], lines: list[str], skipped: int, source: str) -> None:
    width, times = Counter(map(len, rows)).most_common(1)[0]
    if len(rows[0]) == 1 < width and 2 * times > len(rows):
        line = skipped + next(i for i, text in enumerate(lines, 1) if text.strip())
        raise checks.Error(
            f"{source}, line {line} has 1 cell, {checks.shown(rows[0][0])}, but most rows have {width}; if it is a "
            "title, remove it, or let it begin with #"
        )


def _has_header(rows: list[list[str]], expected: Collection[str], notes: list[str]) -> bool:
    first = rows[0]
    if _has_most(first, expected):
        return True
    is_header = looks_like_a_header(first, rows[1:])
    if not is_header:
        row = checks.some(first, 5)
        notes.append(f"the first row, {row}, is taken for data, and the columns are called 1, 2, 3, ... (--header)")
    elif any(map(is_number, first)) or not any(is_number(cell) for row in rows for cell in row):
        notes.append(f"the first row, {checks.some(first, 5)}, is taken for the header (--no-header)")
    return is_header


def looks_like_a_header(first: list[str], rows: list[list[str]]) -> bool:
    """Decided only by the first rows of the file, never by the target column.

    Numbers in a header are whole, as in 0, 1, 2 or 2019, 2020, and no two are equal. Then the first row is a header if

    - it has no number, and at most half of its cells occur again in their columns;
    - or one of its words is above a column of numbers;
    - or its first cell is empty, above row numbers, as pandas writes them;
    - or its numbers are 0, 1, 2, ..., as pandas writes them: three or more, or two that `_is_pair_of_names` accepts;
    - or every number below its numbers has a decimal point, and no word of it occurs again in its column.
    """
    numbers = [cell for cell in first if is_number(cell)]
    if not all(cell.isdigit() for cell in numbers) or len(set(numbers)) < len(numbers):
        return False
    cells_of = zip(first, *(row for row in rows if len(row) == len(first)), strict=True)
    columns = [[cell for cell in cells if not is_missing(cell)] for _, *cells in cells_of]
    texts = [(cell, column) for cell, column in zip(first, columns, strict=True) if cell and not is_number(cell)]
    if any(column and not is_missing(cell) and all(map(is_number, column)) for cell, column in texts):
        return True
    if not numbers:
        return sum(cell in column for cell, column in texts) <= len(first) / 2
    below = [column for cell, column in zip(first, columns, strict=True) if is_number(cell)]
    count = [str(i) for i in range(len(rows) + len(numbers))]
    are_counted = numbers == count[: len(numbers)]
    if not first[0] and len(rows) > 1 and (columns[0] == count[: len(rows)] or (are_counted and _are_ids(columns[0]))):
        return True
    if are_counted and (len(numbers) > 2 or (len(numbers) == 2 and _is_pair_of_names(texts, below))):
        return True
    are_new = all(cell not in column for cell, column in texts)
    return are_new and all(column and all("." in cell for cell in column) for column in below)


def _is_pair_of_names(texts: list[tuple[str, list[str]]], below: list[list[str]]) -> bool:
    """True if 0 and 1 in the first row are names, from the other cells of the row and the columns `below` 0 and 1.

    The other cells are above columns of categories, but are not categories themselves. Without other cells, a column
    below has words only, or ten numbers that are not in order and none of which is the name above it: both columns do,
    or one whose numbers have decimal points.
    """
    if texts:
        return all(cell not in column and 2 * len(set(column)) <= len(column) for cell, column in texts)
    if any(column and not any(map(is_number, column)) for column in below):
        return True
    unlike = [column for name, column in zip("01", below, strict=True) if _is_unlike(name, column)]
    return len(unlike) == 2 or any(all("." in cell for cell in column) for column in unlike)


def _is_unlike(name: str, column: list[str]) -> bool:
    """True for ten numbers or more that are not in order, none of them the name."""
    if len(column) < 10 or name in column or not all(map(is_number, column)):
        return False
    numbers = [float(cell) for cell in column]
    return numbers != sorted(numbers)


def _are_ids(column: list[str]) -> bool:
    """True for whole numbers that all differ, such as the row numbers of a shuffled table."""
    return all(cell.isdigit() for cell in column) and len(set(column)) == len(column)


def _has_most(first: list[str], expected: Collection[str]) -> bool:
    """True if the first row has most of the expected names."""
    wanted = set(expected)
    return not _are_places(expected) and 2 * len(wanted & set(first)) > len(wanted)


def _has_columns(rows: list[list[str]], expected: Collection[str]) -> bool:
    """True if the rows have a model's columns: their names or, without names, their number, or one more, the target."""
    if not _are_places(expected):
        return _has_most(rows[0], expected)
    return all(len(row) - len(expected) in (0, 1) for row in rows) and bool(expected)


def _are_places(names: Collection[str]) -> bool:
    """True for 1, 2, 3, ...: the names of columns without a header, and likely cells. True for none."""
    return all(name.isdigit() and name != "0" for name in names)


def _first_lines(data: bytes, most: int = 1 << 20) -> list[str]:
    """The first lines, as far as they are whole; a line of more than a million bytes is whole too."""
    text = data[: most if len(data) <= most or b"\n" in data[:most] else len(data)]
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
    rows = list(islice(_rows([line, *below], separator), SAMPLE))
    first, columns = rows[0], list(zip(*(row for row in rows[1:] if len(row) == len(rows[0])), strict=True))
    return len(first) > 1 and any(
        not is_number(cell) and all(map(is_number, column)) for cell, column in zip(first, columns, strict=False)
    )


def _likely_separator(lines: list[str], expected: Collection[str] = (), usual: str | None = None) -> str:
    """The one that gives every row the same number of cells, and leaves no other separators within the cells.

    A comma in a number such as 5,1 does not count as a separator. If no candidate fits all rows, then the one that fits
    most rows; without any, spaces between numbers. For a model, first those that give its columns; of several, its own.
    """
    fits: list[tuple[bool, float, float, bool, str]] = []
    for separator in dict.fromkeys([*SEPARATORS, *filter(None, [usual])]):
        rows = list(islice(_rows(lines, separator), FEW))
        widths = Counter(map(len, rows))
        width, times = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        has_columns = bool(rows) and _has_columns(rows, expected)
        if width == 1 and not has_columns:
            wider = sum(times for width, times in widths.items() if width > 1)
            if wider:
                fits.append((False, 0.5 * wider / len(rows), 0.0, separator == usual, separator))
            continue
        cells = [cell for row in rows[len(rows) > 1 :] for cell in row]
        pure = sum(
            DECIMAL_COMMA.fullmatch(cell) is not None or not any(c in SEPARATORS for c in cell) for cell in cells
        )
        fits.append((has_columns, times / len(rows), pure / len(cells), separator == usual, separator))
    if fits:
        return max(fits, key=lambda fit: fit[:-1])[-1]
    rows = list(islice(_rows(lines, " "), SAMPLE))
    if len({len(row) for row in rows}) == 1 and len(rows[0]) > 1:
        cells = [cell for row in rows[1:] for cell in row]
        if sum(map(is_number, cells)) > len(cells) / 2:
            return " "
    return ","


def _points_beside_commas(rows: list[list[str]]) -> tuple[str, str] | None:
    """Cells such as 2.014 and 5,1, if a column has points alone, all of which may separate thousands."""
    comma = next((cell for row in rows for cell in row if DECIMAL_COMMA.fullmatch(cell)), None)
    if comma is None:
        return None
    for cells in zip(*(row for row in rows if len(row) == len(rows[0])), strict=True):
        pointed = [cell for cell in cells if "." in cell and is_number(cell)]
        if pointed and all(map(THOUSANDS.fullmatch, pointed)) and not any("," in cell for cell in cells):
            return pointed[0], comma
    return None


def _has_decimal_commas(rows: list[list[str]]) -> bool:
    cells = [cell for row in rows for cell in row]
    return any(map(DECIMAL_COMMA.fullmatch, cells)) and not any("." in cell and is_number(cell) for cell in cells)
