"""Saved models: loaded with the same bits; damaged and forged files are refused."""

import copy
import io
import json
import pickle
import zipfile

import numpy as np
import pytest

import jitnet
from jitnet import Dense, Network


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


def test_copies_are_independent_networks():
    """A copy's W is a view of the copy's own theta."""
    net = make()
    for again in (copy.deepcopy(net), copy.copy(net), pickle.loads(pickle.dumps(net))):
        assert again.theta.tobytes() == net.theta.tobytes()
        assert not np.shares_memory(again.theta, net.theta)
        assert all(np.shares_memory(layer.W, again.theta) for layer in again.layers)
        again.fit(np.ones((4, 5)), [0, 1, 2, 0], epochs=1)
        assert again.theta.tobytes() != net.theta.tobytes()


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
        "activation": ({"about.json": first_layer(activation="rellu")}, "needs the activation 'rellu', which is not"),
        "layer": ({"about.json": said(layers=[{}])}, "not a valid"),
        "layers": ({"about.json": said(layers=7)}, "not a valid"),
        "loss": ({"about.json": said(loss="msee")}, "needs the loss 'msee', which is not one"),
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


def test_numpy_numbers_can_be_saved(tmp_path):
    """y.max() + 1 is a NumPy integer."""
    net = Network(Dense(np.int64(2), np.int32(3), "softmax", bias=np.bool_(True)), seed=np.int64(3))
    options = {"batch_size": np.int64(2), "optimizer": jitnet.SGD(np.float32(0.5)), "epochs": np.int16(1)}
    net.fit(np.ones((3, 2)), [0, 1, 2], checkpoint=tmp_path / "c", **options)
    net.save(tmp_path / "m.npz")
    assert jitnet.load(tmp_path / "m.npz").seed == 3
