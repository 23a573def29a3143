"""Every kernel's body runs as plain Python, where every index is checked.

With vectors of two numbers, tiles of a few rows and blocks of a few numbers, tiny shapes cover every remainder and edge
case. All arrays are between guard elements, and elements that a kernel does not write are NaN.
"""

import numba
import numpy as np
import pytest

from jitnet.compiler import intrinsics, threads
from jitnet.compiler.jit import compiled
from jitnet.kernels import (
    LADDERS,
    activations,
    elementwise,
    exponential,
    few_columns,
    optimizers,
    parts,
    register_tile,
    softmax,
)
from jitnet.kernels.matmul import matmul_if_contiguous
from jitnet.lab import oracle

BODIES = [
    pytest.param(name, getattr(kernel, "py_func", kernel), id=f"{name}-{rung}")
    for name, ladder in LADDERS.items()
    for rung, kernel in ladder.items()
    if rung == "python" or (rung not in ("njit", "numpy") and not rung.endswith("parallel"))
]
PRODUCTS = ("matmul", "matmul_tn", "matmul_nt", "layer", "delta", "gradients", "descend")
GUARD = 64


def shapes_of(operation, count=40):
    """0, 1, and sizes around the edges of tiles and panels, in many combinations, the same in every run."""
    rng = np.random.default_rng(len(operation))
    if operation in PRODUCTS:
        return [tuple(int(x) for x in rng.choice([0, 1, 2, 3, 5, 6, 7, 8, 9, 11, 13, 17, 22], 3)) for _ in range(count)]
    wide = [(m, 1, n) for m in (1, 2, 5) for n in range(1, 20)]
    return wide + [(m, 2, 3) for m in (0, 4, 7)]


def between_guards(array, guard):
    """A copy of an array inside a larger array, and the larger array."""
    memory = np.full(array.size + 2 * GUARD, guard, array.dtype)
    inside = memory[GUARD : GUARD + array.size].reshape(array.shape)
    inside[...] = array
    return inside, memory


def check(body, case, why):
    """Run the body on arrays between guards: the result must be correct, and only the outputs may be written."""
    inputs = case.arguments[: -len(case.expected)]
    before = [np.copy(argument) for argument in inputs]
    kept = []
    for i, argument in enumerate(case.arguments):
        if isinstance(argument, np.ndarray):
            guard = 42 if argument.dtype.kind == "i" or i >= len(inputs) else np.nan
            case.arguments[i], memory = between_guards(argument, guard)
            kept.append((memory, guard, argument.size))
    assert body(*case.arguments) is None
    fault = case.error()
    assert fault is None, (why, fault)
    for argument, copy in zip(case.arguments, before, strict=False):
        np.testing.assert_array_equal(argument, copy, err_msg=f"{why}: an input was changed")
    for memory, guard, size in kept:
        for side in (memory[:GUARD], memory[GUARD + size :]):
            np.testing.assert_array_equal(side, guard, err_msg=f"{why}: elements outside of the arrays were changed")


def not_initialized(size, like):
    return np.full(size // like.itemsize, np.nan, like.dtype)


class Heap:
    """A simulated heap: memory must be freed, and can run out."""

    def __init__(self):
        self.taken, self.is_full = [], False

    def take(self, size, like):
        self.taken.append(not_initialized(0 if self.is_full else size, like))
        return self.taken[-1]

    def free_array(self, array):
        self.taken = [other for other in self.taken if other is not array]


@pytest.fixture
def small(monkeypatch):
    """Uses short vectors, small tiles and small blocks."""
    monkeypatch.setattr(intrinsics, "VECTOR_BYTES", 16)
    for module in (elementwise, exponential, threads, optimizers):
        monkeypatch.setattr(module, "PART", 4)
    monkeypatch.setattr(softmax, "PART_BYTES", 96)
    monkeypatch.setattr(softmax, "SCRATCH_BYTES", 96 + 16)
    monkeypatch.setattr(softmax, "stack_array", not_initialized)
    for module in (register_tile, few_columns):
        monkeypatch.setattr(module, "stack_array", not_initialized)
    monkeypatch.setattr(few_columns, "LEAST_TERMS", 4)
    monkeypatch.setattr(few_columns, "STACK_BYTES", 160)  # six rows of B, and a vector
    room = 16 * register_tile.ROW_BYTES  # nine rows need more than half of it
    for name, value in {"MOST_ROWS": 10, "COPIED_ROWS": 4, "PAGE": 16, "L2": 800, "LEAST_OF_A": 8}.items():
        monkeypatch.setattr(parts, name, value)
    monkeypatch.setattr(register_tile, "READS_L3", False)
    rows = {"DEPTH": 6, "EVICTING_ROWS": 7, "SPLIT_ROWS": 9, "OTHER_ROWS": 11}
    for name, value in {**rows, "EVICTING_L2": room * 9 // 16, "EVICTING_L1": 600 * 9 // 16}.items():
        monkeypatch.setattr(register_tile, name, value)
    monkeypatch.setattr(register_tile, "STACK_BYTES", 2 * register_tile.VECTORS * 16)  # two rows of a panel
    heap = Heap()
    for module in (few_columns, parts, register_tile):
        monkeypatch.setattr(module, "heap_array", heap.take)
        monkeypatch.setattr(module, "free_array", heap.free_array)
    return heap


def take(monkeypatch, count):
    """Sets the number of threads from here on."""
    monkeypatch.setattr(threads, "thread_count", lambda: count)


@pytest.mark.parametrize(("operation", "body"), BODIES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflow is intended here
def test_body(operation, body, small, monkeypatch):
    for count in (1, 2, 3):
        take(monkeypatch, count)
        for i, shape in enumerate(shapes_of(operation)):
            monkeypatch.setattr(register_tile, "MASKS", i % 3 > 0)
            small.is_full = i % 4 == 0
            case = oracle.case(operation, shape, ("float64", "float64", "float32")[i % 3], seed=count)
            check(body, case, (shape, count))
            assert not small.taken, (shape, count, "memory was not freed")


def test_large_mean_does_not_reduce_the_precision_of_the_variance():
    X = np.float32([[2**25, 2**25 + 8, 2**25 + 40]])  # the sum is exact, the squares are not
    kept, A = np.empty((1, 2), "float32"), np.empty((1, 3), "float32")
    LADDERS["layer_norm"]["python"](X, np.ones(3, "float32"), np.zeros(3, "float32"), np.float32(0), kept, A)
    np.testing.assert_allclose(kept[0], [2**25 + 16, np.sqrt(3 / 896)], rtol=1e-6)
    np.testing.assert_allclose(A[0], np.array([-16, -8, 24]) * np.sqrt(3 / 896), rtol=1e-6)


@pytest.mark.parametrize(("operation", "body"), [p for p in BODIES if p.values[0] in ("layer", "gradients", "descend")])
def test_body_without_a_bias(operation, body, small):
    """An empty b gives the same matrix as a b of zeros."""
    for shape in [(3, 4, 5), (5, 7, 8), (6, 13, 3)]:
        case, other = (oracle.case(operation, shape, "float64") for _ in range(2))
        b = 2 if operation == "layer" else -1
        matrix = -2 if operation != "layer" else -1
        case.arguments[b], other.arguments[b] = np.empty(0), np.zeros(shape[2])
        body(*case.arguments)
        body(*other.arguments)
        np.testing.assert_array_equal(case.arguments[matrix], other.arguments[matrix])


def test_product_of_contiguous_factors_leaves_others_alone(small):
    rng = np.random.default_rng(0)
    M = rng.standard_normal((10, 12))
    layouts = {
        "contiguous": M[:7], "one row": M[:1], "columns": M[:7, 2:9], "every second row": M[::2], "transposed": M.T,
        "every second column": M[:, ::2], "backwards": M[:, ::-1],
    }  # fmt: skip
    for name, A in layouts.items():
        B, C = rng.standard_normal((A.shape[1], 5)), np.full((A.shape[0], 5), 42.0)
        done = matmul_if_contiguous(A, B, C)
        assert done == (name in ("contiguous", "one row")), name
        np.testing.assert_allclose(C, A @ B if done else 42, err_msg=name)
        right = np.full((3, A.shape[1]), 42.0)
        left = rng.standard_normal((3, A.shape[0]))
        assert matmul_if_contiguous(left, A, right) == done, name
        np.testing.assert_allclose(right, left @ A if done else 42, err_msg=name)


def error_in_ulp(got, exact, dtype):
    spacing = np.spacing(np.maximum(np.abs(exact).astype(dtype), np.finfo(dtype).smallest_subnormal))
    return float(np.max(np.abs(got.astype(exact.dtype) - exact) / spacing.astype(exact.dtype)))


FUNCTIONS = {
    "exponential": np.exp,
    "sigmoid_of": lambda z: np.where(z >= 0, 1, np.exp(-np.abs(z))) / (1 + np.exp(-np.abs(z))),
    "tanh_of": np.tanh,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_functions_are_correct_to_the_last_place(name, dtype):
    longer = np.float64 if dtype == "float32" else np.longdouble
    if np.finfo(longer).nmant <= np.finfo(dtype).nmant:
        pytest.skip("this machine has no type with more precision than float64")
    rng = np.random.default_rng(0)
    reach = 103.0 if dtype == "float32" else 745.0
    z = np.concatenate([rng.uniform(-reach, reach, 200), rng.uniform(-2, 2, 200), rng.uniform(-1e-3, 1e-3, 50)])
    z = np.concatenate([z, np.arange(-3, 4) * np.log(2) / 2, [0.0, -0.0, 20, -20, 88.7, -87.4, -reach]]).astype(dtype)
    got = np.array([getattr(exponential, name)(x) for x in z])
    exact = FUNCTIONS[name](z.astype(longer))
    finite = np.isfinite(exact.astype(dtype))
    assert got.dtype == dtype
    np.testing.assert_array_equal(np.isfinite(got), finite)
    assert error_in_ulp(got[finite], exact[finite], dtype) <= 2
    np.testing.assert_array_equal(np.signbit(got), np.signbit(exact))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("vector_bytes", [16, 64])
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 23, 40])
def test_softmax_is_correct_to_the_last_place(n, vector_bytes, small, monkeypatch):
    monkeypatch.setattr(intrinsics, "VECTOR_BYTES", vector_bytes)
    monkeypatch.setattr(softmax, "SCRATCH_BYTES", softmax.PART_BYTES + vector_bytes)
    rng = np.random.default_rng(n)
    for scale in (0.1, 3, 30):
        Z = (scale * rng.standard_normal((20, n))).astype(np.float32)
        A = np.empty_like(Z)
        body = LADDERS["softmax"]["polynomial"]
        getattr(body, "py_func", body)(Z, A)
        exact = oracle.softmax(Z.astype(np.float64))
        assert error_in_ulp(A, exact, np.float32) <= 2


@pytest.mark.parametrize("f", activations.CODES.values(), ids=activations.CODES)
def test_activation_of_any_block_writes_only_the_block(f):
    """A block is some of the rows and some of the columns."""
    m, n = 4, 6
    rng = np.random.default_rng(f)
    Z, A, D = rng.standard_normal((m, n)), rng.uniform(0.1, 0.9, (m, n)) * rng.choice([-1, 1], (m, n)), np.ones((m, n))
    everywhere, derivatives = Z.copy(), D.copy()
    activations.activate(f, everywhere, 0, m, 0, n)
    activations.multiply_by_derivative(f, A, derivatives, 0, m, 0, n)
    for i0, i1 in ((0, 0), (0, 1), (1, 3), (2, 4), (0, 4)):
        for j0, j1 in ((0, 0), (0, 3), (1, 5), (2, 4), (3, 6), (5, 6), (0, 6)):
            block = np.s_[i0:i1, j0:j1]
            some, expected = Z.copy(), Z.copy()
            expected[block] = everywhere[block]
            activations.activate(f, some, i0, i1, j0, j1)
            np.testing.assert_array_equal(some, expected, err_msg=str(block))
            some, expected = D.copy(), D.copy()
            expected[block] = derivatives[block]
            activations.multiply_by_derivative(f, A, some, i0, i1, j0, j1)
            np.testing.assert_array_equal(some, expected, err_msg=str(block))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("vector_bytes", [16, 64])
@pytest.mark.parametrize("n", [1, 3, 7, 8, 9, 16, 31])
def test_softmax_finds_the_maximum_at_any_position(n, vector_bytes, small, monkeypatch):
    """One large score has probability 1, equal scores have equal probabilities, and NaN affects only its own row."""
    monkeypatch.setattr(intrinsics, "VECTOR_BYTES", vector_bytes)
    monkeypatch.setattr(softmax, "SCRATCH_BYTES", softmax.PART_BYTES + vector_bytes)
    body = LADDERS["softmax"]["polynomial"]
    rows = np.full((n, n), -500.0)
    np.fill_diagonal(rows, 1000.0)
    A = np.full_like(rows, np.nan)
    getattr(body, "py_func", body)(rows, A)
    np.testing.assert_array_equal(A, np.eye(n))
    rows[n // 2, n - 1] = np.nan
    getattr(body, "py_func", body)(rows, A)
    np.testing.assert_array_equal(np.isnan(A).any(axis=1), np.arange(n) == n // 2)
    same = np.full((2, n), -1000.0)
    A = np.full_like(same, np.nan)
    getattr(body, "py_func", body)(same, A)
    np.testing.assert_allclose(A, 1 / n, rtol=1e-15)


def test_serial_kernels_divide_their_work_for_one_of_the_threads():
    """A kernel compiled without threads divides its work for one thread, even if Numba could use more."""
    assert threads.thread_count() == threads.loop_threads() == numba.get_num_threads()

    def body(out):
        for i in numba.prange(out.size):
            out[i] = 0
        out[0] = threads.loop_threads()

    for parallel, expected in ((False, 1), (True, numba.get_num_threads())):
        out = np.empty(1, np.int64)
        compiled(body, parallel=parallel)(out)
        assert out[0] == (numba.get_num_threads() if numba.config.DISABLE_JIT else expected)
    sizes = [0, 1, threads.PART, threads.PART + 1, 3 * threads.PART]
    assert [threads.parts_of(size) for size in sizes] == [0, 1, 1, 2, 3]


@pytest.mark.parametrize(
    ("features", "machine", "unit"),
    [
        ("+sse4.2,+avx2,+fma,+avx512f", "x86_64", (64, 32)), ("+avx2,+fma,-avx512f", "x86_64", (32, 16)),
        ("+avx2,-fma", "x86_64", (16, 16)), ("+fma", "AMD64", (16, 16)), ("+neon", "arm64", (16, 32)),
        ("", "aarch64", (16, 32)), ("", "riscv64", (16, 16)),
    ],
)  # fmt: skip
def test_vector_units_follow_from_the_processor_features(features, machine, unit, monkeypatch):
    """The unit is (bytes per register, number of registers)."""
    monkeypatch.setattr(intrinsics.numba.config, "CPU_FEATURES", features)
    monkeypatch.setattr(intrinsics.platform, "machine", lambda: machine)
    assert intrinsics._vector_unit() == unit


def test_work_is_cut_by_panels_or_rows(small):
    """One thread computes all columns; several share the panels if these divide equally, otherwise the rows."""
    width = register_tile.VECTORS * 2  # width of a panel
    for count, m, n, shape, number in (
        (1, 10, 3 * width, (10, 3 * width), 1), (1, 11, 5, (6, 5), 2), (1, 40, 5, (10, 5), 4), (1, 12, 0, (6, 1), 0),
        (2, 10, 4 * width, (10, 2 * width), 2), (2, 10, 4 * width - 3, (10, 2 * width), 2), (2, 9, 3, (6, 3), 2),
        (2, 10, 4 * width - 4, (6, 4 * width - 4), 2), (2, 20, width + 1, (10, width + 1), 2),
        (2, 20, 3 * width, (10, 3 * width), 2), (3, 7, 3 * width, (8, width), 3), (3, 0, 5, (1, 5), 1),
    ):  # fmt: skip
        C = np.empty((m, n))
        got = parts.divided(C, count, 10)
        assert (got, parts.number_of_parts(C, got)) == (shape, number), (count, m, n)
        seen = np.zeros((m, n), int)
        for t in range(number):
            i0, i1, j0, j1 = parts.part_of(C, got, t)
            seen[i0:i1, j0:j1] += 1
        assert (seen == 1).all(), (count, m, n)
