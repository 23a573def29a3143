"""`jitnet check` guesses arguments that fit a kernel."""

import math
import sys
import warnings

import numpy as np
import pytest
from numba import float32, float64, guvectorize, int64, njit
from numba.core.errors import TypingError

from jitnet import checks, cli
from jitnet.lab import loading
from jitnet.lab.sanitizer import arguments
from jitnet.lab.sanitizer.arguments import examine_guessed, guessed
from jitnet.lab.sanitizer.checking import examine


@guvectorize([(float64[:], float64, float64[:])], "(n),()->(n)")
def ema(x, alpha, out):
    out[0] = x[0]
    for i in range(1, x.shape[0]):
        out[i] = alpha * x[i] + (1 - alpha) * out[i - 1]


@guvectorize([(int64[:, :], float32[:])], "(m,n)->()")
def total(A, out):
    out[0] = 0
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            out[0] += np.float32(A[i, j])


@guvectorize("(n)->(n)")
def undeclared(x, out):
    for i in range(x.shape[0]):
        out[i] = x[i]


@pytest.mark.parametrize(
    ("kernel", "types"),
    [
        (ema, [("float64", (7,)), ("float64", ()), ("float64", (7,))]),
        (total, [("int64", (7, 7)), ("float32", (1,))]),
        (undeclared, [("float32", (7,)), ("float32", (7,))]),
    ],
)
def test_types_of_a_guvectorize_signature_are_taken(kernel, types):
    first = next(guessed(kernel, "float32"))
    assert [(str(np.asarray(a).dtype), np.shape(a)) for a in first] == types
    report = examine_guessed(kernel, "float32", None, "kernel")
    assert {finding.kind for finding in report.findings} <= {"few"}, str(report)


def sums_from_first(x, out):
    out[0] = x[0]
    for i in range(1, x.size):
        out[i] = out[i - 1] + x[i]


def smooths(x, out):
    out[0] = x[1]
    for i in range(1, x.size):
        out[i] = x[i - 1] + x[i]


def weighs(x, weights, out):
    for i in range(x.size):
        out[i] = weights[0] * x[i] + weights[2]


def adds_up(x, out):
    out[0] = 0
    for i in range(x.size):
        out[0] += x[i]


@pytest.mark.parametrize(
    ("kernel", "says"),
    [
        (sums_from_first, ["is not right for 0 elements: x[0] is out of bounds for the shape (0,)"]),
        (smooths, ["is not right for 1 element: x[1] is out of bounds for the shape (1,)"]),
        (weighs, []),
        (adds_up, []),
    ],
)
def test_vectors_of_one_element_and_of_none_are_tried(kernel, says):
    """Arrays whose length bounds no loop may have a fixed one."""
    report = examine_guessed(kernel, "float32", None, "kernel")
    assert not report.errors
    assert [warning.message for warning in report.warnings][: len(says)] == says
    assert bool(report.warnings) == bool(says)
    assert all("otherwise check the length before any" in warning.fix for warning in report.warnings)  # of any name


def finds_root(parent, i):
    while parent[i] != i:
        i = parent[i]
    return i


def flattens(A, out):
    flat = out.ravel()
    for i in range(flat.size):
        flat[i] = A[i, 0]


def medians(x, k, out):
    half = k // 2
    for i in range(x.shape[0]):
        low = max(0, i - half)
        high = min(x.shape[0], i + half + 1)
        out[i] = np.median(x[low:high])


def scatters(row, x, n_rows):
    y = np.zeros(n_rows, x.dtype)
    for i in range(row.size):
        y[row[i]] += x[i]
    return y


def clips(x, low=None, high=2):
    for i in range(x.size):
        x[i] = min(x[i], high) if low is None else max(x[i], low)


def distance(x, y):
    return math.hypot(x, math.radians(y))


def adds(x, *rest):
    for i in range(x.size):
        x[i] += rest[0]


def passes_on(x, factor):
    return scales(x, factor)


def scales(x, factor):
    for i in range(x.size):
        x[i] *= max(factor, 0)


def times_vector(data, columns, rows, x, y):
    for i in range(y.size):
        total = x.dtype.type(0)
        for k in range(rows[i], rows[i + 1]):
            total += data[k] * x[columns[k]]
        y[i] = total


def times_vector_of_both(data, columns, rows, x, y):
    for i in range(rows.shape[0] - 1):
        y[i] = 0
        first, end = rows[i], rows[i + 1]
        for k in range(first, end):
            y[i] += data[k] * x[columns[k]]


def histogram(x, lo, hi, counts):
    for i in range(x.size):
        counts[int((x[i] - lo) / (hi - lo) * counts.size)] += 1


F, I = ("float32", (7,)), ("int64", (7,))


@pytest.mark.parametrize(
    ("kernel", "given"),
    [
        (times_vector, [F, I, ("int64", (8,)), F, F]),
        (times_vector_of_both, [F, I, ("int64", (8,)), F, F]),
        (histogram, [F, np.float32(0.5), np.float32(1.5), I]),
        (distance, [np.float32(0.5), np.float32(0.5)]),
        (adds, [("float32", (7,)), np.float32(0.5)]),
        (passes_on, [("float32", (7,)), np.float32(0.5)]),
        (finds_root, [("int64", (7,)), 6]),
        (flattens, [("float32", (7, 7)), ("float32", (7,))]),
        (medians, [("float32", (7,)), 7, ("float32", (7,))]),
        (scatters, [("int64", (7,)), ("float32", (7,)), 7]),
        (clips, [("float32", (7,)), None, 2]),
    ],
)
def test_guesses_fit_what_the_source_does_with_them(kernel, given):
    first = next(guessed(kernel, "float32"))
    assert [(str(a.dtype), a.shape) if isinstance(a, np.ndarray) else a for a in first] == given
    assert not examine_guessed(kernel, "float32", None, "kernel").errors


@njit
def remainders(x, out):
    for i in range(x.size):
        out[i] = x[i] % i


@njit
def reciprocals(x, out):
    for i in range(x.size):
        out[i] = 1 / (x[i] - x[i])


@pytest.mark.parametrize("kernel", [remainders, reciprocals])
def test_division_by_zero_is_no_reason_for_more_dimensions(kernel):
    report = examine_guessed(kernel, "float32", None, "kernel")
    (error,) = report.errors
    assert (error.kind, error.special, report.runs[0].count("(7,)")) == ("raises", "division", 2)
    assert [note.message for note in report.notes] == [arguments.DIVISOR]


def inverse(parent, out):
    for i in range(parent.size):
        k = i
        while parent[k] != i:
            k = parent[k]
        out[i] = k


def test_indices_are_in_order_if_others_are_endless():
    first, _ = next(guessed(inverse, "float32"))
    assert first.tolist() == [0, 1, 2, 3, 4, 5, 6]


def reverses_bits(x):
    n, j = x.shape[0], 0
    for i in range(1, n):
        bit = n >> 1
        while j & bit:
            j ^= bit
            bit >>= 1
        j ^= bit
        if i < j:
            x[i], x[j] = x[j], x[i]
    size = 2
    while size <= n:
        for start in range(0, n, size):
            for k in range(size // 2):
                x[start + k], x[start + k + size // 2] = x[start + k + size // 2], x[start + k]
        size *= 2


def pairs_beyond_the_end(x):
    for i in range(0, x.size, 2):
        x[i], x[i + 1] = x[i + 1], x[i]


def blocks_of_eight_beyond_the_end(x):
    for block in range(0, x.size, 8):
        for i in range(block, block + 8):
            x[i] += 1


def ranks(order, out):
    for i in range(order.size):
        out[order[i] + 1] = i


def finds_all(parent, out):
    for i in range(parent.size):
        k = i
        for _ in range(parent.size):
            k = parent[k]
        out[k - i + parent.size - 1] = out[i]


@pytest.mark.parametrize(
    ("kernel", "says"),
    [
        (reverses_bits, "is right for lengths that are powers of two; for others: x[7] is out of bounds"),
        (finds_all, "is right for indices in order, 0, 1, 2, ...; for others: out["),
    ],
)
def test_what_is_right_for_usual_arguments_is_a_warning(kernel, says):
    report = examine_guessed(kernel, "float32", None, "kernel")
    assert not report.errors, str(report)
    assert report.warnings[0].message.startswith(says)


@pytest.mark.parametrize("kernel", [pairs_beyond_the_end, blocks_of_eight_beyond_the_end, ranks])
def test_error_remains_if_no_usual_arguments_are_right(kernel):
    assert examine_guessed(kernel, "float32", None, "kernel").errors[0].kind == "outside"


def rotates(x, phase):
    for k in range(x.size):
        x[k] = x[k] * np.exp(2j * np.pi * phase)


def test_arrays_are_complex_if_complex_numbers_are_stored_in_them():
    x, phase = next(guessed(rotates, "float32"))
    assert (x.dtype, phase.dtype) == (np.complex128, np.float64)
    assert not examine_guessed(rotates, "float32", None, "rotates").findings


def one_by_one(z, out):
    for i in range(z.size):
        out[i] = z[i] * 2


def at_once(z, out):
    out[:] = z


def filled(z, out):
    out.fill(z[0])


@pytest.mark.parametrize("kernel", [one_by_one, at_once, filled])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_number_in_a_real_array_is_an_error(kernel, dtype):
    """NumPy warns that it discards the imaginary part, and Numba refuses to compile it."""
    first = kernel.__code__.co_firstlineno
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (error,) = examine(kernel, [(np.ones(3, dtype), np.zeros(3))]).errors
    assert error.message == "a complex number is stored in out, which is float64: Numba does not compile that"
    assert error.lines == [first + 1 + (kernel is one_by_one)]


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [one_by_one, at_once, filled])
def test_numba_refuses_complex_numbers_in_a_real_array(kernel):
    with pytest.raises(TypingError):
        njit(kernel)(np.ones(3, np.complex128), np.zeros(3))


POINT = """
from collections import namedtuple

from numba import njit

P = namedtuple("P", "a b")
SIZE, sum = 3, 5

@njit
def line(p, x):
    for i in range(x.size):
        x[i] = p.a * x[i] + p.b

@njit
def clips(x, low=None, high=None):
    for i in range(x.size):
        if low is not None:
            x[i] = max(x[i], low)
        if high is not None:
            x[i] = min(x[i], high)

@njit
def by_name(x, *, scale=2.0):
    x[0] *= scale

@njit
def unites(x, name):
    return x if name == "b" else name

class Loops:
    @njit
    def adds(x):
        x[0] += 1
"""


@pytest.mark.parametrize(
    ("function", "given", "status", "says"),
    [
        ("line", None, 2, "; give your own: --args 'p=..., x=...', in Python, such as ones((3, 4), uint8) or 0.5"),
        ("Loops.adds", "ones(3)", 0, "nothing unsafe in 1 run"),
        ("Loops.subtracts", "ones(3)", 2, "kernels.py has no function 'Loops.subtracts'; known: "),
        ("unites", "ones(3), 'a'", 2, " (kernels.py, line 28)\nkernels.py:unites: 1 error"),
        ("line", "P(1.0, 2.0), ones(SIZE)", 0, "nothing unsafe in 1 run"),
        ("line", "P(1.0, 2.0), np.full(SIZE, sum([1, 2]))", 0, "nothing unsafe in 1 run"),
        ("line", "x=ones(3), p=P(1.0, 2.0),", 0, "nothing unsafe in 1 run"),
        ("clips", "arange(5.0), high=2.0", 0, "note: no run reached line 18,"),
        (
            "clips",
            "arange(5.0), hgih=2.0",
            2,
            "TypeError: got an unexpected keyword argument 'hgih'",
        ),
        ("by_name", "ones(3)", 2, "takes scale by name only, of which Numba ignores the default: remove the *"),
        ("by_name", None, 2, "takes scale by name only, of which Numba ignores the default: remove the *"),
    ],
)
def test_arguments_by_name_and_with_names_of_the_file(
    function, given, status, says, tmp_path, monkeypatch, capsys, untried
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "kernels.py").write_text(POINT)
    assert cli.main(["check", f"kernels.py:{function}", *(["--args", given] if given else [])]) == status
    assert says in "".join(capsys.readouterr())


def test_names_need_a_function():
    with pytest.raises(checks.Error, match="arguments are given in order, not by name"):
        loading.evaluated("ones(3), high=2.0")
