"""With guessed arguments, `jitnet check` finds an array whose elements after the last whole block are never written."""

import pytest

from jitnet.lab.sanitizer.arguments import examine_guessed

BLOCK = 16


def blocks(x, out):
    for block in range(x.size // BLOCK):
        for i in range(block * BLOCK, block * BLOCK + BLOCK):
            out[i] = 2 * x[i]


def unrolled(x, out):
    for i in range(0, x.size - 3, 4):
        out[i] = x[i]
        out[i + 1] = x[i + 1]
        out[i + 2] = x[i + 2]
        out[i + 3] = x[i + 3]


def eights(x, out):
    for i in range(0, x.size - 7, 8):
        for k in range(8):
            out[i + k] = x[i + k]


def in_place(x):
    for i in range(0, x.size - 1, 2):
        x[i], x[i + 1] = x[i] + x[i + 1], x[i] - x[i + 1]


def reverses_fours(x):
    for i in range(x.size // 4):
        for k in range(2):
            x[4 * i + k], x[4 * i + 3 - k] = x[4 * i + 3 - k], x[4 * i + k]


def reverses_threes(x):
    for i in range(x.size // 3):
        x[3 * i], x[3 * i + 1], x[3 * i + 2] = x[3 * i + 2], x[3 * i + 1], x[3 * i]


def columns(A, Z):
    for i in range(A.shape[0]):
        for j in range(A.shape[1] // 4 * 4):
            Z[i, j] = A[i, j]


def whole(x, out):
    for i in range(x.size // 4 * 4):
        out[i] = x[i]
    for i in range(x.size // 4 * 4, x.size):
        out[i] = x[i]


def border(x, out):
    for i in range(1, x.size - 1):
        out[i] = x[i - 1] + x[i + 1]


def differences(x, out):
    for i in range(x.size - 1):
        out[i] = x[i + 1] - x[i]


def counts(x, bins):
    for i in range(x.size):
        bins[x[i]] += 1


def scatters(order, x, out):
    for i in range(x.size):
        out[order[i]] = x[i]


def sums_of_blocks(x, out):
    for i in range(x.size // 4):
        out[i] = x[4 * i : 4 * i + 4].sum()


def sorts(x):
    for i in range(x.size):
        for j in range(i):
            if x[i] < x[j]:
                x[i], x[j] = x[j], x[i]


def exchanges(x):
    for i in range(x.size // 2):
        x[2 * i], x[2 * i + 1] = x[2 * i + 1], x[2 * i]


@pytest.mark.parametrize(
    ("kernel", "says"),
    [
        (blocks, "never writes the last of 17 elements of out, first out[16], if its shape is (17,); it writes all of "
         "it if its shape is (16,)"),
        (unrolled, "never writes the last 3 of 7 elements of out, first out[4], if its shape is (7,); it writes all of "
         "it if its shape is (8,)"),
        (eights, "never writes the last 2 of 10 elements of out, first out[8], if its shape is (10,); it writes all of "
         "it if its shape is (8,)"),
        (in_place, "never writes the last of 7 elements of x, first x[6], "),
        (reverses_fours, "never writes the last 3 of 7 elements of x, first x[4], "),
        (reverses_threes, "never writes the last of 7 elements of x, first x[6], "),
        (columns, "never writes the last 3 of 7 columns of Z, first Z[0, 4], "),
    ],
)  # fmt: skip
def test_forgotten_tail_is_found(kernel, says):
    """It is an error if the array is named as an output."""
    report = examine_guessed(kernel, "float32", None, "kernel")
    assert not report.errors
    (tail,) = report.warnings
    assert tail.message.startswith(says)
    (tail,) = examine_guessed(kernel, "float32", [tail.array], "kernel").errors
    assert (tail.kind, tail.message.startswith(says)) == ("unwritten", True)


def exchanges_columns(A):
    for i in range(A.shape[0]):
        for j in range(0, A.shape[1] - 1, 2):
            A[i, j], A[i, j + 1] = A[i, j + 1], A[i, j]


@pytest.mark.parametrize(
    "kernel", [whole, border, differences, counts, scatters, sums_of_blocks, sorts, exchanges, exchanges_columns]
)
def test_what_is_left_as_it_is_on_purpose_is_no_tail(kernel):
    report = examine_guessed(kernel, "float32", None, "kernel")
    assert not report.findings, str(report)
