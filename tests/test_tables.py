"""Tables from CSV and NPZ files, and errors for wrong files."""

import numpy as np
import pytest
from files import csv

import jitnet
from jitnet.data import Recipe, from_frame, read_table


def test_csv_with_header_is_read(tmp_path):
    table = read_table(csv(tmp_path, "width, species ,height\n1,cat,2.5\n3,dog,-4e-1\n"), "species")
    np.testing.assert_array_equal(table.X, [[1, 2.5], [3, -0.4]])
    assert list(table.y) == ["cat", "dog"]
    assert (table.features, table.target, table.kind) == (["width", "height"], "species", "csv")


def test_csv_without_header_is_read(tmp_path):
    table = read_table(csv(tmp_path, "1,2,cat\n3,4,dog\n"), "3")
    np.testing.assert_array_equal(table.X, [[1, 2], [3, 4]])
    assert (table.features, list(table.y)) == (["1", "2"], ["cat", "dog"])


@pytest.mark.parametrize(
    "text",
    [
        "a;b;y\n1;2;0\n3;4;1\n", "a\tb\ty\n1\t2\t0\n3\t4\t1\n", "\ufeffa,b,y\r\n1,2,0\r\n3,4,1\r\n",
        "a,b,y\n1,2,0\n\n3,4,1",
        '"a","b","y"\n"1","2",0\n3,"4",1\n', "\n\na,b,y\n1,2,0\n ,\n3,4,1\n , ,\n",
    ],
)  # fmt: skip
def test_csv_dialects_are_recognized(tmp_path, text):
    table = read_table(csv(tmp_path, text), "y")
    np.testing.assert_array_equal(table.X, [[1, 2], [3, 4]])
    assert (table.features, table.y.tolist()) == (["a", "b"], [0, 1])


def test_csv_separator_follows_from_the_first_line(tmp_path):
    table = read_table(csv(tmp_path, "x;y\n1;a,b,c\n2;d,e,f\n"), "y")
    assert (table.X.tolist(), list(table.y)) == ([[1], [2]], ["a,b,c", "d,e,f"])


def learn(tmp_path, cells, task=None):
    """The recipe for a CSV file with these targets."""
    table = read_table(csv(tmp_path, "x,y\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))), "y")
    return Recipe.learn(table, np.arange(len(cells)), task), table


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        (["1", "2", "10"] * 2, "classification", ["1", "2", "10"]),  # in numerical order
        (["01", "1", "007"] * 2, "classification", ["01", "1", "007"]),  # as in the file, never merged
        (["1_1", "11"], "classification", ["11", "1_1"]),
        (["b", "a", "1"], "classification", ["1", "a", "b"]),
        (["0", "1", "2", "other"] * 2, "classification", ["0", "1", "2", "other"]),
        (["0", "1", "other"] * 2, "classification", ["0", "1", "other"]),  # each occurs twice
        (["1.5", "2"], "regression", None),
        (["1.0", "2", "1", "2.0"], "classification", ["1", "2"]),  # two spellings of a value
        ([str(1000 * i) for i in range(12)], "regression", None),  # a dozen prices are not classes
        (["1e100", "1.5"], "regression", None),
        ([str(i) for i in range(30)], "regression", None),
        ([str(i % 3) for i in range(30)], "classification", ["0", "1", "2"]),
    ],
)
def test_csv_target_decides_task_and_classes(tmp_path, cells, task, classes):
    recipe, table = learn(tmp_path, cells)
    assert (recipe.task, recipe.classes) == (task, classes)
    if classes:
        names = [cell.removesuffix(".0") for cell in cells]
        assert [recipe.classes[i] for i in recipe.Y(table)] == names
        assert recipe.score(table, names) == {"accuracy": 1.0}
    else:
        assert recipe.score(table, [float(cell) for cell in cells]) == {"rmse": 0.0}


def test_csv_typing_error_does_not_make_classes_of_numbers(tmp_path):
    """One typing error in a column of numbers must not make every number a class."""
    for task in (None, "regression"):
        with pytest.raises(jitnet.Error, match=r"line 12, column 'y': 'l0' is not a number, but 39 of 40 targets are"):
            learn(tmp_path, ["l0" if i == 10 else str(i) for i in range(40)], task)
    with pytest.raises(jitnet.Error, match=r"has 40 values in 40 rows, such as 'l0': too many for classes"):
        learn(tmp_path, ["l0" if i == 10 else str(i) for i in range(40)], "classification")


def test_csv_prices_mixed_with_words_are_an_error(tmp_path):
    """Words in a third of the rows are more than typing errors, but the prices are not classes."""
    with pytest.raises(jitnet.Error, match=r"line 2, column 'y': 'sold' is not a number, but 12 of 18 targets are"):
        learn(tmp_path, ["sold" if i % 3 == 0 else f"${100 + i}" for i in range(18)])
    with pytest.raises(jitnet.Error, match="'sold' is not a number, but 3 of 5 targets are"):
        learn(tmp_path, ["100", "sold", "102", "sold", "103"])
    grades = ["1", "1-", "2", "2-"] * 5
    assert learn(tmp_path, grades)[0].classes == ["1", "1-", "2", "2-"]


def test_csv_targets_with_missing_value_names_are_a_warning(tmp_path):
    recipe, _ = learn(tmp_path, ["red", "blue", "unknown", "-"] * 5)
    sentence = "y has the class '-', 'unknown'; if it means that the target is missing, empty these cells"
    assert sentence in recipe.warnings
    assert "has the class" not in str(learn(tmp_path, ["mint", "oil", "none"] * 5)[0].warnings)  # treatments
    with pytest.raises(jitnet.Error, match=r"the target 'y' is 7.5 in all rows: nothing to learn"):
        learn(tmp_path, ["7.5"] * 20)


def test_csv_empty_columns_of_a_spreadsheet_are_left_out(tmp_path):
    table = read_table(csv(tmp_path, "a,b,y,,\n1,2,0,,\n3,4,1,,\n"), "y")
    assert table.names == ["a", "b", "y"]
    assert read_table(csv(tmp_path, "a,b,y,\n1,2,0,\n3,4,1,7\n"), "y").names == ["a", "b", "y", ""]


def test_csv_target_name_shows_that_there_is_a_header(tmp_path):
    table = read_table(csv(tmp_path, "a,2019,2020,y\n1,2,3,x\n"), "y")
    assert table.features == ["a", "2019", "2020"]


def test_csv_separators_within_quotes_are_ignored(tmp_path):
    table = read_table(csv(tmp_path, '"height, cm";"weight, kg";y\n1;2;x\n'), "y")
    assert table.features == ["height, cm", "weight, kg"]


def test_csv_to_predict_can_have_blank_targets(tmp_path):
    table = read_table(csv(tmp_path, "a,y\n1,\n2,x\n"), "y", features=["a"])
    assert table["y"].values.tolist() == [None, "x"]
    np.testing.assert_array_equal(table["y"].missing, [True, False])


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("a,b,y\n1,2,0\n3,4\n", "y", r"data.csv, line 3 has 2 cells, but the table has 3 columns"),
        ("a,b,y\n1,2,0\n3,4,1,9\n", "y", "line 3 has 4 cells"),
        ("a,b,y\n1,2,0\nx,4,1\n", "y", r"line 3, column 'a': 'x' is not a finite number"),
        ("a,b,y\n1,,0\n", "y", r"line 2, column 'b': a missing cell is not a finite number"),
        ("a,b,y\n1,nan,0\n", "y", "a missing cell is not a finite number"),
        ("a,b,y\n1,inf,0\n", "y", "'inf' is not a finite number"),
        ("a,b,y\n1,2,0\n1,2,\n", "y", "line 3: the target 'y' is missing"),
        ("a,b,y\n1,2,nan\n", "y", "line 2: the target 'y' is missing"),
        ("a,b,y\n1_000,2,0\n", "y", "'1_000' is not a finite number"),
        ("a,b,label\n1,2,0\n", "lable", "data.csv has no column 'lable'; its columns: a, b, label .*'label'"),
        (
            "a,b,y\n1,2,0\n",
            None,
            r"name the column of .* to learn with --target NAME \(in Python target=NAME\); columns: a, b, y",
        ),
        ("a,a,y\n1,2,0\n", "y", "two columns called 'a'"),
        ("a,b,y\n", "y", "a header but no rows"),
        ("", "y", "is empty"),
        ("\n \n", "y", "is empty"),
        ("y\n1\n", "y", "no column besides the target"),
        ('a,y\n"1,2\n', "y", "line 2: a quote is never closed"),
        ('"a,y\n1,2\n3,4\n', "y", "line 1: a quote is never closed"),
        ("Prices,,\na,b,y\n1,2,0\n", "y", "2 columns without a name"),
        (
            "a~y\n1~2\n",
            "y",
            "has no column 'y'; its columns: a~y; if it has several, name what separates them with --separator",
        ),
    ],
)
def test_bad_csv_is_a_clear_error(tmp_path, text, target, message):
    def read():
        table = read_table(csv(tmp_path, text), target)
        return table.X, table.y

    with pytest.raises(jitnet.Error, match=message):
        read()


def test_csv_to_predict_is_matched_by_column_names(tmp_path):
    """Columns are found by name in any order, or by number without a header; the target is optional."""
    options = {"target": "y", "features": ["a", "b"]}
    table = read_table(csv(tmp_path, "b,extra,a\n2,hello,1\n4,world,3\n"), **options)
    np.testing.assert_array_equal(table.X, [[1, 2], [3, 4]])
    assert table.y is None
    assert read_table(csv(tmp_path, "b,y,a\n2,cat,1\n"), **options).y.tolist() == ["cat"]
    with pytest.raises(jitnet.Error, match=r"lacks the columns b that the model learned from$"):
        read_table(csv(tmp_path, "a,y\n1,2\n"), **options)
    with pytest.raises(
        jitnet.Error, match="lacks the columns a, b that the model learned from; it seems to have no header"
    ):
        read_table(csv(tmp_path, "1,2,3,4\n"), **options)
    with pytest.raises(jitnet.Error, match="lacks the columns a, b, c, d, e and 2 more"):
        read_table(csv(tmp_path, "x\n1\n"), "y", features=list("abcdefg"))
    assert read_table(csv(tmp_path, "a,note,b,note\n1,x,2,y\n"), **options).X.tolist() == [[1, 2]]
    by_number = {"target": "1", "features": ["2", "3"]}
    np.testing.assert_array_equal(read_table(csv(tmp_path, "cat,5,6\n"), **by_number).X, [[5, 6]])
    without = read_table(csv(tmp_path, "5,6\n7,8\n"), **by_number)
    np.testing.assert_array_equal(without.X, [[5, 6], [7, 8]])
    assert without.y is None


def test_npz_is_read(tmp_path):
    path = tmp_path / "data.npz"
    X, y = np.arange(24, dtype=np.int16).reshape(4, 3, 2), np.array([0, 1, 0, 1], np.uint8)
    for save in (np.savez, np.savez_compressed):
        save(path, X=X, y=y)
        table = read_table(path)
        np.testing.assert_array_equal(table.X, X.reshape(4, 6))
        np.testing.assert_array_equal(table.y, y)
        assert table.features == ["1", "2", "3", "4", "5", "6"]
    np.savez(path, X=np.asfortranarray(X.reshape(4, 6)), y=np.array(["a", "b", "a", "b"])[:, None])
    np.testing.assert_array_equal(read_table(path).X, X.reshape(4, 6))
    assert read_table(path).y.tolist() == ["a", "b", "a", "b"]
    for y, read in ((["a", "", "NA", "b"], ["a", None, None, "b"]), (["ä", "b"] * 2, ["ä", "b"] * 2),
                    (np.char.encode(["ä", "b"] * 2, "utf-8"), ["ä", "b"] * 2), (["1", "2.0"] * 2, [1, 2, 1, 2]),
                    ([True, False] * 2, ["True", "False"] * 2)):  # fmt: skip
        np.savez(path, X=np.ones((4, 2)), y=y)
        assert read_table(path)["y"].values.tolist() == read
    np.savez(path, X=np.array([[2**60 + 1, 1], [2**60 + 2, 2]]), y=np.array([2**63, 2**63 + 1], np.uint64))
    assert read_table(path)["1"].values.tolist() == [str(2**60 + 1), str(2**60 + 2)]
    assert read_table(path).y.tolist() == [str(2**63), str(2**63 + 1)]
    np.savez(path, X=X)
    assert read_table(path, features=["1"]).y is None
    gaps = np.array([[1, np.nan], [2, 3], [3, 5], [4, 7]])
    np.savez(path, X=gaps, y=[0, 1, 0, 1])
    table = read_table(path)
    recipe = Recipe.learn(table, [1, 2, 3])  # the gap is not among the training rows
    np.testing.assert_array_equal(recipe.X(table), recipe.X(from_frame(gaps)))
    assert recipe.prepare(table)[1] == [f"2: 1 cell missing ({path}, row 1), none in training: filled with the mean, 5"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((2, 2)), "y": np.ones(2)}, r"lacks X; it holds: x, y; write numpy.savez\(FILE, X=X, y=y\)"),
        ({"X": np.ones((2, 2))}, "lacks y"),
        ({"X": np.ones((0, 5)), "y": []}, "at least one"),
        ({"X": np.ones(2), "y": np.ones(2)}, r"X in .* is \(2,\)"),
        ({"X": np.array([["a"]]), "y": np.ones(1)}, "must be numbers"),
        ({"X": np.ones((2, 2)), "y": np.ones(3)}, r"y in .* is \(3,\) float64, but must be numbers or strings \(2,\)"),
        ({"X": np.ones((2, 2)), "y": np.eye(2)}, r"numbers or strings \(2,\); for one-hot rows, save y.argmax"),
        ({"X": np.ones((2, 2)), "y": np.array([{}, 1])}, "Python objects"),
    ],
)
def test_bad_npz_is_a_clear_error(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(jitnet.Error, match=message):
        read_table(tmp_path / "data.npz")


def test_damaged_npz_is_a_clear_error(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, X=np.ones((20, 3)), y=np.ones(20))
    content = path.read_bytes()
    for damaged in (b"", content[:50], content[:-30], content.replace(b"\0\0\xf0?", b"\0\1\xf0?", 1)):
        path.write_bytes(damaged)
        with pytest.raises(jitnet.Error, match=r"data\.npz is not a readable \.npz file"):
            read_table(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_table(tmp_path / "none.npz")
