"""Small kernels with one bug each, and their corrected twins, for `test_sanitizer.py`.

`PAIRS` is name -> (wrong, right, arguments, the kind of finding, what its sentence says). Nothing here is compiled.
"""

from collections import namedtuple

import numba
import numpy as np
from numba import njit, prange
from numba.extending import register_jitable

parallel = njit(parallel=True)
PAIRS = {}
N, M = 7, 5


def pair(arguments, kind, says, writes=None):
    """Register the function and, below it, its corrected twin: `@pair(...) def f_wrong`, `def f` under `twin_of`."""

    def register(wrong):
        PAIRS[wrong.__name__] = [parallel(wrong), None, arguments, kind, says, writes]
        return wrong

    return register


def twin_of(name):
    def register(right):
        PAIRS[name][1] = parallel(right)
        return right

    return register


def vector(n=N, dtype="f4"):
    return (1 + np.arange(n)).astype(dtype)


def matrix(m=M, n=N, dtype="f4"):
    return (1 + np.arange(m * n)).reshape(m, n).astype(dtype)


def unset(*shape, dtype="f4"):
    return np.full(shape, np.nan, dtype)


# races


@pair(lambda: (vector(),), "race", r"a\[1\] is read by iteration 0 .* and written by iteration 1")
def neighbors(a):
    for i in prange(a.size - 1):
        a[i] = a[i + 1]


@twin_of("neighbors")
def _(a):
    b = a.copy()
    for i in prange(a.size - 1):
        a[i] = b[i + 1]


@pair(lambda: (vector(),), "race", r"a\[1\] is written by iteration 1 .* and read by iteration 2")
def stencil_in_place(a):
    for i in prange(1, a.size - 1):
        a[i] = a[i - 1] + a[i] + a[i + 1]


@twin_of("stencil_in_place")
def _(a):
    b = np.empty_like(a)
    for i in prange(a.size):
        b[i] = a[i]
    for i in prange(1, a.size - 1):
        a[i] = b[i - 1] + b[i] + b[i + 1]


@pair(lambda: (np.array([0, 2, 1, 2, 0]), np.zeros(3, np.int64)), "race", r"hist\[2\] is written by iteration 1")
def histogram(x, hist):
    for i in prange(x.size):
        hist[x[i]] += 1


@twin_of("histogram")
def _(x, hist):
    for b in prange(hist.size):
        for i in range(x.size):
            if x[i] == b:
                hist[b] += 1


@pair(lambda: (np.array([0, 2, 1, 2, 0]), np.zeros(3, np.int64)), "race", r"part\[0, 2\]")
def histogram_in_one_part(x, hist):
    part = np.zeros((1, hist.size), np.int64)
    for i in prange(x.size):
        part[0, x[i]] += 1
    hist[:] = part[0]


@twin_of("histogram_in_one_part")
def _(x, hist):
    threads = numba.get_num_threads()
    part = np.zeros((threads, hist.size), np.int64)
    for t in prange(threads):
        for i in range(t, x.size, threads):
            part[t, x[i]] += 1
    for b in range(hist.size):
        for t in range(threads):
            hist[b] += part[t, b]


@pair(lambda: (vector(), unset(1)), "race", r"total\[0\] is written by iteration 0 .* and read by iteration 1")
def sum_by_hand(a, total):
    total[0] = 0
    for i in prange(a.size):
        total[0] += a[i]


@twin_of("sum_by_hand")
def _(a, total):
    s = a.dtype.type(0)
    for i in prange(a.size):
        s += a[i]
    total[0] = s


@pair(lambda: (matrix(), unset(N)), "race", r"sums\[0\]")
def column_sums(A, sums):
    sums[:] = 0
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            sums[j] += A[i, j]


@twin_of("column_sums")
def _(A, sums):
    for j in prange(A.shape[1]):
        sums[j] = 0
        for i in range(A.shape[0]):
            sums[j] += A[i, j]


@pair(lambda: (matrix(3, 4), matrix(4, 5), unset(3, 5)), "race", r"C\[0, 0\] is written by iteration 0 .* read by")
def product_over_k(A, B, C):
    C[:] = 0
    for k in prange(A.shape[1]):
        for i in range(A.shape[0]):
            for j in range(B.shape[1]):
                C[i, j] += A[i, k] * B[k, j]


@twin_of("product_over_k")
def _(A, B, C):
    for i in prange(A.shape[0]):
        for j in range(B.shape[1]):
            s = A.dtype.type(0)
            for k in range(A.shape[1]):
                s += A[i, k] * B[k, j]
            C[i, j] = s


@pair(lambda: (matrix(3, 4), matrix(4, 5), unset(3, 5)), "race", r"row\[0\] is (written|read) by iteration 0")
def shared_buffer(A, B, C):
    row = np.zeros(B.shape[1], A.dtype)
    for i in prange(A.shape[0]):
        row[:] = 0
        for k in range(A.shape[1]):
            for j in range(B.shape[1]):
                row[j] += A[i, k] * B[k, j]
        C[i] = row


@twin_of("shared_buffer")
def _(A, B, C):
    for i in prange(A.shape[0]):
        row = np.zeros(B.shape[1], A.dtype)
        for k in range(A.shape[1]):
            for j in range(B.shape[1]):
                row[j] += A[i, k] * B[k, j]
        C[i] = row


@pair(lambda: (vector(8), unset(4)), "race", r"out\[0\] is written by iteration 0 .* written by iteration 4")
def wraps_around(a, out):
    for i in prange(a.size):
        out[i % out.size] = a[i]


@twin_of("wraps_around")
def _(a, out):
    for i in prange(out.size):
        for j in range(i, a.size, out.size):
            out[i] = a[j]


@pair(lambda: (vector(8), unset(8)), "race", r"out\[4\] is written by iteration 0 .* written by iteration 1")
def blocks_that_overlap(a, out):
    for block in prange(2):
        for i in range(block * 4, min(block * 4 + 5, a.size)):
            out[i] = a[i]


@twin_of("blocks_that_overlap")
def _(a, out):
    for block in prange(2):
        for i in range(block * 4, min(block * 4 + 4, a.size)):
            out[i] = a[i]


@pair(lambda: (matrix(4, 4),), "race", r"A\[0, 1\] is written by iteration 0 .* and (read|written) by iteration 1")
def transpose_in_place(A):
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j], A[j, i] = A[j, i], A[i, j]


@twin_of("transpose_in_place")
def _(A):
    for i in prange(A.shape[0]):
        for j in range(i):
            A[i, j], A[j, i] = A[j, i], A[i, j]


@pair(lambda: (matrix(4, 4), unset(4, 4)), "race", r"B\[0, 0\] is written by iteration 0")
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


@pair(lambda: (matrix(4, 4), unset(4, 4)), "race", r"B\[0, 0\] is written by iteration 0")
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


PAIRS["through_a_transpose"][4] = r"B\[0, 1\]|B\[1, 0\]"


@njit
def add_into(a, x):
    a[0] += x


@pair(lambda: (vector(), np.zeros(1, "f4")), "race", r"out\[0\]")
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


@pair(lambda: (vector(), np.zeros(N, "f4")), "race", r"out\[0\] is written by iteration 0 .* written by iteration 1")
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


@pair(lambda: (vector(), np.zeros(N, "f4")), "race", r"a\[1\] is read by iteration 0 .* written by iteration 1")
def aliased(a, out):
    for i in prange(a.size - 1):
        out[i] = a[i + 1]


def _same_memory():
    a = vector()
    return a, a


PAIRS["aliased"][2] = _same_memory


@twin_of("aliased")
def _(a, out):
    for i in prange(a.size):
        out[i] = 2 * a[i] if a[i] < 0 else a[i]


@pair(lambda: (np.zeros(4, [("x", "f4"), ("n", "i4")]),), "race", r"p\[0\] is written by iteration 0")
def fields(p):
    for i in prange(p.size):
        p[0]["n"] += 1
        p[i]["x"] = i


@twin_of("fields")
def _(p):
    for i in prange(p.size):
        p[i]["n"] += 1
        p[i]["x"] = i


@pair(lambda: (vector(8), np.zeros(1, np.int64)), "race", r"where\[0\] is written by iteration")
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


@pair(lambda: (vector(8), np.zeros((2, 8), "f4")), "race", r"scratch\[0\]")
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


@pair(lambda: (matrix(),), "race", r"A\[1, 0\] is read by iteration 0 .* written by iteration 1")
def slices(A):
    for i in prange(A.shape[0] - 1):
        A[i] = A[i + 1]


@twin_of("slices")
def _(A):
    B = A.copy()
    for i in prange(A.shape[0] - 1):
        A[i] = B[i + 1]


@pair(lambda: (np.array([0, 2, 0, 1]), vector(4), np.zeros(3, "f4")), "race", r"out\[0\] .* iteration 0 .* iteration 2")
def scatter(index, a, out):
    for i in prange(index.size):
        out[index[i]] = a[i]


@twin_of("scatter")
def _(index, a, out):
    for i in prange(out.size):
        for j in range(index.size):
            if index[j] == i:
                out[i] = a[j]


@pair(lambda: (vector(),), "overlap", r"copies a part of a to another part of it that overlaps it")
def overlapping_copy(a):
    a[1:] = a[:-1]


@twin_of("overlapping_copy")
def _(a):
    a[1:] = a[:-1].copy()


@pair(lambda: (matrix(),), "overlap", r"copies a part of A to another part")
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


@pair(lambda: (vector(), unset(N)), "race", r"a\[0\] is read by iteration 0 .* written by iteration 6")
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


@pair(lambda: (vector(), np.zeros(N, "f4")), "race", r"cut\[0\]")
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


# variables


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


# indices


@pair(lambda: (vector(), unset(N)), "outside", r"a\[7\] is outside: its shape is \(7,\)")
def one_too_far(a, out):
    for i in prange(a.size):
        out[i] = a[i + 1]


@twin_of("one_too_far")
def _(a, out):
    for i in prange(a.size):
        out[i] = a[min(i + 1, a.size - 1)]


@pair(lambda: (matrix(5, 7), unset(5, 7)), "outside", r"A\[5, 0\] is outside: its shape is \(5, 7\)")
def past_the_last_block(A, B):
    for block in prange((A.shape[0] + 3) // 4):
        for i in range(4 * block, 4 * block + 4):
            for j in range(A.shape[1]):
                B[i, j] = A[i, j]


@twin_of("past_the_last_block")
def _(A, B):
    for block in prange((A.shape[0] + 3) // 4):
        for i in range(4 * block, min(4 * block + 4, A.shape[0])):
            for j in range(A.shape[1]):
                B[i, j] = A[i, j]


@pair(lambda: (matrix(), unset(M, N)), "outside", r"A\[0, 5\]|A\[5, 0\]")
def axes_swapped(A, B):
    for i in prange(A.shape[1]):
        for j in range(A.shape[0]):
            B[i, j] = A[i, j]


@twin_of("axes_swapped")
def _(A, B):
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            B[i, j] = A[i, j]


@pair(lambda: (vector(), unset(N)), "negative", r"a\[-1\] has a negative index")
def before_the_first(a, out):
    for i in prange(a.size):
        out[i] = a[i] + a[i - 1]


@twin_of("before_the_first")
def _(a, out):
    out[0] = a[0] + a[-1]
    for i in prange(1, a.size):
        out[i] = a[i] + a[i - 1]


@pair(lambda: (np.array([0, 3, 1]), vector(3), unset(3)), "outside", r"a\[3\] is outside")
def gathered_from_outside(index, a, out):
    for i in prange(index.size):
        out[i] = a[index[i]]


@twin_of("gathered_from_outside")
def _(index, a, out):
    for i in prange(index.size):
        out[i] = a[index[i] % a.size]


@pair(lambda: (vector(), unset(N)), "outside", r"a\[-8\] is outside")
def far_before_the_first(a, out):
    for i in prange(a.size):
        out[i] = a[i - 8]


@twin_of("far_before_the_first")
def _(a, out):
    for i in prange(a.size):
        out[i] = a[max(i - 8, 0)]


@pair(lambda: (matrix(), unset(N)), "outside", r"A\[5\] is outside")
def a_row_outside(A, out):
    out[:] = 0
    for i in range(1, A.shape[0] + 1):
        row = A[i]
        for j in range(row.size):
            out[j] += row[j]


@twin_of("a_row_outside")
def _(A, out):
    out[:] = 0
    for i in range(A.shape[0]):
        row = A[i]
        for j in range(row.size):
            out[j] += row[j]


@pair(lambda: (np.full(6, 100, np.int8), np.zeros(6, np.int8)), "overflow", r"200 does not fit into ends.*int8")
def small_integers(counts, ends):
    end = 0
    for i in range(counts.size):
        end += counts[i]
        ends[i] = end


@twin_of("small_integers")
def _(counts, ends):
    for i in range(counts.size):
        ends[i] = counts[i]


@pair(lambda: (vector(3), np.zeros(3, np.int32)), "overflow", r"2500000000 does not fit into places.*int32")
def index_of_32_bits(a, places):
    for i in prange(a.size):
        places[i] = i * 2_500_000_000


@twin_of("index_of_32_bits")
def _(a, places):
    for i in prange(a.size):
        places[i] = i * 2_500_000_000 % a.size


@pair(lambda: (vector(8), np.zeros(3)), "overflow", r"OverflowError.*300000 out of bounds for int16")
def a_cast_index(a, out):
    for i in prange(out.size):
        k = np.int16(i * 300_000)
        out[i] = a[k % 8]


@twin_of("a_cast_index")
def _(a, out):
    for i in prange(out.size):
        k = np.int32(i) * np.int32(2_000_000_000) * 300
        out[i] = a[k % 8] + np.float32(1)
    places = np.arange(8).astype(np.int8)
    for j in range(8):
        out[0] += a[places[j] * np.int8(100) // 100]


# memory that nothing has written


@pair(lambda: (matrix(), unset(M)), "not initialized", r"sums\[0\] before anything wrote it")
def adds_to_empty(A, out):
    sums = np.empty(A.shape[0], A.dtype)
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            sums[i] += A[i, j]
    for i in range(A.shape[0]):
        out[i] = sums[i]


@twin_of("adds_to_empty")
def _(A, out):
    sums = np.zeros(A.shape[0], A.dtype)
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            sums[i] += A[i, j]
    for i in range(A.shape[0]):
        out[i] = sums[i]


@pair(lambda: (matrix(3, 4), matrix(4, 5), unset(3, 5)), "not initialized", r"C\[0, 0\] before anything wrote it")
def adds_to_its_output(A, B, C):
    for i in prange(A.shape[0]):
        for k in range(A.shape[1]):
            for j in range(B.shape[1]):
                C[i, j] += A[i, k] * B[k, j]


@twin_of("adds_to_its_output")
def _(A, B, C):
    for i in prange(A.shape[0]):
        C[i] = 0
        for k in range(A.shape[1]):
            for j in range(B.shape[1]):
                C[i, j] += A[i, k] * B[k, j]


@pair(lambda: (vector(), unset(N)), "unwritten", r"leaves out unwritten: 3 elements, first out\[4\]")
def forgets_the_tail(a, out):
    for block in prange(a.size // 4):
        for i in range(4 * block, 4 * block + 4):
            out[i] = a[i]


@twin_of("forgets_the_tail")
def _(a, out):
    for block in prange(a.size // 4):
        for i in range(4 * block, 4 * block + 4):
            out[i] = a[i]
    for i in range(a.size // 4 * 4, a.size):
        out[i] = a[i]


@pair(lambda: (vector(),), "unwritten", r"returns out, of which nothing wrote 1 element, first out\[0\]")
def returns_holes(a):
    out = np.empty(a.size, a.dtype)
    for i in prange(1, a.size):
        out[i] = a[i] - a[i - 1]
    return out, a.size


@twin_of("returns_holes")
def _(a):
    out = np.empty(a.size, a.dtype)
    out[0] = a[0]
    for i in prange(1, a.size):
        out[i] = a[i] - a[i - 1]
    return out, a.size


@pair(lambda: (matrix(), unset(M, N)), "not initialized", r"block\[0, 0\]|block\[0\]")
def reads_the_padding(A, B):
    for i in prange(A.shape[0]):
        block = np.empty(8, A.dtype)
        block[1 : A.shape[1]] = A[i, 1:]
        for j in range(A.shape[1]):
            B[i, j] = block[j]


@twin_of("reads_the_padding")
def _(A, B):
    for i in prange(A.shape[0]):
        block = np.empty(8, A.dtype)
        block[: A.shape[1]] = A[i]
        for j in range(A.shape[1]):
            B[i, j] = block[j]


# inputs, types, threads


@pair(lambda: (matrix(), unset(M, N)), "input", r"writes into its input A: A\[0, 0\]", writes="B")
def scales_its_input(A, B):
    half = A.dtype.type(0.5)
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j] *= half
            B[i, j] = A[i, j]


@twin_of("scales_its_input")
def _(A, B):
    half = A.dtype.type(0.5)
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            B[i, j] = half * A[i, j]


@pair(lambda: (vector(), unset(N)), "float64", r"a float64 is stored in out, which is float32")
def a_constant_of_64_bits(a, out):
    for i in prange(a.size):
        out[i] = a[i] * 0.5


@twin_of("a_constant_of_64_bits")
def _(a, out):
    half = a.dtype.type(0.5)
    for i in prange(a.size):
        out[i] = a[i] * half


@pair(lambda: (matrix(), unset(M)), "float64", r"a float64 is stored in out")
def a_sum_of_64_bits(A, out):
    for i in prange(A.shape[0]):
        total = 0.0
        for j in range(A.shape[1]):
            total += A[i, j]
        out[i] = total


@twin_of("a_sum_of_64_bits")
def _(A, out):
    for i in prange(A.shape[0]):
        total = A.dtype.type(0)
        for j in range(A.shape[1]):
            total += A[i, j]
        out[i] = total


@pair(lambda: (vector(), unset(N)), "float64", r"a float64 is stored in out")
def a_mean_by_an_integer(a, out):
    out[:] = a / a.size


@twin_of("a_mean_by_an_integer")
def _(a, out):
    out[:] = a / a.dtype.type(a.size)


@pair(
    lambda: (np.array([1, 1e-8, 1, 1e-8, 1, -3, 1e-8], "f8"), np.zeros(1)), "threads", r"gives \S+ with 1 thread, but"
)
def a_sum_by_threads(a, out):
    threads = numba.get_num_threads()
    part = np.zeros(threads)
    for t in prange(threads):
        for i in range(t, a.size, threads):
            part[t] += a[i]
    out[0] = part.sum()


@twin_of("a_sum_by_threads")
def _(a, out):
    part = np.zeros(4)
    for t in prange(4):
        for i in range(t, a.size, 4):
            part[t] += a[i]
    out[0] = part.sum()


@pair(lambda: (vector(), np.zeros(N, "f4")), "differs", r"gives \S+ with 1 thread, but \S+ with 2")
def forgets_the_rest_of_the_threads(a, out):
    threads = numba.get_num_threads()
    size = a.size // threads
    for t in prange(threads):
        for i in range(t * size, (t + 1) * size):
            out[i] = a[i]


@twin_of("forgets_the_rest_of_the_threads")
def _(a, out):
    threads = numba.get_num_threads()
    size = (a.size + threads - 1) // threads
    for t in prange(threads):
        for i in range(t * size, min((t + 1) * size, a.size)):
            out[i] = a[i]


@pair(lambda: (np.array([0, 2, 1, 2, 0, 2]), np.zeros(3, np.int64)), "race", r"shared\[2\] is .* by thread 0")
def one_row_for_all_threads(x, hist):
    mine = np.zeros((numba.get_num_threads(), 3), np.int64)
    shared = np.zeros(3, np.int64)
    for i in prange(x.size):
        mine[numba.get_thread_id(), x[i]] += 1
        shared[x[i]] += 1
    hist[:] = mine.sum(axis=0)


@twin_of("one_row_for_all_threads")
def _(x, hist):
    mine = np.zeros((numba.get_num_threads(), 3), np.int64)
    for i in prange(x.size):
        mine[numba.get_thread_id(), x[i]] += 1
    hist[:] = mine.sum(axis=0)


# right ones, each for a rule of Numba

Result = namedtuple("Result", "total best")


@parallel
def array_reduction(A):
    sums = np.zeros(A.shape[1], A.dtype)
    for i in prange(A.shape[0]):
        sums += A[i]
    return sums


@parallel
def array_reduction_into_an_argument(A, out):
    for i in prange(A.shape[0]):
        out += A[i]


@parallel
def array_reduction_in_two_lines(A):
    sums = np.zeros(A.shape[1], A.dtype)
    for i in prange(A.shape[0]):
        for _ in range(2):
            sums = sums + A[i]
    return sums


@parallel
def reductions(a):
    total, product, count = a.dtype.type(0), a.dtype.type(1), 0
    best, least = a[0], a[0]
    for i in prange(a.size):
        if a[i] == 2:
            continue
        total -= a[i]
        product *= a[i]
        count += 1
        best = max(best, a[i])
        least = min(a[i], least)
    return Result(total, best), (product, count, least)


@parallel
def nested(A, B):
    for i in prange(A.shape[0]):
        best = A[i, 0]
        for j in prange(A.shape[1]):
            if A[i, j] > best:
                best = A[i, j]
        for j in prange(1, A.shape[1]):
            B[i, 0] = best
            B[i, j] = B[i, j - 1]


@parallel
def private_views(A, B):
    row = A[0]
    for i in prange(A.shape[0]):
        row = B[i]
        row[:] = 0
        row += A[i]
        x, (y, z) = row[0], (row[1], row[2])
        B[i, 0] = x + y + z
    row = A[1]
    return row[0]


@parallel
def array_expressions(A, B):
    B[:] = np.sqrt(A) + A
    B[1:-1] += A[:-2]
    B[:, ::2] = A[::-1, ::2].T.T
    for row in B:
        row[0] = A.sum(axis=0).max()


@parallel
def many_ways_to_index(A, B):
    order = np.argsort(A[:, 0])
    for i in prange(order.size):
        B[order[i], ...] = A[order[i]]
        B[order[i]][-1] = A[order[i], -1]
    mask = A[:, 1] > 0
    B[mask] = A[mask]
    for index, x in np.ndenumerate(A):
        B[index] = x
    for i in range(A.size):
        B.flat[i] = A.flat[i]


@njit
def serial(a):
    for i in prange(1, a.size):
        a[i] += a[i - 1]


@parallel
def calls_a_serial_loop(a):
    serial(a)


@parallel
def two_loops(a, out):
    for i in prange(a.size):
        out[i] = a[i]
    for i in prange(a.size - 1):
        a[i] = out[i + 1]
    for i in range(1, a.size):
        a[i] = a[i - 1]


@parallel
def both_branches_end(a, out):
    t = a.dtype.type(0)
    for i in prange(a.size):
        if a[i] > 3:
            out[i] = a[i]
            continue
        t = a[i]
        out[i] = t


@parallel
def both_branches_continue(a, out):
    for i in prange(a.size):
        if a[i] > 3:
            out[i] = a[i]
            continue
        else:  # noqa: RET507
            out[i] = a[0]
            continue


@parallel
def rgb(pixels, hist):
    for c in prange(3):
        for i in range(pixels.shape[0]):
            hist[c, pixels[i, c] * 2 // 2] += 1


RIGHT = {
    "array_reduction": lambda: (matrix(),),
    "array_reduction_into_an_argument": lambda: (matrix(), np.zeros(N, "f4")),
    "array_reduction_in_two_lines": lambda: (matrix(),),
    "reductions": lambda: (vector(),),
    "nested": lambda: (matrix(), unset(M, N)),
    "private_views": lambda: (matrix(), unset(M, N)),
    "array_expressions": lambda: (matrix(), unset(M, N)),
    "many_ways_to_index": lambda: (matrix(), unset(M, N)),
    "calls_a_serial_loop": lambda: (vector(),),
    "two_loops": lambda: (vector(), unset(N)),
    "both_branches_end": lambda: (vector(), unset(N)),
    "both_branches_continue": lambda: (vector(), unset(N)),
    "rgb": lambda: (np.full((4, 3), 200, np.uint8), np.zeros((3, 256), np.int64)),
}
