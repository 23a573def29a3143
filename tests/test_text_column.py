"""Columns of text: each text once, and its place for each cell."""

import numpy as np
import pytest

from jitnet.data import Column, read_table
from jitnet.data.files.csv_builder import Builder
from jitnet.data.text_column import Chain, Words
from jitnet.data.values import distinct, numbers_in

CELLS = ["x", None, "y", "x", "z", None]
TWICE = Words(["x", "y", "x", "z"], np.array([0, -1, 1, 2, 3, -1], np.int8))
"""The same cells, with one text twice."""


@pytest.mark.parametrize("words", [Words.of(CELLS), TWICE])
def test_words(words):
    assert np.asarray(words).tolist() == list(words) == CELLS
    assert np.asarray(words[[3, 1]]).tolist() == ["x", None]
    assert words.missing.tolist() == [cell is None for cell in CELLS]
    assert words.counted() == {"x": 2, "y": 1, "z": 1}
    assert words[2:].counted() == {"y": 1, "x": 1, "z": 1}
    assert list(words[2:].used.values()) == ["y", "x", "z"] if words is TWICE else ["x", "y", "z"]
    assert [words.row_of(text) for text in "xyz"] == [0, 2, 4]
    assert words[3:].row_of("x") == 0
    names, codes = distinct(words)
    assert [None if code < 0 else names[code] for code in codes] == CELLS
    assert names == ["x", "y", "z"]


def test_numbers_in_words():
    words = Words(["1", "x", "2", "1"], np.array([3, 2, -1, 1, 1]))
    numbers, row, text = numbers_in(words, "1234.5")
    np.testing.assert_array_equal(numbers[:, 0], [1, 2, np.nan, np.nan, np.nan])
    assert (row, text) == (3, "x")
    assert numbers_in(words[:3], "1234.5")[1:] == (None, None)  # x does not occur


def test_a_chain_of_texts():
    chain = Chain([["a", "b"], [], ["c"], []])
    assert list(chain) == [chain[i] for i in range(len(chain))] == ["a", "b", "c"]


@pytest.mark.parametrize("count", [126, 127, 128, 40_000])
def test_small_codes(count):
    """The codes have the smallest type that the number of texts allows; portions of other types follow each other."""
    builder, cells = Builder(), [f"w{i}" for i in range(count)]
    builder.add(["w0", "", "w1"])
    builder.add(cells)
    words = builder.cells()
    assert list(words) == ["w0", None, "w1", *cells]
    assert words.codes.dtype == (np.int8 if count <= 128 else np.int32 if count > 32_768 else np.int16)


def test_columns(tmp_path):
    column = Column("a", np.array(CELLS, object))
    assert column.is_text
    assert column.values.tolist() == CELLS
    (tmp_path / "f.csv").write_text("a,b\n1,x\n2,y\n")
    y = read_table(tmp_path / "f.csv", "b").y
    assert isinstance(y, np.ndarray)
    assert y.tolist() == ["x", "y"]
