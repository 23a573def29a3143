"""Numbers, dates and durations in the cells of a sheet, and numbers that are stored as text."""

import datetime as dt
import json

import numpy as np
import pytest
from workbook_files import ods, xlsx

from jitnet.data import Recipe, read_table
from jitnet.data.values import FORMS

openpyxl = pytest.importorskip("openpyxl")
pytest.importorskip("python_calamine")

QUICK = ("--backend", "numpy", "--hidden", "8", "--epochs", "3")


def test_numbers_are_never_taken_for_thousands(tmp_path):
    """In a CSV, 5.505 beside 991 is 5505."""
    rows = [["x", "y"], *([[5.505, "u"], [991, "v"], [-1e-7, "u"], [1e300, "v"], [1234567890123456, "u"]] * 3)]
    for decimal in (None, ".", ","):
        for path in (xlsx(tmp_path / "a.xlsx", Data=rows), ods(tmp_path / "a.ods", rows)):
            table = read_table(path, "y", decimal=decimal)
            np.testing.assert_array_equal(table["x"].values[:5], [5.505, 991, -1e-7, 1e300, 1234567890123456])
            assert table.notes == []


def test_whole_numbers_with_many_digits_are_numbers(tmp_path):
    """As text they are codes."""
    rows = [["x", "code", "y"], *([10**15 + 16 * i, str(10**15 + 16 * i), i % 2] for i in range(9))]
    table = read_table(xlsx(tmp_path / "a.xlsx", Data=rows), "y")
    assert table["x"].values.tolist() == [10**15 + 16 * i for i in range(9)]
    assert table["code"].values[1] == "1000000000000016"


def test_the_decimal_sign_applies_to_text(tmp_path):
    rows = [["x", "z", "y"], *([["5,505", 1.5, "u"], ["991", 2.5, "v"]] * 5)]
    book = xlsx(tmp_path / "a.xlsx", Data=rows)
    table = read_table(book, "y", decimal=",")
    assert (table["x"].values[0], table["z"].values[0]) == (5.505, 1.5)
    assert read_table(book, "y")["x"].values[0] == "5,505"
    recipe = Recipe.learn(table, range(8))  # a model keeps its sign for text, and numbers have none
    new = recipe.read(xlsx(tmp_path / "b.xlsx", Data=[["x", "z"], ["2,505", 1.25]]))
    assert (new["x"].values[0], new["z"].values[0]) == (2.505, 1.25)


def sheet_of(path, *columns, repeat=3):
    """A workbook with a column x for each list of cells, named x1, x2, ..., and the target y."""
    rows = [[*cells, "uv"[i % 2]] for i, cells in enumerate(list(zip(*columns, strict=True)) * repeat)]
    return xlsx(path, Data=[[*(f"x{j + 1}" for j in range(len(columns))), "y"], *rows])


def test_texts_prove_the_decimal_sign_and_stored_numbers_do_not(tmp_path):
    """Text '12,43' beside the stored 7.02 is 12.43."""
    for texts, sign, expected in (
        (["12,43", "8,15"], ",", [12.43, 8.15]),
        (["1.234,50", "8,15"], ",", ["1.234,50", "8,15"]),
        (["1 234,50", "(8,15)"], ",", ["1 234,50", "(8,15)"]),
        (["1.234.567", "8"], ",", ["1.234.567", "8"]),
        (["12.43", "8.15"], ".", [12.43, 8.15]),
        (["1,234.50", "8.15"], ".", ["1,234.50", "8.15"]),
    ):
        table = read_table(sheet_of(tmp_path / "a.xlsx", [7.02, *texts], [0.125, 1.5, 2.75]), "y")
        assert (table.decimal, table.guesses) == (sign, [])
        assert table["x2"].values[:3].tolist() == [0.125, 1.5, 2.75]
        if isinstance(expected[0], float):
            assert table["x1"].values[:3].tolist() == [7.02, *expected]
        else:  # a number in text
            assert table["x1"].values[1:3].tolist() == expected
            assert Recipe.learn(table, range(9)).columns[0].name == "x1"
        said = [f"{texts[0]!r} and others are read as numbers with a decimal comma"] if sign == "," else []
        assert table.notes == said
    assert read_table(sheet_of(tmp_path / "a.xlsx", [3000, "1.234.567", "3.369"]), "y").decimal == ","
    # words beside a comma prove nothing, and a column with stored numbers outweighs one of texts
    assert read_table(sheet_of(tmp_path / "a.xlsx", ["good", "so so", "1,5"]), "y").decimal == "."
    assert read_table(sheet_of(tmp_path / "a.xlsx", ["1.5", "2.5"], ["12,43", 7.02]), "y").decimal == ","


def test_the_size_of_stored_numbers_decides_on_texts_with_three_decimals(tmp_path):
    about = "because the stored numbers of its column are about"
    for cells, value, sign, sentence in (
        ([2970, "3.369", "2.860", 3555], 3369, ",",
         f"'3.369' in row 3 of x1 is read as 3369, {about} 3262; if it is 3.369, add --decimal ."),
        ([2.97, "3.369", "2.860", 3.5], 3.369, ".",
         f"'3.369' in row 3 of x1 is read as 3.369, {about} 3.235; if it is 3369, add --decimal ,"),
        ([7.02, "12,430", "8,150", 5.5], 12.43, ",",
         f"'12,430' in row 3 of x1 is read as 12.43, {about} 6.26; if it is 12430, add --decimal ."),
        ([7020, "12,430", "8,150", 5500], 12430, ".",
         f"'12,430' in row 3 of x1 is read as 12430, {about} 6260; if it is 12.43, add --decimal ,"),
        (["2.970", "3.369", "2.860", "3.555"], 3.369, ".",
         "'2.970' in row 2 of x1 is read as 2.97; if it is 2970, add --decimal ,"),
        (["7,020", "12,430", "8,150", "5,500"], 12430, ".",
         "'7,020' in row 2 of x1 is read as 7020; if it is 7.02, add --decimal ,"),
        (["991", "3.369", "2.860", "750"], 3369, ",",
         "'3.369' in row 3 of x1 is read as 3369, because '991' in its column has no point; if it is 3.369, "
         "add --decimal ."),
    ):  # fmt: skip
        book = sheet_of(tmp_path / "a.xlsx", cells, [0.125, 1.5, 2.75, 3.125])
        table = read_table(book, "y")
        assert (table.decimal, table.notes, table.guesses) == (sign, [sentence], [sentence])
        assert number_in(table, "x1", 1) == value
        assert table["x2"].values[:2].tolist() == [0.125, 1.5]
        other = sentence[-1]
        table = read_table(book, "y", decimal=other)
        assert (table.decimal, table.notes) == (other, [])
        assert number_in(table, "x1", 1) == (value * 1000 if value < 1000 else value / 1000)


def number_in(table, name, row):
    """The number that a model reads in this row."""
    column = next((one for one in Recipe.learn(table, range(len(table))).columns if one.name == name), None)
    cell = table[name].values[row]
    return cell if column is None else FORMS[column.form](cell)[0]


def test_proof_in_one_column_decides_for_texts_in_others(tmp_path):
    table = read_table(sheet_of(tmp_path / "a.xlsx", ["7,5", "8,1"], ["2.970", "3.369"]), "y")
    doubt = "'2.970' in row 2 of x2 is read as 2970, because '7,5' has a decimal comma; if it is 2.97, add --decimal ."
    assert (table.decimal, table.guesses) == (",", [doubt])
    table = read_table(sheet_of(tmp_path / "a.xlsx", ["1.207,5", "8,1"], ["2.970", "3.369"]), "y")
    assert (table.guesses, table.notes[1]) == ([], doubt.replace("'7,5'", "'1.207,5'"))
    table = read_table(sheet_of(tmp_path / "a.xlsx", ["7,5", "8,1", "9,5"], [2.97, "3.369", 2.5]), "y")
    sentence = "'3.369' in row 3 of x2 is read as 3369, although the stored numbers of its column are about 2.735"
    assert table.guesses == [f"{sentence}; if it is 3.369, add --decimal ."]


def test_a_model_that_learned_from_text_predicts_from_stored_numbers(run, tmp_path):
    train = sheet_of(tmp_path / "a.xlsx", ["1.207,25", "903,50", "1.100", "815,75"], repeat=10)
    run("train", train, "--target", "y", "--save", "m.npz", *QUICK)
    numbers = [903.9999999999999, 1.234, 1207.25, 1100]
    as_text = ["903,9999999999999", "1,234", "1.207,25", "1.100"]
    said = [run("predict", "m.npz", sheet_of(tmp_path / "b.xlsx", cells), "--backend", "numpy", "--json").out
            for cells in (numbers, as_text)]  # fmt: skip
    assert json.loads(said[0])["predictions"] == json.loads(said[1])["predictions"]
    recipe = Recipe.learn(read_table(train, "y"), range(40))
    book = xlsx(tmp_path / "b.xlsx", Data=[["x1"], ["3.369"], [1.5]])  # no guess: the sign is that of the model
    assert recipe.read(book)["x1"].values.tolist() == ["3.369", "1,5"]
    assert recipe.read(book).notes == []
    assert recipe.read(book, decimal=".")["x1"].values.tolist() == [3.369, 1.5]


def test_dates_and_times(tmp_path):
    rows = [
        ["d", "t", "y"],
        *([dt.datetime(2024, 2, 13 + i % 2, 12 * (i % 2)), dt.time(14, 30, i), i] for i in range(4)),
    ]
    for path in (xlsx(tmp_path / "a.xlsx", Data=rows), ods(tmp_path / "a.ods", rows)):
        table = read_table(path, "y")
        assert table["d"].values.tolist()[:2] == ["2024-02-13", "2024-02-14 12:00:00"]
        assert table["t"].values.tolist()[:2] == ["14:30:00", "14:30:01"]


def test_durations_are_hours(tmp_path):
    """calamine returns those of less than a day in an .ods as times of day."""
    rows = [["t", "at", "y"], *([dt.timedelta(minutes=1000 * i + 30), dt.time(8, i), i] for i in range(5))]
    for path in (xlsx(tmp_path / "a.xlsx", Data=rows), ods(tmp_path / "a.ods", rows)):
        table = read_table(path, "y")
        np.testing.assert_allclose(table["t"].values, [(1000 * i + 30) / 60 for i in range(5)], rtol=1e-12)
        assert table["at"].values[1] == "08:01:00"
        assert table.notes == ["t holds durations: 0:30 is 0.5 hours"]
    rows = [[None, "t", "y"], *([None, dt.timedelta(hours=one), "u"] for one in (-48, -1.25, 30, 13.5))]
    table = read_table(xlsx(tmp_path / "a.xlsx", Data=rows), "y")
    assert (table.notes, table["t"].values.tolist()) == (
        ["t holds durations: -1:15 is -1.25 hours"],
        [-48, -1.25, 30, 13.5],
    )


def test_failed_formulas_are_missing(tmp_path):
    errors = ["#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!"]
    rows = [["x", "word", "y"], *([i, "uv"[i % 2], i % 2] for i in range(9)), *([one, one, 1] for one in errors)]
    for path in (xlsx(tmp_path / "a.xlsx", Data=rows), ods(tmp_path / "a.ods", rows)):
        table = read_table(path, "y")
        for name in ("x", "word"):
            assert table[name].missing.tolist() == [False] * 9 + [True] * 7
        assert table["x"].values.dtype == float
