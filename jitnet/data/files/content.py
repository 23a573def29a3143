"""What a file contains, according to its first bytes instead of its name; and its text as UTF-8."""

import codecs
import gzip
import io
import os
import re
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ... import checks
from ...npz import DENSEST, PORTION, office_document
from .idx import GZIP, TYPES, is_idx
from .workbook import workbook_kind

STANDARD_INPUT = "-"
HEAD = 1 << 12
"""The number of first bytes that determine the kind."""

SAVE_AS_CSV = "save it as CSV"
UNREADABLE = (
    (b"GIF8", "a GIF image", "save the images as PNG, in one folder per class"),
    (b"II*\0", "a TIFF image", "save the images as PNG, in one folder per class"),
    (b"MM\0*", "a TIFF image", "save the images as PNG, in one folder per class"),
    (b"\x93NUMPY", "one NumPy array (.npy)", "save X and y together: numpy.savez(FILE, X=X, y=y)"),
    (b"\xd0\xcf\x11\xe0", "an Office document of an old kind", SAVE_AS_CSV),
    (b"\x89HDF", "an HDF5 file", SAVE_AS_CSV),
    (b"ARROW1", "a Feather file", "save it as Parquet or CSV"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"%PDF", "a PDF document", SAVE_AS_CSV),
    (b"{\\rtf", "an RTF document", SAVE_AS_CSV),
    (b"BZh", "compressed with bzip2", "decompress it first: bunzip2"),
    (b"\xfd7zXZ\0", "compressed with xz", "decompress it first: unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "decompress it first: unzstd"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"\x7fELF", "a program", SAVE_AS_CSV),
    *(
        (
            bytes([0x80, protocol]),
            "a Python pickle",
            "save X and y with numpy.savez, or the table as CSV; a pickle can run code",
        )
        for protocol in range(2, 6)
    ),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file: git lfs pull"),
    (b"@relation", "an ARFF file", SAVE_AS_CSV),
    (b"@RELATION", "an ARFF file", SAVE_AS_CSV),
    (b"PK\5\6", "an empty zip archive", SAVE_AS_CSV),
    (b"MATLAB ", "a MATLAB file", SAVE_AS_CSV),
    (b"$FL2", "an SPSS file", SAVE_AS_CSV),
    (b"<stata_dta>", "a Stata file", SAVE_AS_CSV),
    (b"RDX", "an R workspace", SAVE_AS_CSV),
    (b"X\n\0", "an R object", SAVE_AS_CSV),
    (b"ORC", "an ORC file", "save it as Parquet or CSV"),
    (b"Obj\1", "an Avro file", "save it as Parquet or CSV"),
    (b"FEA1", "a Feather file", "save it as Parquet or CSV"),
    (b"RIFF", "a WebP image, a sound or a video", "save images as PNG, in one folder per class"),
)
"""First bytes, what such a file is, and what to do instead."""

BOMS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
"""Byte order marks; that of UTF-32-LE begins with that of UTF-16-LE."""
ENCODINGS = "Japanese can be cp932, Chinese gb18030, Korean cp949, Russian cp1251"
NOT_CP1252 = (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")

Form = Literal["text", "npz", "idx", "folder", "picture", "parquet", "workbook"]

WORDS: dict[Form, str] = {
    "text": "a CSV", "npz": "an NPZ file", "idx": "a file of images", "folder": "a folder", "picture": "an image",
    "parquet": "a Parquet file", "workbook": "a workbook",
}  # fmt: skip
"""What each form is called in messages."""


@dataclass
class Content:
    """A file's kind, and its bytes if the kind is text, parquet or workbook; other kinds are read from the path."""

    kind: Form
    source: str
    """The name of the file in messages."""
    data: bytes
    notes: list[str]
    line: str = "line"
    """What a line is called in messages; those of a sheet are rows."""


def content_of(path: str | Path) -> Content:
    """Find out what is at `path`; - is standard input.

    Errors    FileNotFoundError; ValueError that names the kind of a file that cannot be read, and says what to do
    """
    if str(path) == STANDARD_INPUT:
        if sys.stdin is None or sys.stdin.isatty():
            raise checks.Error("- reads the table from standard input, which is a terminal; pipe a file into it")
        return _inside(sys.stdin.buffer.read(), "standard input")
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {path}")
    if Path(path).is_dir():
        return Content("folder", str(path), b"", [])
    with open(path, "rb", buffering=0) as file:  # a buffer would hold the file a second time
        size = os.fstat(file.fileno()).st_size
        head = b""
        while len(head) < HEAD and (portion := file.read(HEAD - len(head))):  # a pipe gives what it has
            head += portion
        if kind := _kind_by_head(head, path):
            return Content(kind, str(path), b"", [])
        if file.seekable():  # not a pipe
            file.seek(0)
            head = b""
        data = file.readall()
        content = _inside(head + data if head else data, str(path))
        grew = os.fstat(file.fileno()).st_size > size > 0
    if grew and content.kind == "text":
        content.notes.append(f"{path} grew while it was read: its rows up to then are used")
        content.data = content.data[: content.data.rfind(b"\n") + 1]
    return content


def _kind_by_head(head: bytes, path: str | Path) -> Form | None:
    """The kind, if the first bytes suffice and the file is read from its path."""
    first = _decompressed(head)
    if _is_idx_head(first) or (is_idx(path) and (not first or b"\0" in first)):
        return "idx"
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff")):
        return "picture"
    looks_damaged = Path(path).suffix.lower() == ".npz" and (head[:2] == b"PK" or not head or b"\0" in head)
    return "npz" if looks_damaged or (head[:2] == b"PK" and _is_npz(path)) else None


def _decompressed(head: bytes) -> bytes:
    """The first bytes of what a gzip file holds, or none if it is damaged; other files are unchanged."""
    if not head.startswith(GZIP):
        return head
    try:
        with gzip.open(io.BytesIO(head)) as file:
            return file.read1(HEAD)
    except (EOFError, OSError, zlib.error):
        return b""


def _is_idx_head(head: bytes) -> bool:
    return len(head) >= 4 and head[:2] == b"\0\0" and head[2] in TYPES and head[3] > 0


def _is_npz(path: str | Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError):  # the last for versions that zipfile cannot read
        return False


def _inside(data: bytes, source: str) -> Content:
    """The content of bytes that may be compressed."""
    notes: list[str] = []
    if workbook_kind(data):
        return Content("workbook", source, data, notes)
    if data.startswith(GZIP):
        data = _gunzipped(data, source)
    elif data[:4] == b"PK\3\4":
        data = _unzipped(data, source, notes)
    if data[:4] == b"PAR1":
        return Content("parquet", source, data, notes)
    _expect_readable(data, source)
    start = data[:64].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if re.match(rb"<([!?]|[a-z]+[ >/])", start):
        raise checks.Error(f"{source} is an HTML or XML page, not a table; download the file itself, or {SAVE_AS_CSV}")
    if data.startswith(GZIP):
        raise checks.Error(f"{source} is compressed twice; decompress it once")
    if _is_idx_head(data) or data[:4] == b"PK\3\4":
        raise checks.Error(f"{source} holds a file of another kind than text or Parquet; unpack it, and name that file")
    if re.match(rb"[+-]?[0-9.]+(?! [0-9]{1,2}:[0-9]{2}[ :\r\n])( [0-9]+:[+-]?[0-9.]+){2,}", start):  # 12:30 is a time
        raise checks.Error(f"{source} is in the format of LIBSVM, label index:value; {SAVE_AS_CSV}")
    if start[:1] in (b"{", b"["):
        raise checks.Error(f"{source} seems to be JSON; {SAVE_AS_CSV}")
    return Content("text", source, data, notes)


def _expect_readable(data: bytes, source: str) -> None:
    is_binary = re.search(rb"[\0-\x08]", data[:PORTION]) is not None
    for start, what, instead in UNREADABLE:
        if data.startswith(start) and (is_binary or not start.strip().isalnum()):  # a column can be called ORC
            raise checks.Error(f"{source} is {what}, not a table; {instead}")
    if data[257:262] == b"ustar":
        raise checks.Error(f"{source} is a tar archive, not a table; unpack it, and name one of its files")


def _gunzipped(data: bytes, source: str) -> bytes:
    total, free = 0, checks.free_memory()
    parts: list[bytes] = []
    try:
        with gzip.open(io.BytesIO(data)) as file:
            while portion := file.read(PORTION):
                if not parts and b"\0\0\0\0" in portion and not portion.startswith((b"PAR1", GZIP, b"PK")):
                    _expect_readable(portion, source)
                    raise checks.Error(f"{source} holds NUL bytes, compressed with gzip: it is no text; {SAVE_AS_CSV}")
                parts.append(portion)
                total += len(portion)
                if 2 * total > free:
                    raise checks.Error(
                        f"{source} holds more than {checks.byte_count(total)}, which the free memory cannot take"
                    )
    except (EOFError, OSError, zlib.error) as error:
        raise checks.Error(f"{source} is a damaged gzip file: {checks.reason(error)}; download it again") from None
    return b"".join(parts)


def _unzipped(data: bytes, source: str, notes: list[str]) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
            if what := office_document(names):
                raise checks.Error(f"{source} is {what}, not a table; {SAVE_AS_CSV}")
            if "mimetype" in names:
                with archive.open("mimetype") as file:
                    if b"opendocument" in file.read(100):
                        raise checks.Error(f"{source} is an OpenDocument file, not a table; {SAVE_AS_CSV}")
            if "about.json" in names:
                raise checks.Error(f"{source} is a model of jitnet, not a table; name the file with the data")
            if len(names) != 1:
                raise checks.Error(
                    f"{source} is a zip archive of {checks.count(len(names), 'file')}, {checks.some(names, 3)}; "
                    "unpack it, and name one of them"
                )
            member = archive.getinfo(names[0])
            if member.file_size > DENSEST * max(member.compress_size, 1):
                raise checks.Error(f"{source} declares {member.file_size} bytes, more than it can hold")
            if 2 * member.file_size > checks.free_memory():
                size = checks.byte_count(member.file_size)
                raise checks.Error(f"{source} holds {size}, which the free memory cannot take")
            notes.append(f"read {checks.shown(names[0])}, the only file of the archive")
            return archive.read(member)
    except checks.Error:
        raise
    except Exception as error:  # a damaged archive can cause any exception in its reader
        raise checks.Error(f"{source} is a damaged zip file: {checks.reason(error)}; download it again") from None


def text_of(content: Content, encoding: str | None = None, usual: str = "utf-8") -> tuple[bytes, str]:
    """The text as UTF-8 without a byte order mark, and its encoding. Appends to the notes if the encoding was guessed.

    usual     the encoding of the file that a model learned from, if it is not in UTF-8: such files need no guess

    Errors    ValueError with the line that is not text
    """
    data, source = content.data, content.source
    mark, found = next(((mark, name) for mark, name in BOMS if data.startswith(mark)), (b"", None))
    if encoding is not None:
        found = _text_encoding(encoding, data, found, source)
    data = data[len(mark) :] if mark else data
    if found is None and b"\0" in data[:4096]:
        zeros = [data[start:4096:2].count(b"\0") / max(1, len(data[start:4096:2])) for start in (0, 1)]
        if max(zeros) > 0.5 > 0.3 > min(zeros):  # every second byte of English text
            found = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
        elif b"\0\0\0" in (data[:3], data[1:4]):
            found = "utf-32-be" if data[:3] == b"\0\0\0" else "utf-32-le"
        if found:
            content.notes.append(f"read as {found[:6].upper()}, which has no byte order mark here (--encoding)")
    if found in (None, "utf-8"):
        if (error := _not_utf8(data)) is None:
            return _without_nul(data, source), "utf-8"
        line = data.count(b"\n", 0, error) + 1
        _without_nul(data, source)
        if found is not None or _is_mostly_utf8(data, error):
            raise checks.Error(
                f"{source}, line {line}: byte {data[error]:02x} is not UTF-8, which the rest is; fix it, or name the "
                "encoding with --encoding"
            )
        if usual == "utf-8":
            usual = "latin-1" if any(byte in data for byte in NOT_CP1252) else "cp1252"
            # Western text has few letters in a row that are not ASCII; £ and ° are alone. Other lines tell nothing
            start = b"".join(line for line in data[:PORTION].splitlines() if not line.isascii())
            foreign = sum(map(len, re.findall(rb"[\x80-\x9f\xa1-\xff]{2,}", start)))
            is_western = foreign <= len(re.findall(rb"[A-Za-z]", start))
            guess = "" if is_western else f", which does not seem right; {ENCODINGS}"
            content.notes.append(f"read as {usual}, since line {line} is not UTF-8{guess} (--encoding)")
        found = usual
    try:
        text = data.decode(found)
    except UnicodeError as error:
        place = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        raise checks.Error(f"{source} is not {found} text{place}; name its encoding with --encoding") from None
    return _without_nul(text.removeprefix("\ufeff").encode("utf-8", "replace"), source), found


def _text_encoding(encoding: str, data: bytes, of_mark: str | None, source: str) -> str:
    """The name of a given encoding, which must fit the byte order mark of the text, and its zero bytes."""
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)  # not with codecs such as hex and zlib
    except (LookupError, UnicodeError):
        raise checks.Error(f"unknown encoding {checks.shown(encoding)}; known: utf-8, utf-16, cp1252, ...") from None
    both_orders = of_mark and of_mark[:6]  # the utf-16 of utf-16-le
    if of_mark is not None and name.removesuffix("-sig") not in (of_mark, both_orders):
        raise checks.Error(f"{source} begins with the byte order mark of {of_mark}, not {name}; omit --encoding")
    if of_mark is None and name.startswith(("utf-16", "utf-32")) and b"\0" not in data:
        raise checks.Error(f"{source} is not {name} text, in which every comma has a zero byte; omit --encoding")
    return of_mark or name


def _is_mostly_utf8(data: bytes, error: int) -> bool:
    """True if the text around a byte that is not UTF-8 has other non-ASCII letters, most of them valid UTF-8."""
    text = data[max(0, error - PORTION) : error + PORTION].decode("utf-8", "replace")
    return sum(ord(c) > 127 and c != "\ufffd" for c in text) >= max(1, text.count("\ufffd"))


def _not_utf8(data: bytes) -> int | None:
    """The place of the first byte that is not UTF-8. Decoded in portions: text can take four times its bytes."""
    if data.isascii():
        return None
    decoder, at = codecs.getincrementaldecoder("utf-8")(), 0
    while at < len(data):
        portion = data[at : at + PORTION]
        waiting = len(decoder.getstate()[0])
        try:
            decoder.decode(portion, at + PORTION >= len(data))
        except UnicodeDecodeError as error:
            return at - waiting + error.start
        at += PORTION
    return None


def _without_nul(data: bytes, source: str) -> bytes:
    at = data.find(b"\0")
    if at >= 0:
        line = data.count(b"\n", 0, at) + 1
        raise checks.Error(
            f"{source}, line {line} holds a NUL byte (byte {at} of the text): it is damaged, or not text; {SAVE_AS_CSV}"
        )
    return data
