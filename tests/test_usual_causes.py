"""Messages about wrong numbers name a cause only if it is one."""

import math
import re

import numba
import numpy as np

from jitnet.lab.benchmark import judge
from jitnet.lab.grade import judging
from jitnet.lab.oracle import Case
from jitnet.lab.problems import of_operation
from jitnet.lab.sanitizer import reasons


@numba.njit
def softmax_of_small_scores(Z, A):
    for i in range(Z.shape[0]):
        total = Z.dtype.type(0)
        for j in range(Z.shape[1]):
            total += math.exp(Z[i, j])
        for j in range(Z.shape[1]):
            A[i, j] = math.exp(Z[i, j]) / total


@numba.njit
def four_rows_at_once(Z, A):
    for block in range(Z.shape[0] // 4):
        for i in range(4 * block, 4 * block + 4):
            for j in range(Z.shape[1]):
                A[i, j] = max(Z[i, j], 0)


@numba.njit
def another_name(Z, A):
    A = np.maximum(Z, 0)  # noqa: F841


@numba.njit
def transposed(X, W, Z):
    for i in range(X.shape[0]):
        for j in range(W.shape[1]):
            total = X.dtype.type(0)
            for k in range(X.shape[1]):
                total += X[i, k] * W[j, k]
            Z[i, j] = total


def error_of(kernel, operation, dtype="float32"):
    return judge.error_of(kernel, of_operation(operation), (2, 3, 5), dtype)


def test_scores_whose_exponentials_are_infinite():
    """Not the edge of a loop, and no read outside of the inputs."""
    for dtype in ("float32", "float64"):
        error = error_of(softmax_of_small_scores, "softmax", dtype)
        assert error.startswith("gives NaN: 5 of 10 wrong, first at (1, 0)")
        assert error.endswith(reasons.INFINITE)
        assert "the last of" not in error


def test_first_nan_is_named_where_another_number_is_the_first_that_is_wrong():
    error = error_of(transposed, "matmul")
    assert re.match(r"gives NaN at Z\[0, 3\], as when it reads outside .*: 10 of 10 wrong, first at \(0, 0\): ", error)
    assert "got nan" not in error


def test_a_kernel_that_writes_nothing_has_not_always_another_name_for_it():
    assert error_of(another_name, "relu").startswith("writes nothing into A; A = ... names another array, A[...] = ...")
    error = error_of(four_rows_at_once, "relu")
    assert error.startswith("writes nothing into A, given")
    assert error.endswith("no line writes A[0, 0]")


def test_fewer_bits_are_found_at_the_size_that_is_timed(monkeypatch):
    """The errors of half precision are below the worst-case bounds of a long sum."""
    case = of_operation("matmul").case((8, 2048, 8), "float32")
    X, W, _ = case.arguments
    found = []

    def called(judge, process, case: Case):
        case.outputs[0][...] = X.astype(np.float16).astype(np.float32) @ W.astype(np.float16).astype(np.float32)
        found.append(case.error())
        return 0.0, None

    monkeypatch.setattr(judging.Judge, "_call", called)
    judging.Judge._seconds(object.__new__(judging.Judge), None, case)
    assert "as if it had fewer bits" in found[0]


def test_one_row_of_two_is_no_edge():
    """It may as well be each second row."""
    assert reasons.edge_of(np.array([[False], [False], [True]])) == "the last of 3 rows"
    assert reasons.edge_of(np.array([[False], [True]])) == ""
