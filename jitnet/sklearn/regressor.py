"""The regressor: one number per sample, or several."""

from __future__ import annotations

from typing import Any

from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, validate_data

from .base import MLP, can_learn_in_parts


class MLPRegressor(RegressorMixin, MLP):
    """A network that learns numbers, for scikit-learn, by the squared error.

    The parameters and attributes are those of `MLPClassifier`, without class_weight and classes_. `loss` has only one
    value. With early_stopping, R² decides. Standardize X and, if its numbers are not near 1, y.

    >>> from jitnet.sklearn import MLPRegressor
    >>> model = MLPRegressor(8, activation="identity", learning_rate_init=0.05, random_state=0)
    >>> model.fit([[-1.0], [0.0], [1.0]], [-2.0, 0.0, 2.0]).predict([[0.5]]).round().tolist()
    [1.0]
    """

    _metric = staticmethod(r2_score)
    out_activation_ = "identity"

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
        max_fun: int = 15000,
        loss: str = "squared_error",
    ) -> None:
        self._store(locals())

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train on X (n, n_features) and y (n,) or (n, n_outputs)."""
        return self._fit(X, y, sample_weight, incremental=False)

    @available_if(can_learn_in_parts)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """One epoch on a part of the data."""
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Any:
        """The numbers of each sample, (n,) or (n, n_outputs)."""
        return self._answers(self._outputs_of(X))

    def _prepared(self, X: Any, y: Any, sample_weight: Any, reset: bool, dtype: Any, incremental: bool) -> Any:
        X, y = validate_data(
            self, X, y, accept_sparse="csr", multi_output=True, y_numeric=True, dtype=dtype, reset=reset
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        return X, y.reshape(len(y), -1), weights

    def _answers(self, A: Any) -> Any:
        return A.ravel() if A.shape[1] == 1 else A
