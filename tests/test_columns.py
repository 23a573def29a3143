"""Recipes learned from the columns of a table equal examples computed by hand."""

import re

import numpy as np
import pytest
from files import csv

import jitnet
from jitnet import storage
from jitnet.data import Recipe, from_frame, read_table
from jitnet.data.frames import table_of
from jitnet.data.preprocessing.decisions import Choices
from jitnet.data.split import split_rows
from jitnet.data.table import listed


def learned(tmp_path, name, cells, rows=None, **choices):
    """The recipe for a table of one column, a number x and a target y; the inputs of the column; the table."""
    quoted = [f'"{cell}"' for cell in cells]
    lines = [f"{0.5 + i * i},{cell},{'uv'[i % 2]}" for i, cell in enumerate(quoted)]
    table = read_table(csv(tmp_path, f"x,{name},y\n" + "\n".join(lines) + "\n"), "y")
    rows = np.arange(len(cells)) if rows is None else np.array(rows)
    recipe = Recipe.learn(table, rows, None, Choices(**choices))
    assert Recipe.from_plain(storage.plain(recipe.plain())) == recipe
    X, said = recipe.prepare(table, "float64")
    first = recipe.standard.width - (name in recipe.standard.names)
    return recipe, X[:, first:], said


def test_numbers_missing_only_in_new_rows_become_the_mean(tmp_path):
    _, X, said = learned(tmp_path, "a", ["1", "2", "6", "", "4"], [0, 1, 2, 4])
    assert X[3] == 0
    assert X[0] < 0 < X[2]
    (note,) = said
    assert note.startswith("a: 1 cell missing (")
    assert note.endswith("line 5), none in training: filled with the mean, 3.25")


@pytest.mark.parametrize(
    ("cells", "new", "other"),
    [
        (["15%", "20 %", "33.5%"], ["0.2", "0.3"], "'0.2'"), (["15%", "0", "33.5%"], ["20%", "0"], ""),
        (["$15", "$20", "$7"], ["€5", "$6"], "'€5'"), (["$15", "$20", "$7"], ["5", "6"], ""),
        (["15%", "20 %", "33.5%"], ["0.2", "n/a"], "'0.2'"), (["15%", "20 %"], ["0", "0.2"], "'0.2'"),
        (["$15", "20", "$7"], ["€5", "€6"], ""),
    ],
)  # fmt: skip
def test_another_unit_in_new_rows_is_reported(tmp_path, cells, new, other):
    recipe, _, _ = learned(tmp_path, "p", cells * 2)
    unit = cells[0].strip("1205")
    for saved in (recipe, Recipe.from_plain(recipe.plain())):
        _, said = saved.prepare(read_table(csv(tmp_path, f"x,p\n1,{new[0]}\n2,{new[1]}\n"), learned=([], True)))
        said = [note for note in said if "had the unit" in note]
        expected = f"p: the cells had the unit {unit} in training; {other} is not converted"
        assert said == [expected] * bool(other)
    content = recipe.plain()
    del content["columns"][0]["unit"]  # as earlier versions saved it
    assert Recipe.from_plain(content).columns[0].unit == ""


def test_each_category_is_one_input(tmp_path):
    recipe, X, said = learned(tmp_path, "city", ["Oslo", "Rome", "Oslo", "Rome", "Rome", "Bonn"])
    assert recipe.columns[0].categories == ["Oslo", "Rome"]
    assert recipe.columns[0].rare == ["Bonn"]
    np.testing.assert_array_equal(X, [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]])
    assert said == []
    assert "city has 3 categories: Oslo, Rome, Bonn; 1 rare one together as one (--drop city)" in recipe.decisions
    X, said = recipe.prepare(read_table(csv(tmp_path, "x,city\n1,Bonn\n1,Lima\n1,\n1,Kyiv\n"), learned=([], True)))
    np.testing.assert_array_equal(X[:, 1:], [[0, 0, 1], [0, 0, 1], [0, 1, 0], [0, 0, 1]])
    assert "'Lima' (" in said[0]
    assert "line 3) and 1 other word did not occur in training: counted with the rare ones" in said[0]
    assert "1 cell missing" in said[1]
    assert "filled with the most frequent category, 'Rome'" in said[1]


def test_missing_cells_are_filled_and_marked(tmp_path):
    recipe, X, _ = learned(tmp_path, "age", ["1", "", "3", "", "8", "1000"], rows=[0, 1, 2, 4])
    mean, scale = 4, np.sqrt(26 / 3)
    np.testing.assert_allclose(
        X, [[(v - mean) / scale, g] for v, g in ((1, 0), (3, 1), (3, 0), (3, 1), (8, 0), (1e3, 0))]
    )
    text = "age is a number; 1 of 4 cells missing, filled with the median 3 and marked (--categorical age)"
    assert text in recipe.decisions
    _, X, _ = learned(tmp_path, "sex", ["m", "f", "", "m", "f", "m"])
    np.testing.assert_array_equal(X, [[0, 1, 0], [1, 0, 0], [0, 1, 1], [0, 1, 0], [1, 0, 0], [0, 1, 0]])
    _, X, _ = learned(tmp_path, "deck", ["B", "", "", "B", "", ""])
    np.testing.assert_array_equal(X, [[0], [1], [1], [0], [1], [1]])  # only the mark of missing cells
    recipe, X, _ = learned(tmp_path, "pay", ["10", "unknown", "30", "20", "-", "20"])
    np.testing.assert_allclose(X[:, 0], np.array([-10, 0, 10, 0, 0, 0]) / np.sqrt(50))
    assert any("2 of 6 cells missing, among them 'unknown', '-'" in text for text in recipe.decisions)
    recipe, X, _ = learned(tmp_path, "pay", ["10", "\\N", "30", "(null)", "#DIV/0!", "20"])
    assert X[:, 1].tolist() == [0, 1, 0, 1, 1, 0]
    for missing in ("\\N", "[null]", "#NA"):
        _, X, _ = learned(tmp_path, "sex", ["m", "f", missing, "m", "f", "m"])
        np.testing.assert_array_equal(X, [[0, 1, 0], [1, 0, 0], [0, 1, 1], [0, 1, 0], [1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("zero", ["$ -", "$-", "$   -", "- €", "US$ –"])
def test_a_dash_with_a_currency_is_zero(tmp_path, zero):
    """As the accounting formats of spreadsheets show it."""
    pay = [zero.replace("-", "10").replace("–", "10").replace("   ", " "), zero, "30", zero, "20", "-"]
    recipe, X, _ = learned(tmp_path, "pay", pay)
    column = recipe.columns[0]
    np.testing.assert_allclose(X[:5, 0] * column.scale[0] + column.mean[0], [10, 0, 30, 0, 20], atol=1e-5)
    assert X[:, 1].tolist() == [0, 0, 0, 0, 0, 1]
    note = f"has '{zero}', which is 0 in accounting formats; if it means a missing cell, empty the cell"
    assert recipe.warnings == [f"pay {note}"]
    table = from_frame({"x": list(range(8)), "y": ["$ 1", "$ -", "$ 3.5", "$ 4", "$ 5", "$ 6", "$ 7", "$ 8"]}, "y")
    recipe = Recipe.learn(table, range(8), None, Choices(numeric=["x"]))
    assert recipe.target.mean == 34.5 / 8
    assert recipe.warnings == [f"y {note.replace(zero, '$ -')}"]


@pytest.mark.parametrize(
    ("name", "cells", "why"),
    [
        ("", range(6), "the unnamed column: a different whole number in each row"),
        ("Unnamed: 0", range(1, 7), "a different whole"),
        ("Unnamed: 0.1", [7, 3, 9, 1, 5, 4], "a different whole"),
        ("customer_id", [7, 3, 9, 1, 5, 4], "a different whole number"),
        *(
            (name, [7, 3, 9, 1, 5, 4], "a different whole number")
            for name in ("__index_level_0__", "level_0", "row_nr", "Row Number", "Nr.", "S. No.", "uid")
        ),
        ("PassengerId", range(1, 7), "a different whole number"),
        ("c", [5] * 6, "the same in all training rows"),
        ("c", ["a"] * 6, "the same in all training rows"),
        ("c", ["5"] * 5 + ["6"], "the same in all training rows"),
        ("c", [""] * 6, "no value in the training rows"),
        ("name", ["Ann", "Bob", "Cem", "Dan", "Eve", "Fay"], "a different text in each row"),
    ],
)
def test_useless_columns_are_left_out(tmp_path, name, cells, why):
    recipe, X, _ = learned(tmp_path, name, cells, rows=range(5))
    assert X.shape[1] == 0
    assert any(text.startswith("left out: ") and why in text for text in recipe.decisions)
    other = {"x": [3.5], name: ["whatever"]}
    np.testing.assert_array_equal(recipe.X(table_of(other)), recipe.X(table_of({"x": [3.5], name: [99]})))


def test_options_override_the_decisions(tmp_path):
    assert learned(tmp_path, "id", range(6), numeric=["id"])[1].shape[1] == 1
    assert learned(tmp_path, "c", [5] * 6, categorical=["c"])[1].tolist() == [[1]] * 6
    assert learned(tmp_path, "c", [1, 2, 1, 2, 1, 2], categorical=["c"])[1].tolist() == [[1, 0], [0, 1]] * 3
    assert learned(tmp_path, "c", [1, 2, 1, 2, 1, 2], drop=["c"])[1].shape[1] == 0
    _, X, _ = learned(tmp_path, "c", ["a", "3", "5", "a", "b", "b"], numeric=["c"])
    np.testing.assert_array_equal(X, [[0, 1], [-1, 0], [1, 0], [0, 1], [0, 1], [0, 1]])
    for choices, message in (
        ({"drop": ["z"]}, "unknown column in --drop 'z'; known: x, c"),
        ({"drop": ["y"]}, "--drop names the target 'y'"),
        ({"drop": ["c"], "numeric": ["c"]}, "--drop and --numeric both name 'c'"),
        ({"numeric": ["c"]}, "--numeric c: 'a' and all other cells are not numbers"),
        ({"drop": ["c", "x"]}, "no column left to learn from: x, c: because of --drop"),
    ):
        with pytest.raises(jitnet.Error, match=message):
            learned(tmp_path, "c", ["a", "a", "b", "b", "a", "b"], **choices)


def test_word_among_numbers_is_an_error(tmp_path):
    cells = [*map(str, range(40)), "oops"]
    with pytest.raises(
        jitnet.Error, match="line 42, column 'c': 'oops' is not a number, unlike most cells of the column"
    ):
        learned(tmp_path, "c", cells)
    recipe, _, _ = learned(tmp_path, "c", [*map(str, range(40)), "-"], rows=range(40))
    with pytest.raises(jitnet.Error, match=r"row 2, column 'c': 'shifted' is not a number"):
        recipe.X(table_of({"x": [1, 2], "c": ["3", "shifted"]}))
    with pytest.raises(jitnet.Error, match="row 1, column 'c': infinity is not a finite number"):
        recipe.X(table_of({"x": [1], "c": np.array([np.inf])}))


@pytest.mark.parametrize(
    ("cells", "said"),
    [(["FALSE", "TRUE", "True", "TRUE"], "FALSE; TRUE, True"), (["Yes", "no", "YES", "yes"], "no; Yes, YES, yes"),
        (["yes", "no", "yes", ""], "no; yes; 1 of 4 cells missing, filled with the most frequent, yes, and marked"),
        (["yes", "0", "1", "no", ""], "0, no; 1, yes; 1 of 5 cells missing, filled with the median 0.5 and marked")],
)  # fmt: skip
def test_spellings_of_yes_and_no_are_told_apart(tmp_path, cells, said):
    recipe, _, _ = learned(tmp_path, "b", cells)
    assert f"b is yes or no: {said} (--categorical b)" in recipe.decisions


def test_each_class_has_a_training_row():
    """If only test rows have a class, one of them moves to the training rows; the rest of the split stays the same."""
    rows = np.arange(60)
    for seed in range(20):
        codes = np.where(rows == 7, 2, rows % 2)
        codes[[3, 4]] = 3
        train, test = split_rows(rows, codes, 0.2, seed)
        plain = split_rows(rows, None, 0.2, seed)
        assert sorted([*train, *test]) == list(rows)
        assert set(codes[train]) == {0, 1, 2, 3}
        moved = set(train) - set(plain[0])
        assert len(moved) == 4 - len(set(codes[plain[0]]))


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        ([1.0, 2.0] * 4, "classification", ["1", "2"]),
        ([True, False] * 4, "classification", ["False", "True"]),
        ([i % 26 for i in range(260)], "regression", None),
        (list("abcdefghijklmnopqrstuvwxyz") * 4, "classification", 26),
        (["0", "1", "other", "0", "1", "other", "1", "0"], "classification", ["0", "1", "other"]),
        (["$5,000", "$6,100", "$7,200", "$8,300"], "regression", None),
        (["$1000", "$2000", "$3500", "$4200"] * 3, "regression", None),
        (["5%", "10 %", "20%"] * 3, "regression", None),
        (["1,000", "2,000", "3"] * 3, "classification", ["1,000", "2,000", "3"]),
        (["yes", "no"] * 4, "classification", ["no", "yes"]),
    ],
)
def test_task_follows_from_the_target(cells, task, classes):
    table = table_of({"x": list(range(len(cells))), "y": cells})
    table.target = "y"
    recipe = Recipe.learn(table, np.arange(len(cells)), None, Choices(numeric=["x"]))
    assert recipe.task == task
    assert classes in (recipe.classes, None if recipe.classes is None else len(recipe.classes))
    many_whole = cells == [i % 26 for i in range(260)]
    assert any("if they are classes, use --task classification" in text for text in recipe.warnings) == many_whole


def test_nearly_equal_labels_are_a_warning(tmp_path):
    table = table_of({"x": list(range(0, 16, 2)), "y": ["Cat", "dog", "cat ", "dog", "cat", "dog", "Cat", "New York"]})
    table.target = "y"
    recipe = Recipe.learn(table, np.arange(8), None)
    assert recipe.classes == ["Cat", "New York", "cat", "dog"]
    assert any("y has classes that are nearly the same: 'Cat' and 'cat'; if" in text for text in recipe.warnings)
    np.savez(tmp_path / "d.npz", X=np.ones((4, 1)), y=np.array([2**60, 2**60 + 1] * 2))
    assert read_table(tmp_path / "d.npz")["y"].values.tolist() == [str(2**60), str(2**60 + 1)] * 2


def test_damaged_columns_of_a_recipe_are_an_error(tmp_path):
    age = learned(tmp_path, "age", ["1", "", "3", "", "8", "1000"])[0].plain()
    city = learned(tmp_path, "city", ["Oslo", "Rome", "Oslo", "Rome", "Rome", "Bonn"])[0].plain()
    for good, changes in (
        (
            age,
            (
                {"form": "x"},
                {"scale": [0.0]},
                {"median": ["1"]},
                {"marked": 1},
                {"a": 1},
                {"lenient": None},
                *({"kind": value} for value in ("x", [])),
                *({"name": value} for value in (5, "other", "x")),
                *({"mean": value} for value in ([1, 2], [np.nan])),
                *({"first_year": value} for value in (None, 0, 1950.5, "1950")),
                *({"extent": value} for value in (None, 5, [1], [2, 1], [1, np.nan], ["a", "b"])),
                *({"gaps": value} for value in (None, "x", [1], ["x", "x"])),
            ),
        ),
        (
            city,
            (
                {"categories": "Oslo"},
                {"categories": ["a", "a"]},
                {"rare": [1]},
                {"rare": ["Oslo"]},
                {"marked": 0},
                {"most_frequent": None},
            ),
        ),
    ):
        for change in changes:
            with pytest.raises(jitnet.Error, match="recipe is damaged"):
                Recipe.from_plain({**good, "columns": [{**good["columns"][0], **change}]})
        for change in ({"columns": 5}, {"columns": [5]}, {"names": []}, {"names": ["x"]}, {"has_header": 1},
                       {"decisions": "a"}, {"warnings": [1]}, {"target_form": "x"}, {"columns": [{}]}, {"reading": []},
                       {"reading": {"a": "b"}}, {"reading": {"decimal": 1}}, {"extents": None}, {"extents": [[1]]},
                       {"extents": [[1, 2]] * 2}, {"extents": [[2, 1]]}, {"fingerprint": [-1]}):  # fmt: skip
            with pytest.raises(jitnet.Error, match="recipe is damaged"):
                Recipe.from_plain({**good, **change})


def test_recipes_of_the_first_version_can_be_read():
    """In the first version, all columns had to be numbers."""
    recipe = Recipe.from_plain(
        {
            "kind": "csv", "task": "classification", "features": ["a", "b"], "target": "y", "mean": [1.0, 0.5],
            "scale": [1.0, 2.0], "classes": ["1.0", "2"], "target_mean": 0.0, "target_scale": 1.0,
        }
    )  # fmt: skip
    table = table_of({"b": [1.5, 2.5], "a": [1, 2], "y": [1, 2.0]})
    table.target = "y"
    assert recipe.X(table, "float64").tolist() == [[0, 0.5], [1, 1]]
    assert recipe.X(table_of(np.array([[1, 1.5]])), "float64").tolist() == [[0, 0.5]]
    assert recipe.Y(table).tolist() == [0, 1]
    assert recipe.answers(np.eye(2)) == ["1.0", "2"]  # as in the file
    assert recipe.score(table, ["1.0", "2"]) == {"accuracy": 1}
    assert Recipe.from_plain(recipe.plain()).plain() == recipe.plain()


def test_columns_of_row_numbers_are_reported_or_left_out(tmp_path):
    """Named columns are kept, with a warning if they cannot be a few measurements or years; unnamed are left out."""
    said = "day seems to number the rows; if it means nothing else, leave it out: --drop day"
    for start, end in ((0, 6), (1, 7), (1000, 1021), (-7, 30), (2, 8), (300, 320), (1850, 2025)):
        recipe, X, _ = learned(tmp_path, "day", range(start, end))
        assert X.shape[1] == 1
        assert recipe.warnings == [said] * (start in (0, 1, 1000, -7))
    assert "key seems to number the rows" in learned(tmp_path, "key", [3, 1, 6, 2, 5, 4])[0].warnings[0]  # shuffled
    for cells in (range(0, 300, 10), range(160, 1600, 60), range(40, 0, -1), [*range(25), *range(27, 60)]):
        assert learned(tmp_path, "day", cells)[0].warnings == [said]
    gaps_in_years = [*range(1900, 1950), *range(1952, 2000)]
    for cells in (gaps_in_years, [7] * 30, range(0, 200, 10), [i * i for i in range(30)], [*range(24)] * 10):
        assert learned(tmp_path, "key", cells)[0].warnings == []
    for cells in ([3, 1, 6, 2, 5, 7], [3, 1, 1, 2, 5, 6], [0.5, 1, 2, 3, 4, 5], [0, 1, 2, 3]):
        assert learned(tmp_path, "key", cells)[0].warnings == []
    recipe, _, _ = learned(tmp_path, "customer_id", [7, 3, 7, 1, 3, 4])
    assert recipe.warnings == [
        "customer_id seems to be an identifier, and is learned as a quantity; leave it out, or learn its values as "
        "categories: --drop customer_id or --categorical customer_id"
    ]
    _, X, _ = learned(tmp_path, "", [*range(20), *range(20)])  # two tables, one below the other
    assert X.shape[1] == 0
    for start, kept in ((0, ["2"]), (1, ["2"]), (1000, ["1", "2"])):
        table = read_table(csv(tmp_path, "".join(f"{start + i},{i * i % 7},{'uv'[i % 2]}\n" for i in range(30))), "3")
        assert Recipe.learn(table, np.arange(30)).features == kept
    table = read_table(csv(tmp_path, "".join(f"{10 * i},{i * i % 7},{'uv'[i % 2]}\n" for i in range(30))), "3")
    assert Recipe.learn(table, np.arange(30)).features == ["1", "2"]


def test_numbers_too_large_to_standardize_are_one_error(tmp_path):
    """A NumPy warning would be an error here."""
    with pytest.raises(jitnet.Error, match="'m' are too large to be standardized"):
        learned(tmp_path, "m", ["1e308", "-1e308"] * 3)
    with pytest.raises(jitnet.Error, match="'m' are too large to be standardized"):
        learned(tmp_path, "m", ["1e308", "1.7e308"] * 3)  # their mean is infinite
    table = table_of({"x": [1.0, 2, 4, 3, 7], "z": np.array([0.0, 1, 2, 3, np.inf]), "y": list("uvuvu")})
    table.target = "y"
    with pytest.raises(jitnet.Error, match="row 5, column 'z': infinity is not a finite number"):
        Recipe.learn(table, np.arange(4)).X(table)


def test_one_training_row_has_no_constant_columns(tmp_path):
    assert learned(tmp_path, "c", ["a", "b"], rows=[0])[0].features == ["x", "c"]
    assert learned(tmp_path, "c", ["1", "2"], rows=[0])[0].features == ["x", "c"]


def test_texts_that_rarely_repeat_are_left_out(tmp_path):
    recipe, _, _ = learned(tmp_path, "note", [f"text {i // 2 if i < 8 else i}" for i in range(20)])
    assert "left out: note: nearly as many different texts as rows (--categorical NAME keeps it)" in recipe.decisions
    recipe, _, _ = learned(tmp_path, "note", [f"text {i // 2}" for i in range(20)])
    assert recipe.columns[0].categories == [f"text {i}" for i in range(10)]


def test_rows_without_names_need_all_columns_of_training(tmp_path):
    table = read_table(csv(tmp_path, "".join(f"{i * i % 7},{i % 3}.5,{'uv'[i % 2]}\n" for i in range(8))), "3")
    recipe = Recipe.learn(table, np.arange(8))
    assert recipe.X(table_of(np.ones((2, 2)))).shape == (2, 2)
    for columns in (1, 3):
        with pytest.raises(jitnet.Error, match="without names, but the model learned from 2: 1, 2"):
            recipe.X(table_of(np.ones((2, columns))))
    for text in ("1,2\n", "1,2,u\n"):
        assert recipe.X(read_table(csv(tmp_path, text), "3", learned=(recipe.names, False))).shape == (1, 2)
    with pytest.raises(jitnet.Error, match="has 4 columns without names"):
        recipe.X(read_table(csv(tmp_path, "1,2,3,4\n"), "3", learned=(recipe.names, False)))
    of_array = Recipe.learn(from_frame(table.X, table.y), np.arange(8))  # its target is not the third column
    with pytest.raises(jitnet.Error, match="has 3 columns without names, but the model learned from 2"):
        of_array.X(of_array.read(csv(tmp_path, "1,2,3\n")))


def test_number_of_categories_is_limited():
    table = table_of(
        {"w": [f"w{i // 2}" for i in range(20_002)], "x": np.arange(0, 20_002) / 7, "y": ["u", "v"] * 10_001}
    )
    table.target = "y"
    rows = np.arange(20_002)
    assert "left out: w: more than 10000 different texts" in Recipe.learn(table, rows).decisions
    with pytest.raises(jitnet.Error, match="--categorical w: 10001 different values; 10000 is the limit"):
        Recipe.learn(table, rows, None, Choices(categorical=["w"]))


def test_whole_numbers_with_images_are_classes():
    X, y = np.random.default_rng(0).random((78, 2, 2)), np.arange(78) % 26
    recipe = Recipe.learn(from_frame(X, y), np.arange(78))
    assert len(recipe.classes) == 26
    assert "26 different whole numbers: classes (--task regression)" in recipe.decisions[0]
    assert Recipe.learn(from_frame(X.reshape(78, 4), y), np.arange(78)).classes is None


@pytest.mark.parametrize(("count", "end"), [(1, "x0"), (12, "x11"), (13, "x11 and 1 more"), (20, "x11 and 8 more")])
def test_lists_of_columns_have_at_most_twelve_names(count, end):
    assert listed([f"x{i}" for i in range(count)]) == ", ".join([*(f"x{i}" for i in range(min(count, 12) - 1)), end])
    assert listed(["", "x"]) == "the unnamed column, x"


@pytest.mark.parametrize(
    "cells",
    ["pP", "012346", ["0,5", "1.5", "2.5"], ["$5", "€6"], ["1", "2", ""], ["5 kg", "6 kg", "7 kg"],
        [*"123456", "low"], ["14:30", "9:15"], ["2024-01-05", "2024-02-06"], [*map(str, range(20)), "-999"]],
)  # fmt: skip
def test_sentences_about_a_column_without_a_name_begin_with_words(cells):
    table = from_frame({"": (list(cells) * 70)[:70], "x": list("1234567") * 10, "y": list("ab") * 35}, "y")
    recipe = Recipe.learn(table, range(70))
    new = {"": ["r" if cells == "pP" else cells[0], None], "x": [1, 2]}
    said = [*recipe.decisions, *recipe.prepare(from_frame(new))[1]]
    assert not any(re.search("^[ :,]|  |: ,| :", sentence) for sentence in said), said
    assert any("the unnamed column" in sentence for sentence in said)
