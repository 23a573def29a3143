"""Shared files for the tests of the command line, written once; and the simulator, which starts first."""

import numpy as np
import pytest
from files import idx_bytes
from test_cuda_simulator import HAS_PACKAGE, Simulation

import jitnet
from jitnet import cli, disturbance


def pytest_collection_finish(session):
    asked = any(item.name == "test_everything_in_the_simulator" for item in session.items)
    alone = not hasattr(session.config, "workerinput")  # of pytest-xdist, whose workers share the files anyway
    if asked and alone and HAS_PACKAGE and not session.config.option.collectonly:
        session.config.stash["simulation"] = Simulation()


def pytest_sessionfinish(session):
    if "simulation" in session.config.stash:
        session.config.stash["simulation"].stop()


@pytest.fixture
def quiet(monkeypatch):
    """Measurements in this process count as undisturbed, however busy the machine is."""
    monkeypatch.setattr(disturbance, "reasons", lambda *_: [])
    monkeypatch.setattr(disturbance, "of_timings", lambda timings: [])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A CSV with labels that are names, and columns on very different scales."""
    path = tmp_path_factory.mktemp("table") / "fruit.csv"
    rng = np.random.default_rng(0)
    rows = ["weight,species,redness"]
    for i in range(200):
        species = ("cherry", "apple")[i % 2]
        weight = rng.normal(8, 1) if species == "cherry" else rng.normal(150, 20)
        rows.append(f"{weight:.3f},{species},{rng.uniform() * 1e-3:.6f}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    path = tmp_path_factory.mktemp("numbers") / "line.csv"
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 2))
    y = 1000 + 300 * X[:, 0] - 100 * X[:, 1]
    path.write_text("".join(f"{a},{b},{c}\n" for (a, b), c in zip(X, y, strict=True)))
    return path


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    rows = "".join(f"{i},{i * i % 7},{i % 2}\n" for i in range(20))
    for name, text in {
        "good.csv": "a,b,y\n" + rows, "other.csv": "c,d\n1,2\n", "ragged.csv": "a,b,y\n1,2,0\n3,4\n",
        "text.csv": "a,b,y\n1,two,0\n", "one.csv": "a,y\n" + "1,5\n" * 9, "bad.npz": "nonsense",
        "wild.csv": "a,y\n" + "".join(f"{i},{i * 1.5}\n" for i in range(60)),
    }.items():  # fmt: skip
        (folder / name).write_text(text)
    (folder / "labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(5, np.uint8)))
    (folder / "cut-idx3-ubyte").write_bytes(idx_bytes(np.zeros((5, 2, 2), np.uint8))[:-1])
    jitnet.Network(jitnet.Dense(2, 2, "softmax"), seed=0).save(folder / "library.npz")
    assert cli.main(["train", str(folder / "good.csv"), "--target", "y", "--epochs", "1", "--quiet",
                     "--save", str(folder / "model.npz")]) == 0  # fmt: skip
    mixed = jitnet.load(folder / "model.npz")
    other = jitnet.Network(jitnet.Dense(3, 2, "softmax"), seed=0)
    other.recipe = mixed.recipe
    other.save(folder / "mixed.npz")
    return folder
