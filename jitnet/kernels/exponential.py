"""e^x, sigmoid and tanh without calls, so that loops over them are vectorized.

`math.exp` is a call into the math library, one number at a time, and a loop that contains a call stays scalar.
The method for e^x is old (Cody and Waite, 1980). Any x is a multiple of ln 2 plus a small remainder,

    x = n·ln 2 + r,    n an integer,  |r| ≤ ½ ln 2 ≈ 0.35,      so      e^x = 2ⁿ·e^r

Errors are in ULP, units in the last place: the distance of the result to the next floating-point number.

*n without a conversion.* Adding 1.5·2²³ to a float32 leaves no bits for a fraction: the sum is rounded to an integer
in its lowest bits, and subtracting 1.5·2²³ again gives n as a float.

*r without cancellation.* ln 2 is split in two parts; n times the upper part is exact, because it has few bits.

*e^r* = 1 + (r + r²·g(r)), where g is the polynomial that equals 1/2! + r/3! + r²/4! + ... at a few points: the zeros ±c
of a Chebyshev polynomial on [−1, 1], each moved outward to ±√c, because the error of e^r is r² times that of g, and all
scaled to |r| ≤ ½ ln 2. With degree 4 in float32 and degree 9 in float64, the error of e^r, without rounding, is 0.06
ULP; Taylor's series needs one term more, or two.

*2ⁿ* is built from n + 127 (n + 1023) in the exponent bits. The result can leave the range of these bits, near infinity
and among the subnormal numbers, so it is multiplied twice: by 2^(n/2) each time, or for x ≤ 0 by 2ⁿ⁺⁶⁴ and then by 2⁻⁶⁴
(`headroom` and `shift_back` in the code).

*tanh* needs no e^x. Lambert's continued fraction (1761) is a quotient of two polynomials h and d in z:

    tanh(z/2) = z/(2 + z²/(6 + z²/(10 + z²/(14 + ...)))) ≈ h/d,      tanh(z) = 2·(h/d)/(1 + (h/d)²) = 2·h·d/(d² + h²)

The error of h/d grows with z, but where h is close to d, the second fraction hardly depends on h/d. Seven terms are
exact to a fifth of an ULP of float32, 15 to a tenth of one of float64, up to where tanh rounds to 1.

Where e^x is 0 or infinite, x is clamped, or the result is replaced. The comparisons are written so that NaN passes:
every comparison with it is false. Maximum errors over the whole range, compared with arithmetic of higher precision, in
ULP: e^x 1.1, sigmoid 1.7, tanh 1.9.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange
from numba.extending import overload
from numba.np.numpy_support import as_dtype

from ..compiler.intrinsics import wide, window
from ..compiler.jit import linked, part_of_kernels
from ..compiler.registry import operation, rung
from ..compiler.threads import PART, parts_of
from ..compiler.types import Matrix, Vector


def _zeros(degree: int) -> Any:
    """The zeros of the Chebyshev polynomial of that degree, on [−1, 1]."""
    return np.cos(np.pi * (np.arange(degree) + 0.5) / degree)


def _through(c: Callable[[int], float], points: Any) -> list[float]:
    """The polynomial that equals Σ c(k)·x^k at these points; highest power first.

    Its own terms are those of the series, corrected by a polynomial through the rest of the series. The rest is small,
    so no digits are lost.
    """
    n = len(points)
    rest = [math.fsum(c(k) * x**k for k in range(n, 40)) for x in points]
    return [c(n - 1 - i) + float(more) for i, more in enumerate(np.linalg.solve(np.vander(points), rest))]


def _lambert(terms: int) -> tuple[list[float], list[float]]:
    """p and (d − p)/z² with tanh(z/2) ≈ z/2·p/d: polynomials in z²; highest power first."""
    p, d = np.ones(1), np.array([4.0 * terms - 2])
    for n in range(terms - 1, 0, -1):
        p, d = d, np.polyadd((4 * n - 2) * d, [*p, 0])
    p, d = p / p[-1], d / d[-1]
    return p.tolist(), np.polysub(d, p)[:-1].tolist()


def _functions(
    real: Any, integer: Any, degree: int, terms: int, upper: float, lower: float
) -> dict[str, Callable[..., Any]]:
    """The functions below, for one dtype, that of all constants.

    degree          of the polynomials
    terms           of the continued fraction
    upper, lower    the two parts of ln 2
    """
    about = np.finfo(real)
    whole, offset, places = real(1.5 * 2**about.nmant), integer(about.maxexp - 1), integer(about.nmant)
    ln2_upper, ln2_lower, log2_e = real(upper), real(lower), real(1 / math.log(2))
    zero, minus_zero, one, two = real(0), real(-0.0), real(1), real(2)
    saturated = real((about.nmant + 3) / 2 * math.log(2))  # tanh is 1 from there
    least, most = real((about.minexp - about.nmant - 1.1) * math.log(2)), real(about.maxexp * math.log(2) + 0.3)
    headroom, shift_back, bits_of_whole = integer(64), real(2.0**-64), whole.view(integer)
    magnitude = integer(np.iinfo(integer).max)  # all bits but the sign
    zeros = _zeros(degree + 1)
    points = math.log(2) / 2 * np.sign(zeros) * np.sqrt(abs(zeros))
    coefficients = tuple(map(real, _through(lambda k: 1 / math.factorial(k + 2), points)))
    highest, others = coefficients[0], coefficients[1:]
    logarithmic = tuple(map(real, _through(lambda k: 1 / (2 * k + 1), (1 + zeros) / 18)))
    highest_l, others_l = logarithmic[0], logarithmic[1:]
    of_p, of_g = (tuple(map(real, each)) for each in _lambert(terms))
    highest_p, others_p, highest_g, others_g = of_p[0], of_p[1:], of_g[0], of_g[1:]

    @part_of_kernels
    def split(x):
        """n, in the lowest bits of a float and as a float, and r + n·ln2_lower."""
        bits = x * log2_e + whole
        n = bits - whole
        return bits, n, x - n * ln2_upper

    @part_of_kernels
    def times_exp(most_of_r, rest_of_r, factor):
        """e^r·factor, where r is a sum of two numbers; factor is a power of two, so multiplying by it is exact.

        If rest_of_r is −0, the compiler leaves it out, since x + (−0) is x.
        """
        r = most_of_r + rest_of_r
        g = highest
        for c in others:
            g = g * r + c
        return (most_of_r + (r * r * g + rest_of_r)) * factor + factor

    @part_of_kernels
    def power(n):
        """2ⁿ."""
        return integer((n + offset) << places).view(real)

    @part_of_kernels
    def exponential(x):
        x = least if x < least else x
        bits, n, r = split(most if x > most else x)
        exponent = real(bits).view(integer) - bits_of_whole
        half = exponent >> integer(1)
        return times_exp(r - n * ln2_lower, minus_zero, power(half)) * power(exponent - half)

    @part_of_kernels
    def at_most_1(x, bits, most_of_r, rest_of_r):
        """e^x for x ≤ 0."""
        e = times_exp(most_of_r, rest_of_r, power(real(bits).view(integer) + headroom)) * shift_back
        return zero if x < least else e  # a huge x makes bits, r and e meaningless

    @part_of_kernels
    def decay(x, low):
        bits, n, r = split(x)
        return at_most_1(x, bits, r, low - n * ln2_lower)

    @part_of_kernels
    def sigmoid(z):
        x = -abs(z)
        bits, n, r = split(x)
        e = at_most_1(x, bits, r - n * ln2_lower, minus_zero)
        a = one if z >= zero else e
        return a - a * (e / (one + e))

    @part_of_kernels
    def tanh(z):
        x = abs(z)
        s = x * x
        p, g = highest_p, highest_g  # g = (d − p)/s
        for c in others_p:
            p = p * s + c
        for c in others_g:
            g = g * s + c
        g *= s
        h, d = x / two * p, p + g
        near_zero = x < one
        e = x * (d * g + h * h) if near_zero else (d - h) * (d - h)
        y = (x if near_zero else one) - e / (d * d + h * h)
        y = one if x > saturated else y
        return integer((real(y).view(integer) & magnitude) | (real(z).view(integer) & ~magnitude)).view(real)

    @part_of_kernels
    def log1p(e):
        u = e / (two + e)
        l = highest_l
        for c in others_l:
            l = l * (u * u) + c
        return two * u * l

    return {"exponential": exponential, "decay": decay, "sigmoid_of": sigmoid, "tanh_of": tanh, "log1p_of": log1p}


_BY_DTYPE = {
    "float32": _functions(np.float32, np.int32, 4, 7, 0.693359375, -2.12194440054690583e-4),
    "float64": _functions(np.float64, np.int64, 9, 15, 6.93147180369123816490e-01, 1.90821492927058770002e-10),
}


def exponential(x: Any) -> Any:
    """e^x."""
    return _BY_DTYPE[x.dtype.name]["exponential"](x)


def decay(x: Any, low: Any) -> Any:
    """e^(x + low) for x ≤ 0. low is the rounding error of x, or 0; for x = −∞ it can be NaN, and the result is 0."""
    return _BY_DTYPE[x.dtype.name]["decay"](x, low)


def sigmoid_of(z: Any) -> Any:
    """1/(1 + e^{−z}), from e = e^{−|z|} ≤ 1: 1 − e/(1 + e) for z ≥ 0, else e − e·e/(1 + e).

    The quotient is subtracted from something larger, so its rounding errors count less.
    """
    return _BY_DTYPE[z.dtype.name]["sigmoid_of"](z)


def tanh_of(z: Any) -> Any:
    """x − x·(d·(d − p) + h²)/(d² + h²) for x = |z| < 1, else 1 − (d − h)²/(d² + h²), where h = x/2·p.

    p and d are polynomials in x² with the constant term 1, so d − p has none. Both forms equal 2·h·d/(d² + h²), and
    subtract a quotient from something larger, as in `sigmoid_of`. The sign is z's, bit for bit, so that −0 stays −0.
    """
    return _BY_DTYPE[z.dtype.name]["tanh_of"](z)


def log1p_of(e: Any) -> Any:
    """log(1 + e) for 0 ≤ e ≤ 1: 2·artanh(u) with u = e/(2 + e) ≤ ⅓, and artanh(u) = u·(1 + u²/3 + u⁴/5 + ...)."""
    return _BY_DTYPE[e.dtype.name]["log1p_of"](e)


@overload(exponential)
def _exponential(x):
    chosen = _BY_DTYPE[as_dtype(x).name]["exponential"]
    return lambda x: chosen(x)


@overload(decay)
def _decay(x, low):
    chosen = _BY_DTYPE[as_dtype(x).name]["decay"]
    return lambda x, low: chosen(x, low)


@overload(sigmoid_of)
def _sigmoid_of(z):
    chosen = _BY_DTYPE[as_dtype(z).name]["sigmoid_of"]
    return lambda z: chosen(z)


@overload(tanh_of)
def _tanh_of(z):
    chosen = _BY_DTYPE[as_dtype(z).name]["tanh_of"]
    return lambda z: chosen(z)


@overload(log1p_of)
def _log1p_of(e):
    chosen = _BY_DTYPE[as_dtype(e).name]["log1p_of"]
    return lambda e: chosen(e)


@operation("T[:,::1], T[:,::1]", flop=lambda Z, A: 20 * Z.size)
def exp(Z: Matrix, A: Matrix) -> None:
    """The exponential function, on which sigmoid, tanh and softmax are built.

    Formula   A = e^Z
    Shapes    Z (m, n), A (m, n); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    A, which may be Z
    Parallel  over i
    Cost      one call of the math library per number
    Errors    none here: NaN stays NaN, overflow gives infinity
    Source    Cody and Waite, Software Manual for the Elementary Functions, 1980, for the rung `polynomial`
    """
    m, n = Z.shape
    for i in prange(m):
        for j in range(n):
            A[i, j] = math.exp(Z[i, j])


@linked
def exp_all(z: Vector, a: Vector) -> None:
    wide(z)
    for j in range(z.size):
        a[j] = exponential(z[j])


@rung("exp", "polynomial")
def exp_polynomial(Z: Matrix, A: Matrix) -> None:
    """Like the rung above, but e^x is a polynomial times a power of two; saves a call for each number."""
    for t in prange(parts_of(Z.size)):
        size = min(PART, Z.size - t * PART)
        exp_all(window(Z, t * PART, size), window(A, t * PART, size))
