"""Notes of `jitnet train` about cells that are missing, and names that are empty."""

import re

import numpy as np
import pytest
from files import csv

import jitnet
from jitnet.cli import samples
from jitnet.data import Choices, Recipe, from_frame
from jitnet.data.text_column import Words

QUICK = ("--epochs", "1", "--hidden", "4", "--backend", "numpy")
Y = ("--target", "y")
ROWS = range(40)


def learned(columns, rows=ROWS, **choices):
    return Recipe.learn(from_frame({"x": [i % 7 for i in ROWS], **columns, "y": ["u", "v"] * 20}, "y"), rows,
                        choices=Choices(**choices))  # fmt: skip


def filled(n, cell="note"):
    """A column of 40 rows with n values."""
    return [f"{cell}{i % 2}" if i < n else None for i in ROWS]


IT = "if it is a note or another table beside the data, leave it out"
THEY = "if they are notes or another table beside the data, leave them out"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"": filled(2)}, f"in the unnamed column (95 %); {IT}: --drop '(unnamed)'"),
        ({"n": [1.5, 2.5, 3.5, *[None] * 37]}, f"in n (92 %); {IT}: --drop n"),
        ({"m": filled(4), "c": filled(7)}, f"in m (90 %), c (82 %); {THEY}: --drop m,c"),
        ({"m": filled(8)}, None), ({"m": [f"t{i}" if i < 6 else None for i in ROWS]}, None), ({"m": [None] * 40}, None),
    ],
)  # fmt: skip
def test_columns_with_few_cells_are_a_warning(columns, said):
    recipe = learned(columns)
    assert recipe.warnings == [f"most training cells are missing {said}"] * (said is not None)
    assert learned(columns, drop=list(columns)).warnings == []
    if said:  # they are learned as before
        assert set(columns) < set(recipe.features)


def test_the_training_rows_alone_decide_whether_a_column_has_few_cells():
    cells = [*filled(40)[:20], *[None] * 20]
    assert learned({"m": cells}, range(16, 40)).warnings != []
    assert learned({"m": cells}, range(20)).warnings == []


@pytest.mark.parametrize("last", [",,,", "Total,,,", ",999,-5,"])
def test_rows_without_a_target_cause_no_other_notes(run, tmp_path, last):
    rows = "".join(f"{'pq'[i % 2]},{i % 7},{i * i % 9 + 0.5},{'uv'[i % 2]}\n" for i in range(40))
    path = csv(tmp_path, f"a,b,c,y\n{rows}{last}\np,3,2.5,u\n")
    said = run("train", path, "--target", "y", *QUICK).out
    notes = [line for line in said.splitlines() if line.startswith("note:")]
    assert notes == [f"note: 1 of 42 rows has no y and is left out (first: {path}, line 42)"]


def test_notes_name_the_rows_of_the_file_if_others_are_left_out(run, tmp_path):
    """The row 42 is among the test samples with some seed."""
    rows = "".join(f"{i % 7},{'' if i == 5 else 'uv'[i % 2]}\n" for i in range(40))
    path = csv(tmp_path, f"b,y\n{rows}999,u\n")
    found = [run("train", path, "--target", "y", "--seed", str(seed), *QUICK).out for seed in range(8)]
    assert any(f"the first 999 ({path}, line 42)" in said for said in found)
    frame = from_frame({"b": [0, 1, 2, 3, 9], "y": ["u", None, "v", "u", None]}, "y")
    part = frame.of_rows(np.array([0, 2, 3]))
    assert [part.where(row) for row in range(3)] == ["X, row 1", "X, row 3", "X, row 4"]
    assert (part["b"].values.tolist(), part["y"].values.tolist()) == ([0, 2, 3], ["u", "v", "u"])
    part = from_frame(np.arange(6.0).reshape(3, 2), [1, 2, 3]).of_rows(np.array([1]))
    assert (part.matrix.tolist(), part.where(0)) == ([[2, 3]], "X, row 2")


def test_unnamed_in_parentheses_is_the_unnamed_column(run, tmp_path):
    path = csv(tmp_path, "x,,y\n" + "".join(f"{i % 7},{i * i % 11}.5,{'uv'[i % 2]}\n" for i in range(40)))
    table = {"x": [i % 7 for i in ROWS], "": [i * i % 11 for i in ROWS]}
    assert learned(table, drop=["(unnamed)"]).features == ["x"]
    assert learned(table, categorical=["(unnamed)"]).columns[0].name == ""
    assert learned({**table, "(unnamed)": table["x"]}, drop=["(unnamed)"]).features == ["x", ""]
    with pytest.raises(jitnet.Error, match=r"unknown column in --drop '\(unnamed\)'"):
        learned({"x": table["x"]}, drop=["(unnamed)"])
    with pytest.raises(jitnet.Error, match=r"both name '\(unnamed\)'; name it once"):
        learned(table, drop=["(unnamed)"], numeric=[""])
    for name in ("(unnamed)", ""):
        assert "regression of the unnamed column" in run("train", path, "--target", name, *QUICK).err
        said = run("train", path, "--target", "y", "--drop", name, *QUICK).err
        assert "left out: the unnamed column: because of --drop" in said
    said = run("train", path, "--target", "y", "--missing", "(unnamed)=9.5", *QUICK).err
    assert re.search("the unnamed column is a number; [0-9]+ of 32 cells missing", said)


@pytest.mark.parametrize(("cell", "what"), [("reject", "a word"), ("1", "a number")])
def test_a_target_whose_empty_cells_can_have_a_meaning_says_so(run, tmp_path, cell, what):
    hint = f", or, if an empty cell has a meaning, write {what} into it"
    for share, before in ((1, "leave these rows out of the file"), (2, "at least two are needed")):
        rows = "".join(f"{i % 7},{cell if i % 3 < share else ''}\n" for i in range(60))
        assert before + hint in run("train", csv(tmp_path, f"x,y\n{rows}"), "--target", "y", *QUICK, status=2).err
    many = "".join(f"{i % 7},{'' if i % 9 else i}\n" for i in range(190))  # 22 numbers, which are no classes
    assert "168 of 190 rows have no y and are left out" in run("train", csv(tmp_path, f"x,y\n{many}"), *Y, *QUICK).out
    few = many + "0,\n" * 30
    said = run("train", csv(tmp_path, f"x,y\n{few}"), *Y, *QUICK, status=2).err
    assert "198 of 220 rows have no y" in said
    assert "has a meaning" not in said


def test_percentages_beside_numbers_of_a_workbook_are_explained():
    columns = {"x": [i % 7 for i in ROWS], "s": [f"{i}.5 %" if i % 3 else "0.076" for i in ROWS], "y": ["u", "v"] * 20}
    for is_sheet in (False, True):
        table = from_frame(columns, "y")
        table.is_sheet = is_sheet
        (said,) = [text for text in Recipe.learn(table, ROWS).warnings if "units" in text]
        why = " (a cell of a workbook that shows 7.6 % can hold 0.076)"
        assert said.endswith(f"not converted{why if is_sheet else ''}; write all numbers in one unit")


@pytest.mark.parametrize(
    ("columns", "more"), [(8, ""), (9, "note: and 1 more note; "), (11, "note: and 3 more notes; ")]
)
def test_notes_beyond_the_most_that_are_repeated_are_counted(run, tmp_path, columns, more):
    names, rows = ",".join(f"c{j}" for j in range(columns)), [",".join(["mMf"[i % 3]] * columns) for i in range(40)]
    path = csv(tmp_path, f"{names},y\n" + "".join(f"{row},{'ab'[i % 2]}\n" for i, row in enumerate(rows)))
    out, err = run("train", path, "--target", "y", *QUICK)
    assert out.count("note: c") == 8
    assert "nearly the same" in err  # before the training, which can take long
    assert (f"{more}--json has all" in out) == bool(more) == ("note: and" in out)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([f"{i * i},{'mf'[i % 2]},{i % 3}" for i in range(60)] * 2,
            "60 of 120 rows repeat another row (first: d.csv, line 62)"),
        ([f"{i * i},{'mf'[i % 2]},{i % 3}" for i in [*range(60), 7, 7]], None),
        ([f"{i % 4},{'mf'[i % 2]},{i % 3}" for i in range(120)], None),
        ([f"{i * i % 7200},{'mf'[i // 60]},{i % 3}" for i in range(120)], None),
    ],
    ids=["a file appended to itself", "two rows", "categories", "other cells"],
)  # fmt: skip
def test_many_repeated_rows_are_a_warning(run, tmp_path, rows, said):
    csv(tmp_path, "\n".join(["a,b,y", *rows, ""]), "d.csv")
    out = run("train", "d.csv", "--target", "y", *QUICK).out
    assert ("repeat another row" in out) == (said is not None)
    assert f"note: {said}, so test samples can be among the training samples" in out or said is None


def test_repeated_rows_are_found_where_a_text_has_several_places():
    """As large files give, whose texts mostly differ."""
    texts = [f"name {i}" for i in range(60)]
    table = from_frame({"a": [*texts, *texts], "b": ["y", "z"] * 60}, "b")
    table["a"].cells = Words([*texts, *texts], np.arange(120, dtype=np.int32))
    (said,) = samples._repeated_rows_notes(table)
    assert said.startswith("60 of 120 rows repeat another row")


QUESTION, IMPORTED = ["How old?", "How happy?"], ['{"id": 1}', '{"id": 2}']


def survey(*above):
    """The notes about a table of answers below these rows."""
    rows = [*above, *(["young", "happy"], ["old", "sad"]) * 20]
    return Recipe.learn(from_frame([{"age": age, "mood": mood} for age, mood in rows], "mood"), range(4, 40)).warnings


def test_rows_that_belong_to_the_header_are_a_warning():
    alone = "have only texts that occur in no other row"
    as_rows = "they belong to the header, as rows of questions and units do, remove them"
    assert survey(QUESTION, IMPORTED) == [f"X, rows 1 to 2 {alone}; if {as_rows}"]
    as_row = "it belongs to the header, as a row of questions or units does, remove it"
    assert survey(QUESTION) == [f"X, row 1 {alone.replace('have', 'has')}; if {as_row}"]


@pytest.mark.parametrize("row", [["How old?", "happy"], ["old", "How happy?"], ["How old?", None], [None, "How?"]])
def test_a_row_with_an_answer_or_without_a_target_is_no_part_of_the_header(row):
    assert survey(row) == []


def test_the_error_without_a_column_left_says_what_to_write():
    cells = [f"{i}.5 kg" for i in ROWS]
    with pytest.raises(
        ValueError, match=r"X has no column left .*like an ID.*; w has numbers with a unit, such as '0.5 kg'"
    ):
        Recipe.learn(from_frame({"w": cells, "y": ["u", "v"] * 20}, "y"), ROWS)


def test_a_row_of_units_is_named_in_the_error_about_the_target(tmp_path):
    table = jitnet.data.read_table(csv(tmp_path, "x,price\n,EUR\n" + "".join(f"{i},{i}.5\n" for i in ROWS)), "price")
    with pytest.raises(
        ValueError, match=r"line 2, column 'price': 'EUR' is not .*; if the line belongs to the header, as"
    ):
        Recipe.learn(table, ROWS)


@pytest.mark.parametrize(("every", "is_merged"), [(1, False), (2, False), (4, True)])
def test_missing_values_of_merged_cells_are_a_warning(every, is_merged):
    """Only of the first columns, which have a value in the first row."""
    regions = [f"R{i}" if i % every == 0 else None for i in ROWS]
    years = [2000 + i // 4 if i % every == 0 else None for i in ROWS]
    columns = {"region": regions, "year": years, "x": [i % 7 for i in ROWS], "note": regions, "y": ["u", "v"] * 20}
    recipe = Recipe.learn(from_frame(columns, "y"), ROWS)
    end = "but 30 of 40 cells are missing; if an empty cell means the one above it, as in merged cells, fill it in"
    said = [f"{name} has a value in the first row, {end}" for name in ("region", "year")]
    assert [text for text in recipe.warnings if "merged" in text] == said * is_merged
    columns = {"y": columns.pop("y"), **columns}  # the target can be the first column
    assert Recipe.learn(from_frame(columns, "y"), ROWS).warnings == recipe.warnings
    columns["region"] = [None, *regions[1:]]
    assert not [text for text in Recipe.learn(from_frame(columns, "y"), ROWS).warnings if "merged" in text]
