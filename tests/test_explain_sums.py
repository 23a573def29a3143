"""The advice of `explain` on sums, followed: afterwards the loop is vectorized.

NAME_inner and NAME_copied are NAME with each alternative that it advises; the latter is compiled with ORDER.
"""

import ast
import gc
from time import process_time

import numpy as np
import pytest

from jitnet.lab import explain
from jitnet.lab.machine_code import indices, reductions
from jitnet.lab.machine_code.advice import FAR_FIX, INNER, NEXT_FIX, ORDER, SUMS_FIX

pytestmark = pytest.mark.skipif(not explain.is_readable(), reason="explain does not read this processor's instructions")

VECTOR, MATRIX, CUBE = "float32[::1]", "float32[:,::1]", "float32[:,:,::1]"
ZERO = np.float32(0)
FASTMATH = ORDER.partition(": ")[2]


def product(X, W, Z):
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            total = ZERO
            for k in range(X.shape[1]):
                total += X[i, k] * W[k, j]
            Z[i, j] = total


def product_inner(X, W, Z):
    for i in range(Z.shape[0]):
        z = Z[i]
        z[:] = ZERO
        for k in range(X.shape[1]):
            x, w = X[i, k], W[k]
            for j in range(z.size):
                z[j] += x * w[j]


def product_copied(X, W, Z):
    V = np.ascontiguousarray(W.T)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            total = ZERO
            for k in range(X.shape[1]):
                total += X[i, k] * V[j, k]
            Z[i, j] = total


def by_columns(A, x, y):
    for j in range(A.shape[1]):
        total = ZERO
        for i in range(A.shape[0]):
            total += A[i, j] * x[i]
        y[j] = total


def by_columns_inner(A, x, y):
    y[:] = ZERO
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            y[j] += A[i, j] * x[i]


def by_columns_copied(A, x, y):
    B = np.ascontiguousarray(A.T)
    for j in range(B.shape[0]):
        total = ZERO
        for i in range(B.shape[1]):
            total += B[j, i] * x[i]
        y[j] = total


def first(A, y):
    for j in range(A.shape[1]):
        for k in range(A.shape[2]):
            total = ZERO
            for i in range(A.shape[0]):
                total += A[i, j, k]
            y[j, k] = total


def first_inner(A, y):
    y[:] = ZERO
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            for k in range(A.shape[2]):
                y[j, k] += A[i, j, k]


def middle(A, y):
    for i in range(A.shape[0]):
        for k in range(A.shape[2]):
            total = ZERO
            for j in range(A.shape[1]):
                total += A[i, j, k]
            y[i, k] = total


def middle_copied(A, y):
    for i in range(A.shape[0]):
        B = np.ascontiguousarray(A[i].T)
        for k in range(B.shape[0]):
            total = ZERO
            for j in range(B.shape[1]):
                total += B[k, j]
            y[i, k] = total


def all_columns(A):
    total = ZERO
    for j in range(A.shape[1]):
        for i in range(A.shape[0]):
            total += A[i, j]
    return total


def all_columns_copied(A):
    total = ZERO
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            total += A[i, j]
    return total


def column(A, j):
    total = ZERO
    for i in range(A.shape[0]):
        total += A[i, j]
    return total


def column_copied(A, j):
    total, part = ZERO, np.ascontiguousarray(A[:, j])
    for i in range(part.size):
        total += part[i]
    return total


def step_2(x):
    total, part = ZERO, x[::2]
    for i in range(part.size):
        total += part[i]
    return total


def reverse(x):
    total, part = ZERO, x[::-1]
    for i in range(part.size):
        total += part[i]
    return total


def step_2_copied(x):
    total, part = ZERO, np.ascontiguousarray(x[::2])
    for i in range(part.size):
        total += part[i]
    return total


def reverse_copied(x):
    total, part = ZERO, np.ascontiguousarray(x[::-1])
    for i in range(part.size):
        total += part[i]
    return total


def dot(x, y):
    total = ZERO
    for i in range(x.size):
        total += x[i] * y[i]
    return total


def dot_in_an_array(x, y):
    """For multiples of 64."""
    sums = np.zeros(64, np.float32)
    for begin in range(0, x.size, 64):
        part, other = x[begin : begin + 64], y[begin : begin + 64]
        for j in range(part.size):
            sums[j] += part[j] * other[j]
    return sums.sum()


def row(A, i):
    total = ZERO
    for j in range(A.shape[1]):
        total += A[i, j]
    return total


def rows(A, x, y):
    for i in range(A.shape[0]):
        total = ZERO
        for j in range(A.shape[1]):
            total += A[i, j] * x[j]
        y[i] = total


CONTIGUOUS = {"dot": f"{VECTOR}, {VECTOR}", "row": f"{MATRIX}, int64", "rows": f"{MATRIX}, {VECTOR}, {VECTOR}"}
FAR = {
    "product": f"{MATRIX}, {MATRIX}, {MATRIX}",
    "by_columns": f"{MATRIX}, {VECTOR}, {VECTOR}",
    "first": f"{CUBE}, {MATRIX}",
    "middle": f"{CUBE}, {MATRIX}",
    "all_columns": MATRIX,
    "column": f"{MATRIX}, int64",
    "step_2": VECTOR,
    "reverse": VECTOR,
}
SWAPPED = ("product", "by_columns", "first", "middle")


@pytest.fixture(scope="module")
def verdicts():
    """(name, types, options) -> its verdicts, by name; all are compiled in one process."""
    wanted = [("product", FAR["product"], FASTMATH), ("dot", "float32[:], float32[:]", None)]
    wanted += [("dot_in_an_array", CONTIGUOUS["dot"], None)]
    wanted += [(name, types, options) for name, types in CONTIGUOUS.items() for options in (None, FASTMATH)]
    for name, types in FAR.items():
        followed = (name, None), (f"{name}_inner", None), (f"{name}_copied", FASTMATH)
        wanted += [(one, types, options) for one, options in followed if one in globals()]
    keys = "target", "types", "options"
    requests = [dict(zip(keys, (f"{__file__}:{one[0]}", *one[1:]), strict=True)) for one in wanted]
    found = [{v["name"]: v for v in explanation["verdicts"]} for explanation in explain.explain_all(requests)]
    return dict(zip(wanted, found, strict=True))


@pytest.mark.parametrize("name", FAR)
def test_numbers_far_apart_are_made_contiguous_before_another_order(verdicts, name):
    fix = verdicts[name, FAR[name], None]["vectorized"]["fix"]
    swapped = f"{INNER}; or make a contiguous copy first, and {ORDER}"
    assert fix in ([swapped] if name in SWAPPED else [f"{FAR_FIX}; and {ORDER}", f"{NEXT_FIX}; and {ORDER}"])
    after = [verdicts.get((f"{name}_inner", FAR[name], None)), verdicts.get((f"{name}_copied", FAR[name], FASTMATH))]
    for found in filter(None, after):
        assert found["vectorized"]["answer"].startswith("yes")
        assert found["loads and stores"]["fix"] not in (FAR_FIX, NEXT_FIX)


def test_another_order_alone_does_not_vectorize_a_product(verdicts):
    assert verdicts["product", FAR["product"], FASTMATH]["vectorized"]["answer"].startswith("no")


@pytest.mark.parametrize(("name", "types"), CONTIGUOUS.items())
def test_another_order_alone_vectorizes_contiguous_sums(verdicts, name, types):
    assert verdicts[name, types, None]["vectorized"]["fix"] == SUMS_FIX
    assert verdicts[name, types, FASTMATH]["vectorized"]["answer"].startswith("yes")


def test_partial_sums_in_an_array_are_vectorized(verdicts):
    assert verdicts["dot_in_an_array", CONTIGUOUS["dot"], None]["vectorized"]["answer"].startswith("yes")


def test_an_array_of_any_stride_is_declared_contiguous(verdicts):
    fix = verdicts["dot", "float32[:], float32[:]", None]["vectorized"]["fix"]
    assert fix.endswith(f"declare float32[::1], and pass contiguous arrays; and {ORDER}")


def test_large_loops_are_read_fast(tmp_path):
    file = tmp_path / "large.py"
    sums = "".join(f"      s{n} += x[i] * y[j]\n" for n in range(1000))
    file.write_text(f"def f():\n  for i in I:\n    for j in J:\n{sums}")
    gc.freeze()  # a collection of all objects of the earlier tests can take longer than this
    began = process_time()
    assert not reductions.recurs(str(file), 3)
    old, new = (ast.parse(text, mode="eval").body for text in ("e - x", "x - e"))
    assert reductions._reduces("e", [old])
    assert not reductions._reduces("e", [new])
    assert not indices.swappable(str(file), 3)
    assert process_time() - began < 1
    gc.unfreeze()
