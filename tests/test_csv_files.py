"""CSV files as people write them: Python and pyarrow read the same table, and errors name the line."""

import bz2
import gzip
import io
import random
import sys
import zipfile
from csv import field_size_limit
from types import SimpleNamespace

import numpy as np
import pytest
from files import csv

import jitnet
from jitnet.data import read_table
from jitnet.data.files.content import Content, content_of
from jitnet.data.files.csv_dialect import dialect_of
from jitnet.data.files.csv_fast import read_by_pyarrow
from jitnet.data.files.csv_file import read_csv

N = np.nan
FLOWERS = {"a": [1, 2.5, 3], "b": ["x", "y", "x"]}
NAMELESS = {"1": [1, 2.5, 3], "2": ["x", "y", "x"]}
FILES = {
    "commas": (b"a,b\n1,x\n2.5,y\n3,x\n", FLOWERS),
    "semicolons": (b"a;b\n1;x\n2,5;y\n3;x\n", FLOWERS),
    "tabs": (b"a\tb\n1\tx\n2.5\ty\n3\tx\n", FLOWERS),
    "bars": (b"a|b\n1|x\n2.5|y\n3|x\n", FLOWERS),
    "spaces": (b"1 2  0.5\n4 5 0.25\n", {"1": [1, 4], "2": [2, 5], "3": [0.5, 0.25]}),
    "commas in names": (b"width, cm;b\n1;x\n2;y\n", {"width, cm": [1, 2], "b": ["x", "y"]}),
    "decimal commas without header": (b"0,5;0,3;yes\n1,5;2;no\n", {"1": [0.5, 1.5], "2": [0.3, 2], "3": ["yes", "no"]}),
    "one row": (b"x, cm;y, cm\n1,5;2,5\n", {"x, cm": [1.5], "y, cm": [2.5]}),
    "sep=": (b"sep=;\r\na;b\r\n1;x\r\n2.5;y\r\n3;x\r\n", FLOWERS),
    "sep=, saved again": (b"sep=;;\r\na;b\r\n1;x\r\n2.5;y\r\n3;x\r\n", FLOWERS),
    "comments": (b"# by me, today\n#\na,b\n1,x\n2.5,y\n3,x\n", FLOWERS),
    "header as a comment": (b"#a,b\n1,x\n2.5,y\n3,x\n", {"#a": [1, 2.5, 3], "b": ["x", "y", "x"]}),
    "comment between rows": (b"a,b\n1,x\n# half\n2.5,y\n3,x\n", FLOWERS),
    "byte order mark, CRLF": (b"\xef\xbb\xbfa,b\r\n1,x\r\n2.5,y\r\n3,x\r\n", FLOWERS),
    "CR": (b"a,b\r1,x\r2.5,y\r3,x\r", FLOWERS),
    "blank lines": (b"\n\na,b\n1,x\n\n  \n2.5,y\n3,x\n\n\n", FLOWERS),
    "empty rows at both ends": (b",\n\n,\na,b\n1,x\n2.5,y\n3,x\n,\n\n , \n", FLOWERS),
    "empty rows": (b"a,b\n,\n1,x\n\n , \n2.5,\n", {"a": [N, 1, N, 2.5], "b": [None, "x", None, None]}),
    "no line end": (b"a,b\n1,x\n2.5,y\n3,x", FLOWERS),
    "quotes": (b'"a","b"\n"1","x"\n2.5,"y"\n"3",x\n', FLOWERS),
    "quotes within": (b'a,b\n1,"x ""1"", y"\n2,z\n', {"a": [1, 2], "b": ['x "1", y', "z"]}),
    "line break within quotes": (b'a,b\n1,"x\ny"\n2,z\n', {"a": [1, 2], "b": ["x\ny", "z"]}),
    "a quote in a cell": (b'a,b\n1,x"y"\n2,z\n', {"a": [1, 2], "b": ['x"y"', "z"]}),
    "a long cell": (b"a,b\n1," + b"x" * 140_000 + b"\n2,y\n", {"a": [1, 2], "b": ["x" * 140_000, "y"]}),
    "inch": (b'a,b\n1,5" pipe\n2,z\n', {"a": [1, 2], "b": ['5" pipe', "z"]}),
    "hexadecimal": (b"a,b\n1048575,x\n0xFFFFF,y\n", {"a": ["1048575", "0xFFFFF"], "b": ["x", "y"]}),
    "signs": (b"a,b\n-0,x\n+5,y\n-70,x\n", {"a": [0, 5, -70], "b": ["x", "y", "x"]}),
    "odd blanks": ("a,b\n1,\x1cx\n2,\u3000y\xa0\n".encode(), {"a": [1, 2], "b": ["x", "y"]}),
    "blanks around": (b"a , b\n 1, x\n2.5 ,y \n3,x\n", FLOWERS),
    "UTF-16": ("\ufeffa,b\n1,x\n2.5,y\n3,x\n".encode("utf-16-le"), FLOWERS),
    "UTF-16-BE": ("\ufeffa,b\n1,x\n2.5,y\n3,x\n".encode("utf-16-be"), FLOWERS),
    "UTF-16 without a mark": ("a,b\n1,x\n2.5,y\n3,x\n".encode("utf-16-le"), FLOWERS),
    "UTF-32-BE without a mark": ("a,b\n1,x\n2.5,y\n3,x\n".encode("utf-32-be"), FLOWERS),
    "cp1252": ("größe,b\n1,ä€\n2,ß\n".encode("cp1252"), {"größe": [1, 2], "b": ["ä€", "ß"]}),
    "UTF-8": ("größe,b\n1,ä\n2,日本\n".encode(), {"größe": [1, 2], "b": ["ä", "日本"]}),
    "gzip": (gzip.compress(b"a,b\n1,x\n2.5,y\n3,x\n", mtime=0), FLOWERS),
    "missing": (b"a,b,c\n1,,NA\nNaN,x,?\n3,null,N/A\n", {"a": [1, N, 3], "b": [None, "x", None], "c": [N, N, N]}),
    "missing in quotes": (b'a,b\n"1",""\n"",x\n', {"a": [1, N], "b": [None, "x"]}),
    "numbers": (b"a,b\n+5,1e3\n-.5,1.\n7.,1E-2\n", {"a": [5, -0.5, 7], "b": [1000, 1, 0.01]}),
    "no numbers": (
        b"a,b,c,d,e\n1,inf,1_0,0x1,1e999\n2,1,2,3,4\n",
        {"a": [1, 2], "b": ["inf", "1"], "c": ["1_0", "2"], "d": ["0x1", "3"], "e": ["1e999", "4"]},
    ),
    "codes": (
        b"a,b,c\n007,12345678901234567,0.5\n7,1,00\n",
        {"a": ["007", "7"], "b": ["12345678901234567", "1"], "c": [0.5, 0]},
    ),
    "a text at the end": (b"a\n" + b"1\n" * 5000 + b"x\n", {"a": ["1"] * 5000 + ["x"]}),
    "odd digits late": (
        b"a,b\n" + b"1,1\n" * 9 + "1_0,٣\n".encode(),
        {"a": ["1"] * 9 + ["1_0"], "b": ["1"] * 9 + ["٣"]},
    ),
    "commas and lists": (b"x,a;b,1\ny,c;d,2\n", {"1": ["x", "y"], "2": ["a;b", "c;d"], "3": [1, 2]}),
    "a thousand": (b'a,b\n"1,000",1\n"2,500",2\n', {"a": ["1,000", "2,500"], "b": [1, 2]}),
    "unknown": (b"a,b\n1,x\nunknown,y\n", {"a": ["1", "unknown"], "b": ["x", "y"]}),
    "missing, with blanks": (b"a,b,c\n1 , x, NA \n NA ,na , 2\n", {"a": [1, N], "b": ["x", None], "c": [N, 2]}),
    "one column": (b"a\n1\n2\n", {"a": [1, 2]}),
    "one column with gaps": (b'a\n\n1\n""\n \n2\n\n\n', {"a": [N, 1, N, N, 2]}),
    "one column with a gap at the end": (b'\na\n1\n2\n""\n\n', {"a": [1, 2, N]}),
    "numbers of pandas": (b"0,1,2,3\n5,6,7,8\n", {"0": [5], "1": [6], "2": [7], "3": [8]}),
    "pandas with its index": (b",a\n0,5\n1,6\n", {"": [0, 1], "a": [5, 6]}),
    "two numbers of pandas": (b"0,1\n0.5,6.0\n1.5,2.5\n", {"0": [0.5, 1.5], "1": [6, 2.5]}),
    "pandas and a word": (b"0,1,y\n5,6,p\n7,8,p\n", {"0": [5, 7], "1": [6, 8], "y": ["p", "p"]}),
    "a word that is data": (b"0,1,p\n5,6,p\n7,8,q\n", {"1": [0, 5, 7], "2": [1, 6, 8], "3": ["p", "p", "q"]}),
    "a category that is data": (
        b"0,1,p\n5,6,p\n7,8,p\n",
        {"1": [0, 5, 7], "2": [1, 6, 8], "3": ["p", "p", "p"]},
    ),
    "a name that is data": (b"0,1,p\n5,6,q\n7,8,r\n", {"1": [0, 5, 7], "2": [1, 6, 8], "3": ["p", "q", "r"]}),
    "whole above decimals": (b"7,y\n0.5,p\n1.0,q\n", {"7": [0.5, 1], "y": ["p", "q"]}),
    "years": (b"name,2019,2020\nFrance,1,2\n", {"name": ["France"], "2019": [1], "2020": [2]}),
    "years above a number": (b"a,2019,2020,y\n1,2,3,x\n", {"a": [1], "2019": [2], "2020": [3], "y": ["x"]}),
    "numbers alone": (b"3,7,1\n4,5,0\n7,9,1\n", {"1": [3, 4, 7], "2": [7, 5, 9], "3": [1, 0, 1]}),
    "letters alone": (
        b"p,x,s\ne,x,s\np,b,s\n",
        {"1": ["p", "e", "p"], "2": ["x", "x", "b"], "3": ["s", "s", "s"]},
    ),
}


def same(table, expected):
    assert table.names == list(expected)
    for name, cells in expected.items():
        values = table[name].values
        is_text = any(isinstance(cell, str) for cell in cells)
        assert values.dtype == (object if is_text else np.float64)
        np.testing.assert_array_equal(values, np.array(cells, values.dtype))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("engine", ["python", "pyarrow"])
def test_both_engines_read_the_expected_table(tmp_path, name, engine):
    if engine == "pyarrow":
        pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'jitnet[data]'")
    content, expected = FILES[name]
    path = tmp_path / "f"
    path.write_bytes(content)
    tables = [read_csv(content_of(path), engine=one) for one in ("python", engine)]
    for table in tables:
        same(table, expected)
    assert list(tables[0].lines) == list(tables[1].lines)
    assert tables[0].notes == tables[1].notes
    assert field_size_limit() == 1 << 17  # that of the process stays


def test_pyarrow_reads_plain_files_itself(tmp_path):
    """It does not fall back to Python."""
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'jitnet[data]'")
    read = {name for name, (data, _) in FILES.items() if read_by_pyarrow(data, dialect_of(data, name, []))}
    assert read >= {"commas", "semicolons", "tabs", "bars", "quotes", "quotes within", "missing", "codes", "unknown"}
    assert not read & {"comment between rows", "line break within quotes", "a quote in a cell", "inch", "CR"}


CELLS = [
    "1", "2.5", "-3", "007", "12345678901234567", "x", "y y", "ä", "", "NA", "nan", "?", "1e5", "+4", "0x1", "inf",
    "1,5", "1_0", " 7 ", "'q'", "#c", 'a"b',
    "0", "2", "3", "-01", "1e999", "-nan", "TRUE", " NA ", "\t5", "5\u00a0", "٣",
]  # fmt: skip


def random_csv(seed):
    """A random table of unusual cells; some are quoted, and some lines are blank, comments or too short."""
    r = random.Random(seed)
    separator, width = r.choice(",,,;\t|"), r.randint(1, 5)
    pools = [r.choices(CELLS, k=r.randint(1, 4)) for _ in range(width)]

    def written(cell):
        quoted = r.random() < 0.1 or separator in cell or ('"' in cell and r.random() < 0.8)
        return '"' + cell.replace('"', '""') + '"' if quoted else cell

    lines = [separator.join(written(r.choice(["a", "0", "x y", ""]) + str(j)) for j in range(width))]
    for _ in range(r.choice([1, 3, 10, 40])):
        cells = width if r.random() < 0.99 else r.randint(1, 6)
        lines.append(separator.join(written(r.choice(pools[j % width])) for j in range(cells)))
        if r.random() < 0.02:
            lines.append(r.choice(["", "  ", "# note", separator * (width - 1)]))
    if r.random() < 0.1:
        lines.insert(0, r.choice([f"sep={separator}", "# c", "", "#a,b"]))
    return (r.choice(["\n", "\n", "\r\n", "\r"]).join(lines) + r.choice(["", "\n"])).encode()


def test_late_text_makes_columns_text_with_pyarrow(monkeypatch):
    """The row comes after the rows that decide the types: pyarrow reads its block, and then the columns, as text."""
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'jitnet[data]'")
    monkeypatch.setattr(jitnet.data.files.csv_fast, "PORTION", 1 << 17)
    data = b"a,b,c,d\n" + b"1,2.5,x,.5\n" * 60_000 + b"y,w,z,NA\n" + b"1,2.5,x,.5\n" * 60_000
    cells, lines = read_by_pyarrow(data, dialect_of(data, "f", []))
    assert (lines[0], lines[-1], len(lines)) == (2, 120_002, 120_001)
    assert np.asarray(cells[0]).tolist() == ["1"] * 60_000 + ["y"] + ["1"] * 60_000
    assert np.asarray(cells[1]).tolist() == ["2.5"] * 60_000 + ["w"] + ["2.5"] * 60_000
    assert np.asarray(cells[2]).tolist() == ["x"] * 60_000 + ["z"] + ["x"] * 60_000
    np.testing.assert_array_equal(cells[3], [0.5] * 60_000 + [N] + [0.5] * 60_000)


def test_whole_numbers_in_other_spellings(monkeypatch):
    """Between the samples that tell what the column holds; 0xFFFFF has as many characters as 1048575."""
    pytest.importorskip("pyarrow", reason="the extra data")
    monkeypatch.setattr(jitnet.data.files.csv_fast, "SAMPLE", 1 << 8)
    for cell, other, value in (
        ("1048575", "0xFFFFF", "0xFFFFF"),
        ("15", "0xF", "0xF"),
        ("5", "007", "007"),
        ("10", "07", "07"),
        ("5", "+5", 5),
    ):
        rows = [cell] * 2000
        rows[500] = other
        table = read_csv(Content("text", "f", ("a\n" + "\n".join(rows) + "\n").encode(), []), engine="pyarrow")
        assert isinstance(table.lines, range)  # by pyarrow
        assert table["a"].values[500] == value


def test_both_readers_give_the_same_table(monkeypatch):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'jitnet[data]'")
    monkeypatch.setattr(jitnet.data.files.csv_builder, "MOST", 3)
    fast = 0
    for seed in range(400):
        data, found = random_csv(seed), []
        for engine in ("python", "pyarrow"):
            try:
                table = read_csv(Content("text", "f", data, []), engine=engine)
                cells = [[cell if cell == cell else "NaN" for cell in column.values] for column in table.columns]
                found.append((table.names, cells, list(table.lines), table.notes))
            except jitnet.Error as error:
                found.append(str(error))
        fast += isinstance(table.lines, range)
        assert found[0] == found[1], data
    assert fast > 100


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'a,b\n1,x\n2,"y\n3,z\n4,z\n', r"f, line 3: a quote is never closed"),
        (b'a,b\n1,x\n2,"y\n3,z\n4,"z"\n', r"f, line 3: a quote is not closed in this line \(line 5: "),
        (b'a,b\n1,"x"y\n', r"f, line 2: ',' expected after '\"'; a quote within a cell is written twice"),
        (b'a,b\n1,"x\ny","z\n2,z\n', r"f, line 3: a quote is never closed"),
        (b"a,b\n1,x\n2\n3,y\n", r"f, line 3 has 1 cell, but the table has 2 columns .*it begins with '2'"),
        (b"a,b\n1,x\n# half\n2\n3,y\n", r"f, line 4 has 1 cell, but the table has 2 columns"),
        (b"a,b\n1,x\n2,y,y\n3,y\n", r"f, line 3 has 3 cells, but the table has 2 columns"),
        (b"a;b\n1;x\n\n2;y;y\n3;y\n", r"f, line 4 has 3 cells, .*separator ';'; --separator"),
        (b"", "f is empty"),
        (b" \n\n", "f is empty"),
        (b"#id,b\n#0,x\n", "f is empty: it has only comments, which begin with #; if they are rows, remove each #"),
        (b'"a,b"\n"1,x"\n\n"2,y"\n', "f: each line is one quoted cell, 'a,b'; remove the outer quotes"),
        (b'"a;""b"""\n"1;""x"""\n', "f: each line is one quoted cell, 'a;\"b\"'; remove the outer quotes"),
        (b'"n, m"\n3\n4\n', "f has no column 'b'; its columns: n, m;"),
        (b"sep=,\n", "f is empty"),
        (b"a,b\n", "a header but no rows"),
        (b"a,b\n1,x\n2,\0y\n", r"f, line 3 holds a NUL byte"),
        ("a,b\n1,ä\n2,ö\n".encode() + b"3,\xe4\n", r"line 4: byte e4 is not UTF-8, which the rest is"),
        (b"\xff\xfea\0,\0b\0\n", "not utf-16-le text"),
        (b"\x89PNG\r\n\x1a\n", "f is one image; give the folder"),
        (b"\x93NUMPY\1\0", r"f is one NumPy array \(.npy\), not a table; save X and y together: numpy.savez"),
        (
            b"Report of May\n\na,b\n1,x\n2,y\n",
            r"f, line 1 has 1 cell, 'Report of May', but most rows have 2 \(separator ','; --separator\); if it is",
        ),
        (
            b"My data, 2024\na,b,c\n1,x,2\n",
            r"f, line 1 has 2 cells, 'My data', '2024', but most rows have 3 \(separator",
        ),
        (b"a,b\n1,2,x\n1,3,y\n", r"f, line 1 has 2 cells, 'a', 'b', but most rows have 3"),
        (b"\x80\x02}", "a Python pickle"),
        (b"@relation x", "an ARFF file"),
        (b"a,b\n1,\xe4\n2,\0\n", r"f, line 3 holds a NUL byte"),
        (b"%PDF-1.4", "a PDF"),
        (b"\xd0\xcf\x11\xe0", "an Office document of an old kind"),
        (bz2.compress(b"a,b\n1,x\n"), "bunzip2"),
        (b'{"a": 1}', "JSON"),
        (b'\xef\xbb\xbf[{"a": 1}]', "JSON"),
        (b"<table><tr>", "an HTML or XML page"),
        (b"\xef\xbb\xbf<html>", "an HTML or XML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "fetch the file: git lfs pull"),
        (b" <!doctype html>", "an HTML or XML page, not a table; download the file itself"),
        (gzip.compress(gzip.compress(b"a,b\n1,x\n", mtime=0), mtime=0), "compressed twice; decompress it once"),
        (b"PK\5\6" + bytes(18), "an empty zip archive"),
        (gzip.compress(b"a,b\n1,x\n" * 100, mtime=0)[:-30], "damaged gzip file"),
        (gzip.compress(bytes(10_000), mtime=0), "NUL bytes, compressed"),
        (b"PK\3\4 and so on", "damaged zip file"),
    ],
)
def test_unreadable_files_are_a_clear_error(tmp_path, content, message):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(jitnet.Error, match=message):
        read_table(tmp_path / "f", "b")


def zipped(*names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, "a,b\n1,x\n2.5,y\n3,x\n")
    return stream.getvalue()


def test_zip_archive_of_one_file_is_read(tmp_path):
    path = tmp_path / "f.csv"
    path.write_bytes(zipped("t.csv"))
    same(read_table(path, "b"), FLOWERS)
    for names, message in (
        (("a.csv", "b.csv"), "zip archive of 2 files, a.csv, b.csv; unpack"),
        (("[Content_Types].xml", "xl/a"), "an Excel workbook(, which needs| that cannot be read)"),
        (("about.json",), "a model of jitnet"),
    ):  # fmt: skip
        path.write_bytes(zipped(*names))
        with pytest.raises(jitnet.Error, match=message):
            read_table(path, "b")


def test_decompression_bombs_are_rejected(tmp_path, monkeypatch):
    """A few bytes that decompress to more than the free memory."""
    monkeypatch.setattr(jitnet.checks, "free_memory", lambda: 2 << 20)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", " " * (4 << 20))
    for content in (gzip.compress(b" " * (4 << 20), mtime=0), stream.getvalue()):
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(jitnet.Error, match="which the free memory cannot take"):
            read_table(tmp_path / "f", "y")


def test_options_override_the_guessed_dialect(tmp_path):
    path = csv(tmp_path, "a;b\n1,5;2\n")
    assert read_table(path, "b", decimal=".")["a"].values.tolist() == ["1,5"]
    assert read_table(path, "1", header=False)["2"].values.tolist() == ["b", "2"]
    path = csv(tmp_path, "1,2\n3,4\n")
    assert read_table(path, "2", header=True).names == ["1", "2"]
    path = csv(tmp_path, "a,b\nä,2\n", encoding="latin-1")
    assert read_table(path, "b", encoding="cp437")["a"].values.tolist() == ["Σ"]
    path = csv(tmp_path, 'a,b\n"1,137",2\n')
    for engine in ("python", "pyarrow"):
        assert read_csv(content_of(path), decimal=",", engine=engine)["a"].values.tolist() == [1.137]
    path = csv(tmp_path, "a b\n1 2\n")
    assert read_table(path, "b", separator="space").names == ["a", "b"]
    for options, message in (
        ({"separator": ";;"}, "the separator is ';;'"), ({"decimal": "x"}, "the decimal sign is 'x'"),
        ({"encoding": "utf-9"}, "unknown encoding 'utf-9'"),
    ):  # fmt: skip
        with pytest.raises(jitnet.Error, match=message):
            read_table(path, "b", **options)
    np.savez(tmp_path / "d.npz", X=np.eye(2), y=[0, 1])
    with pytest.raises(jitnet.Error, match=r"--separator \(in Python separator=\) is for CSV files; .* is an NPZ file"):
        read_table(tmp_path / "d.npz", separator=";")


def test_each_guess_is_reported(tmp_path):
    for content, notes in (
        ("a,b\n1,x\n", []),
        ("a;b\n1,5;x\n", ["separated by ';' (--separator)", "'1,5' .* decimal comma"]),
        ("a;b\n1,500;2,5\n", ["separated by ';' (--separator)", "'1,500' .* decimal comma (--decimal .)"]),
        ("a;b\n1.500;x\n2.014;1,5\n", ["separated by ';'", "'1.500' .* 1500, because '1,5' .* add --decimal ."]),
        ("a;b\n1.500;x\n2.01;1,5\n", ["separated by ';'"]),
        ("a;b\n1.500;x\n2,01;1,5\n", ["separated by ';'", "'1.500' .* 1500, because '2,01' .* add --decimal ."]),
        ("1,x\n2,y\n", ["first row, 1, x, is taken for data, .* (--header)"]),
        ("0,1,2\n3,4,5\n", ["first row, 0, 1, 2, is taken for the header (--no-header)"]),
        ("a,b\nx,y\n", ["first row, a, b, is taken for the header (--no-header)"]),
        ("# x\na,b\n1,x\n", ["begin with # and are skipped"]),
    ):
        found = read_csv(content_of(csv(tmp_path, content))).notes
        assert len(found) == len(notes)
        for one, pattern in zip(found, notes, strict=True):
            for part in pattern.split(" .* "):
                assert part in one


def test_a_header_with_the_target_as_a_number_may_be_data(tmp_path):
    """3 is the name above the second column, and the position of the third."""
    path = csv(tmp_path, "n.k.,3,no\n" + "0,0,yes\n1,2,no\n" * 20)
    said = "the first row, n.k., 3, no, is taken for the header (--no-header)"
    assert read_table(path, "3").guesses == [said]
    assert read_table(path, "no").guesses == []
    assert read_table(path, "3", header=False).guesses == read_table(path, "3", header=True).guesses == []


def test_standard_input_is_read(monkeypatch):
    for content in (b"a,b\n1,x\n2.5,y\n3,x\n", gzip.compress(b"a,b\n1,x\n2.5,y\n3,x\n", mtime=0)):
        stream = SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: False)
        monkeypatch.setattr(sys, "stdin", stream)
        table = read_table("-", "b")
        same(table, FLOWERS)
        assert table.where(1, "a") == "standard input, line 3, column 'a'"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(jitnet.Error, match="a terminal"):
        read_table("-", "b")


def test_content_decides_the_kind_of_a_file(tmp_path):
    """The file names are wrong."""
    (tmp_path / "stock-idx.csv").write_bytes(b"a,b\n1,x\n2.5,y\n3,x\n")
    same(read_table(tmp_path / "stock-idx.csv", "b"), FLOWERS)
    np.savez(tmp_path / "D.npz", X=np.eye(2), y=[0, 1])
    (tmp_path / "table.npz").write_bytes(b"a,b\n1,x\n2.5,y\n3,x\n")
    same(read_table(tmp_path / "table.npz", "b"), FLOWERS)
    for name in ("D.NPZ", "D.csv", "D"):
        (tmp_path / "D.npz").rename(tmp_path / name)
        assert read_table(tmp_path / name).kind == "npz"
        (tmp_path / name).rename(tmp_path / "D.npz")


def test_incomplete_last_line_of_a_growing_file_is_left_out(tmp_path, monkeypatch):
    """Another process writes to the file while it is read."""
    path = csv(tmp_path, "a,b\n1,x\n2,y\n")
    real = jitnet.data.files.content._inside

    def slowly(data, *arguments):
        with path.open("ab") as file:
            file.write(b"3,z\n4")
        return real(data + b"3,z\n4", *arguments)

    monkeypatch.setattr(jitnet.data.files.content, "_inside", slowly)
    table = read_table(path, "b")
    assert table["a"].values.tolist() == [1, 2, 3]
    assert "grew while it was read" in table.notes[0]
