"""Kernels that are right in the check, but save work while they are timed."""

import contextlib
import gc
import itertools
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from test_judge import DTYPE, MATMUL, right

from jitnet.lab import oracle, timing
from jitnet.lab.benchmark import sandbox
from jitnet.lab.benchmark import timed as timed_calls
from jitnet.lab.benchmark.timed import Idle, Timed
from jitnet.lab.problems import of_operation


def cached():
    """A kernel that remembers the addresses of its arguments, and returns immediately in the fifth call."""
    calls = {}

    def kernel(X, W, Z):
        address = X.ctypes.data, W.ctypes.data, Z.ctypes.data
        calls[address] = calls.get(address, 0) + 1
        if calls[address] < 5:
            np.matmul(X, W, out=Z)

    return kernel


def skips_what_it_has_seen():
    """Its output still has the result of the previous call, unless the judge erases it."""
    last = [None]

    def kernel(X, W, Z):
        if X.size and last[0] == X[0, 0]:
            return
        last[0] = X[0, 0] if X.size else None
        np.matmul(X, W, out=Z)

    return kernel


def keeps_results():
    """It copies a saved result, which is a thousand times faster than computing it."""
    kept = {}

    def kernel(X, W, Z):
        if X[0, 0] not in kept:
            time.sleep(0.003)
            kept[X[0, 0]] = X @ W
        Z[...] = kept[X[0, 0]]

    return kernel


def keeps_results_of_earlier_questions():
    """It computes whenever it is called on the newest numbers, so it is not faster when they are repeated at once."""
    kept, newest = {}, [None]

    def kernel(X, W, Z):
        key = X[0, 0]
        if key in kept and key != newest[0]:
            Z[...] = kept[key]
            return
        time.sleep(0.003)
        np.matmul(X, W, out=Z)
        if key not in kept:
            newest[0] = key
        kept[key] = Z.copy()

    return kernel


def looks_at_its_output(X, W, Z):
    """It computes only the first of many calls, and leaves the result for the others."""
    if Z.size == 0 or np.isnan(Z[0, 0]):
        np.matmul(X, W, out=Z)


def keeps_results_of_short_calls():
    """A call takes 0.1 ms, the time in which threads wake up."""
    kept = {}

    def kernel(X, W, Z):
        if X[0, 0] not in kept:
            end = time.perf_counter() + 1e-4
            while time.perf_counter() < end:
                pass
            kept[X[0, 0]] = X @ W
        Z[...] = kept[X[0, 0]]

    return kernel


def computes_what_was_cleared(X, W, Z):
    """Half a millisecond for all rows, and nothing for those whose result is still there."""
    rows = np.isnan(Z).any(axis=1)
    end = time.perf_counter() + 5e-4 * rows.mean()
    while time.perf_counter() < end:
        pass
    Z[rows] = X[rows] @ W


def is_right_only_when_it_is_not_timed(X, W, Z):
    np.matmul(X, W, out=Z)
    if sys._getframe(1).f_code.co_name == "time_of":
        Z[0] = 0


def changes_its_input(X, W, Z):
    np.matmul(X, W, out=Z)
    X[0, 0] = 0


def reads_the_expected_result(X, W, Z):
    """It knows the address of the expected result, so the judge must not store the result there before the call."""
    cases = [thing for thing in gc.get_objects() if type(thing) is oracle.Case]
    found = [case for case in cases if any(argument is X for argument in case.arguments)]
    Z[...] = found[0].expected[0] if found else X @ W


def timed(kernel, questions=12, problem=MATMUL, calls=3):
    """The first error in timed calls."""
    data = Timed(kernel, problem, (16, 16, 16), DTYPE, 5)
    found = (data.ask(number, each, contextlib.nullcontext)[1] for number in range(questions) for each in (1, calls))
    return next(filter(None, found), None)


def descends(grad, lr, decay, theta):
    theta -= lr * (grad + decay * theta)


def test_kernels_that_compute_in_every_call_pass():
    assert timed(right) is None
    assert timed(descends, problem=of_operation("sgd")) is None


@pytest.mark.parametrize(
    ("kernel", "says"),
    [
        (cached(), "was right in the check, but is wrong when it is timed, on new numbers"),
        (skips_what_it_has_seen(), "is wrong when it is timed"),
        (keeps_results(), "keeps results, or skips calls: a call on new numbers takes 0.0"),
        (looks_at_its_output, "is wrong when it is timed"),
        (keeps_results_of_short_calls(), "keeps results, or skips calls: a call on new numbers takes 0.0"),
        (computes_what_was_cleared, "is wrong when it is timed"),
        (is_right_only_when_it_is_not_timed, "is wrong when it is timed"),
        (changes_its_input, "on new numbers: it changes its input X"),
        (reads_the_expected_result, "is wrong when it is timed"),
    ],
)
def test_kernels_that_skip_calls_are_found(kernel, says):
    assert says in timed(kernel)


def test_stored_results_are_found_in_questions_without_new_numbers(monkeypatch):
    monkeypatch.setattr(timed_calls, "VERIFYING", 0.0)
    monkeypatch.setattr(timed_calls, "DOUBTING", 0.0)
    says = "keeps results, or skips calls: a call on new numbers takes 0.0"
    assert says in timed(keeps_results_of_earlier_questions())


def test_a_machine_that_is_slow_for_a_while_is_no_stored_result(monkeypatch):
    """It is fast in those questions that have no new numbers, which are most."""
    monkeypatch.setattr(timed_calls, "VERIFYING", 0.0)  # every fourth question has new numbers
    data = Timed(right, MATMUL, (16, 16, 16), DTYPE, 5)
    monkeypatch.setattr(data, "kernel", lambda X, W, Z: (right(X, W, Z), time.sleep(0.004 if slow else 0.001)))
    found = set()
    for number in range(4 * timed_calls.FIRST_CALLS):
        slow = number % 4 == 0
        found.add(data.ask(number, 3, contextlib.nullcontext)[1])
    assert len(data.alone) >= timed_calls.FIRST_CALLS
    assert found == {None}


def test_calls_that_waited_for_a_core_are_no_stored_result():
    """The first calls on new numbers are slow, as when other processes have the core; later ones are not."""
    calls = []
    waiting = 6 * timed_calls.FIRST_CALLS

    def kernel(X, W, Z):
        np.matmul(X, W, out=Z)
        calls.append(X.tobytes())
        time.sleep(0.004 if len(calls) < waiting and calls.count(calls[-1]) == 1 else 0.001)

    data = Timed(kernel, MATMUL, (16, 16, 16), DTYPE, 5)
    found = {data.ask(number, 3, contextlib.nullcontext)[1] for number in range(timed_calls.FIRST_CALLS + 5)}
    assert len(data.first) > timed_calls.FIRST_CALLS + 5  # it was in doubt
    assert found == {None}


def test_timed_calls_use_several_sets_of_arrays(monkeypatch):
    data = Timed(right, MATMUL, (4, 4, 4), DTYPE, 0)
    assert len({id(case) for case in data.sets}) == 3
    numbers = [case.arguments[0].copy() for case in data.sets]
    for number in range(3):
        data.ask(number, 1, contextlib.nullcontext)
    assert all((case.arguments[0] != before).any() for case, before in zip(data.sets, numbers, strict=True))
    monkeypatch.setattr(timed_calls, "SMALL", 0)
    assert len(Timed(right, MATMUL, (4, 4, 4), DTYPE, 0).sets) == 1  # large ones are not in a cache anyway


@pytest.mark.parametrize(("works", "found"), [(True, True), (False, False)])
def test_work_in_the_background_is_found(works, found, monkeypatch):
    monkeypatch.setattr(timed_calls, "IDLE", 0.1)
    monkeypatch.setattr(timed_calls, "process_time", time.perf_counter if works else lambda: 0.0)
    idle = Idle()
    time.sleep(0.15)
    assert bool(idle.end()) is found


def test_a_kernel_that_starts_a_process_is_refused(monkeypatch):
    with subprocess.Popen(["sleep", "9"]) as other:
        found = timed_calls.other_process()
        other.kill()
    assert found.startswith("starts another process")
    monkeypatch.delattr(os, "waitid")
    assert timed_calls.other_process() is None


@pytest.mark.parametrize(("claimed", "waited", "found"), [(0.0, 0.0, True), (0.02, 0.0, False), (0.0, 0.025, False)])
def test_manipulated_clock_is_found(claimed, waited, found, monkeypatch):
    """The kernel's process reports its time; the judge's process compares it with its own clock.

    On a busy machine, the time may pass before and after the calls, while a process waits for a core.
    """
    tried = sandbox.Trial("f", right, MATMUL, (4, 4, 4), DTYPE, 1, 60.0)

    def answered(question, limit):
        tried.seen = 0.03
        return {"seconds": claimed, "claimed": claimed}

    monkeypatch.setattr(tried, "_answer", answered)
    waits = itertools.count()
    monkeypatch.setattr(tried, "_waited", lambda: waited * next(waits))
    expected = pytest.raises(sandbox.KernelError, match="but its own clock says 0 s; leave the clock")
    tried.seconds_of(1)
    tried.seconds_of(1)
    with expected if found else contextlib.nullcontext():
        tried.seconds_of(1)


def test_patched_clock_changes_nothing(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
    assert timing.time_of(lambda: sum(range(1000)), 10) > 0


# -- calls too short to be timed singly ------------------------------------------------------------


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
