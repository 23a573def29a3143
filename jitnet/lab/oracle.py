"""What every operation should give: the formula in float64 NumPy, and how far rounding may carry a kernel from it.

`case(operation, ...)` draws inputs, and returns the arguments for a rung with the outputs poisoned by NaN, beside
the expected outputs and their bounds. A bound is eps · (number of roundings) · (sum of the absolute values that were
added), so it scales with the dtype and the length of the sum. NaN never passes: no comparison with it is true.
"""

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import LADDERS, SIGNATURES, activations
from ..kernels.activations import CODES
from ..kernels.losses import LOSSES
from ..kernels.optimizers import RULES
from ..optimizers import OPTIMIZERS
from .rounding import Rounded

Array = NDArray[Any]
Draw = Callable[..., Array]
Shape = tuple[int, int, int]

UGLY: list[Shape] = [
    (2, 3, 5), (1, 1, 1), (4, 4, 4), (5, 4, 3), (7, 13, 11), (3, 5, 65), (17, 1, 63), (6, 9, 64), (33, 64, 10),
    (8, 31, 129), (5, 257, 65), (97, 20, 66), (300, 6, 17), (6, 7, 300), (0, 3, 2), (3, 0, 2), (3, 2, 0),
]  # fmt: skip
"""Shapes on which loops fail: one, primes, a tile and one more, or one less, and nothing at all."""


def ugly_shapes(operation: str) -> list[Shape]:
    """Those on which the operation has a meaning: over no outputs there is no mean, and no probability."""
    loss = LOSSES.get(operation)
    has_a_mean = loss is not None and (loss.averages_outputs or operation == "cross_entropy")
    return [shape for shape in UGLY if shape[2] or not has_a_mean]


@dataclass
class Case:
    arguments: list[Any]
    """Inputs, then outputs, as the rung takes them."""
    expected: list[Array]
    """One array per output, float64."""
    bounds: list[Array]

    @property
    def outputs(self) -> list[Array]:
        return self.arguments[-len(self.expected) :]

    def error(self) -> str | None:
        """What is wrong with the outputs, or None."""
        for got, expected, bound in zip(self.outputs, self.expected, self.bounds, strict=True):
            error = np.abs(got.astype(np.float64) - expected)
            wrong = ~(error <= bound)
            if wrong.any():
                where = tuple(int(i) for i in np.argwhere(wrong)[0])
                bound_there = np.broadcast_to(bound, error.shape)[where]
                return (
                    f"{wrong.sum()} of {wrong.size} wrong, first at {where}: "
                    f"expected {expected[where]:.9g}, got {got[where]:.9g}, bound {bound_there:.3g}"
                )
        return None

    def allow(self, eps: float) -> None:
        """Widen the bounds for a rung of float32 that rounds what it multiplies to that spacing, relative to it."""
        self.bounds = [bound * (eps / float(np.finfo(np.float32).eps)) for bound in self.bounds]

    def check(self) -> None:
        error = self.error()
        assert error is None, error


def sigmoid(z: Array) -> Array:
    return np.asarray(np.where(z >= 0, 1, np.exp(-np.abs(z))) / (1 + np.exp(-np.abs(z))))


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "softmax": softmax,
}

DERIVATIVES: dict[str, Callable[[Array], Array]] = {  # f' from a = f(z)
    "identity": lambda a: np.ones_like(a),
    "sigmoid": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a * a,
    "relu": lambda a: (a > 0) * 1.0,
}


def f_of(name: str) -> Callable[[Array], Array]:
    """The activation. One without a formula here is what its f gives, interpreted in float64, for each number."""
    return ACTIVATIONS.get(name) or np.vectorize(activations.ACTIVATIONS[name].f, otypes=[np.float64])


def derivative_of(name: str) -> Callable[[Array], Array]:
    """f' from what it is calculated from, A or Z; finite differences tell whether it is f's."""
    return DERIVATIVES.get(name) or np.vectorize(activations.ACTIVATIONS[name].f_prime, otypes=[np.float64])


def log_sum_exp(z: Array) -> Any:
    top = z.max(axis=1, keepdims=True, initial=-np.inf)
    with np.errstate(divide="ignore"):
        return top + np.log(np.exp(z - top).sum(axis=1, keepdims=True))


def _product(left: Array, right: Array, terms: int) -> tuple[list[Array], list[Any]]:
    return [left @ right], [(terms + 2) * (np.abs(left) @ np.abs(right))]


def case(operation: str, shape: Shape, dtype: Any, seed: int = 0) -> Case:
    """Draw inputs for an operation. shape is (m, n_in, n_out); element-wise operations use (m, n_out)."""
    rng = np.random.default_rng((seed, *shape))
    m, n_in, n_out = shape
    dtype = np.dtype(dtype)

    def draw(*size: int, scale: float = 1.0) -> Array:
        return np.asarray((scale * rng.standard_normal(size)).astype(dtype))

    def wide(a: Array) -> Array:
        return a.astype(np.float64)

    inputs: list[Any]
    starts: list[Array] | None = None  # of outputs that are also inputs
    if operation == "matmul":
        inputs = [draw(m, n_in), draw(n_in, n_out)]
        X, W = map(wide, inputs)
        expected, sizes = _product(X, W, n_in)
    elif operation == "matmul_tn":
        inputs = [draw(m, n_in), draw(m, n_out)]
        X, delta = map(wide, inputs)
        expected, sizes = _product(X.T, delta, m)
    elif operation == "matmul_nt":
        inputs = [draw(m, n_out), draw(n_in, n_out)]
        delta, W = map(wide, inputs)
        expected, sizes = _product(delta, W.T, n_out)
    elif operation == "layer":
        f = sum(shape) % len(CODES)
        inputs = [draw(m, n_in), draw(n_in, n_out), draw(n_out), f]
        X, W, b = map(wide, inputs[:3])
        expected = [ACTIVATIONS[list(CODES)[f]](X @ W + b)]
        sizes = [(n_in + 8) * (np.abs(X) @ np.abs(W) + np.abs(b) + np.abs(expected[0]))]
    elif operation == "delta":
        f = sum(shape) % len(CODES)
        name = list(CODES)[f]
        A = ACTIVATIONS[name](rng.standard_normal((m, n_in))).astype(dtype)
        inputs = [draw(m, n_out), draw(n_in, n_out), A, f]
        delta, W = map(wide, inputs[:2])
        derivatives = DERIVATIVES[name](wide(A))
        expected = [(delta @ W.T) * derivatives]
        sizes = [(n_out + 8) * (np.abs(delta) @ np.abs(W.T))]
    elif operation == "gradients":
        inputs = [draw(m, n_in), draw(m, n_out)]
        X, delta = map(wide, inputs)
        expected = [X.T @ delta, delta.sum(axis=0)]
        sizes = [(m + 2) * (np.abs(X.T) @ np.abs(delta)), (m + 2) * np.abs(delta).sum(axis=0)]
    elif operation == "descend":
        lr, decay = dtype.type(0.1), dtype.type(0.01)
        inputs = [draw(m, n_in), draw(m, n_out), lr, decay]
        starts = [draw(n_in, n_out), draw(n_out)]
        X, delta, W, b = map(wide, (*inputs[:2], *starts))
        expected = [
            W - float(lr) * (X.T @ delta + float(decay) * W), b - float(lr) * (delta.sum(axis=0) + float(decay) * b)
        ]  # fmt: skip
        sizes = [
            (m + 4) * (np.abs(X.T) @ np.abs(delta) + np.abs(W)), (m + 4) * (np.abs(delta).sum(axis=0) + np.abs(b))
        ]  # fmt: skip
    elif operation == "exp":
        inputs = [draw(m, n_out, scale=3)]
        expected = [np.exp(wide(inputs[0]))]
        sizes = [6 * expected[0]]
    elif operation in activations.ACTIVATIONS:
        inputs = [draw(m, n_out, scale=3)]
        Z = wide(inputs[0])
        expected = [f_of(operation)(Z)]
        # in softmax, Z − c is rounded before e^ sees it, which costs |Z − c| roundings
        extra = 2 * np.abs(Z - Z.max(axis=1, keepdims=True, initial=-np.inf)) + n_out if operation == "softmax" else 0
        sizes = [(6 + extra) * np.abs(expected[0])]
        if operation not in ACTIVATIONS:  # f multiplies by f' what Z loses to rounding on the way
            source = Z if activations.ACTIVATIONS[operation].reads_Z else expected[0]
            lost = 6 * np.abs(Z * derivative_of(operation)(source))
            underflow = 4 * (1 + np.abs(Z)) * float(np.finfo(dtype).tiny)  # of a factor, which Z may multiply
            sizes = [sizes[0] + lost + underflow]
    elif operation.endswith("_derivative"):
        name = operation.removesuffix("_derivative")
        Z, dA = rng.standard_normal((m, n_out)), draw(m, n_out)
        inputs = [(Z if activations.ACTIVATIONS[name].reads_Z else f_of(name)(Z)).astype(dtype), dA]
        a, g = map(wide, inputs)
        if name == "softmax":
            mean = (a * g).sum(axis=1, keepdims=True)
            expected = [a * (g - mean)]
            sizes = [(n_out + 4) * a * (np.abs(g) + (a * np.abs(g)).sum(axis=1, keepdims=True))]
        else:
            expected = [g * derivative_of(name)(a)]
            sizes = [(4 if name in DERIVATIVES else 12) * np.abs(g)]
    elif operation in ("half_squared_error", "mse"):
        f, scale = sum(shape) % len(CODES), dtype.type(0.37)
        name = list(CODES)[f]
        A = ACTIVATIONS[name](rng.standard_normal((m, n_out))).astype(dtype)
        inputs = [A, draw(m, n_out), scale, f]
        a, error = wide(A), wide(A) - wide(inputs[1])
        factor = 0.5 if operation == "half_squared_error" else 1 / max(n_out, 1)
        losses = factor * (error**2).sum(axis=1)
        if operation == "mse" and n_out == 0:
            losses = np.full(m, np.nan)
        expected = [float(scale) * error * DERIVATIVES[name](a), losses]
        sizes = [6 * np.abs(float(scale) * error), (n_out + 6) * losses]
    elif operation in LOSSES and not LOSSES[operation].is_written_out:
        f, scale, entry = sum(shape) % len(CODES), dtype.type(0.37), LOSSES[operation]
        name = list(CODES)[f]
        inputs = [f_of(name)(rng.standard_normal((m, n_out))).astype(dtype), draw(m, n_out, scale=2), scale, f]
        a, y = map(wide, inputs[:2])
        of_outputs, by_a = (np.vectorize(g, otypes=[np.float64])(a, y) for g in (entry.f, entry.f_prime))
        expected = [float(scale) * by_a * derivative_of(name)(a), of_outputs.mean(axis=1)]
        sizes = [12 * np.abs(float(scale)) * (1 + np.abs(a) + np.abs(y)), (n_out + 12) * np.abs(of_outputs).sum(axis=1)]
    elif operation in ("cross_entropy", "binary_cross_entropy"):
        scale = dtype.type(0.37)
        Z = draw(m, n_out, scale=3)
        z = wide(Z)
        if operation == "cross_entropy":
            A, Y = softmax(z).astype(dtype), softmax(rng.standard_normal((m, n_out))).astype(dtype)
            terms = wide(Y) * (log_sum_exp(z) - z)
            size = np.abs(log_sum_exp(z)) + np.abs(z)
        else:
            A, Y = sigmoid(z).astype(dtype), rng.uniform(0, 1, (m, n_out)).astype(dtype)
            terms = np.maximum(z, 0) - z * wide(Y) + np.log1p(np.exp(-np.abs(z)))
            size = np.abs(z) + terms
        inputs = [Z, A, Y, scale]
        expected = [float(scale) * (wide(A) - wide(Y)), terms.sum(axis=1)]
        sizes = [3 * np.abs(float(scale)) * (wide(A) + wide(Y)), (n_out + 8) * size.sum(axis=1)]
    elif operation in RULES:
        return _rule_case(operation, n_out * max(n_in, 1), dtype, draw)
    elif operation in ("sgd", "momentum", "nesterov", "adam"):
        return _update_case(operation, n_out * max(n_in, 1), dtype, draw)
    elif operation == "weigh":
        inputs = [rng.uniform(0, 1, m).astype(dtype), draw(m, n_out)]
        w = wide(inputs[0])
        expected = [wide(inputs[1]) * (w * m / w.sum())[:, None]]
        sizes = [(m + 6) * np.abs(expected[0])]
    elif operation == "squares":
        inputs, ends = [draw(n_out * max(n_in, 1))], [t * n_out * max(n_in, 1) // max(m, 1) for t in range(m + 1)]
        g = wide(inputs[0])
        expected = [np.array([(g[start:stop] ** 2).sum() for start, stop in pairwise(ends)])]
        sizes = [(g.size + 2) * expected[0]]
    elif operation == "shrink":
        inputs = [rng.uniform(0, 1, m).astype(dtype), dtype.type(0.37), draw(n_out * max(n_in, 1))]
        length, limit = math.sqrt(wide(inputs[0]).sum()), float(inputs[1])
        expected = [wide(inputs[2]) * (limit / length if length > limit else 1)]
        sizes = [(m + 8) * np.abs(expected[0])]
    elif operation == "gather":
        order = rng.integers(0, m, m + 3) if m else np.zeros(3, np.int64)
        inputs = [draw(m, n_in), draw(m, n_out), order, 2]
        expected = [wide(data[order[2 : m + 2]]) if m else wide(data) for data in inputs[:2]]
        sizes = [np.zeros_like(e) for e in expected]
    else:
        return case_by_baseline(operation, {"m": m, "n": n_out, "n_in": n_in, "n_out": n_out}, dtype, rng)

    outputs = [e.astype(dtype) for e in expected] if starts is None else starts
    if starts is None:
        for output in outputs:
            output.fill(np.nan)
    eps = np.finfo(dtype).eps
    return Case([*inputs, *outputs], expected, [eps * size for size in sizes])


def case_by_baseline(operation: str, sizes: dict[str, int], dtype: np.dtype[Any], rng: np.random.Generator) -> Case:
    """What the NumPy baseline gives in float64, for an operation without a formula here, such as that of a layer.

    The docstring of the operation tells the shapes of its arguments, and which it writes: its last ones.
    """
    body = LADDERS[operation]["python"]
    shapes, written = described(body)
    arguments: list[Any] = []
    for name, kind in zip(inspect.signature(body).parameters, SIGNATURES[operation].split(", "), strict=True):
        shape = tuple(sizes[size] if size in sizes else int(size) for size in shapes.get(name, ()))
        if len(shape) != (kind.count(",") + 1 if "[" in kind else 0):
            raise ValueError(f"{operation} needs the shape of {name} in its docstring, as in: Shapes    {name} (m, n)")
        if kind.startswith("int64"):
            arguments.append(rng.integers(0, 2**62, shape) if shape else int(rng.integers(0, 2**32)))
        elif shape:
            arguments.append(rng.standard_normal(shape).astype(dtype))
        else:
            arguments.append(dtype.type(abs(0.1 * rng.standard_normal())))
    outputs = arguments[-len(written) :]
    for output in outputs:
        output.fill(np.nan)
    eps = float(np.finfo(dtype).eps)
    given = [Rounded(a, eps) if np.asarray(a).dtype == dtype else a for a in arguments]
    LADDERS[operation]["numpy"](*given)
    found: list[Any] = given[-len(written) :]
    bounds = [2 * output.error for output in found]
    if not all(np.isfinite(bound).all() for bound in bounds):
        raise ValueError(f"the NumPy baseline of {operation} has no bound for these inputs")
    return Case(arguments, [output.value for output in found], bounds)


def described(body: Callable[..., Any]) -> tuple[dict[str, list[str]], list[str]]:
    """The shape of each argument, and those that are written, from the docstring of an operation."""
    parts = re.split(r"^([A-Z][a-z]+) {2,}", inspect.getdoc(body) or "", flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    shapes = {
        name: re.findall(r"\w+", shape)
        for names, shape in re.findall(r"((?:\w+, )*\w+) \(([^()]*)\)", sections.get("Shapes", ""))
        for name in names.split(", ")
    }
    names = re.findall(r"\w+", sections.get("Writes", "").partition(", which")[0])
    parameters = list(inspect.signature(body).parameters)
    written = [name for name in parameters if name in names]
    if written != parameters[-len(written) :]:
        raise ValueError(f"the docstring of {body.__name__} needs its outputs, its last arguments, as in: Writes    Z")
    return shapes, written


def _update_case(operation: str, n: int, dtype: np.dtype[Any], draw: Draw) -> Case:
    number = dtype.type
    theta, grad = draw(n), draw(n)
    lr, decay, beta = number(0.1), number(0.01), number(0.9)
    g = grad.astype(np.float64) + float(decay) * theta.astype(np.float64)
    eps = np.finfo(dtype).eps
    scale = np.abs(theta) + np.abs(g) + 1.0
    if operation == "sgd":
        expected = [theta - float(lr) * g]
        return Case([grad, lr, decay, theta], expected, [8 * eps * scale])
    if operation in ("momentum", "nesterov"):
        velocity = draw(n)
        v = float(beta) * velocity.astype(np.float64) + g
        step = g + float(beta) * v if operation == "nesterov" else v
        expected = [v, theta - float(lr) * step]
        return Case([grad, lr, beta, decay, velocity, theta], expected, [8 * eps * (scale + np.abs(v))] * 2)
    mean, square = draw(n), np.abs(draw(n))
    beta2, epsilon, t = number(0.99), number(1e-6), 3
    c1, c2 = number(1 - 0.9**t), number(1 - 0.99**t)
    rest1, rest2 = number(0.1), number(0.01)
    first = float(beta) * mean.astype(np.float64) + float(rest1) * g
    second = float(beta2) * square.astype(np.float64) + float(rest2) * g * g
    step = float(lr) * (first / float(c1)) / (np.sqrt(second / float(c2)) + float(epsilon))
    bounds = [16 * eps * (scale + np.abs(first)), 16 * eps * (second + g * g), 32 * eps * (scale + np.abs(step) * 10)]
    numbers = [lr, beta, beta2, rest1, rest2, epsilon, decay, c1, c2]
    return Case([grad, *numbers, mean, square, theta], [first, second, theta - step], bounds)


def _rule_case(operation: str, n: int, dtype: np.dtype[Any], draw: Draw) -> Case:
    """A rule for one parameter, interpreted in float64, with the numbers of its third step."""
    rule, _, vectors = RULES[operation]
    optimizer = next(o for o in (make(lr=0.1) for make in OPTIMIZERS.values()) if o.kernel == operation)
    numbers, grad, theta = np.array(optimizer.numbers(3), dtype), draw(n), draw(n)
    memory = [np.abs(draw(n)) for _ in range(vectors)]
    given = tuple(map(float, numbers))
    steps = [rule(*values, given) for values in zip(*(v.tolist() for v in (grad, theta, *memory)), strict=True)]
    expected = [np.array(column) for column in np.reshape(steps, (n, vectors + 1)).T]
    scale = 32 * np.finfo(dtype).eps * (1 + np.abs(grad) + np.abs(theta) + sum(memory))
    bounds = [scale * (1 + np.abs(values)) for values in expected]
    return Case([grad, numbers, *memory, theta], expected, bounds)
