"""Kernels whose threads still work after the call has returned."""

import dataclasses
import threading
import time

import numpy as np
from test_judge import DTYPE, MATMUL, right
from test_timed_calls import timed

from jitnet.lab.benchmark import judge


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
