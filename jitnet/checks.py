"""Errors that a user can fix, and the checks of options: what was wrong, what was expected, how to fix it.

`expect_...` raises an error; the other checks return the value. `jitnet check` is another matter: lab/sanitizer.
"""

import contextlib
import inspect
import math
import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np


class Error(ValueError):
    """An error that the caller can fix; the message says how.

    Messages quote names and cells of files, which can contain anything. Control characters are escaped, and long
    messages are shortened in the middle.
    """

    def __init__(self, message: str) -> None:
        text = printable(message)
        super().__init__(text if len(text) <= 1200 else f"{text[:800]} ... {text[-300:]}")


class NotFiniteError(Error):
    """A result is NaN or infinite."""


UNNAMED = "(unnamed)"
"""What lists of names show for an empty one."""
LOOKALIKES = str.maketrans("АВЕКМНОРСТУХІЈЅаеорсухіјѕΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEKMHOPCTYXIJSaeopcyxijsABEZHIKMNOPTYXo")
"""Cyrillic and Greek letters that look like Latin ones, which keyboards with two alphabets mix up."""
CLOSE = 0.65
"""The similarity of a name that is suggested; sgd and sdg have 2/3, softsign and softmax have 0.53."""
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


def printable(text: str) -> str:
    """The text with control characters, such as line breaks, escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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


def byte_count(size: float) -> str:
    """A number of bytes: `1.5 GiB`."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return count(int(size), "byte")


def joined(names: Sequence[str], word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`; "" for none."""
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def some(names: Sequence[str], most: int = 40, longest: int = 40) -> str:
    """A list of names, shortened."""
    first = [printable(name if len(name) <= longest else f"{name[:longest]}...") or UNNAMED for name in names[:most]]
    return ", ".join(first) + (f" and {len(names) - most} more" if len(names) > most else "")


def expect_path(value: object) -> None:
    """An error unless it is the path of a file; `open` takes a number for a file that is open already."""
    if not isinstance(value, (str, os.PathLike)) or "\0" in str(value) or value == "":
        raise Error(f"{shown(value)} is not a path; give the name of a file, as a str or a pathlib.Path")


@contextlib.contextmanager
def fits_into_memory(path: str | Path) -> Iterator[None]:
    """If there is not enough memory to read the file at `path`, the error says how large the file is.

    Errors    ValueError in place of MemoryError, or if `path` is not a path
    """
    expect_path(path)
    try:
        yield
    except MemoryError as error:
        size = f" ({byte_count(os.path.getsize(path))})" if os.path.exists(path) else ""
        raise Error(
            f"{path}{size} needs more memory than available: {reason(error)}; use a part of it, "
            "or a machine with more memory"
        ) from None


def free_memory() -> float:
    """Bytes of free memory; infinity on systems that do not report them."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return math.inf


def expect_dense_fits(what: str, shape: tuple[int, ...]) -> None:
    """An error unless a float64 array of this shape fits into free memory; `what` is sparse, and would become one."""
    needed, free = 8 * math.prod(shape), free_memory()
    if needed > free:
        needs, has = byte_count(needed), byte_count(free)
        raise Error(f"{what} is sparse; dense it needs {needs}, but {has} are free")


def one_of(what: str, name: object, known: Iterable[str], can_define: bool = False) -> str:
    """`name`, if it is one of the known names; `can_define` if users can define others, which a function hints at."""
    names = list(known)
    if isinstance(name, str) and name in names:
        return name
    own = f"; define your own with @jitnet.{what}" if can_define and callable(name) else ""
    raise Error(f"unknown {what} {shown(name)}; known: {some(names)}{did_you_mean(name, names)}{own}")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """` (did you mean 'name'?)` with the known name that is close, or alone begins with it; or an empty string."""
    import difflib  # here: only messages need it

    if not isinstance(name, str):
        return ""
    names = list(known)
    for place, one in enumerate(names, 1):
        if name != one and name.translate(LOOKALIKES) == one.translate(LOOKALIKES):
            other = next(c for c, d in zip(one, name, strict=True) if c != d)
            letter = f"U+{ord(other):04X}, {unicodedata.name(other)}"
            return f" (number {place}, {shown(one)}, looks the same, but has the letter {letter}; copy that name)"
    folded = {one.lower(): one for one in names}
    begins = [one for one in folded if len(name) > 2 and one.startswith(name.lower())]
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=CLOSE) or begins * (len(begins) == 1)
    return f" (did you mean {shown(folded[near[0]])}?)" if near else ""


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


def accepts(function: Any, count: int) -> bool:
    """True if it can be called with this many arguments, or is a builtin whose signature is not known."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:  # not callable, or with other parameters
        return False
    except ValueError:  # no signature
        pass
    return True


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
        kind = "a number" if limits and (math.isfinite(converted) or not is_number) else "a finite number"
        raise Error(f"{what} is {shown(value)}, but must be {kind} {limits}".rstrip())
    return converted


def store_number(settings: object, name: str, **limits: float) -> None:
    """Validate a number of a frozen dataclass, and store it there as a float."""
    object.__setattr__(settings, name, number(name, getattr(settings, name), **limits))


def expect_representable(what: str, number: float, dtype: np.dtype[Any]) -> None:
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


def expect_chained(widths: Sequence[tuple[int, int]]) -> None:
    """An error unless the input width of each layer is the output width of the previous layer."""
    if not widths:
        raise Error("a network needs at least one layer, as in Network(Dense(64, 10, 'softmax'))")
    for l, ((_, n_out), (n_in, _)) in enumerate(pairwise(widths)):
        if n_out != n_in:
            raise Error(
                f"layers do not chain: layer {l} has {n_out} outputs, but layer {l + 1} has {n_in} inputs; "
                "make the two equal"
            )
