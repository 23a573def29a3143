"""Numbers that stand for a missing cell, such as -999, are pointed out, and --missing empties these cells."""

import json
import warnings

import numpy as np
import pytest
from files import csv

import jitnet
from jitnet.data import Choices, Recipe, from_frame
from jitnet.data.sentinels import sentinels

QUICK = ("--backend", "numpy", "--hidden", "8", "--epochs", "3")
N = np.arange(120.0)


def some(*codes, among=N % 50):
    """The numbers, with each code in four rows."""
    values = among.copy()
    for j, code in enumerate(codes):
        values[[3 + j, 30 + j, 60 + j, 90 + j]] = code
    return values


FOUND = {
    "one below": (some(-999), {-999}),
    "one above": (some(9999), {9999}),
    "both ends": (some(-999, 9999), {-999, 9999}),
    "two below": (some(-998, -999), {-998, -999}),
    "minus one": (some(-1, among=1000 + N), {-1}),
    "zero": (some(0, among=1990 + N % 20), {0}),
    "nines near large numbers": (some(-999, among=20 * N), {-999}),
    "answers of a survey": (some(98, 99, among=1 + N % 5), {98, 99}),
    "integers of 16 bits": (some(-32768), {-32768}),
    "largest integer": (some(2147483647), {2147483647}),
    "yes and no": (some(-9, 77, among=N % 2), {-9, 77}),
}
NOT_FOUND = {
    "near": some(-1), "once": np.append(N, -999), "twice": np.append(N, [-999, -999]), "zeros": some(0, among=5 + N),
    "few values": np.tile([0.0, 1, 2, 1000], 30), "two values": np.tile([0.0, 1000], 60), "powers": 2.0 ** (N % 20),
    "not whole": some(-999.5), "squares": (N // 5) ** 2, "ages": 18 + N % 70, "most rows": some(*[-999] * 25),
    "rare in many rows": np.append(np.tile(N, 100), [-999] * 5), "constant": np.full(50, -999.0), "none": N[:0],
    "three digits that differ": some(150), "of a census": some(2777951, 4779118),
    "at the limit": some(100, among=N % 41),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_far_values_that_several_rows_have_are_found(name):
    values, found = FOUND[name]
    assert sentinels(values) == dict.fromkeys(found, 4)


@pytest.mark.parametrize("name", NOT_FOUND)
def test_ordinary_numbers_are_no_sentinels(name):
    assert sentinels(NOT_FOUND[name]) == {}


def test_no_column_of_the_bundled_digits_has_sentinels():
    assert not any(sentinels(pixel) for pixel in jitnet.data.digits()[0].T.astype(np.float64))


def lines(a, b, y):
    return "\n".join(["a,b,y", *(f"{i:g},{j:g},{k}" for i, j, k in zip(a, b, y, strict=True))]) + "\n"


def test_missing_on_the_command_line_equals_empty_cells(run, tmp_path):
    """Training, the saved model and its predictions are those of a file whose cells are empty."""
    a, y = some(-999), np.array(["u", "v"])[N.astype(int) % 2]
    csv(tmp_path, lines(a, N % 7, y), "codes.csv")
    (tmp_path / "gaps.csv").write_text((tmp_path / "codes.csv").read_text().replace("-999", ""))
    said = run("train", "codes.csv", "--target", "y", *QUICK)
    far = "far from its other numbers; if it means that the cell is missing, add --missing a=-999"
    assert any(f"note: a has -999 in {n} cells of training rows, {far}" in said.out for n in (3, 4))
    answers = []
    for name, options in (("codes", ["--missing", "a=-999"]), ("codes", ["--missing=-999.0"]), ("gaps", [])):
        said = run("train", f"{name}.csv", "--target", "y", *options, "--save", "m.npz", *QUICK)
        assert "far from" not in said.out + said.err
        assert "a is a number; 4 of 96 cells missing" in said.err or "3 of 96 cells missing" in said.err
        answers.append(run("predict", "m.npz", f"{name}.csv", "--proba", "--backend", "numpy").out)
        net = jitnet.load("m.npz")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if name == "gaps" else "error")  # there, -999 is outside of the range
            code, gap = (net.predict([{"a": value, "b": 3}], "numpy").tolist() for value in (-999, None))
            assert code == gap or name == "gaps"
    assert answers[0] == answers[1] == answers[2]


def test_missing_applies_to_the_target_and_to_text(run, tmp_path):
    y = np.where(N % 10 == 3, -999, N * 1.5)
    csv(tmp_path, lines(N % 50, N % 7, [f"{v:g}" for v in y]).replace(",3,", ",n.k.,"), "t.csv")
    options = ("--missing=-999,b=n.k.", "--save", "m.npz", "--json")
    said = run("train", "t.csv", "--target", "y", *options, *QUICK)
    assert json.loads(run("predict", "m.npz", "t.csv", "--json").out)["judged"] == 108
    decisions = json.loads(said.out)["decisions"]
    assert any("12 of 120 rows have no y and are left out" in sentence for sentence in decisions)
    assert any(sentence.startswith("b is a number; ") and "the median" in sentence for sentence in decisions)


def test_cells_of_a_target_are_counted_in_all_rows_and_those_of_features_in_the_training_rows():
    columns = {"a": some(-999), "y": some(-999, among=N * 1.5)}
    said = Recipe.learn(from_frame(columns, "y"), np.arange(80)).warnings
    assert [sentence.split(", far")[0] for sentence in said] == [
        "y has -999 in 4 cells", "a has -999 in 3 cells of training rows",
    ]  # fmt: skip


def test_targets_without_a_value_have_no_number():
    table = from_frame({"a": N % 50, "y": some(-999, among=N * 1.5)}, "y")
    known = np.flatnonzero(table["y"].values != -999)
    recipe = Recipe.learn(table, known, choices=Choices(missing=["y=-999"]))
    assert np.flatnonzero(np.isnan(recipe.Y(table)[:, 0])).tolist() == [3, 30, 60, 90]


def test_a_value_in_many_columns_is_offered_for_all_columns():
    columns = {name: some(-999) for name in "abcdef"} | {"y": ["u", "v"] * 60}
    (said,) = Recipe.learn(from_frame(columns, "y"), np.arange(120)).warnings
    assert said.endswith("add --missing=-999, for all columns")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--drop", "a", "--drop", "k"], ["left out: a, k: because of --drop"]),
        (["--categorical", "a", "--categorical", "b"], ["a has 7 categories", "b has 5 categories"]),
        (["--numeric", "k", "--numeric", "id"], ["4 columns of numbers: a, b, k, id"]),
        (["--missing", "a=1", "--missing", "b=2"], ["a is a number; ", "b is a number; "]),
    ],
    ids=lambda words: words[0],
)
def test_repeated_options_add_up(run, tmp_path, options, expected):
    rows = [f"{i % 7},{i % 5},5,{i},{i * 1.5}" for i in range(120)]
    csv(tmp_path, "\n".join(["a,b,k,id,y", *rows]) + "\n", "t.csv")
    said = run("train", "t.csv", "--target", "y", *options, "--json", *QUICK)
    decisions = json.loads(said.out)["decisions"]
    assert all(any(sentence.startswith(text) for sentence in decisions) for text in expected), decisions


def test_missing_in_python(tmp_path):
    columns = {"a": some(-999), "b": some(-999), "c": N % 7, "y": ["u", "v"] * 60}
    gaps = {**columns, "a": np.where(columns["a"] == -999, np.nan, columns["a"])}
    rows = np.arange(100)
    said = Recipe.learn(from_frame(columns, "y"), rows).warnings
    what = "a, b have -999 in 8 cells of training rows, far from their other numbers"
    assert said == [f"{what}; if it means that the cell is missing, add --missing a=-999,b=-999"]
    one = Recipe.learn(from_frame(columns, "y"), rows, choices=Choices(missing=["a=-999"], numeric=["b"]))
    other = Recipe.learn(from_frame(gaps, "y"), rows, choices=Choices(numeric=["b"]))
    assert one.warnings == other.warnings == []  # --numeric says that all are numbers
    for table in (columns, gaps):
        np.testing.assert_array_equal(one.prepare(from_frame(table))[0], other.prepare(from_frame(gaps))[0])
    assert Recipe.from_plain(one.plain()).missing == ["a=-999"]
    X, with_gaps = (np.column_stack([values["a"], values["c"]]) for values in (columns, gaps))
    recipe = Recipe.learn(from_frame(X, columns["y"]), rows, choices=Choices(missing=["-999"]))
    expected = Recipe.learn(from_frame(with_gaps, columns["y"]), rows).prepare(from_frame(with_gaps))[0]
    np.testing.assert_array_equal(recipe.prepare(from_frame(X))[0], expected)
    np.testing.assert_array_equal(recipe.prepare(from_frame(with_gaps))[0], expected)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("a=-99", "--missing a=-99: no cell of t.csv is '-99'"), ("q=-999", "unknown column in --missing 'q'"),
        ("=5,", "unknown column in --missing ''"), ("unknown", "--missing unknown: no cell of t.csv is 'unknown'"),
    ],
)  # fmt: skip
def test_values_and_columns_that_are_not_there_are_errors(run, tmp_path, entry, message):
    csv(tmp_path, lines(some(-999), N % 7, ["u", "v"] * 60), "t.csv")
    assert message in run("train", "t.csv", "--target", "y", f"--missing={entry}", *QUICK, status=2).err
    assert "--missing works with tables" in run("train", "digits", "--missing=0", *QUICK, status=2).err


def test_names_in_choices_are_spelled_as_those_of_columns():
    """Spaces around a name, and the two ways in which Unicode writes ü, do not matter."""
    columns = {"ü": some(-999), "b": N % 7, "c": N % 5, "d": np.arange(120) % 3 * 0.5, "y": ["u", "v"] * 60}
    plain = Choices(["d"], ["c"], ["b"], ["ü=-999"])
    other = Choices([" d"], ["c "], ["b "], ["u\u0308 = -999"])
    recipes = [Recipe.learn(from_frame(columns, "y"), N.astype(int), choices=choices) for choices in (plain, other)]
    assert recipes[0].decisions == recipes[1].decisions
    prepared = [recipe.prepare(from_frame(columns))[0] for recipe in recipes]
    np.testing.assert_array_equal(*prepared)


def test_a_value_can_be_named_for_all_columns_and_for_one():
    """As two warnings can offer it, one about the features and one about the target."""
    columns = {"a": some(-999), "y": some(-999, among=N * 1.5)}
    recipes = [
        Recipe.learn(from_frame(columns, "y"), np.arange(80), choices=Choices(missing=entries))
        for entries in (["-999"], [-999.0], ["-999", "y=-999"], ["a=-999", "-999"])
    ]
    assert all(recipe.decisions == recipes[0].decisions for recipe in recipes)


def test_a_value_can_have_an_equals_sign():
    """What comes before it is the name of a column only if a column of the training has this name."""
    columns = {"a": ["p", "b=c", "q", "a=b"] * 30, "a=b": ["r", "c", "s", "x=y"] * 30, "y": ["u", "v"] * 60}
    for entry, gaps in (("a=b=c", (0, 30)), ("a=a=b", (30, 0)), ("x=y", (0, 30)), ("a=b=x=y", (0, 30))):
        recipe = Recipe.learn(from_frame(columns, "y"), range(100), choices=Choices(missing=[entry]))
        table = recipe._emptied(from_frame({**columns, "x": ["y"] * 120}))
        assert tuple(int(table[name].missing.sum()) for name in ("a", "a=b", "x")) == (*gaps, 0), entry


def test_line_breaks_in_names_and_cells_are_escaped_in_sentences():
    table = from_frame({"a\nb": ["p\nq", "r", None] * 20, "c\nd": [1, 2, 3] * 20, "y": ["u\nv", "w"] * 30}, "y")
    said = Recipe.learn(table, range(60)).decisions
    assert not any("\n" in sentence.split(" (--")[0] for sentence in said), said
    assert any(sentence.startswith("a\\nb has 2 categories: p\\nq, r; 20 of 60 cells") for sentence in said)


@pytest.mark.parametrize("option", ["drop", "categorical", "numeric", "missing"])
def test_a_string_in_place_of_a_list_is_an_error(option):
    with pytest.raises(jitnet.Error, match=f"{option} is 'ab', but must be a list"):
        Choices(**{option: "ab"})
