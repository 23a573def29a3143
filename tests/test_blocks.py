"""The sanitizer tries arrays that are long enough for the blocks of a kernel."""

import numba
from numba import prange

from jitnet.lab.sanitizer.arguments import examine_guessed

BLOCK = 48


@numba.njit(parallel=True)
def reads_the_next_block(a, out):
    for block in prange(a.size // 32):
        for k in range(32 * block, 32 * block + 32):
            out[k] = a[k] + a[32 * block + 32]


@numba.njit(parallel=True)
def shares_elements_beyond_a_block(a, out):
    for i in prange(a.size):
        out[i % BLOCK] = a[i]


@numba.njit(parallel=True)
def handles_the_rest(a, out):
    n = a.size // BLOCK
    for block in prange(n):
        for k in range(BLOCK):
            out[block * BLOCK + k] = a[block * BLOCK + k]
    for i in range(n * BLOCK, a.size):
        out[i] = a[i]


@numba.njit
def takes_too_long(A):
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            for k in range(64):
                A[i, j] += A[i, k % A.shape[1]]


def test_blocks_longer_than_the_usual_arrays_are_reached():
    report = examine_guessed(reads_the_next_block, "float32", None, "reads_the_next_block")
    assert "a[32] is out of bounds for the shape (32,)" in str(report)
    report = examine_guessed(shares_elements_beyond_a_block, "float32", None, "shares_elements_beyond_a_block")
    assert "race: out[0] is written by iteration 0 (line 21) and written by iteration 48" in str(report)
    report = examine_guessed(handles_the_rest, "float32", None, "handles_the_rest")
    assert not report.findings
    assert len(report.runs) == 4


def test_blocks_that_take_too_long_are_left_out():
    report = examine_guessed(takes_too_long, "float32", None, "takes_too_long")
    assert not report.findings
    assert len(report.runs) == 2
