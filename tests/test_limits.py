"""Small files that contain or declare much more than their size are rejected early, or only partly read."""

import gzip
import io
import json
import re
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from files import csv, idx_bytes

import jitnet
from jitnet import checks, npz, storage
from jitnet.canonical import is_number
from jitnet.data import Recipe, read_idx, read_table

MIB = 2**20


def header(shape, dtype="<f4"):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": dtype, "fortran_order": False, "shape": shape})
    return out.getvalue()


def add(path, name, zeros, head=b"", mode="a"):
    """Add a member of many MiB of zeros, which compress to a thousandth of that."""
    with zipfile.ZipFile(path, mode, zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        member.write(head)
        for _ in range(zeros):
            member.write(bytes(MIB))


class Memory:
    """Measures Python's peak memory in a with block."""

    def __enter__(self):
        tracemalloc.start()
        return self

    def __exit__(self, *_):
        self.most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.npz"
    jitnet.Network(jitnet.Dense(2, 2, "softmax"), seed=0).save(path)
    return path


def refused(read, path, message, most=4 * MIB):
    """Reading the file must fail with a one-line error that names it, and need little memory."""
    with Memory() as memory, pytest.raises(jitnet.Error, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert memory.most < most


def test_size_of_about_json_is_limited(tmp_path):
    path = tmp_path / "m.npz"
    add(path, "about.json", 64, mode="w")
    refused(jitnet.load, path, f"about.json has {64 * MIB} bytes, but may have {storage.ABOUT_LIMIT} at most")


def test_model_too_large_to_be_read_is_not_written(tmp_path):
    path = tmp_path / "c"
    path.write_text("old")
    with pytest.raises(jitnet.Error, match=f"may have {storage.ABOUT_LIMIT} at most"):
        storage.write(path, "checkpoint", {"history": "x" * storage.ABOUT_LIMIT}, {})
    assert path.read_text() == "old"


def test_unneeded_members_are_not_read(model, tmp_path):
    add(model, "more.npy", 64, header((16 * MIB,)))
    with Memory() as memory:
        jitnet.load(model)
    assert memory.most < 4 * MIB
    data = tmp_path / "data.npz"
    np.savez(data, X=np.eye(2), y=np.arange(2))
    add(data, "more.npy", 64, header((16 * MIB,)))
    with Memory() as memory:
        assert read_table(data).X.shape == (2, 2)
    assert memory.most < 4 * MIB


def test_array_with_an_unexpected_shape_is_not_read(model, tmp_path):
    """The shape is in the array's header."""
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(tmp_path / "n.npz", "w") as new:
        for name in ("about.json", "b0.npy"):
            new.writestr(name, old.read(name))
    add(tmp_path / "n.npz", "W0.npy", 64, header((16 * MIB,)))
    refused(jitnet.load, tmp_path / "n.npz", r"W0 should be \(2, 2\) float32, but is \(16777216,\) float32")
    add(tmp_path / "d.npz", "X.npy", 64, header((8 * MIB, 2)), mode="w")
    add(tmp_path / "d.npz", "y.npy", 0, header((0,)))
    refused(read_table, tmp_path / "d.npz", r"y in .* is \(0,\) float32")


def test_size_of_array_headers_is_limited(tmp_path):
    """The header of an array declares a size of 64 MiB."""
    path = tmp_path / "d.npz"
    add(path, "X.npy", 64, b"\x93NUMPY\2\0" + struct.pack("<I", 64 * MIB), mode="w")
    refused(lambda path: read_table(path, features=["1"]), path, "not a readable .npz file: EOF: reading array header")


def with_false_sizes(path, shape, **sizes):
    """Write an archive whose X has 100 bytes, but whose header and directory declare other sizes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", header(shape, "|u1") + b"\1" * 100)
        archive.writestr("y.npy", header((4,)) + bytes(16))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\1\2")
    for name, offset, form in (("method", 10, "<H"), ("packed", 20, "<I"), ("size", 24, "<I")):
        if name in sizes:
            struct.pack_into(form, content, at + offset, sizes[name])
    path.write_bytes(content)


def test_archives_with_false_sizes_are_rejected(tmp_path):
    path = tmp_path / "d.npz"
    shape = (512 * MIB, 1)
    size = 512 * MIB + len(header(shape))
    with_false_sizes(path, shape, packed=size, size=size)
    refused(read_table, path, r"members take \d+ bytes, but the file has \d+")
    with_false_sizes(path, shape, size=size)
    refused(read_table, path, r"X.npy declares \d+ bytes, more than its \d+ can hold")
    with_false_sizes(path, shape, size=size, method=zipfile.ZIP_DEFLATED)
    refused(read_table, path, r"X.npy declares \d+ bytes, more than its \d+ can hold")
    with_false_sizes(path, (4, 25), method=zipfile.ZIP_BZIP2)
    refused(read_table, path, "X.npy is neither stored nor deflated")
    with_false_sizes(path, (4, 50), size=200 + len(header((4, 50))), method=zipfile.ZIP_DEFLATED)
    refused(read_table, path, "not a readable")
    with_false_sizes(path, (4, 50))
    refused(read_table, path, r"X.npy declares \(4, 50\) uint8, 200 bytes, but holds 100 bytes")
    with_false_sizes(path, (4, 25))
    assert read_table(path).X.sum() == 100


def test_truncated_member_is_an_error(tmp_path):
    """The member is deflated, so its compressed size does not bound the array's size."""
    path, shape = tmp_path / "d.npz", (1000, 1000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", header(shape, "|u1") + bytes(999_000))
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\1\2") + 24, 1_000_000 + len(header(shape)))
    path.write_bytes(content)
    with pytest.raises(jitnet.Error, match=r"X\.npy ends after 999000 of 1000000 bytes"):
        read_table(path, features=["1"])


def test_large_arrays_are_converted_in_portions(tmp_path):
    """Reading converts C-order and Fortran-order arrays to float64 without a second copy."""
    X = np.arange(700_000, dtype=np.int16).reshape(7, 100, 1000)
    for save in (np.savez, np.savez_compressed):
        for array in (X, np.asfortranarray(X)):
            save(tmp_path / "d.npz", X=array, y=np.arange(7) > 3)
            with npz.opened(tmp_path / "d.npz", "test") as archive, Memory() as memory:
                again = archive.array("X", np.dtype(np.float64))
            np.testing.assert_array_equal(again, X)
            assert memory.most < X.size * 8 + 4 * npz.PORTION
            table = read_table(tmp_path / "d.npz")
            np.testing.assert_array_equal(table.X, X.reshape(7, -1))
            assert table.y.tolist() == ["False"] * 4 + ["True"] * 3


def test_gzipped_idx_files_with_false_sizes_are_rejected(tmp_path):
    path = tmp_path / "x-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes(64 * MIB)))
    refused(read_idx, path, "is not an IDX file: it begins with 00 00 00 00")
    small = idx_bytes(np.zeros((2, 3, 4), np.uint8))
    path.write_bytes(gzip.compress(small + bytes(64 * MIB)))
    refused(read_idx, path, r"too long: shape \(2, 3, 4\) needs 40 bytes, but it has more")
    huge = b"\0\0\x08\3" + struct.pack(">3I", 2**31, 1, 1)
    path.write_bytes(gzip.compress(huge + bytes(100)))
    refused(read_idx, path, r"truncated: shape .* needs 2147483664 bytes, but it has \d+ at most")
    path.write_bytes(gzip.compress(small[:-2]))
    refused(read_idx, path, r"truncated: .* needs 40 bytes, but it has 38")
    path.write_bytes(huge + bytes(100))
    refused(read_idx, path, "truncated: .* but it has 116")


def test_wrong_gzip_checksum_is_an_error(tmp_path):
    path = tmp_path / "x-idx3-ubyte.gz"
    content = bytearray(gzip.compress(idx_bytes(np.zeros((2, 3, 4), np.uint8))))
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(jitnet.Error, match="damaged gzip file: CRC check failed"):
        read_idx(path)


CONFINED = """
import resource, sys
import jitnet
from jitnet.data import read_table
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (256 << 20),) * 2)
try:
    read_table(sys.argv[1])
except jitnet.Error as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS as on Linux")
def test_valid_file_larger_than_memory_is_an_error(tmp_path):
    """40 MiB of bytes become 320 MiB of floats, in a process that can allocate 256 MiB more."""
    path = tmp_path / "d.npz"
    add(path, "y.npy", 1, header((MIB,), "|u1"), mode="w")
    add(path, "X.npy", 40, header((MIB, 40), "|u1"))
    result = subprocess.run([sys.executable, "-c", CONFINED, path], capture_output=True, text=True, timeout=120)
    said = r"d.npz \(\d+\.\d KiB\) needs more memory than available: Unable to allocate 320. MiB"
    assert re.search(said, result.stdout)


def test_memory_errors_are_one_line(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(bytes(3 * MIB))
    for error, reason in ((MemoryError(), "MemoryError"), (MemoryError("Unable to allocate"), "Unable to allocate")):
        message = rf"data.csv \(3.0 MiB\) needs more memory than available: {reason}; use"
        with pytest.raises(jitnet.Error, match=message), checks.fits_into_memory(path):
            raise error


def test_long_cell_is_parsed_in_linear_time():
    """For 10 000 digits and a letter, a backtracking regular expression needs 50 million steps: 4 s."""
    ones = "1" * 100_000
    for text, is_finite in ((ones, False), (f".{ones}", True), (f"1.{ones}", True), (f"1e{ones}", False)):
        began = time.process_time()
        assert is_number(text) is is_finite  # as a float64
        assert not is_number(f"{text}x")
        assert not is_number(f"{text}e")
        assert time.process_time() - began < 1


def test_one_long_cell_needs_no_memory_for_other_cells(tmp_path):
    """With 20 000 rows and a class name of 100 000 characters, an array of strings would need 8 GB."""
    path = csv(tmp_path, "a,y\n" + "1,b\n2,c\n" * 10_000 + f"3,{'d' * 100_000}\n")
    with Memory() as memory:
        table = read_table(path, "y")
        recipe = Recipe.learn(table, np.arange(20_001), None)
    assert memory.most < 64 * MIB
    assert recipe.classes == ["b", "c", "d" * 100_000]


def test_many_columns_are_found_without_a_linear_search(tmp_path):
    """For 30 000 columns, linear searches would need 450 million comparisons."""
    names = [f"c{i}" for i in range(30_000)]
    path = csv(tmp_path, ",".join([*names, "y"]) + "\n" + ",".join(["1"] * 30_001) + "\n")
    for features in (None, names[::-1]):
        began = time.process_time()
        table = read_table(path, "y", features=features)
        assert table.features == (names if features is None else features)
        assert time.process_time() - began < 5


def test_long_texts_of_a_model_are_cut_in_messages(model):
    with zipfile.ZipFile(model) as archive:
        about = json.loads(archive.read("about.json"))
        arrays = {name: archive.read(name) for name in archive.namelist() if name != "about.json"}
    for change in ({"dtype": "x" * MIB}, {"format": "x" * MIB}, {"version": "x" * MIB}, {"loss": "x" * MIB}):
        with zipfile.ZipFile(model, "w") as archive:
            archive.writestr("about.json", json.dumps(about | change))
            for name, content in arrays.items():
                archive.writestr(name, content)
        with pytest.raises(jitnet.Error) as caught:
            jitnet.load(model)
        assert len(str(caught.value)) < 1000


LONG = "x" * 50_000


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (f"a,y\n{LONG},1\n", {"target": "y"}), (f"{LONG},y\nb,1\n", {"target": LONG[1:]}),
        (f"{LONG},{LONG},y\n1,2,3\n", {"target": "y"}), (f"{LONG},b\n1,2\n", {"target": "y"}),
        (f"{LONG},b\n1,2\n", {}), (f"a,{LONG}\n1,2\n", {"target": "y", "features": [LONG, "c"]}),
        (",".join(f"column{i}" for i in range(5000)) + "\n" + ",".join("1" for _ in range(5000)), {"target": "y"}),
    ],
    ids=range(7),
)  # fmt: skip
def test_long_texts_of_a_table_are_cut_in_messages(tmp_path, text, options):
    with pytest.raises(jitnet.Error) as caught:
        assert read_table(csv(tmp_path, text), **options).X is None
    assert len(str(caught.value)) < 2000


def test_long_texts_of_a_target_are_cut_in_messages(tmp_path):
    for rows, task in ((f"1,{LONG}\n2,{LONG}\n", None), (f"1,1\n2,{LONG}\n", "regression")):
        table = read_table(csv(tmp_path, f"a,y\n{rows}"), "y")
        with pytest.raises(jitnet.Error) as caught:
            Recipe.learn(table, np.arange(2), task)
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", [0x10FFFF, 0x110000, 0xFFFFFFFF, 0xD7FF, 0xD800, 0xDFFF, 0xE000])
def test_invalid_unicode_in_an_npz_file_is_an_error(tmp_path, code, order):
    """NumPy stores a character as 32 bits, but not all numbers are characters; Python raises for such strings."""
    path = tmp_path / "d.npz"
    y = np.array([ord("a"), code, ord("b"), ord("a")], f"{order}u4").view(f"{order}U1")
    np.savez(path, X=np.eye(4), y=y)
    if code in (0x10FFFF, 0xD7FF, 0xE000):
        table = read_table(path)
        assert [str(text) for text in table.y] == ["a", chr(code), "b", "a"]
        assert len(Recipe.learn(table, np.arange(4), None).classes) == 3
    else:
        with pytest.raises(jitnet.Error, match=r"d\.npz .*: y\.npy holds characters that Unicode does not have"):
            read_table(path)
