"""Writers of workbooks: .xlsx by openpyxl; .ods, .xls and .xlsb by hand, which needs no package."""

import csv
import datetime as dt
import struct
import zipfile

from jitnet.data.files.workbook import OLE


def xlsx(path, **sheets):
    """A workbook with these sheets, each a list of rows; hidden_List is the hidden sheet List."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        added = book.create_sheet(name.removeprefix("hidden_"))
        added.sheet_state = "hidden" if name.startswith("hidden_") else "visible"
        for row in rows:
            added.append(row)
    book.save(path)
    return path


def text(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def ods(path, rows, **members):
    """An OpenDocument spreadsheet with the sheet Data, with empty rows up to the last that is possible."""
    body = ""
    for row in rows:
        cells = [
            "<table:table-cell/>" if cell is None
            else f"<table:table-cell {ods_value(cell)}><text:p>{cell}</text:p></table:table-cell>"
            for cell in row
        ]  # fmt: skip
        body += f"<table:table-row>{''.join(cells)}</table:table-row>"
    body += (
        '<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="99"/>'
    )
    urn = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content xmlns:office="{urn}:office:1.0" '
        f'xmlns:table="{urn}:table:1.0" xmlns:text="{urn}:text:1.0" office:version="1.3"><office:body>'
        f'<office:spreadsheet><table:table table:name="Data">{body}</table:table-row></table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    manifest = f'<manifest:manifest xmlns:manifest="{urn}:manifest:1.0"/>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        for name, one in {"content.xml": content, "META-INF/manifest.xml": manifest, **members}.items():
            archive.writestr(name, one)
    return path


def ods_value(cell):
    """The attributes of a cell."""
    if isinstance(cell, bool):
        return f'office:value-type="boolean" office:boolean-value="{str(cell).lower()}"'
    if isinstance(cell, (int, float)):
        return f'office:value-type="float" office:value="{cell}"'
    if isinstance(cell, dt.date):
        return f'office:value-type="date" office:date-value="{cell.isoformat()}"'
    if isinstance(cell, dt.time):
        cell = dt.timedelta(hours=cell.hour, minutes=cell.minute, seconds=cell.second)
    if isinstance(cell, dt.timedelta):
        hours, minutes, seconds = cell // dt.timedelta(hours=1), cell.seconds // 60 % 60, cell.seconds % 60
        return f'office:value-type="time" office:time-value="PT{hours:02}H{minutes:02}M{seconds:02}S"'
    return 'office:value-type="string"'


def ole(stream, name="Workbook"):
    """A compound document with one stream, as Office programs wrote them until 2003."""
    stream = stream.ljust(max(4096, -len(stream) % 512 + len(stream)), b"\0")
    sectors = len(stream) // 512
    table = [0xFFFFFFFD, 0xFFFFFFFE, *range(3, 2 + sectors), 0xFFFFFFFE]  # itself, the directory, the stream
    header = OLE + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<9I", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0) + struct.pack("<I", 0)
    directory = b""
    for entry, kind, child, start, size in (("Root Entry", 5, 1, 0xFFFFFFFE, 0), (name, 2, 0xFFFFFFFF, 2, len(stream))):
        encoded = (entry + "\0").encode("utf-16-le")
        directory += encoded.ljust(64, b"\0") + struct.pack(
            "<HBB3I", len(encoded), kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child
        )
        directory += bytes(36) + struct.pack("<IQ", start, size)
    fat = struct.pack(f"<{len(table)}I", *table).ljust(512, b"\xff")
    return header.ljust(512, b"\xff") + fat + directory.ljust(512, b"\0") + stream


def xls(path, rows):
    """An Excel workbook of the kind of 1997 with the sheet Data: numbers and text."""

    def record(kind, content=b""):
        return struct.pack("<HH", kind, len(content)) + content

    def name(value, size):
        return struct.pack(size, len(value)) + b"\1" + value.encode("utf-16-le")

    begin = record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 1997, 0, 6))
    head = begin + record(0x85, struct.pack("<IH", len(begin) + 4 + 16 + 4, 0) + name("Data", "<B")) + record(0xA)
    body = record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 1997, 0, 6))
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            if isinstance(cell, (int, float)):
                body += record(0x203, struct.pack("<HHHd", i, j, 0, cell))
            elif cell is not None:
                body += record(0x204, struct.pack("<HHH", i, j, 0) + name(cell, "<H"))
    path.write_bytes(ole(head + body + record(0xA)))
    return path


PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def xlsb(path, rows, declared=None):
    """A binary Excel workbook with the sheet Data: numbers, text, yes and no, dates and times.

    declared    its rows and columns, as those of empty cells with a format; None counts them
    """

    def record(kind, content=b""):
        head = bytes([kind]) if kind < 128 else bytes([kind & 127 | 128, kind >> 7])
        size = bytes([len(content)]) if len(content) < 128 else bytes([len(content) & 127 | 128, len(content) >> 7])
        return head + size + content

    def name(value):
        return struct.pack("<I", len(value)) + value.encode("utf-16-le")

    def value(j, cell):
        if isinstance(cell, (dt.date, dt.time)):
            moment = cell if isinstance(cell, dt.datetime) else dt.datetime(1899, 12, 30)
            moment = moment.combine(cell, moment.time()) if type(cell) is dt.date else moment
            moment = moment.combine(moment, cell) if isinstance(cell, dt.time) else moment
            days = (moment - dt.datetime(1899, 12, 30)) / dt.timedelta(days=1)
            return record(5, struct.pack("<IId", j, 1, days))  # in the second format, that of dates
        if isinstance(cell, bool):
            return record(4, struct.pack("<IIB", j, 0, cell))
        if isinstance(cell, (int, float)):
            return record(5, struct.pack("<IId", j, 0, cell))
        return b"" if cell is None else record(6, struct.pack("<II", j, 0) + name(cell))

    height, width = declared or (len(rows), max(map(len, rows)))
    cells = b"".join(
        record(0, struct.pack("<IIHBBBI", i, 0, 300, 0, 0, 0, 0))
        + b"".join(value(j, cell) for j, cell in enumerate(row))
        for i, row in enumerate(rows)
    )
    area = struct.pack("<IIII", 0, height - 1, 0, width - 1)
    sheet = record(129) + record(148, area) + record(145) + cells + record(146) + record(130)
    formats = b"".join(record(47, struct.pack("<HHHHHHI", 0, number, 0, 0, 0, 0, 0)) for number in (0, 22))
    styles = record(278) + record(617, struct.pack("<I", 2)) + formats + record(618) + record(279)
    sheets = record(143) + record(156, struct.pack("<II", 0, 1) + name("rId1") + name("Data")) + record(144)
    links = "".join(
        f'<Relationship Id="rId{i}" Type="{OFFICE}/{kind}" Target="{file}"/>'
        for i, (kind, file) in enumerate((("worksheet", "worksheets/sheet1.bin"), ("styles", "styles.bin")), 1)
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.bin", record(131) + sheets + record(132))
        archive.writestr("xl/_rels/workbook.bin.rels", f'<Relationships xmlns="{PACKAGE}">{links}</Relationships>')
        archive.writestr("xl/worksheets/sheet1.bin", sheet)
        archive.writestr("xl/styles.bin", styles)
    return path
