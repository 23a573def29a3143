"""Concurrent processes and Python threads. Each case runs in its own process, because a bug would hang or abort it."""

import contextlib
import copy
import importlib
import os
import pickle
import pkgutil
import subprocess
import sys
from ctypes.util import find_library

import pytest
from cases import release, slow

import jitnet

WORK = """
import sys, threading, multiprocessing
import numpy as np, jitnet, numba

rng = np.random.default_rng(0)
X, y = rng.random((300, 200), dtype=np.float32), np.arange(300) % 10
BACKENDS = sys.argv[1:] or ["fast", "parallel", "njit"]

def network(seed=0):
    return jitnet.Network(jitnet.Dense(200, 120, "tanh"), jitnet.Dense(120, 10, "softmax"), seed=seed)

def work(seed):
    '''The bytes of every result that parallel loops compute.'''
    answers = []
    for backend in BACKENDS:
        net = network(seed)
        net.fit(X, y, epochs=1, batch_size=150, optimizer="sgd" if seed % 2 else "adam", backend=backend)
        _, grads = net.gradients(X, y, backend=backend)
        answers += [net.theta, net.forward(X, backend), grads[0].dW, jitnet.matmul(X, X.T, backend)]
    return [answer.tobytes() for answer in answers]

def in_threads(job, count=4):
    answers = [None] * count
    def run(k):
        try:
            answers[k] = job(k)
        except BaseException as error:
            answers[k] = error
    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return answers
"""


def run(code, *arguments, seconds=900, **environment):
    """The standard output of a process that runs WORK and then this code; its children end with it."""
    command = [sys.executable, *(() if code is None else ("-c", WORK + code)), *arguments]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, check=False, env={**os.environ, **environment}
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout.strip()


IN_ALL_WAYS = """
def in_child_threads(_):
    return in_threads(work)

if __name__ == "__main__":
    numba.set_num_threads(1)
    alone = [work(seed) for seed in range(4)]
    for count in (1, 2):
        numba.set_num_threads(count)
        assert [work(seed) for seed in range(4)] == alone, f"{count} threads"
        assert in_threads(work) == alone, f"Python threads, with {count} Numba threads"
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(work, range(4)).get(400) == alone, "forked"
        assert pool.map_async(in_child_threads, [0]).get(400) == [alone], "threads of a forked child"
    print(numba.threading_layer())
"""

LAYERS = [
    pytest.param("omp", marks=pytest.mark.skipif(sys.platform != "linux", reason="Numba has OpenMP only on Linux")),
    release("workqueue"),
    pytest.param("tbb", marks=pytest.mark.skipif(find_library("tbb") is None, reason="needs TBB")),
]


@pytest.mark.slow  # three processes; test_training.py compares bits in this process, and a test below trains in a fork
@pytest.mark.parametrize("layer", LAYERS)
def test_threads_and_forked_children_give_the_same_bits(layer):
    assert run(IN_ALL_WAYS, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2") == layer


ONE_NETWORK = """
net = network()
net.fit(X, y, epochs=1)
parts = [(X[k * 30 : k * 30 + 20 + k], y[k * 30 : k * 30 + 20 + k]) for k in range(8)]

def use(k):
    answers = []
    for backend in BACKENDS:
        loss, grads = net.gradients(*parts[k], backend=backend)
        answers += [net.forward(parts[k][0], backend).tobytes(), net.predict(parts[k][0], backend).tobytes(), loss]
        answers += [net.evaluate(*parts[k], backend=backend)]
        answers += [array.tobytes() for grad in grads for array in grad]
    return answers

alone = [use(k) for k in range(8)]
for turn in range(20):
    assert in_threads(use, 8) == alone, f"turn {turn}"
print("right")
"""


def test_eight_threads_can_use_one_network():
    assert run(ONE_NETWORK) == "right"


def test_network_keeps_two_work_spaces_at_most():
    net = jitnet.Network(jitnet.Dense(2, 2), seed=0)
    with contextlib.ExitStack() as stack:
        twins = [stack.enter_context(net._twin()) for _ in range(8)]
        assert len({id(twin.grad) for twin in twins}) == 8
        assert all(twin.theta is net.theta for twin in twins)
    assert len(net._twins) == 2


OWN_THREADS_FIRST = """
@numba.njit(parallel=True)
def total(a):
    s = 0.0
    for i in numba.prange(a.size):
        s += a[i]
    return s

if __name__ == "__main__":
    total(np.ones(100_000))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        [child] = pool.map_async(work, [0]).get(400)
    print("same" if child == work(0) else "other", "bits")
"""


@pytest.mark.slow  # processes that compile; other tests cover two cases of fork
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_after_the_program_started_numba_threads():
    assert run(OWN_THREADS_FIRST, "fast") == "same bits"


USED_IN_TRAINING = """
reference, net = network(), network()
options = dict(epochs=30, batch_size=60, optimizer="adam", validation=(X[:50], y[:50]))
expected = reference.fit(X, y, **options)
ends = threading.Event()

class Watch(jitnet.Progress):
    '''Uses the network during training, in the training thread as well.'''
    def epoch(self, history, epochs):
        assert net.evaluate(X[:50], y[:50])["loss"] == history.validation_loss[-1]
        try:
            net.fit(X, y)
        except jitnet.Error as error:
            self.refused = str(error)

def use(k):
    while not ends.is_set():
        loss, grads = net.gradients(X[:60], y[:60])
        assert np.isfinite(net.forward(X)).all() and np.isfinite(loss) and len(net.predict(X)) == len(X)

def both(k):
    if k:
        return use(k)
    try:
        return net.fit(X, y, progress=watch, **options)
    finally:
        ends.set()

watch = Watch()
history, *others = in_threads(both, 3)
assert others == [None, None], others
assert history.loss == expected.loss and (net.theta == reference.theta).all(), history
net.fit(X, y, epochs=1)
print(watch.refused)
"""


def test_network_can_be_used_while_another_thread_trains_it():
    """Computations in other threads do not affect the training; a second call of fit is an error."""
    assert run(USED_IN_TRAINING).startswith("another call of fit is training this network")


IN_A_CHILD = """
def ask(threads):
    net = network()
    try:
        net.fit(X, y, epochs=1, batch_size=150, threads=threads)
    except jitnet.Error as error:
        return str(error)
    return net.theta.tobytes()

if __name__ == "__main__":
    right = ask(2)
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(["right" if answer == right else answer for answer in pool.map_async(ask, [1, 2]).get(400)])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Numba has OpenMP only on Linux")
def test_forked_child_has_one_thread_and_spawned_child_has_all(tmp_path):
    program = tmp_path / "program.py"  # spawn needs a file
    program.write_text(WORK + IN_A_CHILD)
    about_threads = {"NUMBA_THREADING_LAYER": "omp", "NUMBA_NUM_THREADS": "2"}
    forked, spawned = run(None, program, **about_threads).splitlines()
    assert forked.startswith(
        "['right', 'threads is 2, but a process forked from one with threads can use only 1; start it"
    )
    assert spawned == "['right', 'right']"


SMALL_STACKS = """
jobs = []
for dtype in ("float32", "float64"):
    big, many = rng.random((300, 1500)).astype(dtype), rng.random((1500, 130)).astype(dtype)
    net = jitnet.Network(jitnet.Dense(300, 1100, "tanh"), jitnet.Dense(1100, 10, "softmax"), seed=0, dtype=dtype)
    inputs = big[:, :300]
    jobs += [
        lambda A=big, B=many: jitnet.matmul(A, B),
        lambda A=big, B=many: jitnet.matmul(A.T, A),
        lambda A=big: jitnet.matmul(A, A.T),
        lambda net=net, X=inputs: net.fit(X, y, epochs=1, batch_size=300).epochs,
        lambda Z=big: jitnet.softmax(Z),
        lambda Z=many: jitnet.tanh(Z),
    ]
for job in jobs:
    job()  # compile first: compiling needs a larger stack
threading.stack_size(128 << 10)
answers = in_threads(lambda k: jobs[k](), len(jobs))
print([answer for answer in answers if isinstance(answer, BaseException)])
"""


@pytest.mark.slow
def test_kernels_run_in_threads_with_small_stacks():
    """128 KB, the stack size of musl. OpenMP's threads have it, too."""
    assert run(SMALL_STACKS, OMP_STACKSIZE="128k", NUMBA_NUM_THREADS="2") == "[]"


def exceptions():
    """Every exception of the package."""
    for module in pkgutil.walk_packages(jitnet.__path__, "jitnet."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # an optional package is missing
                importlib.import_module(module.name)
    found, left = set(), [BaseException]
    while left:
        kinds = left.pop().__subclasses__()
        found |= {kind for kind in kinds if kind.__module__.split(".")[0] == "jitnet"}
        left += kinds
    return sorted(found, key=lambda kind: kind.__name__)


def test_every_exception_can_be_pickled():
    known = {jitnet.Diverged: ("too high", jitnet.History(loss=[1.0, 2.0]))}
    found = exceptions()
    assert {jitnet.Error, jitnet.Diverged} < set(found)
    for kind in found:
        error = kind(*known.get(kind, ("what was wrong",)))
        error.note = "kept"
        for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert (type(copied), str(copied), vars(copied)) == (kind, str(error), vars(error))


WRONG_SETTINGS = [
    slow("NUMBA_NUM_THREADS", "two"),
    ("NUMBA_THREADING_LAYER", "bogus"),
    slow("NUMBA_NUM_THREADS", "0"),
    slow("NUMBA_FUNCTION_CACHE_SIZE", "-1"),
    slow("NUMBA_CPU_FEATURES", "avx2"),
    slow("NUMBA_THREADING_LAYER_PRIORITY", "omp"),
    *([] if find_library("tbb") else [slow("NUMBA_THREADING_LAYER", "tbb")]),
]


@pytest.mark.parametrize(("name", "value"), WRONG_SETTINGS)
def test_invalid_numba_setting_is_a_one_line_error(name, value):
    """The command line prints it and the library raises it when it compiles; `import jitnet` still works."""
    code = """
from jitnet.cli import main
try:
    jitnet.matmul(X, X.T)
except jitnet.Error as error:
    print(error)
sys.exit(main(["train", "digits", "--epochs", "1", "--quiet"]))
"""
    command = [sys.executable, "-c", WORK + code]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=900, check=False, env={**os.environ, name: value}
    )
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line == "jitnet: " + result.stdout.strip()
    assert line.endswith(f"unset {name}")


@pytest.mark.slow  # a separate process; test_doctor.py tests most settings
def test_doctor_lists_settings_that_prevent_the_import_of_numba():
    code = """
from jitnet.lab.checkup.settings import examine_settings
for item in examine_settings():
    print(item.name, item.state, item.finding)
print(jitnet.compiler.environment.REFUSED.keys() & os.environ.keys())
"""
    lines = run("import os\n" + code, NUMBA_NUM_THREADS="0", NUMBA_CPU_FEATURES="avx2").splitlines()
    assert "NUMBA_NUM_THREADS wrong is '0', but must be a whole number, at least 1" in lines
    assert any(line.startswith("NUMBA_CPU_FEATURES wrong is 'avx2'") for line in lines)
    assert lines[-1] == "set()"
