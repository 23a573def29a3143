"""The formulas, with numbers small enough to compute by hand."""

import math
from itertools import pairwise

import numpy as np
import pytest
from runs import IN_FLOAT64

import jitnet
from jitnet import Dense, Network, calculus
from jitnet.losses import LOSSES


def network(*layers, weights, biases=None):
    net = Network(*layers, seed=0, dtype="float64")
    for layer, W in zip(net.layers, weights, strict=True):
        layer.W = W
    for layer, b in zip(net.layers, biases or [], strict=bool(biases)):
        layer.b = b
    return net


def take_step(net, grads, lr=1.0):
    """The update rule: W* = W − lr·dW, b* = b − lr·db."""
    for layer, grad in zip(net.layers, grads, strict=True):
        layer.W = layer.W - lr * grad.dW
        if layer.b is not None:
            layer.b = layer.b - lr * grad.db


@pytest.mark.parametrize("backend", IN_FLOAT64)
def test_gradient_of_one_weight(backend):
    """o = x·w = 2·3 = 6, (o − y)² = (6 − 5)² = 1, its derivative 2(o − y)·x = 4, and w − 4 = −1."""
    net = network(Dense(1, 1, bias=False), weights=[[[3.0]]])
    assert net.forward([[2.0]], backend=backend) == 6
    loss, grads = net.gradients([[2.0]], [[5.0]], loss="mse", backend=backend)
    assert loss == 1
    assert grads[0].dW == 4
    net.fit([[2.0]], [[5.0]], epochs=1, optimizer=jitnet.SGD(1.0), loss="mse", backend=backend)
    assert net.layers[0].W == -1


X1 = np.array([1.0, 2.0])  # n = 2
W1 = np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]])  # z = 3
B1 = np.array([0.5, 0.0, 1.0])
Y1 = np.array([4.0, 2.0, 3.0])
# xᵀW + b = (5.5, 2, 0); the error is (1.5, 0, −3); the mean of its squares (2.25 + 0 + 9)/3 = 3.75


@pytest.mark.parametrize("backend", IN_FLOAT64)
def test_gradient_of_the_mean_squared_error_in_row_form(backend):
    net = network(Dense(2, 3), weights=[W1], biases=[B1])
    np.testing.assert_array_equal(net.forward(X1[None], backend=backend), [[5.5, 2.0, 0.0]])
    loss, grads = net.gradients(X1[None], Y1[None], loss="mse", backend=backend)
    assert loss == 3.75
    np.testing.assert_allclose(grads[0].db, [1.0, 0.0, -2.0], rtol=1e-15)  # 2/3 of the error
    np.testing.assert_allclose(grads[0].dW, [[1.0, 0.0, -2.0], [2.0, 0.0, -4.0]], rtol=1e-15)  # x times that
    take_step(net, grads)
    np.testing.assert_allclose(net.layers[0].W, [[0.0, 0.0, 1.0], [0.0, 1.0, 4.0]], atol=1e-15)
    np.testing.assert_allclose(net.layers[0].b, [-0.5, 0.0, 3.0], atol=1e-15)


def test_jacobians_by_hand():
    """Jacobians by the bias (z × z) and by the weights (n × z × z); their sums over the outputs are the gradients."""
    J_b = calculus.bias_jacobian(X1, W1, B1, Y1)
    np.testing.assert_allclose(J_b, np.diag([1.0, 0.0, -2.0]), rtol=1e-15)
    J_W = calculus.weight_jacobian(X1, W1, B1, Y1)
    assert J_W.shape == (2, 3, 3)
    np.testing.assert_allclose(J_W[0], np.diag([1.0, 0.0, -2.0]), rtol=1e-15)
    np.testing.assert_allclose(J_W[1], np.diag([2.0, 0.0, -4.0]), rtol=1e-15)


PAIRS = [(activation, loss.name) for loss in LOSSES.values() for activation in loss.goes_with]


def target(rng, n, loss):
    y = rng.dirichlet(np.ones(n))
    return np.where(y > 1 / n, 1.0, -1.0) if loss == "hinge" else y


@pytest.mark.parametrize(("activation", "loss"), PAIRS)
def test_jacobians_sum_to_the_gradients_of_backpropagation(activation, loss):
    rng = np.random.default_rng(3)
    x, W, b = rng.standard_normal(4), rng.standard_normal((4, 5)), rng.standard_normal(5)
    y = target(rng, 5, loss)
    net = network(Dense(4, 5, activation), weights=[W], biases=[b])
    _, grads = net.gradients(x[None], y[None], loss=loss)
    J_b = calculus.bias_jacobian(x, W, b, y, activation, loss)
    J_W = calculus.weight_jacobian(x, W, b, y, activation, loss)
    assert J_b.shape == (5, 5)
    assert J_W.shape == (4, 5, 5)
    np.testing.assert_allclose(J_b.sum(axis=1), grads[0].db, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(J_W.sum(axis=2), grads[0].dW, rtol=1e-13, atol=1e-15)
    if activation != "softmax":
        assert np.count_nonzero(J_b - np.diag(np.diag(J_b))) == 0


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_each_entry_of_a_jacobian_equals_a_finite_difference(activation):
    """∂ℓ_j/∂b_i and ∂ℓ_j/∂W[k,i] one by one, not only their sums."""
    rng = np.random.default_rng(4)
    x, W, b, y = rng.standard_normal(3), rng.standard_normal((3, 4)), rng.standard_normal(4), rng.standard_normal(4)
    net = network(Dense(3, 4, activation), weights=[W], biases=[b])
    J_b, J_W = (jacobian(x, W, b, y, activation) for jacobian in (calculus.bias_jacobian, calculus.weight_jacobian))
    for j in range(4):

        def share(_, j=j):
            return (net.forward(x[None])[0, j] - y[j]) ** 2 / 4

        np.testing.assert_allclose(
            calculus.numerical_gradient(share, net.layers[0].b), J_b[:, j], rtol=1e-9, atol=1e-11
        )
        np.testing.assert_allclose(
            calculus.numerical_gradient(share, net.layers[0].W), J_W[:, :, j], rtol=1e-9, atol=1e-11
        )


@pytest.mark.parametrize(("activation", "loss"), PAIRS)
def test_kernels_of_a_loss_agree_with_its_functions(activation, loss):
    """ℓ, ∂ℓ/∂a and the simplified Jacobian of each entry, for values that do not round to 0."""
    rng, entry = np.random.default_rng(5), LOSSES[loss]
    x, W, b, y = rng.standard_normal(3), rng.standard_normal((3, 4)), rng.standard_normal(4), target(rng, 4, loss)
    net = network(Dense(3, 4, activation), weights=[W], biases=[b])
    a = net.forward(x[None])[0]
    total = sum(entry(*pair) for pair in zip(a, y, strict=True))
    assert net.evaluate(x[None], y[None], loss=loss)["loss"] == pytest.approx(
        total / 4 if entry.averages_outputs else total, rel=1e-13
    )
    for j in range(4):
        h = 1e-5
        by_a = (entry(a[j] + h, y[j]) - entry(a[j] - h, y[j])) / (2 * h)
        assert entry.f_prime(a[j], y[j]) == pytest.approx(by_a, rel=1e-6, abs=1e-9)
    if entry.jacobian:
        da_dz = np.diag(a) - np.outer(a, a) if activation == "softmax" else np.diag(a * (1 - a))
        by_a = np.array([entry.f_prime(*pair) for pair in zip(a, y, strict=True)])
        np.testing.assert_allclose(entry.jacobian(a, y), da_dz * by_a, rtol=1e-12, atol=1e-15)


def test_jacobians_where_probabilities_round_to_0():
    np.testing.assert_array_equal(
        calculus.bias_jacobian([1.0], [[40.0]], [0.0], [0.0], "sigmoid", "binary_cross_entropy"), [[1.0]]
    )
    J = calculus.bias_jacobian([1.0], [[1000.0, 0.0]], [0.0, 0.0], [0.0, 1.0], "softmax", "cross_entropy")
    np.testing.assert_array_equal(J, [[0.0, 1.0], [0.0, -1.0]])


def test_numerical_gradient_of_known_functions():
    theta = np.array([[1.0, -2.0], [0.5, 3.0]])
    before = theta.copy()
    np.testing.assert_allclose(calculus.numerical_gradient(lambda t: (t**3).sum(), theta), 3 * before**2, rtol=1e-10)
    assert (theta == before).all()
    with pytest.raises(ValueError, match="float64"):
        calculus.numerical_gradient(np.sum, theta.astype(np.float32))
    for h in (0, -1e-4, np.nan):
        with pytest.raises(ValueError, match=r"h is .* but must be a (finite )?number above 0"):
            calculus.numerical_gradient(np.sum, theta, h)
    with pytest.raises(ZeroDivisionError):
        calculus.numerical_gradient(lambda t: 1 / 0, theta)
    assert (theta == before).all()


@pytest.mark.parametrize("backend", IN_FLOAT64)
def test_gradients_of_two_transformations(backend):
    """s = σ(W₁x), y = W₂s without biases: σ(0) = ½, so y = 4·½ + 2·½ = 3."""
    layers = Dense(2, 2, "sigmoid", bias=False), Dense(2, 1, bias=False)
    net = network(*layers, weights=[[[1.0, 2.0], [-1.0, -2.0]], [[4.0], [2.0]]])
    assert net.parameters == 6
    assert net.layers[0].b is None
    loss, grads = net.gradients([[1.0, 1.0]], [[1.0]], loss="half_squared_error", backend=backend)
    assert loss == 2  # ½(3 − 1)²
    np.testing.assert_array_equal(grads[1].dW, [[1.0], [1.0]])  # s·(3 − 1)
    np.testing.assert_array_equal(grads[0].delta, [[2.0, 1.0]])  # 2·(4, 2)·½(1 − ½)
    np.testing.assert_array_equal(grads[0].dW, [[2.0, 1.0], [2.0, 1.0]])
    assert grads[0].db is None
    # with biases: b₁ shifts both units from 0 to ln 3, where σ is ¾, and b₂ adds 1: y = 4·¾ + 2·¾ + 1 = 5.5
    with_biases = network(
        Dense(2, 2, "sigmoid"), Dense(2, 1), weights=[layer.W for layer in net.layers],
        biases=[[math.log(3), math.log(3)], [1.0]],
    )  # fmt: skip
    np.testing.assert_allclose(with_biases.forward([[1.0, 1.0]], backend=backend), [[5.5]], rtol=1e-15)
    _, grads = with_biases.gradients([[1.0, 1.0]], [[1.5]], loss="half_squared_error", backend=backend)
    np.testing.assert_allclose(grads[1].db, [4.0], rtol=1e-15)
    np.testing.assert_allclose(grads[0].db, [4 * 4 * 3 / 16, 4 * 2 * 3 / 16], rtol=1e-15)


@pytest.mark.parametrize("backend", IN_FLOAT64)
def test_gradients_of_a_1_1_1_network(backend):
    """x → w¹ → σ → w² → σ → ½(ŷ − y)²:

    x = 2, w¹ = ½ ln 3: z¹ = ln 3, a¹ = ¾. w² = −4/3·ln 3: z² = −ln 3, ŷ = ¼. y = 1: L = ½·(−¾)² = 9/32.
    δ² = (ŷ − y)·ŷ(1 − ŷ) = −¾·3/16 = −9/64;  ∂L/∂w² = a¹·δ² = −27/256;
    δ¹ = δ²·w²·a¹(1 − a¹) = (−9/64)·(−4/3·ln 3)·3/16 = 9/256·ln 3;  ∂L/∂w¹ = x·δ¹ = 9/128·ln 3.
    """
    ln3 = math.log(3)
    layers = Dense(1, 1, "sigmoid", bias=False), Dense(1, 1, "sigmoid", bias=False)
    net = network(*layers, weights=[[[ln3 / 2]], [[-4 / 3 * ln3]]])
    np.testing.assert_allclose(net.forward([[2.0]], backend=backend), [[0.25]], rtol=1e-15)
    loss, grads = net.gradients([[2.0]], [[1.0]], loss="half_squared_error", backend=backend)
    np.testing.assert_allclose(loss, 9 / 32, rtol=1e-15)
    np.testing.assert_allclose(grads[1].delta, [[-9 / 64]], rtol=1e-15)
    np.testing.assert_allclose(grads[1].dW, [[-27 / 256]], rtol=1e-15)
    np.testing.assert_allclose(grads[0].delta, [[9 / 256 * ln3]], rtol=1e-14)
    np.testing.assert_allclose(grads[0].dW, [[9 / 128 * ln3]], rtol=1e-14)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_column_convention_is_the_transpose(depth):
    """With Z = W·X + b, as in many books: forward pass, delta and both gradients for L layers."""
    rng = np.random.default_rng(depth)
    widths = rng.integers(2, 6, depth + 1)
    net = Network(*(Dense(n, p, "sigmoid") for n, p in pairwise(widths)), seed=1, dtype="float64")
    for layer in net.layers:
        layer.b = rng.standard_normal(layer.n_out)
    X, Y = rng.standard_normal((4, widths[0])), rng.uniform(0, 1, (4, widths[-1]))
    _, grads = net.gradients(X, Y, loss="half_squared_error")

    W = [layer.W.T for layer in net.layers]  # (n_out, n_in)
    b = [layer.b[:, None] for layer in net.layers]
    A = [X.T]
    for l in range(depth):
        A.append(1 / (1 + np.exp(-(W[l] @ A[l] + b[l]))))
    delta = (A[-1] - Y.T) / 4 * A[-1] * (1 - A[-1])
    for l in range(depth - 1, -1, -1):
        np.testing.assert_allclose(grads[l].delta, delta.T, rtol=1e-12)
        np.testing.assert_allclose(grads[l].dW, (delta @ A[l].T).T, rtol=1e-12)
        np.testing.assert_allclose(grads[l].db, delta.sum(axis=1), rtol=1e-12)
        delta = (W[l].T @ delta) * A[l] * (1 - A[l])


def test_chain_rule_of_three_layers_as_explicit_matrices():
    """∂L/∂z¹ = ∂L/∂a³ · ∂a³/∂z³ · ∂z³/∂a² · ∂a²/∂z² · ∂z²/∂a¹ · ∂a¹/∂z¹, a product of six explicit matrices."""
    rng = np.random.default_rng(5)
    net = Network(Dense(2, 3, "tanh"), Dense(3, 4, "sigmoid"), Dense(4, 2, "softmax"), seed=2, dtype="float64")
    x, y = rng.standard_normal(2), rng.dirichlet(np.ones(2))
    _, grads = net.gradients(x[None], y[None], loss="mse")
    W = [layer.W for layer in net.layers]
    a1 = np.tanh(x @ W[0])
    a2 = 1 / (1 + np.exp(-(a1 @ W[1])))
    a3 = np.exp(a2 @ W[2]) / np.exp(a2 @ W[2]).sum()
    by_a3 = 2 / 2 * (a3 - y)  # ∂L/∂a³
    a3_by_z3 = np.diag(a3) - np.outer(a3, a3)
    product = by_a3 @ a3_by_z3 @ W[2].T @ np.diag(a2 * (1 - a2)) @ W[1].T @ np.diag(1 - a1**2)
    np.testing.assert_allclose(grads[0].delta[0], product, rtol=1e-12)
    np.testing.assert_allclose(grads[0].dW, np.outer(x, product), rtol=1e-12)


@pytest.mark.parametrize("backend", IN_FLOAT64)
def test_losses_by_hand(backend):
    X, same = [[1.0]], {"seed": 0, "dtype": "float64"}
    net = network(Dense(1, 2), weights=[[[1.0, 2.0]]], biases=[[0.0, 0.0]])  # output (1, 2)
    assert net.evaluate(X, [[3.0, 1.0]], loss="mse", backend=backend)["loss"] == (4 + 1) / 2
    assert net.evaluate(X, [[3.0, 1.0]], loss="half_squared_error", backend=backend)["loss"] == (4 + 1) / 2
    three = Network(Dense(1, 3, "softmax", init="zeros"), **same)  # every class has probability ⅓
    measured = three.evaluate(X, [2], backend=backend)
    assert measured["loss"] == pytest.approx(math.log(3), rel=1e-15)
    one = Network(Dense(1, 2, "sigmoid", init="zeros"), **same)  # both classes have probability ½
    assert one.evaluate(X, [[1.0, 0.0]], backend=backend)["loss"] == pytest.approx(2 * math.log(2), rel=1e-15)


@pytest.mark.parametrize("backend", IN_FLOAT64)
def test_optimizers_by_hand(backend):
    """Two gradient steps on ½(w·1 − 0)², whose gradient is w, from w = 1."""

    def after_two_steps(optimizer):
        net = network(Dense(1, 1, bias=False), weights=[[[1.0]]])
        net.fit([[1.0]], [[0.0]], epochs=2, optimizer=optimizer, loss="half_squared_error", backend=backend)
        return net.layers[0].W[0, 0]

    assert after_two_steps(jitnet.SGD(0.5)) == 0.25  # 1 → ½ → ¼
    assert after_two_steps(jitnet.SGD(0.5, weight_decay=1.0)) == 0  # 1 − ½(1 + 1) = 0
    # velocity 1, w ½; velocity ½·1 + ½ = 1, w 0
    assert after_two_steps(jitnet.Momentum(0.5, beta=0.5)) == 0
    # velocity 1, w 1 − ½(1 + ½) = ¼; velocity ½ + ¼ = ¾, w ¼ − ½(¼ + ⅜) = −1/16
    assert after_two_steps(jitnet.Momentum(0.5, beta=0.5, nesterov=True)) == -1 / 16
    # first step: mean/correction = g and √(square/correction) = |g|, so w moves by lr for any gradient: 1 → 0.9;
    # second: mean = (0.09·1 + 0.1·0.9)/0.19 ... worked out below with fractions
    mean = (0.9 * 0.1 * 1 + 0.1 * 0.9) / (1 - 0.9**2)
    square = (0.999 * 0.001 * 1 + 0.001 * 0.81) / (1 - 0.999**2)
    assert after_two_steps(jitnet.Adam(0.1)) == pytest.approx(0.9 - 0.1 * mean / math.sqrt(square), rel=1e-7)


def test_initial_weights_have_the_documented_distribution():
    """glorot: uniform up to √(6/(n_in + n_out)); he: normal with the variance 2/n_in; biases 0."""
    glorot, he = jitnet.Dense(300, 200, "tanh"), jitnet.Dense(200, 300, "relu", init="he")
    net = jitnet.Network(glorot, he, seed=0, dtype="float64")
    most = (6 / 500) ** 0.5
    assert 0.999 * most < np.abs(net.layers[0].W).max() <= most
    assert abs(net.layers[0].W.mean()) < 0.01 * most
    assert abs(net.layers[1].W.std() / (2 / 200) ** 0.5 - 1) < 0.02
    assert not net.layers[0].b.any()
