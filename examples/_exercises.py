"""The judges of the last exercise of each lesson, in which the reader writes a function.

A judge has the name of the function to write. It calls the reader's answer with many arguments and compares the results
with finite differences, exact arithmetic or another algorithm. It returns the name of that oracle, or raises Wrong.
"""

import copy
import inspect
import itertools
import math
import reprlib
import warnings
from decimal import Context, Decimal, localcontext

import numpy as np

import jitnet
from jitnet import checks
from jitnet.calculus import numerical_gradient
from jitnet.lab import explain, loading, oracle
from jitnet.lab.benchmark import judge
from jitnet.lab.problems import of_operation
from jitnet.lab.trace import tracing


class Wrong(Exception):  # noqa: N818  a verdict, not a failure
    """The first wrong result, as a sentence."""


JUDGES = {}
"""Number of a lesson -> its judge."""


def exercise(lesson):
    """Register the judge of a lesson."""
    return lambda judge: JUDGES.setdefault(lesson, judge)


def verdict(answer, name):
    """`right: ...` or `wrong: ...` in one sentence, for a function that answers the exercise of this name."""
    judges = {judge.__name__: judge for judge in JUDGES.values()}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # overflow is visible in the results
            return f"right: {name} agrees with {judges[checks.one_of('exercise', name, judges)](answer)}"
    except Wrong as error:
        return f"wrong: {error}"


def result(answer, call, *arguments):
    """The result of the answer for copies of the arguments; `call` describes them in an error."""
    try:
        return answer(*copy.deepcopy(arguments))
    except Exception as error:
        body = getattr(answer, "py_func", answer)
        raise Wrong(f"{call} {loading.raised(error, inspect.getsourcefile(body) or '')}") from None


def agree(answer, expected, cases, within=1e-6, names=()):
    """Compare the answer with `expected` for each case, which is a dict of arguments; `names` are those of a tuple."""
    for case in cases:
        call = f"{expected.__name__}({', '.join(f'{name}={shown(value)}' for name, value in case.items())})"
        difference = different(result(answer, call, *case.values()), expected(**case), within, names)
        if difference:
            raise Wrong(call + difference)


def different(given, wanted, within, names=()):
    """The first difference of a result (a number, an array, or several of them) from the expected one, or None."""
    if given is None:
        return " returns nothing; end the function with return"
    if isinstance(wanted, (list, tuple)):
        if not isinstance(given, (list, tuple, np.ndarray)) or len(given) != len(wanted):
            expected = f"a {type(wanted).__name__} of {len(wanted)} values" + ": " * bool(names) + ", ".join(names)
            return f" is {shown(given)}, but should be {expected}"
        found = [different(*pair, within) for pair in zip(given, wanted, strict=True)]
        places = [f"[{i}] ({name})" for i, name in enumerate(names)] or [f"[{i}]" for i in range(len(wanted))]
        return next((f"{at}{difference}" for at, difference in zip(places, found, strict=True) if difference), None)
    try:
        if np.asarray(given).dtype.kind in "US":
            raise ValueError("text")
        given, wanted = np.asarray(given, float), np.asarray(wanted, float)
    except (TypeError, ValueError):
        return f" is {shown(given)}, which is not a number, nor an array of numbers"
    if given.shape != wanted.shape:
        expected = f"have the shape {wanted.shape}" if wanted.shape else "be a number"
        return f" is {f'an array of shape {given.shape}' if given.shape else 'a number'}, but should {expected}"
    wrong = ~(np.abs(given - wanted) <= within * max(1, np.abs(wanted).max(initial=0)))  # NaN is wrong, too
    if not wrong.any():
        return None
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    if within == np.inf:
        return f"{list(where) if where else ''} is {given[where]}, but should be finite"
    pair = (f"{round(float(array[where]), 6) + 0.0:.9g}" for array in (given, wanted))  # + 0.0 turns −0 into 0
    return f"{list(where) if where else ''} is {', but should be '.join(pair)}"


def shown(value):
    """A value as text for a call; of a large array, only the shape."""
    if isinstance(value, np.ndarray):
        return f"array{value.shape}" if value.size > 6 else str(value.tolist())
    if isinstance(value, (list, tuple)) and any(isinstance(part, np.ndarray) for part in value):
        return f"{len(value)} arrays"
    return reprlib.repr(value)


def drawn(seed=0):
    """Random numbers with one decimal, of any shape."""
    rng = np.random.default_rng(seed)
    return lambda *shape: rng.integers(-20, 21, shape) / 10 if shape else float(rng.integers(-20, 21)) / 10


def sigmoid_of(z):
    return 1 / (1 + np.exp(-z))


@exercise(1)
def step(answer):
    def loss(w, x, y):
        return np.mean((x * w - y) ** 2)

    def step(w, x, y, lr):
        return w - lr * numerical_gradient(lambda w: loss(w[0], x, y), np.array([w]))[0]

    draw = drawn()
    cases = [{"w": 0.5, "x": np.array([2.0]), "y": np.array([3.0]), "lr": 0.1}]
    cases += [{"w": draw(), "x": draw(n), "y": draw(n), "lr": lr} for n in (2, 3, 7) for lr in (0.1, 0.5)]
    agree(answer, step, cases)
    return "finite differences of the loss"


@exercise(2)
def weight_jacobian(answer):
    def weight_jacobian(x, W, b, y):
        shares = [lambda W, j=j: (x @ W[:, j] + b[j] - y[j]) ** 2 / y.size for j in range(y.size)]
        return np.stack([numerical_gradient(share, W) for share in shares], axis=2)

    draw = drawn()
    cases = [{"x": draw(n), "W": draw(n, z), "b": draw(z), "y": draw(z)} for n, z in ((3, 2), (1, 1), (2, 5), (4, 3))]
    agree(answer, weight_jacobian, cases)
    return "finite differences of each output's share of the loss"


@exercise(3)
def gradients(answer):
    def loss(theta, x, y):
        w1, b1, w2, b2 = theta
        return (sigmoid_of(sigmoid_of(x * w1 + b1) * w2 + b2) - y) ** 2 / 2

    def gradients(x, y, w1, b1, w2, b2):
        return tuple(numerical_gradient(lambda theta: loss(theta, x, y), np.array([w1, b1, w2, b2])))

    draw = drawn()
    cases = [{"x": 2.0, "y": 1.0, "w1": 0.5, "b1": -1.0, "w2": 3.0, "b2": -1.5}]
    cases += [dict(zip(("x", "y", "w1", "b1", "w2", "b2"), draw(6).tolist(), strict=True)) for _ in range(9)]
    agree(answer, gradients, cases, names=("dw1", "db1", "dw2", "db2"))
    return "finite differences of the loss"


@exercise(4)
def bump(answer):
    for left, right in ((-1.0, 1.0), (0.5, 2.0), (-3.0, -2.5)):
        call = f"bump({left:g}, {right:g})"
        found = result(answer, call, left, right)
        shapes = [(1, 2), (2,), (2, 1), (1,)]
        zeros = tuple(np.zeros(shape) for shape in shapes)
        if difference := different(found, zeros, np.inf, ("W1", "b1", "W2", "b2")):
            raise Wrong(call + difference)
        W1, b1, W2, b2 = (np.asarray(part, float) for part in found)
        x = np.linspace(-4, 4, 801)
        x = x[(np.abs(x - left) > 0.0999) & (np.abs(x - right) > 0.0999)]
        y = (sigmoid_of(x[:, None] * W1 + b1) @ W2 + b2)[:, 0]
        wanted = (x > left) & (x < right)
        for place in np.flatnonzero(~(np.abs(y - wanted) <= 0.01))[:1]:
            raise Wrong(
                f"the network of {call} gives {y[place]:.3g} at x = {x[place]:g}, but should give {wanted[place]:g}"
            )
    return "the exact bump, except at its edges"


class Counted(np.ndarray):
    """An array that counts how often it is indexed, and how many numbers are read from it."""

    def __array_finalize__(self, source):
        self.calls = self.reads = 0

    def __getitem__(self, key):
        found = self.view(np.ndarray)[key]
        self.calls += 1
        self.reads += np.size(found)
        return found


@exercise(5)
def matmul(answer):
    def matmul(A, B):
        return np.einsum("mn,np->mp", A, B)

    draw = drawn()
    shapes = [(4, 2, 3), (1, 1, 1), (2, 3, 2), (1, 5, 7), (3, 0, 2), (0, 2, 3)]
    agree(answer, matmul, [{"A": draw(m, n), "B": draw(n, p)} for m, n, p in shapes])
    for A, B in ((draw(2, 3), draw(4, 2)), (draw(2, 3), draw(2, 3))):
        try:
            answer(A, B)
        except ValueError:
            continue
        except Exception as error:
            raise Wrong(f"for the shapes {A.shape} and {B.shape}, matmul raises {error!r} and no ValueError") from None
        raise Wrong(f"matmul gives a result for the shapes {A.shape} and {B.shape}, but should raise a ValueError")
    A, B = draw(4, 2).view(Counted), draw(2, 3).view(Counted)
    getattr(answer, "py_func", answer)(A, B)
    if max(A.calls, B.calls) < 4 * 2 * 3:
        raise Wrong("matmul is right, but leaves a loop to NumPy: write three loops over single numbers, as A[i, k]")
    return "NumPy, and rejects shapes that do not fit"


@exercise(6)
def deltas(answer):
    def loss(biases, x, weights, y):
        for W, b in zip(weights, biases, strict=True):
            x = np.tanh(x @ W + b)
        return np.sum((x - y) ** 2) / 2

    def deltas(weights, activations, y):
        zeros = [np.zeros(W.shape[1]) for W in weights]
        found = []
        for l in range(len(weights)):  # with one sample, the derivative by a bias is delta
            changed = lambda b, l=l: loss([*zeros[:l], b, *zeros[l + 1 :]], activations[0], weights, y)  # noqa: E731
            found.append(numerical_gradient(changed, zeros[l]).reshape(1, -1))
        return found

    draw, cases = drawn(), []
    for widths in ((3, 4, 2), (2, 5), (4, 3, 5, 2)):
        weights = [draw(*shape) / 2 for shape in itertools.pairwise(widths)]
        activations = [draw(1, widths[0])]
        for W in weights:
            activations.append(np.tanh(activations[-1] @ W))
        cases.append({"weights": weights, "activations": activations, "y": draw(1, widths[-1])})
    agree(answer, deltas, cases)
    return "finite differences of the loss"


@exercise(7)
def cross_entropy(answer):
    def cross_entropy(Z, labels):
        with localcontext(Context(prec=50, Emin=-999_999, Emax=999_999)):
            exponentials = [[Decimal(float(z)).exp() for z in row] for row in Z]
            picked = [(sum(row) / row[label]).ln() for row, label in zip(exponentials, labels, strict=True)]
            return float(sum(picked) / len(picked))

    draw, rng = drawn(), np.random.default_rng(0)
    cases = [{"Z": size * draw(m, n), "labels": rng.integers(0, n, m)}
             for m, n, size in ((1, 3, 1), (2, 3, 1), (5, 10, 1), (3, 4, 1000), (2, 2, -1000))]  # fmt: skip
    cases += [{"Z": np.array([[2000.0, 0], [0, 1], [-2000, -1999]]), "labels": np.array([0, 1, 0])}]
    agree(answer, cross_entropy, cases)
    return "arithmetic with 50 digits, also for outputs of 2000 and −2000"


def is_kernel(answer, name):
    """Test a kernel for X·W: for races, then interpreted, so that an index out of bounds is an error, then as it is."""
    body, float32 = getattr(answer, "py_func", answer), np.dtype(np.float32)
    if race := judge.hidden_error(answer, of_operation("matmul"), float32):  # which most calls do not show
        raise Wrong(f"{name} {race}")
    for kernel, most in ((body, 20_000), (answer, np.inf))[: 1 + (answer is not body)]:
        for shape in (shape for shape in oracle.UGLY if math.prod(shape) < most):
            try:
                error = judge.error_of(kernel, of_operation("matmul"), shape, float32)
            except Exception as raised:
                error = loading.raised(raised, inspect.getsourcefile(body) or "")
            if error:
                raise Wrong(f"{name} {error}, for (m, n_in, n_out) = {shape}")


@exercise(8)
def two_rows(answer):
    is_kernel(answer, "two_rows")
    draw = drawn()
    for m in (2, 8):
        W = draw(5, 7).view(Counted)
        getattr(answer, "py_func", answer)(draw(m, 5), W, np.zeros((m, 7)))
        wanted = m // 2 * W.size
        if W.reads != wanted:
            raise Wrong(f"for {m} rows, two_rows reads {W.reads} numbers of W, but should read {wanted}: "
                        "each of them once for two rows")  # fmt: skip
    return "float64 for unusual shapes, and reads W once for two rows"


@exercise(9)
def sigmoid(answer):
    x = np.concatenate([[0], np.linspace(-20, 20, 1000), [-100, 100]]).astype(np.float32)
    y, wanted = np.full_like(x, np.nan), sigmoid_of(x.astype(float))
    returned = result(lambda: answer(x.copy(), y), "sigmoid(x, y)")
    if returned is not None and np.isnan(y).all():
        raise Wrong("sigmoid(x, y) returns its result, but must write it into y")
    for i in np.flatnonzero(~(np.abs(y - wanted) <= 1e-6))[:1]:
        raise Wrong(f"after sigmoid(x, y), y[{i}] is {y[i]:.9g}, but should be {wanted[i]:.9g}, for x = {x[i]:.9g}")
    if not hasattr(answer, "py_func"):
        raise Wrong("the numbers of sigmoid are right, but it is not compiled: write @numba.njit above it")
    if explain.is_readable():
        file = inspect.getsourcefile(getattr(answer, "py_func", answer))
        try:
            verdicts = explain.explain(f"{file}:sigmoid", types="float32[::1], float32[::1]")["verdicts"]
        except jitnet.Error as error:
            raise Wrong(f"sigmoid is right, but cannot be explained: {error}") from None
        if not verdicts[0]["answer"].startswith("yes"):
            why = verdicts[0]["evidence"].rpartition(". This means: ")[2]
            fix = next((f"; fix: {v['fix']}" for v in verdicts if v["good"] is False and v["fix"]), "")
            raise Wrong(f"the numbers of sigmoid are right, but it is not vectorized: {why}{fix}")
    return "float64 within rounding" + ", in whole vectors" * explain.is_readable()


@exercise(10)
def bounds(answer):
    for size, parts in ((100, 4), (10, 3), (7, 7), (2, 5), (0, 3), (11, 1)):
        owners, sizes = np.zeros(size, int), []
        for part in range(parts):
            call = f"bounds({size}, {parts}, {part})"
            found = result(answer, call, size, parts, part)
            if difference := different(found, (0, 0), np.inf, ("start", "stop")):
                raise Wrong(call + difference)
            if not all(isinstance(number, (int, np.integer)) for number in found):
                raise Wrong(f"{call} is {shown(found)}, but should be two integers; divide with //")
            start, stop = found
            if not 0 <= start <= stop <= size:
                raise Wrong(f"{call} is ({start}, {stop}), but 0 ≤ start ≤ stop ≤ {size} should hold")
            owners[start:stop] += 1
            sizes.append(stop - start)
        for i in np.flatnonzero(owners != 1)[:1]:
            raise Wrong(f"of {size} numbers in {parts} parts, number {i} is in {owners[i]} parts, but should be in one")
        if max(sizes) - min(sizes) > 1:
            raise Wrong(
                f"the parts of bounds({size}, {parts}, ·) have {sizes} numbers, but should differ by one at most"
            )
    return "a count of the parts that each number is in"


@exercise(11)
def sectors(answer):
    def sectors(addresses):
        touched = np.zeros(1 << 14, bool)
        for address in addresses:
            touched[address : address + 4] = True
        return touched.reshape(-1, 32).any(axis=1).sum()

    lane = np.arange(32)
    patterns = [4 * lane, 0 * lane, 260 * lane, 8 * lane, 4 * lane + 16, 4 * lane[::-1], 64 * (lane % 2) + 4 * lane]
    agree(answer, sectors, [{"addresses": pattern.tolist()} for pattern in patterns])
    return "a map of the bytes that the warp reads"


@exercise(12)
def eight_k(answer):
    is_kernel(answer, "eight_k")
    draw = drawn()
    found = tracing.trace(answer, [draw(2, 64), draw(64, 64), np.zeros((2, 64))], "matmul", time=False)
    stores = found["stores"] / (2 * 64)
    if not 8 <= stores <= 9:  # once more, if Z begins with zeros
        often = "once" if stores == 1 else f"{stores:g} times"
        raise Wrong(f"for 64 inputs, eight_k stores each number of Z {often}, but should store it once "
                    "for each block of eight k, 8 times")  # fmt: skip
    return "float64 for unusual shapes, and stores Z once for each block of eight k"
