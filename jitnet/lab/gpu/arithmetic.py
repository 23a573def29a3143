"""The arithmetic of PTX in NumPy, for all threads at once (PTX ISA, "Instructions").

`meaning(opcode)` gives a function of operands, with the types of the operands and of the result. Results are rounded as
by the hardware, with four exceptions: `fma` to nearest rounds to float64 and then to float32, which differs in one case
of about 500 million; approximate instructions, and the sums of matrix units, are more exact here; and the assembler may
fuse a `mul` and an `add`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Values = Any
"""An array with a number for each thread."""

TYPES: dict[str, Any] = {
    "s32": np.int32, "u32": np.uint32, "b32": np.uint32, "s64": np.int64, "u64": np.uint64, "b64": np.uint64,
    "f32": np.float32, "pred": np.bool_, "tf32": np.uint32,
}  # fmt: skip


class Meaning(NamedTuple):
    function: Callable[..., Values]
    operands: tuple[Any, ...]
    """The types of the operands."""
    result: Any
    """The type of the result."""


def _fma(a: Values, b: Values, c: Values) -> Values:
    return (np.multiply(a, b, dtype=np.float64) + c).astype(np.float32)  # the product of two float32 is exact there


def _sum(a: Values, b: Values) -> Values:
    """a + b in float64, with an odd last bit if it is inexact, so that it can still be rounded in any direction."""
    total = np.add(a, b, dtype=np.float64)
    of_b = total - a
    lost = (a - (total - of_b)) + (b - of_b)
    even = total.view(np.int64) & 1 == 0
    return np.where((lost != 0) & even & np.isfinite(total), np.nextafter(total, np.copysign(np.inf, lost)), total)


def _down(exact: Values) -> Values:
    rounded = exact.astype(np.float32)
    return np.where(rounded > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _towards_zero(exact: Values) -> Values:
    rounded = exact.astype(np.float32)
    return np.where(np.abs(rounded) > np.abs(exact), np.nextafter(rounded, np.float32(0)), rounded)


def _flushed(x: Values) -> Values:
    """Subnormal numbers become 0, as by `.ftz`."""
    return np.where(np.abs(x) < np.finfo(np.float32).tiny, np.copysign(np.float32(0), x), x)


def _tf32(x: Values) -> Values:
    """Rounded to 10 fraction bits, halves away from zero, in the format of float32."""
    return (x.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)


def _shift(direction: Callable[..., Values]) -> Callable[[Values, Values], Values]:
    """Shifts by more than the width give 0, or the sign."""

    def shift(a: Values, amount: Values) -> Values:
        last = 8 * a.dtype.itemsize - 1
        shifted = direction(a, np.minimum(amount, last).astype(a.dtype))
        beyond = np.right_shift(a, a.dtype.type(last)) if a.dtype.kind == "i" else a.dtype.type(0)
        return np.where(amount > last, beyond, shifted)

    return shift


def _inserted(a: Values, b: Values, first: Values, count: Values) -> Values:
    """b with its `count` bits from bit `first` replaced by the lowest of a; bits beyond b are dropped."""
    width = 8 * b.dtype.itemsize
    pairs = np.broadcast(first, count)
    masks = [((1 << int(c) % 256) - 1) << int(f) % 256 & (1 << width) - 1 for f, c in pairs]
    mask = np.array(masks, b.dtype).reshape(pairs.shape)  # at once: float64 would round those of 64 bits
    return (b & ~mask) | (_shift(np.left_shift)(a, first % 256) & mask)


def _quotient(a: Values, b: Values) -> Values:
    return np.floor_divide(a - np.fmod(a, b), b)  # towards zero


ORDERED: dict[str, Callable[[Any, Any], Any]] = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
    "ne": lambda a, b: (a < b) | (a > b),
}  # fmt: skip
"""Comparisons. All are false for NaN; those with a "u" at the end are true for NaN."""

OPPOSITE = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}
UNSIGNED = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}

PLAIN: dict[str, tuple[int, Callable[..., Any]]] = {
    "add": (2, np.add), "sub": (2, np.subtract), "mul": (2, np.multiply), "div": (2, np.divide),
    "min": (2, np.fmin), "max": (2, np.fmax), "neg": (1, np.negative), "abs": (1, np.abs), "sqrt": (1, np.sqrt),
    "and": (2, np.bitwise_and), "or": (2, np.bitwise_or), "xor": (2, np.bitwise_xor), "not": (1, np.invert),
    "mov": (1, np.asarray), "fma": (3, _fma), "rcp": (1, np.reciprocal), "ex2": (1, np.exp2),
    "copysign": (2, lambda a, b: np.copysign(b, a)), "rem": (2, np.fmod), "mad": (3, lambda a, b, c: a * b + c),
}  # fmt: skip
"""Opcode -> number of operands and function, if operands and result have one type."""


@functools.cache
def meaning(opcode: tuple[str, ...]) -> Meaning:
    """The meaning of an opcode. Raises KeyError for one that no kernel here uses."""
    name, *how, kind = opcode
    of = TYPES[kind]
    if name == "setp" and len(how) == 1:
        relation = UNSIGNED.get(how[0], how[0])
        unordered = of is np.float32 and relation not in ORDERED
        if unordered:
            holds = ORDERED[OPPOSITE[relation[:-1]]]
            return Meaning(lambda a, b: ~holds(a, b), (of, of), np.bool_)
        return Meaning(ORDERED[relation], (of, of), np.bool_)
    if name == "selp":
        return Meaning(lambda a, b, chosen: np.where(chosen, a, b), (of, of, np.bool_), of)
    if name in ("shl", "shr"):
        return Meaning(_shift(np.left_shift if name == "shl" else np.right_shift), (of, np.uint32), of)
    if name == "bfi":
        return Meaning(_inserted, (of, of, np.uint32, np.uint32), of)
    if name == "cvta":
        return Meaning(np.asarray, (of,), of)
    if name == "cvt":
        return _conversion(how, of)
    if name == "mul" and how == ["wide"]:
        wide = np.dtype(f"{np.dtype(of).kind}8").type
        return Meaning(lambda a, b: np.multiply(a, b, dtype=wide), (of, of), wide)
    operands, function = PLAIN[name]
    whole = np.dtype(of).kind != "f"
    if whole and name == "div":
        function = _quotient
    if (name, how) in (("fma", ["rm"]), ("add", ["rz"])):
        function = _rounded_otherwise(name)
    elif how not in ([[], ["lo"]] if whole else [[], ["rn"], ["approx", "ftz"]]):  # such as mul.hi, or a sum with carry
        raise KeyError(".".join(opcode))
    elif "ftz" in how:
        plain = function
        function = lambda x: _flushed(plain(_flushed(x)))  # noqa: E731
    return Meaning(function, (of,) * operands, of)


def _rounded_otherwise(name: str) -> Callable[..., Values]:
    if name == "fma":
        return lambda a, b, c: _down(_sum(np.multiply(a, b, dtype=np.float64), c))
    return lambda a, b: _towards_zero(_sum(a, b))


def _conversion(how: list[str], source: Any) -> Meaning:
    *how, kind = how
    target = TYPES[kind]
    if kind == "tf32":
        return Meaning(_tf32, (source,), target)
    if (kind, how, source) == ("f32", ["sat"], np.float32):  # NaN becomes 0
        return Meaning(lambda x: np.fmin(np.fmax(x, source(0)), source(1)), (source,), target)
    if source is np.float32 or how not in ([], ["rn"]):
        raise KeyError(f"cvt.{'.'.join(how)}")
    return Meaning(lambda x: np.asarray(x).astype(target), (source,), target)


def matrix_product(a: list[Values], b: list[Values], c: list[Values]) -> list[Values]:
    """mma.m16n8k8 of whole warps: D = A·B + C, TF32 times TF32 in float32 (PTX ISA, "mma.m16n8k8").

    a, b and c are 4, 2 and 4 registers, each (warps, 32). Lane 4g + t has A[g, t], A[g + 8, t], A[g, t + 4] and
    A[g + 8, t + 4]; B[t, g] and B[t + 4, g]; C[g, 2t], C[g, 2t + 1], C[g + 8, 2t] and C[g + 8, 2t + 1]. Fraction
    bits of a factor after the tenth are ignored.
    """
    numbers = [(x & np.uint32(0xFFFFE000)).view(np.float32).reshape(-1, 8, 4) for x in (*a, *b)]
    A = np.block([[numbers[0], numbers[2]], [numbers[1], numbers[3]]])
    B = np.concatenate([numbers[4], numbers[5]], axis=2).swapaxes(1, 2)
    D = np.einsum("wik,wkj->wij", A, B, dtype=np.float64)
    squares = D.reshape(-1, 2, 8, 4, 2)  # warp, upper or lower half, g, t, left or right
    return [
        (squares[:, h // 2, :, :, h % 2].reshape(-1, 32) + c[h]).astype(np.float32) for h in range(4)
    ]  # fmt: skip
