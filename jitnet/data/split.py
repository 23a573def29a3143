"""Training samples and test samples."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import arrays, checks

Pair = tuple[NDArray[Any], NDArray[Any]]


def split(X: ArrayLike, y: ArrayLike, test: float = 0.2, seed: int = 0) -> tuple[Pair, Pair]:
    """Shuffle the samples and hold out some of them for testing.

    Shapes    X (n, ...), y (n, ...) -> (X, y) for training, (X, y) for testing, as arrays
    test      fraction of test samples, above 0 and below 1; each part has at least one sample
    seed      the same seed gives the same split
    Errors    ValueError if X and y differ in length, or there are fewer than two samples
    """
    X, y = (_array(what, values) for what, values in (("X", X), ("y", y)))
    checks.number("test", test, above=0, below=1)
    checks.whole("seed", seed, least=0)
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise checks.Error(f"X has shape {X.shape} and y {y.shape}, but both need one entry per sample")
    if len(X) < 2:
        raise checks.Error(f"cannot split {len(X)} samples in two; at least 2 are needed")
    order = np.random.default_rng(seed).permutation(len(X))
    held_out = min(max(round(test * len(X)), 1), len(X) - 1)
    test_rows, train_rows = order[:held_out], order[held_out:]
    return (X[train_rows], y[train_rows]), (X[test_rows], y[test_rows])


def _array(what: str, values: Any) -> NDArray[Any]:
    """As an array, with its mask if it has one."""
    if hasattr(values, "toarray"):  # scipy
        raise checks.Error(f"{what} is a sparse matrix; write {what}.toarray()")
    array = values if isinstance(values, np.ma.MaskedArray) else arrays.converted(what, values)
    return arrays.as_floats(values, array) if array.dtype.kind == "O" and arrays.is_numeric(values) else array


def split_rows(
    rows: NDArray[np.int64], codes: NDArray[np.int64] | None, test: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows for training and for testing, as `split` chooses them, but with each class in the training rows.

    codes    the class of each row of the table, or None without classes. If only the test rows have a class, one of its
             rows is exchanged for a row of the most frequent class
    """
    (train, _), (held_out, _) = split(rows, rows, test, seed)
    if codes is None:
        return train, held_out
    times = np.bincount(codes[train], minlength=int(codes[rows].max()) + 1)
    for code in np.unique(codes[held_out]):
        most = int(times.argmax())
        if times[code] == 0 and times[most] > 1:
            here, there = np.flatnonzero(codes[held_out] == code)[0], np.flatnonzero(codes[train] == most)[-1]
            train[there], held_out[here] = held_out[here], train[there]
            times[code], times[most] = 1, times[most] - 1
    return train, held_out
