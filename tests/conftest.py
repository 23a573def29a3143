"""Fixtures that several test files share, and the order in which pytest-xdist starts the files."""

import contextlib
import gc
import os
import shutil
import signal
from pathlib import Path

import compiled_once
import numpy as np
import pytest
from custom_functions import registered, restored_registries  # noqa: F401  fixtures
from files import idx_bytes
from numba.core import event
from test_cuda_simulator import HAS_PACKAGE, Simulation

import jitnet
from jitnet import cli
from jitnet.compiler import cache
from jitnet.process import disturbance

DEFAULTS = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
for name, handler in DEFAULTS.items():  # background jobs and nohup ignore these signals, but tests send them
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


class Compiling(event.Listener):
    """No garbage collection while Numba compiles: each one would visit all tests and all of Numba's objects."""

    def __init__(self):
        self._depth = 0

    def on_start(self, _):
        self._depth += 1
        gc.disable()

    def on_end(self, _):
        self._depth -= 1
        if not self._depth:
            gc.enable()


event.register("numba:compile", Compiling())

GROUPS = {
    "gpu": (
        "test_explain_gpu", "test_explain_gpu_command", "test_cuda_interpreted", "test_cuda_training",
        "test_cuda_edges", "test_cuda_ptx", "test_ptx_interpreter", "test_gpu_transactions",
    ),
    "explanations": ("test_explain", "test_report"),
}  # fmt: skip
"""Files whose tests run in one process: they read the same PTX or the same machine code, which is generated once."""

FIRST = (
    "test_kernels", "test_cuda_simulator", "gpu", "explanations", "test_custom_kernel", "test_docs", "test_cache",
    "test_cache_files", "test_lessons", "test_peers", "test_concurrency", "test_cli", "test_ladder", "test_tile",
)  # fmt: skip
"""test_kernels starts first: it compiles each kernel in one process, and other tests load it from the cache. Then come
the slowest groups, so that none of them runs alone at the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """`pytest -n auto` gives each process whole files, the slowest first, unless an option overrides this."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist, config.option.loadscopereorder = "loadfile", False
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or a hundred processes would each compile jitnet


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_xdist_auto_num_workers():
    """One process more than there are cores, because many tests wait for a process, a signal, or a time limit."""
    cores = yield
    return cores if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else cores + 1


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadFileScheduling

    class LoadGroups(LoadFileScheduling):  # --dist=loadgroup of pytest-xdist 3.8 does nothing under pytest 9.2
        def _split_scope(self, nodeid):
            file, _, name = nodeid.partition("::")
            if name.startswith("test_rung_equals_the_formula["):  # hundreds of kernels to compile, on all cores
                return f"{file} {name.partition('[')[2].partition('-')[0]}"
            return group_of(Path(file))

    return LoadGroups(config, log) if config.option.dist == "loadfile" else None


def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):  # a process of pytest-xdist
        order = {group: place for place, group in enumerate(FIRST)}
        items.sort(key=lambda item: order.get(group_of(item.path), len(order)))


def group_of(file):
    return next((group for group, files in GROUPS.items() if file.stem in files), file.stem)


def pytest_collection_finish(session):
    asked = any(item.name == "test_all_simulator_tests_pass" for item in session.items)
    alone = not hasattr(session.config, "workerinput")  # workers of pytest-xdist share the files anyway
    if asked and alone and HAS_PACKAGE and not session.config.option.collectonly:
        session.config.stash["simulation"] = Simulation(session.config)


def pytest_sessionfinish(session):
    if "simulation" in session.config.stash:
        session.config.stash["simulation"].stop()


@pytest.fixture(scope="module")
def ptx_once(request):
    with compiled_once.ptx(request.config):
        yield


@pytest.fixture(scope="module")
def explanations_once(request):
    with compiled_once.explanations(request.config):
        yield


@pytest.fixture
def quiet(monkeypatch):
    """Measurements in this process count as undisturbed, however busy the machine is."""
    monkeypatch.setattr(disturbance, "reasons", lambda *_: [])
    monkeypatch.setattr(disturbance, "of_timings", lambda timings: [])


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Runs a command in an empty folder; returns its standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words, status=0):
        assert cli.main(list(map(str, words))) == status
        return capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def with_peaks(tmp_path_factory):
    """The environment of a command that measures, with the peaks of a made-up machine and the usual compiled kernels.

    Otherwise each command would measure the peaks, which takes seconds, as a busy machine does not store them.
    """
    from jitnet.lab import machine

    folder, kernels = tmp_path_factory.mktemp("cache"), cache.kernels_folder()
    kernels.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # Windows does not let every user create links
        (folder / kernels.name).symlink_to(kernels, target_is_directory=True)
    environment = {"JITNET_CACHE_DIR": str(folder)}
    threads = {"1": 1e13, "2": 2e13}
    moves = {count: dict.fromkeys(("read", "write", "copy"), rate / 10) for count, rate in threads.items()}
    caches = {"L1": 1 << 15, "L2": 1 << 20}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JITNET_CACHE_DIR", environment["JITNET_CACHE_DIR"])
        machine._keep({
            **machine._identity(), "disturbed": False, "disturbed_by": [], "clock": None, "measured": "2026-01-01",
            "multiply_adds_per_cycle": None, "caches": caches, "peak": {"float32": threads, "float64": threads},
            "bandwidth": dict.fromkeys((*caches, "memory"), moves),
        })  # fmt: skip
        assert machine.cached()
    return environment


@pytest.fixture
def untried(monkeypatch):
    """Users' files are loaded at once: the process that would load them first, for safety, takes a second."""
    from jitnet.lab import worker

    monkeypatch.setattr(worker, "tried", lambda *_: None)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A CSV file with names as labels, and columns on very different scales."""
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
        "pair.csv": "a,b,y\n1,2,0\n3,4,1\n",
        "text.csv": "a,b,y\n" + rows + "1,two,0\n", "one.csv": "a,y\n" + "1,5\n" * 9,
        "two.csv": "a,y\n1,u\n2,v\n", "bad.npz": "nonsense",
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


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the test opens pages in a browser: pip install playwright"
    )
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("the test opens pages in a browser, and chromium is not on the PATH")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
