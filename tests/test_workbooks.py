"""Workbooks, written by openpyxl or by hand: a sheet gives the columns, recipe and predictions of the same CSV."""

import datetime as dt
import io
import math
import random
import sys
import zipfile

import numpy as np
import pytest
from workbook_files import ods, ole, text, xls, xlsb, xlsx

import jitnet
from jitnet.data import Recipe, read_table
from jitnet.data.files import sheet, workbook

openpyxl = pytest.importorskip("openpyxl")
pytest.importorskip("python_calamine")

HEADER = ["zip", "area", "built", "seen", "at", "city", "garden", "price"]
QUICK = ("--backend", "numpy", "--hidden", "8", "--epochs", "3")


def houses(n=60):
    """Codes that are text, decimals, dates, times, words with a comma, yes and no, whole numbers; some are missing."""
    draw = random.Random(0)
    rows = [
        [
            f"0{draw.randint(100, 140)}", draw.randint(3000, 25000) / 100, dt.date(1990, 1, 1) + dt.timedelta(97 * i),
            dt.datetime(2024, 2, 1, i % 24, 30), dt.time(i % 24, 15), draw.choice(["Bonn", "Köln", 'Au, "Ost"']),
            bool(draw.randint(0, 1)), draw.randint(100, 900) * 1000,
        ]
        for i in range(n)
    ]  # fmt: skip
    rows[3][1] = rows[5][5] = rows[6][6] = None
    return rows


def same(found, expected):
    assert found.names == expected.names
    for name in found.names:
        one, other = found[name].values, expected[name].values
        assert one.dtype == other.dtype, name
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("write", [lambda path, rows: xlsx(path, Data=rows), ods, xlsb])
def test_a_sheet_is_the_same_table_as_a_csv(tmp_path, write):
    rows = [HEADER, *houses()]
    found, expected = read_table(write(tmp_path / "a", rows), "price"), read_table(text(tmp_path / "b", rows), "price")
    same(found, expected)
    assert (found.notes, found.guesses, found.kind, found.reading) == ([], [], "csv", expected.reading)
    learned, other = Recipe.learn(found, range(50)).plain(), Recipe.learn(expected, range(50)).plain()
    assert learned == other
    assert learned["columns"]  # not only plain numbers


def test_an_old_workbook_is_the_same_table(tmp_path):
    rows = [["size", "city", "code", "price"], *([i / 8, "KB"[i % 2] + "öln", f"00{i}", i] for i in range(30))]
    same(read_table(xls(tmp_path / "a.doc", rows), "price"), read_table(text(tmp_path / "b", rows), "price"))


def test_models_predict_from_workbooks_and_csv_files_alike(run, tmp_path):
    rows = [HEADER, *houses()]
    book, table = xlsx(tmp_path / "a.xlsx", Data=rows), text(tmp_path / "b.csv", rows)
    said = run("train", book, "--target", "price", "--task", "regression", "--save", "book.npz", *QUICK).err
    assert "a.xlsx: 48 training samples" in said
    assert not any(option in said for option in ("--separator", "--decimal", "--encoding", "--sheet"))
    run("train", table, "--target", "price", "--task", "regression", "--save", "table.npz", *QUICK)
    new = [HEADER[:-1], *(row[:-1] for row in houses(7))]
    new_book, new_table = xlsx(tmp_path / "new.xlsx", Data=new), text(tmp_path / "new.csv", new)
    answers = {
        run("predict", model, file, "--backend", "numpy").out
        for model in ("book.npz", "table.npz") for file in (new_book, new_table, ods(tmp_path / "new.ods", new))
    }  # fmt: skip
    assert len(answers) == 1
    assert len(answers.pop().split()) == 7


def test_standard_input_can_be_a_workbook(tmp_path, monkeypatch):
    content = xlsx(tmp_path / "a.xlsx", Data=[["a", "b"], [1, "x"], [2, "y"]]).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    table = read_table("-", "b")
    assert (table.names, table.where(1)) == (["a", "b"], "standard input, sheet 'Data', row 3")


@pytest.mark.parametrize("write", [lambda path, rows: xlsx(path, Data=rows), ods, xls, xlsb])
def test_places_are_those_of_the_sheet(tmp_path, write):
    """The table begins in C4, and one of its rows is empty."""
    rows = [[None, None, *row] for row in (["x", "y"], [1, "u"], [None, None], [3, "v"], [4, None])]
    table = read_table(write(tmp_path / "a", [[], [], [], *rows]), "y")
    assert (table.names, len(table)) == (["x", "y"], 4)
    assert [table.place(i) for i in range(4)] == ["row 5", "row 6", "row 7", "row 8"]
    assert table.where(2, "x") == f"{tmp_path / 'a'}, sheet 'Data', row 7, column 'x'"
    assert (table["x"].missing.tolist(), table["y"].missing.tolist()) == ([0, 1, 0, 0], [0, 1, 0, 1])


def test_columns_without_names_keep_their_places(tmp_path):
    """The first column of the second sheet is empty: the others do not move."""
    rows = [[i, i / 2, "uv"[i % 2]] for i in range(1, 9)]
    one, other = ([[None, *row[j:]] for row in rows] for j in (0, 1))
    book = xlsx(tmp_path / "a.xlsx", One=one, Other=[[None, *row] for row in other])
    assert read_table(book, "4", header=False)["2"].values.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    table = read_table(book, "4", header=False, sheet="Other")
    assert table["3"].values.tolist() == [0.5 * i for i in range(1, 9)]
    assert table["2"].missing.all()
    table = read_table(xlsx(tmp_path / "a.xlsx", One=[[], [], *rows]), "3", header=False)
    assert (len(table), table.place(0)) == (8, "row 3")


def test_one_column_keeps_its_empty_rows(tmp_path):
    table = read_table(xlsx(tmp_path / "a.xlsx", Data=[["x"], [1], [None], [3]]), features=["x"])
    np.testing.assert_array_equal(table["x"].values, [1, math.nan, 3])


def test_text_stays_text_in_one_line(tmp_path):
    words = [
        "two\nlines",
        "a\r\nb",
        "tab\there",
        "a\u2028b",
        ' "quoted" ',
        "#hash",
        "0012",
        "NA",
        "sep=;",
        "'",
        "x\x0by",
    ]
    rows = [["id", "word", "y"], *([f"#{i}", word, i % 2] for i, word in enumerate(words[:-1] * 2))]
    table = read_table(xlsx(tmp_path / "a.xlsx", Data=rows), "y")
    expected = ["two lines", "a b", "tab\there", "a b", '"quoted"', "#hash", "0012", None, "sep=;", "'"]
    assert table["word"].values.tolist() == expected * 2
    assert table.lines.tolist() == list(range(2, 22))
    assert sheet.BREAKS.sub(" ", "a\0\v\fb") == "a b"


def test_options_that_do_not_fit_the_file(run, tmp_path):
    book, table = (
        xlsx(tmp_path / "f.xlsx", Data=[["a", "b"], [1, "x"], [2, "y"]]),
        text(tmp_path / "f.csv", ["ab", "1x"]),
    )
    for options, message in (
        ((table, "--sheet", "Data"), f"--sheet (in Python sheet=) is for workbooks; {table} is a CSV"),
        ((book, "--separator", ";"), f"--separator (in Python separator=) is for CSV files; {book} is a workbook"),
        ((book, "--encoding", "cp1252"), "--encoding (in Python encoding=) is for CSV files"),
        ((book, "--decimal", "x"), "the decimal sign is 'x', but must be . or ,"),
    ):
        assert message in run("train", *options, "--target", "b", status=2).err
    assert "--sheet works with a workbook, not with digits" in run("train", "digits", "--sheet", "A", status=2).err
    assert read_table(book, "2", header=False).names == ["1", "2"]
    with pytest.raises(jitnet.Error, match=r"sheet is 3.5, but must be a string"):
        read_table(book, "b", sheet=3.5)


def test_one_column_has_no_separator(tmp_path):
    with pytest.raises(jitnet.Error, match=r"has no column 'b'; its columns: a$"):
        read_table(xlsx(tmp_path / "f.xlsx", Data=[["a"], [1], [2]]), "b")


def without_end(content, name):
    """A workbook in which a member ends in its middle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for member in old.namelist():
            new.writestr(member, old.read(member)[: old.getinfo(member).file_size // (2 if member == name else 1)])
    return stream.getvalue()


def test_unreadable_workbooks_are_a_clear_error(tmp_path):
    rows = [["a", "b"], *([i, f"word {i}"] for i in range(50))]
    good, document = xlsx(tmp_path / "f", Data=rows).read_bytes(), ods(tmp_path / "f", rows).read_bytes()
    old, empty = xls(tmp_path / "f", rows).read_bytes(), xlsx(tmp_path / "f", One=[], Two=[]).read_bytes()
    again = r"; open it and save it again, or save the sheet as CSV"
    manifest = "<manifest><file-entry full-path='content.xml'><encryption-data/></file-entry></manifest>"
    hidden = ods(tmp_path / "f", rows, **{"META-INF/manifest.xml": manifest}).read_bytes()
    for content, message in (
        (empty, r"f is empty: no cell of its sheets \(One, Two\) has a value"),
        (good[:3000], "f is a damaged zip file: File is not a zip file; download it again"),
        (without_end(good, "xl/worksheets/sheet1.xml"), f"f is an Excel workbook that cannot be read: .*{again}"),
        (without_end(document, "content.xml"), f"f is an OpenDocument spreadsheet that cannot be read: .*{again}"),
        (old[:2000], f"f is an old Excel workbook that cannot be read: .*{again}"),
        (old[:530] + bytes(40) + old[570:], f"f is an old Excel workbook that cannot be read: .*{again}"),
        (ole(b"", "EncryptedPackage"), "f is protected by a password; save it without one, or save the sheet as CSV"),
        (hidden, "f is protected by a password"),
        (ole(b"", "WordDocument"), "f is an Office document of an old kind, not a table; save it as CSV"),
    ):
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(jitnet.Error, match=message):
            read_table(tmp_path / "f", "b")


def test_a_panic_of_the_reader_is_an_error_and_an_interruption_is_none(tmp_path, monkeypatch):
    class PanicException(BaseException):  # the name in pyo3
        pass

    path = xlsx(tmp_path / "f.xlsx", Data=[["a", "b"], [1, 2]])
    for error, raised in ((PanicException("index"), jitnet.Error), (KeyboardInterrupt(), KeyboardInterrupt)):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr(workbook, "_chosen", fail)
        with pytest.raises(raised, match="PanicException: index" if raised is jitnet.Error else None):
            read_table(path, "b")


def test_a_workbook_that_needs_too_much_memory_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(jitnet.checks, "free_memory", lambda: 16 << 20)
    for name, column in (("far", 16384), ("wide", 100), ("near", 1)):
        book = openpyxl.Workbook()
        book.active["A1"] = "x"
        book.active.cell(5000, column, 3)
        book.save(tmp_path / f"{name}.xlsx")
        xlsb(tmp_path / f"{name}.xlsb", [["x"], *[[]] * 4998, [None] * (column - 1) + [3]])
    for name, columns in (("far", 16384), ("wide", 100)):
        for kind in ("xlsx", "xlsb"):
            with pytest.raises(
                jitnet.Error, match=rf"has a sheet with 5000 rows and {columns} columns, which needs \S+ [GM]iB; delete"
            ):
                read_table(tmp_path / f"{name}.{kind}", "x")
    for kind in ("xlsx", "xlsb"):
        assert len(read_table(tmp_path / f"near.{kind}", features=["x"])) == 4999
    large = {"[Content_Types].xml": "", "xl/workbook.xml": " " * (9 << 20)}
    with zipfile.ZipFile(tmp_path / "f", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in large.items():
            archive.writestr(name, content)
    with pytest.raises(jitnet.Error, match=r"f holds 9\.0 MiB, which the free memory cannot take"):
        read_table(tmp_path / "f", "b")


@pytest.mark.parametrize("declared", [(1048576, 16384), (1, 1)])
def test_the_dimensions_that_an_xlsb_declares_do_not_matter(tmp_path, monkeypatch, declared):
    """Those of Excel include empty cells with a format, and those of other programs can be wrong."""
    monkeypatch.setattr(jitnet.checks, "free_memory", lambda: 16 << 20)
    rows = [["a" * 70, "b"], *([i / 8, i] for i in range(40))]  # the record of a long text has a size of two bytes
    found = read_table(xlsb(tmp_path / "f.xlsb", rows, declared), "b")
    np.testing.assert_array_equal(found["a" * 70].values, np.arange(40) / 8)
    xlsb(tmp_path / "far.xlsb", [*rows, *[[]] * 4958, [None] * 16383 + ["z" * 70]], declared)
    with pytest.raises(jitnet.Error, match="has a sheet with 5000 rows and 16384 columns"):
        read_table(tmp_path / "far.xlsb", "b")


def test_without_calamine_the_error_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook.importlib.util, "find_spec", lambda name: None)
    rows = [["a", "b"], [1, "x"], [2, "y"]]
    for path, what in (
        (xlsx(tmp_path / "f", Data=rows), "an Excel workbook"),
        (ods(tmp_path / "g", rows), "an OpenDocument spreadsheet"),
        (xls(tmp_path / "h", rows), "an old Excel workbook"),
    ):  # fmt: skip
        with pytest.raises(jitnet.Error) as error:
            read_table(path, "b")
        said = f"{path} is {what}, which needs python-calamine: pip install 'jitnet[data]'; or save the sheet as CSV"
        assert str(error.value) == said
