"""Shared by both estimators: the parameters, one training by `Network.fit`, and the records after each epoch."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import arrays, checks
from ..layers import Dense
from ..network import Network
from ..step import ROWS_AT_ONCE, order_of
from ..training.loop import Diverged
from . import lbfgs
from .penalty import PenalizedAdam, PenalizedMomentum, Penalty

ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
"""scikit-learn's name -> jitnet's."""

LOSSES = {"softmax": "cross_entropy", "logistic": "binary_cross_entropy", "identity": "half_squared_error"}
"""Output activation -> the loss."""


ONE_LOSS = "the squared error is the only loss; for counts, learn np.log1p(y), or use jitnet.Network"


def can_learn_in_parts(estimator: Any) -> bool:
    """partial_fit exists for the solvers that learn by batches."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver='adam' or 'sgd'")
    return True


class MLP(BaseEstimator):
    """The base of both estimators: one training by `Network.fit`, with a callback after each epoch."""

    _metric: Any
    best_loss_: Any
    best_validation_score_: Any
    validation_scores_: Any
    loss_curve_: list[float]

    def _store(self, given: dict[str, Any]) -> None:
        """The parameters of `__init__`, as they were given; `fit` validates them."""
        for name, value in given.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        widths = self._check()
        if incremental and self.early_stopping:
            raise checks.Error("partial_fit does not support early_stopping=True: it would need other samples to stop")
        is_first = not hasattr(self, "network_") or not (self.warm_start or incremental)
        dtype = (np.float64, np.float32) if is_first else self.network_.dtype
        for what, values in (("X", X), ("y", y), ("sample_weight", sample_weight)):
            arrays.expect_unmasked(what, values)
        X, Y, weights = self._prepared(X, y, sample_weight, is_first, dtype, incremental)
        rng = check_random_state(self.random_state)
        layers = self._layers([X.shape[1], *widths, Y.shape[1]])
        if is_first:
            self._begin(layers, X.dtype, rng)
        elif [layer.identity for layer in self.network_.layers] != [layer.identity for layer in layers]:
            wanted = Network(*layers, dtype=self.network_.dtype)
            raise checks.Error(f"{self.network_} cannot continue as {wanted}; fit with warm_start=False")
        if self.early_stopping != (self.validation_scores_ is not None):  # changed since the last fit
            self._expect_nothing()
        if self.solver == "lbfgs":
            self._minimize(X, Y, weights)
        else:
            self._train(X, Y, weights, incremental, rng)
        return self

    def _layers(self, widths: list[int]) -> list[Dense]:
        hidden, last = ACTIVATIONS[self.activation], ACTIVATIONS.get(self.out_activation_, self.out_activation_)
        names: list[Any] = [hidden] * (len(widths) - 2) + [last]
        return [Dense(n_in, n_out, f) for (n_in, n_out), f in zip(itertools.pairwise(widths), names, strict=True)]

    def _begin(self, layers: list[Dense], dtype: Any, rng: Any) -> None:
        """A new network with the initial weights of scikit-learn."""
        self.network_ = net = Network(*layers, dtype=dtype)
        for layer in net.layers:
            bound = np.sqrt((2 if self.activation == "logistic" else 6) / (layer.n_in + layer.n_out))
            layer.W = rng.uniform(-bound, bound, (layer.n_in, layer.n_out))
            layer.b = rng.uniform(-bound, bound, layer.n_out)
        self._name_outputs(net)
        self.n_layers_, self.n_outputs_ = len(layers) + 1, layers[-1].n_out
        self.t_, self.loss_curve_ = 0, []
        self._expect_nothing()

    def _expect_nothing(self) -> None:
        """Forget the best epoch."""
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _train(self, X: Any, Y: Any, weights: Any, incremental: bool, rng: Any) -> None:
        net, held_out = self.network_, None
        if self.early_stopping:
            X, Y, weights, held_out = self._split(X, Y, weights, rng)
        n = X.shape[0]
        m = self._batch_size(n)
        optimizer = self._optimizer()
        continues = incremental and net._state is not None and net._state.optimizer == optimizer.name
        if not continues:
            self._rate = float(self.learning_rate_init)
            self._latest_rate = [self._rate]
        self.n_iter_ = 0
        penalty = self._penalty(n, m, weights)
        object.__setattr__(optimizer, "penalty", penalty)  # shared by the copies that a schedule makes
        object.__setattr__(optimizer, "latest", self._latest_rate)
        best = net.theta.copy()

        def after_epoch(net: Network, history: Any) -> bool:
            loss = history.loss[-1] / (1 if is_classifier(self) else self.n_outputs_)
            if penalty is not None:
                loss, penalty.total = loss + penalty.total / n, 0.0
            before = self.best_validation_score_
            stops = self._note(loss, n, held_out)
            if held_out is not None and self.best_validation_score_ > before:  # of equal scores the first
                best[...] = net.theta
            return stops

        options: Any = {
            "epochs": 1 if incremental else self.max_iter, "optimizer": optimizer, "loss": LOSSES[self.out_activation_],
            "seed": int(rng.randint(2**31 - 1)), "callbacks": after_epoch, "resume": continues,
            "schedule": lambda epoch, history: self._rate / self.learning_rate_init,
        }  # fmt: skip
        try:
            stopped = self._fit_network(X, np.asarray(Y, net.dtype), weights, m, options)
        except Diverged as error:
            self._diverged(error)
        else:
            self._warn_of(stopped, incremental)
        if held_out is not None:
            net.theta[...] = best

    def _minimize(self, X: Any, Y: Any, weights: Any) -> None:
        net, self.n_iter_ = self.network_, 0
        Y = np.asarray(Y, net.dtype)
        objective = lbfgs.Objective(net, X, Y, weights, LOSSES[self.out_activation_], self.alpha)

        def note(total: float) -> None:
            self.loss_ = self.best_loss_ = total / (1 if is_classifier(self) else self.n_outputs_)

        def report() -> None:
            self.n_iter_ += 1
            note(objective.latest)
            self.loss_curve_.append(self.loss_)
            self._say(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")

        found = lbfgs.train(objective, net, self.tol, self.max_iter, self.max_fun, report)
        note(found.fun)  # it can converge without an iteration
        if not found.success:
            limit = "max_iter" if found.nit >= self.max_iter else "max_fun" if found.nfev > self.max_fun else ""
            fix = f"raise {limit}, or scale X" if limit else "scale X"
            message = f"lbfgs did not converge after {self.n_iter_} iterations: {found.message.strip(': ')}; {fix}"
            warnings.warn(message, ConvergenceWarning, stacklevel=4)

    def _batch_size(self, n: int) -> int:
        if self.batch_size == "auto":
            return min(200, n)
        if self.batch_size > n:
            warnings.warn(f"batch_size is {self.batch_size}, but there are {n} samples; it becomes {n}", stacklevel=5)
        return int(min(self.batch_size, n))

    def _penalty(self, n: int, m: int, weights: Any) -> Penalty | None:
        if self.alpha <= 0:
            return None
        sizes = [min(m, n - start) for start in range(0, n, m)]
        return Penalty(self.network_, self.alpha, sizes, 1.0 if weights is None else float(np.mean(weights)))

    def _fit_network(self, X: Any, Y: Any, weights: Any, m: int, options: dict[str, Any]) -> str:
        """The training itself, of a sparse X batch by batch; the reason why it stopped early, or ""."""
        net = self.network_
        if not sparse.issparse(X):
            return net.fit(X, Y, batch_size=m, shuffle=self.shuffle, sample_weight=weights, **options).stopped
        epochs = itertools.count(net._state.history.epochs if options["resume"] and net._state else 0)

        def batches() -> Iterator[tuple[Any, ...]]:
            return self._batches(X, Y, weights, order_of(len(Y), next(epochs), options["seed"], self.shuffle), m)

        return net.fit(batches, **options).stopped

    def _diverged(self, error: Diverged) -> None:
        """With early stopping, the best weights remain; without it this is an error."""
        if not self.early_stopping:
            raise Diverged(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to "
                f"be preprocessed. {error}", error.history,
            ) from None  # fmt: skip
        self.validation_scores_.append(math.nan)
        message = f"{error}; the weights with the best validation score are kept"
        warnings.warn(message, ConvergenceWarning, stacklevel=5)

    def _warn_of(self, stopped: str, incremental: bool) -> None:
        if stopped == "interrupted":
            warnings.warn("Training interrupted by user.", stacklevel=5)
        elif not incremental and not stopped:
            warnings.warn(
                f"training ended after max_iter={self.max_iter} epochs, and the loss could still fall: it hasn't "
                "converged", ConvergenceWarning, stacklevel=5,
            )  # fmt: skip

    def _name_outputs(self, net: Network) -> None:
        """Set the classes of the network."""

    def _batches(self, X: Any, Y: Any, weights: Any, order: Any, m: int) -> Iterator[tuple[Any, ...]]:
        """The batches of one epoch; only they are dense."""
        for start in range(0, len(order), m):
            rows = order[start : start + m]
            yield X[rows].toarray(), Y[rows], *(() if weights is None else (weights[rows],))

    def _split(self, X: Any, Y: Any, weights: Any, rng: Any) -> Any:
        """Training samples, and the validation samples that decide when to stop."""
        arrays = [X, Y] if weights is None else [X, Y, weights]
        stratify = Y if is_classifier(self) and Y.shape[1] == 1 else None
        parts = train_test_split(*arrays, random_state=rng, test_size=self.validation_fraction, stratify=stratify)
        if parts[1].shape[0] < 2:
            raise checks.Error(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        held_out = parts[1], self._answers(parts[3]), parts[5] if weights is not None else None
        return parts[0], parts[2], parts[4] if weights is not None else None, held_out

    def _note(self, loss: float, n: int, held_out: Any) -> bool:
        """Record an epoch, and set the learning rate of the next one; True ends the training."""
        self.loss_, self.n_iter_, self.t_ = loss, self.n_iter_ + 1, self.t_ + n
        self.loss_curve_.append(loss)
        self._say(f"Iteration {self.n_iter_}, loss = {loss:.8f}")
        if held_out is None:
            is_better = loss <= self.best_loss_ - self.tol
            self.best_loss_ = min(loss, self.best_loss_)
        else:
            X, wanted, weights = held_out
            A = self._outputs(X)
            is_finite = np.isfinite(A).all()
            score = float(self._metric(wanted, self._answers(A), sample_weight=weights)) if is_finite else math.nan
            self._say(f"Validation score: {score:f}")
            self.validation_scores_.append(score)
            is_better = score >= self.best_validation_score_ + self.tol
            self.best_validation_score_ = max(self.best_validation_score_, score)  # NaN is not larger
        self._no_improvement_count = 0 if is_better else self._no_improvement_count + 1
        if self.solver == "sgd" and self.learning_rate == "invscaling":
            self._rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t
        if self._no_improvement_count <= self.n_iter_no_change:
            return False
        what = "Training loss" if held_out is None else "Validation score"
        message = f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."
        if self.solver != "sgd" or self.learning_rate != "adaptive" or self._rate <= 1e-6:
            self._say(f"{message} Stopping.")
            return True
        self._rate, self._no_improvement_count = self._rate / 5, 0
        self._say(f"{message} Setting learning rate to {self._rate:f}")
        return False

    def _say(self, line: str) -> None:
        if self.verbose:
            print(line)

    def _optimizer(self) -> Any:
        if self.solver == "adam":
            return PenalizedAdam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        return PenalizedMomentum(self.learning_rate_init, self.momentum, bool(self.nesterovs_momentum))

    def _check(self) -> list[int]:
        """The widths of the hidden layers, after all parameters have been validated."""
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if np.ndim(sizes) else [sizes]
        checks.one_of("activation", self.activation, ACTIVATIONS)
        if (loss := getattr(self, "loss", "squared_error")) != "squared_error":
            raise checks.Error(f"loss is {checks.shown(loss)}, but {ONE_LOSS}")
        checks.one_of("solver", self.solver, ("sgd", "adam", "lbfgs"))
        checks.one_of("learning_rate", self.learning_rate, ("constant", "invscaling", "adaptive"))
        if self.batch_size != "auto":
            checks.whole("batch_size", self.batch_size, least=1)
        if self.n_iter_no_change != np.inf:
            checks.whole("n_iter_no_change", self.n_iter_no_change, least=1)
        checks.whole("max_iter", self.max_iter, least=1)
        checks.whole("max_fun", self.max_fun, least=1)
        for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping"):
            checks.flag(name, getattr(self, name))
        for name in ("alpha", "power_t", "tol"):
            checks.number(name, getattr(self, name), least=0)
        for name in ("learning_rate_init", "epsilon"):
            checks.number(name, getattr(self, name), above=0)
        checks.number("momentum", self.momentum, least=0, most=1)
        for name in ("beta_1", "beta_2"):
            checks.number(name, getattr(self, name), least=0, below=1)
        checks.number("validation_fraction", self.validation_fraction, above=0, below=1)
        return [checks.whole("hidden_layer_sizes", size, least=1) for size in sizes]

    def _outputs(self, X: Any) -> Any:
        """The output of the network for validated samples."""
        if not sparse.issparse(X):
            return self.network_.forward(X)
        starts = range(0, X.shape[0], ROWS_AT_ONCE)
        return np.vstack([self.network_.forward(X[start : start + ROWS_AT_ONCE].toarray()) for start in starts])

    def _outputs_of(self, X: Any) -> Any:
        check_is_fitted(self)
        arrays.expect_unmasked("X", X)
        return self._outputs(validate_data(self, X, accept_sparse="csr", dtype=self.network_.dtype, reset=False))

    @property
    def coefs_(self) -> list[Any]:
        """The weights W of each layer."""
        return [layer.W for layer in self.network_.layers]

    @property
    def intercepts_(self) -> list[Any]:
        """The bias b of each layer."""
        return [layer.b for layer in self.network_.layers]

    def __getstate__(self) -> dict[str, Any]:
        """For copy and pickle: with the state of the optimizer, so that partial_fit continues."""
        state: dict[str, Any] = super().__getstate__()
        net = state.get("network_")
        if net is not None and net._state is not None:
            of_training = {name: array for name, array in net.state_dict().items() if "." in name}
            state = {**state, "_training": (of_training, net._state.history)}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        of_training, history = state.pop("_training", (None, None))
        super().__setstate__(state)
        if of_training is not None:
            self.network_.load_state_dict({**self.network_.state_dict(), **of_training})
            self.network_._state.history = history  # type: ignore[union-attr]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
