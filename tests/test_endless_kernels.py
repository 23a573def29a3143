"""Kernels that take too long for the sanitizer, or never end."""

import contextlib
import signal
import time

import numba
import numpy as np
import pytest
from numba import njit

from jitnet import checks
from jitnet.lab.benchmark import judge
from jitnet.lab.problems import of_operation
from jitnet.lab.sanitizer import arguments, checking
from jitnet.lab.sanitizer.checking import examine, limited
from jitnet.lab.sanitizer.races import TooLongError


def test_long_run_is_stopped():
    def endless(a):
        while True:
            a[0] += 1

    for array in [np.zeros(1), np.zeros(0)]:  # an element outside counts too
        report = examine(endless, [[array]], most=1000)
        assert "could not be checked to its end: more than 1,000 accesses, given a " in str(report)


def test_after_an_endless_run_no_other_case_is_tried(monkeypatch):
    def endless(a):
        while numba.get_num_threads():
            a[:] = 0

    monkeypatch.setattr(checking, "SECONDS", 0.05)
    report = examine(endless, [[np.zeros(0)], [np.zeros(0)]])
    assert "could not be checked to its end: no end after 0.05 seconds, given a (0,) (" in str(report)
    assert report.runs == ["a (0,)"]
    assert len(examine(endless, [[np.zeros(1)], [np.zeros(1)]], most=10).runs) > 1  # others may be below this limit


def test_kernel_cannot_catch_the_stop_of_a_long_run():
    def endless(a):
        while True:
            try:
                a[0] += 1
            except Exception:
                a[0] = 0

    assert "more than 1,000 accesses" in str(examine(endless, [[np.zeros(1)]], most=1000))


def test_a_kernel_whose_source_runs_too_long_is_not_examined(monkeypatch):
    """Nothing limits its accesses: it makes none."""

    @njit
    def endless(X, W, Z):
        while True:
            pass

    monkeypatch.setattr(judge, "SECONDS", 0.1)
    assert judge.hidden_error(endless, of_operation("matmul"), np.dtype("float32")) is None
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_a_time_limit_inside_of_another_leaves_it_in_force():
    def sleeps(*limits):
        for seconds in limits:
            with contextlib.suppress(TooLongError), limited(seconds):
                time.sleep(5)
        time.sleep(5)

    for limits in [(0.05,), (60,)]:
        with pytest.raises(TooLongError, match=r"no end after 0\.1 seconds"), limited(0.1):
            sleeps(*limits)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_arguments_of_an_endless_kernel_are_not_guessed(monkeypatch):
    def endless(a, b):
        while a.size:
            b[0] += 1

    monkeypatch.setattr(arguments, "TRIAL", 100)
    said = "cannot be guessed: it could not be checked to its end: more than 100 accesses, given a"
    with pytest.raises(checks.Error, match=said):
        list(arguments.guessed(endless, "float32"))


def test_small_arrays_have_a_lower_limit():
    """A loop over a few elements that never ends is found in a second or two."""

    def endless(a):
        while True:
            a[0] += 1

    assert f"more than {checking.FEW + 8:,} accesses" in str(examine(endless, [[np.zeros(2)]]))


def test_a_number_of_steps_raises_the_limit():
    def relax(x, steps, out):
        for _ in range(steps):
            for i in range(x.size):
                out[i] = x[i]

    steps = checking.FEW // 2
    assert not examine(relax, [[np.zeros(3), steps, np.zeros(3)]]).errors
