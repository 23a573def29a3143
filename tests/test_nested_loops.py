"""A prange loop in a function that the iterations of another one call: it has threads of its own."""

import numpy as np
import pytest
from numba import njit, prange

from jitnet.lab import check
from jitnet.lab.sanitizer import checking
from jitnet.lab.sanitizer.checking import CheckError, examine
from jitnet.lab.sanitizer.races import ALONE


@njit(parallel=True)
def sum_by_hand(a, out):
    for j in prange(a.size):
        out[0] += a[j]


@njit(parallel=True)
def sum_of(a):
    total = 0.0
    for j in prange(a.size):
        total += a[j]
    return total


@njit(parallel=True)
def largest_of(a):
    best = a[0]
    for j in prange(a.size):
        if a[j] > best:
            best = a[j]
    return best


@njit(parallel=True, inline="always")
def inlined_sum(a, out):
    for j in prange(a.size):
        out[0] += a[j]


@njit
def serial_sum(a, out):
    for j in prange(a.size):
        out[0] += a[j]


def rows_by_hand(A, out):
    for i in prange(A.shape[0]):
        sum_by_hand(A[i], out[i : i + 1])


def one_for_all_rows(A, out):
    for i in prange(A.shape[0]):
        sum_by_hand(a=A[i], out=out)


def rows_largest(A, out):
    for i in prange(A.shape[0]):
        out[i] = largest_of(A[i])


def rows(A, out):
    for i in prange(A.shape[0]):
        out[i] = sum_of(A[i])


def rows_inlined(A, out):
    for i in prange(A.shape[0]):
        inlined_sum(A[i], out[i : i + 1])


def rows_serial(A, out):
    for i in prange(A.shape[0]):
        serial_sum(A[i], out[i : i + 1])


def rows_one_by_one(A, out):
    for i in range(A.shape[0]):
        out[i] = sum_of(A[i])


def arguments():
    return np.random.default_rng(0).random((3, 4)), np.zeros(3)


@pytest.mark.parametrize(
    ("kernel", "says"),
    [
        (rows_by_hand, "race: out[0] is written by iteration 0 (line 16) and read by iteration 1 (line 16) of the "),
        (one_for_all_rows, "race: out[0] is written by iteration 0"),
        (rows_largest, "an iteration of the prange loop reads best, which another iteration assigns"),
    ],
)
def test_a_bug_in_the_inner_loop_is_found(kernel, says):
    with pytest.raises(CheckError) as caught:
        check(kernel, *arguments())
    (error,) = caught.value.report.errors
    assert error.message.startswith(says)


def test_threads_in_threads_are_a_warning():
    report = check(rows, *arguments())
    (warning,) = report.warnings
    assert warning.message.startswith("calls sum_of in a prange loop, which has one of its own: ")
    assert warning.lines == [65]


@pytest.mark.parametrize("kernel", [rows_inlined, rows_serial, rows_one_by_one])
def test_loops_that_start_no_threads_there(kernel):
    assert not [finding for finding in examine(kernel, [arguments()]).findings if finding.kind != "order"]


def rows_of_triangle(A, out):
    for i in prange(A.shape[0]):
        sum_by_hand(A[i, :i], out[i : i + 1])


@njit(parallel=True)
def sum_of_first(a, n, out):
    for j in prange(n):
        out[0] += a[j]


def rows_of_triangle_by_length(A, out):
    for i in prange(A.shape[0]):
        sum_of_first(A[i], i, out[i : i + 1])


@pytest.mark.parametrize("kernel", [rows_of_triangle, rows_of_triangle_by_length])
def test_bug_that_the_first_iterations_do_not_show_is_found(kernel):
    """The inner loop has no iteration in the first call, and one in the second."""
    with pytest.raises(CheckError) as caught:
        check(kernel, *arguments())
    (error,) = caught.value.report.errors
    assert error.message.startswith("race: out[0] is written by iteration 0")


def test_calls_are_checked_until_the_inner_loop_has_several_iterations(monkeypatch):
    calls, once = [], checking._Case.once
    monkeypatch.setattr(checking._Case, "once", lambda self, *of: calls.append(self.function) or once(self, *of))
    examine(rows_of_triangle, [(np.ones((20, 20)), np.zeros(20))])
    assert calls.count(sum_by_hand) == 3
    calls.clear()
    examine(rows_of_triangle, [(np.ones((20, 1)), np.zeros(20))])
    assert calls.count(sum_by_hand) == ALONE
