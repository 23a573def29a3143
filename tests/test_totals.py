"""Rows that summarize others, such as totals and averages, are pointed out; ordinary rows are not."""

import re

import numpy as np
import pytest
from files import csv

from jitnet.data import Recipe, from_frame, read_table

DATA = [{"m": "ABC"[i % 3], "w": 5 + (7 * i % 11) / 10, "p": 200 + (13 * i) % 17} for i in range(30)]
W, P = ([row[name] for row in DATA] for name in "wp")


def said(rows, target="p"):
    """The sentence about rows that summarize others, without the name of the table."""
    table = from_frame(rows, target)
    found = [text for text in Recipe.learn(table, ~table[target].missing).warnings if "remove" in text]
    assert len(found) <= 1
    return found[0].removeprefix("X, ") if found else ""


@pytest.mark.parametrize(
    ("last", "names"),
    [
        ({"c": "Total", "a": 30, "b": 60}, "a, b"), ({"c": "p", "a": 30, "b": 2}, "a"), ({"c": None, "a": 30}, "a"),
        ({"c": "p", "a": 29, "b": 59}, ""), ({"c": "Total", "a": 30, "b": 60, "y": None}, ""),
        ({"c": "p", "a": 3, "b": 1, "k": 1}, ""), ({"c": "p", "z": 0}, ""),
    ],
)  # fmt: skip
def test_a_last_row_with_the_sums_of_those_above_is_pointed_out(last, names):
    rows = [
        {"c": "pqr"[i % 3], "a": 1 + i % 2, "b": 2 + 2 * (i % 2), "k": int(i == 4), "y": "uv"[i % 2]} for i in range(20)
    ]
    table = from_frame([*rows, {"y": "u", **last}], "y")
    said = [sentence for sentence in Recipe.learn(table, range(20)).warnings if "sums" in sentence]
    assert said == [f"X, row 21 has the sums of the rows above it in {names}; if it is a total, remove it"] * bool(
        names
    )


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ([{"m": "Sum", "p": sum(P)}, {"m": "Average", "p": np.mean(P)}], "rows 31, 32 seem.*'Sum', 'Average'.*they do"),
        ([{"m": "Sum", "p": sum(P)}, {}, {"m": "Printed by me"}], "row 31 has the sums of the rows above it in p; if"),
        ([{"w": np.mean(W), "p": np.mean(P)}], "row 31 has the means of the rows above it in w, p; if it is an av"),
        ([{"w": max(W), "p": max(P), "m": "Max:"}, {"w": 1, "p": 1, "m": "MIN"}, {"w": 1, "p": 4, "m": "Std. dev."}],
         r"rows 31, 32, 33 seem to summarize other rows \('Max:', 'MIN', 'Std. dev.'\); if they do, remove them"),
        ([{"m": "Summe A", "p": 7}, {"m": "Summe B", "p": 9}], "rows 31, 32 seem to summarize other rows"),
        ([{"m": "Sum", "p": None, "w": sum(W)}], "^$"),  # left out, since it has no target
        ([{"m": "Max", "w": 5.5, "p": 210}], "^$"),  # a name
        ([{"m": "Media", "w": 5.5, "p": 210, "t": "x"}], "^$"),
        ([{"m": "a total", "w": 5.5, "p": 210, "t": "x"}], "^$"),
        ([{"m": "Count", "w": 5.5, "p": 210}, {"m": "Average", "w": 1, "p": 210}], "^$"),
        ([{"m": "Total", "t": "words", "u": "more", "v": "than numbers", "p": 210}], "^$"),
    ],
)  # fmt: skip
def test_last_rows_that_summarize_others_are_pointed_out(last, expected):
    assert re.search(expected, said([*DATA, *last]))


def test_a_first_row_that_summarizes_others_is_pointed_out():
    expected = "row 1 has the sums of the rows below it in w, p; if it is a total, remove it"
    assert said([{"m": "all", "w": sum(W), "p": sum(P)}, *DATA]) == expected
    found = said([{"m": "Total", "w": 40}, *DATA], "m")
    assert found == "row 1 seems to summarize other rows ('Total'); if it does, remove it"


def test_subtotals_are_pointed_out(tmp_path):
    """A grand total counts each subtotal, or is the sum of the other rows."""
    groups = [[row for row in DATA if row["m"] == group] for group in "ABC"]
    rows = [cells for group in groups for cells in (*group, {"m": "Subtotal", "w": sum(row["w"] for row in group)})]
    lines = "".join(f"{row['m']},{row['w']},{row.get('p', '')}\n" for row in rows)
    table = read_table(csv(tmp_path, f"m,w,p\n{lines}Grand total,{sum(W)},\n"), "w")
    warned = Recipe.learn(table, range(len(table))).warnings
    assert [text.partition("data.csv, ")[2] for text in warned if "remove" in text] == [
        "lines 12, 23, 34, 35 seem to summarize other rows ('Subtotal', 'Grand total'); if they do, remove them"
    ]
    unnamed = [{"w": row["w"], "p": row.get("p")} for row in [*rows, {"w": sum(W), "p": sum(P)}]]
    assert said(unnamed, "w") == "row 34 has the sums of the rows above it in w, p; if it is a total, remove it"


def test_a_word_that_is_a_category_is_not_pointed_out():
    rows = [{"m": ("Total", "Male", "Female")[i % 3], "w": W[i], "p": P[i]} for i in range(30)]
    assert said(rows[:28]) == ""
    assert said([*DATA, *({"m": "Min", "w": 1, "p": 2 + i} for i in range(3))]) == ""


def test_many_rows_with_different_words_are_examined_in_linear_time():
    rows = 60_000
    words = ["x"] * (2 * rows) + [f"total {i}" for i in range(rows)]
    numbers = np.arange(3 * rows) % 97
    found = said({"m": words, "w": numbers, "y": numbers % 2}, "y")
    assert found.startswith(f"rows {2 * rows + 1}, {3 * rows - 999}, {3 * rows - 998}, ")


@pytest.mark.parametrize(
    "draw",
    [
        lambda of, n: of.integers(0, 3, n), lambda of, n: of.integers(-5, 6, n),
        lambda of, n: of.poisson(0.5, n), lambda of, n: of.normal(0, 1, n).round(1),
    ],
)  # fmt: skip
def test_random_rows_are_rarely_taken_for_summaries(draw):
    of = np.random.default_rng(0)
    found = 0
    for i in range(200):
        n = (3, 6, 8, 12, 30)[i % 5]
        found += bool(said({**{name: draw(of, n) for name in "abc"}, "y": np.arange(n) % 2}, "y"))
    assert found <= 2
