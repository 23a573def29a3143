"""The classifier: classes from outputs, and outputs from classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import _check_sample_weight, validate_data

from .. import checks
from ..network import Network
from .base import MLP, can_learn_in_parts


class MLPClassifier(ClassifierMixin, MLP):
    """A network that classifies, for scikit-learn: one class of several, or several labels per sample.

    hidden_layer_sizes   a number of units, or one for each hidden layer
    activation           of the hidden layers: "identity", "logistic", "tanh" or "relu"
    solver               "adam", "sgd", which has momentum, or "lbfgs": SciPy's L-BFGS-B on all samples at once, for
                         small data; it ignores batch_size, early_stopping and the parameters of the others
    alpha                L2 penalty: alpha/2 · Σ W², divided by the samples of the batch
    batch_size           "auto" is 200, or all samples if there are fewer
    learning_rate        of "sgd": "constant", "invscaling" (learning_rate_init / (samples seen + 1)^power_t), or
                         "adaptive" (a fifth after n_iter_no_change epochs without progress)
    learning_rate_init, power_t, momentum, nesterovs_momentum, beta_1, beta_2, epsilon    of the solvers
    max_iter             epochs at most; training ends after more than n_iter_no_change epochs without progress: a loss
                         that is lower by tol or, with early_stopping, an accuracy that is higher by tol on the
                         validation_fraction of the samples, and the best weights are then kept
    shuffle, random_state    as in scikit-learn
    warm_start           fit continues with the weights of the last fit
    class_weight         {class: weight} or "balanced", multiplied with sample_weight
    max_fun              of "lbfgs": passes over the samples at most, of which an iteration (max_iter) takes one or more

    Attributes    classes_, coefs_, intercepts_, n_iter_, loss_, best_loss_, loss_curve_, validation_scores_,
                  best_validation_score_, n_features_in_, feature_names_in_, out_activation_, n_layers_, n_outputs_, t_,
                  and network_, the `jitnet.Network`
    Dtype         that of X, float32 or float64; float32 trains faster
    Errors        ValueError; `jitnet.Diverged`, a ValueError, if the loss is not finite

    >>> from jitnet.sklearn import MLPClassifier
    >>> X, y = [[0.0], [1.0], [0.1], [0.9]], ["low", "high", "low", "high"]
    >>> MLPClassifier(8, learning_rate_init=0.1, random_state=0, tol=1e-2).fit(X, y).predict([[0.2], [0.8]]).tolist()
    ['low', 'high']
    """

    _metric = staticmethod(accuracy_score)

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        class_weight: Any = None,
        max_fun: int = 15000,
    ) -> None:
        self._store(locals())

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPClassifier:
        """Train on X (n, n_features) and y, labels (n,) or for several labels per sample rows of 0 and 1."""
        return self._fit(X, y, sample_weight, incremental=False)

    @available_if(can_learn_in_parts)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """One epoch on a part of the data; the first call needs all classes."""
        known = getattr(self, "classes_", None)
        if known is None and classes is None:
            raise checks.Error("classes must be passed on the first call to partial_fit: all labels there will be")
        if known is None:
            self._binarize(y if type_of_target(y).startswith("multilabel") else unique_labels(classes))
        elif classes is not None and not np.array_equal(known, unique_labels(classes)):
            raise checks.Error(f"classes are {classes}, but were {known.tolist()} in the first call")
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Any:
        """The most likely class of each sample, or all likely labels."""
        return self._answers(self._outputs_of(X))

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class (n, n_classes), in the order of classes_."""
        A = self._outputs_of(X)
        return np.hstack([1 - A, A]) if A.shape[1] == 1 else A

    def predict_log_proba(self, X: Any) -> Any:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _binarize(self, y: Any) -> None:
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _prepared(self, X: Any, y: Any, sample_weight: Any, reset: bool, dtype: Any, incremental: bool) -> Any:
        X, y = validate_data(self, X, y, accept_sparse="csr", multi_output=True, dtype=dtype, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._binarize(y)
        elif self.warm_start and set(found := unique_labels(y)) != set(self.classes_):
            raise checks.Error(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {found}"
            )
        elif len(new := np.setdiff1d(unique_labels(y), self.classes_)):
            raise checks.Error(f"y has the classes {new.tolist()}, which are none of {self.classes_.tolist()}")
        kind = self._label_binarizer.y_type_
        self.out_activation_ = "softmax" if kind == "multiclass" else "logistic"
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        if self.class_weight is not None:
            if incremental and isinstance(self.class_weight, str):
                raise checks.Error(
                    "class_weight='balanced' needs all samples, which partial_fit does not see; give a dict"
                )
            of_classes = compute_sample_weight(self.class_weight, y)
            weights = of_classes if weights is None else weights * of_classes
        return X, self._label_binarizer.transform(y).astype(bool), weights

    def _answers(self, A: Any) -> Any:
        return self._label_binarizer.inverse_transform(A.ravel() if A.shape[1] == 1 else A)

    def _name_outputs(self, net: Network) -> None:
        if self.out_activation_ == "softmax" or (net.layers[-1].n_out == 1 and len(self.classes_) == 2):
            net.classes = self.classes_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
