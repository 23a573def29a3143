"""Files of other programs: the error names the kind of file and what to do; encodings that do not fit; headers."""

import gzip
import io
import tarfile
import zipfile
from typing import get_args

import pytest
from files import csv

import jitnet
from jitnet.data import read_table
from jitnet.data.files.content import WORDS, Form, content_of
from jitnet.data.files.csv_file import read_csv


def packed(**files):
    """A zip archive; the names of its files have _ in place of their last point."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            # its time is constant: xdist compares the names of tests, which have the bytes of some archives
            archive.writestr(zipfile.ZipInfo(".".join(name.rsplit("_", 1))), content)
    return stream.getvalue()


def tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MATLAB 5.0 MAT-file, Platform: PCWIN64\0\1IM", "is a MATLAB file, not a table; save it as CSV"),
        (b"$FL2@(#) SPSS DATA FILE\0\0", "is an SPSS file"), (b"<stata_dta><header>\0", "is a Stata file"),
        (b"ORC\n\3\0", "is an ORC file"), (b"Obj\1\4\0", "is an Avro file"), (b"FEA1\0\0", "is a Feather file"),
        (rb"{\rtf1\ansi}", "f is an RTF document, not a table; save it as CSV"),
        (b"RIFF\x24\0\0\0WEBP", "is a WebP image, a sound or a video, not a table; save images as PNG"),
        (gzip.compress(b"RDX3\nX\n\0\0\0\3" + bytes(9), mtime=0), "is an R workspace"),
        (gzip.compress(b"X\n\0\0\0\3" + bytes(9), mtime=0), "is an R object"),
        (tar(), "is a tar archive, not a table; unpack it"), (gzip.compress(tar(), mtime=0), "is a tar archive"),
        (packed(mimetype="application/vnd.oasis.opendocument.spreadsheet", content_xml="<a/>"),
            "an OpenDocument spreadsheet(, which needs| that cannot be read)"),
        (packed(mimetype="application/vnd.oasis.opendocument.text", content_xml="<a/>"), "an OpenDocument file, not"),
        (packed(**{"word/document_xml": "", "[Content_Types]_xml": ""}), "is an Office document"),
        (packed(a_csv_gz=gzip.compress(b"a,b\n1,x\n", mtime=0)), "is compressed twice; decompress it once"),
        (packed(a_xlsx=b"PK\3\4"), "a file of another kind than text or Parquet; unpack it, and name that file"),
        (gzip.compress(packed(X_npy="\0" * 9), mtime=0), "a file of another kind than text or Parquet; unpack it"),
        (b"+1 1:0.5 3:-2 7:1e3\n-1 2:1\n", "is in the format of LIBSVM, label index:value; save it as CSV"),
        (b"sep=,\na;b\n1;x\n2;y\n", "f has no column 'b'; its columns: a;b.*name what separates them"),
        (b"\3\x5f\7\x1a\0\0", "line 1 holds a NUL byte .*: it is damaged, or not text; save it as CSV"),
    ],
)  # fmt: skip
def test_files_of_other_programs_are_named(tmp_path, content, message):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(jitnet.Error, match=message):
        read_table(tmp_path / "f", "b")


def test_times_are_not_taken_for_pairs_of_libsvm(tmp_path):
    with pytest.raises(jitnet.Error, match="has no column besides the target"):
        read_table(csv(tmp_path, "5 12:30 13:45\n6 12:35 14:00\n"), "1")


def test_every_form_of_a_file_has_words_for_messages():
    assert {*WORDS} == {*get_args(Form)}


@pytest.mark.parametrize("name", ["ORC", "MATLAB score", "RDX", "RIFF", "FEA1", "BZh", "GIF8", "PK", "ARROW1"])
def test_the_name_of_a_column_can_be_the_beginning_of_a_binary_file(tmp_path, name):
    assert read_table(csv(tmp_path, f"{name},b\n1,x\n2,y\n"), "b").names == [name, "b"]


@pytest.mark.parametrize("name", ["hex", "rot13", "zlib", "undefined", "nonsense", ""])
def test_encodings_that_do_not_decode_text_are_unknown(tmp_path, name):
    with pytest.raises(jitnet.Error, match=f"unknown encoding '{name}'; known: utf-8"):
        read_table(csv(tmp_path, "a,b\n1,x\n2,y\n"), "b", encoding=name)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"a,b\n1,x\n2,y\n", "utf-16", "f is not utf-16 text, in which every comma has a zero byte; omit --encoding"),
        (b"a,b\n1,x\n2,y\n", "utf-32", "f is not utf-32 text"),
        (b"a,b\n1,x\n2,y\n", "punycode", "f is not punycode text; name its encoding"),
        ("\ufeffa,b\n1,ä\n".encode(), "cp1252", "f begins with the byte order mark of utf-8, not cp1252; omit"),
        ("a,b\n1,ä\n".encode("utf-16"), "utf-8", "f begins with the byte order mark of utf-16-le, not utf-8; omit"),
    ],
)
def test_encodings_that_do_not_fit_the_text_are_an_error(tmp_path, content, name, message):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(jitnet.Error, match=message):
        read_table(tmp_path / "f", "b", encoding=name)


@pytest.mark.parametrize("name", ["utf-16", "UTF-16BE", "utf_16_be"])
def test_byte_order_mark_decides_on_the_order_of_bytes(tmp_path, name):
    (tmp_path / "f").write_bytes("\ufeffa,b\n1,ä\n2,ö\n".encode("utf-16-be"))
    assert read_table(tmp_path / "f", "b", encoding=name)["b"].values.tolist() == ["ä", "ö"]
    (tmp_path / "f").write_bytes("\ufeffa,b\n1,ä\n2,ö\n".encode())
    assert read_table(tmp_path / "f", "b", encoding="utf-8-sig")["b"].values.tolist() == ["ä", "ö"]


@pytest.mark.parametrize("separator", [",", " ", ";"])
def test_hash_before_the_names_of_numpy_belongs_to_no_name(tmp_path, separator):
    """numpy.savetxt(..., header="x,z,y") writes a header that begins with # and a space."""
    rows = [["x", "z", "y"], *(["1.5", str(i), "01"[i % 2]] for i in range(6))]
    table = read_table(csv(tmp_path, "# " + "".join(separator.join(row) + "\n" for row in rows)), "y")
    assert (table.names, len(table)) == (["x", "z", "y"], 6)
    assert read_table(csv(tmp_path, "#id,y\n1,2\n3,4\n"), "y").names == ["#id", "y"]


@pytest.mark.parametrize("word", ["-", "unknown", "."])
def test_missing_value_in_the_first_row_does_not_make_it_a_header(tmp_path, word):
    table = read_table(csv(tmp_path, f"{word},5,u\n" + "7,3,v\n9,4,u\n" * 3), "3")
    assert (table.has_header, len(table)) == (False, 7)


@pytest.mark.parametrize(("first", "is_header"), [("green;NA", False), ("green;?", False), ("color;NA", True)])
def test_missing_value_beside_a_word_that_occurs_again_is_data(tmp_path, first, is_header):
    assert read_csv(content_of(csv(tmp_path, first + "\nred;1.5\ngreen;2.5\nred;NA\n"))).has_header == is_header


def test_title_in_a_row_of_the_table_is_pointed_out(tmp_path):
    """Spreadsheets fill the row of a title with separators."""
    with pytest.raises(jitnet.Error, match=r"2 columns without a name; name them .*, or remove it if it is a title"):
        read_table(csv(tmp_path, "Houses of May,,\nx,z,y\n1,2,u\n3,4,v\n"), "y")


@pytest.mark.parametrize("title", ["Report,2024,\n", "Report,May,Bonn\n"])
def test_a_title_as_wide_as_the_table_is_pointed_out(tmp_path, title):
    with pytest.raises(jitnet.Error, match="line 3 has this cell: if it is the header, remove the lines above it"):
        read_table(csv(tmp_path, f"{title}\na,b,class\n" + "1,2,u\n3,4,v\n" * 9), "class")


def test_an_encoding_that_was_guessed_is_named_beside_a_target_that_is_not_found(tmp_path):
    (tmp_path / "f.csv").write_bytes("価格,結果\n1,u\n2,v\n".encode("cp932"))
    with pytest.raises(
        jitnet.Error, match=r"no column '結果'; .*; read as cp1252, .*Japanese can be cp932.* \(--encoding\)$"
    ):
        read_table(tmp_path / "f.csv", "結果")
    assert read_table(tmp_path / "f.csv", "結果", encoding="cp932").names == ["価格", "結果"]
    (tmp_path / "f.csv").write_bytes(("цена,y\n" + "1,yes\n2,no\n" * 9).encode("cp1251"))  # in the header only
    assert "which does not seem right" in read_table(tmp_path / "f.csv", "y").notes[0]
    for text in ("größe,y\n1,ä\n2,b\n", "£,y\n" + "£1,2\n£3,4\n" * 9):
        (tmp_path / "f.csv").write_bytes(text.encode("cp1252"))
        assert read_table(tmp_path / "f.csv", "y").notes[0] == "read as cp1252, since line 1 is not UTF-8 (--encoding)"


def test_a_row_of_units_is_named_as_a_part_of_the_header(tmp_path):
    table = read_table(csv(tmp_path, "x,y\ncm,-\n" + "1,u\n3,v\n" * 9), "y")
    with pytest.raises(jitnet.Error, match=r"'cm' is not .*; if the line belongs to the header, .*; otherwise fix it"):
        jitnet.data.Recipe.learn(table, range(19))


def test_target_in_another_case_is_suggested(tmp_path):
    with pytest.raises(jitnet.Error, match=r"has no column 'target'; .* \(did you mean 'TARGET'\?\)"):
        read_table(csv(tmp_path, "x,TARGET\n1,u\n3,v\n"), "target")


@pytest.mark.parametrize(
    ("target", "name", "letter"),
    [("y", "\u0443", "U+0443, CYRILLIC SMALL LETTER U"), ("\u0443", "y", "U+0079, LATIN SMALL LETTER Y")],
)
def test_a_letter_of_another_alphabet_in_the_target_is_pointed_out(tmp_path, target, name, letter):
    with pytest.raises(jitnet.Error) as error:
        read_table(csv(tmp_path, f"a,b,{name}\n1,2,u\n3,4,v\n"), target)
    assert f" (number 3, {name!r}, looks the same, but has the letter {letter}; copy that name)" in str(error.value)


def test_a_column_without_a_name_is_not_an_empty_entry_of_the_list(tmp_path):
    with pytest.raises(jitnet.Error, match=r"its columns: a, \(unnamed\), y$"):
        read_table(csv(tmp_path, "a,,y\n1,2,u\n3,4,v\n"), "price")


def test_a_word_in_the_last_row_is_named_as_a_total(tmp_path):
    table = read_table(csv(tmp_path, "x,y\n" + "1,u\n3,v\n" * 9 + "Total,\n"), "y")
    with pytest.raises(
        jitnet.Error, match=r"line 20, .*'Total' .*; if the last row is a total or a note, remove it; oth"
    ):
        jitnet.data.Recipe.learn(table, range(19))


def test_an_office_document_in_place_of_a_model_is_named(tmp_path):
    (tmp_path / "f").write_bytes(packed(**{"xl/workbook_xml": "", "[Content_Types]_xml": ""}))
    with pytest.raises(
        jitnet.Error, match="f is an Excel workbook, not a jitnet model; name the file that jitnet saved"
    ):
        jitnet.load(tmp_path / "f")
