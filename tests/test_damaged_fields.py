"""Every field of every file with every kind of wrong value: the result is one clear error, or is valid."""

import functools
import json
import zipfile

import numpy as np
import pytest
from cases import slow

import jitnet
from jitnet import Adam, Dense, Network, cli, storage

MISSING = object()
WRONG_VALUES = (
    MISSING, None, True, False, -1, 0, 1, 2, 3, 1.5, 1e-320, 1e300, 10**20, 10**400, -(10**400), float("nan"),
    float("inf"), "", "x", "2", "\0", "\ud800", "x" * 10**5, [], [1], [[]], [None], [True], ["a"], ["a", "a"],
    ["a", "b"], [float("nan")], [10**400], [0, 0], [1, 1], [1, "a"], [{}], {}, {"0": 1},
)  # fmt: skip


def changed(content, path, value):
    """A copy of nested dictionaries and lists with one value replaced or removed."""
    copy = json.loads(json.dumps(content))
    inner = copy
    for name in path[:-1]:
        inner = inner[name]
    if value is MISSING:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return copy


def rewritten(source, target, about):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        new.writestr("about.json", json.dumps(about))
        for name in old.namelist():
            if name != "about.json":
                new.writestr(name, old.read(name))


def about(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("about.json"))


def is_clear(message, path):
    """One short line that names the file."""
    return str(path) in message and "\n" not in message and len(message) < 1000 and not message.endswith((":", ": "))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.npz"
    net = Network(Dense(2, 3, "tanh"), Dense(3, 2, "softmax"), seed=5)
    net.loss = "cross_entropy"
    net.save(path)
    return path


@pytest.mark.parametrize(
    "field",
    [
        ("format",),
        ("version",),
        ("layers",),
        ("dtype",),
        ("seed",),
        ("loss",),
        ("recipe",),
        ("layers", 0),
        ("layers", 1),
    ]
    + [("layers", l, name) for l in (0, 1) for name in Dense.stored],
    ids=str,
)
def test_damaged_model_field_is_an_error_or_harmless(model, tmp_path, field):
    path, accepted = tmp_path / "n.npz", []
    for value in WRONG_VALUES:
        rewritten(model, path, changed(about(model), field, value))
        try:
            net = jitnet.load(path)
        except jitnet.Error as error:
            assert is_clear(str(error), path), error  # noqa: PT017
            continue
        accepted.append(value)
        assert np.isfinite(net.forward(np.eye(2), "numpy")).all()
        try:
            assert net.evaluate(np.eye(2), [0, 1], backend="numpy")["accuracy"] in (0, 0.5, 1)
        except jitnet.Error as error:
            assert field == ("recipe",)  # a recipe is read only for rows of a table
            assert str(error).startswith("the model's recipe is damaged")  # noqa: PT017
            continue
        net.fit(np.eye(2), [0, 1], epochs=1, backend="numpy")
        net.save(tmp_path / "again.npz")
    if field[0] in ("format", "version", "dtype", "layers"):
        assert set(map(repr, accepted)) <= {"1", "True", "2", "3", "False"}, accepted


RECIPE = {
    "classification": {
        "kind": "csv", "task": "classification", "features": ["a", "b"], "target": "y", "mean": [0.0, 0.5],
        "scale": [1.0, 2.0], "classes": ["u", "v"], "target_mean": 0.0, "target_scale": 1.0,
    },
    "regression": {
        "kind": "csv", "task": "regression", "features": ["a", "b"], "target": "y", "mean": [0.0, 0.5],
        "scale": [1.0, 2.0], "classes": None, "target_mean": 3.0, "target_scale": 2.0,
    },
}  # fmt: skip


@pytest.mark.parametrize("task", ["classification", slow("regression")])
@pytest.mark.parametrize("field", RECIPE["regression"])
def test_damaged_recipe_field_is_an_error_or_harmless(tmp_path, capsys, task, field):
    """With a damaged recipe, the command predict prints an error or a prediction for every row."""
    path, data, out = tmp_path / "m.npz", tmp_path / "data.csv", tmp_path / "answers"
    data.write_text("a,b,y\n1,2,u\n3,4,v\n" if task == "classification" else "a,b,y\n1,2,3\n3,4,5\n")
    net = Network(Dense(2, 2, "softmax") if task == "classification" else Dense(2, 1), seed=0)
    for value in WRONG_VALUES:
        net.recipe = changed(RECIPE[task], [field], value)
        net.save(path)
        status = cli.main(["predict", str(path), str(data), "--out", str(out), "--backend", "numpy", "--quiet"])
        said = capsys.readouterr()
        if status == 0:
            assert len(out.read_text().splitlines()) == 2
            assert said.err == ""
            if field in ("kind", "features", "mean", "scale", "task"):
                assert value in ("csv", [0, 0], [1, 1], ["a", "b"]), value
        else:
            assert status == 2
            assert said.err.startswith("jitnet: ")
            assert is_clear(said.err.strip(), "jitnet: "), said.err


def test_recipe_must_have_one_class_per_output(tmp_path, capsys):
    """The command predict checks it."""
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    for classes in ([], ["a"], ["a", "b", "c"], ["a", "a"], "ab", 7, {"0": 1}):
        net = Network(Dense(2, 2, "softmax"), seed=0)
        net.recipe = {**RECIPE["classification"], "classes": classes}
        net.save(tmp_path / "m.npz")
        assert cli.main(["predict", str(tmp_path / "m.npz"), str(tmp_path / "data.csv"), "--backend", "numpy"]) == 2
        assert "m.npz" in capsys.readouterr().err


X, Y = np.random.default_rng(0).standard_normal((10, 2)), np.arange(10) % 2
OPTIONS = {
    "batch_size": 4, "optimizer": Adam(0.01), "backend": "numpy", "validation": (X[:5], Y[:5]), "early_stopping": 50,
}  # fmt: skip


def fresh():
    return Network(Dense(2, 3, "tanh"), Dense(3, 2, "softmax"), seed=5)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "c"
    fresh().fit(X, Y, epochs=2, checkpoint=path, **OPTIONS)
    return path


SETTINGS = ("layers", "dtype", "batch_size", "loss", "optimizer", "shuffle", "seed", "early_stopping", "data")
HISTORY = ("loss", "validation_loss", "validation_accuracy", "seconds", "compile_seconds", "best_epoch", "stopped")


@pytest.mark.parametrize(
    "field",
    [("format",), ("version",), ("settings",), ("step",), ("history",), ("best_loss",)]
    + [("settings", name) for name in SETTINGS]
    + [("history", name) for name in HISTORY]
    + [slow(("history", name, 1)) for name in HISTORY[:4]],
    ids=str,
)
def test_damaged_checkpoint_field_is_an_error_or_harmless(checkpoint, tmp_path, field):
    path = tmp_path / "d"
    for value in WRONG_VALUES:
        rewritten(checkpoint, path, changed(about(checkpoint), field, value))
        net = fresh()
        before = net.theta.copy()
        try:
            history = net.fit(X, Y, epochs=3, checkpoint=path, resume=True, **OPTIONS)
        except jitnet.Error as error:
            assert is_clear(str(error), path), error  # noqa: PT017
            assert net.theta.tobytes() == before.tobytes()
            continue
        lists = (history.loss, history.validation_loss, history.validation_accuracy, history.seconds)
        assert [len(numbers) for numbers in lists] == [3] * 4
        assert np.isfinite(lists).all()
        good = functools.reduce(lambda content, name: content[name], field, about(checkpoint))
        assert value == good or field[0] == "history", value  # only the history can have other values


def test_inconsistent_counts_in_a_checkpoint_are_an_error(checkpoint, tmp_path):
    """All lists are longer or shorter, with or without a matching step."""
    path = tmp_path / "d"
    good = about(checkpoint)
    for change, message in (
        ({"step": 5}, "step is 5, but must be 6 after 2 epochs"),
        ({"step": 10**400}, r"step is 1000+\.\.\., but must be 6"),
        ({"history": {**good["history"], "seconds": []}}, r"seconds is \[\], but must be a list of 2"),
        ({"history": {**good["history"], "loss": [0.5]}}, "but must be a list of 1"),
        ({"history": {**good["history"], "validation_accuracy": []}}, "validation_accuracy is .* a list of 2"),
        ({"history": {**good["history"], "validation_accuracy": [0, 1.5]}}, "accuracy of epoch 2 is 1.5, .* at most 1"),
        ({"history": {**good["history"], "seconds": [0, -1]}}, "seconds of epoch 2 is -1, .* at least 0"),
        ({"history": {**good["history"], "best_epoch": 3}}, "best_epoch is 3, but must be None after 2 epochs"),
        ({"history": {**good["history"], "stopped": "early"}}, "stopped is 'early', but must be '' after 2 epochs"),
        ({"history": {**good["history"], "extra": 1}}, "history is .*, but must have loss, validation_loss"),
        ({"best_loss": good["best_loss"] / 2}, "best_loss is .*, but must be"),
    ):
        rewritten(checkpoint, path, {**good, **change})
        net = fresh()
        before = net.theta.copy()
        with pytest.raises(jitnet.Error, match=f"damaged .*{message}"):
            net.fit(X, Y, epochs=3, checkpoint=path, resume=True, **OPTIONS)
        assert net.theta.tobytes() == before.tobytes()


@pytest.mark.parametrize("name", ["theta", "memory0", "memory1", "best_theta"])
def test_damaged_checkpoint_array_is_an_error(checkpoint, tmp_path, name):
    """All arrays are validated before the first one is used."""
    path = tmp_path / "d"
    said, arrays = storage.read(checkpoint, "checkpoint")
    size = arrays["theta"].size
    for array in (
        None, np.full(size, np.nan, np.float32), np.zeros(size), np.zeros(size - 1, np.float32),
        np.zeros((), np.float32),
        np.full(size, "a"), np.zeros((size, 0), np.float32), np.zeros(size, ">f4"),
    ):  # fmt: skip
        changes = {key: value for key, value in {**arrays, name: array}.items() if value is not None}
        storage.write(path, "checkpoint", {key: said[key] for key in said if key not in ("format", "version")}, changes)
        net = fresh()
        before = net.theta.copy()
        with pytest.raises(jitnet.Error, match=f"damaged .*{name} (should be|holds NaN)"):
            net.fit(X, Y, epochs=3, checkpoint=path, resume=True, **OPTIONS)
        assert net.theta.tobytes() == before.tobytes()
