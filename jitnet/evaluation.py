"""The output of a network, its labels, loss and accuracy, and the gradients of a batch."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import arrays, checks, labels, losses
from . import backend as backends
from .backend import Backend
from .compiler.types import BackendName, Matrix
from .distributed import Alone, Comm
from .labels import Task
from .losses import Loss, LossName
from .step import ROWS_AT_ONCE, Workspace, mean


def forward(net: Any, X: ArrayLike, backend: BackendName = "fast") -> Matrix:
    """Activations of the last layer.

    Formula   A^l = f(A^{l-1}·W^l + b^l), A^0 = X
    Shapes    X (m, n_in) -> (m, n_out)
    Errors    ValueError if X does not fit, is empty or contains NaN or infinity

    The result can contain infinity and NaN if X is too large for the dtype; in `predict`, `evaluate` and
    `gradients` these are errors.
    """
    chosen = backends.get(backend, net.dtype)
    inputs = arrays.inputs(net, X)
    with net._twin() as twin:
        replica = twin.on(chosen)
        if len(inputs) <= ROWS_AT_ONCE:
            return _output(replica, chosen, inputs, replica.workspace(len(inputs))).copy()
        output = np.empty((len(inputs), net.layers[-1].n_out), net.dtype)
        for rows, work in _portions(replica, len(inputs)):
            output[rows] = _output(replica, chosen, inputs[rows], work)
        return output


FEW = 32
"""The largest number of samples for which the calls of `forward` are reused, which copies the samples each time."""


def _output(net: Any, backend: Backend, X: Matrix, work: Workspace) -> Matrix:
    """The output for X, in the work space. For few samples the bound calls are kept: making them takes longer."""
    if work.bound_forward and work.bound_forward[0] is backend:
        work.X[...] = X
        for kernel, arguments in work.bound_forward[1]:
            kernel(*arguments)
        return work.A[-1]  # type: ignore[no-any-return]
    calls = net.pass_forward(backend.to_device(X), work)
    net.execute(backend, "forward", calls)  # compiles the kernels
    if work.m <= FEW and not backend.is_remote and not backend.can_use_threads(calls):
        work.bound_forward = backend, backend.bound(net.pass_forward(work.X, work), net.dtype)
    return backend.to_host(work.A[-1])  # type: ignore[no-any-return]


def _portions(net: Any, m: int) -> Iterator[tuple[slice, Workspace]]:
    for start in range(0, m, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, m)
        yield slice(start, stop), net.workspace(stop - start)


def predict(net: Any, X: ArrayLike, backend: BackendName = "fast") -> NDArray[Any]:
    """`Network.predict`, for arrays."""
    A: NDArray[Any] = forward(net, X, backend)
    arrays.expect_finite_results("output", A)
    task = task_of(net)
    if task == "numbers":
        return A
    chosen: NDArray[Any] = decided(A, task)
    if net._classes is not None and task != "multilabel":
        chosen = net._classes[chosen]
    return chosen


def task_of(net: Any) -> Task:
    """The task that the network was trained for; before training, the one that its last layer suggests."""
    if net.task:
        return net.task  # type: ignore[no-any-return]
    last = net.layers[-1]
    is_classifier = last.activation == "softmax" or (last.activation == "sigmoid" and last.n_out == 1)
    return "classes" if is_classifier else "numbers"


def decided(A: Matrix, task: Task) -> NDArray[np.int64]:
    """The position of the class, (m,); for several labels, 0 or 1 for each."""
    if task == "multilabel":
        return (A > 0.5).astype(np.int64)
    if A.shape[1] == 1:
        return (A[:, 0] > 0.5).astype(np.int64)
    chosen: NDArray[np.int64] = A.argmax(axis=1)  # int64, since Numba runs on 64 bits only
    return chosen


def _loss(net: Any, name: str | Loss | None) -> Loss:
    return losses.get(net.loss if name is None else name, net.layers[-1].activation)


def _validated(
    net: Any, X: ArrayLike, Y: ArrayLike, loss: Loss, sample_weight: ArrayLike | None
) -> tuple[Matrix, labels.Targets, NDArray[Any] | None]:
    inputs, wanted = labels.inputs_and_targets(net, X, Y, loss, net._classes)
    return inputs, wanted, None if sample_weight is None else arrays.weights(sample_weight, len(inputs))[0]


def evaluate(
    net: Any,
    X: ArrayLike,
    Y: ArrayLike,
    loss: LossName | Loss | None = None,
    backend: BackendName = "fast",
    *,
    sample_weight: ArrayLike | None = None,
) -> dict[str, float]:
    """The loss and, for labels, the accuracy: {"loss": ..., "accuracy": ...}.

    Shapes    X (m, n_in), Y (m, n_out), or labels (m,) of any kind; sample_weight (m,), for weighted means of both
    loss      None selects the one of the training, or the one that suits the last layer
    Errors    as for `gradients`, and if the loss of a sample is not finite

    The accuracy is the fraction of samples with the right label; with several labels of 0 and 1, all must be right. A
    model of `jitnet train` takes rows and targets in the form of its file; the loss is that of the prepared targets.
    """
    which = _loss(net, loss)
    if net.recipe is not None:
        X, Y = net.prepared(X, Y)
    inputs, wanted, weights = _validated(net, X, Y, which, sample_weight)
    with net._twin() as twin:
        chosen = backends.get(backend, net.dtype)
        measured: dict[str, float] = twin.measure(chosen, inputs, wanted.Y, which, wanted.task, weights)
        return measured


def measure(
    net: Any, backend: Backend, X: Matrix, Y: Matrix, loss: Loss, task: Task, weights: NDArray[Any] | None = None,
    comm: Comm | None = None,
) -> dict[str, float]:  # fmt: skip
    """`evaluate` for validated arrays. Each rank of `comm` evaluates some blocks of samples; all add up the results."""
    replica, ranks = net.on(backend), comm or Alone()
    total_weight = float(len(X)) if weights is None else float(weights.sum())
    portions, sums = list(_portions(replica, len(X))), []
    with ranks.together():
        for rows, work in portions[ranks.part(len(portions))]:
            replica.execute(backend, "forward", replica.pass_forward(backend.to_device(X[rows]), work, loss.reads_Z))
            replica.execute(backend, "output", replica.pass_output(backend.to_device(Y[rows]), loss, work))
            sample_losses = backend.to_host(work.losses)
            arrays.expect_finite_results("loss", sample_losses, rows.start)
            w = None if weights is None else weights[rows]
            is_right = None if task == "numbers" else _are_right(backend.to_host(work.A[-1]), Y[rows], task)
            sums.append((_weighted_sum(sample_losses, w), 0.0 if is_right is None else _weighted_sum(is_right, w)))
    totals, rights = zip(*itertools.chain(*ranks.allgather(sums)), strict=True)
    accuracy = {} if task == "numbers" else {"accuracy": _sum_in_order(rights) / total_weight}
    return {"loss": _sum_in_order(totals) / total_weight, **accuracy}


def _are_right(A: Matrix, Y: Matrix, task: Task) -> NDArray[np.bool_]:
    """True for each sample with the right label or, with several labels, for each of which all are right."""
    is_right = np.equal(decided(A, task), decided(Y, task))
    return np.all(is_right, axis=1) if task == "multilabel" else is_right


def _weighted_sum(values: NDArray[Any], weights: NDArray[Any] | None) -> float:
    return float(values.sum(dtype=np.float64) if weights is None else values @ weights)


def _sum_in_order(sums: Sequence[float]) -> float:
    """The sum, rounded after each addition; `sum` rounds otherwise from Python 3.12 on."""
    return functools.reduce(operator.add, sums, 0.0)


def gradients(
    net: Any,
    X: ArrayLike,
    Y: ArrayLike,
    loss: LossName | Loss | None = None,
    backend: BackendName = "fast",
    *,
    sample_weight: ArrayLike | None = None,
) -> tuple[float, list[Any]]:
    """The loss of one batch and its gradient with respect to every parameter, by backpropagation.

    Formula   delta^L = ∂L/∂A^L ⊙ f'(Z^L), delta^l = (delta^{l+1}·(W^{l+1})ᵀ) ⊙ f'(Z^l),
              dW^l = (A^{l-1})ᵀ·delta^l, db^l = Σ_rows delta^l
    Shapes    X (m, n_in), Y (m, n_out) or labels (m,) -> L, and per layer copies: of a Dense dW (n_in, n_out),
              db (n_out,) or None, delta = ∂L/∂Z (m, n_out); of a LayerNorm dgamma (n,), dbeta (n,),
              delta = ∂L/∂A (m, n); of a Dropout, which is skipped, three None. sample_weight w (m,): L is then
              Σ_i w[i]·losses[i] / Σ_i w[i]
    Errors    ValueError if X or Y do not fit, are empty or not finite, or loss and last layer do not match;
              or if the loss of a sample, or a gradient, is not finite
    """
    chosen, which = backends.get(backend, net.dtype), _loss(net, loss)
    inputs, wanted, weights = _validated(net, X, Y, which, sample_weight)
    work = Workspace(net.layers, len(inputs), net.dtype, chosen.memory)
    with net._twin() as twin:
        replica = twin.on(chosen)
        on_device = chosen.to_device(inputs)
        if weights is not None:
            work.w = chosen.to_device(weights.astype(net.dtype))
        replica.execute(chosen, "gradients", [
            *replica.pass_forward(on_device, work, which.reads_Z),
            *replica.pass_output(chosen.to_device(wanted.Y), which, work, weights is not None),
            *replica.pass_back(on_device, work),
        ])  # fmt: skip
        if replica is not twin:
            twin.grad[...] = chosen.to_host(replica.grad)
        net.grad[...] = twin.grad
        sample_losses = chosen.to_host(work.losses)
        arrays.expect_finite_results("loss", sample_losses)
        if not np.isfinite(twin.grad).all():
            raise checks.Error(f"the gradient is not finite in {net.dtype}: {arrays.TOO_LARGE}")
        grads = [
            layer.gradient_copies(None if layer.only_in_training else chosen.to_host(delta))
            for layer, delta in zip(twin.layers, work.delta, strict=True)
        ]
    return mean(sample_losses, weights), grads
