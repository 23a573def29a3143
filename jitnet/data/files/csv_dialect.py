"""The format of a CSV, detected from its first lines: separator, decimal sign, comments before the table, header."""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from ... import checks
from ...canonical import composed, is_number
from .csv_decimal import Sign, decimal_sign
from .csv_header import counts_rows, has_columns, has_header, with_nameless_column
from .csv_split import Split, split_of

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


@dataclass(frozen=True)
class Dialect:
    separator: str
    sign: Sign
    skipped: int
    """Lines before the table: comments, and the line sep= that spreadsheets write."""
    has_header: bool
    names: list[str]
    guesses: list[str]
    """Those of the notes that may well be wrong."""

    @property
    def decimal(self) -> str:
        return self.sign.sign


def dialect_of(
    data: bytes, source: str, notes: list[str],
    header: bool | None = None, separator: str | None = None, decimal: str | None = None,
    expected: Collection[str] = (), usual: Mapping[str, str] | None = None, line: str = "line",
) -> Dialect:  # fmt: skip
    """Detect the format, as far as the caller does not give it; each guess is a sentence in `notes`.

    expected  the names of a model's columns, or 1, 2, 3, ... if its file had no header
    usual     the separator and decimal sign of that file; the decimal sign goes with the separator
    line      what a line is called in the notes

    Errors    ValueError if there are no rows, or an option is wrong
    """
    lines = _first_lines(data)
    skipped, separator = _separator_line(lines, separator)
    skipped, has_comments = _after_comments(lines, skipped, separator, notes, line)
    lines = [*map(_without_hash, lines[skipped : skipped + 1]), *lines[skipped + 1 :]]
    if not any(line.strip() for line in lines):
        why = ": it has only comments, which begin with #; if they are rows, remove each #" if has_comments else ""
        raise checks.Error(f"{source} is empty{why}")
    usual = usual or {}
    learned = usual.get("separator")
    learned = NAMES.get(learned or "", learned)
    if separator is None:
        separator = _likely_separator(lines, expected, learned)
        notes += _separator_notes(separator, learned)
    rows = list(islice(_rows(lines, separator), SAMPLE))
    if not rows and '"' in lines[0]:
        raise checks.Error(f"{source}, line {skipped + 1}: a quote is never closed; close it, or write it twice")
    if not rows:
        raise checks.Error(f"{source} is empty")
    if lines[0].startswith('"'):
        _expect_no_quoted_lines(rows, source)
    rows[0] = list(map(composed, rows[0]))  # the names of the columns, if it is a header
    if decimal is None and separator == (learned or separator):
        decimal = usual.get("decimal")
    sign = decimal_sign(rows, separator, decimal, notes)
    if sign.sign == ",":
        rows = [[cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell for cell in row] for row in rows]
    guesses = [sign.guess] if sign.guess else []
    if header is not False and (names := with_nameless_column(rows)):
        if not names[0]:
            guesses += _nameless_column_notes(rows, lines, separator, skipped, source, notes)
        return Dialect(separator, sign, skipped, True, names, guesses)
    _expect_no_title(rows, lines, skipped, separator, source)
    if header is None:
        header = has_header(rows, expected, notes)
    names = rows[0] if header else [str(j + 1) for j in range(len(rows[0]))]
    return Dialect(separator, sign, skipped, header, names, guesses)


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


def _after_comments(
    lines: list[str], skipped: int, separator: str | None, notes: list[str], line: str
) -> tuple[int, bool]:
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
        notes.append(f"the {line}s before {line} {(last if is_header else end) + 1} begin with # and are skipped")
    return last if is_header else end, True


def _separator_notes(separator: str, usual: str | None) -> list[str]:
    """The sentence on a separator that is neither a comma nor that of the model's file."""

    def name(separator: str) -> str:
        return {"\t": "tabs", " ": "spaces"}.get(separator, repr(separator))

    if separator == (usual or ","):
        return []
    learned = f", while the model learned from a file separated by {name(usual)}" if usual else ""
    return [f"read as separated by {name(separator)}{learned} (--separator)"]


def _expect_no_quoted_lines(rows: list[list[str]], source: str) -> None:
    """An error if quotes enclose whole rows, which leaves one column."""
    cells = [cell for row in rows for cell in row]
    if len(cells) == len(rows) > 1 and _is_header_line(cells[0], cells[1:], None):
        raise checks.Error(f"{source}: each line is one quoted cell, {checks.shown(cells[0])}; remove the outer quotes")


def _nameless_column_notes(
    rows: list[list[str]], lines: list[str], separator: str, skipped: int, source: str, notes: list[str]
) -> list[str]:
    """Note that the header lacks the name of the first column; the same sentence, if commas may have split cells.

    Errors    ValueError if the cells look like it, since all columns would have the name of their neighbor
    """
    below, shown = rows[1:], checks.some(rows[0], 5)
    split = _split(below, lines, separator)
    texts = [line for line in lines if line.strip()]
    are_quoted = all(line.startswith('"') for line in texts[1 : len(rows)])  # so no part of a cell, and R does it
    are_row_names = are_quoted or counts_rows([row[0] for row in below])
    if split and not (split.is_number and (split.place or are_row_names)):
        raise checks.Error(
            f"{source}, line {_line(lines, skipped, 1)} has {len(below[0])} cells, but the header, {shown}, has "
            f"{checks.count(len(rows[0]), 'name')}, and {split.cells} may be one cell: {split.fix}; "
            "if the first column has row names, name it"
        )
    note = f"the header, {shown}, has one name fewer than the rows have cells: the first has no name"
    is_sure = are_row_names and (split is None or (are_quoted and split.place == 0))
    is_doubtful = separator == "," and not is_sure
    if is_doubtful:
        cells = f", such as {split.cells}" if split else ""
        note += f"; if commas split cells{cells}, quote these cells; otherwise name the first column"
    notes.append(note)
    return [note] if is_doubtful else []


def _expect_no_title(rows: list[list[str]], lines: list[str], skipped: int, separator: str, source: str) -> None:
    width, times = Counter(map(len, rows)).most_common(1)[0]
    if len(rows[0]) == width or width == 1 or 2 * times <= len(rows):
        return
    below = [row for row in rows[1:] if len(row) == width]
    split = _split(below, lines, separator) if len(rows[0]) < width else None
    fix = "if it is a title, remove it, or let it begin with #"
    if split:
        fix = f"line {_line(lines, skipped, rows.index(below[0]))} has {split.cells}: {split.fix}"
    elif len(rows[0]) == width + 1 and not rows[0][-1]:
        fix = "it ends with a separator, which the other rows lack: remove it"
    elif len(rows[0]) == width - 1 and not any(row[-1] for row in below):
        fix = "the other rows end with a separator, which it lacks: add one"
    shown = checks.some(list(map(checks.shown, rows[0])), 3)
    raise checks.Error(
        f"{source}, line {_line(lines, skipped, 0)} has {checks.count(len(rows[0]), 'cell')}, {shown}, but most rows "
        f"have {width} (separator {separator!r}; --separator); {fix}"
    )


def _split(below: list[list[str]], lines: list[str], separator: str) -> Split | None:
    """The first two columns that a comma made of one."""
    if separator != ",":
        return None
    raw = list(islice(_rows(lines, separator, as_written=True), SAMPLE))[1:]
    return split_of(below, [row for row in raw if len(row) == len(below[0])])


def _line(lines: list[str], skipped: int, row: int) -> int:
    """The number of the line of a row, counted without blank lines."""
    return skipped + [i for i, text in enumerate(lines, 1) if text.strip()][row]


def _first_lines(data: bytes) -> list[str]:
    """The first lines, as far as they are whole; a line of more than a million bytes is whole too."""
    text = data[: 1 << 20]
    text = text if b"\n" in text else data
    if len(data) > len(text):
        text = text[: text.rfind(b"\n") + 1]
    return text.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").splitlines(keepends=True)


def _rows(lines: Iterable[str], separator: str, as_written: bool = False) -> Iterator[list[str]]:
    """The rows of the first lines; what follows an unclosed quote is left to the reader.

    as_written    with the spaces around cells
    """
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=not as_written, strict=not as_written)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield row if as_written else cells
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
