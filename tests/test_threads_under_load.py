"""The default number of threads is as fast as one thread on busy cores, and as all threads on idle cores."""

import json
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from cases import release, slow

import jitnet
from jitnet import backend, cli
from jitnet.backend import thread_choice
from jitnet.backend.thread_choice import Choice, Slices
from jitnet.compiler.parallel_for import WAITING
from jitnet.compiler.registry import Call

SEVERAL = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")

COMPARED = """
import json, time
import numpy as np
import jitnet
from jitnet import backend

rng = np.random.default_rng(0)
X, y, A = rng.random((1600, 784), np.float32), np.arange(1600) % 10, rng.random((256, 256), np.float32)

def train(threads):
    net = jitnet.Network(jitnet.Dense(784, 128, "relu"), jitnet.Dense(128, 10, "softmax"), seed=0)
    net.fit(X, y, epochs=1, batch_size=64, threads=threads)

def multiply(threads):
    with backend.threads(threads):
        for _ in range(50):
            jitnet.matmul(A, A)

seconds = {"train": {}, "multiply": {}}
for work in (train, multiply):
    work(None)
    for _ in range(5):
        for threads in (1, None):
            start = time.perf_counter()
            work(threads)
            seconds[work.__name__].setdefault(str(threads), []).append(time.perf_counter() - start)
print(json.dumps({name: np.median(times["None"]) / np.median(times["1"]) for name, times in seconds.items()}))
"""


BUSY = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"  # ends when the test process ends


@pytest.fixture
def load():
    """Two busy processes per core."""
    said_by(COMPARED.replace("range(5)", "range(1)"))  # compiles
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(2 * (os.cpu_count() or 1))]
    yield
    for process in processes:
        process.kill()
        process.wait()


def said_by(code, **environment):
    kept = {name: value for name, value in os.environ.items() if name not in WAITING}
    answer = subprocess.run(
        [sys.executable, "-c", code], env={**kept, **environment}, capture_output=True, text=True, check=True,
        timeout=300,
    )  # fmt: skip
    return json.loads(answer.stdout)


@SEVERAL
@pytest.mark.slow
@pytest.mark.parametrize(
    "environment", [{}, release({"GOMP_SPINCOUNT": "300000"})], ids=["default", "OpenMP threads spin for ms"]
)
def test_default_is_no_slower_than_one_thread_under_load(load, environment):
    """All threads under load were 10 to 100 times slower. benchmarks/busy.py measures the cost; this bound is wide."""
    ratios = said_by(COMPARED, **environment)
    assert all(ratio < 3 for ratio in ratios.values()), ratios


class Clock:
    """A simulated clock that advances only in `work`; the time per unit of work depends on the number of threads."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(thread_choice.time, "perf_counter", lambda: self.now)

    def work(self, choice, seconds_of, pieces, pause=0.0):
        """The time of all pieces of work without pauses, and the pieces for each number of threads."""
        start, had = self.now, {1: 0, 4: 0}
        for _ in range(pieces):
            had[choice.threads] += 1
            seconds = seconds_of[choice.threads]
            self.now += pause + seconds
            choice.note(choice.threads, seconds, 1)
        return self.now - start - pieces * pause, had


@pytest.mark.parametrize("pause", [0.0, 0.002])
@pytest.mark.parametrize("seconds_of", [{1: 4e-4, 4: 1e-4}, {1: 1e-4, 4: 4e-4}, {1: 1e-4, 4: 1e-2}, {1: 4e-2, 4: 1e-2}])
def test_trials_of_the_slower_choice_cost_a_64th(monkeypatch, seconds_of, pause):
    clock, choice = Clock(monkeypatch), Choice(4)
    clock.work(choice, seconds_of, 100, pause)
    best = min(seconds_of, key=seconds_of.get)
    took, had = clock.work(choice, seconds_of, 50_000, pause)
    assert had[best] > 0.96 * 50_000
    assert choice.best == best
    assert took < 1.02 * 50_000 * seconds_of[best]
    assert had[5 - best] > 0  # otherwise it would not notice the end of the load


def test_busy_cores_are_not_used_at_first(monkeypatch):
    """On busy cores, a short run uses one thread; a longer run tries all threads, because the load may end."""
    clock, choice = Clock(monkeypatch), Choice(4, is_busy=True)
    _, had = clock.work(choice, {1: 4e-4, 4: 1e-2}, 250)
    assert had == {1: 250, 4: 0}
    _, had = clock.work(choice, {1: 4e-4, 4: 1e-4}, 10_000)
    assert had[4] > 9_000


def test_busy_cores_are_detected_from_the_counters(monkeypatch, tmp_path):
    for text, is_busy in (("0.1 0.1 0.1 3/150 4711\n", True), ("9.0 9.0 9.0 2/150 4711\n", False), ("nonsense", False)):
        (tmp_path / "loadavg").write_text(text)
        monkeypatch.setattr(thread_choice, "Path", lambda _: tmp_path / "loadavg")
        monkeypatch.setattr(thread_choice.os, "cpu_count", lambda: 2)
        assert thread_choice.cores_are_busy() == is_busy, text


def test_work_of_an_iteration_that_another_thread_ended_does_not_count(monkeypatch):
    clock, choice = Clock(monkeypatch), Choice(4)
    clock.now += 1
    choice.note(4, 1, 1)
    assert choice.threads == 1
    choice.note(4, 100, 0)
    assert choice.threads == 1


@pytest.mark.parametrize("name", ["njit", "numpy", "fast"])
def test_every_backend_can_be_asked_for_one_thread(name):
    backend.check_threads(1, name)


def test_choice_follows_the_load(monkeypatch):
    clock, choice = Clock(monkeypatch), Choice(4)
    free, loaded = {1: 4e-4, 4: 1e-4}, {1: 8e-4, 4: 1e-2}
    clock.work(choice, free, 10_000)
    took, _ = clock.work(choice, loaded, 5_000)
    assert choice.best == 1
    assert took < 1.1 * 5_000 * 8e-4
    clock.work(choice, free, 5_000)
    took, _ = clock.work(choice, free, 5_000)
    assert choice.best == 4
    assert took < 1.03 * 5_000 * 1e-4


def test_mean_time_includes_rare_long_waits(monkeypatch):
    """Nine of ten slices are faster with all threads, but the tenth waits for a core, so one thread is better."""
    clock, choice = Clock(monkeypatch), Choice(4)
    start, pieces = clock.now, 20_000
    for piece in range(pieces):
        seconds = 4e-4 if choice.threads == 1 else 2e-2 if piece % 50 == 0 else 2e-4
        clock.now += seconds
        choice.note(choice.threads, seconds, 1)
    assert clock.now - start < 1.15 * pieces * 4e-4


@SEVERAL
@pytest.mark.parametrize("name", ["parallel", "fast"])
def test_changing_the_number_of_threads_changes_no_bit(monkeypatch, name):
    def weights(threads):
        net = jitnet.Network(jitnet.Dense(64, 300, "tanh"), jitnet.Dense(300, 10, "softmax"), seed=0)
        net.fit(X, y, epochs=2, batch_size=128, optimizer="adam", backend=name, threads=threads)
        return net.theta

    X, y = jitnet.data.digits()
    used = set()

    def change_every_time(choice, threads, seconds, work):
        used.add(choice.threads)
        choice._now = choice._one if choice._now is choice._all else choice._all

    one = weights(1)
    monkeypatch.setattr(thread_choice, "SLICE", 0.0)
    monkeypatch.setattr(Choice, "note", change_every_time)
    assert (weights(None) == one).all()
    assert used == {1, thread_choice.cpus()}


@SEVERAL
def test_given_number_of_threads_is_used():
    def seen(threads):
        net = jitnet.Network(jitnet.Dense(64, 300, "tanh"), jitnet.Dense(300, 10, "softmax"), seed=0)
        return net.fit(X, y, epochs=2, batch_size=128, threads=threads).threads

    X, y = jitnet.data.digits()
    assert (seen(1), seen(2)) == (1, 2)
    small, large = (Call("sigmoid", (np.empty((n, 1000)), np.empty((n, 1000)))) for n in (10, 10_000))
    fast, serial = backend.get("fast"), backend.get("njit")
    with backend.threads(2):
        slices = fast.choose_threads(fast.flop_for_threads([large]), "test")
        assert (slices.threads, slices._choice) == (2, None)
    assert fast.choose_threads(fast.flop_for_threads([small, large]), "test")._choice
    assert fast.choose_threads(fast.flop_for_threads([small, small]), "test") is thread_choice.ONE
    assert serial.choose_threads(serial.flop_for_threads([large]), "test") is thread_choice.ONE


@SEVERAL
def test_possible_numbers_of_threads_are_one_and_all_or_the_given_one():
    both = {1, min(numba.get_num_threads(), thread_choice.cpus())}
    assert set(thread_choice.possible()) == both
    for given in both:
        with backend.threads(given):
            assert thread_choice.possible() == (given,)
            with thread_choice.slices(10**8, ("test",), False) as slices:
                assert slices.threads == slices.best == given


COMPILED = """
import json, sys
import numpy as np
import jitnet
from jitnet.kernels import LADDERS
X, y = np.random.default_rng(0).random((300, 64)), np.arange(300) % 10
net = jitnet.Network(jitnet.Dense(64, 128, "relu"), jitnet.Dense(128, 10, "softmax"), seed=0)
threads = json.loads(sys.argv[1])
history = net.fit(X, y, epochs=1, batch_size=int(sys.argv[2]), validation=(X, y), threads=threads, backend=sys.argv[3])
kernels = [name for ladder in LADDERS.values() for name, one in ladder.items() if getattr(one, "overloads", None)]
print(json.dumps([sorted(set(kernels)), history.threads]))
"""


@SEVERAL
@pytest.mark.parametrize(
    ("threads", "m", "name", "used"),
    [
        slow("1", "300", "fast", "ahead fused njit polynomial"),
        ("null", "300", "fast", "ahead fused fused_parallel njit polynomial"),
        slow("null", "32", "fast", "ahead fused njit polynomial"),  # only validation is large enough for threads
        slow("2", "300", "fast", "ahead fused fused_parallel njit polynomial"),
        slow("1", "32", "parallel", "parallel"),
    ],
)
def test_parallel_kernels_are_compiled_only_if_they_can_run(threads, m, name, used):
    asked = [sys.executable, "-c", COMPILED, threads, m, name]
    kernels, count = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    assert " ".join(kernels) == used
    assert count == int(threads) if threads != "null" else count in ((1,) if m == "32" else (1, 2))


@SEVERAL
def test_number_of_threads_is_restored_after_an_error():
    before = numba.get_num_threads()
    chosen = Choice(before)
    chosen._now = chosen._one
    with pytest.raises(ZeroDivisionError), Slices(chosen, before, before, 1):
        numba.get_num_threads() // (numba.get_num_threads() - 1)
    assert numba.get_num_threads() == before


def test_train_prints_the_number_of_threads(capsys):
    assert cli.main(["train", "digits", "--epochs", "1", "--threads", "1", "--quiet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["threads"] == 1
    assert cli.main(["train", "digits", "--epochs", "1", "--quiet", "--json"]) == 0
    assert 1 <= json.loads(capsys.readouterr().out)["threads"] <= numba.config.NUMBA_NUM_THREADS


LAUNCHED = """
import json, os
seen, update = [], type(os.environ).update
type(os.environ).update = lambda self, *a, **b: (update(self, *a, **b), seen.append(dict(os.environ)))[0]
before = dict(os.environ)
from jitnet.compiler.threads import thread_count
thread_count()
during, after = seen[-1], dict(os.environ)
print(json.dumps([during.get("GOMP_SPINCOUNT"), during.get("OMP_WAIT_POLICY"), before == after, thread_count()]))
"""


def test_wait_policy_is_set_only_during_the_launch():
    spins, policy, is_as_before, count = said_by(LAUNCHED)
    assert (spins, policy) == (WAITING["GOMP_SPINCOUNT"], "passive")
    assert is_as_before
    assert count >= 1


@pytest.mark.slow  # one process per case
@pytest.mark.parametrize("own", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
def test_wait_policy_of_the_user_is_kept(own):
    spins, policy, is_as_before, _ = said_by(LAUNCHED, **own)
    assert (spins, policy) == (own.get("GOMP_SPINCOUNT"), own.get("OMP_WAIT_POLICY"))
    assert is_as_before
