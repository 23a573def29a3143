"""The bundled digits, splits, and recipes from a table to X and Y."""

from decimal import Decimal
from importlib import resources
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
from files import csv, table_of

import jitnet
from jitnet.data import Recipe, from_frame, read_table, split
from jitnet.data.preprocessing.columns import Standard
from jitnet.data.preprocessing.target import Target
from jitnet.data.split import split_rows
from jitnet.data.table import Kind


def test_bundled_digits_are_the_published_ones():
    X, y = jitnet.data.digits()
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((1797, 64), np.float32, (1797,), np.int64)
    assert (X.min(), X.max()) == (0, 1)
    np.testing.assert_array_equal(np.bincount(y), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    np.testing.assert_array_equal(X[0, :8] * 16, [0, 0, 5, 13, 9, 1, 0, 0])  # first row of the published file
    assert y[0] == 0
    file = resources.files("jitnet.data") / "digits.npz"
    assert len(file.read_bytes()) < 100_000
    with file.open("rb") as stream, np.load(stream) as archive:
        assert "CC BY 4.0" in str(archive["about"])


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_model_of_every_kind_of_table_can_be_loaded(kind):
    recipe = Recipe.learn(table_of([[0.5, 1], [0, 0], [1, 0.5], [1, 0]], [0, 1, 0, 1], kind), np.arange(4))
    assert Recipe.from_plain(recipe.plain()) == recipe


def test_split_is_shuffled_by_its_seed_and_checks_its_input():
    X, y = np.arange(50).reshape(10, 5), np.arange(10)
    (a, ya), (b, yb) = split(X, y, test=0.3, seed=1)
    assert (len(a), len(b)) == (7, 3)
    assert sorted([*ya, *yb]) == list(range(10))
    np.testing.assert_array_equal(a[:, 0], 5 * ya)
    np.testing.assert_array_equal(b[:, 0], 5 * yb)
    np.testing.assert_array_equal(split(X, y, 0.3, 1)[1][1], yb)
    np.testing.assert_array_equal(split(X, y)[1][1], split(X, y, 0.2, 0)[1][1])
    assert not np.array_equal(split(X, y, 0.3, 2)[1][1], yb)
    assert [len(part[1]) for part in split(X[:2], y[:2], 0.01)] == [1, 1]
    assert [len(part[1]) for part in split(X[:2], y[:2], 0.99)] == [1, 1]
    for call, message in (
        (lambda: split(X, y, test=0), "test is 0"), (lambda: split(X, y, test=1), "test is 1"),
        (lambda: split(X, y[:9]), "one entry per sample"), (lambda: split(X[:1], y[:1]), "at least 2"),
        (lambda: split(X, y, seed=-1), "seed is -1"), (lambda: split(X, 3), r"y \(\), but both need one entry"),
        (lambda: split(3, y), r"X has shape \(\) and y \(10,\)"),
        (lambda: split([[1], [2, 3]], [1, 2]), "X is not a rectangular array"),
        (lambda: split(SimpleNamespace(toarray=X.copy), y), r"X is a sparse matrix; write X.toarray\(\)"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()
    masked = split(np.ma.masked_equal(X, 7), y, test=0.3, seed=1)[0][0]
    np.testing.assert_array_equal(np.ma.getmaskarray(masked), a == 7)
    assert (a == 7).any()


def test_split_of_a_frame_of_numbers_gives_numbers():
    """fit(*split(frame, y)) takes what fit(frame, y) takes; text stays text."""
    pandas = pytest.importorskip("pandas", reason="needs an optional library")
    polars = pytest.importorskip("polars", reason="needs an optional library")
    whole = pandas.array([3, None, 5, 6], "Int64")
    frame = pandas.DataFrame({"b": [True, False, True, False], "i": whole, "f": [0.5, 1, 1.5, 2]})
    wanted = np.array([[1, 3, 0.5], [0, np.nan, 1], [1, 5, 1.5], [0, 6, 2]])
    order = split(np.arange(4), np.arange(4))[0][0]
    train = split(frame, np.arange(4))[0][0]
    assert train.dtype == np.float64
    np.testing.assert_array_equal(train, wanted[order])
    decimals = polars.DataFrame({"d": [Decimal("0.5"), Decimal(2), None, Decimal(1)]})
    np.testing.assert_array_equal(split(decimals, np.arange(4))[0][0], np.array([[0.5], [2], [np.nan], [1]])[order])
    assert split(frame.assign(t="1"), np.arange(4))[0][0].dtype == object


def test_training_rows_are_numbers_or_a_mask():
    table = table_of(np.arange(12.0).reshape(6, 2) ** 2, [0.5, 1.5, 1000, 3, 4, 5])
    expected = Recipe.learn(table, [1, 3, 4])
    for rows in (
        np.array([0, 1, 0, 1, 1, 0], bool),
        [False, True, False, True, True, False],
        np.array([1, 3, 4], "u1"),
    ):
        assert Recipe.learn(table, rows) == expected
    for rows in ([True, False], [0.0, 1.0], [6], [-1], [], None, 3, slice(3), [[1, 2]]):
        with pytest.raises(
            jitnet.Error, match=r"the training rows are .*, but must be numbers from 0 to 5, or True and"
        ):
            Recipe.learn(table, rows)
    with pytest.raises(jitnet.Error, match=r"the table is a dict; write jitnet.data.from_frame\(X, y\)"):
        Recipe.learn({"x": [1, 2]}, [0, 1])


def test_rows_and_targets_in_python_are_taken_as_they_are():
    """For `Recipe.X` and `evaluate`, as for `predict`."""
    columns = {"x": [1.5, 2.5, 4, 3], "w": ["u", "v", "v", "u"]}
    table = from_frame(columns, list("abab"))
    recipe = Recipe.learn(table, range(4))
    np.testing.assert_array_equal(recipe.X(columns), recipe.X(table))
    net = jitnet.Network(jitnet.Dense(recipe.inputs, 2, "softmax"), seed=0)
    net.recipe = recipe.plain()
    expected = net.evaluate(columns, list("abab"))
    assert net.evaluate(columns, np.array([["a"], ["b"], ["a"], ["b"]])) == expected
    pandas = pytest.importorskip("pandas", reason="needs an optional library")
    assert net.evaluate(pandas.DataFrame(columns), pandas.DataFrame({"y": list("abab")})) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"header": 0}, "header is 0, but must be True or False"), ({"header": "no"}, "header is 'no', but must"),
        ({"separator": 44}, "separator is 44, but must be a string"), ({"encoding": 8}, "encoding is 8, but must be"),
        ({"features": "x"}, "features is 'x', but must be a list"),
    ],
)  # fmt: skip
def test_options_of_reading_are_checked(tmp_path, options, message):
    with pytest.raises(jitnet.Error, match=message):
        read_table(csv(tmp_path, "x,y\n1,a\n2,b\n"), "y", **options)


def test_recipe_is_learned_from_training_rows_only():
    X = np.array([[1.0, 10], [3, 10], [1000, 10]])
    recipe = Recipe.learn(table_of(X, [0.5, 1.5, 1000]), np.array([0, 1]), None)
    assert (recipe.task, recipe.standard) == (
        "regression",
        Standard(["0"], [2], [1], [[1, 3]]),
    )  # the second is constant
    assert (recipe.target.mean, recipe.target.scale) == (1, 0.5)
    np.testing.assert_array_equal(recipe.X(table_of(X, [0] * 3)), [[-1], [1], [998]])
    np.testing.assert_array_equal(recipe.Y(table_of(X, [0.5, 1.5, 2.0])), [[-1], [1], [2]])
    third = table_of(X / 3, [1 / 3] * 3)
    for dtype in ("float32", "float64"):
        assert recipe.X(third, dtype).dtype == recipe.Y(third, dtype).dtype == dtype
    assert recipe.X(third, "float64")[0, 0] == 1 / 3 - 2
    assert recipe.answers(np.array([[-1.0], [2.0]], np.float32)) == [0.5, 2.0]


@pytest.mark.parametrize("shape", [(40, 3), (7, 1)])
def test_matrix_is_standardized_as_numpy_does(shape):
    X = np.random.default_rng(shape[0]).normal(5, [1, 10, 100][: shape[1]], shape)
    recipe = Recipe.learn(from_frame(X, X[:, 0]), np.arange(len(X)), "regression")
    other = X[::-1] + 1
    expected = (other - X.mean(0)) / X.std(0)
    np.testing.assert_allclose(recipe.X(from_frame(other, X[:, 0]), "float64"), expected, rtol=1e-12)


def test_recipe_divides_by_the_scale():
    recipe = Recipe.learn(table_of(np.array([[10.0], [18]]), [3.0, 4.0]), np.arange(2), "regression")
    assert recipe.standard == Standard(["0"], [14], [4], [[10, 18]])
    assert recipe.target == Target("y", None, 3.5, 0.5, "1234.5")
    recipe = Recipe.from_plain(recipe.plain())
    assert recipe.X(table_of(np.array([[6.0], [14], [16]]), [0] * 3)).tolist() == [[-2], [0], [0.5]]
    assert recipe.Y(table_of(np.zeros((2, 1)), [3.0, 4.5])).tolist() == [[-1], [2]]
    assert recipe.answers(np.array([[-1.0], [2.0]])) == [3, 4.5]


def test_recipe_numbers_the_classes_in_order():
    for y, classes in ((["b", "a", "c", "a"] * 2, ["a", "b", "c"]), ([10, 9, 2, 9] * 2, ["2", "9", "10"])):
        table = table_of(np.eye(8), y)
        recipe = Recipe.learn(table, np.arange(2), None)
        assert (recipe.task, recipe.classes, recipe.target.width) == ("classification", classes, 3)
        assert [recipe.classes[i] for i in recipe.Y(table)] == [str(name) for name in y]
        assert recipe.answers(np.eye(3, dtype=np.float32)) == classes
        assert Recipe.from_plain(recipe.plain()) == recipe


def test_recipe_for_images_has_one_scale():
    recipe = Recipe.learn(table_of([[0, 1e-3], [0, 0], [2, 0], [2, 0]], [0, 1, 0, 1], "pictures"), np.arange(4), None)
    assert len(set(recipe.standard.scale)) == 1


def test_likely_task_depends_on_the_target():
    many = np.arange(50)
    for y, task in ((many, "regression"), (many % 20, "classification"), (many / 7, "regression")):
        assert Recipe.learn(table_of(np.arange(50.0)[:, None], y), np.arange(50), None).task == task
    assert Recipe.learn(table_of(np.arange(50.0)[:, None], many % 3), np.arange(50), "regression").task == "regression"


def test_thirty_whole_numbers_beside_images_are_classes(tmp_path):
    """Beside a table, they are quantities."""
    whole = np.arange(320.0).reshape(80, 2, 2)
    with_gaps = np.where(whole == 7, np.nan, whole)
    y, rows = np.arange(80) % 30, np.arange(80)
    np.savez(tmp_path / "images.npz", X=whole, y=y)
    for table in (from_frame(whole, y), from_frame(with_gaps, y), read_table(tmp_path / "images.npz")):
        assert Recipe.learn(table, rows, None).task == "classification"
    assert Recipe.learn(from_frame(whole[:, 0], y), rows, None).task == "regression"


@pytest.mark.parametrize(
    ("X", "y", "task", "message"),
    [
        (np.ones((3, 1)), [1, 1, 1], None, "only one class, '1'"),
        (np.ones((3, 1)), np.array([None] * 3, object), "classification", "the target 'y' is missing in all rows"),
        (np.ones((3, 1)), ["a", "b", "a"], "regression", "column 'y': regression cannot learn 'a'"),
        (np.ones((3, 1)), [1, 2, 1], "classificaton", "unknown task .*did you mean 'classification'"),
        (np.full((3, 1), np.nan), [1, 2, 1], None, "no column left to learn from: 0: no value"),
        (np.ones((3, 1)), [1, 2, np.inf], None, "row 3, column .y.: infinity is not a finite number"),
        (np.ones((3, 1)), [1, 2, np.inf], "classification", "row 3, column .y.: infinity is not a finite number"),
    ],
)
def test_bad_target_is_a_clear_error(X, y, task, message):
    with pytest.raises(jitnet.Error, match=message):
        Recipe.learn(table_of(X, y), np.arange(3), task)


def test_recipe_rejects_unknown_classes_and_missing_columns():
    recipe = Recipe.learn(table_of(np.eye(3), ["a", "b", "a"]), np.arange(3), None)
    with pytest.raises(jitnet.Error, match="class 'z' is not one that the model learned: a, b"):
        recipe.Y(table_of(np.eye(3), ["a", "z", "a"]))
    with pytest.raises(jitnet.Error, match="a table lacks the column 2 that the model learned from; it has 0, 1, y"):
        recipe.X(table_of(np.ones((3, 2)), ["a", "b", "a"]))
    without = table_of(np.eye(3), None)
    for call in (lambda: recipe.Y(without), lambda: Recipe.learn(without, np.arange(3), None)):
        with pytest.raises(jitnet.Error, match="no target"):
            call()
    numbers = Recipe.learn(table_of(np.eye(3), [0.5, 1.5, 2.5]), np.arange(3), None)
    with pytest.raises(jitnet.Error, match="column 'y': the target 'a' is not a number, but the model learned numbers"):
        numbers.Y(table_of(np.eye(3), ["a", "b", "a"]))
    assert numbers.score(table_of(np.eye(3), ["a", "b", "a"]), [1, 2, 3]) == {}
    assert numbers.score(without, [1, 2, 3]) == {}
    with pytest.raises(jitnet.Error, match="answer for row 2 is not finite"):
        numbers.answers(np.array([[1.0], [np.nan]]))


def test_damaged_recipe_is_an_error():
    good = Recipe.learn(table_of(np.eye(3), ["a", "b", "a"]), np.arange(3), None).plain()
    assert Recipe.from_plain(good).plain() == good
    changes = [
        {"mean": [1]}, {"scale": [0.0, 1, 1]}, {"mean": ["x"] * 3}, {"x": 1}, {"classes": {"a": 1}}, {"classes": 5},
        {"target_mean": "1.5"}, {"target_scale": 0.0}, {"mean": [np.nan] * 3}, {"classes": None},
        {"features": [1, 2, 3]}, {"scale": 3},
    ]  # fmt: skip
    for bad in [{}, [], *({**good, **change} for change in changes)]:
        with pytest.raises(jitnet.Error, match="recipe is damaged"):
            Recipe.from_plain(bad)


def test_numbers_too_large_to_standardize_are_an_error():
    with pytest.raises(jitnet.Error, match="column '0' are too large to be standardized"):
        Recipe.learn(table_of([[1e200], [-1e200], [3e200]], [0, 1, 0]), np.arange(3), None)
    recipe = Recipe.learn(table_of([[1], [2], [3]], ["a", "b", "a"]), np.arange(3), None)
    with pytest.raises(jitnet.Error, match=r"row 2, column '0': 1e\+300 is too far from what was learned"):
        recipe.X(table_of([[1], [1e300]], ["a", "b"]))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([f"2024-01-0{i}" for i in range(1, 7)], "row 1, column 'a': 'soon' is not a date like year-month-day"),
        ([f"9:0{i}" for i in range(6)], "row 1, column 'a': 'soon' is not a time like"),
    ],
)
def test_text_in_a_column_of_dates_or_times_is_an_error(cells, message):
    recipe = Recipe.learn(from_frame({"a": cells}, list("uvuvuv")), np.arange(6), None)
    with pytest.raises(jitnet.Error, match=message):
        recipe.X(from_frame({"a": ["soon"]}))


def test_classes_of_the_test_rows_alone_are_exchanged_for_the_last_rows_of_the_most_frequent():
    a, b, *others = np.random.default_rng(0).permutation(5).tolist()
    codes = np.zeros(5, np.int64)
    codes[[a, b]] = 1, 2
    train, held_out = split_rows(np.arange(5), codes, 0.4, 0)
    assert (train.tolist(), held_out.tolist()) == ([others[0], b, a], [others[2], others[1]])


def test_images_and_tables_cannot_be_mixed():
    bytes_, y = np.array([[0, 255.0], [255, 0]]), ["a", "b"]
    pictures = Recipe.learn(table_of(bytes_ / 255, y, "pictures"), np.arange(2), None)
    plain = Recipe.learn(table_of(bytes_, y, "npz"), np.arange(2), None)
    assert np.isfinite(pictures.X(table_of(bytes_ / 255, y, "npz"))).all()
    for recipe, table in ((pictures, table_of(bytes_, y, "npz")), (plain, table_of(bytes_ / 255, y, "pictures"))):
        with pytest.raises(jitnet.Error, match="give a file of the same kind"):
            recipe.X(table)
