"""Labels of any kind: text, True and False, whole numbers. A network computes with their positions 0, 1, 2, ...

The classes are the labels in the order of the outputs of the network. They are sorted, unless the user sets them.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import arrays, checks
from .canonical import canonical
from .compiler.types import Matrix
from .layers import Layer
from .losses import Loss

CALLER = 7
"""The stack level of the line that called `fit`, for a warning about labels."""

Task = Literal["classes", "multilabel", "numbers"]
"""What the outputs mean: one class of several, several labels that are each 0 or 1, or numbers."""


class Targets(NamedTuple):
    """Targets as numbers, and what they mean."""

    Y: Any
    """The matrix (m, n_out) for the kernels."""
    task: Task
    classes: NDArray[Any] | None
    """The labels in the order of the outputs, if Y has labels."""


def inputs_and_targets(
    net: Any,
    X: ArrayLike,
    Y: ArrayLike,
    loss: Loss,
    classes: NDArray[Any] | None,
    learns: bool = False,
    part: Callable[[int], slice] | None = None,
) -> tuple[Matrix, Targets]:
    """X as the matrix (m, n_in) and Y, or labels (m,), as the matrix (m, n_out) for the kernels of this network.

    classes   those of the network; None with `learns` takes them from Y
    part      see `arrays.samples`
    Errors    ValueError as for `arrays.samples` and `arrays.targets`; for labels that are mixed, missing or of no
              class, for more or fewer classes than units, and with `learns` for a single class
    """
    inputs, last = arrays.inputs(net, X, part), net.layers[-1]
    numbers, task, found = _understood(Y, len(inputs), last, loss, classes, learns)
    return inputs, Targets(arrays.targets(numbers, len(inputs), last.n_out, loss, net.dtype), task, found)


def _understood(
    Y: ArrayLike, m: int, last: Layer, loss: Loss, classes: NDArray[Any] | None, learns: bool
) -> tuple[Any, Task, NDArray[Any] | None]:
    """Y with positions in place of labels, the task, and the classes if Y has labels."""
    if isinstance(Y, np.ma.MaskedArray) and np.ma.is_masked(Y):  # pandas has masks of another kind
        raise checks.Error("Y has masked values; leave these samples out, with Y.compressed() and X[~Y.mask]")
    arrays.expect_unmasked("Y", Y)
    array = _array(Y)
    if array.dtype.kind == "U" and array.ndim != 1:
        fix = "write np.ravel(Y)" if array.size == m else f"Y needs ({m},)"
        raise checks.Error(f"Y has shape {array.shape}, but labels are one per sample; {fix}")
    if array.ndim == 1 and array.size and _are_labels(array, last):
        found = _classes(array, last.n_out, learns) if classes is None else classes
        return positions(array, found, "; for other classes use a new network" if learns else ""), "classes", found
    is_bool, is_text = array.dtype.kind == "b", array.dtype.kind == "U" and not arrays.can_be_numbers(array)
    if array.ndim == last.n_out == 1 and (is_text or (is_bool and loss.targets == "signs")):
        what = "text, but the last layer has one unit for numbers"
        if is_bool:
            what = f"True and False; for one unit of {loss.name} write np.where(Y, 1, -1)"
        layer = f"Dense({last.n_in}, {max(len(np.unique(array)), 2)})"
        raise checks.Error(f"Y holds {what}; labels need one unit per class: {layer}")
    numbers = Y if array.dtype.kind == "O" else array  # arrays.targets says how to convert others
    return numbers, _task(array, last, loss), None


def _are_labels(array: NDArray[Any], last: Layer) -> bool:
    """One unit has labels only with sigmoid, and only if Y is text, booleans, or numbers with two different values."""
    if array.dtype.kind not in "biuU" and not _whole(array):
        return False
    if last.n_out > 1:
        return True
    if last.activation != "sigmoid":
        return False
    return array.dtype.kind in "bU" or bool(((array == 0) | (array == 1)).all()) or len(np.unique(array)) <= 2


def _task(array: NDArray[Any], last: Layer, loss: Loss) -> Task:
    """The task, for rows of numbers and for one number per sample."""
    if last.activation == "softmax" or (array.ndim == 1 and last.n_out > 1):
        return "classes"
    if last.activation == "sigmoid" and array.dtype.kind in "biuf" and ((array == 0) | (array == 1)).all():
        if last.n_out == 1:
            return "classes"
        if loss.targets == "probabilities":
            return "multilabel"
    return "numbers"


def _whole(array: NDArray[Any]) -> bool:
    """True for floating-point numbers that are all whole; NaN and infinity are not."""
    with np.errstate(all="ignore"):
        return array.dtype.kind == "f" and bool((array == np.rint(array)).all() and np.isfinite(array).all())


def _array(Y: ArrayLike) -> NDArray[Any]:
    """Y as an array of text, booleans or numbers; anything else is returned unchanged."""
    array = arrays.converted("Y", Y)
    if array.dtype.kind == "U" and isinstance(Y, list | tuple):
        array = np.array(Y, object)  # np.asarray has turned numbers among text into text
    if array.dtype.kind == "O" and array.ndim:
        return _of_one_kind(array)
    if array.dtype.kind == "S":
        raise checks.Error("Y holds bytes; turn them into text, as in numpy.char.decode(Y)")
    return _of_one_kind(array.astype(object)) if array.dtype.kind == "T" else array


def _of_one_kind(array: NDArray[Any]) -> NDArray[Any]:
    """Objects as text, booleans or numbers."""
    kinds = {str: str, bool: bool, np.bool_: bool, int: int, float: float}

    def kind(value: Any) -> Any:
        for type_, known in kinds.items():
            if isinstance(value, type_):
                return known
        return int if isinstance(value, np.integer) else float if isinstance(value, np.floating) else None

    values = list(array.flat)
    found = [kind(value) for value in values]
    for i, (value, of_value) in enumerate(zip(values, found, strict=True)):
        place = ", ".join(str(int(index)) for index in np.unravel_index(i, array.shape))
        is_missing = value is None or type(value).__name__ in ("NAType", "NaTType")
        if is_missing or (of_value is float and math.isnan(value)):
            raise checks.Error(f"Y[{place}] is {checks.shown(value)}: a label is missing; leave this sample out")
        if of_value is None or (of_value is not found[0] and not {of_value, found[0]} <= {int, float}):
            other = f"and Y[{', '.join('0' * array.ndim)}] is {checks.shown(values[0])}"
            what = other if of_value else f"a {type(value).__name__}"
            raise checks.Error(
                f"Y[{place}] is {checks.shown(value)}, {what}; labels must be all text, all numbers, or all True and "
                "False"
            )
    try:
        return array.astype(float if float in found else found[0] if found else float)
    except OverflowError:
        raise checks.Error("Y holds whole numbers of more than 63 bits; write them as text") from None


def _classes(labels: NDArray[Any], n_out: int, learns: bool) -> NDArray[Any]:
    """The labels in the order of the outputs: 0 to n_out − 1, or the distinct labels, sorted."""
    units = max(n_out, 2)  # one sigmoid tells two classes apart
    is_text = labels.dtype.kind == "U"
    different = _of_one_spelling(np.unique(labels)) if is_text and learns else labels
    if learns and (different == different[0]).all():
        raise checks.Error(
            f"Y has one class only, {checks.shown(different[0].item())}, so there is nothing to learn; add samples "
            "of other classes, or set net.classes to all classes first"
        )
    if labels.dtype.kind == "b" and units == 2:
        return np.array([False, True])
    if not is_text and labels.min() >= 0 and labels.max() < units:
        return np.arange(units)
    if not learns:
        unnamed = f"label Y[0] is {checks.shown(labels[0].item())}, but the network has no classes"
        wrong = unnamed if is_text else _outside(labels, n_out)
        raise checks.Error(f"{wrong}; set net.classes to the labels, in the order of the outputs")
    found = np.unique(different)
    if len(found) != units:
        names = checks.some([str(label) for label in found], most=10)
        has = "" if is_text else f"{_outside(labels, n_out)}; "
        but = f", but the last layer has {checks.count(n_out, 'unit')}" if is_text else ""
        raise checks.Error(f"{has}Y has {len(found)} classes ({names}){but}; use as many units")
    return _copy_of_classes(found)


def _outside(labels: NDArray[Any], n_out: int) -> str:
    units = max(n_out, 2)
    wrong = int(((labels < 0) | (labels >= units)).argmax())
    return (
        f"label Y[{wrong}] is {checks.shown(labels[wrong].item())}, but the last layer has "
        f"{checks.count(n_out, 'unit')}: labels run from 0 to {units - 1}"
    )


def _copy_of_classes(classes: NDArray[Any]) -> NDArray[Any]:
    """A copy of the classes, with whole numbers as int64: 1 and 1.0 are one label."""
    if classes.dtype.kind in "uf":
        largest = max(classes.tolist(), key=abs)
        if abs(largest) >= 2**63:
            raise checks.Error(f"label {largest} has more than 63 bits; write labels as text")
        return classes.astype(np.int64)
    return classes.astype(np.int64) if classes.dtype.kind == "i" else classes.copy()


def _of_one_spelling(labels: NDArray[Any]) -> NDArray[Any]:
    """Different texts, each value once: of "1", "1.0" and "2.0", "1" and "2.0" are left, and a warning says so."""
    names = list(map(canonical, labels.tolist()))
    times = Counter(names)
    if len(times) == len(names):
        return labels
    pairs = list(zip(names, labels.tolist(), strict=True))
    alike = checks.some([checks.shown(text) for name, text in pairs if times[name] > 1], 6)
    warnings.warn(
        f"labels that differ only in spelling become one class: {alike} (net.classes = [...] keeps them apart)",
        stacklevel=CALLER,
    )
    return np.unique([name if times[name] > 1 else text for name, text in pairs])


def _places(labels: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    """The position of each label among the classes, or −1.

    Text equals a label of another spelling or kind if both are one value in a table: "1", " 1.0", 1 and 1.0.
    """
    is_text, found = labels.dtype.kind == "U", np.full(len(labels), -1, np.int64)
    if is_text == (classes.dtype.kind == "U"):
        order = np.argsort(classes, kind="stable")
        found = np.asarray(order[np.minimum(np.searchsorted(classes[order], labels), len(classes) - 1)], np.int64)
        found[classes[found] != labels] = -1
        if not is_text:
            return found
    rest = found < 0
    different, codes = np.unique(labels[rest], return_inverse=True)
    place = _spellings(classes.tolist())
    found[rest] = np.array([place.get(canonical(label), -1) for label in different.tolist()], np.int64)[codes]
    return found


def _spellings(labels: list[Any]) -> dict[str, int]:
    """The position of each value; without those that several labels spell."""
    names = list(map(canonical, labels))
    times = Counter(names)
    return {name: j for j, name in enumerate(names) if times[name] == 1}


def positions(labels: NDArray[Any], classes: NDArray[Any], fix: str = "") -> NDArray[np.int64]:
    """The position of each label among the classes.

    Errors    ValueError for the first label that is not among them; `fix` is the end of its message
    """
    found = _places(labels, classes)
    if (found >= 0).all():
        return found
    i = int((found < 0).argmax())
    raise checks.Error(
        f"label Y[{i}] is {checks.shown(labels[i].item())}, but the network has the classes "
        f"{checks.some([checks.shown(label) for label in classes.tolist()])}{fix}"
    )


def checked(classes: ArrayLike | None, n_out: int) -> NDArray[Any] | None:
    """Classes from a user or a file, checked: one-dimensional, distinct, as many as the network can distinguish."""
    if classes is None:
        return None
    array = _array(classes)
    units = max(n_out, 2)
    if array.ndim != 1 or array.dtype.kind not in "biuUf" or (array.dtype.kind == "f" and not _whole(array)):
        raise checks.Error(
            f"classes are {checks.shown(classes)}, but must be a list of text, of whole numbers, or of True and False"
        )
    if len(array) != units or len(np.unique(array)) != units:
        raise checks.Error(
            f"classes are {checks.shown(array.tolist())}, but the last layer has {checks.count(n_out, 'unit')} and "
            f"needs {units} different ones"
        )
    return _copy_of_classes(array)


def class_weights(weights: Any, wanted: Targets, classes: NDArray[Any] | None) -> NDArray[np.float64]:
    """The weight of each sample's class; a class that a dict omits has weight 1.

    "balanced" gives n / (k · samples of the class), where k is the number of classes with samples.
    """
    Y = wanted.Y
    if wanted.task != "classes" or not ((Y == 0) | (Y == 1)).all():
        raise checks.Error("class_weight needs labels, one class per sample; for other targets use sample_weight")
    of_samples = Y[:, 0].astype(np.int64) if Y.shape[1] == 1 else Y.argmax(axis=1)
    counts = np.bincount(of_samples, minlength=max(Y.shape[1], 2))
    if isinstance(weights, str) and weights == "balanced":
        with np.errstate(divide="ignore"):
            factors = len(Y) / (np.count_nonzero(counts) * counts)
    elif isinstance(weights, Mapping):
        factors = _given_class_weights(weights, list(range(len(counts))) if classes is None else classes.tolist())
    else:
        raise checks.Error(f'class_weight is {checks.shown(weights)}, but must be "balanced" or a dict of labels')
    return np.asarray(factors[of_samples], np.float64)


def _given_class_weights(weights: Mapping[Any, Any], classes: list[Any]) -> NDArray[np.float64]:
    """The weight of each class; 1 for a class that `weights` omits."""
    positions_of, factors, named = _spellings(classes), np.ones(len(classes)), dict[int, Any]()
    for label, weight in weights.items():
        value = label.item() if isinstance(label, np.generic) else label
        place = positions_of.get(canonical(value)) if isinstance(value, (str, int, float)) else None
        place = classes.index(value) if value in classes else place
        if place is None:
            known = checks.some([checks.shown(name) for name in classes])
            raise checks.Error(f"class_weight has {checks.shown(value)}, but the classes are {known}")
        if place in named:
            raise checks.Error(
                f"class_weight has {checks.shown(named[place])} and {checks.shown(value)}, which are one class; "
                "leave one out"
            )
        named[place] = value
        factors[place] = checks.number(f"class_weight[{checks.shown(value)}]", weight, least=0)
    return factors
