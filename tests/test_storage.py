"""Files are written atomically and validated before use."""

import copy
import io
import json
import os
import pickle
import re
import stat
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import jitnet
from jitnet import Dense, Network, storage


def make(dtype="float32", bias=True):
    return Network(Dense(5, 4, "tanh", bias=bias), Dense(4, 3, "softmax"), seed=5, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
def test_saved_network_loads_with_the_same_bits(tmp_path, dtype, bias):
    net = make(dtype, bias)
    X, y = np.random.default_rng(0).standard_normal((9, 5)), np.arange(9) % 3
    net.fit(X, y, epochs=1)
    net.save(tmp_path / "m.npz")
    again = jitnet.load(tmp_path / "m.npz")
    assert again.theta.tobytes() == net.theta.tobytes()
    assert (again.dtype, again.seed, again.loss) == (net.dtype, 5, "cross_entropy")
    assert again.layers == net.layers
    np.testing.assert_array_equal(again.forward(X), net.forward(X))
    with np.load(tmp_path / "m.npz") as archive:  # NumPy can read it, too
        np.testing.assert_array_equal(archive["W0"], net.layers[0].W)
    assert [file.name for file in tmp_path.iterdir()] == ["m.npz"]


def test_saving_succeeds_if_the_folder_cannot_be_synced(tmp_path, monkeypatch):
    """At that point the file is complete."""
    sync = os.fsync

    def refuses_folders(number):
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(22, "Invalid argument")
        sync(number)

    monkeypatch.setattr(os, "fsync", refuses_folders)
    make().save(tmp_path / "net.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]


def test_copies_are_independent_networks():
    """A copy's W is a view of the copy's own theta."""
    net = make()
    for again in (copy.deepcopy(net), copy.copy(net), pickle.loads(pickle.dumps(net))):
        assert again.theta.tobytes() == net.theta.tobytes()
        assert not np.shares_memory(again.theta, net.theta)
        assert all(np.shares_memory(layer.W, again.theta) for layer in again.layers)
        again.fit(np.ones((4, 5)), [0, 1, 2, 0], epochs=1)
        assert again.theta.tobytes() != net.theta.tobytes()


def test_saving_follows_a_link_and_keeps_the_name(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    make().save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert jitnet.load(tmp_path / "real").parameters == make().parameters


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.npz"
    net = Network(Dense(2, 2, "tanh"), Dense(2, 1), seed=5)
    net.save(path)
    return net, path.read_bytes()


def test_truncated_file_is_refused(saved, tmp_path):
    _, content = saved
    path = tmp_path / "cut.npz"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"cut\.npz"):
            jitnet.load(path)


def test_file_with_a_flipped_bit_is_refused_or_equal(saved, tmp_path):
    """One bit of each byte is flipped: there is never a traceback or a different network."""
    net, content = saved
    path = tmp_path / "flipped.npz"
    refused = 0
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            again = jitnet.load(path)
        except ValueError as error:
            assert "flipped.npz" in str(error)  # noqa: PT017
            refused += 1
        else:
            assert again.theta.tobytes() == net.theta.tobytes(), position
            assert again.layers == net.layers
    assert refused > len(content) / 2


def rewrite(content, changes):
    """The archive with some members replaced and correct checksums."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = changes.get(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return out.getvalue()


def npy(array, shape=None):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": shape or array.shape}
    )
    return out.getvalue() + array.tobytes()


def forgeries(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        about = json.loads(archive.read("about.json"))

    def said(**changes):
        return json.dumps({**about, **changes})

    def first_layer(**changes):
        return said(layers=[{**about["layers"][0], **changes}, about["layers"][1]])

    W = np.ones((2, 2), np.float32)
    objects = io.BytesIO()
    np.lib.format.write_array(objects, np.array([[{}, 1], [2, 3]], object))
    return {
        "huge shape": ({"W0.npy": npy(W, (10**12, 10**6))}, "declares"),
        "wrong shape": ({"W0.npy": npy(np.ones((2, 3), np.float32))}, r"W0 should be \(2, 2\) float32"),
        "wrong dtype": ({"W0.npy": npy(np.ones((2, 2)))}, "W0 should be"),
        "NaN": ({"W0.npy": npy(W * np.nan)}, "W0 holds NaN"),
        "objects": ({"W0.npy": objects.getvalue()}, "Python objects"),
        "missing": ({"b1.npy": None}, "b1 should be"),
        "no array": ({"W0.npy": b"nonsense"}, "magic string"),
        "future": ({"about.json": said(version=2)}, "reads up to 1; update jitnet"),
        "no version": ({"about.json": said(version="x")}, "format version 'x'"),
        "other kind": (
            {"about.json": said(format="jitnet checkpoint")},
            "not a jitnet model, but 'jitnet checkpoint'",
        ),
        "no JSON": ({"about.json": b"{"}, "not a readable"),
        "a list": ({"about.json": b"[]"}, "is not a jitnet model"),
        "nothing about it": ({"about.json": None}, "no about.json"),
        "activation": ({"about.json": first_layer(activation="rellu")}, "did you mean 'relu'"),
        "layer": ({"about.json": said(layers=[{}])}, "not a valid"),
        "layers": ({"about.json": said(layers=7)}, "not a valid"),
        "loss": ({"about.json": said(loss="msee")}, "did you mean 'mse'"),
        "dtype": ({"about.json": said(dtype="int8")}, "unknown dtype"),
        "widths": ({"about.json": first_layer(n_in=3)}, r"W0 should be \(3, 2\)"),
        "text width": ({"about.json": first_layer(n_out="2")}, "n_out of Dense is .2., but must be a whole number"),
        "extra field": ({"about.json": first_layer(color="red")}, "color"),
        "kind": ({"about.json": first_layer(kind="Densse")}, "unknown kind of layer 0 .*did you mean 'Dense'"),
        "no kind": ({"about.json": first_layer(kind=[])}, "unknown kind of layer 0"),
        "other layer": ({"about.json": first_layer(kind="Dropout")}, "must have rate"),
        "last layer": ({"about.json": said(layers=[{"kind": "Dropout", "rate": 0.5}])}, "'Dense'|must be a Dense"),
        "seed": ({"about.json": said(seed="x")}, "seed is 'x'"),
        "init": ({"about.json": first_layer(init="x")}, "unknown init"),
        "chain": (
            {
                "about.json": said(layers=[about["layers"][0], {**about["layers"][1], "n_in": 3}]),
                "W1.npy": npy(np.ones((3, 1), np.float32)),
            },
            "do not chain",
        ),
    }


def test_forged_files_are_refused(saved, tmp_path):
    net, content = saved
    path = tmp_path / "forged.npz"
    path.write_bytes(rewrite(content, {}))
    assert jitnet.load(path).theta.tobytes() == net.theta.tobytes()
    for name, (changes, message) in forgeries(content).items():
        path.write_bytes(rewrite(content, changes))
        with pytest.raises(jitnet.Error, match=message) as caught:
            jitnet.load(path)
        assert "forged.npz" in str(caught.value), name


@pytest.mark.parametrize("error", [MemoryError(), AssertionError(), RuntimeError("why")])
def test_message_has_the_reason_or_the_name_of_the_error(saved, tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    path = tmp_path / "m.npz"
    path.write_bytes(saved[1])
    monkeypatch.setattr("jitnet.npz.Archive.array", fail)
    with pytest.raises(jitnet.Error, match=rf"m\.npz .*: {str(error) or type(error).__name__}"):
        jitnet.load(path)


def test_other_files_are_refused_as_models(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="is not a jitnet model"):
        jitnet.load(tmp_path / "other.npz")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match="not a readable jitnet model"):
        jitnet.load(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        jitnet.load(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        jitnet.load(tmp_path)


@pytest.mark.slow  # eight processes
def test_killed_process_leaves_the_old_file_or_the_new_one(tmp_path):
    """Real processes save repeatedly and are killed at random times."""
    code = (
        "import sys, jitnet\n"
        "nets = [jitnet.Network(jitnet.Dense(200, 300), seed=s) for s in (1, 2)]\n"
        "print('ready', flush=True)\n"
        "while True:\n    for net in nets: net.save(sys.argv[1])\n"
    )
    path = tmp_path / "m.npz"
    good = {Network(Dense(200, 300), seed=seed).theta.tobytes() for seed in (1, 2)}
    Network(Dense(200, 300), seed=1).save(path)
    rng = np.random.default_rng(0)
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.01, 0.15))
        process.kill()
        process.wait()
        process.stdout.close()
        assert jitnet.load(path).theta.tobytes() in good
    left = [file for file in tmp_path.iterdir() if file.name != "m.npz"]
    assert all(re.fullmatch(r"\.m\.npz\.[0-9a-f]{12}\.tmp", file.name) for file in left)
    for file in left:  # a later writer removes them after an hour
        os.utime(file, (0, 0))
    Network(Dense(200, 300), seed=2).save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["m.npz"]


def test_concurrent_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "file"
    with storage.replacing(path) as first:
        first.write(b"a" * 1000)
        with storage.replacing(path) as second:
            second.write(b"b" * 10)
        assert path.read_bytes() == b"b" * 10
        first.write(b"a" * 1000)
    assert path.read_bytes() == b"a" * 2000


def test_saving_keeps_the_file_mode(tmp_path):
    path = tmp_path / "m.npz"
    make().save(path)
    path.chmod(0o600)
    make().save(path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_temporary_file_has_the_mode_of_the_final_file(tmp_path):
    """It has it from the start; a new file has the mode of the umask."""
    path, before = tmp_path / "m.npz", os.umask(0o022)
    try:
        for mode, expected in ((None, 0o644), (0o600, 0o600), (0o640, 0o640), (0o664, 0o644)):
            if mode is not None:
                path.chmod(mode)
            with storage.replacing(path) as file:
                assert os.fstat(file.fileno()).st_mode & 0o777 == expected
            assert path.stat().st_mode & 0o777 == (mode or expected)
    finally:
        os.umask(before)


def test_only_old_temporary_files_of_the_same_file_are_removed(tmp_path):
    ours = ".m.npz.0123456789ab.tmp"
    others = (
        ".m.npz.my-notes.tmp", ".m.npz.0123456789abc.tmp", ".m.npz.0123456789a.tmp", ".m.npz.0123456789ag.tmp",
        ".m.npz.x.0123456789ab.tmp", "m.npz.0123456789ab.tmp", ".n.npz.0123456789ab.tmp", ".m.npz.0123456789ab.tmp~",
    )  # fmt: skip
    for name in (ours, *others):
        (tmp_path / name).write_text("precious")
        os.utime(tmp_path / name, (1, 1))
    recent = tmp_path / ".m.npz.ba9876543210.tmp"  # of an active writer
    recent.write_text("")
    make().save(tmp_path / "m.npz")
    assert {file.name for file in tmp_path.iterdir()} == {*others, recent.name, "m.npz"}


FULL = """
import resource, sys, warnings
import jitnet
from jitnet import Dense, Network, storage
path = sys.argv[1]
small, large = Network(Dense(2, 2, "softmax"), seed=1), Network(Dense(300, 300), seed=1)
small.save(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
warnings.simplefilter("ignore")  # about the checkpoint that cannot be written; training continues

def data(path):
    with storage.replacing(path) as file:
        file.write(bytes(200_000))

for write in (large.save, data, lambda path: large.fit([[0] * 300], [[0] * 300], epochs=1, checkpoint=path + ".c")):
    try:
        write(path)
    except jitnet.Error as error:
        print(error)
assert jitnet.load(path).theta.tobytes() == small.theta.tobytes()
"""


@pytest.mark.skipif(os.name != "posix", reason="only POSIX limits the size of files")
def test_full_disk_leaves_only_the_old_file(tmp_path):
    """A process limits its files to 100 000 bytes."""
    path = tmp_path / "m.npz"
    result = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    said = result.stdout.splitlines()
    assert said[:2] == [f"cannot write {path}: File too large"] * 2
    assert [file.name for file in tmp_path.iterdir()] == ["m.npz"]


def test_name_that_is_too_long_is_an_error_before_training(tmp_path):
    """The temporary file has an even longer name."""
    with pytest.raises(jitnet.Error, match=r"cannot write .*nnn"):
        storage.check_writable(tmp_path / ("n" * 250))


def test_numpy_numbers_can_be_saved(tmp_path):
    """y.max() + 1 is a NumPy integer."""
    net = Network(Dense(np.int64(2), np.int32(3), "softmax", bias=np.bool_(True)), seed=np.int64(3))
    options = {"batch_size": np.int64(2), "optimizer": jitnet.SGD(np.float32(0.5)), "epochs": np.int16(1)}
    net.fit(np.ones((3, 2)), [0, 1, 2], checkpoint=tmp_path / "c", **options)
    net.save(tmp_path / "m.npz")
    assert jitnet.load(tmp_path / "m.npz").seed == 3


def test_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), storage.replacing(path) as file:  # noqa: PT012
        file.write(b"new")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_unwritable_path_is_an_error_before_training(tmp_path):
    net = make()
    for path, message in (
        (tmp_path / "none" / "m.npz", "there is no folder"),
        (tmp_path, "is a folder"),
        ("/proc/m.npz", "cannot write /proc/m.npz"),
        ("/dev/null", "is not a regular file"),
    ):
        with pytest.raises(ValueError, match=message):
            storage.check_writable(path)
        with pytest.raises(ValueError, match="cannot write"):
            net.save(path)
        with pytest.raises(ValueError, match=message):  # and before the training, not after
            net.fit(np.ones((2, 5)), [0, 1], checkpoint=path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root can write anywhere")
def test_read_only_file_is_not_replaced(tmp_path):
    path = tmp_path / "m.npz"
    path.write_text("precious")
    path.chmod(0o400)
    with pytest.raises(ValueError, match="read-only"):
        storage.check_writable(path)
