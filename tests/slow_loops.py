"""Small loops that the compiler cannot optimize, each next to its fix. `tests/test_explain.py` runs `explain` on them.

NAME_slow has the problem, NAME_fixed does not. LOOPS lists their argument types, the verdict that reports the problem,
and a word of its answer or evidence.
"""

import math

import numpy as np
from numba import njit

from jitnet.compiler.simd import broadcast, load, store
from jitnet.kernels.exponential import exponential, log1p_of, tanh_of

VECTOR, MATRIX = "float32[::1]", "float32[:,::1]"
LOOPS = {
    "wrap": (f"{MATRIX}, {VECTOR}, int64", "checks", "wrap-around"),
    "alias": (", ".join([VECTOR] * 18), "vectorized", "may overlap"),
    "order": (VECTOR, "vectorized", "the order in which it is written"),
    "stride": (f"{MATRIX}, {VECTOR}", "loads and stores|vectorized", "far apart"),
    "call": (f"{VECTOR}, {VECTOR}", "calls", "expf"),
    "helper": (f"{VECTOR}, {VECTOR}", "calls", "not inlined"),
    "bounds": (f"{VECTOR}, {VECTOR}, uint64[::1]", "checks", "bounds"),
    "unfused": (f"{VECTOR}, {VECTOR}, float32", "multiply-adds", "not fused"),
    "wide": (f"{VECTOR}, {VECTOR}", "numbers", "mixed with float64"),
    "float64": (f"{VECTOR}, float64", "numbers", "mixed with float64"),
    "zero": (f"{VECTOR}, {VECTOR}", "checks", "zero"),
    "remainder": ("int64[::1], int64", "divisions", "of integers"),
    "reciprocal": (f"{VECTOR}, float32", "divisions", "by the same number"),
    "leaves": (f"{VECTOR}, float32", "checks", "early exit"),
    "memory": (f"{VECTOR}, {VECTOR}, {VECTOR}", "accumulators", "in memory"),
    "trips": (f"{MATRIX}, {MATRIX}, {MATRIX}", "loads and stores", "more than a core makes in the time"),
    "spill": (f"{MATRIX}, {MATRIX}, {MATRIX}", "accumulators", "spilled"),
    "recurrence": (f"{VECTOR}, {VECTOR}", "vectorized", "an earlier one wrote"),
    "scatter": (f"{VECTOR}, int64[::1], {VECTOR}", "accumulators", "the index is data"),
    "shifted": (f"{MATRIX}, {MATRIX}", "checks", "wrap-around"),
    "histogram": ("uint8[::1], int64[:,::1]", "accumulators", "the index is data"),
    "counting": (f"{VECTOR}, int64[::1]", "vectorized", "before its last iteration"),
}
NO_FIX = ("recurrence", "counting")  # they must wait for the previous iteration, unless they compute something else
contract = njit(fastmath={"contract"}, error_model="numpy")
WEIGHTS = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)


@contract
def wrap_slow(A, x, k):
    """x[j - k] with a k that can be large: Python counts a negative index from the end, so each index is tested."""
    for i in range(A.shape[0]):
        row = A[i]
        for j in range(row.size):
            x[j - k] += row[j]


@contract
def wrap_fixed(A, x, k):
    for i in range(A.shape[0]):
        row, part = A[i], x[k:]
        for j in range(row.size):
            part[j] += row[j]


@contract
def alias_slow(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r):
    """Sixteen arrays are written, two are read: LLVM does not emit overlap checks for so many pairs."""
    for t in range(a.size):
        c[t], d[t], e[t], f[t] = a[t] + b[t], a[t] - b[t], a[t] * b[t], -a[t]
        g[t], h[t], i[t], j[t] = b[t] - a[t], b[t] * b[t], a[t] * a[t], -b[t]
        k[t], l[t], m[t], n[t] = a[t] + a[t], b[t] + b[t], abs(a[t]), abs(b[t])
        o[t], p[t], q[t], r[t] = max(a[t], b[t]), min(a[t], b[t]), a[t], b[t]


@contract
def alias_fixed(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r):
    for t in range(a.size):
        c[t], d[t], e[t], f[t] = a[t] + b[t], a[t] - b[t], a[t] * b[t], -a[t]
    for t in range(a.size):
        g[t], h[t], i[t], j[t] = b[t] - a[t], b[t] * b[t], a[t] * a[t], -b[t]
    for t in range(a.size):
        k[t], l[t], m[t], n[t] = a[t] + a[t], b[t] + b[t], abs(a[t]), abs(b[t])
    for t in range(a.size):
        o[t], p[t], q[t], r[t] = max(a[t], b[t]), min(a[t], b[t]), a[t], b[t]


@contract
def order_slow(x):
    """The numbers are added in the order of the source; SIMD lanes would add them in another order."""
    total = np.float32(0)
    for i in range(x.size):
        total += x[i]
    return total


@njit(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
def order_fixed(x):
    total = np.float32(0)
    for i in range(x.size):
        total += x[i]
    return total


@contract
def stride_slow(A, y):
    """Down a column: consecutive numbers are one row apart."""
    for i in range(A.shape[0]):
        y[i] = A[i, 0] * A[i, 0]


@contract
def stride_fixed(A, y):
    row = A[0]
    for j in range(A.shape[1]):
        y[j] = row[j] * row[j]


@contract
def call_slow(x, y):
    for i in range(x.size):
        y[i] = math.exp(x[i])


@contract
def call_fixed(x, y):
    one, half, sixth = np.float32(1), np.float32(0.5), np.float32(1 / 6)
    for i in range(x.size):
        y[i] = ((sixth * x[i] + half) * x[i] + one) * x[i] + one  # for small x


def mish(z):
    return z * tanh_of(max(z, z - z) + log1p_of(exponential(-abs(z))))


too_long, inlined = contract(mish), njit(fastmath={"contract"}, error_model="numpy", forceinline=True)(mish)


@contract
def helper_slow(x, y):
    """The helper is too long for LLVM to inline it."""
    for i in range(x.size):
        y[i] = too_long(x[i])


@contract
def helper_fixed(x, y):
    for i in range(x.size):
        y[i] = inlined(x[i])


@njit(fastmath={"contract"}, error_model="numpy", boundscheck=True)
def bounds_slow(x, y, order):
    """With bounds checks, each index is compared with the size of the array."""
    for i in range(order.size):
        y[i] = x[order[i]]


@contract
def bounds_fixed(x, y, order):
    for i in range(order.size):
        y[i] = x[order[i]]


@njit(error_model="numpy")
def unfused_slow(x, y, a):
    for i in range(x.size):
        y[i] += a * x[i]


@contract
def unfused_fixed(x, y, a):
    for i in range(x.size):
        y[i] += a * x[i]


@contract
def wide_slow(x, y):
    """0.1 is a float64, so every number is widened, multiplied and rounded back."""
    for i in range(x.size):
        y[i] = x[i] * 0.1


@contract
def wide_fixed(x, y):
    tenth = np.float32(0.1)
    for i in range(x.size):
        y[i] = x[i] * tenth


@njit(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
def float64_slow(x, start):
    """A sum that begins as a float64 stays one."""
    total = start
    for i in range(x.size):
        total += x[i]
    return total


@njit(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
def float64_fixed(x, start):
    total = np.float32(start)
    for i in range(x.size):
        total += x[i]
    return total


@njit(fastmath={"contract"})
def zero_slow(x, y):
    """Python raises ZeroDivisionError, so each divisor is compared with 0."""
    for i in range(x.size):
        y[i] = y[i] / x[i]


@contract
def zero_fixed(x, y):
    for i in range(x.size):
        y[i] = y[i] / x[i]


@contract
def remainder_slow(x, n):
    """An integer division takes ten times as long as a multiplication, and has no vector instruction."""
    for i in range(x.size):
        x[i] = x[i] // n


@contract
def remainder_fixed(x, n):
    for i in range(x.size):
        x[i] = x[i] >> n


@contract
def leaves_slow(x, limit):
    """The loop can exit at any element, so later elements must not be loaded early."""
    total = np.float32(0)
    for i in range(x.size):
        if x[i] > limit:
            break
        x[i] = x[i] * x[i]
    return total


@contract
def leaves_fixed(x, limit):
    for i in range(x.size):
        x[i] = x[i] if x[i] > limit else x[i] * x[i]


@contract
def memory_slow(x, y, total):
    """The sum is in an array: it is loaded and stored in every iteration, because y could overlap it."""
    for i in range(x.size):
        total[0] += x[i]
        y[i] = x[i]


@contract
def memory_fixed(x, y, total):
    t = total[0]
    for i in range(x.size):
        t, y[i] = t + x[i], x[i]
    total[0] = t


@contract
def reciprocal_slow(x, n):
    """A division takes as long as ten multiplications, and this divisor is constant."""
    for i in range(x.size):
        x[i] = x[i] / n


@contract
def reciprocal_fixed(x, n):
    inverse = np.float32(1) / n
    for i in range(x.size):
        x[i] = x[i] * inverse


@contract
def trips_slow(A, B, C):
    """C[i, j] is loaded and stored for every k, and B[k, j] is loaded for every i."""
    for i in range(A.shape[0]):
        for k in range(A.shape[1]):
            a, b, c = A[i, k], B[k], C[i]
            for j in range(B.shape[1]):
                c[j] += a * b[j]


@contract
def trips_fixed(A, B, C):
    for i in range(0, A.shape[0] - 1, 2):
        for k in range(0, A.shape[1] - 3, 4):
            a0, a1, a2, a3 = A[i, k], A[i, k + 1], A[i, k + 2], A[i, k + 3]
            d0, d1, d2, d3 = A[i + 1, k], A[i + 1, k + 1], A[i + 1, k + 2], A[i + 1, k + 3]
            b0, b1, b2, b3, c, d = B[k], B[k + 1], B[k + 2], B[k + 3], C[i], C[i + 1]
            for j in range(B.shape[1]):
                x0, x1, x2, x3 = b0[j], b1[j], b2[j], b3[j]
                c[j] = c[j] + a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
                d[j] = d[j] + d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3


@contract
def spill_slow(A, B, C):
    """Nine rows of four vectors are 36 sums; AVX-512 has 32 registers, AVX2 has 16."""
    n = B.shape[1]
    c0 = c1 = c2 = c3 = c4 = c5 = c6 = c7 = c8 = broadcast(C[0, 0], C, 4)
    for k in range(B.shape[0]):
        y = load(B, k * n, 4)
        c0, c1, c2 = c0 + A[0, k] * y, c1 + A[1, k] * y, c2 + A[2, k] * y
        c3, c4, c5 = c3 + A[3, k] * y, c4 + A[4, k] * y, c5 + A[5, k] * y
        c6, c7, c8 = c6 + A[6, k] * y, c7 + A[7, k] * y, c8 + A[8, k] * y
    store(c0 + c1 + c2 + c3 * c4 + c5 + c6 * c7 + c8, C, 0)


@contract
def spill_fixed(A, B, C):
    n = B.shape[1]
    c0 = c1 = broadcast(C[0, 0], C, 4)
    for k in range(B.shape[0]):
        y = load(B, k * n, 4)
        c0, c1 = c0 + A[0, k] * y, c1 + A[1, k] * y
    store(c0 + c1, C, 0)


@contract
def recurrence_slow(x, y):
    """Each number depends on the previous one."""
    for i in range(1, x.size):
        y[i] = y[i - 1] * x[i]


@contract
def recurrence_fixed(x, y):
    for i in range(1, x.size):
        y[i] = x[i - 1] * x[i]


@contract
def scatter_slow(x, order, y):
    """order can contain an index twice, and negative indices."""
    for i in range(order.size):
        y[order[i]] += x[i]


@contract
def scatter_fixed(x, order, y):
    for i in range(order.size):
        y[i] += x[i]


@contract
def counting_slow(x, order):
    """The number of iterations is unknown in advance."""
    i = order[0]
    while i > 0:
        x[i] += np.float32(1)
        i = order[i]


@contract
def counting_fixed(x, order):
    for i in range(order.size):
        x[i] += np.float32(1)


@contract
def shifted_slow(image, out):
    """j + b - 1 can be negative for LLVM, so each number of a vector gets its own address."""
    for i in range(1, image.shape[0] - 1):
        for j in range(1, image.shape[1] - 1):
            total = np.float32(0)
            for a in range(3):
                for b in range(3):
                    total += WEIGHTS[a, b] * image[i + a - 1, j + b - 1]
            out[i, j] = total


@contract
def shifted_fixed(image, out):
    for i in range(image.shape[0] - 2):
        for j in range(image.shape[1] - 2):
            total = np.float32(0)
            for a in range(3):
                for b in range(3):
                    total += WEIGHTS[a, b] * image[i + a, j + b]
            out[i + 1, j + 1] = total


@contract
def histogram_slow(x, counts):
    """Equal numbers in a row: each addition waits until the previous one is stored."""
    table = counts[0]
    for i in range(x.size):
        table[x[i]] += 1


@contract
def histogram_fixed(x, counts):
    a, b = counts[0], counts[1]
    for i in range(0, x.size - 1, 2):
        a[x[i]] += 1
        b[x[i + 1]] += 1
