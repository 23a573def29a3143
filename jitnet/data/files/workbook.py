"""Sheets of spreadsheets, with python-calamine: .xlsx, .xlsm, .xlsb and .xls of Excel, and .ods of LibreOffice.

A sheet becomes the text of a CSV in which line 7 is its row 7. `csv_file.py` reads it, so that a workbook follows the
rules of a CSV, and a model that learned from one predicts for the other. The exception are texts with decimal commas: a
model that learned from them reads a CSV with commas as its decimal sign.
"""

import importlib.util
import io
import re
import shlex
import struct
import zipfile
from collections.abc import Collection
from typing import Any, NamedTuple
from xml.parsers import expat

from ... import checks
from ...checks import shown
from ...npz import DENSEST, office_document
from .sheet import expect_table, header_row, text_of_sheet
from .sheet_decimal import sign_of_sheet
from .sheet_xml import Besides, besides_values, file_of, formulas_note, hidden_notes, number_of

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The first bytes of documents of old Office programs, and of new ones with a password."""
STREAMS = tuple(name.encode("utf-16-le") for name in ("Workbook", "Book", "EncryptedPackage"))
"""What such a document has if it is a workbook; the second until Excel 95, the third with a password."""
ROW, LETTERS = re.compile(rb""" r=["'][A-Za-z]*([0-9]+)"""), re.compile(rb""" r=["']([A-Za-z]{2,})[0-9]""")
"""Of the places of cells in the XML of a sheet, as in r="AB12": the row; the letters, if there are several."""
RECORD = struct.Struct("<BBI")
"""Of a short record of an .xlsb: its kind, its size, and the number of a row or column if it has one."""
CELL = 64
"""Bytes of memory for each cell of the rectangle around all cells."""


class SheetText(NamedTuple):
    text: bytes
    source: str
    """The name of the sheet in messages."""
    decimal: str
    guesses: list[str]
    """Those of the notes that may well be wrong."""


def workbook_kind(data: bytes) -> str:
    """What a file is, if it is a workbook; otherwise an empty string."""
    if data.startswith(OLE):
        return "an old Excel workbook" if any(name in data for name in STREAMS) else ""
    if not data.startswith(b"PK\3\4"):
        return ""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            what = office_document(archive.namelist())
            if "mimetype" in archive.namelist():
                with archive.open("mimetype") as file:
                    what = "an OpenDocument spreadsheet" if b"opendocument.spreadsheet" in file.read(100) else ""
    except Exception:  # a damaged archive can cause any exception; its reader names the damage
        return ""
    return "" if what == "an Office document" else what


def sheet_as_csv(
    data: bytes, path: str, notes: list[str], sheet: str | None, decimal: str | None, header: bool | None,
    names: Collection[str] = (),
) -> SheetText:  # fmt: skip
    """A sheet as the text of a CSV; appends to the notes if the sheet or the decimal sign is a choice.

    sheet     its name; None reads the first that is not empty, and a hidden one only if all others are
    decimal   the decimal sign of text, None decides by the texts; numbers are written with it, so they stay as they are
    header    False if the first row is known to have no names: it is then no title
    names     of columns that the sheet should have; if another has them instead, that is an error

    Errors    ValueError if calamine is missing, the file cannot be read, there is no such sheet, or its cells are no
              table
    """
    what = workbook_kind(data)
    if data.startswith(OLE) and STREAMS[-1] in data:
        raise _protected(path)
    if importlib.util.find_spec("python_calamine") is None:
        raise checks.Error(
            f"{path} is {what}, which needs python-calamine: pip install 'jitnet[data]'; or save the sheet as CSV"
        )
    try:
        besides = {} if data.startswith(OLE) else _examine(data, path)
        name, found = _chosen(data, path, notes, sheet)
        source = f"{path}, sheet {shown(name)}"
        if sheet is None and header is not False and names and not header_row(found, names):
            _expect_no_better(data, name, source, names)
        expect_table(found, source, header, names)
        guesses = _notes_besides_values(data, besides, name, found, source, names, notes) if besides else []
        if decimal is None:
            decimal, doubts = sign_of_sheet(found, notes)
            guesses += doubts
        return SheetText(text_of_sheet(found, decimal, notes), source, decimal, guesses)
    except (checks.Error, MemoryError):
        raise
    except BaseException as error:  # a damaged file can cause any exception in its reader, and a panic of Rust
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if type(error).__name__ == "PasswordError":
            raise _protected(path) from None
        raise checks.Error(
            f"{path} is {what} that cannot be read: {checks.described(error)}; open it and save it again, or save the "
            "sheet as CSV"
        ) from None


def _examine(data: bytes, path: str) -> dict[str, Besides]:
    """What the sheets of an .xlsx have besides values, if anything.

    Errors    if an archive, or the rectangle around the cells of a sheet, needs more memory than there is; if a
              password protects it, or its text is damaged in a way that calamine does not survive
    """
    free, besides = checks.free_memory(), dict[str, Besides]()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if any(member.file_size > DENSEST * max(member.compress_size, 1) for member in members):
            raise checks.Error(f"{path} declares {total} bytes, more than it can hold")
        if 2 * total > free:
            raise checks.Error(f"{path} holds {checks.byte_count(total)}, which the free memory cannot take")
        manifest = next((member for member in members if member.filename == "META-INF/manifest.xml"), None)
        if manifest is not None and b"encryption-data" in archive.read(manifest):
            raise _protected(path)
        for member in members:
            if member.filename == "content.xml":  # of an .ods: calamine never returns if it is incomplete
                expat.ParserCreate().Parse(archive.read(member), True)
            if re.fullmatch(r"xl/worksheets/[^/]+\.bin", member.filename):
                _expect_fits(path, *_extent_of_records(archive.read(member)), free)
            if re.fullmatch(r"xl/worksheets/[^/]+\.xml", member.filename):
                xml = archive.read(member)
                _expect_fits(path, *_extent(xml, free), free)
                if any(found := besides_values(xml)):
                    besides[member.filename] = found
    return besides


def _expect_fits(path: str, rows: int, columns: int, free: float) -> None:
    if CELL * rows * columns > free:
        raise checks.Error(
            f"{path} has a sheet with {rows} rows and {columns} columns, which needs "
            f"{checks.byte_count(CELL * rows * columns)}; delete cells far from the table (Ctrl+End goes to the last), "
            "or save the sheet as CSV"
        )


def _notes_besides_values(
    data: bytes, besides: dict[str, Besides], name: str, sheet: Any, source: str, names: Collection[str],
    notes: list[str],
) -> list[str]:  # fmt: skip
    """Those of the notes that ask for an action; all are appended to the notes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = besides.get(file_of(archive, name))
    if found is None:
        return []
    notes += hidden_notes(found, sheet)
    of_formulas = [formulas_note(found.formulas, sheet, source, names)] if found.formulas else []
    notes += of_formulas
    return of_formulas


def _extent(xml: bytes, free: float) -> tuple[int, int]:
    """The rows and columns of a sheet of an .xlsx, in whatever order its cells are; or more, if that fits into memory.

    calamine allocates all cells up to the last, and ends the process if it cannot.
    """
    columns = max(map(number_of, set(LETTERS.findall(xml))), default=26)
    last = ROW.match(xml, max(0, xml.rfind(b" r=")))
    digits = len(last[1]) if last else 1
    rows = 10**digits
    if CELL * rows * columns > free or re.search(rb""" r=["'][A-Za-z]*[0-9]{%d}""" % (digits + 1), xml):
        rows = max(map(int, set(ROW.findall(xml))), default=0)
    return rows, columns


def _extent_of_records(data: bytes) -> tuple[int, int]:
    """The rows and columns of a sheet of an .xlsb up to the last cell with a value.

    The dimensions that it declares are not those: they include empty cells with a format.
    """
    columns = {0}
    at = row = last = 0
    while at <= len(data) - RECORD.size:
        kind, size, number = RECORD.unpack_from(data, at)
        at += 2
        if kind > 127 or size > 127:  # each takes several bytes, of 7 bits
            kind, at = _varint(data, at - 2)
            size, at = _varint(data, at)
            number = int.from_bytes(data[at : at + 4], "little")
        at += size
        if 1 < kind < 12:  # a cell with a value; kind 1 is one without, and kind 0 begins a row
            columns.add(number)
            if row > last:  # faster than max
                last = row
        elif kind == 0:
            row = number
    return last + 1, max(columns) + 1


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of up to four bytes, of which all but the last have the highest bit, and where the next one begins."""
    number = 0
    for shift in range(0, 28, 7):
        byte = data[at] if at < len(data) else 0
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            break
    return number, at


def _protected(path: str) -> checks.Error:
    return checks.Error(f"{path} is protected by a password; save it without one, or save the sheet as CSV")


def _opened(data: bytes) -> tuple[Any, list[Any]]:
    """A workbook, and what it says about its sheets, without those of charts and macros."""
    from python_calamine import CalamineWorkbook, SheetTypeEnum

    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    return book, [one for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]


def _expect_no_better(data: bytes, name: str, source: str, names: Collection[str]) -> None:
    """An error if not this sheet, but others have most of the columns with these names."""
    book, sheets = _opened(data)
    others = [one.name for one in sheets if one.name != name]
    better = [one for one in others if header_row(book.get_sheet_by_name(one), names)]
    if better:
        lacks = f"has no column {shown(*names)}" if len(names) == 1 else f"lacks the columns {checks.some([*names], 5)}"
        them = "it" if len(names) == 1 else "them"
        too = f" ({' and '.join(better[1:3])} {'has' if len(better) == 2 else 'have'} {them} too)" if better[1:] else ""
        option = f"add --sheet{'=' if better[0].startswith('-') else ' '}{shlex.quote(better[0])}"
        raise checks.Error(f"{source} {lacks}; the sheet {shown(better[0])} has {them}: {option}{too}")


def _chosen(data: bytes, path: str, notes: list[str], sheet: str | None) -> tuple[str, Any]:
    """The name of the sheet to read, and the sheet."""
    from python_calamine import SheetVisibleEnum

    book, sheets = _opened(data)
    names = [one.name for one in sheets]
    if sheet is not None:
        if sheet not in names:
            hint = checks.did_you_mean(sheet, names)
            raise checks.Error(f"{path} has no sheet {shown(sheet)}; its sheets: {checks.some(names)}{hint}")
        found = book.get_sheet_by_name(sheet)
        if found.start is None:
            raise checks.Error(f"{path}, sheet {shown(sheet)} is empty; its sheets: {checks.some(names)}")
        return sheet, found
    for are_visible in (True, False):
        first, filled = None, list[str]()
        for one in sheets:
            if (one.visible == SheetVisibleEnum.Visible) == are_visible:
                found = book.get_sheet_by_name(one.name)
                if found.start is not None:
                    first = first or found  # the others are not kept
                    filled.append(one.name)
        if first is None:
            continue
        if len(filled) > 1:
            others = f"the other{' is' if len(filled) == 2 else 's are'} {checks.some(filled[1:], 5)}"
            is_read = f"the first, {shown(filled[0])}, is read"
            notes.append(f"{len(filled)} sheets have values; {is_read}; {others} (--sheet NAME)")
        return filled[0], first
    raise checks.Error(f"{path} is empty: no cell of its sheets ({checks.some(names, 5)}) has a value")
