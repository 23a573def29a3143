"""Data: the digits on board, splits, tables from files, and what happens when a file is wrong."""

import gzip
import hashlib
import http.server
import struct
import threading
from importlib import resources

import numpy as np
import pytest

import jitnet
from jitnet.data import Recipe, Table, download, fashion_mnist, mnist, read_idx, read_table, split


def test_digits():
    X, y = jitnet.data.digits()
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((1797, 64), np.float32, (1797,), np.int64)
    assert (X.min(), X.max()) == (0, 1)
    np.testing.assert_array_equal(np.bincount(y), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    np.testing.assert_array_equal(X[0, :8] * 16, [0, 0, 5, 13, 9, 1, 0, 0])  # the first row of the published file
    assert y[0] == 0
    file = resources.files("jitnet.data") / "digits.npz"
    assert len(file.read_bytes()) < 100_000
    with file.open("rb") as stream, np.load(stream) as archive:
        assert "CC BY 4.0" in str(archive["about"])


def test_split():
    X, y = np.arange(50).reshape(10, 5), np.arange(10)
    (a, ya), (b, yb) = split(X, y, test=0.3, seed=1)
    assert (len(a), len(b)) == (7, 3)
    assert sorted([*ya, *yb]) == list(range(10))
    np.testing.assert_array_equal(a[:, 0], 5 * ya)
    np.testing.assert_array_equal(b[:, 0], 5 * yb)
    np.testing.assert_array_equal(split(X, y, 0.3, 1)[1][1], yb)
    assert not np.array_equal(split(X, y, 0.3, 2)[1][1], yb)
    assert [len(part[1]) for part in split(X[:2], y[:2], 0.01)] == [1, 1]
    assert [len(part[1]) for part in split(X[:2], y[:2], 0.99)] == [1, 1]
    for call, message in (
        (lambda: split(X, y, test=0), "test is 0"), (lambda: split(X, y, test=1), "test is 1"),
        (lambda: split(X, y[:9]), "one entry per sample"), (lambda: split(X[:1], y[:1]), "at least 2"),
        (lambda: split(X, y, seed=-1), "seed is -1"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()


# CSV


def csv(tmp_path, text, name="data.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def test_csv_with_header(tmp_path):
    table = read_table(csv(tmp_path, "width, species ,height\n1,cat,2.5\n3,dog,-4e-1\n"), "species")
    np.testing.assert_array_equal(table.X, [[1, 2.5], [3, -0.4]])
    assert list(table.y) == ["cat", "dog"]
    assert (table.features, table.target, table.kind) == (["width", "height"], "species", "csv")


def test_csv_without_header(tmp_path):
    table = read_table(csv(tmp_path, "1,2,cat\n3,4,dog\n"), "3")
    np.testing.assert_array_equal(table.X, [[1, 2], [3, 4]])
    assert (table.features, list(table.y)) == (["1", "2"], ["cat", "dog"])


@pytest.mark.parametrize(
    "text",
    [
        "a;b;y\n1;2;0\n3;4;1\n", "a\tb\ty\n1\t2\t0\n3\t4\t1\n", "\ufeffa,b,y\r\n1,2,0\r\n3,4,1\r\n",
        "a,b,y\n1,2,0\n\n3,4,1",
        '"a","b","y"\n"1","2",0\n3,"4",1\n', "\n\na,b,y\n1,2,0\n , ,\n3,4,1\n",
    ],
)  # fmt: skip
def test_csv_dialects(tmp_path, text):
    table = read_table(csv(tmp_path, text), "y")
    np.testing.assert_array_equal(table.X, [[1, 2], [3, 4]])
    assert (table.features, table.y.tolist()) == (["a", "b"], ["0", "1"])


def learn(tmp_path, cells, task=None):
    """The recipe for a CSV with these targets."""
    table = read_table(csv(tmp_path, "x,y\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))), "y")
    return Recipe.learn(table, np.arange(len(cells)), task), table


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        (["1", "2", "10"] * 2, "classification", ["1", "2", "10"]),  # in the order of numbers
        (["01", "1", "007"] * 2, "classification", ["01", "1", "007"]),  # as they are written, and never merged
        (["1_1", "11"], "classification", ["11", "1_1"]),
        (["b", "a", "1"], "classification", ["1", "a", "b"]),
        (["1.5", "2"], "regression", None),
        (["1.0", "2.0"] * 2, "classification", ["1.0", "2.0"]),
        ([str(1000 * i) for i in range(12)], "regression", None),  # a dozen prices are no classes
        (["1e100", "1.5"], "regression", None),
        ([str(i) for i in range(30)], "regression", None),
        ([str(i % 3) for i in range(30)], "classification", ["0", "1", "2"]),
    ],
)
def test_csv_target_types(tmp_path, cells, task, classes):
    recipe, table = learn(tmp_path, cells)
    assert (recipe.task, recipe.classes) == (task, classes)
    if classes:
        assert [recipe.classes[i] for i in recipe.Y(table)] == cells
        assert recipe.score(table, cells) == {"accuracy": 1.0}
    else:
        assert recipe.score(table, [float(cell) for cell in cells]) == {"rmse": 0.0}


def test_csv_targets_that_are_no_classes(tmp_path):
    """A typing error in a column of numbers must not make a class of every number."""
    with pytest.raises(jitnet.Error, match=r"has 40 values in 40 rows, such as 'l0': too many for classes"):
        learn(tmp_path, ["l0" if i == 10 else str(i) for i in range(40)])
    with pytest.raises(jitnet.Error, match="holds 'l0', which regression cannot learn"):
        learn(tmp_path, ["l0" if i == 10 else str(i) for i in range(40)], "regression")


def test_csv_header_is_proved_by_the_target(tmp_path):
    table = read_table(csv(tmp_path, "a,2019,2020,y\n1,2,3,x\n"), "y")
    assert table.features == ["a", "2019", "2020"]


def test_csv_separators_within_quotes_do_not_count(tmp_path):
    table = read_table(csv(tmp_path, '"height, cm";"weight, kg";y\n1;2;x\n'), "y")
    assert table.features == ["height, cm", "weight, kg"]


def test_csv_to_predict_may_have_blank_targets(tmp_path):
    table = read_table(csv(tmp_path, "a,y\n1,\n2,x\n"), "y", features=["a"])
    assert table.y is None


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("a,b,y\n1,2,0\n3,4\n", "y", r"data.csv, line 3 has 2 cells, but there are 3 columns"),
        ("a,b,y\n1,2,0\n3,4,1,9\n", "y", "line 3 has 4 cells"),
        ("a,b,y\n1,2,0\nx,4,1\n", "y", r"line 3, column 'a': 'x' is no finite number"),
        ("a,b,y\n1,,0\n", "y", r"line 2, column 'b': an empty cell is no finite number"),
        ("a,b,y\n1,nan,0\n", "y", "'nan' is no finite number"),
        ("a,b,y\n1,inf,0\n", "y", "'inf' is no finite number"),
        ("a,b,y\n1,2,0\n1,2,\n", "y", "line 3: the target 'y' is missing"),
        ("a,b,y\n1,2,nan\n", "y", "the target 'y' is missing; it says 'nan'"),
        ("a,b,y\n1_000,2,0\n", "y", "'1_000' is no finite number"),
        ("a,b,label\n1,2,0\n", "lable", "unknown target column of .*data.csv 'lable'; known: a, b, label .*'label'"),
        ("a,b,y\n1,2,0\n", None, "which column of .* to learn with --target NAME; columns: a, b, y"),
        ("a,a,y\n1,2,0\n", "y", "two columns called 'a'"),
        ("a,b,y\n", "y", "a header but no rows"),
        ("", "y", "is empty"),
        ("\n \n", "y", "is empty"),
        ("y\n1\n", "y", "no column besides the target"),
        ('a,y\n"1,2\n', "y", "line 2: unexpected end of data"),
    ],
)
def test_bad_csv(tmp_path, text, target, message):
    with pytest.raises(jitnet.Error, match=message):
        read_table(csv(tmp_path, text), target)


def test_csv_must_be_utf8(tmp_path):
    with pytest.raises(jitnet.Error, match="no text in UTF-8"):
        read_table(csv(tmp_path, "größe,y\n1,2\n", encoding="latin-1"), "y")
    assert read_table(csv(tmp_path, "größe,y\n1,2\n"), "y").features == ["größe"]


def test_csv_to_predict(tmp_path):
    """Columns by name and in any order; the target may be missing; without a header by number."""
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


# NPZ


def test_npz(tmp_path):
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
    np.savez(path, X=X)
    assert read_table(path, features=["1"]).y is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((2, 2)), "y": np.ones(2)}, "lacks X; it holds: x, y"),
        ({"X": np.ones((2, 2))}, "lacks y"),
        ({"X": np.ones((0, 5)), "y": []}, "at least one"),
        ({"X": np.ones(2), "y": np.ones(2)}, r"X in .* is \(2,\)"),
        ({"X": np.array([["a"]]), "y": np.ones(1)}, "must be numbers"),
        ({"X": np.ones((2, 2)), "y": np.ones(3)}, r"y in .* is \(3,\) float64, but must be numbers or texts \(2,\)"),
        ({"X": np.ones((2, 2)), "y": np.ones((2, 2))}, "numbers or texts"),
        ({"X": np.ones((2, 2)), "y": np.array([{}, 1])}, "Python objects"),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(jitnet.Error, match=message):
        read_table(tmp_path / "data.npz")


def test_damaged_npz(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, X=np.ones((20, 3)), y=np.ones(20))
    content = path.read_bytes()
    for damaged in (b"", content[:50], content[:-30], content.replace(b"\0\0\xf0?", b"\0\1\xf0?", 1)):
        path.write_bytes(damaged)
        with pytest.raises(jitnet.Error, match=r"data\.npz is not a readable \.npz file"):
            read_table(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_table(tmp_path / "none.npz")


# IDX


def idx_bytes(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder, train=20, test=10, compress=True):
    """The four files of MNIST, small."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for part, n in (("train", train), ("t10k", test)):
        images, labels = rng.integers(0, 256, (n, 28, 28), np.uint8), (np.arange(n) % 10).astype(np.uint8)
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            content = idx_bytes(array)
            if compress:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
            else:
                (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("code", "dtype"), [(0x08, "u1"), (0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 0, 4), (3, 2, 2, 2)])
def test_idx(tmp_path, code, dtype, shape):
    values = np.arange(np.prod(shape)).reshape(shape)
    path = tmp_path / "data.idx"
    for content in (raw := idx_bytes(values.astype(dtype), code), gzip.compress(raw)):
        path.write_bytes(content)
        array = read_idx(path)
        np.testing.assert_array_equal(array, values)
        assert array.dtype == np.dtype(dtype).newbyteorder("=")


def test_bad_idx(tmp_path):
    path = tmp_path / "x-idx3-ubyte"
    good = idx_bytes(np.zeros((2, 3, 4), np.uint8))
    for content, message in (
        (b"", "is no IDX file: it begins with nothing"), (b"\x89PNG....", "begins with 89 50 4e 47"),
        (b"\0\0\x07" + good[3:], "is no IDX file"), (b"\0\0\x08\0", "is no IDX file"),
        (good[:9], "its header needs 16 bytes"), (good + b"x", "too long: .* but it has 41"),
        (good[:-1], r"cut short: shape \(2, 3, 4\) needs 40 bytes, but it has 39"),
        (gzip.compress(good)[:-5], "damaged gzip"), (b"\x1f\x8bnonsense", "damaged gzip"),
        (good[:4] + b"\xff" * 12 + good[16:], "cut short"), (good[:4] + b"\0" * 4 + b"\xff" * 8, "impossible shape"),
        (b"\0\0\x08\x64" + b"\0" * 400, "impossible shape"),
    ):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(jitnet.Error, match=message):
            read_idx(path)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("load", [mnist, fashion_mnist])
def test_mnist_from_a_folder(tmp_path, compress, load):
    (X, y), (X_test, y_test) = load(write_mnist(tmp_path / "m", compress=compress))
    assert (X.shape, X.dtype, y.dtype, X_test.shape) == ((20, 784), np.float32, np.int64, (10, 784))
    assert 0 <= X.min() < 0.01
    assert 0.99 < X.max() <= 1
    np.testing.assert_array_equal(y_test, range(10))


def test_mnist_with_files_that_do_not_fit(tmp_path):
    folder = write_mnist(tmp_path / "m")
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.zeros(9, np.uint8))))
    with pytest.raises(jitnet.Error, match=r"hold \(10, 28, 28\) and \(9,\), but must be"):
        mnist(folder)
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"has neither t10k-labels-idx1-ubyte\.gz nor t10k-labels-idx1-ubyte"):
        mnist(folder)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A real server on this machine that plays the mirror; the checksums are those of the small files."""
    folder = write_mnist(tmp_path / "served")
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def log_message(self, *_):
            requests.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    checksums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in download.FILES}
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    dead = "http://127.0.0.1:9/"  # nobody listens there
    monkeypatch.setattr(download, "MNIST", download.Source("mnist", (dead, address), "sha256", checksums))
    monkeypatch.setenv("JITNET_DATA_DIR", str(tmp_path / "kept"))
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    yield folder, requests
    server.shutdown()
    thread.join()
    server.server_close()


def test_mnist_is_downloaded_once_from_the_mirror_that_answers(tmp_path, mirror, capsys):
    _, requests = mirror
    (X, _), _ = mnist()
    assert len(X) == 20
    assert len(requests) == 4
    assert "downloading http://127.0.0.1" in capsys.readouterr().err
    mnist()
    assert len(requests) == 4
    kept = tmp_path / "kept" / "mnist"
    assert sorted(file.name for file in kept.iterdir()) == sorted(download.FILES)
    (kept / download.FILES[0]).write_bytes(b"damaged")  # noticed, and fetched again
    mnist()
    assert len(requests) == 5


def test_a_wrong_checksum_is_refused(tmp_path, mirror):
    folder, _ = mirror
    (folder / download.FILES[1]).write_bytes(b"somebody else's bytes")
    with pytest.raises(jitnet.Error, match="21 bytes with the wrong checksum") as caught:
        mnist()
    assert not (tmp_path / "kept" / "mnist" / download.FILES[1]).exists()
    assert "path=FOLDER" in str(caught.value)


def test_data_folder_that_cannot_be_written(tmp_path, mirror, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JITNET_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(jitnet.Error, match="set JITNET_DATA_DIR to a writable folder"):
        mnist()


@pytest.mark.parametrize("load", [mnist, fashion_mnist])
def test_offline(tmp_path, monkeypatch, load):
    """No network: one clear error that says what to do."""
    name = load.__name__.upper()
    source = getattr(download, name)
    offline = download.Source(source.name, ("http://127.0.0.1:9/",) * 2, source.hash, source.files)
    monkeypatch.setattr(download, name, offline)
    monkeypatch.setenv("JITNET_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(jitnet.Error, match=r"could not download train-images.*connect to the network.*path=FOLDER"):
        load()
    assert list(tmp_path.rglob("*.gz")) == []


def test_published_sources():
    for source in (download.MNIST, download.FASHION_MNIST):
        assert len(source.mirrors) == 2
        assert set(source.files) == set(download.FILES)
        length = hashlib.new(source.hash, b"", usedforsecurity=False).digest_size * 2
        assert all(len(checksum) == length for checksum in source.files.values())


def test_pictures_find_their_labels(tmp_path):
    folder = write_mnist(tmp_path / "m")
    table = read_table(folder / "train-images-idx3-ubyte.gz")
    assert (table.kind, table.X.shape, len(table.y)) == ("pictures", (20, 784), 20)
    other = folder / "answers.idx"
    other.write_bytes(idx_bytes(np.ones(20, np.uint8)))
    assert set(read_table(folder / "train-images-idx3-ubyte.gz", labels=other).y) == {1}
    assert read_table(folder / "train-images-idx3-ubyte.gz", features=["1"]).y is None
    with pytest.raises(jitnet.Error, match="labels, it seems"):
        read_table(folder / "train-labels-idx1-ubyte.gz")
    other.write_bytes(idx_bytes(np.ones(20, ">f4"), 0x0D))
    with pytest.raises(jitnet.Error, match="must be whole numbers"):
        read_table(folder / "train-images-idx3-ubyte.gz", labels=other)
    with pytest.raises(jitnet.Error, match="labels in a file of their own go with IDX"):
        read_table(csv(tmp_path, "a,y\n1,2\n"), "y", labels=other)
    with pytest.raises(jitnet.Error, match="a target is named for a CSV file"):
        read_table(folder / "train-images-idx3-ubyte.gz", "label")
    (folder / "none-idx3").write_bytes(idx_bytes(np.ones((0, 2, 2), np.uint8)))
    with pytest.raises(jitnet.Error, match="there are no pictures"):
        read_table(folder / "none-idx3", features=["1"])
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(jitnet.Error, match="--labels FILE"):
        read_table(folder / "train-images-idx3-ubyte.gz")


# Recipes


def table_of(X, y, kind="csv"):
    return Table(np.asarray(X, float), np.asarray(y), [str(j) for j in range(np.shape(X)[1])], "y", kind)


def test_recipe_is_learned_from_the_training_rows_alone():
    X = np.array([[1.0, 10], [3, 10], [1000, 10]])
    recipe = Recipe.learn(table_of(X, [0.5, 1.5, 1000]), np.array([0, 1]), None)
    assert (recipe.task, recipe.mean, recipe.scale) == ("regression", [2, 10], [1, 1])
    assert (recipe.target_mean, recipe.target_scale) == (1, 0.5)
    np.testing.assert_array_equal(recipe.X(table_of(X, [0] * 3)), [[-1, 0], [1, 0], [998, 0]])
    np.testing.assert_array_equal(recipe.Y(table_of(X, [0.5, 1.5, 2.0])), [[-1], [1], [2]])
    third = table_of(X / 3, [1 / 3] * 3)
    for dtype in ("float32", "float64"):
        assert recipe.X(third, dtype).dtype == recipe.Y(third, dtype).dtype == dtype
    assert recipe.X(third, "float64")[0, 0] == 1 / 3 - 2
    assert recipe.answers(np.array([[-1.0], [2.0]], np.float32)) == [0.5, 2.0]


def test_recipe_numbers_the_classes_in_order():
    for y, classes in ((["b", "a", "c", "a"] * 2, ["a", "b", "c"]), ([10, 9, 2, 9] * 2, ["2", "9", "10"])):
        table = table_of(np.eye(8), y)
        recipe = Recipe.learn(table, np.arange(2), None)
        assert (recipe.task, recipe.classes, recipe.width) == ("classification", classes, 3)
        assert [recipe.classes[i] for i in recipe.Y(table)] == [str(name) for name in y]
        assert recipe.answers(np.eye(3, dtype=np.float32)) == classes
        assert Recipe.from_plain(recipe.plain()) == recipe


def test_recipe_for_pictures_has_one_scale():
    recipe = Recipe.learn(table_of([[0, 1e-3], [0, 0], [2, 0], [2, 0]], [0, 1, 0, 1], "pictures"), np.arange(4), None)
    assert len(set(recipe.scale)) == 1


def test_likely_task():
    many = np.arange(50)
    for y, task in ((many, "regression"), (many % 20, "classification"), (many / 7, "regression")):
        assert Recipe.learn(table_of(np.ones((50, 1)), y), np.arange(50), None).task == task
    assert Recipe.learn(table_of(np.ones((50, 1)), many % 3), np.arange(50), "regression").task == "regression"


@pytest.mark.parametrize(
    ("X", "y", "task", "message"),
    [
        (np.ones((3, 1)), [1, 1, 1], None, "only one class, '1'"),
        (np.ones((3, 1)), ["a", "b", "a"], "regression", "holds 'a', which regression cannot learn"),
        (np.ones((3, 1)), [1, 2, 1], "classificaton", "unknown task .*did you mean 'classification'"),
        (np.full((3, 1), np.nan), [1, 2, 1], None, "X holds NaN"),
        (np.ones((3, 1)), [1, 2, np.inf], None, "the target holds NaN or infinity"),
    ],
)
def test_bad_recipes(X, y, task, message):
    with pytest.raises(jitnet.Error, match=message):
        Recipe.learn(table_of(X, y), np.arange(3), task)


def test_recipe_meets_what_it_does_not_know():
    recipe = Recipe.learn(table_of(np.eye(3), ["a", "b", "a"]), np.arange(3), None)
    with pytest.raises(jitnet.Error, match="class 'z' is none that the model learned: a, b"):
        recipe.Y(table_of(np.eye(3), ["a", "z", "a"]))
    with pytest.raises(jitnet.Error, match="has 2 columns besides the target, but the model needs 3"):
        recipe.X(table_of(np.ones((3, 2)), ["a", "b", "a"]))
    without = Table(np.eye(3), None, ["0", "1", "2"], "y", "csv")
    for call in (lambda: recipe.Y(without), lambda: Recipe.learn(without, np.arange(3), None)):
        with pytest.raises(jitnet.Error, match="no target"):
            call()
    numbers = Recipe.learn(table_of(np.eye(3), [0.5, 1.5, 2.5]), np.arange(3), None)
    with pytest.raises(jitnet.Error, match="holds text, but the model learned numbers"):
        numbers.Y(table_of(np.eye(3), ["a", "b", "a"]))
    assert numbers.score(table_of(np.eye(3), ["a", "b", "a"]), [1, 2, 3]) == {}
    assert numbers.score(without, [1, 2, 3]) == {}
    with pytest.raises(jitnet.Error, match="answer for row 2 is no number"):
        numbers.answers(np.array([[1.0], [np.nan]]))


def test_damaged_recipes():
    good = Recipe.learn(table_of(np.eye(3), ["a", "b", "a"]), np.arange(3), None).plain()
    assert Recipe.from_plain(good).plain() == good
    changes = [
        {"mean": [1]}, {"scale": [0.0, 1, 1]}, {"mean": ["x"] * 3}, {"x": 1}, {"classes": {"a": 1}}, {"classes": 5},
        {"target_mean": "1.5"}, {"mean": [np.nan] * 3}, {"classes": None}, {"features": [1, 2, 3]}, {"scale": 3},
    ]  # fmt: skip
    for bad in [{}, [], *({**good, **change} for change in changes)]:
        with pytest.raises(jitnet.Error, match="recipe is damaged"):
            Recipe.from_plain(bad)


def test_numbers_that_are_too_large():
    with pytest.raises(jitnet.Error, match="column '0' are too large to be standardised"):
        Recipe.learn(table_of([[1e200], [-1e200], [3e200]], [0, 1, 0]), np.arange(3), None)
    recipe = Recipe.learn(table_of([[1], [2], [3]], ["a", "b", "a"]), np.arange(3), None)
    with pytest.raises(jitnet.Error, match=r"row 2, column '0': 1e\+300 is too far from what was learned"):
        recipe.X(table_of([[1], [1e300]], ["a", "b"]))


def test_pictures_are_not_mixed_with_tables():
    bytes_, y = np.array([[0, 255.0], [255, 0]]), ["a", "b"]
    pictures = Recipe.learn(table_of(bytes_ / 255, y, "pictures"), np.arange(2), None)
    plain = Recipe.learn(table_of(bytes_, y, "npz"), np.arange(2), None)
    assert np.isfinite(pictures.X(table_of(bytes_ / 255, y, "csv"))).all()
    for recipe, table in ((pictures, table_of(bytes_, y, "npz")), (plain, table_of(bytes_ / 255, y, "pictures"))):
        with pytest.raises(jitnet.Error, match="give a file of the same kind"):
            recipe.X(table)
