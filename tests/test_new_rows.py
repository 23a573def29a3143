"""What errors and notes say about cells of new rows that are unlike those of the training."""

import re
import warnings

import numpy as np
import pytest
from files import csv

import jitnet
from jitnet import Dense, Network
from jitnet.data import Recipe, from_frame, read_table
from jitnet.data.dates import iso_date
from jitnet.data.preprocessing.decisions import Choices


def saved(recipe, older=False):
    """The recipe as a model file has it, or as earlier versions saved it."""
    content = recipe.plain()
    if older:
        del content["extents"], content["fingerprint"]
        for column in content["columns"]:
            for name in ("extent", "gaps", "first_year", "unit"):
                column.pop(name, None)
    return Recipe.from_plain(content)


def learned(tmp_path, text, target="y", **choices):
    table = read_table(csv(tmp_path, text), target)
    return saved(Recipe.learn(table, range(len(table)), None, Choices(**choices)))


def notes_on(recipe, tmp_path, text, **how):
    """What predict would print, without the folder."""
    X, said = recipe.prepare(recipe.read(csv(tmp_path, text, "new.csv"), **how), "float64")
    return X, [note.replace(f"{tmp_path}/", "") for note in said]


WITH_WORDS = "a;b;y\n" + "".join(f"{'x' if i % 4 == 3 else i + 0.5};{i % 3 + 1};{'uv'[i % 2]}\n" for i in range(40))
READ_AS_MISSING = "cannot be read and {} as missing; the first, in new.csv, line {}: {} is not a number"


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (["x", "-", "", "5"], ""),
        (["1,5", "20,5"], "a: 2 of 2 cells " + READ_AS_MISSING.format("count", 2, "'1,5'") +
            " with the decimal sign . (--decimal ,)"),
        (["x", "7", "12 kg", "$15", "12 kg"], "a: 3 of 5 cells " + READ_AS_MISSING.format("count", 4, "'12 kg'") +
            "; in training this column had plain numbers: remove the unit"),
        (["3", "what"], "a: 1 of 2 cells " + READ_AS_MISSING.format("counts", 3, "'what'")),
    ],
)  # fmt: skip
def test_words_that_training_did_not_have_are_a_note_where_words_are_missing(tmp_path, cells, note):
    recipe = learned(tmp_path, WITH_WORDS, numeric=["a"])
    text = "a;b\n" + "".join(f"{cell};2\n" for cell in cells)
    X, said = notes_on(recipe, tmp_path, text)
    assert said == [note] * bool(note)
    assert X[:, -1].tolist() == [float(re.fullmatch("[0-9]", cell) is None) for cell in cells]  # 1 where one is missing
    _, said = notes_on(saved(recipe, older=True), tmp_path, "a;b\nx;2\n3;2\n")
    assert said == ["a: 1 of 2 cells " + READ_AS_MISSING.format("counts", 2, "'x'")]


def test_given_decimal_sign_reads_the_numbers_among_words(tmp_path):
    recipe = learned(tmp_path, WITH_WORDS, numeric=["a"])
    X, said = notes_on(recipe, tmp_path, "a;b\n1,5;2\nx;3\n20,5;3\n", decimal=",")
    expected, _ = notes_on(recipe, tmp_path, "a;b\n1.5;2\nx;3\n20.5;3\n")
    np.testing.assert_array_equal(X, expected)
    assert said == []


HOUSES = "price,size,temperature,day,y\n" + "".join(
    f"{400 + 100 * (i % 87)},{20 + i % 87 if i % 50 else ''},{i % 21 - 10},2024-{1 + i % 12:02}-{1 + i % 28:02},"
    f"{'uv'[i % 2]}\n" for i in range(174)
)  # fmt: skip
INSIDE = [400, 60, 0, "2024-05-05"]


@pytest.mark.parametrize(
    ("place", "cells", "note"),
    [
        (0, [-999, 500, "1e30"], "price: 2 of 3 cells are outside of the range in training, 400 to 9000, the first "
            "-999 (new.csv, line 2)"),
        (0, [13301], "price: 1 of 1 cell is outside of the range in training, 400 to 9000, the first 13301 (new.csv, "
            "line 2)"),
        (0, [0, 13300], ""), (0, [-1], "price: 1 of 1 cell is outside"),  # no price was negative
        (1, [60, 2000], "size: 1 of 2 cells is outside of the range in training, 20 to 106, the first 2000 (new.csv, "
            "line 3)"),
        (1, ["", 60], ""),
        (2, [-20, 20], ""), (2, [21], "temperature: 1 of 1 cell is outside of the range in training, -10 to 10"),
        (3, ["2024-05-05", "2124-05-05"], "day: 1 of 2 cells is outside of the range in training, 2024-01-01 to "
            "2024-12-28, the first 2124-05-05 (new.csv, line 3)"),
        (3, ["2025-06-01", "2023-08-01"], ""),
    ],
)  # fmt: skip
def test_numbers_far_outside_of_the_range_in_training_are_a_note(tmp_path, place, cells, note):
    """By more than half of the extent, or with another sign. Plain numbers, numbers with gaps, and dates."""
    recipe = learned(tmp_path, HOUSES)
    assert (recipe.standard.names, [c.name for c in recipe.columns]) == (["price", "temperature"], ["size", "day"])
    rows = [[cell if j == place else inside for j, inside in enumerate(INSIDE)] for cell in cells]
    text = "price,size,temperature,day\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    _, said = notes_on(recipe, tmp_path, text)
    assert len(said) == bool(note)
    assert "".join(said).startswith(note)
    assert notes_on(saved(recipe, older=True), tmp_path, text)[1] == []  # those models have no ranges


def test_days_before_1970_are_not_outside_because_of_their_sign(tmp_path):
    recipe = learned(
        tmp_path, "born,y\n" + "".join(f"{1971 + i % 30}-05-0{1 + i % 9},{'uv'[i % 2]}\n" for i in range(60))
    )
    assert notes_on(recipe, tmp_path, "born\n1965-05-05\n1990-01-01\n")[1] == []
    (note,) = notes_on(recipe, tmp_path, "born\n1955-05-05\n1990-01-01\n")[1]
    assert note.startswith("born: 1 of 2 cells is outside of the range in training, 1971-05-01 to 2000-05-0")
    content = recipe.plain()
    content["columns"][0]["extent"] = [0, 1e7]  # no date
    with pytest.raises(jitnet.Error, match=r"recipe is damaged \(a number of extent is 10000000.0, but must be a num"):
        Recipe.from_plain(content)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_outside_of_the_range_are_a_note_that_names_few_columns(dtype):
    X = np.random.default_rng(0).uniform(-1, 1, (60, 8)).astype(dtype)
    y = ["u", "v"] * 30
    recipe = saved(Recipe.learn(from_frame(X, y), range(60)))
    low, high = recipe.standard.extents[2]
    assert (low, high) == (X[:, 2].min(), X[:, 2].max())
    assert recipe.prepare(from_frame(X))[1] == []
    new = X[:5].copy()
    new[3, 2] = 0.1 + 50
    (note,) = recipe.prepare(from_frame(new))[1]
    extent = f"{low:.6g} to {high:.6g}"
    assert note == f"3: 1 of 5 cells is outside of the range in training, {extent}, the first 50.1 (X, row 4)"
    *first, last = recipe.prepare(from_frame(new + 50))[1]
    assert [note.split(":")[0] for note in first] == ["1", "2", "3"]
    assert last == "also with cells outside of the range in training: 4, 5, 6, 7, 8"
    images = Recipe.learn(from_frame(X.reshape(60, 2, 4), y), range(60))
    assert images.prepare(from_frame((new + 50).reshape(5, 2, 4)))[1] == []


def test_predict_in_python_warns_about_numbers_outside_of_the_range():
    x = np.arange(60.0)
    net = Network(Dense(1, 2, "softmax"), seed=0)
    net.recipe = Recipe.learn(from_frame({"x": x, "y": ["u", "v"] * 30}, "y"), range(60), None,
        Choices(numeric=["x"])).plain()  # fmt: skip
    with pytest.warns(UserWarning, match="x: 1 of 2 cells is outside of the range in training, 0 to 59, the first 500"):
        net.predict({"x": [5, 500]}, "numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.predict({"x": [5, 60]}, "numpy")


PLAIN_UNIT = "is not a number; in training this column had plain numbers: remove the unit"


@pytest.mark.parametrize(
    ("place", "cell", "message"),
    [
        (3, "19.12.2024", "column 'day': '19.12.2024' is not a date like year-month-day; write 2024-12-19"),
        (3, "03/04/2024", "'03/04/2024' is not a date like year-month-day; write 2024-03-04 or 2024-04-03"),
        (3, "12/19/2024 14:30", "is not a date like year-month-day; write 2024-12-19 14:30:00"),
        (3, "soon", "'soon' is not a date like year-month-day; empty the cell if it is missing"),
        (0, "12%", f"'12%' {PLAIN_UNIT}"), (0, "$1200", f"'$1200' {PLAIN_UNIT}"),
        (0, "2.5 kg", f"'2.5 kg' {PLAIN_UNIT}"),
        (0, '"$1,200"', f"'$1,200' {PLAIN_UNIT}"), (1, "7 m²", f"'7 m²' {PLAIN_UNIT}"),
        (0, "abc", "line 2, column 'price': 'abc' is not a number; empty the cell if it is missing"),
        (0, "price", "'price' is not a number, but the name of the column: if the line repeats the header, remove it"),
    ],
)  # fmt: skip
def test_an_error_says_how_to_write_the_cell(tmp_path, place, cell, message):
    recipe = learned(tmp_path, HOUSES)
    row = ",".join(cell if j == place else str(inside) for j, inside in enumerate(INSIDE))
    with pytest.raises(jitnet.Error, match=re.escape(message) + "$"):
        notes_on(recipe, tmp_path, f"price,size,temperature,day\n{row}\n")


def test_the_date_to_write_has_the_century_of_the_training(tmp_path):
    text = "born,y\n" + "".join(f"{1 + i % 28}.{1 + i % 12}.{30 + i % 60},{'uv'[i % 2]}\n" for i in range(60))
    recipe = learned(tmp_path, text)
    assert recipe.columns[0].first_year < 1930
    with pytest.raises(jitnet.Error, match=r"is not a date like day\.month\.year; write 1945-12-19$"):
        notes_on(recipe, tmp_path, "born\n12/19/45\n")


def test_names_that_differ_in_case_are_pointed_out(tmp_path):
    recipe = learned(tmp_path, HOUSES)
    with pytest.raises(
        jitnet.Error, match=r"it has Price, SIZE, temperature, day\. Write Price, SIZE as in training: upper and lower"
    ):
        notes_on(recipe, tmp_path, "Price,SIZE,temperature,day\n400,60,0,2024-05-05\n")
    with pytest.raises(jitnet.Error, match=r"Add it, or train a model without it \(--drop\)$"):
        notes_on(recipe, tmp_path, "price,temperature,day\n400,0,2024-05-05\n")


def test_unknown_categories_that_people_read_as_known_ones_are_pointed_out(tmp_path):
    text = "code,sex,y\n" + "".join(f"00{i % 3},{'mf'[i % 2]},{'uv'[i % 5 % 2]}\n" for i in range(60))
    recipe = learned(tmp_path, text)
    unknown = "did not occur in training: counted as none of the categories"
    for rows, expected in (
        ("1,M\n2,f\n", [f"code: '1' (new.csv, line 2) and 1 other word {unknown}; training had '001'",
            f"sex: 'M' (new.csv, line 2) {unknown}; training had 'm'"]),
        ("001,q\n002,M\n", [f"sex: 'M' (new.csv, line 3) and 1 other word {unknown}; training had 'm'"]),
        ("001,q\n", [f"sex: 'q' (new.csv, line 2) {unknown}"]),
    ):  # fmt: skip
        assert notes_on(recipe, tmp_path, f"code,sex\n{rows}")[1] == expected


def test_another_word_than_yes_and_no_is_missing(tmp_path):
    """If all words are others, they may be yes and no in another language."""
    recipe = learned(tmp_path, "b,y\n" + "yes,u\nno,v\n" * 20 + ",u\n")
    X, said = notes_on(recipe, tmp_path, "b\nno\nmaybe\nyes\n")
    assert X[:, 1].tolist() == [0, 1, 0]
    assert said == [
        "b: 1 of 3 cells cannot be read and counts as missing; the first, in new.csv, line 3: 'maybe' is not yes or no"
    ]
    with pytest.raises(jitnet.Error, match="line 2, column 'b': 'ja' is not yes or no; empty the cell if it is"):
        notes_on(recipe, tmp_path, "b\nja\nnein\n")


def test_a_code_on_the_last_day_of_the_calendar_can_be_stored(tmp_path):
    """9999-12-31 23:59:59 is no whole number of days since 1970, and its last moment rounds to the year 10 000."""
    days = "".join(f"2024-01-{1 + i % 28:02} 10:00:00,{'uv'[i % 2]}\n" for i in range(40))
    for last in ("9999-12-31 23:59:59", "9999-12-31 23:59:59.999999"):
        recipe = learned(tmp_path, f"day,y\n{days}{last},u\n")
        assert Recipe.from_plain(recipe.plain()).columns[0].extent == recipe.columns[0].extent
        assert iso_date(recipe.columns[0].extent[1]).startswith("9999-12-31 23:59:59")


def test_the_range_of_times_is_written_as_times(tmp_path):
    times = "".join(f"{8 + i % 9:02}:{30 * (i % 2):02},{'uv'[i % 2]}\n" for i in range(40))
    _, said = notes_on(learned(tmp_path, f"at,y\n{times}"), tmp_path, "at\n23:30\n")
    assert said == [
        "at: 1 of 1 cell is outside of the range in training, 08:00 to 16:30, the first 23:30 (new.csv, line 2)"
    ]


@pytest.mark.parametrize(
    ("learns", "cell", "fix"),
    [
        ("1234.5", "2,641.09", "write 2641.09"), ("1234.5", "1 234", "write 1234"), ("1234.5", "(12)", "write -12"),
        ("1.234,50", "1 234,5", "write 1234,5"), ("1,234.50", "1'234.5", "write 1234.5"),
        ("1234.5", "123,456,789,012.0625", "write 123456789012.0625"),
        ("1234.5", "12 n/a", "empty the cell if it is missing"),
        ("1234.5", "1,2,3", "empty the cell if it is missing"),
    ],
)  # fmt: skip
def test_a_number_in_another_form_is_an_error_with_the_number_to_write(tmp_path, learns, cell, fix):
    """An empty cell would be filled with the mean."""
    text = "a;y\n" + "".join(f"{learns.replace('5', str(i % 9))};{'uv'[i % 2]}\n" for i in range(40))
    recipe = learned(tmp_path, text)
    with pytest.raises(jitnet.Error, match=rf", line 2, column 'a': .* is not a number; {re.escape(fix)}$"):
        notes_on(recipe, tmp_path, f"a;y\n{cell};u\n")
    if fix.startswith("write"):
        notes_on(recipe, tmp_path, f"a;y\n{fix.removeprefix('write ')};u\n")


def test_digits_of_another_script_are_read_where_training_had_plain_numbers(tmp_path):
    recipe = learned(tmp_path, "a,y\n" + "".join(f"{i + 0.5},{'uv'[i % 2]}\n" for i in range(40)))
    X, said = notes_on(recipe, tmp_path, "a\n٢.٥\n۲٫۵\n２.５\n2.5\n")
    assert (np.ptp(X), said) == (0, [])
    with pytest.raises(jitnet.Error, match=r"'1’234\.5' is not a number; write 1234\.5$"):  # which has no unit
        notes_on(recipe, tmp_path, "a\n1’234.5\n")
