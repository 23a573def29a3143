"""Kernels whose threads still work after the call has returned."""

import dataclasses
import threading
import time

import numpy as np
from test_judge import DTYPE, MATMUL, right
from test_timed_calls import timed

from jitnet.lab.benchmark import judge
from jitnet.lab.benchmark import timed as timed_calls


def in_a_thread_that_it_leaves(seconds):
    """It writes its first row, and a thread writes the others later."""

    def kernel(X, W, Z):
        def work():
            time.sleep(seconds)
            np.matmul(X[1:], W, out=Z[1:])

        np.matmul(X[:1], W, out=Z[:1])
        threading.Thread(target=work).start()

    return kernel


def test_work_after_the_return_does_not_count():
    """Not even if it ends before the outputs are compared, and the message is not about numbers that are right then."""
    error = judge.error_of(in_a_thread_that_it_leaves(0.02), MATMUL, (24, 24, 24), DTYPE)
    assert error.startswith(
        "still writes Z after it has returned; wait until its threads have ended: thread.join(), given"
    )
    error = judge.error_of_repeating(in_a_thread_that_it_leaves(0.02), MATMUL, (24, 24, 24), DTYPE, 1.0)
    assert error.startswith("still writes Z after it has returned")

    def slowly(*arguments):
        time.sleep(0.1)
        return MATMUL.draw(*arguments)

    slow = dataclasses.replace(MATMUL, draw=slowly)
    assert timed(right, 1, slow) is None
    assert "still writes Z after it has returned" in timed(in_a_thread_that_it_leaves(0.03), 1, slow, calls=1)


def test_more_cores_than_threads_are_found(monkeypatch):
    times = {"wall": 0.0, "cpu": 0.0}
    monkeypatch.setattr(timed_calls, "perf_counter", lambda: times["wall"])
    monkeypatch.setattr(timed_calls, "process_time", lambda: times["cpu"])
    for threads, busy, found in ((1, 1.9, True), (1, 1.1, False), (2, 1.9, False)):
        cores = timed_calls.Cores(threads)
        for seconds in (0.09, 0.3):  # the first is too short to tell
            assert cores.error() is None
            with cores:
                times["wall"] += seconds
                times["cpu"] += busy * seconds
        error = cores.error()
        assert (error is not None) is found
        assert not found or error.startswith("computes on 1.9 cores, but is compared with loops on 1 thread: ")
