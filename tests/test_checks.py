"""Bad input raises one clear error: what was wrong, what was expected and how to fix it."""

import contextlib

import numba
import numpy as np
import pytest

import jitnet
from jitnet import Adam, Dense, Momentum, Network, backend, checks
from jitnet.compiler.registry import Call
from jitnet.kernels.losses import loss
from jitnet.lab import oracle

X, Y = np.ones((4, 3)), np.array([0, 1, 0, 1])


def net(last="softmax", n_out=2, **options):
    return Network(Dense(3, 5, "sigmoid"), Dense(5, n_out, last), seed=0, **options)


def huge():
    network = net()
    network.layers[1].W = np.full((5, 2), 3e38)
    return network


BAD_X = [
    (np.ones((4, 2)), r"X has shape \(4, 2\), but the first layer needs \(m, 3\)"),
    (np.ones(3), r"X\.reshape\(1, 3\)"),
    (np.ones((2, 3, 1)), "one sample per row"),
    (np.ones((0, 3)), "X is empty"),
    ([], r"X has shape \(0,\)"),
    (np.array([[1, 2, np.nan]] * 4), r"X\[0, 2\] is nan"),
    (np.array([[1, 2, 3], [1, np.inf, 3]] * 2), r"X\[1, 1\] is inf"),
    (np.full((4, 3), 1e300), r"X\[0, 0\] is 1e\+300, too large for float32; scale X down$"),
    ([["1", "2", "3"]] * 4, r"X holds text, but must hold real numbers; write np\.array\(X, float\)"),
    ([["a", "b", "c"]] * 4, r"X holds text, but must hold real numbers$"),
    ({"a": [1, 2], "b": [3, 4]}, r"X is a dict; write np.column_stack\(list\(X.values\(\)\)\)"),
    (np.ones((4, 3), complex), r"must hold real numbers; write np\.hstack\(\[X\.real, X\.imag\]\), or X\.real$"),
    (np.ones((4, 3), "i4,f4"), r"X holds records, .*; write numpy\.lib\.recfunctions\.structured_to_unstructured\(X\)"),
    (np.ones((4, 3), "m8[s]"), r"X holds timedelta64.*; write X / np\.timedelta64\(1, 's'\)$"),
    (np.ones((4, 1, 3)), r"; write np\.reshape\(X, \(-1, 3\)\)$"),
    ({1, 2}, "X is a set, but must be an array of real numbers$"),
    ([[1, 2, 3], [1, 2]], "not a rectangular array"),
    (np.array([[1, None, 3]] * 4), r"X\[0, 1\] is None, a NoneType, but must be a real number$"),
]


@pytest.mark.parametrize(("bad", "message"), BAD_X)
def test_bad_X_is_a_clear_error(bad, message):
    network = net()
    before = network.theta.copy()
    for call in (
        lambda: network.forward(bad), lambda: network.predict(bad), lambda: network.evaluate(bad, Y),
        lambda: network.gradients(bad, Y), lambda: network.fit(bad, Y), lambda: network.fit(X, Y, validation=(bad, Y)),
    ):  # fmt: skip
        with np.errstate(over="ignore"), pytest.raises(jitnet.Error, match=message):
            call()
    assert network.theta.tobytes() == before.tobytes()


BAD_Y = [
    ("softmax", 2, None, [0, 1, 0, 2], r"label Y\[3\] is 2, but the last layer has 2 units: labels run from 0 to 1"),
    ("softmax", 2, None, [0, 1, 0, -1], r"label Y\[3\] is -1"),
    ("softmax", 2, None, [0, 1, 0, 0.5], r"label Y\[3\] is 0.5"),
    ("softmax", 2, None, [0, 1, 0, np.nan], r"Y\[3\] is nan"),
    ("softmax", 2, None, [0, 1, 0], r"Y has shape \(3,\), but X has 4 rows; each row needs its target"),
    ("softmax", 2, None, np.ones((4, 3)), r"Y has shape \(4, 3\)"),
    ("softmax", 2, None, np.ones((4, 2)), "row 0 of Y adds up to 2"),
    ("softmax", 2, None, np.array([[1, 0], [1, 0], [0.2, 0.3], [0, 1]]), r"row 2 of Y adds up to 0\.5"),
    ("softmax", 2, None, [[2, -1]] * 4, "probabilities from 0 to 1"),
    ("softmax", 2, None, ["a", "b", "a", None], r"Y\[3\] is None: a label is missing"),
    ("sigmoid", 1, None, [0, 1, 0, 2], "probabilities from 0 to 1"),
    ("sigmoid", 3, None, np.full((4, 3), np.inf), r"Y\[0, 0\] is inf"),
    ("identity", 1, "mse", [[1.0, 2.0]] * 4, r"need \(4, 1\)"),
    ("identity", 1, "mse", [1, 2, 3, np.inf], r"Y\[3, 0\] is inf"),
    ("identity", 2, "mse", np.ones((4, 1)), r"Y has shape \(4, 1\)"),
]


@pytest.mark.parametrize(("last", "n_out", "loss", "bad", "message"), BAD_Y)
def test_bad_Y_is_a_clear_error(last, n_out, loss, bad, message):
    network = net(last, n_out)
    for call in (network.evaluate, network.gradients, network.fit):
        with pytest.raises(jitnet.Error, match=message):
            call(X, bad, loss=loss)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Network(Dense(64, 32), Dense(30, 10)), "layer 0 has 32 outputs, but layer 1 has 30 inputs"),
        (lambda: Network(), "at least one layer"),
        (lambda: Network("relu"), "'relu' is not a layer; write Dense"),
        (lambda: Network([Dense(2, 1)]), r"layers must not be in a list; write Network\(\*layers\)"),
        (lambda: Network(Dense(2, 2), seed=-1), "seed is -1"),
        (lambda: Network(Dense(2, 2), dtype="float16"), "unknown dtype 'float16'; known: float32, float64"),
        (lambda: Network(Dense(2, 2), dtype="nonsense"), "unknown dtype 'nonsense'"),
        (lambda: Network(Dense(2, 2), dtype=None), "unknown dtype None"),
        (lambda: Network(Dense(2, 2), dtype=X), "unknown dtype array"),
        (lambda: Dense(0, 3), "n_in of Dense is 0, but must be a whole number, at least 1"),
        (lambda: Dense(3, 2.5), "n_out of Dense is 2.5"),
        (lambda: Dense(3, True), "n_out of Dense is True"),
        (lambda: Dense(3, 2, bias="False"), "bias of Dense is 'False', but must be True or False"),
        (lambda: Momentum(0.1, nesterov=1), "nesterov is 1"),
        (lambda: net().fit(X, Y, shuffle="no"), "shuffle is 'no'"),
        (lambda: net().fit(X, Y, validation=X), r"validation must be a pair \(X, Y\)"),
        (lambda: net().fit(X, Y, optimizer=Adam(epsilon=1e-60)), "1e-60 is 0 in float32"),
        (lambda: net().fit(X, Y, optimizer=jitnet.SGD(1e60)), r"1e\+60 is inf in float32"),
        (lambda: net("identity").fit(X, np.full((4, 2), 1e300)), r"Y\[0, 0\] is .*, too large for float32"),
        (lambda: huge().predict(np.full((4, 3), 3e38)), r"the output for X\[0\] is nan: .*; scale the inputs"),
        (lambda: Dense(3, 2, "sigmoyd"), "unknown activation 'sigmoyd'; known: .*did you mean 'sigmoid'"),
        (lambda: Dense(3, 2, "ReLU"), "did you mean 'relu'"),
        (lambda: Dense(3, 2, "leaky"), "did you mean 'leaky_relu'"),
        (lambda: Dense(3, 2, "softsign"), r"softmax(?!.*did you mean)"),
        (
            lambda: Dense(3, 2, lambda z: z),
            r"<function .*; define your own with @jitnet\.activation",
        ),
        (
            lambda: Dense(3, 2, np.tanh),
            r"activation <ufunc 'tanh'>; .*; define your own with @jitnet\.activation$",
        ),
        (lambda: net().fit(X, Y, loss=lambda a, y: a - y), r"unknown loss .*; define your own with @jitnet\.loss$"),
        (
            lambda: jitnet.calculus.bias_jacobian([1], np.ones((1, 1)), [1], [1], np.tanh),
            r"own with @jitnet\.activation$",
        ),
        (lambda: Dense(3, 2, ["relu"]), r"known: .*softmax(?!.*did you mean)"),
        (lambda: Dense(3, 2, init="gloro"), "unknown init 'gloro'; known: glorot, he, zeros .*'glorot'"),
        (lambda: jitnet.SGD(0), "lr is 0, but must be a number above 0"),
        (lambda: jitnet.SGD(float("nan")), "lr is nan"),
        (lambda: jitnet.SGD("fast"), "lr is 'fast'"),
        (lambda: jitnet.SGD(0.1, weight_decay=-1), "weight_decay is -1, but must be a number at least 0"),
        (lambda: Momentum(0.1, beta=1), "beta is 1, but must be a number at least 0 and below 1"),
        (lambda: Adam(beta2=1.5), "beta2 is 1.5"),
        (lambda: Adam(epsilon=0), "epsilon is 0"),
        (lambda: jitnet.RMSprop(epsilon=0), "epsilon is 0"),
        (lambda: Momentum(0), "lr is 0"),
        (lambda: Momentum(0.1, beta=-0.1), "beta is -0.1"),
        (lambda: Momentum(0.1, weight_decay=-1), "weight_decay is -1"),
        (lambda: Adam(0), "lr is 0"),
        (lambda: Adam(beta1=1), "beta1 is 1"),
        (lambda: Adam(beta1=-0.1), "beta1 is -0.1"),
        (lambda: Adam(beta2=1), "beta2 is 1"),
        (lambda: Adam(beta2=-0.1), "beta2 is -0.1"),
        (lambda: Adam(weight_decay=-1), "weight_decay is -1"),
        (lambda: net().fit(X, Y, epochs=0), "epochs is 0"),
        (lambda: net().fit(X, Y, batch_size=0), "batch_size is 0, but must be a whole number, at least 1"),
        (lambda: net().fit(X, Y, batch_size=-3), "batch_size is -3"),
        (lambda: net().fit(X, Y, optimizer=0.1), r"the optimizer is 0.1; write optimizer=jitnet.SGD\(0.1\)"),
        (lambda: net().fit(X, Y, optimizer="adm"), "unknown optimizer 'adm'; known: sgd, momentum, adam.*'adam'"),
        (lambda: net().fit(X, Y, optimizer=Adam), r"the optimizer is a class; write Adam\(...\)"),
        (lambda: net().fit(X, Y, loss="crossentropy"), "unknown loss .*did you mean 'cross_entropy'"),
        (lambda: net().fit(X, Y, backend="fats"), "unknown backend 'fats'; known: .*did you mean 'fast'"),
        (lambda: net().fit(X, Y, backend=3), "unknown backend 3"),
        (lambda: net().forward(X, backend="cude"), "unknown backend"),
        (
            lambda: net().fit(X, Y, loss="binary_cross_entropy"),
            "needs 'sigmoid' in the last layer, which has 'softmax'",
        ),
        (
            lambda: net("tanh").fit(X, Y, loss="cross_entropy"),
            "needs 'softmax' .* or use one of: half_squared_error, mse",
        ),
        (lambda: net().fit(X, Y, early_stopping=3), "early_stopping needs validation"),
        (lambda: net().fit(X, Y, early_stopping=0, validation=(X, Y)), "early_stopping is 0"),
        (lambda: net().fit(X, Y, checkpoint_every=0), "checkpoint_every is 0"),
        (
            lambda: net().fit(X, Y, checkpoint_every=2),
            "checkpoint_every is 2, but there is no checkpoint; add checkpoint=",
        ),
        (lambda: net().fit(X, Y, threads=0), "threads is 0"),
        (lambda: net().fit(X, Y, threads=10**6), "this process can use 1 to"),
        pytest.param(
            lambda: net().fit(X, Y, threads=2, backend="njit"),
            "'njit' runs on one thread; for more, use parallel or fast",
            marks=pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="this process has one thread"),
        ),
        (lambda: net().fit(X, Y, seed=-1), "seed is -1"),
        (lambda: jitnet.matmul(np.ones((2, 3)), np.ones((2, 3))), r"A has shape \(2, 3\) and B \(2, 3\)"),
        (lambda: jitnet.matmul(np.ones(3), np.ones((3, 2))), "columns of A = rows of B"),
        (lambda: jitnet.matmul(np.ones((2, 3)), np.ones((3, 2), "f")), "A is float64 and B is float32"),
        (lambda: jitnet.matmul(np.ones((2, 3), int), np.ones((3, 2), int)), "use .astype"),
        (lambda: jitnet.sigmoid([1, 2]), "Z is int64, but must be float32 or float64"),
        (lambda: jitnet.calculus.bias_jacobian(np.ones(2), np.ones((3, 2)), np.ones(2), np.ones(2)), "must be"),
        (lambda: jitnet.calculus.bias_jacobian(np.ones(2), np.ones(2), np.ones(2), np.ones(2)), "must be"),
        (lambda: jitnet.calculus.bias_jacobian("a", np.ones((1, 1)), [1], [1]), "x holds text, but must hold real"),
        (lambda: jitnet.calculus.weight_jacobian([1], np.ones((1, 1)), [1], [1j]), "y holds complex128 values"),
        (lambda: jitnet.calculus.numerical_gradient(7, np.ones(2)), "function is 7, but must be a function of theta"),
        (
            lambda: jitnet.calculus.numerical_gradient(lambda theta: None, np.ones(2)),
            r"function\(theta\) is None, but must be a number",
        ),
        (
            lambda: jitnet.calculus.numerical_gradient(np.sum, np.broadcast_to(1.0, 2)),
            "theta is read-only, .* write theta.copy",
        ),
        (lambda: jitnet.matmul(np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2))), "unknown backend array"),
        (lambda: jitnet.sigmoid(np.ones(2), np.ones(2)), "unknown backend array"),
        (lambda: net().evaluate(X, Y, np.ones(4)), "unknown loss array"),
    ],
)
def test_bad_options_are_a_clear_error(call, message):
    with np.errstate(all="ignore"), pytest.raises(jitnet.Error, match=message):
        call()


def test_dtype_can_be_a_name_a_type_or_a_numpy_dtype():
    unpickled = np.dtype("float64", copy=True)  # as a memory map from another process has it
    for dtype in ("float64", np.float64, np.dtype(np.float64), unpickled):
        assert jitnet.checks.dtype_of(dtype) is np.dtype(np.float64)


def test_equivalent_inputs_are_accepted():
    """Lists, integers, booleans, read-only, strided, big-endian arrays; labels as floats; (m,) for one output."""
    network = net()
    expected = network.forward(X)
    read_only = X.copy()
    read_only.flags.writeable = False
    for same in (
        X.tolist(),
        X.astype(int),
        X.astype(bool),
        read_only,
        X.astype(">f8"),
        np.ones((4, 6))[:, ::2],
        X.T.copy().T,
    ):
        np.testing.assert_array_equal(network.forward(same), expected)
    for labels in (Y, Y.tolist(), Y.astype(float), Y.astype(bool), np.eye(2)[Y], Y.astype(np.uint8)):
        assert network.gradients(X, labels)[0] == network.gradients(X, Y)[0]
    one = net("sigmoid", 1)
    assert one.gradients(X, Y)[0] == one.gradients(X, Y[:, None])[0]
    assert set(one.evaluate(X, Y)) == {"loss", "accuracy"}
    assert set(one.predict(X)) <= {0, 1}
    assert set(net("identity", 1).evaluate(X, [0.5, 1, 2, 3])) == {"loss"}
    assert set(net("sigmoid", 2).evaluate(X, Y, loss="mse")) == {"loss", "accuracy"}
    np.testing.assert_array_equal(net("tanh").predict(X), net("tanh").forward(X))


def test_repr_shows_layers_parameters_and_dtype():
    assert repr(net()) == "<Network 3-5-2 (sigmoid, softmax), 32 parameters, float32>"


def test_backends_are_listed():
    assert jitnet.backends()[:5] == ["python", "njit", "parallel", "fast", "numpy"]
    assert set(jitnet.backends()[5:]) <= {"cuda"}
    assert backend.get("fast") is backend.get("fast")


@pytest.mark.parametrize(
    ("targets", "Y", "message"),
    [
        ("numbers", [[2.0, -1.0]], None), ("probabilities", [[0.2, 0.2]], None),
        ("probabilities", [[2.0, 0.0]], "Y holds 0 to 2, but my_loss needs probabilities from 0 to 1"),
        ("signs", [[-1, 1.0]], None), ("signs", [[False, True]], None), ("signs", np.eye(2, dtype=np.uint8)[:1], None),
        ("signs", [[2.0, 1.0]], "Y holds 2, but my_loss needs 1, 0 and -1 only; write 1 for one class and -1 or 0"),
        ("signs", [[1.0, 0.5]], "Y holds 0.5, but my_loss needs 1, 0 and -1 only"),
        ("distributions", [[0.2, 0.2]], r"row 0 of Y adds up to 0.4, but my_loss needs rows that add up to 1"),
    ],
)  # fmt: skip
def test_targets_are_checked_against_the_kind_that_a_loss_declares(targets, Y, message):
    mine = loss("my_loss", targets=targets)(lambda a, y: a - y)
    with pytest.raises(jitnet.Error, match=message) if message else contextlib.nullcontext():
        jitnet.arrays.targets(Y, 1, 2, mine, np.dtype(np.float32))


@pytest.mark.slow
def test_operations_without_an_optimized_rung_get_threads_too():
    """`fast` runs losses and Momentum as `njit`, or as `parallel` if there are threads: with the same bits."""
    fast = backend.get("fast")
    for operation in ("mse", "cross_entropy", "binary_cross_entropy", "huber", "momentum", "nesterov"):
        case, twin = (oracle.case(operation, (1000, 700, 1100), "float32") for _ in range(2))
        call = Call(operation, tuple(case.arguments))
        ladder = jitnet.kernels.LADDERS[operation]
        assert fast.kernel(call, 1) is ladder["njit"]
        assert fast.kernel(call, 2) is ladder["parallel"]
        ladder["njit"](*case.arguments)
        ladder["parallel"](*twin.arguments)
        for one, two in zip(case.outputs, twin.outputs, strict=True):
            assert one.tobytes() == two.tobytes(), operation


def test_only_large_calls_get_threads():
    """From two million FLOP on: for less, starting threads takes as long as they save."""
    fast, ladder, parallel = backend.get("fast"), jitnet.kernels.LADDERS["matmul"], backend.get("parallel")
    large, small = (Call("matmul", (np.ones((m, 100)), np.ones((100, 100)), np.ones((m, 100)))) for m in (100, 99))
    assert (large.flop, small.flop) == (2_000_000, 1_980_000)
    assert fast.kernel(large, 2) is ladder["packed_parallel"]
    assert fast.kernel(large, 1) is fast.kernel(small, 2) is fast.kernel(small, 1) is ladder["packed"]
    assert parallel.kernel(small, 1) is parallel.kernel(large, 2) is ladder["parallel"]
    assert fast.can_use_threads([small, large])
    assert not fast.can_use_threads([small, small])
    assert parallel.can_use_threads([small])
    assert not backend.get("njit").can_use_threads([large])


@pytest.mark.parametrize("operation", sorted(jitnet.kernels.LADDERS))
def test_every_operation_has_a_flop_count(operation):
    """At least one FLOP for each number of its last output."""
    case = oracle.case(operation, (5, 3, 7), "float32")
    assert Call(operation, tuple(case.arguments)).flop >= case.arguments[-1].size


def test_exceptions_are_described_by_their_message_or_type():
    """There is always text after a colon."""
    for error, reason, described in (
        (MemoryError(), "MemoryError", "MemoryError"),
        (AssertionError(), "AssertionError", "AssertionError"),
        (ValueError("a\n  b"), "a b", "ValueError: a b"),
        (KeyError("x"), "'x' is missing", "KeyError: 'x'"),
        (
            OSError(28, "No space left on device", "f"),
            "No space left on device",
            "OSError: [Errno 28] No space left on device: 'f'",
        ),
        (OSError("odd"), "odd", "OSError: odd"),
        (RuntimeError("x" * 999), "x" * 300, "RuntimeError: " + "x" * 300),
    ):
        assert (checks.reason(error), checks.described(error)) == (reason, described)


def test_values_in_messages_are_short():
    for value, shown in (
        (1.5, "1.5"),
        ("x" * 999, "'" + "x" * 299 + "..."),
        (10**5000, "a number of thousands of digits"),
    ):
        assert checks.shown(value) == shown
    for value in (-1, True, None, "1"):
        with pytest.raises(jitnet.Error, match=r"lr is .*, but must be a number above 0$"):
            jitnet.SGD(value)
    for value in (10**400, -(10**400), 10**5000, float("nan"), np.float32("inf")):
        with pytest.raises(jitnet.Error, match=r"lr is .*, but must be a finite number above 0$"):
            jitnet.SGD(value)


@pytest.mark.parametrize("position", [0, 1500])
@pytest.mark.parametrize("activation", ["softmax", "identity"])
def test_infinite_and_nan_results_are_errors(activation, position):
    """One sample overflows float32, the first or one of many. Only `forward` returns such a result."""
    net = jitnet.Network(jitnet.Dense(3, 2), jitnet.Dense(2, 2, activation), seed=0)
    net.layers[0].W, net.layers[1].W = np.full((3, 2), 2), np.eye(2)
    X, Y = np.zeros((1501, 3), "float32"), np.tile([0.0, 1.0], (1501, 1))
    X[position] = 1e38
    assert np.isfinite(net.evaluate(X[:position] if position else X[1:], Y[1:][: position or None])["loss"])
    assert not np.isfinite(net.forward(X)[position]).all()
    for kind, results in (("loss", (net.evaluate, net.gradients)), ("output", (lambda X, Y: net.predict(X),))):
        for result in results:
            with pytest.raises(
                jitnet.Error, match=rf"the {kind} for X\[{position}\] is \[?(nan|inf).*; scale the inputs"
            ):
                result(X, Y)


def test_infinite_gradient_is_an_error():
    """Both classes are equally likely, so the loss is log 2; but dW of the first layer is 1e36 · 1e4."""
    net = jitnet.Network(jitnet.Dense(1, 1), jitnet.Dense(1, 2, "softmax"), seed=0)
    net.layers[0].W, net.layers[1].W = [[0]], [[1e4, -1e4]]
    with pytest.raises(jitnet.Error, match=r"the gradient is not finite in float32: .*; scale the inputs"):
        net.gradients(np.full((1, 1), 1e36), [0])


@pytest.mark.parametrize("jacobian", [jitnet.calculus.bias_jacobian, jitnet.calculus.weight_jacobian])
def test_infinite_jacobian_is_an_error(jacobian):
    x, W, b, y = np.ones(2), np.ones((2, 3)), np.ones(3), np.eye(3)[0]
    with pytest.raises(jitnet.Error, match=r"x\[0\] is nan"):
        jacobian([np.nan, 1], W, b, y)
    with pytest.raises(jitnet.Error, match=r"the Jacobian is not finite in float64: .*; scale the inputs"):
        jacobian(x * 1e300, W * 1e300, b, y)
    with pytest.raises(jitnet.Error, match=r"function\(theta\) is not finite with theta\[1\] = "):
        jitnet.calculus.numerical_gradient(
            lambda theta: theta[0] + (np.inf if theta[1] > 2 else 0), np.array([1.0, 2.0])
        )


def test_text_of_a_file_in_a_message_is_short_and_printable(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("a,b\x1b[2J,y\n1,2,0\n")
    with pytest.raises(jitnet.Error, match=r"columns: a, b\\x1b\[2J, y$"):
        jitnet.data.read_table(file)
    file.write_text("a,y\n" + "1" * 100_000 + "x,0\n")
    with pytest.raises(
        jitnet.Error, match=r"line 2, column 'a': '111+\.\.\. is not a finite number.*leave the row or the column out"
    ) as caught:
        assert jitnet.data.read_table(file, "y").X is None
    assert len(str(caught.value)) < 1200


def test_long_values_are_cut_in_messages():
    most = "x" * (checks.LONGEST - 2)  # the two quotes count, too
    assert checks.shown(most) == repr(most)
    assert checks.shown(most + "x") == repr(most + "x")[: checks.LONGEST] + "..."
    with pytest.raises(jitnet.Error, match=r"^sizes is 5, but must be a list$"):
        checks.listed("sizes", 5, None)
    with pytest.raises(jitnet.Error, match=r"^sizes is \[1\], but must be a list of 2$"):
        checks.listed("sizes", [1], 2)
    assert checks.listed("sizes", [1, 2], 2) == [1, 2]
