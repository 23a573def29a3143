"""Arguments of kernels as people write them: `for x in a`, `A @ p`, helpers that get a number, recursion by halves."""

import numpy as np
import pytest
from numba import njit

from jitnet.lab.sanitizer.arguments import examine_guessed, guessed


def counting_sort(a, k):
    counts = np.zeros(k + 1, np.int64)
    for x in a:
        counts[x + 1] += 1
    for i in range(k):
        counts[i + 1] += counts[i]
    out = np.empty_like(a)
    for x in a:
        out[counts[x]] = x
        counts[x] += 1
    return out


def conjugate_gradient(A, b, tolerance, iterations):
    x = np.zeros_like(b)
    r = b - A @ x
    p = r.copy()
    square = r @ r
    for _ in range(iterations):
        Ap = A @ p
        step = square / (p @ Ap)
        x += step * p
        r -= step * Ap
        new = r @ r
        if new < tolerance:
            break
        p = r + (new / square) * p
        square = new
    return x


@njit
def steps_of(x, y, iterations):
    z = 0j
    for k in range(iterations):
        z = z * z + complex(x, y)
        if abs(z) > 2:
            return k
    return iterations


def mandelbrot(low, high, image, iterations):
    h, w = image.shape
    for i in range(h):
        for j in range(w):
            image[i, j] = steps_of(low + j * (high - low) / w, i / h, iterations)


def quicksort(a, left, right):
    i, j = left, right
    pivot = a[(left + right) // 2]
    while i <= j:
        while a[i] < pivot:
            i += 1
        while a[j] > pivot:
            j -= 1
        if i <= j:
            a[i], a[j] = a[j], a[i]
            i += 1
            j -= 1
    if left < j:
        quicksort(a, left, j)
    if i < right:
        quicksort(a, i, right)


@pytest.mark.parametrize("kernel", [counting_sort, conjugate_gradient, mandelbrot, quicksort])
def test_arguments_that_fit_are_guessed(kernel):
    assert not examine_guessed(kernel, "float64", None, kernel.__name__).errors


def test_a_number_that_bounds_the_loop_of_a_helper_is_whole():
    *_, image, iterations = next(guessed(mandelbrot, "float32"))
    assert (image.ndim, iterations) == (2, 7)


def fft(x):
    n = x.shape[0]
    if n == 1:
        return x.copy()
    even, odd = fft(x[::2]), fft(x[1::2])
    out = np.empty(n, np.complex128)
    for k in range(n // 2):
        t = np.exp(-2j * np.pi * k / n) * odd[k]
        out[k] = even[k] + t
        out[k + n // 2] = even[k] - t
    return out


def pairs_only(x):
    out = np.empty(x.size)
    for k in range(x.size // 2):
        out[2 * k] = out[2 * k + 1] = x[k]
    return out


def test_elements_that_other_lengths_than_powers_of_two_leave_out_are_a_warning():
    report = examine_guessed(fft, "float64", None, "fft")
    (warning,) = report.warnings
    assert not report.errors
    assert warning.message.startswith("is right for lengths that are powers of two; for others: ")
    assert examine_guessed(pairs_only, "float64", None, "pairs").errors[0].kind == "unwritten"


def inverse(order):
    out = np.empty(order.size, np.int64)
    for i in range(order.size):
        out[order[i]] = i
    return out


def groups_without_zeros(keys, x):
    out = np.empty(x.size)
    for i in range(x.size):
        out[keys[i]] += x[i]
    return out


def test_a_note_says_that_indices_were_guessed_if_only_they_leave_elements_out():
    assert "made for a permutation" in str(examine_guessed(inverse, "float64", None, "inverse"))
    assert "made for a permutation" not in str(examine_guessed(groups_without_zeros, "float64", None, "groups"))
