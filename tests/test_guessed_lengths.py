"""`jitnet check` guesses which arrays have a length of their own: row pointers, and coefficients of a fixed number.

Numbers that bound a loop are whole. Lengths and threads above the numbers of the source are tried too.
"""

import numba
import numpy as np
import pytest

from jitnet.lab import problems
from jitnet.lab.sanitizer.arguments import examine_at_thresholds, examine_guessed, guessed
from jitnet.lab.sanitizer.checking import examine


def bigrams(a, counts):
    for i in range(a.shape[0] - 1):
        counts[a[i], a[i + 1]] += 1


def length_of_path(route, x):
    total = x.dtype.type(0)
    for i in range(len(route) - 1):
        total += abs(x[route[i + 1]] - x[route[i]])
    return total


def bubbles(order, key):
    for _ in range(order.size):
        for i in range(order.size - 1):
            if key[order[i]] > key[order[i + 1]]:
                order[i], order[i + 1] = order[i + 1], order[i]


def sums_of_segments(starts, x, out):
    for i in range(out.size):
        out[i] = 0
        for k in range(starts[i], starts[i + 1]):
            out[i] += x[k]


def sums_between(starts, x, out):
    for i in range(out.size):
        out[i] = 0
        first = starts[i]
        end = starts[i + 1]
        for k in range(first, end):
            out[i] += x[k]


@pytest.mark.parametrize(
    ("kernel", "length"),
    [(bigrams, 7), (length_of_path, 7), (bubbles, 7), (sums_of_segments, 8), (sums_between, 8)],
)
def test_neighboring_indices_are_row_pointers_only_if_they_bound_a_loop(kernel, length):
    assert next(guessed(kernel, "float32"))[0].size == length
    assert not examine_guessed(kernel, "float32", None, "kernel").errors


def softmax(Z, A):
    for i in range(Z.shape[0]):
        e = np.exp(Z[i] - np.max(Z[i]))
        A[i] = e / e.sum()


def centered(X, out):
    for i in range(X.shape[0]):
        out[i] = X[i] - X[i].mean()


def sums_of_two(x, out):
    for i in range(x.size - 1):
        out[i] = x[i : i + 2].sum()


@pytest.mark.parametrize(("kernel", "dims"), [(softmax, (2, 2)), (centered, (2, 2)), (sums_of_two, (1, 1))])
def test_rows_that_are_reduced_are_arrays(kernel, dims):
    """NumPy has `np.max(Z[i])` for numbers, too, but Numba does not compile it."""
    assert tuple(np.ndim(array) for array in next(guessed(kernel, "float32"))) == dims


def by_remainder(x, groups):
    for i in numba.prange(x.size):
        groups[i % groups.size] += x[i]


def by_quotient(x, out):
    width = x.size // out.size
    for i in numba.prange(x.size):
        out[i // width] = x[i]


def blocks_that_overlap(A, C, size):
    for b in numba.prange((A.shape[0] + size - 1) // size):
        for i in range(b * size, min(b * size + size + 1, A.shape[0])):
            C[i] = A[i] + b


def rotated(x, out):
    n = x.size
    for i in numba.prange(n):
        out[(i + 1) % n] = x[i]


def blocks(A, C, size):
    for b in numba.prange((A.shape[0] + size - 1) // size):
        for i in range(b * size, min(b * size + size, A.shape[0])):
            C[i] = A[i]


def groups(x, out):
    for k in numba.prange(out.size):
        for i in range(k, x.size, out.size):
            out[i % out.size] += x[i]


@pytest.mark.parametrize("kernel", [by_remainder, by_quotient, blocks_that_overlap])
def test_race_of_a_quotient_or_remainder_is_found_with_unequal_lengths(kernel):
    report = examine_guessed(kernel, "float32", None, "kernel")
    assert {error.kind for error in report.errors} == {"race"}
    assert "with lengths that differ" in str(report)


@pytest.mark.parametrize("kernel", [rotated, blocks, groups])
def test_quotient_or_remainder_without_a_race_is_right(kernel):
    assert not examine_guessed(kernel, "float32", None, "kernel").errors


def applies_line(x, w, out):
    for i in range(x.size):
        out[i] = w[0] * x[i] + w[1]
    out[0] = w.size


def starts_from_first(x, out):
    n, total = len(x), x[0]
    last = n - 1
    for i in range(last):
        total += x[i + 1]
    out[0] = total


def decreases_until(x, out):
    i, out[0] = 0, x[0]
    while i < x.shape[0]:
        out[0] -= x[i]
        i += 1


@pytest.mark.parametrize(
    ("kernel", "arrays"), [(applies_line, []), (starts_from_first, ["x"]), (decreases_until, ["x"])]
)
def test_only_an_array_whose_length_bounds_a_loop_may_have_few_elements(kernel, arrays):
    assert [finding.array for finding in examine_guessed(kernel, "float32", None, "kernel").warnings] == arrays


def fills(out, value, n):
    for i in numba.prange(n):
        out[i] = value


def test_number_that_bounds_a_loop_over_numba_prange_is_whole():
    _, value, n = next(guessed(fills, "float32"))
    assert (value, n) == (0.5, 7)


@numba.njit(parallel=True)
def sum_in_parallel_if_long(x, total):
    total[0] = 0
    if x.size < 500:
        for i in range(x.size):
            total[0] += x[i]
    else:
        for i in numba.prange(x.size):
            total[0] += x[i]


def test_a_length_above_the_numbers_of_the_source_is_tried():
    assert "race: total[0]" in str(examine_guessed(sum_in_parallel_if_long, "float32", None, "kernel"))


@numba.njit(parallel=True)
def rows_of_four_threads(A, sums):
    rows = np.zeros((4, A.shape[1]), A.dtype)
    for i in numba.prange(A.shape[0]):
        row = rows[numba.get_thread_id() % 4]
        row[:] = A[i]
        sums[i] = row.sum()


@pytest.mark.parametrize(("most", "severity"), [(2, "warning"), (8, "error")])
def test_more_threads_than_a_number_of_the_source_are_tried(most, severity, monkeypatch):
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", most)
    report = examine(rows_of_four_threads, [(np.ones((7, 3)), np.zeros(7))])
    assert {finding.severity for finding in report.findings} == {severity}
    assert "race: rows[0, 0] is written by thread 0" in str(report)


PROBLEM = """
import numpy as np

SHAPES, TIMED, DTYPES = [(3,), (5,)], [(8,)], ["float64"]

def inputs(shape, dtype, rng):
    return (rng.standard_normal(shape),)

def reference(x):
    return np.full(x.shape, np.nan) if x.size == 65 else x

def flops(shape):
    return shape[0]

def memory(shape, dtype):
    return 16 * shape[0]
"""


def raises_above(x, y):
    if x.shape[0] > 99:
        raise ValueError("too large")
    if x.shape[0] > 64:
        y[0] = 0
    y[:] = x


def test_errors_above_the_numbers_of_the_source_are_found_whatever_the_problem(tmp_path):
    """It has no float32, and its reference gives NaN for 65 elements."""
    (tmp_path / "mine.py").write_text(PROBLEM)
    report = examine(raises_above, [])
    examine_at_thresholds(report, raises_above, problems.load(str(tmp_path / "mine.py")), "float32", 1)
    assert report.runs == ["x (100,), y (100,)"]
    assert [finding.message for finding in report.errors] == ["raises ValueError: too large, given x (100,), y (100,)"]
