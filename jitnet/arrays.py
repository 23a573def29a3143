"""Arrays from users, validated and in the layout of the kernels."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import Error, NotFiniteError, count, reason, shown


def expect_unmasked(what: str, values: object) -> None:
    """An error for masked values: conversions ignore the mask and keep what is behind it."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        place = ", ".join(str(position) for position in np.argwhere(np.ma.getmaskarray(values))[0])
        raise Error(f"{what}[{place}] is masked; leave masked samples out, or fill them: {what}.filled(...)")
    if isinstance(values, (list, tuple)):
        for row, part in enumerate(values):
            if isinstance(part, np.ma.MaskedArray) and part.ndim and np.ma.is_masked(part):
                raise Error(f"{what}[{row}] has masked values; leave it out, or write np.ma.stack({what}).filled(...)")


def numeric(what: str, values: ArrayLike) -> NDArray[Any]:
    """An array of real numbers; for anything else, an error says how to convert it."""
    if type(values) is np.ndarray and values.dtype.kind in "fiub":
        return values
    _expect_array_like(what, values)
    array = converted(what, values)
    if array.dtype.kind == "O" and hasattr(values, "to_numpy"):  # pandas with bool columns, or with its own NA; polars
        try:
            array = as_floats(values, array)
        except (TypeError, ValueError, OverflowError) as error:
            _expect_number_columns(what, values)
            raise Error(f"{what} is a {type(values).__name__} that holds more than numbers: {reason(error)}") from None
    if array.dtype.kind not in "fiub":
        raise _error_of_other_dtype(what, array)
    return array


def _expect_array_like(what: str, values: Any) -> None:
    """An error for what NumPy would convert into something else than the numbers in it."""
    expect_unmasked(what, values)
    if hasattr(values, "toarray"):
        raise Error(f"{what} is a sparse matrix; write {what}.toarray()")
    if isinstance(values, Iterator):
        raise Error(f"{what} is a {type(values).__name__}; write np.array(list({what}))")
    if isinstance(values, Mapping):
        stack = "np.column_stack" if what == "X" else "np.array"  # of columns, and of labels or weights
        raise Error(f"{what} is a {type(values).__name__}; write {stack}(list({what}.values()))")
    if hasattr(values, "collect"):  # polars
        raise Error(f"{what} is a {type(values).__name__}; write {what}.collect()")
    _expect_no_dates(what, values)


def _error_of_other_dtype(what: str, array: NDArray[Any]) -> Error:
    """What is wrong with an array that does not hold real numbers, and how to convert it."""
    if array.dtype.kind not in "OUST":
        kind = "records" if array.dtype.names else f"{array.dtype} values"
        fix = "" if kind.startswith("|V") else _INSTEAD.get(array.dtype.kind, "").format(what)
        return Error(f"{what} holds {kind}, but must hold real numbers{fix}")
    fix = f"; write np.array({what}, float)" if can_be_numbers(array) else ""
    if array.dtype.kind != "O":
        return Error(f"{what} holds text, but must hold real numbers{fix}")
    odd = (i for i in np.ndindex(array.shape) if not isinstance(array[i], (int, float, np.number, np.bool_)))
    if (place := next(odd, None)) is None:
        return Error(f"{what} holds Python objects, but must hold real numbers{fix}")
    kind = type(array[place]).__name__
    if not place:
        return Error(f"{what} is a {kind}, but must be an array of real numbers{fix}")
    return Error(f"{_element(what, place)} is {shown(array[place])}, a {kind}, but must be a real number{fix}")


_INSTEAD = {
    "c": "; write np.hstack([{0}.real, {0}.imag]), or {0}.real",
    "V": "; write numpy.lib.recfunctions.structured_to_unstructured({0})",
    "M": "; write the days since a fixed date: ({0} - {0}.min()) / np.timedelta64(1, 'D')",
    "m": "; write {0} / np.timedelta64(1, 's')",
}
"""The kind of a dtype -> how to make numbers of it."""


def converted(what: str, values: ArrayLike) -> NDArray[Any]:
    """`np.asarray`; an error for lists of different lengths, and for tensors with gradients or on a GPU."""
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        problem = "is not a rectangular array" if "inhomogeneous" in str(error) else "cannot become a NumPy array"
        fix = f"; write {what}.float()" if "ScalarType" in str(error) else ""  # bfloat16 of PyTorch
        raise Error(f"{what} {problem}: {reason(error)}{fix}") from None


def can_be_numbers(array: NDArray[Any]) -> bool:
    """True if text or objects can all become finite numbers; NumPy makes NaN of None."""
    try:
        return bool(np.isfinite(array.astype(float)).all())
    except (TypeError, ValueError, OverflowError):
        return False


def as_floats(values: Any, array: NDArray[Any]) -> NDArray[Any]:
    """Numbers of pandas or polars of which NumPy makes objects: bools beside numbers, NA, decimals."""
    if hasattr(values, "iloc"):  # pandas
        return values.to_numpy(np.float64, na_value=math.nan)  # type: ignore[no-any-return]
    return array.astype(np.float64)


def is_numeric(frame: Any) -> bool:
    """Whether all columns of a DataFrame of pandas or polars are numbers or bools."""
    return hasattr(frame, "columns") and all(
        dtype.kind in "fiub" if hasattr(dtype, "kind") else dtype.is_numeric() for dtype in frame.dtypes
    )


def _expect_no_dates(what: str, frame: Any) -> None:
    """An error for a column of dates or times, which pandas and polars would convert to nanoseconds or days."""
    dtypes = getattr(frame, "dtypes", None)
    if isinstance(dtypes, list):  # polars
        dtypes = frame.schema
    elif dtypes is not None and not hasattr(dtypes, "items"):  # of a Series
        dtypes = {getattr(frame, "name", None): dtypes}
    for name, dtype in getattr(dtypes, "items", dict)():
        if getattr(dtype, "kind", "") in ("M", "m") or getattr(dtype, "is_temporal", bool)():
            named = "" if name is None else f", {shown(name)}"
            raise Error(f"{what} has a column of {dtype}{named}, but must hold real numbers; leave it out")


def _expect_number_columns(what: str, frame: Any) -> None:
    """An error for the first cell of a DataFrame that is not a number."""
    is_pandas = hasattr(frame, "iloc")
    for j, name in enumerate(getattr(frame, "columns", ())):
        for row, cell in enumerate(frame.iloc[:, j] if is_pandas else frame[:, j]):
            try:
                float(cell)
            except (TypeError, ValueError):
                if cell is None or type(cell).__name__ == "NAType":
                    continue
                column = f"{what}: column {shown(name)} holds"
                if not isinstance(cell, str):
                    raise Error(
                        f"{column} {shown(cell)} in row {row}, but must hold real numbers; leave it out"
                    ) from None
                encode = f"pd.get_dummies({what})" if is_pandas else f"{what}.to_dummies({shown(name)})"
                raise Error(
                    f"{column} text ({shown(cell)} in row {row}); leave it out, or encode it: {encode}; "
                    "`jitnet train` encodes it"
                ) from None


def _element(what: str, index: tuple[int, ...], start: int = 0) -> str:
    """`X[3, 0]`; `start` is the index of the first row."""
    return f"{what}[{', '.join(str(i + start * (axis == 0)) for axis, i in enumerate(index))}]"


def expect_finite(what: str, array: NDArray[Any], start: int = 0, given: Any = None) -> None:
    """An error for NaN and infinity.

    start    the index of array[0], for the message
    given    what the array was made from; if it is a DataFrame, the message names the column
    """
    if array.dtype.kind == "f" and not _is_finite(array):
        where = tuple(int(position) for position in np.argwhere(~np.isfinite(array))[0])
        is_frame = hasattr(given, "columns") and hasattr(given, "to_numpy")
        column = f", in column {shown(str(given.columns[where[1]]))}" if is_frame else ""
        raise Error(
            f"{_element(what, where, start)} is {array[where]}{column}; replace or leave out values that are not finite"
        )


def _is_finite(array: NDArray[Any]) -> bool:
    """One pass without a temporary array, since NaN and infinity survive sums; a second pass if the sum overflows."""
    if array.size <= 16 and array.itemsize <= 8:  # the numbers of longer types stay NumPy's, whose sums can warn
        total = sum(array.ravel().tolist())
    elif array.size < 4096:
        total = np.vdot(array, array)  # unlike np.dot, it never warns; np.errstate would take longer than the sum
    else:
        with np.errstate(all="ignore"):
            total = array.sum()
    return math.isfinite(total) or bool(np.isfinite(array).all())


def parameter(name: str, values: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """New values for a parameter: real numbers of its shape, finite in its dtype too."""
    array = numeric(name, values)
    if array.shape != shape:
        raise Error(f"{name} has shape {shape}, but was given {array.shape}")
    expect_finite(name, array)
    return _finite_in_dtype(name, array, dtype)


TOO_LARGE = "X, Y or the weights are too large; scale the inputs"


def expect_finite_results(what: str, results: NDArray[Any], start: int = 0) -> None:
    """Raise for the first sample whose `what` is not finite; `start` is the index of results[0]."""
    if not _is_finite(results):
        where = tuple(np.argwhere(~np.isfinite(results))[0])
        raise NotFiniteError(f"the {what} for X[{start + int(where[0])}] is {results[where]}: {TOO_LARGE}")


class _Unlocked:
    """An object from which NumPy makes a view of a read-only array without the read-only flag."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array  # keeps the owner of the memory alive
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def kernel_layout(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The array in the layout that kernels take: C order, aligned, and of the type for arrays that can be written.

    Copies only if necessary. Kernels only read their inputs, so a read-only array, such as a memory map, is not copied.
    """
    if type(array) is np.ndarray and array.dtype == dtype and array.flags.carray:  # in C order, aligned and writable
        return array
    with np.errstate(over="ignore"):
        result = np.require(array, dtype, ["C", "A"])
    return result if result.flags.writeable else np.asarray(_Unlocked(result))


def _finite_in_dtype(what: str, array: NDArray[Any], dtype: np.dtype[Any], rows: slice | None = None) -> NDArray[Any]:
    """A finite array in the kernels' layout and dtype; an error if these rows, or any, are not finite there."""
    result = kernel_layout(array, dtype)
    if result.dtype != array.dtype:  # 1e300 is finite, but not in float32
        rows = rows or slice(0, None)
        if not _is_finite(result[rows]):
            place = tuple(np.argwhere(~np.isfinite(result[rows]))[0].tolist())
            raise Error(
                f"{_element(what, place, rows.start)} is {array[rows][place]}, too large for {dtype}; scale {what} down"
            )
    return result


def samples(X: ArrayLike, n_in: int, dtype: np.dtype[Any], part: Callable[[int], slice] | None = None) -> NDArray[Any]:
    """X as (m, n_in), m ≥ 1, finite, in the dtype and layout of the kernels.

    part    number of rows -> the slice of a memory map that this process checks; other processes check the rest
    """
    array = numeric("X", X)
    if array.ndim != 2 or array.shape[1] != n_in:
        hint = ""
        if array.shape == (n_in,):
            hint = f"; for one sample write X.reshape(1, {n_in})"
        elif array.size and array.ndim and array.size == len(array) * n_in:
            hint = f"; write np.reshape(X, (-1, {n_in}))"
        raise Error(f"X has shape {array.shape}, but the first layer needs (m, {n_in}): one sample per row{hint}")
    if array.shape[0] == 0:
        raise Error("X is empty: it has no rows")
    rows = part(len(array)) if part is not None and _is_mapped(array) else None
    if rows is None:
        expect_finite("X", array, given=X)
    else:
        expect_finite("X", array[rows], rows.start)
    return _finite_in_dtype("X", array, dtype, rows)


def inputs(net: Any, X: ArrayLike, part: Callable[[int], slice] | None = None) -> NDArray[Any]:
    """`samples` for this network; for rows of a table, the error says how a model of `jitnet train` prepares them."""
    n_in = net.layers[0].n_in
    if (
        part is None and type(X) is np.ndarray and X.dtype is net.dtype and X.ndim == 2 and X.shape[1] == n_in
        and X.size and X.flags.carray and _is_finite(X)
    ):  # fmt: skip
        return X  # as `samples` would, in half of the time
    try:
        return samples(X, n_in, net.dtype, part)
    except Error:
        if getattr(net, "recipe", None) is None or (isinstance(X, np.ndarray) and X.shape[1:] == (n_in,)):
            raise
        raise Error(
            f"X must be prepared inputs (m, {n_in}) here; only predict and evaluate take rows as they are. Write "
            "recipe = jitnet.data.Recipe.from_plain(net.recipe), then recipe.X(jitnet.data.from_frame(X)); for fit and "
            "step, recipe.samples(X, Y, net.dtype) gives inputs and targets"
        ) from None


def _is_mapped(array: Any) -> bool:
    """True for a memory map, and for an array within one."""
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


def targets(Y: ArrayLike, m: int, n_out: int, loss: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Y as (m, n_out), finite, in range for the loss. Labels (m,) are converted to one-hot rows."""
    array = numeric("Y", Y)
    if array.ndim == 1 and array.shape == (m,) and n_out == 1:
        array = array.reshape(m, 1)
    if array.ndim == 1 and array.shape == (m,):
        return kernel_layout(one_hot(array, n_out), dtype)  # its rows suit every loss
    if array.ndim in (1, 2) and len(array) != m:
        raise Error(f"Y has shape {array.shape}, but X has {count(m, 'row')}; each row needs its target in Y")
    if array.shape != (m, n_out):
        labels = f" or labels ({m},)" if n_out > 1 else f" or ({m},)"
        if n_out > 1 and array.shape == (m, 1):
            labels += "; for labels write np.ravel(Y)"
        raise Error(f"Y has shape {array.shape}, but X and the last layer need ({m}, {n_out}){labels}")
    expect_finite("Y", array)
    if loss.targets == "signs":
        wrong = (array != 1) & (array != 0) & (array != -1)
        if wrong.any():
            fix = "write 1 for one class and -1 or 0 for the other; labels need one unit per class"
            raise Error(f"Y holds {array[wrong][0]:g}, but {loss.name} needs 1, 0 and -1 only; {fix}")
    elif loss.targets != "numbers" and (array.min() < 0 or array.max() > 1):
        raise Error(f"Y holds {array.min():g} to {array.max():g}, but {loss.name} needs probabilities from 0 to 1")
    if loss.targets == "distributions" and np.abs(array.sum(axis=1) - 1).max() > 1e-3:
        row = int(np.abs(array.sum(axis=1) - 1).argmax())
        raise Error(f"row {row} of Y adds up to {array[row].sum():g}, but {loss.name} needs rows that add up to 1")
    return _finite_in_dtype("Y", array, dtype)


def weights(sample_weight: ArrayLike, m: int, is_part: bool = False) -> tuple[NDArray[np.float64], float]:
    """Weights (m,) of the samples, at least 0 and, unless they are a part of the data, not all 0.

    Only their ratios matter, so they are divided by the largest. Returns the weights and this divisor.
    """
    array = numeric("sample_weight", sample_weight)
    if array.shape != (m,):
        raise Error(f"sample_weight has shape {array.shape}, but X needs ({m},): one weight per sample")
    expect_finite("sample_weight", array)
    if array.min() < 0:
        i = int((array < 0).argmax())
        raise Error(f"sample_weight[{i}] is {array[i]:g}, but must be at least 0; 0 leaves a sample out")
    most = float(array.max())
    if most == 0:
        if not is_part:
            raise Error("the weight is 0 for all samples, so there is nothing to learn; give some a weight above 0")
        return np.zeros(m), 1.0
    scaled = array / most
    return np.where(scaled < 1e-30, 0, scaled), most  # so that in float32 the inverse of a sum of weights is finite


def one_hot(labels: NDArray[Any], classes: int) -> NDArray[np.float32]:
    """(m,) integers from 0 to classes − 1 -> (m, classes) one-hot rows."""
    expect_finite("Y", labels)
    wrong = labels != np.rint(labels)
    if wrong.any():
        i = int(wrong.argmax())
        raise Error(
            f"label Y[{i}] is {labels[i]:g}, but must be a whole number. If Y holds numbers to predict: the last layer "
            f"has {classes} outputs, so Y must have shape ({len(labels)}, {classes}); for one number per sample, use 1 "
            "output"
        )
    rows = np.zeros((labels.size, classes), np.float32)
    rows[np.arange(labels.size), labels.astype(np.int64)] = 1
    return rows
