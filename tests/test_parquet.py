"""Parquet files: columns that are not read, and a missing package."""

import numpy as np
import pytest

import jitnet
from jitnet.data import from_frame, read_table
from jitnet.data.preprocessing.recipe import Recipe


def test_lists_in_parquet_are_not_read(tmp_path):
    """Neither for training nor for a model that learned without them."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path, lists = tmp_path / "f.parquet", [[i] for i in range(20)]
    numbers = {"x": [i % 7 for i in range(20)], "y": ["p", "q"] * 10}
    texts = [b"1"] * 20
    bits = [(arrow.array(texts, kind), str(kind)) for kind in (arrow.binary(), arrow.binary(1), arrow.large_binary())]
    for a, kind in ((lists, "list<"), (None, ""), *bits):
        more = {} if a is None else {"a": a}
        how = "spread it over columns" if kind == "list<" else "write numbers or text"
        parquet.write_table(arrow.table(more | numbers), path)
        table = read_table(path, "y")
        assert table.names == ["x", "y"]
        assert all(note.startswith(f"a holds {kind}") and note.endswith(f"from it, {how}") for note in table.guesses)
        assert len(table.guesses) == len(more)
        assert table.notes == table.guesses
        recipe = Recipe.learn(table, np.arange(20))
        np.testing.assert_array_equal(recipe.prepare(recipe.read(path))[0], recipe.X(table))
    said = "a holds large_binary and is not read; to learn from it, write numbers or text"
    with pytest.raises(jitnet.Error, match=f"lacks the columns a that the model learned from; {said}"):
        read_table(path, features=["a", "x"])
    with pytest.raises(jitnet.Error, match=f"has no column 'a'; its columns: x, y; {said}"):
        read_table(path, "a")
    learned = Recipe.learn(from_frame({"a": [1, 2] * 10, **numbers}, "y"), np.arange(20))
    with pytest.raises(jitnet.Error, match=rf"lacks the column a .*; it has x, y. {said}"):
        learned.prepare(learned.read(path))
    parquet.write_table(arrow.table({"a": lists}), path)
    with pytest.raises(jitnet.Error, match=r"f.parquet: a holds list<.*> and is not read; to learn from it, spread it"):
        read_table(path, "a")


def test_parquet_needs_pyarrow(tmp_path, monkeypatch):
    (tmp_path / "f").write_bytes(b"PAR1")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(jitnet.Error, match=r"a Parquet file, which needs pyarrow: pip install 'jitnet\[data\]'"):
        read_table(tmp_path / "f", "y")
