"""Sheets of spreadsheets, with python-calamine: .xlsx, .xlsm, .xlsb and .xls of Excel, and .ods of LibreOffice.

A sheet becomes the text of a CSV in which line 7 is its row 7. `csv_file.py` reads it, so that a workbook follows the
rules of a CSV, and a model that learned from one predicts for the other.
"""

import importlib.util
import io
import re
import zipfile
from typing import Any
from xml.parsers import expat

from ... import checks
from ...checks import shown
from ...npz import DENSEST, office_document
from .sheet import expect_table, text_of_sheet

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The first bytes of documents of old Office programs, and of new ones with a password."""
STREAMS = tuple(name.encode("utf-16-le") for name in ("Workbook", "Book", "EncryptedPackage"))
"""What such a document has if it is a workbook; the second until Excel 95, the third with a password."""
CELL = 64
"""Bytes of memory for each cell of the rectangle around all cells."""


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
    data: bytes, path: str, notes: list[str], sheet: str | None, decimal: str, header: bool | None
) -> tuple[bytes, str]:
    """The text of a CSV, and the name of the sheet in messages; appends to the notes if the sheet is a choice.

    sheet     its name; None reads the first that is not empty, and a hidden one only if all others are
    decimal   the decimal sign of text; numbers are written with it, so they stay as they are
    header    False if the first row is known to have no names: it is then no title

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
        if not data.startswith(OLE):
            _examine(data, path)
        name, found = _chosen(data, path, notes, sheet)
        source = f"{path}, sheet {shown(name)}"
        expect_table(found, source, header)
        return text_of_sheet(found, decimal, notes), source
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


def _examine(data: bytes, path: str) -> None:
    """An error if an archive, or the rectangle around the cells of a sheet, needs more memory than there is.

    And if a password protects it, or its text is damaged in a way that calamine does not survive.
    """
    free = checks.free_memory()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if any(member.file_size > DENSEST * max(member.compress_size, 1) for member in members):
            raise checks.Error(f"{path} declares {total} bytes, more than it can hold")
        if 2 * total > free:
            raise checks.Error(f"{path} holds {total >> 20} MiB, which the free memory cannot take")
        manifest = next((member for member in members if member.filename == "META-INF/manifest.xml"), None)
        if manifest is not None and b"encryption-data" in archive.read(manifest):
            raise _protected(path)
        for member in members:
            if member.filename == "content.xml":  # of an .ods: calamine never returns if it is incomplete
                expat.ParserCreate().Parse(archive.read(member), True)
            if re.fullmatch(r"xl/worksheets/[^/]+\.xml", member.filename):
                rows, columns = _extent(archive.read(member), free)
                if CELL * rows * columns > free:
                    raise checks.Error(
                        f"{path} has a sheet with {rows} rows and {columns} columns, which needs "
                        f"{CELL * rows * columns / 2**30:.1f} GiB; delete cells far from the table (Ctrl+End goes to "
                        "the last), or save the sheet as CSV"
                    )


def _extent(xml: bytes, free: float) -> tuple[int, int]:
    """The rows and columns of a sheet of an .xlsx, or an upper limit if that fits into memory.

    calamine allocates all cells up to the last, and ends the process if it cannot.
    """
    last = re.match(rb' r="[A-Z]*([0-9]{1,7})"', xml[max(0, xml.rfind(b' r="')) :][:20])
    if last is None:
        return 0, 0
    rows = int(last[1])
    letters = next((k for k in (3, 2) if re.search(rb' r="[A-Z]{%d}[0-9]' % k, xml)), 1)  # of the last column
    limit = (26, 702, 16384)[letters - 1]
    if CELL * rows * limit <= free:
        return rows, limit
    names = set(re.findall(rb' r="([A-Z]{%d})[0-9]' % letters, xml)) or {b"A"}
    column = 0
    for letter in max(names):
        column = 26 * column + letter - ord("A") + 1
    return rows, column


def _protected(path: str) -> checks.Error:
    return checks.Error(f"{path} is protected by a password; save it without one, or save the sheet as CSV")


def _chosen(data: bytes, path: str, notes: list[str], sheet: str | None) -> tuple[str, Any]:
    """The name of the sheet to read, and the sheet."""
    from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    sheets = [one for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
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
            first_of = f"the first of {len(filled)} that are not empty, before {checks.some(filled[1:], 5)}"
            notes.append(f"read the sheet {shown(filled[0])}, {first_of} (--sheet NAME)")
        return filled[0], first
    raise checks.Error(f"{path} is empty: no cell of its sheets ({checks.some(names, 5)}) has a value")
