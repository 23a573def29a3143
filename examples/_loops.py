"""The loops of lesson 9: six that are not vectorized, each above its fixed version; and the answer to exercise 4.

x and y are vectors of float32 with the same number of elements; a function writes y and returns nothing.
"""

import math

import numba

from jitnet.kernels.exponential import exponential

loop = numba.njit(fastmath={"contract"}, error_model="numpy")  # the options of jitnet's own kernels
plain = numba.njit
reordering = numba.njit(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")


@loop
def total(x, y):
    y[0] = 0
    result = y[0]  # a zero of float32; 0.0 would make the sum float64
    for i in range(x.size):
        result += x[i]
    y[0] = result


@reordering
def total_fixed(x, y):
    y[0] = 0
    result = y[0]
    for i in range(x.size):
        result += x[i]
    y[0] = result


@loop
def roots(x, y):
    for i in range(x.size):
        if x[i] < 0:
            raise ValueError("x holds a negative number")
        y[i] = math.sqrt(x[i])


@loop
def roots_fixed(x, y):
    for i in range(x.size):
        y[i] = math.sqrt(x[i]) if x[i] >= 0 else math.nan


@plain
def inverse(x, y):
    for i in range(x.size):
        y[i] = 1 / x[i]


@loop
def inverse_fixed(x, y):
    for i in range(x.size):
        y[i] = 1 / x[i]


@loop
def growth(x, y):
    for i in range(x.size):
        y[i] = math.exp(x[i])


@loop
def growth_fixed(x, y):
    for i in range(x.size):
        y[i] = exponential(x[i])


@loop
def doubled(x, y):
    for i in range(y.size):
        y[i] = x[i // 2]


@loop
def doubled_fixed(x, y):
    for i in range(y.size // 2):
        y[2 * i] = y[2 * i + 1] = x[i]
    if y.size % 2 == 1:  # one number remains
        y[y.size - 1] = x[y.size // 2]


@loop
def smooth(x, y):
    y[0] = x[0]
    for i in range(1, x.size):
        y[i] = (y[i - 1] + x[i]) / 2


@loop
def smooth_fixed(x, y):
    y[0] = x[0]
    for i in range(1, x.size):
        y[i] = (x[i - 1] + x[i]) / 2


@loop
def sigmoid(x, y):
    for i in range(x.size):
        y[i] = 1 / (1 + exponential(-x[i]))
