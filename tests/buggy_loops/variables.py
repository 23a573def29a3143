"""Variables that a `prange` loop reduces, carries between iterations or shares."""

import numpy as np
from numba import prange

from .pairs import N, matrix, pair, twin_of, unset, vector


@pair(
    "reductions",
    lambda: (vector(), unset(N)),
    "reduction",
    r"reads total inside the prange loop that adds it up",
)
def prefix_sum(a, out):
    total = a.dtype.type(0)
    for i in prange(a.size):
        total += a[i]
        out[i] = total


@twin_of("prefix_sum")
def _(a, out):
    total = a.dtype.type(0)
    for i in range(a.size):
        total += a[i]
        out[i] = total


@pair(
    "recurrences",
    lambda: (vector(), unset(N)),
    "carried",
    r"reads before, which another iteration assigns",
)
def difference(a, out):
    before = a.dtype.type(0)
    for i in prange(a.size):
        out[i] = a[i] - before
        before = a[i]


@twin_of("difference")
def _(a, out):
    for i in prange(a.size):
        before = a[i - 1] if i > 0 else a.dtype.type(0)
        out[i] = a[i] - before


@pair("recurrences", lambda: (vector(),), "carried", r"reads best, which another iteration assigns")
def largest(a):
    best = a[0]
    for i in prange(a.size):
        if a[i] > best:
            best = a[i]
    return best


@twin_of("largest")
def _(a):
    best = a[0]
    for i in prange(a.size):
        best = max(best, a[i])
    return best


@pair("private", lambda: (vector(),), "escapes", r"reads x after the prange loop")
def last_value(a):
    x = a.dtype.type(0)
    for i in prange(a.size):
        x = a[i]
    return x


@twin_of("last_value")
def _(a):
    x = a.dtype.type(0)
    for i in prange(a.size):
        x += a[i]
    return x


@pair("recurrences", lambda: (vector(),), "carried", r"reads s, which another iteration assigns")
def horner(a):
    s = a.dtype.type(0)
    two = a.dtype.type(2)
    for i in prange(a.size):
        s = s * two + a[i]
    return s


@twin_of("horner")
def _(a):
    s = a.dtype.type(0)
    two = a.dtype.type(2)
    for i in prange(a.size):
        s = s + two * a[i]
    return s


@pair("recurrences", lambda: (vector(),), "carried", r"reads s, which another iteration assigns")
def alternating(a):
    s = a.dtype.type(0)
    for i in prange(a.size):
        s = a[i] - s
    return s


@twin_of("alternating")
def _(a):
    s = a.dtype.type(0)
    for i in prange(a.size):
        s = s - a[i]
    return s


@pair(
    "containers",
    lambda: (vector(),),
    "shared",
    r"calls found.append in a prange loop, but all threads share found",
)
def appends(a):
    found = [a[0]]
    for i in prange(a.size):
        if a[i] > 3:
            found.append(a[i])
    return found


@twin_of("appends")
def _(a):
    found = np.zeros(a.size, a.dtype)
    for i in prange(a.size):
        mine = [a[i]]
        mine.append(np.add(a[i], a[i]))
        if a[i] > 3:
            found[i] = mine[1]
    return found


@pair("array reductions", lambda: (matrix(),), "lost", r"assigns sums a new array in every iteration")
def array_sum_by_assignment(A):
    sums = np.zeros(A.shape[1], A.dtype)
    for i in prange(A.shape[0]):
        for _ in range(2):
            sums = sums + A[i]
    return sums


@twin_of("array_sum_by_assignment")
def _(A):
    sums = np.zeros(A.shape[1], A.dtype)
    for i in prange(A.shape[0]):
        for _ in range(2):
            sums += A[i]
    return sums


@pair("recurrences", lambda: (vector(), vector()), "carried", r"reads s, which another iteration assigns")
def compound(a, rates):
    s = a.dtype.type(1)
    for i in prange(a.size):
        s += s * rates[i]
    return s


@twin_of("compound")
def _(a, rates):
    s, one = a.dtype.type(1), a.dtype.type(1)
    for i in prange(a.size):
        s *= one + rates[i]
    return s


@pair("reductions", lambda: (vector(),), "reduction", r"reads s inside the prange loop that adds it up")
def two_sums(a):
    s, t = a.dtype.type(0), a.dtype.type(0)
    for i in prange(a.size):
        s, t = s + a[i], t + s
    return s, t


@twin_of("two_sums")
def _(a):
    s, t = a.dtype.type(0), 0
    for i in prange(a.size):
        s, t = s + a[i], t + 1
    return s, t


@pair("private", lambda: (vector(),), "escapes", r"reads i after the prange loop")
def loop_variable(a):
    for i in prange(a.size):
        a[i] = 0
    return i


@twin_of("loop_variable")
def _(a):
    for i in prange(a.size):
        a[i] = 0
    return a.size - 1


@pair(
    "containers",
    lambda: (np.array([3, 1, 3]),),
    "shared",
    r"assigns an item of count in a prange loop, but all threads share count",
)
def counts_in_a_dict(a):
    count = {0: 0}
    for i in prange(a.size):
        count[a[i]] = count.get(a[i], 0) + 1
    return len(count)


@twin_of("counts_in_a_dict")
def _(a):
    count = {0: 0}
    for i in range(a.size):
        count[a[i]] = count.get(a[i], 0) + 1
    return len(count)


@pair("steps", lambda: (vector(),), "step", r"prange takes steps of 1 only")
def every_other(a):
    for i in prange(0, a.size, 2):
        a[i] = 0


@twin_of("every_other")
def _(a):
    for k in prange(0, (a.size + 1) // 2, 1):
        a[2 * k] = 0
