"""Processes and Python threads at once: each case is a process of its own, since what goes wrong there hangs or aborts."""

import os
import subprocess
import sys

import pytest

WORK = """
import sys, threading, multiprocessing
import numpy as np, jitnet, numba

rng = np.random.default_rng(0)
X, y = rng.random((300, 200), dtype=np.float32), np.arange(300) % 10
BACKENDS = sys.argv[1:] or ["fast", "parallel", "njit"]

def network(seed=0):
    return jitnet.Network(jitnet.Dense(200, 120, "tanh"), jitnet.Dense(120, 10, "softmax"), seed=seed)

def work(seed):
    '''Bits of all that starts parallel loops.'''
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


def run(code, *arguments, seconds=240, **environment):
    """Standard output of a process that runs WORK and then this code; whatever it starts ends in time, or with it."""
    command = [sys.executable, "-c", WORK + code, *arguments]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, check=False, env={**os.environ, **environment}
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout.strip()


IN_ALL_WAYS = """
if __name__ == "__main__":
    numba.set_num_threads(1)
    alone = [work(seed) for seed in range(4)]
    for count in (1, 2):
        numba.set_num_threads(count)
        assert [work(seed) for seed in range(4)] == alone, f"{count} threads"
        assert in_threads(work) == alone, f"Python threads, beside {count}"
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(work, range(4)).get(100) == alone, "forked"
        assert pool.map_async(lambda_of := in_child_threads, [0]).get(100)[0] == alone, "threads of a forked child"
    print(numba.threading_layer())
"""

IN_ALL_WAYS = IN_ALL_WAYS.replace("lambda_of := ", "").replace(
    "if __name__", "def in_child_threads(_):\n    return in_threads(work)\n\nif __name__", 1
)


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_the_same_bits_in_threads_and_forked_children(layer):
    """One network for each; the layer that is not there here is another's."""
    assert run(IN_ALL_WAYS, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2") == layer
