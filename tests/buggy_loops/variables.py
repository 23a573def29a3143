"""Variables that a `prange` loop adds up, carries on or shares."""

import numpy as np
from numba import prange

from .pairs import N, pair, twin_of, unset, vector


@pair(lambda: (vector(), unset(N)), "reduction", r"reads total inside the prange loop that adds it up")
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


@pair(lambda: (vector(), unset(N)), "carried", r"reads before, which another iteration assigns")
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


@pair(lambda: (vector(),), "carried", r"reads best, which another iteration assigns")
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


@pair(lambda: (vector(),), "escapes", r"reads x after the prange loop")
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


@pair(lambda: (vector(),), "carried", r"reads s, which another iteration assigns")
def horner(a):
    s = a.dtype.type(0)
    two = a.dtype.type(2)
    for i in prange(a.size):
        s = s * two + a[i]
    return s


@twin_of("horner")
def _(a):
    s = a.dtype.type(0)
    for i in prange(a.size):
        s = s + a[i] + a[i]
    return s


@pair(lambda: (vector(),), "carried", r"reads s, which another iteration assigns")
def alternating(a):
    s = a.dtype.type(0)
    for i in prange(a.size):
        s = a[i] - s
    return s


@twin_of("alternating")
def _(a):
    s = a.dtype.type(0)
    for i in prange(a.size):
        s = a[i] + s
        s = s - a[i]
    return s


@pair(lambda: (vector(),), "shared", r"found.append in a prange loop changes what all threads share")
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
