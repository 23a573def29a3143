"""jitnet.matmul and the activation functions: any shape, layout and alignment."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import ON_CPU, make

import jitnet
from jitnet import functions
from jitnet.lab import oracle

sizes = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31, 33])
dtypes = st.sampled_from(["float32", "float64"])
layouts = st.sampled_from(["C", "F", "strided", "reversed", "unaligned", "read-only", "broadcast"])


def laid_out(values, layout):
    """The same values in another layout."""
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "strided":
        big = np.zeros((values.shape[0] * 2, values.shape[1] * 3), values.dtype)
        big[::2, ::3] = values
        return big[::2, ::3]
    if layout == "reversed":
        return values[::-1, ::-1].copy()[::-1, ::-1]
    if layout == "unaligned":
        memory = bytearray(values.nbytes + 1)
        view = np.frombuffer(memory, values.dtype, values.size, offset=1).reshape(values.shape)
        view[...] = values
        return view
    if layout == "read-only":
        values = values.copy()
        values.flags.writeable = False
        return values
    if layout == "broadcast" and values.shape[0]:
        return np.broadcast_to(values[0], values.shape)
    return values


@settings(deadline=None, max_examples=150)
@given(sizes, sizes, sizes, dtypes, layouts, layouts, st.integers(0, 2**32))
def test_matmul_equals_numpy_for_any_shape_and_layout(m, n, p, dtype, layout_A, layout_B, seed):
    rng = np.random.default_rng(seed)
    A = laid_out(rng.standard_normal((m, n)).astype(dtype), layout_A)
    B = laid_out(rng.standard_normal((n, p)).astype(dtype), layout_B)
    C = jitnet.matmul(A, B)
    assert C.shape == (m, p)
    assert C.dtype == dtype
    exact, size = A.astype("f8") @ B.astype("f8"), np.abs(A.astype("f8")) @ np.abs(B.astype("f8"))
    assert (np.abs(C - exact) <= (n + 2) * np.finfo(dtype).eps * size).all()


@settings(deadline=None, max_examples=100)
@given(st.lists(sizes, max_size=4), dtypes, st.sampled_from(["sigmoid", "tanh", "relu", "softmax"]), layouts)
def test_activations_equal_numpy_for_any_shape_and_layout(shape, dtype, name, layout):
    rng = np.random.default_rng(len(shape))
    Z = (5 * rng.standard_normal(shape)).astype(dtype)
    if Z.ndim == 2:
        Z = laid_out(Z, layout)
    A = getattr(jitnet, name)(Z)
    assert A.shape == Z.shape
    assert A.dtype == Z.dtype
    rows = Z.astype("f8").reshape(int(np.prod(shape[:-1])), shape[-1] if shape else 1)
    with np.errstate(all="ignore"):
        expected = oracle.ACTIVATIONS[name](rows)
    below = np.abs(rows - rows.max(axis=1, keepdims=True, initial=-np.inf)) if name == "softmax" else 0
    bound = (8 + 2 * below + rows.shape[1]) * np.finfo(dtype).eps * np.abs(expected) + 1e-45
    assert (np.abs(A.reshape(rows.shape) - expected) <= bound).all()


@pytest.mark.parametrize("backend", ON_CPU)
def test_functions_run_on_every_backend(backend):
    A, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(jitnet.matmul(A, B, backend=backend), A @ B)
    Z = np.array([0.0, np.nan, 1e4], np.float32)
    np.testing.assert_allclose(jitnet.sigmoid(Z, backend=backend), [0.5, np.nan, 1])
    large = np.ones((2000, 30), np.float32), np.ones((30, 50), np.float32)
    assert jitnet.matmul(*large, backend=backend)[1999, 49] == 30


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_functions_call_machine_code_without_a_dispatcher():
    """A dispatcher compares the types of its arguments, which takes longer than a small product."""
    for kept in (functions._product, *functions._functions.values()):
        assert not hasattr(kept[np.dtype("float64")], "py_func")


def test_nan_and_infinity_propagate_through_a_product():
    C = jitnet.matmul(np.array([[np.nan, 1.0], [np.inf, 1.0], [1.0, 1.0]]), np.ones((2, 2)))
    assert np.isnan(C[0]).all()
    assert np.isinf(C[1]).all()
    assert (C[2] == 2).all()


@pytest.mark.parametrize(
    ("A", "B", "message"),
    [
        (np.ones((2, 3), "f4"), np.ones((3, 2), "f8"), "A is float32 and B is float64"),
        (np.ones((2, 3), "f2"), np.ones((3, 2), "f2"), "both must be float32 or both float64"),
        (np.ones((2, 3), "i8"), np.ones((3, 2), "i8"), "both must be float32 or both float64"),
        (np.ones((2, 3), ">f4"), np.ones((3, 2), ">f4"), "both must be float32 or both float64"),
        (np.ones((2, 3)), np.ones((2, 3)), "columns of A = rows of B"),
        (np.ones((2, 3)), np.ones(3), "columns of A = rows of B"),
        (np.ma.masked_equal(np.eye(3), 1), np.eye(3), r"A\[0, 0\] is masked"),
        ([np.ones(3), *np.ma.masked_equal(np.eye(3), 1)[:2]], np.eye(3), r"A\[1\] .*; leave it out, or write np\.ma"),
    ],
)
def test_wrong_shapes_and_dtypes_are_an_error(A, B, message):
    """Such arguments must not reach the machine code, which does not check them."""
    np.testing.assert_array_equal(jitnet.matmul(np.eye(3), np.eye(3)), np.eye(3))  # now the machine code is loaded
    with pytest.raises(jitnet.Error, match=message):
        jitnet.matmul(A, B)


def expected_output(net, X):
    A = np.tanh(X.astype("f8") @ net.layers[0].W + net.layers[0].b)
    e = np.exp(A @ net.layers[1].W + net.layers[1].b)
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("m", [1, 2, 32, 33, 1025])
def test_repeated_forward_calls_are_correct(m):
    """For small batches, later calls replay the recorded first call with other samples and parameters."""
    net, rng, results = make(), np.random.default_rng(m), []
    for backend in ("fast", "fast", "numpy", "fast", "numpy"):
        X = rng.standard_normal((m, 4))[:, ::2]  # neither float32 nor contiguous
        net.layers[0].W = rng.standard_normal((2, 17))
        results.append((net.forward(X, backend), expected_output(net, X)))
        np.testing.assert_array_equal(net.predict(X, backend), results[-1][1].argmax(axis=1))
    for found, expected in results:  # none is a view of the work space
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_forward_uses_a_replaced_activation(restored_registries):
    def define(factor):
        @jitnet.activation
        def times(z):
            return factor * z

        times.derivative(lambda z: factor)

    define(2.0)
    net = jitnet.Network(jitnet.Dense(1, 1, "times"))
    before = [net.forward([[1.0]], backend="python")[0, 0] for _ in range(3)]
    define(3.0)
    assert before == [before[0]] * 3
    np.testing.assert_allclose(net.forward([[1.0]], backend="python") / before[0], 1.5, rtol=1e-6)


def test_infinity_and_nan_are_found_in_small_and_large_arrays():
    net = make()
    for m in (1, 7, 5000):
        X = np.full((m, 2), 1e30, "f4")  # valid, although the sum of their squares overflows
        assert net.forward(X).shape == (m, 3)
        for value in (np.nan, np.inf, -np.inf):
            X[m - 1, 1] = value
            with pytest.raises(jitnet.Error, match=rf"X\[{m - 1}, 1\] is {value}"):
                net.forward(X)
