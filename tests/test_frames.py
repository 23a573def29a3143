"""Python data as tables: DataFrames, masked and sparse arrays; Parquet files; folders of images."""

import datetime
import decimal
from dataclasses import replace

import numpy as np
import pytest

import jitnet
from jitnet import cli
from jitnet.data import Choices, from_frame, read_table
from jitnet.data.preprocessing.recipe import Recipe

N = np.nan


def same(column, cells):
    is_text = any(isinstance(cell, str) for cell in cells)
    assert column.values.dtype == (object if is_text else np.float64)
    np.testing.assert_array_equal(column.values, np.array(cells, column.values.dtype))


def test_pandas_frames_become_tables():
    pandas = pytest.importorskip("pandas", reason="needs an optional library")
    frame = pandas.DataFrame({
        "f": [1, N, 3], "i": [1, 2, 3], "b": [True, False, True], "t": ["x", None, "y "],
        "I": pandas.array([1, None, 3], "Int64"), "F": pandas.array([0.5, None, 1], "Float64"),
        "B": pandas.array([True, None, False], "boolean"), "S": pandas.array(["a", None, "b"], "string"),
        "c": pandas.Categorical(["u", None, "v"]), "cn": pandas.Categorical([7, 8, 7]),
        "d": pandas.to_datetime(["2024-01-02 00:00", None, "2024-03-04 05:06"]),
        "long": [2**60 + 1, 1, 2], "o": [decimal.Decimal("1.5"), 2, None], "zip": ["007", "1", "2"],
        "gaps": pandas.array([2**60 + 1, None, 2], "Int64"),
    })  # fmt: skip
    table = from_frame(frame, pandas.Series(["p", "q", "p"], name="answer", index=[5, 6, 7]))
    expected = {
        "f": [1, N, 3], "i": [1, 2, 3], "b": ["True", "False", "True"], "t": ["x", None, "y"], "I": [1, N, 3],
        "F": [0.5, N, 1], "B": ["True", None, "False"], "S": ["a", None, "b"], "c": ["u", None, "v"], "cn": [7, 8, 7],
        "d": ["2024-01-02 00:00:00", None, "2024-03-04 05:06:00"], "long": [str(2**60 + 1), "1", "2"],
        "o": [1.5, 2, N], "zip": ["007", "1", "2"], "gaps": [str(2**60 + 1), None, "2"], "answer": ["p", "q", "p"],
    }  # fmt: skip
    assert (table.names, table.target, table.kind) == (list(expected), "answer", "frame")
    for name, cells in expected.items():
        same(table[name], cells)
    assert from_frame(frame, "f").target == "f"
    same(from_frame(frame[["f"]], pandas.DataFrame({"z": [1, 2, 1]}))["z"], [1, 2, 1])
    odd = pandas.DataFrame({
        "p": pandas.period_range("2024-01", periods=2, freq="M"), "t": pandas.to_timedelta(["1h", None]),
        "i": pandas.arrays.IntervalArray.from_breaks([0, 1, 2]),
    })  # fmt: skip
    for name, cells in (("p", ["2024-01", "2024-02"]), ("t", [1, N]), ("i", ["(0, 1]", "(1, 2]"])):
        same(from_frame(odd)[name], cells)
    with pytest.raises(jitnet.Error, match="X has two columns called 'a'; rename one"):
        from_frame(pandas.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(jitnet.Error, match="y has 2 columns, but must have one"):
        from_frame(frame, frame[["f", "i"]])
    with pytest.raises(jitnet.Error, match="unknown column of X 'g'"):
        from_frame(frame, "g")
    with pytest.raises(jitnet.Error, match="X has 3 rows, but y has 2"):
        from_frame(frame, [1, 2])
    with pytest.raises(jitnet.Error, match=r"same index in different orders; write y.loc\[X.index\]"):
        from_frame(frame, pandas.Series([1, 2, 1], index=[2, 1, 0]))
    assert from_frame(pandas.DataFrame([[1, 2], [3, 4]]), 1).target == "1"
    with pytest.raises(jitnet.Error, match=r"X is a Series; write X.to_frame\(\) .* X.to_frame\(\).T for one row"):
        from_frame(frame.iloc[0])


def test_polars_frames_become_tables():
    polars = pytest.importorskip("polars", reason="needs an optional library")
    frame = polars.DataFrame({
        "f": [1.5, None, 3], "i": [1, None, 3], "b": [True, None, False], "t": ["x", None, "y"],
        "c": polars.Series(["u", None, "v"], dtype=polars.Categorical), "long": [2**60 + 1, 1, 2],
        "gaps": [2**60 + 1, None, 2],
    })  # fmt: skip
    table = from_frame(frame, polars.Series("answer", [1, 2, 1]))
    expected = {
        "f": [1.5, N, 3], "i": [1, N, 3], "b": ["True", None, "False"], "t": ["x", None, "y"], "c": ["u", None, "v"],
        "long": [str(2**60 + 1), "1", "2"], "gaps": [str(2**60 + 1), None, "2"], "answer": [1, 2, 1],
    }  # fmt: skip
    assert table.names == list(expected)
    for name, cells in expected.items():
        same(table[name], cells)
    with pytest.raises(jitnet.Error, match=r"X is a LazyFrame; write X.collect\(\)"):
        from_frame(frame.lazy())


def test_arrays_and_lists_become_tables():
    masked = np.ma.masked_equal([[1.0, -9], [-9, 4]], -9)
    table = from_frame(masked, np.array([["a"], ["b"]]))
    same(table["1"], [1, N])
    same(table["2"], [N, 4])
    same(table["y"], ["a", "b"])
    same(from_frame(np.ma.array([[1, 2]]), [3])["2"], [2])
    same(from_frame({"a": np.ma.array([1, 2], mask=[0, 1]), "y": ["u", "v"]}, "y")["a"], [1, N])
    same(from_frame({"t": np.ma.array(["a", "b"], mask=[0, 1])})["t"], ["a", None])
    same(from_frame({"d": np.array(["2024-01-02", "NaT"], "M8[ns]")})["d"], ["2024-01-02 00:00:00.000000000", None])
    same(from_frame([{"a": 1, "b": "x"}, {"a": None}])["b"], ["x", None])
    with pytest.raises(jitnet.Error, match=r"X is a zip, which can be read only once; write list"):
        from_frame(zip([1], [2], strict=True))
    same(from_frame(np.array([(1, "x"), (3, "y")], [("a", int), ("b", "U1")]))["b"], ["x", "y"])
    same(from_frame({"t": [datetime.time(14, 30), None]})["t"], ["14:30:00", None])
    same(from_frame({"t": np.array([b"\xc3\xa4 ", b"2"])}, [b"u", b"v"])["t"], ["ä", "2"])
    with pytest.raises(jitnet.Error, match=r"^column 'y' holds b'\\xff', but must hold numbers, text or dates"):
        from_frame(np.eye(2), [b"\xff", b"u"])
    same(from_frame(np.array([[2**60 + 1], [2**60 + 2]]))["1"], [str(2**60 + 1), str(2**60 + 2)])
    same(from_frame([[2**60 + 1, 0.5], [-(2**63), 3e15]])["1"], [str(2**60 + 1), str(-(2**63))])
    same(from_frame([[2**60 + 1, 0.5], [-(2**63), 3e15]])["2"], [0.5, 3e15])
    for y, kind in (({0: "a", 1: "b"}, "dict"), ({0, 1}, "set"), (reversed([0, 1]), "list_reverseiterator")):
        with pytest.raises(jitnet.Error, match=f"y is a {kind}, but must be a list, array or Series"):
            from_frame(np.eye(2), y)
    for cell in (np.ones(2), [1, 2]):
        with pytest.raises(jitnet.Error, match=r"^column 'a' holds .*, but must hold numbers, text or dates"):
            from_frame({"a": [cell]})
    with pytest.raises(jitnet.Error, match=r"X is 'f.csv', a string; read a file with jitnet.data.read_table"):
        from_frame("f.csv")
    recipe = Recipe.learn(from_frame(np.eye(4), [0, 1, 0, 1]), np.arange(4), None)
    assert recipe.classes == ["0", "1"]


def test_sparse_arrays_become_tables(monkeypatch):
    sparse = pytest.importorskip("scipy.sparse", reason="needs an optional library")
    X = sparse.csr_matrix(np.eye(3))
    np.testing.assert_array_equal(from_frame(X).X, np.eye(3))
    same(from_frame(X, sparse.csr_matrix([[4.0], [0], [5]]))["y"], [4, 0, 5])
    with pytest.raises(jitnet.Error, match="X is sparse; dense it needs 74505806"):
        from_frame(sparse.csr_matrix((10**8, 10**8)))


def test_fit_explains_how_to_convert_other_data():
    """The error is one line that says how to convert the data to an array."""
    net = jitnet.Network(jitnet.Dense(2, 2, "softmax"), seed=0)
    for X, message in (
        (np.ma.masked_equal([[1.0, 2], [3, -9]], -9), r"X\[1, 1\] is masked; leave masked samples out, or fill them"),
        (zip([1, 2], [3, 4], strict=True), r"X is a zip; write np.array\(list\(X\)\)"),
        (np.array([[1, "a"], [2, 3]], object), r"X\[0, 1\] is 'a', a str, but must be a real number$"),
        (np.array([[1, "2"], [2, 3]], object), r"X\[0, 1\] is '2', a str, but .* write np\.array\(X, float\)"),
        ([{"a": 1}], r"X\[0\] is {'a': 1}, a dict, but must be a real number$"),
        (None, r"X is a NoneType, but must be an array of real numbers$"),
        (np.array([[1, 2], [2, None]], object), r"X\[1, 1\] is None, a NoneType, but must be a real number$"),
    ):
        with pytest.raises(jitnet.Error, match=message):
            net.predict(X)
    assert net.predict(np.ma.array(np.eye(2))).shape == (2,)

    pandas = pytest.importorskip("pandas", reason="needs an optional library")
    frame = pandas.DataFrame({"a": [True, False], "b": pandas.array([1.5, 2], "Float64")})
    assert net.predict(frame).shape == (2,)
    for frame, message in (
        (pandas.DataFrame({"a": pandas.array([1, None], "Int64"), "b": [1, 2]}), r"X\[1, 0\] is nan, in column 'a'"),
        (
            pandas.DataFrame({"a": [1, 2], "b": pandas.array([None, "y"], "string")}),
            r"X: column 'b' holds text \('y' in "
            r"row 1\); leave it out, or encode it: pd.get_dummies\(X\); `jitnet train` encodes it",
        ),
        (pandas.DataFrame({"a": [1, pandas.Period("2024")]}), r"X: column 'a' holds Period\(.* in row 1, but must"),
        (pandas.Series([10**400, 1.5], dtype=object), "X is a Series that holds more than numbers: int too large"),
        (pandas.DataFrame({"a": pandas.to_datetime(["2024", "2025"]), "b": [1, 2]}), "^X has a column of datetime64"),
        (pandas.DataFrame({"a": pandas.to_timedelta([1, 2]), "b": [1, 2]}), "X has a column of timedelta64.*, 'a'"),
    ):
        with pytest.raises(jitnet.Error, match=message):
            net.predict(frame)
    times = pandas.Series(pandas.date_range("2024", periods=2, tz="UTC"), name="t")
    with pytest.raises(jitnet.Error, match=r"^sample_weight has a column of datetime64.*, 't'"):
        net.fit(np.eye(2), [0, 1], sample_weight=times)


@pytest.mark.parametrize("error", [RuntimeError, TypeError, ValueError])  # with gradients, and of bfloat16 or on a GPU
def test_tensors_that_numpy_cannot_convert_are_errors_everywhere(error):
    class Tensor(list):
        def __array__(self, dtype=None, copy=None):
            raise error("use tensor.detach().numpy()")

    net, X, bad = jitnet.Network(jitnet.Dense(2, 2, "softmax"), seed=0), np.eye(2), Tensor([0, 1])
    for name, call in (
        ("X", lambda: net.predict(bad)), ("Y", lambda: net.fit(X, bad)), ("Y", lambda: net.evaluate(X, bad)),
        ("Y", lambda: net.partial_fit(X, [0, 1], classes=bad)), ("y", lambda: jitnet.data.split(X, bad)),
        ("W0", lambda: net.load_state_dict({**net.state_dict(), "W0": bad})), ("A", lambda: jitnet.matmul(bad, X)),
    ):  # fmt: skip
        with pytest.raises(jitnet.Error, match=rf"^{name} cannot become a NumPy array: use tensor.detach\(\).numpy"):
            call()
    with pytest.raises(jitnet.Error, match=r"^W0 is not a rectangular array"):
        net.load_state_dict({**net.state_dict(), "W0": [[1, 2], [3]]})


def test_a_dtype_that_numpy_lacks_and_labels_in_a_dict_have_a_fix():
    class Tensor(list):
        def __array__(self, dtype=None, copy=None):
            raise TypeError("Got unsupported ScalarType BFloat16")

    net = jitnet.Network(jitnet.Dense(2, 2, "softmax"), seed=0)
    with pytest.raises(jitnet.Error, match=r"BFloat16; write X\.float\(\)$"):
        net.predict(Tensor([0, 1]))
    with pytest.raises(jitnet.Error, match=r"^Y is a dict; write np\.array\(list\(Y\.values\(\)\)\)$"):
        net.fit(np.eye(2), {"a": 0, "b": 1})


def test_fit_takes_numbers_of_polars_and_names_other_columns():
    polars = pytest.importorskip("polars", reason="needs an optional library")
    net = jitnet.Network(jitnet.Dense(2, 2), seed=0)
    decimals = polars.DataFrame({"a": [decimal.Decimal("1.5")], "b": [decimal.Decimal(2)]})
    np.testing.assert_array_equal(net.forward(decimals), net.forward([[1.5, 2]]))
    for cells, message in (
        ([None, "u"], r"X: column 'b' holds text \('u' in row 1\); leave it out, or encode it: X.to_dummies\('b'\)"),
        ([1, None], r"X\[1, 1\] is nan, in column 'b'; replace"),
        ([datetime.date(2024, 1, 2)] * 2, "X has a column of Date, 'b', but must hold real numbers; leave it out"),
        ([[1], [2, 3]], "X: column 'b' holds .* in row 0, but must hold real numbers"),
    ):
        with pytest.raises(jitnet.Error, match=message):
            net.forward(polars.DataFrame({"a": [1.0, 2], "b": cells}))


def small_model(X, y):
    """A network for a table, and its recipe."""
    table = from_frame(X, y)
    recipe = Recipe.learn(table, np.arange(len(table)))
    net = jitnet.Network(jitnet.Dense(recipe.inputs, recipe.target.width, "softmax"), seed=0)
    net.recipe = recipe.plain()
    return net, recipe, table


def test_error_about_rows_that_are_not_prepared_says_how_to_prepare_them():
    pandas = pytest.importorskip("pandas", reason="needs an optional library")
    X, y = pandas.DataFrame({"c": ["u", "v"] * 9, "n": range(18)}), ["p", "q"] * 9
    net, recipe, table = small_model(X, y)
    for call in (lambda: net.forward(X), lambda: net.fit(X, y), lambda: net.step(X, y), lambda: net.gradients(X, y)):
        with pytest.raises(
            jitnet.Error, match=r"^X must be prepared inputs \(m, 3\) here; .* recipe.X\(jitnet.data.from"
        ):
            call()
    with pytest.raises(jitnet.Error, match=r"^X\[0, 1\] is nan"):  # these are inputs
        net.forward([[1, N, 0]] * np.ones((2, 1)))
    inputs, targets = recipe.samples(X, y, net.dtype)
    np.testing.assert_array_equal(inputs, recipe.X(table))
    net.fit(inputs, targets, epochs=1)
    np.testing.assert_array_equal(net.classes, ["p", "q"])


GAPS = np.array([[1.5, 0], [2, 3], [N, 4], [4, 0.5], [5, 1], [7, 2.5]])


@pytest.mark.parametrize("X", [GAPS, GAPS.astype(object), GAPS.astype(str), np.ma.masked_invalid(GAPS)])
def test_arrays_with_gaps_are_prepared_like_frames(X):
    _, recipe, table = small_model(X, list("ababab"))
    _, of_frame, frame = small_model({"a": GAPS[:, 0], "b": GAPS[:, 1]}, list("ababab"))
    np.testing.assert_array_equal(recipe.X(table), of_frame.X(frame))
    np.testing.assert_array_equal(recipe.X(table), recipe.X(from_frame(X)))  # without the target


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, ">f4", np.uint8])
def test_arrays_are_prepared_in_float64(dtype):
    X = (np.random.default_rng(0).random((40, 3)) * 200).astype(dtype)
    table, exact = (from_frame(array, [0, 1] * 20) for array in (X, X.astype(np.float64)))
    np.testing.assert_array_equal(*(Recipe.learn(one, np.arange(40)).X(one, "float64") for one in (table, exact)))


def test_names_that_libraries_give_to_columns_are_positions(tmp_path):
    """Models of files without a header, and of arrays, take frames without names of their own by position."""
    pandas = pytest.importorskip("pandas", reason="needs an optional library")
    polars = pytest.importorskip("polars", reason="needs an optional library")
    rows, rng = tmp_path / "rows.csv", np.random.default_rng(0)
    X = np.round(rng.normal(size=(30, 2)), 3)
    rows.write_text("".join(f"{'ab'[int(u > v)]},{u},{v}\n" for u, v in X))
    assert cli.main(f"train {rows} --target 1 --hidden none --quiet --save {tmp_path / 'm.npz'}".split()) == 0
    net = jitnet.load(tmp_path / "m.npz")
    expected = net.predict(X).tolist()
    frame, full = pandas.DataFrame(X), pandas.read_csv(rows, header=None)
    assert set(expected) == {"a", "b"}
    for given in (frame, full, polars.DataFrame(X), polars.read_csv(rows, has_header=False), full.astype({0: object})):
        assert net.predict(given).tolist() == expected
    with pytest.raises(jitnet.Error, match="X lacks the columns 2, 3 that the model learned from; it has u, v"):
        net.predict(frame.set_axis(["u", "v"], axis=1))
    net, _, _ = small_model(X, list("ab" * 15))
    assert net.predict(frame).tolist() == net.predict(polars.DataFrame(X)).tolist() == net.predict(X).tolist()
    with pytest.raises(jitnet.Error, match="X has 3 columns without names, but the model learned from 2"):
        net.predict(full)
    named = pandas.DataFrame(X, columns=[1, 0])  # these are names
    net, _, _ = small_model(named, list("ab" * 15))
    assert net.predict(frame.set_axis([1, 0], axis=1)).tolist() == net.predict(named[[0, 1]]).tolist()


def test_columns_declared_as_categories_are_categories(tmp_path):
    pandas = pytest.importorskip("pandas", reason="needs an optional library")
    arrow = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'jitnet[data]'")
    from pyarrow import parquet

    codes = [3, 1, 2, 1] * 15
    frame = pandas.DataFrame({"c": pandas.Categorical(codes), "one": pandas.Categorical([5] * 60), "x": range(5, 65)})
    frame["y"] = pandas.Categorical([j % 25 for j in range(60)])
    parquet.write_table(arrow.Table.from_pandas(frame), tmp_path / "f.parquet")
    for table in (from_frame(frame, "y"), from_frame(arrow.Table.from_pandas(frame), "y"),
                  read_table(tmp_path / "f.parquet", "y")):  # fmt: skip
        recipe = Recipe.learn(table, np.arange(60))
        assert "c has 3 categories: 1, 2, 3 (--drop c)" in recipe.decisions
        assert recipe.features == ["x", "c"]
        assert recipe.task == "classification"
        numeric = Recipe.learn(table, np.arange(60), "regression", Choices(numeric=["c"]))
        assert (numeric.task, numeric.standard.names) == ("regression", ["c", "x"])
        plain = from_frame({"c": [1, 2], "x": [5, 6]})
        assert recipe.X(plain)[:, 1:].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert Recipe.learn(from_frame(frame[["x"]], frame["y"]), np.arange(60)).task == "classification"


def test_each_kind_of_target_and_column_is_read_or_an_error():
    arrow = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'jitnet[data]'")
    pandas = pytest.importorskip("pandas", reason="needs an optional library")
    polars = pytest.importorskip("polars", reason="needs an optional library")
    X = {"a": [1, 2]}
    same(from_frame(X, arrow.chunked_array([["u"], ["v"]]))["y"], ["u", "v"])
    same(from_frame({"a": polars.Series([1, None], dtype=polars.Int128)})["a"], [1, N])
    assert from_frame(pandas.DataFrame([[1, 2]]), np.int64(1)).target == "1"
    pairs = pandas.DataFrame([[1, 2]], columns=pandas.MultiIndex.from_tuples([("a", "b"), ("a", "c")]))
    assert from_frame(pairs, ("a", "c")).target == "('a', 'c')"
    columns = [arrow.array([1, 2]), arrow.array([3, 4])]
    for wrong, y, message in (
        (X, 3.5, "y is a float, but must be a list, array or Series"),
        (arrow.Table.from_arrays(columns, ["a", "a"]), None, "X has two columns called 'a'; rename one"),
        ({"a": np.eye(2)}, None, r"^column 'a' holds an array of shape \(2, 2\), but needs one cell for each row"),
    ):
        with pytest.raises(jitnet.Error, match=message):
            from_frame(wrong, y)


def test_parquet_files_are_read(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'jitnet[data]'")
    from pyarrow import parquet

    path = tmp_path / "f.csv"
    table = arrow.table({
        "f": arrow.array([1.5, None], arrow.float32()), "i": [1, 2], "n": arrow.array([1, None], arrow.int16()),
        "b": [True, None], "t": ["x", None], "c": arrow.array(["u", "v"]).dictionary_encode(),
        "l": [2**60 + 1, 1], "y": ["p", "q"],
    })  # fmt: skip
    parquet.write_table(table, path)
    found = read_table(path, "y")
    expected = {
        "f": [1.5, N], "i": [1, 2], "n": [1, N], "b": ["True", None], "t": ["x", None], "c": ["u", "v"],
        "l": [str(2**60 + 1), "1"], "y": ["p", "q"],
    }  # fmt: skip
    assert (found.names, found.kind, found.where(1, "t")) == (list(expected), "parquet", f"{path}, row 2, column 't'")
    for name, cells in expected.items():
        same(found[name], cells)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(jitnet.Error, match="not a readable Parquet file"):
        read_table(path, "y")
    for empty in (table.slice(0, 0), table.select([])):
        parquet.write_table(empty, path)
        with pytest.raises(jitnet.Error, match="is empty: it has no rows"):
            read_table(path, None)
    parquet.write_table(arrow.Table.from_arrays([arrow.array([1, 2])] * 2, ["y", "y"]), path)
    with pytest.raises(jitnet.Error, match="has two columns called 'y'; rename one"):
        read_table(path, "y")


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_durations_are_hours_as_in_workbooks(tmp_path, unit):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    times = np.array([30, 14 * 60 + 18, "NaT"], "m8[m]").astype(f"m8[{unit}]")
    parquet.write_table(arrow.table({"t": arrow.array(times), "y": [1, 2, 3]}), tmp_path / "f")
    table = read_table(tmp_path / "f", "y")
    assert table.notes == ["t holds durations, which become hours"]
    polars = pytest.importorskip("polars").DataFrame({"t": times.astype("m8[ms]")})
    kinds = {"t": times}, times[:, None], arrow.table({"t": arrow.array(times)}), polars
    frames = [*map(from_frame, kinds), from_frame({"x": [1, 2, 3]}, times)]
    for frame, name in zip([table, *frames], ["t", "t", "1", "t", "t", "y"], strict=True):
        same(frame[name], [0.5, 14.3, N])
        assert frame.notes == [f"{name} holds durations, which become hours"]
    frame = from_frame(arrow.table({"t": arrow.array(times).dictionary_encode()}))
    assert frame.notes == ["t holds durations, which become hours"]


def test_durations_that_are_new_to_a_model_are_a_warning():
    """It can have learned hours, or the seconds of an earlier version."""
    times = np.array([30, 14 * 60 + 18], "m8[m]")
    recipe = Recipe.learn(from_frame({"t": times[[0, 1] * 9], "y": [1, 2] * 9}, "y"), np.arange(18))
    assert "t holds durations, which become hours" in recipe.decisions
    net = jitnet.Network(jitnet.Dense(1, 2, "softmax"), seed=0)
    recipe.predicted(net, {"t": times}, "numpy")
    with pytest.warns(UserWarning, match="t holds durations, which become hours"):
        replace(recipe, decisions=[]).predicted(net, {"t": times}, "numpy")


def test_years_and_months_that_passed_are_numbers():
    """They have no fixed number of hours."""
    for frame in (from_frame({"1": np.array([3, "NaT"], "m8[Y]")}), from_frame(np.array([[3], ["NaT"]], "m8[M]"))):
        same(frame["1"], [3, N])
        assert not frame.notes
