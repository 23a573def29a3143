"""Headers: whether the first row of a CSV file is one, decided without the target or by the training file; names."""

import numpy as np
import pytest
from files import csv

import jitnet
from jitnet.data import Recipe, from_frame, read_table
from jitnet.data.files.content import content_of
from jitnet.data.files.csv_dialect import dialect_of
from jitnet.data.files.csv_file import read_csv
from jitnet.data.files.csv_header import looks_like_a_header
from jitnet.data.preprocessing.decisions import Choices


def test_header_does_not_depend_on_the_target(tmp_path):
    """A cell of the first data row equals the number of the target column."""
    path = csv(tmp_path, "3,7,1\n4,5,0\n7,9,1\n")
    for target in "123":
        assert len(read_table(path, target)) == 3
    with pytest.raises(
        jitnet.Error, match=r"no column '7'; .*, line 1 has this cell: if it is the header, add --header"
    ):
        read_table(path, "7")
    assert read_table(path, "7", header=True).names == ["3", "7", "1"]
    with pytest.raises(jitnet.Error, match=r"has no column '8'; its columns: 1, 2, 3$"):
        read_table(path, "8")


def test_numeric_header_of_pandas_is_recognized():
    """0,1 and ,0,1 are a header above row numbers or columns without these cells, but can also be a row of data."""
    whole = [7, 3, 9, 4, 8, 2, 6, 5, 9, 3, 7, 8]
    pointed, words, bits = [n + 0.5 for n in whole], ["red", "blue"] * 6, [0, 1, 1] * 4
    letters, years = list("abcdefghijkl"), range(1990, 2002)
    count, shuffled = range(12), [5, 11, 3, 8, 0, 9, 7, 6, 10, 2, 4, 1]
    for first, columns, is_header in (
        ("0,1", (whole, whole), True), ("0,1", (pointed, bits), True), ("0,1", (bits, pointed), True),
        ("0,1", (words, bits), True), (",0", (count, bits), True), (",0,1", (count, bits, bits), True),
        (",0,1", (shuffled, bits, bits), True), (",2019,2020", (count, bits, whole), True),
        (",b", (count, bits), True), (",size", (count, words), True), ("1,2,3", (whole, pointed, bits), True),
        ("size,2019,2020", (words, whole, whole), True), ("2019,2020,2021", (whole, pointed, bits), True),
        ("place,1999,2005", (letters, whole, pointed), True), (",1990,2000", (letters, pointed, pointed), True),
        (",1990,2000", (letters, pointed, [""] * 12), True), ("place,1999,2005", ((), (), ()), False),
        ("a,1999,2005", (letters, whole, whole), False), ("place,1999,2005", (letters, whole, years), False),
        ("place,2005,1999", (letters, whole, whole), False), ("1980,1999,2005", (years, whole, whole), False),
        ("0,1", (bits, bits), False), ("0,1", (whole, bits), False), ("0,1", (range(5, 17), whole), False),
        ("0,1", (whole[:9], whole[:9]), False), ("0,1", (sorted(pointed), bits), False),
        ("1,2,3,4,5", (whole,) * 5, True), ("1,2,3,4,5", [(2, 5), (1, 3), (3, 1), (5, 4), (4, 2)], False),
        ("7,8,9,10,11", [range(8 + j, 20 + j) for j in range(5)], False), ("2,3,4,5", (whole,) * 4, False),
        ("blue,4,5", (words, whole, whole), False), ("size,7,8", ((), (), ()), False),
        ("1,2,3", (whole, whole, whole), False), ("2019,2020", (whole, whole), False),
        (",16.5,16.75,17", (letters, whole, whole, bits), True), (",3.5,2,-1", (pointed, whole, whole, bits), True),
        (",16.5,17,16.5", (letters, whole, whole, bits), False), (",1.5,2,3", (letters, pointed, bits, bits), False),
        (",1.5,2,3", ([*letters[1:], ""], bits, bits, bits), False), (",1.5,2", (letters, whole, whole), False),
        ("b,1.5,2,3", (letters, bits, bits, bits), False), (",1,2,4", (letters, whole, bits, bits), False),
        (",1.5,2,x", (letters, bits, bits, bits), False),
        (",1", (bits, bits), False), (",0,1", (bits, bits, bits), False), (",2,1", (shuffled, bits, bits), False),
    ):  # fmt: skip
        rows = [list(map(str, row)) for row in zip(*columns, strict=True)]
        assert looks_like_a_header(first.split(","), rows) == is_header, (first, rows)


@pytest.mark.parametrize(("again", "is_header"), [(0, True), (1, True), (2, True), (3, False)])
def test_header_of_words_occurs_again_in_at_most_half_of_its_columns(again, is_header):
    first = ["a", "b", "c", "d"]
    assert looks_like_a_header(first, [first[:again] + ["x"] * (4 - again), ["y"] * 4]) == is_header


@pytest.mark.parametrize(
    ("first", "columns", "is_header"),
    [
        ("690 kr;no", (["7 kr", "85 kr"], ["no", "yes"]), False), ("P001;n", (["P002"], "n"), False),
        ("12:08 PM;n", (["1:15 AM", "2:30 PM"], "ny"), False), ("2024-01-05;n", (["2024-02-06", ""], "ny"), False),
        ("1,234;n", (["950", "870"], "ny"), False), ("$12;n", (["9", "$8"], "ny"), False),
        ("price;n", (["$9", "$8"], "ny"), True), ("EUR2024;kr2", (["$9", "$8"], ["7 kr", "8 kr"]), True),
        ("5%;50%;group", (["1.5", "2"], ["3", "2.5"], "ab"), True),
        ("x1;x2", (["a", "b"], ["c", "d"]), True), ("Q1 2024;n", (["$5", "$6"], "yz"), True),
    ],
)  # fmt: skip
def test_numbers_in_text_and_dates_are_no_header_above_others(first, columns, is_header):
    rows = [list(row) for row in zip(*columns, strict=True)]
    assert looks_like_a_header(first.split(";"), rows) == is_header


def test_header_of_new_files_has_the_names_of_the_features(tmp_path):
    """The first row is the header if it has the names of the features, in training and prediction."""
    path = csv(tmp_path, "0,1,2\n0,0,1\n")
    for header in ("0,1,2\n", "0,2\n", "2,0\n", "2,7,0\n"):
        rows = "".join(",".join("567"[: header.count(",") + 1]) + "\n" for _ in range(5))
        path.write_text(header + rows)
        assert len(read_table(path, "1", features=["0", "2"])) == 5
        assert len(read_table(path, "1", learned=(["0", "2"], True))) == 5
    path.write_text("3,2,1\n5,6,7\n")  # column 0 is missing
    assert len(read_table(path, "y", learned=(["0", "1", "2", "3"], True))) == 1
    path.write_text("5,6,7\n5,6,7\n")
    with pytest.raises(jitnet.Error, match="has no header, but the model knows its columns by their names, 0, 2; add"):
        read_table(path, "1", learned=(["0", "2"], True))
    path.write_text('""\n5\n6\n')  # as pandas writes a column called ""
    with pytest.raises(
        jitnet.Error, match=r"has no header, but .*, \(unnamed\); train a model whose column has a name"
    ):
        read_table(path, "1", learned=([""], True))
    path.write_text("0,1,2\n5,6,7\n")
    assert len(read_table(path, "3", learned=(["1", "2"], False))) == 2
    path.write_text("p,q\n5,6\n7,8\n")
    with pytest.raises(
        jitnet.Error, match="seems to have a header, p, q, but the file that the model learned from had"
    ):
        read_table(path, "3", learned=(["1", "2"], False))
    for text in (
        "-,q\n5,p\n7,r\n",
        "x,2024Q1\n5,2024Q2\n7,2024Q3\n",
        "x,p\n1,q\n2,p\n",
    ):  # cells of a model without a header
        path.write_text(text)
        assert len(read_table(path, "3", learned=(["1", "2"], False))) == 3
    path.write_text("2,1\n5,6\n")  # without a header, the names are numbers from 1
    assert len(read_table(path, "3", features=["1", "2"])) == 2


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ('"a" "b"\n"Mazda" 1 3\n"Fiat" 2 4\n', {"": ["Mazda", "Fiat"], "a": [1, 2], "b": [3, 4]}),
        ("a,b\n1,7,x\n2,9,x\n", {"": [1, 2], "a": [7, 9], "b": ["x", "x"]}),
        ("a,b\n1,x,\n1,y,\n", {"a": [1, 1], "b": ["x", "y"]}),
    ],
)
def test_header_with_one_name_too_few_is_read(tmp_path, text, columns):
    """R writes no name above the row names; other programs end each data row with a separator."""
    path = csv(tmp_path, text)
    for engine in ("python", "pyarrow"):  # if pyarrow is missing, both use Python
        table = read_csv(content_of(path), engine=engine)
        assert {name: table[name].values.tolist() for name in table.names} == columns
        assert table.has_header
        assert table.lines[0] == 2
        assert any("one name fewer than the rows have cells" in note for note in table.notes) == ("" in columns)
    with pytest.raises(jitnet.Error, match="line 1 has 2 cells"):
        read_csv(content_of(path), header=False)


NUMBERS = "if commas separate thousands or decimals, quote these numbers or use another separator"
CELLS = r'if the comma belongs to a cell, put the cell in double quotes \("\)'


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("price,rooms,y", "{i}20,237,0,{w}", f"'420', '237' may be one cell: {NUMBERS}"),
        ("price,size,when,w", "{i},585,6,2024-01-01,{w}", f"'4', '585' may be one cell: {NUMBERS}"),
        ("price,rooms,y", "${i},050,0,{w}", rf"'\$4', '050' may be one cell: {NUMBERS}"),
        ("price,rooms,y", "{i},50,0,{w}", f"'4', '50' may be one cell: {NUMBERS}"),
        ("name,x,y", "Smith{i}, John,0,{w}", f"'Smith4', 'John' may be one cell: {CELLS}"),
        ("x,n,y", "'{i},5',3,{w}", f'"\'4", "5\'" may be one cell: {CELLS}'),
    ],
)
def test_cells_that_commas_split_are_refused_instead_of_shifted(tmp_path, header, row, said):
    """The header has one name fewer than the rows have cells, as with row names."""
    rows = [row.format(i=i, w="ab"[i % 2]) for i in (4, 6, 7, 9)]
    path = csv(tmp_path, "\n".join([header, *rows, ""]))
    names = header.count(",") + 1
    message = f"data.csv, line 2 has {names + 1} cells, but the header, .*, has {names} names, and {said}; if the first"
    with pytest.raises(jitnet.Error, match=message):
        read_table(path, header[-1])
    path.write_text(f"row names,{path.read_text()}")  # as the error says
    assert len(read_table(path, header[-1])) == len(rows)


def test_first_column_without_a_name_is_a_warning_where_commas_may_have_split_cells(tmp_path):
    for text, said in (
        ("a,b\n1,7,x\n2,9,x\n", None), ("a,b\n0,7,x\n1,9,y\n", None), ("a\tb\n7\t1\tx\n9\t2\tx\n", None),
        ('a,b\n"7",100,x\n"9",120,y\n', None), ('a,b\n"p",1,x\n"q",2,y\n', None),
        ('a,b,c\n"p",7,010,5\n"q",2,300,6\n', "if commas split cells, such as '7', '010', quote these cells"),
        ("a, b\np, 1, x\nq, 2, y\n", "if commas split cells, quote these cells; otherwise name the first column"),
        ("a,b\n1,120,100\n2,123,237\n", "if commas split cells, such as '1', '120', quote these cells"),
        ("a,b,c\np,7,010,5\nq,2,300,6\n", "if commas split cells, such as '7', '010', quote these cells"),
    ):  # fmt: skip
        table = read_table(csv(tmp_path, text), "a")
        assert table.names[0] == ""
        (guess,) = table.guesses or [None]
        assert said == guess if guess is None else f"the first has no name; {said}" in guess
        assert set(table.guesses) <= set(table.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,y\n" + "1,000,3,no\n" * 3, f"line 1 has 3 cells, .* have 4 .*; line 2 has '1', '000': {NUMBERS}$"),
        ("a,b,y\n\n3,no,2\n1,500,3,no\n", f"line 4 has 4 cells, .* with '1', and has '1', '500': {NUMBERS}$"),
        ("a,b,y,\n" + "1,3,no\n" * 3, "line 1 has 4 cells, .*; it ends with a separator, which the other rows lack:"),
        ("a,y\n" + "u,no,\n" * 3, "line 1 has 2 cells, .*; the other rows end with a separator, which it lacks: add"),
        ("a,y\n1,no\n1,no,\n", "line 3 has 3 cells, .*; it ends with a separator, which the header lacks: remove it$"),
        ("a,y\n1,no\n\nSource: me\n2024\n", "line 4 has 1 cell, .*'Source: me'; if it is a note below the table"),
        ("a,b,y\n1,2,no\nSource: me,\n", "line 3 has 2 cells, .*; if it is a note below the table, remove it$"),
        ("a,y\n1,no\nSource: me\n1,no\n", "line 3 has 1 cell, .*; it begins with 'Source: me'$"),
    ],
)  # fmt: skip
def test_rows_with_too_few_or_too_many_cells_say_how_to_fix_them(tmp_path, text, said):
    with pytest.raises(jitnet.Error, match=said):
        read_table(csv(tmp_path, text), "y")


def test_columns_of_the_model_decide_on_the_separator():
    """Of one row, several separators make cells; the columns of the model tell which one is right."""
    for row, expected, usual, separator in (
        (b"1|a;b;c\n", ["1"], "|", "|"), (b"1|a;b;c\n", [], None, ";"), (b"1|a;b;c\n", ["1", "2"], "|", "|"),
        (b"1|a;b\n", ["1"], "|", "|"), (b"1|a;b\n", ["1"], ";", ";"), (b"a:b\n1:2\n", ["a", "b"], ":", ":"),
        (b"a;b\n1,2;3,4\n", ["a", "b"], ",", ";"), (b"5,1\n", ["1"], ";", ";"), (b"5,1\n", ["1"], ",", ","),
        (b"1.234,50\n", ["1"], "\t", "\t"),
        (b"a b\n1 2\n", ["a", "b"], " ", " "), (b"a,b\n1 2,3\n", ["a", "b"], " ", ","),
    ):  # fmt: skip
        header = None if expected[:1] == ["a"] else False
        found = dialect_of(row, "f", [], header, expected=expected, usual={"separator": usual} if usual else {})
        assert found.separator == separator, (row, expected, usual)


@pytest.mark.parametrize(
    "file",
    [
        "a,b\n" + "1,x\n2,y\n" * 20,
        "a,b\n" + "u,x\nv,y\n" * 20,
        ",b\n" + "0,x\n1,y\n" * 20,
        "a,b\n" + "a,x\nv,y\n" * 20,
        "c,2019,b\n" + "u,1,x\nv,2,y\n" * 20,
    ],
)
def test_repeated_header_is_an_error(tmp_path, file):
    """Two concatenated files: the error names the line of the second header, which among words would be a class."""
    with pytest.raises(jitnet.Error, match="line 42 repeats the header; remove it"):
        read_table(csv(tmp_path, file * 2), "b", header=True)
    path = csv(tmp_path, "a,b\n" + "u,x\nv,y\na,x\nu,b\n" * 9)  # the names are words of their columns too
    assert len(read_table(path, "b", header=True)) == 36


def test_a_model_saved_with_spaces_around_its_names_finds_the_columns():
    """Earlier versions kept the spaces of the names in a DataFrame."""
    n = np.arange(60)
    data = {"p": n % 7, "g": np.where(n % 9 == 1, np.nan, n % 5), "c": list("xyz") * 20, "y": list("uv") * 30}
    recipe = Recipe.learn(from_frame(data, "y"), n, None, Choices(missing=["g=3"]))
    old = recipe.plain()
    old |= {name: [f" {column} " for column in old[name]] for name in ("features", "names")}
    old["target"], old["reading"] = " y ", {"missing": "g =3"}
    old["columns"] = [{**column, "name": f" {column['name']} "} for column in old["columns"]]
    found = Recipe.from_plain(old)
    for given in (recipe, found):
        X, said = given.prepare(from_frame(data, "y"))
        np.testing.assert_array_equal(X, recipe.prepare(from_frame(data))[0])
        assert said == []
    assert found.plain() == {**recipe.plain(), "reading": old["reading"]}


def test_spaces_around_the_given_names_of_target_and_features_do_not_matter(tmp_path):
    path = csv(tmp_path, "a,ü,y\n" + "1,2,u\n3,4,v\n" * 4)
    assert read_table(path, " y ").target == "y"
    assert read_table(path, " y", features=["u\u0308 ", " a"]).features == ["ü", "a"]
