"""The results of a model on the test samples, next to a baseline without a model."""

import copy
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..compiler.types import BackendName
from ..network import Network
from .samples import Samples

SHOWN_CLASSES = 6
"""Up to this many classes, the confusion matrix is printed; above, the most frequent mistakes."""
MATRIX_CLASSES = 1000
"""Up to this many classes, there is a matrix; above, it would be nearly all zeros, and could exceed the memory."""


def of(net: Network, parts: Samples, backend: BackendName) -> dict[str, Any]:
    """Loss and accuracy, or error, on the test samples; the same for the best constant answer; the confusions."""
    X, Y = parts.test
    net = copy.copy(net)
    net.recipe = None  # these samples are prepared
    result: dict[str, Any] = {f"test_{name}": value for name, value in net.evaluate(X, Y, backend=backend).items()}
    A, target = net.forward(X, backend), parts.recipe.target
    if target.classes is None:  # the loss is of standardized numbers: give the error in the target's own unit
        wrong = A[:, 0].astype(np.float64) - Y[:, 0]
        result["test_rmse"] = math.sqrt(np.mean(wrong**2)) * target.scale
        spread = float(np.var(Y))
        result["test_r2"] = 1 - float(np.mean(wrong**2)) / spread if spread > 0 else math.nan
        mean = float(np.mean(parts.train[1], dtype=np.float64))
        result["baseline_answer"] = mean * target.scale + target.mean
        result["baseline_rmse"] = math.sqrt(np.mean((Y[:, 0].astype(np.float64) - mean) ** 2)) * target.scale
        return result
    classes = len(target.classes)
    most = int(np.bincount(parts.train[1], minlength=classes).argmax())
    result["baseline_answer"] = target.classes[most]
    result["baseline_accuracy"] = float(np.mean(most == Y))
    result["confusion"] = _confusion(target.classes, Y, A.argmax(axis=1))
    return result


def _confusion(classes: list[str], Y: NDArray[np.int64], answers: NDArray[np.int64]) -> dict[str, Any]:
    """The matrix, with a row for each class and a column for each answer; or [class, answer, count] of each pair."""
    pairs, counts = np.unique(Y.astype(np.int64) * len(classes) + answers, return_counts=True)
    if len(classes) > MATRIX_CLASSES:
        return {"classes": classes, "pairs": np.transpose([*divmod(pairs, len(classes)), counts]).tolist()}
    matrix = np.zeros((len(classes), len(classes)), np.int64)
    matrix.flat[pairs] = counts
    return {"classes": classes, "matrix": matrix.tolist()}


def in_words(result: dict[str, Any]) -> str:
    """The baseline and the confusions, as lines."""
    answer = result["baseline_answer"]
    if "baseline_rmse" in result:
        text = f"baseline: always predicting the mean, {answer:.4g}, has RMSE {result['baseline_rmse']:.4g}"
        return text + _verdict(result["test_rmse"], result["baseline_rmse"])
    right = f"{result['baseline_accuracy']:.2%}"
    text = f"baseline: always predicting {answer}, the most frequent class in training, is right for {right}"
    text += _verdict(1 - result["test_accuracy"], 1 - result["baseline_accuracy"])
    confusion = result["confusion"]
    classes, matrix = confusion["classes"], np.array(confusion.get("matrix", ()))
    if len(classes) <= SHOWN_CLASSES:
        return f"{text}\n{_table([checks.some([name], 1)[:20] for name in classes], matrix)}"
    pairs = confusion.get("pairs") or [[i, j, matrix[i, j]] for i, j in np.argwhere(matrix)]
    wrong = sorted((pair for pair in pairs if pair[0] != pair[1]), key=lambda pair: -pair[2])
    mistakes = [f"{classes[i]} as {classes[j]} ({number})" for i, j, number in wrong[:4]]
    return f"{text}; most frequent mistakes: {', '.join(mistakes)}" if mistakes else text


def _verdict(network: float, baseline: float) -> str:
    """What the errors of both, as they are printed, say about the network; nothing if it is better."""
    network, baseline = (float(f"{error:.4g}") for error in (network, baseline))
    if network < baseline:
        return ""
    return ": the network is worse" if network > baseline else ": the network is no better"


def _table(classes: list[str], matrix: Any) -> str:
    """A row for each true class, a column for each answer."""
    head = "true class"
    first = max(len(head), *map(len, classes))
    widths = [max(len(name), len(str(column.max()))) for name, column in zip(classes, matrix.T, strict=True)]
    answers = "  ".join(f"{name:>{width}}" for name, width in zip(classes, widths, strict=True))
    lines = [f"{head:<{first}}  answers: {answers}"]
    for name, row in zip(classes, matrix.tolist(), strict=True):
        cells = "  ".join(f"{number:>{width}}" for number, width in zip(row, widths, strict=True))
        lines.append(f"{name:<{first}}           {cells}")
    return "\n".join(lines)
