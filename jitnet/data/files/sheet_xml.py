"""What the XML of a sheet of an .xlsx says besides values: formulas without results, hidden rows and columns.

calamine returns cells of such formulas as empty, and does not tell what is hidden.
"""

import posixpath
import re
import zipfile
from collections import Counter
from collections.abc import Collection
from itertools import islice
from typing import Any, NamedTuple
from xml.etree import ElementTree

from ... import checks
from ...canonical import column_name
from ...checks import count, shown
from .sheet import header_row, place

FORMULA = re.compile(
    rb'<c (?=[^<>]*?\br="([A-Z]{1,3}[0-9]{1,7})")([^<>]*)>\s*'
    rb"<f(?:/>| [^<>]*/>|[ >][^<]*</f>)\s*(?:<v\s*/>\s*|<v></v>\s*)?</c>"
)
"""A cell with a formula but no result. That of a text, which can be empty, has a type: t="str"."""
HIDDEN_ROW = re.compile(rb'<row (?=[^<>]*hidden="(?:1|true)")[^<>]*?\br="([0-9]{1,7})"')
HIDDEN_COLUMNS = re.compile(rb'<col (?=[^<>]*hidden="(?:1|true)")[^<>]*?\bmin="([0-9]{1,5})"')
PREFIX = re.compile(rb"<([A-Za-z_][\w.-]*:)worksheet\b")
"""Some programs write `<x:row>` instead of `<row>`; it is the prefix of all elements."""
HEAD = 4096
"""Bytes in which the first element begins."""
RESAVE = "open the workbook in Excel or LibreOffice, save it, and run again"


class Besides(NamedTuple):
    formulas: list[str]
    """The cells with formulas but no results."""
    rows: list[int]
    """The hidden ones, from 1."""
    columns: list[int]
    """The first of each group of hidden ones, from 1."""


def besides_values(xml: bytes) -> Besides:
    if prefix := PREFIX.search(xml, 0, HEAD):
        xml = xml.replace(b"<" + prefix[1], b"<").replace(b"</" + prefix[1], b"</")
    formulas = [one[1].decode() for one in FORMULA.finditer(xml) if b't="str"' not in one[2]] if b"<f" in xml else []
    rows, columns = list[int](), list[int]()
    if b'hidden="' in xml:
        rows, columns = ([int(number) for number in one.findall(xml)] for one in (HIDDEN_ROW, HIDDEN_COLUMNS))
    return Besides(formulas, rows, columns)


def file_of(archive: zipfile.ZipFile, sheet: str) -> str:
    """The name of the file with this sheet in an .xlsx; "" if it is not known."""
    parts = ("xl/workbook.xml", "xl/_rels/workbook.xml.rels")
    if not set(parts) <= set(archive.namelist()):
        return ""
    book, links = (ElementTree.fromstring(archive.read(part)) for part in parts)
    files = {link.get("Id"): link.get("Target", "") for link in links}
    for one in book.iter():
        if one.tag.endswith("}sheet") and one.get("name") == sheet:
            link = next((value for name, value in one.items() if name.endswith("}id")), "")
            return posixpath.join("/xl", files.get(link, "")).removeprefix("/")
    return ""


def formulas_note(cells: list[str], sheet: Any, source: str, names: Collection[str]) -> str:
    """The sentence about cells with formulas but no results; an error if one of these columns has nothing else."""
    header, start = header_row(sheet, names), sheet.start[1]
    row = next(islice(sheet.iter_rows(), header - 1, None)) if header else []
    for letters, times in Counter(cell.rstrip("0123456789") for cell in cells).items():
        j = number_of(letters.encode()) - 1 - start
        name = column_name(row[j]) if 0 <= j < len(row) else ""
        if name in map(column_name, names) and 2 * times > sheet.end[0] + 1 - header:
            raise checks.Error(f"{source}: the formulas of the column {shown(name)} have no stored results; {RESAVE}")
    has = (
        "cell has a formula without a stored result"
        if len(cells) == 1
        else "cells have formulas without stored results"
    )
    first = f"it is {cells[0]}" if len(cells) == 1 else f"the first is {cells[0]}"
    return f"{len(cells)} {has}, {first}: {RESAVE}"


def hidden_notes(besides: Besides, sheet: Any) -> list[str]:
    """Sentences about the hidden rows and columns of the table, which are read."""
    rows = [row for row in besides.rows if row <= sheet.end[0] + 1]
    columns = [column for column in besides.columns if sheet.start[1] < column <= sheet.end[1] + 1]
    notes = (
        [f"{count(len(rows), 'hidden row is', 'hidden rows are')} read too; the first is row {min(rows)}"]
        if rows
        else []
    )
    return notes + ([f"hidden columns are read too; the first is {place(0, min(columns) - 1)[:-1]}"] if columns else [])


def number_of(letters: bytes) -> int:
    """The number of a column: AB is 28."""
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - ord("A") + 1
    return number
