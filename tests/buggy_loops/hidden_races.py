"""Races through views, helpers, aliases, scratch memory and closures."""

from collections import namedtuple

import numpy as np
from numba import njit, prange
from numba.extending import register_jitable

from .pairs import N, matrix, pair, twin_of, unset, vector


@pair("views", lambda: (matrix(4, 4), unset(4, 4)), "race", r"B\[0, 0\] is written by iteration 0")
def through_a_view(A, B):
    flat = B.reshape(-1)
    for i in prange(4):
        row = flat[:4]
        for j in range(4):
            row[j] = A[i, j]
    for i in range(4):
        B[i] = A[i]


@twin_of("through_a_view")
def _(A, B):
    flat = B.reshape(-1)
    for i in prange(4):
        row = flat[4 * i : 4 * i + 4]
        for j in range(4):
            row[j] = A[i, j]


@pair("views", lambda: (matrix(4, 4), unset(4, 4)), "race", r"B\[0, 1\]|B\[1, 0\]")
def through_a_transpose(A, B):
    Bt = B.T
    for i in prange(4):
        B[i, 0] = A[i, 0]
        for j in range(4):
            Bt[i, j] = A[j, i]


@twin_of("through_a_transpose")
def _(A, B):
    Bt = B.T
    for i in prange(4):
        for j in range(4):
            Bt[i, j] = A[j, i]


@njit
def add_into(a, x):
    a[0] += x


@pair("helpers", lambda: (vector(), np.zeros(1, "f4")), "race", r"out\[0\]")
def in_a_compiled_helper(a, out):
    for i in prange(a.size):
        add_into(out, a[i])


@twin_of("in_a_compiled_helper")
def _(a, out):
    for i in range(a.size):
        add_into(out, a[i])


@register_jitable
def store_at(out, i, x):
    if x < 0:
        return
    out[i] = x


@pair(
    "helpers",
    lambda: (vector(), np.zeros(N, "f4")),
    "race",
    r"out\[0\] is written by iteration 0 .* written by iteration 1",
)
def in_a_jitable_helper(a, out):
    for i in prange(a.size):
        if a[i] == 3:
            continue
        store_at(out, i // 2, a[i])


@twin_of("in_a_jitable_helper")
def _(a, out):
    for i in prange(a.size):
        if a[i] == 3:
            continue
        store_at(out, i, a[i])


@pair("views", lambda: (vector(),) * 2, "race", r"a\[1\] is read by iteration 0 .* written by iteration 1")
def aliased(a, out):
    for i in prange(a.size - 1):
        out[i] = a[i + 1]


@twin_of("aliased")
def _(a, out):
    for i in prange(a.size):
        out[i] = 2 * a[i] if a[i] < 0 else a[i]


@pair("records", lambda: (np.zeros(4, [("x", "f4"), ("n", "i4")]),), "race", r"p\[0\] is written by iteration 0")
def fields(p):
    for i in prange(p.size):
        p[0]["n"] += 1
        p[i]["x"] = i


@twin_of("fields")
def _(p):
    for i in prange(p.size):
        p[i]["n"] += 1
        p[i]["x"] = i


@pair("one writer", lambda: (vector(8), np.zeros(1, np.int64)), "race", r"where\[0\] is written by iteration")
def flag(a, where):
    for i in prange(a.size):
        if a[i] > 3:
            where[0] = 1


@twin_of("flag")
def _(a, where):
    n = 0
    for i in prange(a.size):
        if a[i] > 3:
            n += 1
    where[0] = n > 0


@pair("allocated outside", lambda: (vector(8), np.zeros((2, 8), "f4")), "race", r"scratch\[0\]")
def while_inside(a, out):
    scratch = np.zeros(1, np.int64)
    for i in prange(a.size):
        scratch[0] = 0
        while scratch[0] < 2:
            out[scratch[0], i] = a[i]
            scratch[0] += 1


@twin_of("while_inside")
def _(a, out):
    for i in prange(a.size):
        t = 0
        while t < 2:
            out[t, i] = a[i]
            t += 1


@pair("any order", lambda: (matrix(),), "race", r"A\[1, 0\] is read by iteration 0 .* written by iteration 1")
def slices(A):
    for i in prange(A.shape[0] - 1):
        A[i] = A[i + 1]


@twin_of("slices")
def _(A):
    B = A.copy()
    for i in prange(A.shape[0] - 1):
        A[i] = B[i + 1]


@pair(
    "one writer",
    lambda: (np.array([0, 2, 0, 1]), vector(4), np.zeros(3, "f4")),
    "race",
    r"out\[0\] .* iteration 0 .* iteration 2",
)
def scatter(index, a, out):
    for i in prange(index.size):
        out[index[i]] = a[i]


@twin_of("scatter")
def _(index, a, out):
    for i in prange(out.size):
        for j in range(index.size):
            if index[j] == i:
                out[i] = a[j]


@pair("array expressions", lambda: (vector(),), "overlap", r"copies a part of a to another part of it that overlaps it")
def overlapping_copy(a):
    a[1:] = a[:-1]


@twin_of("overlapping_copy")
def _(a):
    a[1:] = a[:-1].copy()


@pair("array expressions", lambda: (matrix(),), "overlap", r"copies a part of A to another part")
def overlapping_copy_inside(A):
    for i in prange(A.shape[0]):
        row = A[i]
        row[1:] = row[:-1]


@njit
def moved(row):
    row[1:] = row[:-1]


@twin_of("overlapping_copy_inside")
def _(A):
    for i in prange(A.shape[0]):
        moved(A[i])


@pair("any order", lambda: (vector(), unset(N)), "race", r"a\[0\] is read by iteration 0 .* written by iteration 6")
def read_by_all_and_written_at_last(a, out):
    for i in prange(a.size):
        out[i] = a[0]
        if i == a.size - 1:
            a[0] = 0


@twin_of("read_by_all_and_written_at_last")
def _(a, out):
    for i in prange(a.size):
        if a[i] > 3:
            out[i] = a[0]
            continue
        out[i] = a[i]
        continue
    a[0] = 0


Pair = namedtuple("Pair", "x y")


@pair("records", lambda: (Pair(vector(), np.zeros(N, "f4")),), "race", r"arrays\.y\[0\] is written by iteration 0")
def in_a_named_tuple(arrays):
    for i in prange(arrays.x.size):
        arrays.y[0] = arrays.x[i]


@twin_of("in_a_named_tuple")
def _(arrays):
    for i in prange(arrays.x.size):
        arrays.y[i] = arrays.x[i]


@pair("helpers", lambda: (add_into, vector(), np.zeros(1, "f4")), "race", r"out\[0\] is written by iteration 0")
def in_a_function_argument(add, a, out):
    for i in prange(a.size):
        add(out, a[i])


@twin_of("in_a_function_argument")
def _(add, a, out):
    for i in range(a.size):
        add(out, a[i])


@pair("allocated outside", lambda: (vector(), np.zeros(N, "f4")), "race", r"cut\[0\]")
def in_a_closure(a, out):
    cut = np.zeros(1, a.dtype)

    def clip(x):
        cut[0] = x
        return cut[0]

    for i in prange(a.size):
        out[i] = clip(a[i])


@twin_of("in_a_closure")
def _(a, out):
    def clip(x):
        return x

    for i in prange(a.size):
        out[i] = clip(a[i])


@pair("records", lambda: (np.zeros(N, [("a", "f4"), ("b", "f4")]),), "race", r"R\[0\] is written by iteration 0")
def field_of_the_neighbor(R):
    for i in prange(R.size):
        R[i]["a"] = R[i - 1]["a"] if i > 0 else R[i]["b"]


@twin_of("field_of_the_neighbor")
def _(R):
    for i in prange(R.size):
        R[i]["a"] = R[i - 1]["b"] if i > 0 else R[i]["b"]
