"""Small loops that show what stops a compiler, each beside its cure. `tests/test_explain.py` asks `explain` about them.

NAME_fault has the fault, NAME_cured has not. SIGNATURES says what they are compiled for.
"""

import math

import numpy as np
from numba import njit

VECTOR, MATRIX = "float32[::1]", "float32[:,::1]"
SIGNATURES = {
    "wrap": f"{MATRIX}, {VECTOR}, int64",
    "alias": ", ".join([VECTOR] * 6),
    "order": VECTOR,
    "stride": f"{MATRIX}, {VECTOR}",
    "call": f"{VECTOR}, {VECTOR}",
    "bounds": f"{VECTOR}, {VECTOR}, int64[::1]",
    "unfused": f"{VECTOR}, {VECTOR}, float32",
    "wide": f"{VECTOR}, {VECTOR}",
    "float64": f"{VECTOR}, float64",
    "division": "float32[::1], float32[::1]",
    "remainder": "int64[::1], int64",
    "leaves": f"{VECTOR}, float32",
    "memory": f"{VECTOR}, {VECTOR}, {VECTOR}",
    "spill": f"{VECTOR}, {MATRIX}",
    "recurrence": f"{VECTOR}, {VECTOR}",
    "scatter": f"{VECTOR}, int64[::1], {VECTOR}",
}

contract = njit(fastmath={"contract"}, error_model="numpy")


@contract
def wrap_fault(A, x, k):
    """x[j - k] with a k that may be large: Python counts a negative index from the end, so each is asked its sign."""
    for i in range(A.shape[0]):
        row = A[i]
        for j in range(row.size):
            x[j - k] += row[j]


@contract
def wrap_cured(A, x, k):
    for i in range(A.shape[0]):
        row, part = A[i], x[k:]
        for j in range(row.size):
            part[j] += row[j]


@contract
def alias_fault(a, b, c, d, e, f):
    """Six arrays, four of them written: to ask of every pair whether it overlaps is more than LLVM does."""
    for i in range(a.size):
        c[i] = a[i] + b[i]
        d[i] = a[i] - b[i]
        e[i] = a[i] * b[i]
        f[i] = -a[i]


@contract
def alias_cured(a, b, c, d, e, f):
    for i in range(a.size):
        c[i] = a[i] + b[i]
    for i in range(a.size):
        d[i] = a[i] - b[i]
    for i in range(a.size):
        e[i] = a[i] * b[i]
    for i in range(a.size):
        f[i] = -a[i]


@contract
def order_fault(x):
    """A sum is added up in the order that is written; lanes would add it in another."""
    total = np.float32(0)
    for i in range(x.size):
        total += x[i]
    return total


@njit(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
def order_cured(x):
    total = np.float32(0)
    for i in range(x.size):
        total += x[i]
    return total


@contract
def stride_fault(A, x):
    """Down a column: each number is a row away from the last."""
    for j in range(A.shape[1]):
        for i in range(A.shape[0]):
            x[i] += A[i, j]


@contract
def stride_cured(A, x):
    for i in range(A.shape[0]):
        row = A[i]
        for j in range(A.shape[1]):
            x[j] += row[j]


@contract
def call_fault(x, y):
    for i in range(x.size):
        y[i] = math.exp(x[i])


@contract
def call_cured(x, y):
    one, half, sixth = np.float32(1), np.float32(0.5), np.float32(1 / 6)
    for i in range(x.size):
        y[i] = ((sixth * x[i] + half) * x[i] + one) * x[i] + one  # for small x


@njit(fastmath={"contract"}, error_model="numpy", boundscheck=True)
def bounds_fault(x, y, order):
    """Each index is compared with the size of the array."""
    for i in range(order.size):
        y[i] = x[order[i]]


@contract
def bounds_cured(x, y, order):
    for i in range(order.size):
        y[i] = x[order[i]]


@njit(error_model="numpy")
def unfused_fault(x, y, a):
    for i in range(x.size):
        y[i] += a * x[i]


@contract
def unfused_cured(x, y, a):
    for i in range(x.size):
        y[i] += a * x[i]


@contract
def wide_fault(x, y):
    """0.1 is a float64, so every number is widened, multiplied and rounded back."""
    for i in range(x.size):
        y[i] = x[i] * 0.1


@contract
def wide_cured(x, y):
    tenth = np.float32(0.1)
    for i in range(x.size):
        y[i] = x[i] * tenth


@njit(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
def float64_fault(x, start):
    """A sum that begins as a float64 stays one."""
    total = start
    for i in range(x.size):
        total += x[i]
    return total


@njit(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
def float64_cured(x, start):
    total = np.float32(start)
    for i in range(x.size):
        total += x[i]
    return total


@njit(fastmath={"contract"})
def division_fault(x, y):
    """Python raises ZeroDivisionError, so each divisor is asked whether it is 0."""
    for i in range(x.size):
        y[i] = y[i] / x[i]


@contract
def division_cured(x, y):
    for i in range(x.size):
        y[i] = y[i] / x[i]


@contract
def remainder_fault(x, n):
    """A division of whole numbers takes ten times as long as a multiplication, and has no vector instruction."""
    for i in range(x.size):
        x[i] = x[i] // n


@contract
def remainder_cured(x, n):
    for i in range(x.size):
        x[i] = x[i] >> n


@contract
def leaves_fault(x, limit):
    """The loop may end at any number, so the next ones must not be touched."""
    total = np.float32(0)
    for i in range(x.size):
        if x[i] > limit:
            break
        x[i] = x[i] * x[i]
    return total


@contract
def leaves_cured(x, limit):
    for i in range(x.size):
        x[i] = x[i] if x[i] > limit else x[i] * x[i]


@contract
def memory_fault(x, y, total):
    """The sum lives in an array: it is fetched and stored at every turn, for y might be the same memory."""
    for i in range(x.size):
        total[0] += x[i]
        y[i] = x[i]


@contract
def memory_cured(x, y, total):
    t = total[0]
    for i in range(x.size):
        t += x[i]
        y[i] = x[i]
    total[0] = t


def _sums(count):
    """A function with so many sums in its loop."""
    names = [f"s{n}" for n in range(count)]
    lines = [f"        {name} = {name} * a + A[i, {n}]" for n, name in enumerate(names)]
    text = "\n".join([
        "def body(x, A):", *(f"    {name} = x[{n}]" for n, name in enumerate(names)),
        "    for i in range(A.shape[0]):", "        a = x[i]", *lines,
        *(f"    x[{n}] = {name}" for n, name in enumerate(names)),
    ])  # fmt: skip
    scope = {}
    exec(compile(text, __file__, "exec"), scope)
    return contract(scope["body"])


spill_fault = _sums(40)
spill_cured = _sums(8)


@contract
def recurrence_fault(x, y):
    """Each number needs the one before."""
    for i in range(1, x.size):
        y[i] = y[i - 1] * x[i]


@contract
def recurrence_cured(x, y):
    for i in range(1, x.size):
        y[i] = x[i - 1] * x[i]


@contract
def scatter_fault(x, order, y):
    """order may name a place twice, and negative ones."""
    for i in range(order.size):
        y[order[i]] += x[i]


@contract
def scatter_cured(x, order, y):
    for i in range(order.size):
        y[i] += x[i]
