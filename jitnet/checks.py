"""Every error message about shape, dtype and values: what was wrong, what was expected, how to fix it."""

import contextlib
import difflib
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Error(ValueError):
    """An error that the caller can fix; the message says how.

    Messages quote names and cells of files, which can contain anything. Control characters are escaped, and long
    messages are shortened in the middle.
    """

    def __init__(self, message: str) -> None:
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
        super().__init__(text if len(text) <= 1200 else f"{text[:800]} ... {text[-300:]}")


class NotFiniteError(Error):
    """A result is NaN or infinite."""


LONGEST = 300
"""The maximum number of characters that are quoted from a value or from another message."""


def reason(error: BaseException) -> str:
    """The message of an exception in one line, shortened; its name if the message is empty."""
    text = str(getattr(error, "strerror", None) or error)
    if not isinstance(error, Error):  # an Error is short, and its end says what was expected
        text = " ".join(text[:LONGEST].split())
    if isinstance(error, KeyError):
        return f"{text} is missing"
    return text or type(error).__name__


def described(error: BaseException) -> str:
    """The name and message of an exception in one line, shortened."""
    name, text = type(error).__name__, " ".join(str(error)[:LONGEST].split()).rstrip(".")
    return f"{name}: {text}" if text else name


def shown(value: object) -> str:
    """The repr of a value, shortened."""
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python converts to text
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def count(number: int, what: str, several: str = "") -> str:
    """`1 thread`, `2 threads`."""
    return f"{number} {what if number == 1 else several or f'{what}s'}"


def some(names: Sequence[str], most: int = 40) -> str:
    """A list of names, shortened."""
    first = [name if len(name) <= 40 else f"{name[:40]}..." for name in names[:most]]
    return ", ".join(first) + (f" and {len(names) - most} more" if len(names) > most else "")


@contextlib.contextmanager
def fits_into_memory(path: str | Path) -> Iterator[None]:
    """If there is not enough memory to read the file at `path`, the error says how large the file is.

    Errors    ValueError in place of MemoryError
    """
    try:
        yield
    except MemoryError as error:
        size = f" ({os.path.getsize(path) / 2**20:.1f} MiB)" if os.path.exists(path) else ""
        raise Error(
            f"{path}{size} needs more memory than available: {reason(error)}; use a part of it, "
            "or a machine with more memory"
        ) from None


def one_of(what: str, name: object, known: Iterable[str]) -> str:
    """`name`, if it is one of the known names."""
    names = list(known)
    if isinstance(name, str) and name in names:
        return name
    raise Error(f"unknown {what} {shown(name)}; known: {some(names)}{did_you_mean(name, names)}")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """` (did you mean 'name'?)` with the known name that is nearest to a misspelled one; or an empty string."""
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5) if isinstance(name, str) else []
    return f" (did you mean {shown(near[0])}?)" if near else ""


def name_of(what: str, entry: Any, known: Mapping[str, Any]) -> str:
    """The name of an activation or a loss, if the name still stands for this one."""
    name = str(entry.name)
    if known.get(name) is entry:
        return name
    if getattr(entry, "f_prime", None) is None:
        raise Error(f"{what} {name!r} has no derivative yet; complete it with @{name}.derivative")
    raise Error(f"{what} {name!r} was replaced by a later definition of that name; use the later one")


def whole(what: str, value: object, least: int) -> int:
    """An integer that is at least `least`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        raise Error(f"{what} is {shown(value)}, but must be a whole number, at least {least}")
    return int(value)


def flag(what: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise Error(f"{what} is {shown(value)}, but must be True or False")
    return bool(value)


def number(
    what: str,
    value: object,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> float:
    """A finite number within its limits."""
    limits = " and ".join(
        [f"above {above:g}"] * (above > -math.inf)
        + [f"at least {least:g}"] * (least > -math.inf)
        + [f"below {below:g}"] * (below < math.inf)
        + [f"at most {most:g}"] * (most < math.inf)
    )
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    try:
        converted = float(value) if is_number else math.nan  # type: ignore[arg-type]
    except OverflowError:  # an integer with hundreds of digits
        converted = math.inf
    if not (math.isfinite(converted) and above < converted < below and least <= converted <= most):
        raise Error(f"{what} is {shown(value)}, but must be {f'a number {limits}' if limits else 'a finite number'}")
    return converted


def survives(what: str, number: float, dtype: np.dtype[Any]) -> None:
    """An error if the number becomes 0 or infinity in this dtype."""
    with np.errstate(all="ignore"):
        cast = float(dtype.type(number))
    if (cast == 0) != (number == 0) or not math.isfinite(cast):
        raise Error(f"{what}: {number:g} is {cast:g} in {dtype}; take a less extreme number")


def text(what: str, value: object) -> str:
    """A valid Unicode string. JSON can also contain halves of surrogate pairs, which UTF-8 cannot encode."""
    if isinstance(value, str) and value.encode(errors="ignore").decode() == value:
        return value
    raise Error(f"{what} is {shown(value)}, but must be a string")


def listed(what: str, value: object, length: int | None = None) -> list[Any]:
    """A list, of this length if it is given."""
    if not isinstance(value, list) or length not in (None, len(value)):
        raise Error(f"{what} is {shown(value)}, but must be a list" + (f" of {length}" if length is not None else ""))
    return value


def fields(what: str, value: object, names: Collection[str] | None = None) -> dict[str, Any]:
    """A JSON object, with exactly these names if they are given."""
    if not isinstance(value, dict) or (names is not None and value.keys() != set(names)):
        raise Error(f"{what} is {shown(value)}, but must have {', '.join(names) if names else 'names and values'}")
    return value


def dtype_of(name: object) -> np.dtype[Any]:
    """float32 or float64."""
    for known in (np.dtype(np.float32), np.dtype(np.float64)):
        if name is known.type or (isinstance(name, str | np.dtype) and name == known.name):
            return known
    raise Error(f"unknown dtype {shown(name)}; known: float32, float64")


def chain(widths: Sequence[tuple[int, int]]) -> None:
    """An error unless the input width of each layer is the output width of the previous layer."""
    if not widths:
        raise Error("a network needs at least one layer, as in Network(Dense(64, 10, 'softmax'))")
    for l, ((_, n_out), (n_in, _)) in enumerate(pairwise(widths)):
        if n_out != n_in:
            raise Error(
                f"layers do not chain: layer {l} has {n_out} outputs, but layer {l + 1} has {n_in} inputs; "
                "make the two equal"
            )


def numeric(what: str, values: ArrayLike) -> NDArray[Any]:
    """An array of real numbers; for anything else, an error says how to convert it."""
    if type(values) is np.ndarray and values.dtype.kind in "fiub":
        return values
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        place = ", ".join(str(position) for position in np.argwhere(np.ma.getmaskarray(values))[0])
        raise Error(f"{what}[{place}] is masked; leave masked samples out, or fill them: {what}.filled(0)")
    if hasattr(values, "toarray"):
        raise Error(f"{what} is a sparse matrix; write {what}.toarray()")
    if isinstance(values, Iterator):
        raise Error(f"{what} is a {type(values).__name__}; write np.array(list({what}))")
    if isinstance(values, Mapping):
        raise Error(f"{what} is a {type(values).__name__}; write np.column_stack(list({what}.values()))")
    if hasattr(values, "collect"):  # polars
        raise Error(f"{what} is a {type(values).__name__}; write {what}.collect()")
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O" and hasattr(values, "to_numpy"):  # pandas with bool columns, or with its own NA
            array = values.to_numpy(np.float64, na_value=math.nan)
    except (TypeError, ValueError) as error:
        if hasattr(values, "to_numpy"):
            raise Error(f"{what} is a {type(values).__name__} that holds more than numbers: {reason(error)}") from None
        raise Error(f"{what} is not a rectangular array: {error}") from None
    if array.dtype.kind == "O":
        odd = [cell for cell in array.flat if not isinstance(cell, (int, float, np.number))][:1]
        such = f"{shown(odd[0])}, a {type(odd[0]).__name__}" if odd else "Python objects"
        raise Error(f"{what} holds {such}, but must hold real numbers; write {what}.astype(float) if all are numbers")
    if array.dtype.kind in "UST":
        raise Error(f"{what} holds text, but must hold real numbers; write {what}.astype(float) if all are numbers")
    if array.dtype.kind not in "fiub":
        raise Error(f"{what} holds {array.dtype} values, but must hold real numbers")
    return array


def free_memory() -> float:
    """Bytes of free memory; infinity on systems that do not report them."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return math.inf


def dense(what: str, shape: tuple[int, ...]) -> None:
    """Check that a float64 array of this shape fits into free memory."""
    needed, free = 8 * math.prod(shape), free_memory()
    if needed > free:
        raise Error(f"{what} is sparse; dense it needs {needed / 2**30:.1f} GiB, but {free / 2**30:.1f} GiB are free")


def finite(what: str, array: NDArray[Any], start: int = 0) -> None:
    """No NaN and no infinity; `start` is the index of array[0] for the message."""
    if array.dtype.kind == "f" and not _is_finite(array):
        where = tuple(int(position) for position in np.argwhere(~np.isfinite(array))[0])
        place = ", ".join(str(position + start * (axis == 0)) for axis, position in enumerate(where))
        raise Error(f"{what}[{place}] is {array[where]}; replace or leave out values that are not finite")


def _is_finite(array: NDArray[Any]) -> bool:
    """One pass without a temporary array, since NaN and infinity survive sums; a second pass if the sum overflows."""
    if array.size < 4096:
        total = np.vdot(array, array)  # it never warns, and np.errstate would take longer than the sum
    else:
        with np.errstate(all="ignore"):
            total = array.sum()
    return math.isfinite(total) or bool(np.isfinite(array).all())


def parameter(name: str, values: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """New values for a parameter: real numbers of its shape, finite in its dtype too."""
    array = numeric(name, values)
    if array.shape != shape:
        raise Error(f"{name} has shape {shape}, but was given {array.shape}")
    finite(name, array)
    return _settled_and_finite(name, array, dtype)


TOO_LARGE = "X, Y or the weights are too large; scale the inputs"


def finite_results(what: str, results: NDArray[Any], start: int = 0) -> None:
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


def settled(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """In the kernels' layout: C order, aligned, and of the type for arrays that can be written.

    Copies only if necessary. Kernels only read their inputs, so a read-only array, such as a memory map, is not copied.
    """
    if type(array) is np.ndarray and array.dtype == dtype and array.flags.carray:  # in C order, aligned and writable
        return array
    with np.errstate(over="ignore"):
        result = np.require(array, dtype, ["C", "A"])
    return result if result.flags.writeable else np.asarray(_Unlocked(result))


def _settled_and_finite(what: str, array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    result = settled(array, dtype)
    if result.dtype != array.dtype:
        finite(f"{what} as {dtype}", result)  # 1e300 is finite, but not in float32
    return result


def samples(X: ArrayLike, n_in: int, dtype: np.dtype[Any], part: Callable[[int], slice] | None = None) -> NDArray[Any]:
    """X as (m, n_in), m ≥ 1, finite, in the dtype and layout of the kernels.

    part    number of rows -> the slice of a memory map that this process checks; other processes check the rest
    """
    array = numeric("X", X)
    if array.ndim != 2 or array.shape[1] != n_in:
        hint = f"; for one sample write X.reshape(1, {n_in})" if array.shape == (n_in,) else ""
        raise Error(f"X has shape {array.shape}, but the first layer needs (m, {n_in}): one sample per row{hint}")
    if array.shape[0] == 0:
        raise Error("X is empty: it has no rows")
    rows = part(len(array)) if part is not None and _is_mapped(array) else slice(0, None)
    finite("X", array[rows], rows.start)
    result = settled(array, dtype)
    if result.dtype != array.dtype:
        finite(f"X as {dtype}", result[rows], rows.start)
    return result


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
        array = one_hot(array, n_out)
    if array.shape != (m, n_out):
        labels = f" or labels ({m},)" if n_out > 1 else f" or ({m},)"
        if n_out > 1 and array.shape == (m, 1):
            labels += "; for labels write np.ravel(Y)"
        raise Error(f"Y has shape {array.shape}, but X and the last layer need ({m}, {n_out}){labels}")
    finite("Y", array)
    if loss.targets != "numbers" and (array.min() < 0 or array.max() > 1):
        raise Error(f"Y holds {array.min():g} to {array.max():g}, but {loss.name} needs probabilities from 0 to 1")
    if loss.targets == "distributions" and np.abs(array.sum(axis=1) - 1).max() > 1e-3:
        row = int(np.abs(array.sum(axis=1) - 1).argmax())
        raise Error(f"row {row} of Y adds up to {array[row].sum():g}, but {loss.name} needs rows that add up to 1")
    return _settled_and_finite("Y", array, dtype)


def weights(sample_weight: ArrayLike, m: int, is_part: bool = False) -> tuple[NDArray[np.float64], float]:
    """Weights (m,) of the samples, at least 0 and, unless they are a part of the data, not all 0.

    Only their ratios matter, so they are divided by the largest. Returns the weights and this divisor.
    """
    array = numeric("sample_weight", sample_weight)
    if array.shape != (m,):
        raise Error(f"sample_weight has shape {array.shape}, but X needs ({m},): one weight per sample")
    finite("sample_weight", array)
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
    finite("Y", labels)
    whole_labels = labels.astype(np.int64)
    wrong = (whole_labels != labels) | (whole_labels < 0) | (whole_labels >= classes)
    if wrong.any():
        i = int(wrong.argmax())
        raise Error(
            f"label Y[{i}] is {labels[i]}, but the last layer has {classes} units: labels run from 0 to {classes - 1}"
        )
    rows = np.zeros((labels.size, classes), np.float32)
    rows[np.arange(labels.size), whole_labels] = 1
    return rows
