"""The solver lbfgs of the estimators: the steps of scikit-learn's, its sums, its end and its warnings."""

import warnings

import numpy as np
import pytest

import jitnet

pytest.importorskip("sklearn", minversion="1.6", reason="scikit-learn is not installed")

from scipy import sparse
from sklearn import neural_network as theirs
from sklearn.exceptions import ConvergenceWarning
from test_sklearn import KINDS, SMALL, data, labels

from jitnet.sklearn import MLPRegressor
from jitnet.sklearn.lbfgs import Objective
from jitnet.step import ROWS_AT_ONCE

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("two", {}), ("three", {"activation": "tanh", "alpha": 2.0}), ("several", {"activation": "logistic"}),
        ("number", {"hidden_layer_sizes": (7, 3), "alpha": 0.3}), ("number", {"max_fun": 5}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_weighted", [False, True])
def test_lbfgs_takes_the_steps_of_scikit_learn(target, options, is_weighted):
    X, y = data("float64")
    y, w = labels(y, target), np.random.default_rng(1).integers(0, 3, len(X)) if is_weighted else None
    options = {**SMALL, "solver": "lbfgs", **options}
    name = "MLPRegressor" if y.dtype.kind == "f" else "MLPClassifier"
    ours, expected = ((getattr(place, name)(**options).fit(X, y, w)) for place in (jitnet.sklearn, theirs))
    for mine, other in zip([*ours.coefs_, *ours.intercepts_], [*expected.coefs_, *expected.intercepts_], strict=True):
        assert np.allclose(mine, other, rtol=0, atol=1e-7)
    assert np.isclose(ours.loss_, expected.loss_, rtol=1e-9)
    assert (ours.n_iter_, ours.t_) == (expected.n_iter_, expected.t_)
    assert len(ours.loss_curve_) == ours.n_iter_
    in_parts = getattr(jitnet.sklearn, name)(**options).fit(sparse.csr_matrix(X), y, w)
    assert np.allclose(in_parts.coefs_[0], ours.coefs_[0], rtol=0, atol=1e-12)


def test_lbfgs_adds_up_the_parts_of_many_samples():
    X, y = data("float64", n=2 * ROWS_AT_ONCE + 7)
    w = (np.arange(len(X)) >= ROWS_AT_ONCE) * 1.0  # the first part counts nothing
    options = {**SMALL, "solver": "lbfgs", "max_iter": 4, "verbose": False}
    ours, expected = (place(**options).fit(X, y, w) for place in (MLPRegressor, theirs.MLPRegressor))
    assert np.allclose(ours.coefs_[0], expected.coefs_[0], rtol=0, atol=1e-8)


def test_the_gradient_of_several_numbers_is_that_of_the_loss():
    """scikit-learn's is as many times as large, so their weights differ."""
    X, y = data("float64")
    model = MLPRegressor(**SMALL | {"solver": "lbfgs", "max_iter": 2, "alpha": 0.5}).fit(X, np.stack([y, -y, y * y], 1))
    objective = Objective(model.network_, X, np.stack([y, -y, y * y], 1), None, "half_squared_error", 0.5)
    theta = model.network_.theta.copy()
    _, gradient = objective(theta)
    for j in range(0, theta.size, 7):
        step = 1e-6 * (np.arange(theta.size) == j)
        assert np.isclose(gradient[j], (objective(theta + step)[0] - objective(theta - step)[0]) / 2e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs_converges_and_says_if_it_did_not(dtype, capsys):
    X, y = data(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MLPRegressor(8, solver="lbfgs", max_iter=5000, tol=1e-3, random_state=0, verbose=True).fit(X, y)
    assert model.score(X, y) > 0.99
    assert capsys.readouterr().out.endswith(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}\n")
    with pytest.warns(ConvergenceWarning, match="lbfgs did not converge after 2 iterations: .*raise max_iter"):
        model.set_params(max_iter=2, warm_start=True, tol=1e-9).fit(X, y)
    assert model.score(X, y) > 0.99  # it continued
    with pytest.warns(ConvergenceWarning, match="raise max_fun, or scale X") as said:
        model.set_params(max_iter=200, max_fun=3).fit(X, y)
    assert said[0].filename == __file__


@pytest.mark.parametrize("kind", KINDS)
def test_lbfgs_that_begins_at_a_minimum_has_a_loss(kind):
    X, y = data("float64")
    y = y if kind is MLPRegressor else y > 0
    ours, expected = (
        getattr(place, kind.__name__)(**SMALL | {"solver": "lbfgs", "tol": 1e9}).fit(X, y)
        for place in (jitnet.sklearn, theirs)
    )
    assert ours.n_iter_ == expected.n_iter_ == len(ours.loss_curve_) == 0
    assert np.isclose(ours.loss_, expected.loss_, rtol=1e-12)
