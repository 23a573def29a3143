"""A kernel of the user's own: where it is found, and in words what it cannot be called with, and what it raises.

It is any callable with the arguments of a rung, `(inputs..., outputs)`, on NumPy arrays: plain Python, or compiled by
Numba in any way. It comes as the function itself, or as the name of one, `file.py:function` or `module:function`.
"""

import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numba
from numba.core import errors

from ... import checks

Function = Callable[..., object]
Own = Function | str


def check_name(text: str) -> tuple[str, str]:
    """The file or module, and the function, of `file.py:function` or `module:function`."""
    place, _, name = text.rpartition(":")
    if not place.strip(".") or not name.isidentifier():
        raise checks.Error(f"{text!r} names no function; write file.py:function or module:function")
    if _is_file(place) and not Path(place).is_file():
        raise checks.Error(f"there is no file {place}")
    return place, name


def load(own: Own) -> Function:
    """The function, or that of a name; its file or module is executed then, as any import does it."""
    if not isinstance(own, str):
        return own
    place, name = check_name(own)
    file = os.path.realpath(place) if _is_file(place) else None
    folder = os.path.dirname(file) if file else os.getcwd()
    if folder not in sys.path:  # as Python does it with a script
        sys.path.insert(0, folder)
    try:
        module = _module_of(file) if file else importlib.import_module(place)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise checks.Error(
            f"importing {place}: {error.msg} ({os.path.basename(error.filename or place)}{line})"
        ) from None
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{place}.".startswith(f"{error.name}."):
            raise checks.Error(f"there is no module {place!r} here, nor one that is installed") from None
        code = file or os.path.join(os.getcwd(), *place.split(".")) + ".py"
        raise checks.Error(f"importing {place} {_raised(error, code)}") from None
    known = [
        key for key, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    ]  # fmt: skip
    if not hasattr(module, name):
        if not known:
            raise checks.Error(f"{place} has no function {name!r}, nor any other")
        checks.one_of(f"function of {place}", name, known)
    function: Any = getattr(module, name)
    if not callable(function):
        raise checks.Error(f"{name} in {place} is {_a(type(function).__name__)}, but must be a function")
    return function  # type: ignore[no-any-return]


def _is_file(place: str) -> bool:
    return place.endswith(".py") or os.sep in place


def _module_of(file: str) -> Any:
    name = f"own_{Path(file).stem}"  # no name that something else could be imported by
    specification = importlib.util.spec_from_file_location(name, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def misfit(function: Function, name: str, parameters: list[str], outputs: list[str]) -> str | None:
    """What is wrong with the number of its parameters, or None."""
    try:
        signature = inspect.signature(_body(function))
    except (TypeError, ValueError):  # of something that does not tell
        return None
    try:
        signature.bind(*parameters)
    except TypeError:
        call = f"{name}({', '.join(parameters)})"
        return f"has the parameters {signature}, but is called as {call}, to write {' and '.join(outputs)}"
    return None


def threads_of(function: Function, most: int) -> int:
    """How many threads it may use: only of what Numba compiled is it known that it is but one."""
    options = getattr(function, "targetoptions", None)
    return 1 if isinstance(options, dict) and not options.get("parallel") else most


def idea_of(function: Function) -> str:
    """The first sentence of its docstring, or where it stands."""
    file = _file_of(function)
    text = " ".join((_body(function).__doc__ or "").split(".")[0].split()) if file else ""  # not that of its class
    return text or (f"yours, from {os.path.basename(file)}" if file else "yours")


def in_words(error: BaseException, function: Function, arguments: list[Any], when: str) -> str:
    """What a call raised: an exception, and when; or Numba's reason for not compiling it, in one line."""
    text = str(error)
    if isinstance(error, TypeError) and text.startswith("No matching definition for argument type"):
        takes = " or ".join(map(_types, getattr(function, "signatures", ())))
        given = _types(numba.typeof(argument) for argument in arguments)
        return f"is compiled for other types: it is given {given}" + (f", but takes {takes}" if takes else "")
    if isinstance(error, errors.NumbaError):
        return f"does not compile: {_essence(text)}{_line_in(text, _file_of(function))}"
    if any(frame.name == "_compile_for_args" for frame in traceback.extract_tb(error.__traceback__)):
        return f"does not compile: {type(error).__name__}: {_one_line(text)}"
    return f"{_raised(error, _file_of(function))}, {when}"


def _types(types: Iterable[Any]) -> str:
    """`(array(float32, 2d, C), int64)`."""
    return f"({', '.join(map(str, types))})"


def _raised(error: BaseException, file: str) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if os.path.realpath(frame.filename) == os.path.realpath(file)]
    text = _one_line(str(error))
    place = f" ({os.path.basename(file)}, line {lines[-1]})" if lines else ""
    return f"raises {type(error).__name__}" + (f": {text}" if text else "") + place


def _line_in(text: str, file: str) -> str:
    """The line of this file that a message of Numba's names, which writes paths relative to where it runs."""
    name = os.path.basename(file)
    lines = [line for path, line in re.findall(r'File "([^"]+)", line (\d+)', text) if os.path.basename(path) == name]
    return f" ({name}, line {lines[0]})" if lines else ""


def _essence(text: str) -> str:
    """The reason in a message of Numba's, which begins with where in the compiler it was, and goes on for long."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Failed in ")]
    reason = lines[0] if lines else text
    if reason.endswith("found for signature:"):
        call = next((line.removeprefix(">>> ") for line in lines if line.startswith(">>> ")), "")
        reason = f"{reason.removesuffix(' found for signature:')} for {call}"
    rejected = re.search(r"(?:TypingError|TypeError|ValueError): (.+)", text)
    return reason + (f": {rejected[1]}" if rejected and rejected[1] not in reason else "")


def _one_line(text: str, most: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]} ..."


def _body(function: Function) -> Any:
    return getattr(function, "py_func", function)


def _file_of(function: Function) -> str:
    code = getattr(_body(function), "__code__", None)
    return code.co_filename if code else ""


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
