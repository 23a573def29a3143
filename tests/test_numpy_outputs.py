"""The output of a NumPy function may be given without its name: `np.dot(A, B, out)`."""

import numpy as np
import pytest
from numba import prange

from jitnet.lab.sanitizer.checking import examine


def products(A, B, out):
    for i in prange(A.shape[0]):
        np.dot(A[i], B, out[i])


def rounded(A, B, out):
    for i in prange(A.shape[0]):
        np.around(A[i], 1, out[i])


def clipped(A, B, out):
    for i in prange(A.shape[0]):
        np.clip(A[i], 0.2, 0.8, out[i])


def products_in_one_buffer(A, B, out):
    buffer = np.empty(B.shape)
    for i in prange(A.shape[0]):
        np.dot(A[i], B, buffer)
        out[i] = buffer


def arguments():
    rng = np.random.default_rng(0)
    return rng.random((4, 3, 3)), rng.random((3, 3)), np.full((4, 3, 3), np.nan)


@pytest.mark.parametrize("kernel", [products, rounded, clipped])
def test_an_output_by_position_is_written(kernel):
    assert not examine(kernel, [arguments()], "out").findings


def test_iterations_that_share_it_race():
    (race, *_) = examine(products_in_one_buffer, [arguments()], "out").errors
    assert race.message.startswith("race: buffer[0, 0] is written by iteration 0 (line 28) and ")
    assert race.fix.startswith("allocate the buffer inside the loop")
