"""Weights of samples and classes equal finite differences of the weighted loss, repeated rows, and scikit-learn."""

import numpy as np
import pytest
from runs import make, spiral

import jitnet
from jitnet import SGD, Adam, Dense, Momentum, Network
from jitnet.kernels import LADDERS

X, CODES = spiral()
W = np.random.default_rng(5).uniform(0, 3, 97)
W[[3, 50]] = 0

NETWORKS = {
    "cross_entropy": (Dense(5, 3, "softmax"), CODES),
    "binary_cross_entropy": (Dense(5, 2, "sigmoid"), np.c_[CODES > 0, CODES > 1].astype(float)),
    "mse": (Dense(5, 2, "tanh"), X), "half_squared_error": (Dense(5, 2, "softplus"), X),
    "huber": (Dense(5, 2, "identity"), 3 * X), "hinge": (Dense(5, 1, "tanh"), 1.0 * (CODES > 0)),
}  # fmt: skip


@pytest.mark.parametrize("loss", NETWORKS)
@pytest.mark.parametrize("backend", ["numpy", "njit"])
def test_gradients_of_a_weighted_mean_equal_finite_differences(loss, backend):
    """The gradients equal central differences of Σ w·loss / Σ w over every parameter, in float64."""
    last, Y = NETWORKS[loss]
    net = Network(Dense(2, 5, "tanh"), last, seed=1, dtype="float64")
    some, Y, w = X[:13], Y[:13], W[:13]

    def weighted():
        each = [net.evaluate(some[i : i + 1], Y[i : i + 1], loss, "numpy")["loss"] for i in range(13)]
        return np.average(each, weights=w)

    value, _ = net.gradients(some, Y, loss, backend, sample_weight=w)
    np.testing.assert_allclose(value, weighted(), rtol=1e-12)
    assert net.evaluate(some, Y, loss, "numpy", sample_weight=w)["loss"] == pytest.approx(value, rel=1e-12)
    found, differences = net.grad.copy(), np.zeros_like(net.grad)
    for i in range(net.theta.size):
        kept, ends = net.theta[i], []
        for h in (1e-5, -1e-5):
            net.theta[i] = kept + h
            ends.append(weighted())
        net.theta[i] = kept
        differences[i] = (ends[0] - ends[1]) / 2e-5
    np.testing.assert_allclose(found, differences, rtol=1e-6, atol=1e-9)
    assert np.abs(found).max() > 1e-3


def test_one_batch_of_weights_equals_one_of_repeated_rows():
    """Weight 2 equals a repeated row, weight 0 a missing row."""
    counts = np.random.default_rng(0).integers(0, 4, 97)
    counts[:3] = 0, 1, 2
    twice = np.repeat(np.arange(97), counts)
    one, other = make("float64"), make("float64")
    options = {"epochs": 20, "optimizer": Adam(0.05), "backend": "numpy", "batch_size": 500}
    histories = [
        one.fit(X, CODES, sample_weight=counts, **options), other.fit(X[twice], CODES[twice], **options)
    ]  # fmt: skip
    np.testing.assert_allclose(one.theta, other.theta, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=1e-9)
    weighted = one.evaluate(X, CODES, backend="numpy", sample_weight=counts)
    repeated = one.evaluate(X[twice], CODES[twice], backend="numpy")
    assert weighted == pytest.approx(repeated, rel=1e-9)
    assert weighted["accuracy"] < 1


@pytest.mark.parametrize("optimizer", [SGD(0.5), Momentum(0.1)])
def test_equal_weights_change_no_bit(optimizer):
    """For any weight, with fused and separate updates, for full batches and the last one."""
    nets = [make() for _ in range(3)]
    for net, weights in zip(nets, (None, np.ones(97), np.full(97, 0.3)), strict=True):
        net.fit(X, CODES, epochs=2, optimizer=optimizer, sample_weight=weights, threads=1)
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes() == nets[2].theta.tobytes()


def test_loss_of_the_history_is_the_weighted_mean():
    """With one batch per epoch, it is the loss before the update."""
    net = make("float64")
    before = net.evaluate(X, CODES, backend="numpy", sample_weight=W)["loss"]
    history = net.fit(X, CODES, epochs=1, batch_size=97, backend="numpy", sample_weight=W)
    assert history.loss[0] == pytest.approx(before, rel=1e-12)


def test_batch_of_weight_0_changes_no_parameter():
    net = make()
    before = net.theta.copy()
    weights = np.zeros(97)
    weights[-1] = 1
    history = net.fit(X, CODES, epochs=1, batch_size=96, shuffle=False, sample_weight=weights, backend="numpy")
    assert np.isfinite(net.theta).all()
    assert np.isfinite(history.loss[0])
    alone = make()
    alone.step(X[96:], CODES[96:], backend="numpy")
    np.testing.assert_allclose(net.theta, alone.theta, rtol=1e-6)
    assert not np.array_equal(net.theta, before)


@pytest.mark.parametrize("rung", ["python", "numpy", "njit"])
def test_weigh_operation_by_hand(rung):
    delta = np.array([[1, -2], [3, 4], [5, 6.0]])
    LADDERS["weigh"][rung](np.array([0, 1, 2.0]), delta, delta)
    np.testing.assert_allclose(delta, [[0, 0], [3, 4], [10, 12]])  # factor 3/3
    LADDERS["weigh"][rung](np.zeros(3), delta, delta)
    np.testing.assert_array_equal(delta, 0)


def test_class_weights_equal_sample_weights():
    names = np.array(["ant", "bee", "cat"])[np.minimum(CODES * CODES, 2) * (np.arange(97) % 5 > 1)]
    counts = {name: int((names == name).sum()) for name in ("ant", "bee", "cat")}
    assert len(set(counts.values())) > 1
    balanced = np.array([97 / (3 * counts[name]) for name in names])  # scikit-learn's compute_class_weight
    chosen = np.array([{"ant": 0.5, "cat": 4}.get(name, 1) for name in names])
    for class_weight, sample_weight, expected in [
        ("balanced", None, balanced), ({"ant": 0.5, "cat": 4}, None, chosen), ("balanced", W, balanced * W),
        ({"cat": 2.0}, None, np.where(names == "cat", 2, 1)),
    ]:  # fmt: skip
        nets = [make() for _ in range(2)]
        options = {"epochs": 2, "backend": "numpy"}
        nets[0].fit(X, names, class_weight=class_weight, sample_weight=sample_weight, **options)
        nets[1].fit(X, names, sample_weight=expected, **options)
        np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=1e-5, atol=1e-6)
        plain = make()
        plain.fit(X, names, **options)
        assert not np.allclose(nets[0].theta, plain.theta, rtol=1e-3)


def test_class_weights_work_with_one_sigmoid():
    y = (CODES > 0).astype(int)
    nets = [Network(Dense(2, 4, "tanh"), Dense(4, 1, "sigmoid"), seed=0) for _ in range(2)]
    nets[0].fit(X, y, class_weight={0: 3.0}, epochs=2, backend="numpy")
    nets[1].fit(X, y, sample_weight=np.where(y, 1, 3), epochs=2, backend="numpy")
    np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_weight": np.ones(96)}, r"sample_weight has shape \(96,\), but X needs \(97,\)"),
        ({"sample_weight": np.ones((97, 1))}, r"sample_weight has shape \(97, 1\)"),
        ({"sample_weight": np.where(np.arange(97) == 5, -1, 1)}, r"sample_weight\[5\] is -1, but must be at least 0"),
        ({"sample_weight": np.where(np.arange(97) == 5, np.nan, 1)}, r"sample_weight\[5\] is nan"),
        ({"sample_weight": np.where(np.arange(97) == 5, np.inf, 1)}, r"sample_weight\[5\] is inf"),
        ({"sample_weight": np.zeros(97)}, "the weight is 0 for all samples"),
        ({"sample_weight": ["a"] * 97}, "sample_weight holds"),
        ({"class_weight": "balance"}, r'class_weight is \'balance\', but must be "balanced" or a dict'),
        ({"class_weight": {5: 1.0}}, "class_weight has 5, but the classes are 0, 1, 2"),
        ({"class_weight": {1: 2.0, "1": 3.0}}, "class_weight has 1 and '1', which are one class; leave one out"),
        ({"class_weight": {None: 1.0}}, "class_weight has None, but the classes are 0, 1, 2"),
        ({"class_weight": {0: -1.0}}, r"class_weight\[0\] is -1\.0, but must be a number at least 0"),
        ({"class_weight": {0: np.nan}}, r"class_weight\[0\] is nan"),
        ({"class_weight": [1, 2, 3]}, "class_weight is"),
        ({"class_weight": {0: 0, 1: 0, 2: 0}}, "is 0 for all samples"),
    ],
)
def test_bad_weights_are_a_clear_error(options, message):
    net = make()
    before = net.theta.tobytes()
    with pytest.raises(jitnet.Error, match=message):
        net.fit(X, CODES, backend="numpy", **options)
    assert net.theta.tobytes() == before


def test_class_weights_need_labels():
    net = Network(Dense(2, 1, "identity"), seed=0)
    with pytest.raises(jitnet.Error, match="class_weight needs labels, one class per sample"):
        net.fit(X, X[:, 0], class_weight="balanced", backend="numpy")


def test_extreme_weights_stay_finite():
    """Ratios of 1e300 and sums above the largest float32."""
    for weights in (np.full(97, 1e308), np.where(np.arange(97) % 2, 1e300, 1e-300)):
        net = make()
        history = net.fit(X, CODES, epochs=1, backend="numpy", sample_weight=weights)
        assert np.isfinite(net.theta).all()
        assert np.isfinite(history.loss).all()


def test_resuming_with_other_weights_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    make().fit(X, CODES, epochs=1, backend="numpy", checkpoint=path, sample_weight=W)
    with pytest.raises(jitnet.Error, match="the data are different"):
        make().fit(X, CODES, epochs=2, backend="numpy", checkpoint=path, sample_weight=W + 1, resume=True)
    make().fit(X, CODES, epochs=2, backend="numpy", checkpoint=path, sample_weight=W, resume=True)
