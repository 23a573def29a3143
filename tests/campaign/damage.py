"""Ways to damage a file: bytes, the members of an archive, the header of an array, a field of JSON, a cell.

Each function takes a random generator and valid content, and returns content that is probably invalid.
"""

import copy
import io
import json
import os
import pickle
import struct
import zipfile
import zlib

import numpy as np
from trials import choose

INTEGERS = (0, 1, 2, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
BOMB = 1536
"""MiB that a decompression bomb unpacks to."""


class Planted:
    """An object whose unpickling creates a folder, as a trace of executed code."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def planted(marker):
    """A pickle of a Planted object, alone and inside an .npy file."""
    array = io.BytesIO()
    np.lib.format.write_array(array, np.array([Planted(marker)], object), allow_pickle=True)
    return pickle.dumps(Planted(marker)), array.getvalue()


def in_bytes(rng, content):
    """Flip, cut, double, insert, overwrite or move bytes, or write a number that is often a limit."""
    content = bytearray(content)
    a, b = sorted(int(i) for i in rng.integers(0, len(content) + 1, 2))
    short = min(b, a + int(rng.integers(1, 65)))
    kind = int(rng.integers(10))
    if kind <= 2 and content:
        for i in rng.integers(0, len(content), int(rng.integers(1, 9))):
            content[int(i)] ^= 1 << int(rng.integers(8)) if kind else int(rng.integers(1, 256))
    elif kind == 3:
        del content[a:]
    elif kind == 4:
        del content[a:short]
    elif kind == 5:
        content[a:a] = content[a:b]
    elif kind == 6:
        content[a:a] = rng.bytes(int(rng.integers(1, 65)))
    elif kind == 7:
        content[a:short] = bytes([choose(rng, (0, 255, 0x20, 0x2C))]) * (short - a)
    elif kind == 8:
        content += choose(rng, (bytes(content), b"\0", b"\n", rng.bytes(100)))
    else:
        size, order = choose(rng, (1, 2, 4, 8)), choose(rng, ("little", "big"))
        number = choose(rng, INTEGERS) % 256**size
        content[a : a + size] = number.to_bytes(size, order)
    return bytes(content)


LONG = '"' + "x" * 100_000 + '"'
VALUES = (
    "null", "true", "false", "0", "1", "2", "-1", "1.5", "-0.0", "1e-320", "1e308", "1e999", "NaN", "Infinity",
    "-Infinity", str(10**400), "9" * 5000, str(2**31), str(2**63), str(-(2**63)), '""', '"x"', '"a\\nb"', '"\\ud800"',
    '"\\u0000"', '"softmax"', '"float64"', '"classification"', '"early"', LONG, "[]", "{}", "[[]]", "[null]", "[1, 2]",
    '{"a": 1}', "[" * 900 + "]" * 900, "[" * 100_000 + "]" * 100_000, "nonsense", "",
)  # fmt: skip


def places(value, path=()):
    """Every position in a JSON value, as a path of keys."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value[:20]) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def in_json(rng, text):
    """The text with another value at one position, or with a missing, repeated, renamed or additional field."""
    value = copy.deepcopy(json.loads(text))
    everywhere = list(places(value))
    path = choose(rng, everywhere[1:] or everywhere)
    if not path:
        return choose(rng, VALUES)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    key, before, kind = path[-1], parent[path[-1]], int(rng.integers(10))
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[choose(rng, ("", "x", key + "x", "__class__", "\0"))] = parent.pop(key) if rng.random() < 0.5 else before
    elif kind == 2:
        parent[key] = near(rng, before)
    elif kind == 3:
        there = value
        for step in choose(rng, everywhere):
            there = there[step]
        parent[key] = copy.deepcopy(there)
    else:
        mark = "<here>"
        parent[key] = mark
        return json.dumps(value).replace(f'"{mark}"', choose(rng, VALUES))
    return json.dumps(value)


def near(rng, value):
    """A value that is almost correct."""
    if isinstance(value, bool) or value is None:
        return choose(rng, (not value, int(value or 0), str(value)))
    if isinstance(value, int | float):
        return choose(rng, (value + 1, value - 1, -value, value * 1e30, float(value), str(value), [value]))
    if isinstance(value, str):
        return choose(rng, (value.upper(), value + " ", value[:-1], value * 2, [value], 0))
    if isinstance(value, list):
        return choose(rng, (value[:-1], value[1:], value * 2, value[::-1], [value], dict(enumerate(value))))
    return choose(rng, (list(value), list(value.items()), {**value, "x": 1}, str(value)))


DESCRIPTIONS = (
    "'<f8'", "'>f8'", "'<f4'", "'>f4'", "'<f2'", "'<i8'", "'|u1'", "'|b1'", "'<c16'", "'<U3'", "'|S3'", "'<U0'",
    "'|V4'", "'|V0'", "'<M8[D]'", "'|O'", "'O'", "'<f16'", "'x'", "''", "[('a', '<f4')]", "[('a', '|O')]",
    "('<f4', (2,))", "None", "7", "[]",
)  # fmt: skip
SHAPES = (
    "()", "(0,)", "(0, 0)", "(1,)", "(-1,)", "(2, -3)", "(1.5,)", "('a',)", "(True,)", "[3]", "3", "None",
    "(1000000000,)", "(4611686018427387904, 4)", "(9223372036854775807,)", "(18446744073709551616,)", "(1,)*3",
    f"({'1, ' * 33})", f"({'1, ' * 70})", "(0, 9223372036854775807)",
)  # fmt: skip


def in_npy(rng, content):
    """The header of an .npy file contradicts the data."""
    file = io.BytesIO(content)
    np.lib.format.read_magic(file)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    fields = {"descr": repr(dtype.str), "fortran_order": str(fortran), "shape": str(shape)}
    kind = int(rng.integers(9))
    if kind <= 2:
        fields["descr"] = choose(rng, DESCRIPTIONS)
    elif kind <= 5:
        fields["shape"] = choose(rng, (*SHAPES, str(shape[::-1]), str((*shape, 1)), str(shape[:-1]), str((1, *shape))))
    elif kind == 6:
        fields["fortran_order"] = choose(rng, (str(not fortran), "1", "None", "'x'", "[]"))
    elif kind == 7:
        fields.pop(choose(rng, list(fields)))
    else:
        fields["x"] = choose(rng, ("1", "(" * 300 + ")" * 300, "__import__('os')", "'" + "x" * 70_000 + "'"))
    text = "{" + ", ".join(f"'{name}': {value}" for name, value in fields.items()) + "}\n"
    return npy_header(text, choose(rng, ((1, 0), (1, 0), (1, 0), (2, 0), (3, 0), (9, 9)))) + content[file.tell() :]


def npy_header(text, version=(1, 0)):
    encoded = text.encode()
    size = struct.pack("<H", len(encoded) % 65536) if version == (1, 0) else struct.pack("<I", len(encoded))
    return b"\x93NUMPY" + bytes(version) + size + encoded


def in_archive(rng, content, marker, bombs=True):
    """Changed, swapped, missing, repeated, renamed or additional members; wrong sizes; decompression bombs."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    i, j = (int(k) for k in rng.integers(0, len(members), 2))
    (name, body), kind, lies = members[i], int(rng.integers(14)), False
    if kind <= 4:
        if name.endswith(".json"):
            members[i] = name, in_json(rng, body).encode(errors="surrogatepass")
        else:
            members[i] = name, in_npy(rng, body)
    elif kind == 5:
        members[i], members[j] = (name, members[j][1]), (members[j][0], body)
    elif kind == 6:
        del members[i]
    elif kind == 7:
        members.append((name, members[j][1] if rng.random() < 0.5 else body))
    elif kind == 8:
        new = choose(
            rng, ("", "../x.npy", "/x.npy", name + "/", name.upper(), "x" * 60_000, "\u0661.npy", ".npy", "W9.npy")
        )
        members[i] = new, body
    elif kind == 9:
        members[i] = name, choose(rng, planted(marker))
    elif kind == 10:
        members.append((choose(rng, ("x.npy", "b7.npy", "about.json", "x.pkl")), choose(rng, planted(marker))))
    elif kind == 11:
        members[i] = name, in_bytes(rng, body)  # with a correct checksum
    elif kind == 12:
        if bombs and rng.random() < 0.02:
            return bomb(rng, members, i)
        members[i] = name, b""
    else:
        lies = True
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", choose(rng, (0, 0, 8, 12, 14))) as archive:
        for name, body in members:
            archive.writestr(zipfile.ZipInfo(name), body, archive.compression)
    return lie(rng, file.getvalue(), members[i][0]) if lies else file.getvalue()


def lie(rng, content, name):
    """The directory states a wrong size; in half of the cases the array's header states the same size."""
    content, size = bytearray(content), choose(rng, (0, 1, 100, 2**30 + 2**29, 2**31 - 2**27, 2**32 - 1))
    at = content.find(b"PK\1\2")
    while at >= 0 and not content[at + 46 :].startswith(name.encode()):
        at = content.find(b"PK\1\2", at + 4)
    if at < 0:
        return bytes(content)
    header, start = (
        npy_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size}, 1)}}\n"),
        content.find(b"\x93NUMPY"),
    )
    if name.endswith(".npy") and 0 <= start < at and rng.random() < 0.5:
        content[start : start + len(header)] = header
        size = min(size + len(header), 2**32 - 1)
    content[at + 20 : at + 28] = struct.pack(
        "<II", choose(rng, (size, struct.unpack_from("<I", content, at + 20)[0])), size
    )
    return bytes(content)


def deflated(content, zeros=0):
    """A raw deflate stream of the content and many MiB of zeros, without compressing them one by one."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)  # independent of the data before it
    return first + piece * zeros + packer.flush(zlib.Z_FINISH)


def bomb(rng, members, i):
    """One of the members, or a new one, decompresses to more than a gigabyte."""
    if rng.random() < 0.3:
        rows = npy_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({BOMB << 20},)}}\n")
        members.append(("x.npy", rows))
        i = len(members) - 1
    body, directory = b"", b""
    for k, (name, content) in enumerate(members):
        packed = deflated(content, BOMB if k == i else 0)
        size = len(content) + (BOMB << 20 if k == i else 0)
        about = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, zlib.crc32(content), len(packed), size, len(name), 0)
        directory += b"PK\1\2" + struct.pack("<H", 20) + about + struct.pack("<HHHII", 0, 0, 0, 0, len(body))
        directory += name.encode()
        body += b"PK\3\4" + about + name.encode() + packed
    sizes = len(members), len(members), len(directory), len(body)
    return body + directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, *sizes, 0)


def gzip_bomb(content):
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflated(content, BOMB) + bytes(8)


CELLS = (
    "", " ", "nan", "NaN", "inf", "-inf", "1e999", "1e-999", "-0", "+1", "1.", ".5", ".", "e5", "1e", "--1",
    "1,5", "1;5", "1_000", "0x10", "1e5", "\u0661\u0662", "\uff11", "1\u00a0000", "?", "NA", "null", "=1+1", "'", '"',
    '""', '"a', '"a"b', '"a\nb"', "\0", "\x1a", "a\x1b[2Jb", "\u2028", "\ufeff", "\t", "a\tb", "9" * 400,
    "9" * 400 + "x", "1" * 20_000 + "x", "x" * 140_000, "\u00e4", "\U0001f600", "True", "1.0", "1e0", "01",
)  # fmt: skip


def in_csv(rng, text):
    """The bytes of the text with a changed cell, line, separator or line ending."""
    lines = text.split("\n")
    i, kind = int(rng.integers(len(lines))), int(rng.integers(12))
    cells = lines[i].split(",")
    j = int(rng.integers(len(cells)))
    if kind <= 5:
        cells[j] = choose(rng, CELLS)
    elif kind == 6:
        cells.insert(j, choose(rng, CELLS))
    elif kind == 7:
        del cells[j]
    lines[i] = ",".join(cells)
    if kind == 8:
        lines[i:i] = [choose(rng, ("", ",,,", lines[0], "# note", "\0", lines[i] * 50))]
    elif kind == 9:
        j = int(rng.integers(len(lines)))
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == 10:
        for k, line in enumerate(lines):
            swapped = line.split(",")
            swapped[j % len(swapped)] = choose(rng, CELLS)
            lines[k] = ",".join(swapped)
    text = choose(rng, ("\n", "\n", "\n", "\n", "\r\n", "\r", "\n\n", "\x0b")).join(lines)
    if kind == 11:
        text = text.replace(",", choose(rng, (";", "\t", "|", " ", ", ", ",,", ":")))
    encoding = choose(rng, ("utf-8",) * 8 + ("utf-8-sig", "utf-16", "latin-1", "cp1252"))
    return text.encode(encoding, errors="replace")
