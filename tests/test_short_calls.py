"""Kernels that save work in calls too short to be timed singly."""

import contextlib
import time

import numpy as np
from test_judge import DTYPE, MATMUL, looks_at_its_output, timed

from jitnet.lab.benchmark import timed as timed_calls


def test_cleared_elements_of_a_long_call_are_written(monkeypatch):
    monkeypatch.setattr(timed_calls, "SHORT", 0.0)
    assert "skips calls: after one that was timed, its outputs were as before" in timed(looks_at_its_output)


def skips_short_calls(seconds=2e-5):
    """It skips calls whose numbers and results are as they were: only calls on new numbers show what it takes."""
    last = {}

    def kernel(X, W, Z):
        if last.get("key") != X.item(0) or last["Z"] != Z.tobytes():  # takes a microsecond
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                pass
            np.matmul(X, W, out=Z)
            last.update(key=X.item(0), Z=Z.tobytes())

    return kernel


def test_short_calls_are_made_on_new_numbers_in_a_row(monkeypatch):
    """Single calls this short are within the slack."""
    assert "keeps results, or skips calls: a call on new numbers takes" in timed(skips_short_calls(), calls=200)
    monkeypatch.setattr(timed_calls, "NOISE", 1.0)
    assert timed(skips_short_calls(), calls=200) is None


def test_each_of_several_calls_in_a_row_has_numbers_of_its_own(monkeypatch):
    monkeypatch.setattr(timed_calls, "SHORT", np.inf)  # on a busy machine a call can take longer
    seen = []

    def kernel(X, W, Z):
        seen.append(X.tobytes())
        np.matmul(X, W, out=Z)

    timed_calls.Timed(kernel, MATMUL, (16, 16, 16), DTYPE, 5).ask(0, 1, contextlib.nullcontext)
    first, _, _, _, *fresh = seen  # timed first, warmed up, timed again, and to wake threads
    assert seen.count(first) == 4
    assert len(set(fresh)) == len(fresh) >= timed_calls.FRESH // 2


def skips_every_other_call_on_new_numbers():
    calls = [0]

    def kernel(X, W, Z):
        calls[0] += 1
        if calls[0] % 2 or np.isnan(Z).any():
            np.matmul(X, W, out=Z)

    return kernel


def test_any_of_the_calls_on_new_numbers_may_be_verified():
    assert "is wrong when it is timed, on new numbers" in timed(skips_every_other_call_on_new_numbers(), calls=1)
