"""IDX files, and MNIST from a folder, from a mirror, and without a network connection."""

import gzip
import hashlib
import http.server
import os
import threading
import time

import numpy as np
import pytest
from files import csv, idx_bytes, write_mnist

import jitnet
from jitnet.data import download, fashion_mnist, mnist, read_idx, read_table
from jitnet.data.files.idx import images_and_labels


@pytest.mark.parametrize(
    ("code", "dtype"), [(0x08, "u1"), (0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 0, 4), (3, 2, 2, 2)])
def test_idx_files_are_read(tmp_path, code, dtype, shape):
    values = np.arange(np.prod(shape)).reshape(shape)
    path = tmp_path / "data.idx"
    for content in (raw := idx_bytes(values.astype(dtype), code), gzip.compress(raw)):
        path.write_bytes(content)
        array = read_idx(path)
        np.testing.assert_array_equal(array, values)
        assert array.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize(("images", "labels"), [((3,), (3,)), ((3, 2, 2), (3, 1)), ((3, 2), (4,))])
def test_images_and_labels_must_match(images, labels):
    with pytest.raises(jitnet.Error, match=r"the files hold .*, but must be images \(n, \.\.\.\) and labels \(n,\)"):
        images_and_labels(np.zeros(images, np.uint8), np.zeros(labels, np.uint8), "the files")


@pytest.mark.parametrize("pixel", [np.nan, np.inf])
def test_pixels_must_be_finite(pixel):
    images = np.zeros((3, 2, 2), np.float32)
    images[1, 1, 0] = pixel
    with pytest.raises(jitnet.Error, match="the files: image 2 has a pixel that is not finite"):
        images_and_labels(images, np.zeros(3, np.uint8), "the files")


def test_bad_idx_files_are_an_error(tmp_path):
    path = tmp_path / "x-idx3-ubyte"
    good = idx_bytes(np.zeros((2, 3, 4), np.uint8))
    for content, message in (
        (b"", "is not an IDX file: it begins with nothing"), (b"\x89PNG....", "begins with 89 50 4e 47"),
        (b"\0\0\x07" + good[3:], "is not an IDX file"), (b"\0\0\x08\0", "is not an IDX file"),
        (good[:9], "its header needs 16 bytes"), (good + b"x", "too long: .* but it has 41"),
        (good[:-1], r"truncated: shape \(2, 3, 4\) needs 40 bytes, but it has 39"),
        (gzip.compress(good, mtime=0)[:-5], "damaged gzip"), (b"\x1f\x8bnonsense", "damaged gzip"),
        (good[:4] + b"\xff" * 12 + good[16:], "truncated"), (good[:4] + b"\0" * 4 + b"\xff" * 8, "impossible shape"),
        (b"\0\0\x08\x64" + b"\0" * 400, "impossible shape"),
    ):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(jitnet.Error, match=message):
            read_idx(path)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("load", [mnist, fashion_mnist])
def test_mnist_is_read_from_a_folder(tmp_path, compress, load):
    (X, y), (X_test, y_test) = load(write_mnist(tmp_path / "m", compress=compress))
    assert (X.shape, X.dtype, y.dtype, X_test.shape) == ((20, 784), np.float32, np.int64, (10, 784))
    assert 0 <= X.min() < 0.01
    assert 0.99 < X.max() <= 1
    np.testing.assert_array_equal(y_test, range(10))


def test_mnist_with_inconsistent_files_is_an_error(tmp_path):
    folder = write_mnist(tmp_path / "m")
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.zeros(9, np.uint8))))
    with pytest.raises(jitnet.Error, match=r"hold \(10, 28, 28\) and \(9,\), but must be"):
        mnist(folder)
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"has neither t10k-labels-idx1-ubyte\.gz nor t10k-labels-idx1-ubyte"):
        mnist(folder)
    (tmp_path / "new").mkdir()
    for name, said in ((None, "is empty"), ("m (1)", r"holds m \(1\)"), ("Archive.ZIP", "unpack Archive.ZIP")):
        if name:
            (tmp_path / "new" / name).touch()
        with pytest.raises(FileNotFoundError, match=f"none of its folders has them; (it )?{said}$"):
            mnist(tmp_path / "new")


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A real local server is the mirror; the checksums are those of small files."""
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
    dead = "http://127.0.0.1:9/"  # no server listens there
    monkeypatch.setattr(download, "MNIST", download.Source("mnist", (dead, address), "sha256", checksums))
    monkeypatch.setenv("JITNET_DATA_DIR", str(tmp_path / "kept"))
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    yield folder, requests
    server.shutdown()
    thread.join()
    server.server_close()


def test_mnist_is_downloaded_once_from_a_working_mirror(tmp_path, mirror, capsys):
    _, requests = mirror
    (X, _), _ = mnist()
    assert len(X) == 20
    assert len(requests) == 4
    assert "downloading http://127.0.0.1" in capsys.readouterr().err
    mnist()
    assert len(requests) == 4
    kept = tmp_path / "kept" / "mnist"
    assert sorted(file.name for file in kept.iterdir()) == sorted(download.FILES)
    (kept / download.FILES[0]).write_bytes(b"damaged")  # detected, and downloaded again
    mnist()
    assert len(requests) == 5


def test_data_folder_can_be_below_the_home_folder(tmp_path, mirror, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("JITNET_DATA_DIR", "~/mine")
    mnist()
    assert sorted(file.name for file in (tmp_path / "mine/mnist").iterdir()) == sorted(download.FILES)


def test_without_a_data_folder_downloads_are_in_the_cache_folder(tmp_path, mirror, monkeypatch):
    """Only this user can access the new folder, because it will also contain machine code."""
    monkeypatch.delenv("JITNET_DATA_DIR")
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path / "cache"))
    mnist()
    assert sorted(file.name for file in (tmp_path / "cache/data/mnist").iterdir()) == sorted(download.FILES)
    assert os.name != "posix" or (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_wrong_checksum_is_refused(tmp_path, mirror):
    folder, _ = mirror
    (folder / download.FILES[1]).write_bytes(b"other bytes")
    with pytest.raises(jitnet.Error, match="11 bytes with the wrong checksum") as caught:
        mnist()
    assert not (tmp_path / "kept" / "mnist" / download.FILES[1]).exists()
    assert "path=FOLDER" in str(caught.value)


class HostileServer(http.server.BaseHTTPRequestHandler):
    """A server that sends single bytes, endless data, nothing at all, or something other than HTTP."""

    def do_GET(self):
        manner = self.path.split("/")[1]
        try:
            if manner in ("nonsense", "headers"):
                self.wfile.write(b"nonsense\r\n" if manner == "nonsense" else b"HTTP/1.0 200 OK\r\n")
            else:
                self.send_response(200)
                self.end_headers()
            while not self.server.is_over.wait(0 if manner == "endless" else 0.05):
                if manner != "silent":
                    self.wfile.write(bytes(2**16) if manner == "endless" else b"x")
                    self.wfile.flush()
                if manner == "nonsense":
                    break
        except OSError:  # the client has disconnected
            pass

    def log_message(self, *_):
        pass


@pytest.fixture
def hostile_server(tmp_path, monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), HostileServer)
    server.is_over = threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("JITNET_DATA_DIR", str(tmp_path / "kept"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "TIMEOUT", 2)
    monkeypatch.setattr(download, "LIMIT", 10**6)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.is_over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("manner", "said"),
    [
        ("drip", r"\d+ bytes in 2 s, still incomplete"), ("headers", "0 bytes in 2 s, still incomplete|timed out"),
        ("silent", "timed out|0 bytes in 2 s"), ("endless", "more than 1000000 bytes"), ("nonsense", "nonsense"),
    ],
)  # fmt: skip
def test_download_time_and_size_are_limited(tmp_path, monkeypatch, hostile_server, manner, said):
    source = download.Source("mnist", (f"{hostile_server}/{manner}/",), "sha256", download.MNIST.files)
    monkeypatch.setattr(download, "MNIST", source)
    began = time.monotonic()
    with pytest.raises(jitnet.Error, match=rf"could not download train-images.*/{manner}/: ({said})"):
        mnist()
    assert time.monotonic() - began < 20
    assert not (tmp_path / "kept").exists()


def test_slow_download_shows_its_progress(monkeypatch, hostile_server, capsys):
    monkeypatch.setattr(download, "NEWS", 0.5)
    with pytest.raises(jitnet.Error, match="bytes in 2 s, still incomplete"):
        download.Download(f"{hostile_server}/drip/").wait()
    assert "0.0 MB so far" in capsys.readouterr().err


def test_data_folder_that_cannot_be_written_is_an_error(tmp_path, mirror, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JITNET_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(jitnet.Error, match="set JITNET_DATA_DIR to a writable folder"):
        mnist()


@pytest.mark.parametrize("load", [mnist, fashion_mnist])
def test_download_without_a_network_is_a_clear_error(tmp_path, monkeypatch, load):
    """The error says what to do."""
    name = load.__name__.upper()
    source = getattr(download, name)
    offline = download.Source(source.name, ("http://127.0.0.1:9/",) * 2, source.hash, source.files)
    monkeypatch.setattr(download, name, offline)
    monkeypatch.setenv("JITNET_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(jitnet.Error, match=r"could not download train-images.*connect to the network.*path=FOLDER"):
        load()
    assert list(tmp_path.rglob("*.gz")) == []


def test_checksums_and_mirrors_are_the_published_ones():
    for source in (download.MNIST, download.FASHION_MNIST):
        assert len(source.mirrors) == 2
        assert set(source.files) == set(download.FILES)
        length = hashlib.new(source.hash, b"", usedforsecurity=False).digest_size * 2
        assert all(len(checksum) == length for checksum in source.files.values())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_read_as_programs_show_them(tmp_path, orientation):
    """Cameras store the pixels of a turned picture as they are, and note the turn."""
    Image = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install 'jitnet[data]'")
    X = np.arange(0, 240, 20, np.uint8).reshape(3, 4)
    stored = [X, X[:, ::-1], X[::-1, ::-1], X[::-1], X.T, np.rot90(X), X[::-1, ::-1].T, np.rot90(X, -1)][
        orientation - 1
    ]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name, pixels, note in (("a", X, Image.Exif()), ("b", stored, exif)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / name / "1.png", exif=note)
    table = read_table(tmp_path)
    assert table.notes == ["2 images of 4×3 pixels, in gray"]
    np.testing.assert_array_equal(table.matrix, [X.ravel() / np.float32(255)] * 2)


def test_label_file_is_found_by_the_name_of_the_images(tmp_path):
    folder = write_mnist(tmp_path / "m")
    table = read_table(folder / "train-images-idx3-ubyte.gz")
    assert (table.kind, table.has_header, table.X.shape, len(table.y)) == ("pictures", False, (20, 784), 20)
    other = folder / "answers.idx"
    other.write_bytes(idx_bytes(np.ones(20, np.uint8)))
    assert set(read_table(folder / "train-images-idx3-ubyte.gz", labels=other).y) == {1}
    assert read_table(folder / "train-images-idx3-ubyte.gz", features=["1"]).y is None
    with pytest.raises(jitnet.Error, match="these seem to be labels"):
        read_table(folder / "train-labels-idx1-ubyte.gz")
    other.write_bytes(idx_bytes(np.ones(20, ">f4"), 0x0D))
    with pytest.raises(jitnet.Error, match="must be integers"):
        read_table(folder / "train-images-idx3-ubyte.gz", labels=other)
    with pytest.raises(jitnet.Error, match="a separate file of labels belongs to IDX"):
        read_table(csv(tmp_path, "a,y\n1,2\n"), "y", labels=other)
    with pytest.raises(jitnet.Error, match="a target is named only for a CSV or Parquet file"):
        read_table(folder / "train-images-idx3-ubyte.gz", "label")
    (folder / "none-idx3").write_bytes(idx_bytes(np.ones((0, 2, 2), np.uint8)))
    with pytest.raises(jitnet.Error, match="there are no images"):
        read_table(folder / "none-idx3", features=["1"])
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(jitnet.Error, match="--labels FILE"):
        read_table(folder / "train-images-idx3-ubyte.gz")


def test_kind_of_a_gzip_file_is_that_of_its_content(tmp_path):
    (tmp_path / "digits.gz").write_bytes(gzip.compress(idx_bytes(np.ones((3, 2, 2), np.uint8))))
    assert read_table(tmp_path / "digits.gz", features=["1"]).kind == "pictures"
    (tmp_path / "my-idx.csv.gz").write_bytes(gzip.compress(b"a,b\n1,x\n2,y\n", mtime=0))
    assert read_table(tmp_path / "my-idx.csv.gz", "b").kind == "csv"
