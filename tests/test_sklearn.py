"""The estimators pass scikit-learn's checks, equal its own networks, and work with its tools."""

import doctest
import importlib
import pickle
import subprocess
import sys
import warnings
from unittest import mock

import numpy as np
import pytest

import jitnet

pytest.importorskip("sklearn", minversion="1.6", reason="scikit-learn is not installed")

from scipy import sparse
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from jitnet.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
KINDS = [MLPClassifier, MLPRegressor]
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 0, "learning_rate_init": 0.02}


def data(dtype="float32", n=61):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 5)).astype(dtype)
    return X, X[:, 0] - X[:, 1] * X[:, 2]


def labels(y, kind):
    return {
        "two": np.array(["no", "yes"])[(y > 0).astype(int)], "three": np.digitize(y, [-0.5, 0.5]) * 3 - 1,
        "several": np.stack([y > 0, y > 1, y < 1], 1).astype(int), "number": y, "numbers": np.stack([y, -2 * y], 1),
    }[kind]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_estimators_pass_the_checks_of_scikit_learn(kind):
    results = check_estimator(kind(max_iter=50), on_skip=None, on_fail=None)
    assert len(results) > 45
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("two", {}),
        ("three", {"solver": "sgd", "activation": "tanh", "alpha": 2.0}),
        ("several", {"activation": "logistic", "alpha": 0.5}),
        ("number", {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False, "alpha": 1.0}),
        ("number", {"solver": "sgd", "momentum": 1}),
        ("numbers", {"hidden_layer_sizes": (7, 3), "alpha": 0.3}),
        ("two", {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3}),
        ("three", {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1}),
        ("two", {"hidden_layer_sizes": 1, "activation": "identity", "batch_size": 1, "alpha": 0.0}),
        ("number", {"tol": 0.1, "n_iter_no_change": 2, "max_iter": 100}),
    ],
)
def test_weights_equal_those_of_scikit_learn(target, options):
    """Initial weights, batches, gradients, penalty, steps and stopping are the same; the last batch has 1 sample."""
    X, y = data()
    y = labels(y, target)
    options = {**SMALL, "shuffle": False, "batch_size": 20, **options}
    name = "MLPRegressor" if y.dtype.kind == "f" else "MLPClassifier"
    ours, expected = ((getattr(place, name)(**options).fit(X, y)) for place in (jitnet.sklearn, theirs))
    for mine, other in zip([*ours.coefs_, *ours.intercepts_], [*expected.coefs_, *expected.intercepts_], strict=True):
        assert mine.dtype == other.dtype
        assert np.allclose(mine, other, rtol=0, atol=5e-5)
    assert np.allclose(ours.loss_curve_, expected.loss_curve_, rtol=1e-4, atol=1e-5)
    assert np.allclose(ours.predict(X), expected.predict(X), atol=1e-4) if target[:6] == "number" else True
    if name == "MLPClassifier":
        assert np.allclose(ours.predict_proba(X), expected.predict_proba(X), atol=1e-4)
        assert np.allclose(ours.predict_log_proba(X), expected.predict_log_proba(X), atol=1e-3)
        assert (ours.predict(X) == expected.predict(X)).all()
    for attribute in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, attribute) == getattr(expected, attribute), attribute
    for attribute in ("loss_", "best_loss_"):
        assert np.isclose(getattr(ours, attribute), getattr(expected, attribute), rtol=1e-4)
    assert (ours.validation_scores_, ours.best_validation_score_) == (None, None)
    assert np.isclose(ours.score(X, y), expected.score(X, y), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_equal_those_of_scikit_learn(kind):
    mine, other = kind().get_params(), getattr(theirs, kind.__name__)().get_params()
    if kind is MLPClassifier:
        assert mine.pop("class_weight") is None
    assert mine.pop("loss", "squared_error") == other.pop("loss", "squared_error")  # scikit-learn has it from 1.7 on
    assert mine == other
    given = getattr(theirs, kind.__name__)(alpha=0.5).get_params()
    assert clone(kind(**given)).get_params() == {**kind().get_params(), "alpha": 0.5}


def test_sample_weights_equal_scikit_learn_and_multiply_class_weights():
    X, y = data()
    options = {**SMALL, "shuffle": False, "batch_size": 61, "alpha": 0.5}
    w = np.random.default_rng(1).uniform(0.5, 2, 61)
    ours, expected = (place(**options).fit(X, y, w) for place in (MLPRegressor, theirs.MLPRegressor))
    assert np.allclose(ours.coefs_[0], expected.coefs_[0], atol=5e-5)
    assert np.allclose(ours.loss_curve_, expected.loss_curve_, rtol=1e-4)
    Y = labels(y, "two")
    counts = {label: int(np.sum(label == Y)) for label in ("no", "yes")}
    balanced = {label: 61 / (2 * count) for label, count in counts.items()}
    each = np.array([balanced[label] for label in Y])
    a = MLPClassifier(**options, class_weight="balanced").fit(X, Y, w)
    b = MLPClassifier(**options, class_weight=balanced).fit(X, Y, w)
    c = MLPClassifier(**options).fit(X, Y, w * each)
    plain = MLPClassifier(**options).fit(X, Y, w)
    assert (a.coefs_[0] == b.coefs_[0]).all()
    assert np.allclose(a.coefs_[0], c.coefs_[0], atol=1e-6)
    assert not np.allclose(a.coefs_[0], plain.coefs_[0], atol=1e-4)


@pytest.mark.parametrize("target", ["two", "number"])
def test_sparse_rows_become_dense_batch_by_batch(target):
    X, y = data()
    X, y = np.where(X > 0.3, X, 0).astype(np.float32), labels(y, target)
    kind = MLPRegressor if target == "number" else MLPClassifier
    w = np.linspace(1, 2, 61)
    for options in ({"batch_size": 20}, {"early_stopping": True}):
        dense = kind(**SMALL, **options).fit(X, y, w)
        for form in (sparse.csr_matrix, sparse.csc_array):
            model = kind(**SMALL, **options).fit(form(X), y, w)
            for mine, other in zip(model.coefs_, dense.coefs_, strict=True):
                assert np.allclose(mine, other, atol=1e-6)
            assert np.array_equal(model.predict(form(X)), model.predict(X))
    parts = kind(**SMALL)
    for _ in range(3):
        parts.partial_fit(sparse.csr_matrix(X), y, **({} if target == "number" else {"classes": ["no", "yes"]}))
    assert len(parts.loss_curve_) == 3


def test_partial_fit_learns_in_parts():
    X, y = data()
    names = labels(y, "two")
    model = MLPClassifier(**SMALL)
    with pytest.raises(jitnet.Error, match="classes must be passed on the first call"):
        model.partial_fit(X, names)
    for start in range(0, 60, 20):
        model.partial_fit(X[start : start + 20], names[start : start + 20], classes=["yes", "maybe", "no"])
    assert model.classes_.tolist() == ["maybe", "no", "yes"]
    assert (model.t_, model.n_iter_, len(model.loss_curve_)) == (60, 1, 3)
    with pytest.raises(jitnet.Error, match="'no', 'yes'"):
        model.partial_fit(X, names, classes=["no", "yes"])
    with pytest.raises(jitnet.Error, match="perhaps"):
        model.partial_fit(X, np.where(y > 0, "perhaps", "no"))
    with pytest.raises(jitnet.Error, match="balanced"):
        MLPClassifier(class_weight="balanced").partial_fit(X, names, classes=["no", "yes"])
    with pytest.raises(jitnet.Error, match="early_stopping"):
        MLPRegressor(early_stopping=True).partial_fit(X, y)
    assert not hasattr(MLPRegressor(solver="lbfgs"), "partial_fit")


def test_score_compares_predictions_with_targets():
    """R² is not symmetric: it divides the error by the variance of its first argument."""
    X, y = data()
    model = MLPRegressor(**SMALL, early_stopping=True)
    model._metric = mock.Mock(return_value=0.5)
    model.fit(X, y)
    wanted, answers = zip(*(call.args for call in model._metric.call_args_list), strict=True)
    assert len(wanted) > 1
    assert all((other == wanted[0]).all() for other in wanted)
    assert not (answers[1] == answers[0]).all()


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_copy_continues_with_the_same_bits(solver):
    X, y = data()
    model = MLPRegressor(**{**SMALL, "solver": solver}).partial_fit(X, y).partial_fit(X, y)
    other = pickle.loads(pickle.dumps(model))
    assert (other.predict(X) == model.predict(X)).all()
    for _ in range(2):
        model.partial_fit(X, y)
        other.partial_fit(X, y)
        assert all((mine == theirs).all() for mine, theirs in zip(other.coefs_, model.coefs_, strict=True))
    assert not hasattr(clone(model), "network_")


def test_warm_start_continues_training():
    X, y = data()
    model = MLPClassifier(**SMALL, warm_start=True).fit(X, labels(y, "three"))
    first = model.loss_
    model.fit(X, labels(y, "three"))
    assert model.loss_ < first
    assert (model.n_iter_, len(model.loss_curve_)) == (12, 24)
    with pytest.raises(jitnet.Error, match="warm_start can only be used where `y` has the same classes"):
        model.fit(X, labels(y, "two"))
    with pytest.raises(jitnet.Error, match=r"Network 5-8-3 .* cannot continue as <Network 5-9-3"):
        model.set_params(hidden_layer_sizes=9).fit(X, labels(y, "three"))
    with pytest.raises(jitnet.Error, match=r"tanh.*fit with warm_start=False"):
        model.set_params(hidden_layer_sizes=8, activation="tanh").fit(X, labels(y, "three"))
    model.set_params(activation="relu", early_stopping=True).fit(X, labels(y, "three"))
    assert len(model.validation_scores_) == model.n_iter_
    model.set_params(early_stopping=False, solver="sgd").partial_fit(X, labels(y, "three"))
    assert model.best_loss_ == model.loss_
    cold = MLPClassifier(**SMALL).fit(X, labels(y, "three")).fit(X, labels(y, "three"))
    assert len(cold.loss_curve_) == 12


@pytest.mark.parametrize("kind", KINDS)
def test_early_stopping_holds_out_samples(kind):
    X, y = data(n=200)
    y = y if kind is MLPRegressor else labels(y, "three")
    model = kind(**{**SMALL, "max_iter": 300}, early_stopping=True, n_iter_no_change=3, tol=1e-3).fit(X, y)
    assert model.n_iter_ == len(model.validation_scores_) < 300
    assert model.best_validation_score_ == max(model.validation_scores_) > 0.3
    assert model.best_loss_ is None
    last = model.validation_scores_[-4:]
    assert max(last) < max(model.validation_scores_) + 1e-3
    with pytest.raises(jitnet.Error, match="The validation set is too small"):
        MLPRegressor(early_stopping=True).fit(X[:4], X[:4, 0])


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_of_equal_validation_scores_the_first_weights_are_kept(solver):
    """As in scikit-learn; few held-out samples often have the same accuracy."""
    X, y = data("float64", 120)
    options = {**SMALL, "solver": solver, "early_stopping": True, "shuffle": False, "tol": 0, "max_iter": 30}
    models = [kind(**options).fit(X, labels(y, "three")) for kind in (MLPClassifier, theirs.MLPClassifier)]
    assert models[0].validation_scores_.count(models[0].best_validation_score_) > 1
    np.testing.assert_allclose(*(model.predict_proba(X) for model in models), rtol=1e-4)


def test_data_frames_define_feature_names():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, y = data()
    frame = pandas.DataFrame(X, columns=list("abcde"))
    model = MLPClassifier(**SMALL).fit(frame, pandas.Series(labels(y, "two")))
    assert model.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[list("edcba")])


def test_estimators_work_in_pipelines_and_searches():
    X, y = data()
    names = labels(y, "three")
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SMALL))
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 10.0]}, cv=2).fit(X, names)
    assert 0.3 < search.best_score_ <= 1
    calibrated = CalibratedClassifierCV(MLPClassifier(**SMALL), cv=2).fit(X, names)
    assert np.allclose(calibrated.predict_proba(X).sum(axis=1), 1)


@pytest.mark.slow
def test_estimators_work_in_two_processes(tmp_path):
    joblib = pytest.importorskip("joblib")
    X, y = data()
    search = GridSearchCV(MLPRegressor(**SMALL), {"alpha": [1e-4, 1.0]}, cv=2, n_jobs=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    joblib.dump(search, tmp_path / "search.joblib")
    assert (joblib.load(tmp_path / "search.joblib").predict(X) == search.predict(X)).all()
    wild = MLPRegressor(solver="sgd", learning_rate_init=1e30, max_iter=5)
    with pytest.raises(jitnet.Diverged, match="non-finite parameter weights"):
        cross_val_score(wild, X, y, n_jobs=2, cv=2, error_score="raise")


def test_divergence_is_an_error():
    X, y = data()
    with pytest.raises(jitnet.Diverged, match="Solver produced non-finite parameter weights") as caught:
        MLPRegressor(solver="sgd", learning_rate_init=1e30, random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model = MLPRegressor(solver="sgd", learning_rate_init=1e30, early_stopping=True, random_state=0).fit(X, y)
    assert np.isnan(model.validation_scores_[-1])
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_fun": 0}, "max_fun is 0, but must be a whole number, at least 1"),
        ({"solver": "adams"}, "unknown solver 'adams'.*did you mean 'adam'"),
        ({"activation": "sigmoid"}, "unknown activation 'sigmoid'; known: identity, logistic"),
        ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes is 0, but must be a whole number, at least 1"),
        ({"hidden_layer_sizes": "10"}, "hidden_layer_sizes"), ({"alpha": -1}, "alpha is -1, but must be"),
        ({"batch_size": 0}, "batch_size is 0"), ({"batch_size": "all"}, "batch_size is 'all'"),
        ({"learning_rate": "fast"}, "unknown learning_rate 'fast'"), ({"max_iter": 1.5}, "max_iter is 1.5"),
        ({"learning_rate_init": 0}, "learning_rate_init is 0"), ({"tol": np.nan}, "tol is nan"),
        ({"momentum": 1.1}, "momentum is 1.1, but must be a number at least 0 and at most 1"),
        ({"validation_fraction": 1}, "validation_fraction is 1"), ({"warm_start": "no"}, "warm_start is 'no'"),
        ({"learning_rate_init": 1e-50}, r"^Adam\(lr=1e-50.*is 0 in float32"),
        ({"n_iter_no_change": 0}, "n_iter_no_change is 0"), ({"beta_1": 1.0}, "beta_1 is 1.0"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_wrong_parameters_are_an_error(kind, options, message):
    X, y = data()
    with pytest.raises(jitnet.Error, match=message):
        kind(**options).fit(X, y if kind is MLPRegressor else y > 0)


@pytest.mark.parametrize("kind", KINDS)
def test_masked_values_are_refused(kind):
    X, y = data()
    labels = y if kind is MLPRegressor else (y > 0).astype(int)
    masked = np.ma.masked_array(X, np.arange(X.size).reshape(X.shape) == 1)
    model = kind(max_iter=1, solver="sgd")
    for samples, targets, place in (
        (masked, labels, r"X\[0, 1\]"),
        (X, np.ma.masked_array(labels, y == y[0]), r"y\[0\]"),
    ):
        with pytest.raises(jitnet.Error, match=f"{place} is masked; leave masked samples out, or fill them"):
            model.fit(samples, targets)
    with pytest.raises(jitnet.Error, match=r"X\[0\] has masked values"):
        model.fit(list(masked), labels)
    with pytest.raises(jitnet.Error, match=r"sample_weight\[1\] is masked"):
        model.fit(X, labels, sample_weight=np.ma.masked_array(np.ones(len(X)), np.arange(len(X)) == 1))
    with pytest.raises(jitnet.Error, match=r"X\[0, 1\] is masked"):
        model.partial_fit(X, labels, **({} if kind is MLPRegressor else {"classes": [0, 1]})).predict(masked)


def test_another_loss_is_an_error():
    X, y = data()
    with pytest.raises(jitnet.Error, match=r"loss is 'poisson', but the squared error is the only loss; .* np\.log1p"):
        MLPRegressor(loss="poisson").fit(X, y)


def test_fit_prints_and_warns_like_scikit_learn(capsys):
    X, y = data()
    MLPRegressor(**{**SMALL, "max_iter": 2}, verbose=True).fit(X, y)
    assert capsys.readouterr().out.startswith("Iteration 1, loss = ")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MLPRegressor(**{**SMALL, "max_iter": 2}, batch_size=100).fit(X, y)
    assert [warning.filename for warning in caught] == [__file__] * 2
    assert "batch_size is 100, but there are 61 samples" in str(caught[0].message)
    assert "hasn't converged" in str(caught[1].message)


def test_fitted_network_is_a_jitnet_network():
    X, y = data()
    model = MLPClassifier(**SMALL).fit(X, labels(y, "two"))
    assert (model.network_.predict(X) == model.predict(X)).all()
    assert (jitnet.interop.from_sklearn(model).predict(X) == model.predict(X)).all()


@pytest.mark.parametrize("name", ["classifier", "regressor"])
def test_docstring_examples_run(name):
    failed, tried = doctest.testmod(importlib.import_module(f"jitnet.sklearn.{name}"))
    assert (failed, tried > 2) == (0, True)


def test_import_jitnet_does_not_import_scikit_learn():
    loaded = "print('sklearn' in sys.modules)"
    code = f"import jitnet, sys; {loaded}; jitnet.sklearn.MLPClassifier; {loaded}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_validation_samples_have_the_fractions_of_the_classes():
    Y = (np.arange(40) % 10 == 0).astype(float).reshape(40, 1)
    model = MLPClassifier(validation_fraction=0.5)
    model._answers = np.asarray  # it is not fitted
    for seed in range(5):
        _, of_training, _, _ = model._split(Y, Y, None, np.random.RandomState(seed))
        assert of_training.sum() == 2
