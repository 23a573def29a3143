"""Load a user's function by name: `file.py:function` or `module:function`.

The file or module is executed, as by any import. A file in a package is imported as part of it, so that its relative
imports work.
"""

import functools
import importlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import checks
from . import worker

Function = Callable[..., object]
Custom = Function | str
"""The function itself, or the name of one."""


def check_name(text: str) -> tuple[str, str]:
    """The file or module, and the function, of `file.py:function`, `module:function` or `file.py:Class.method`."""
    place, _, name = text.rpartition(":")
    if not place.strip(".") or not all(part.isidentifier() for part in name.split(".")):
        raise checks.Error(f"{text!r} names no function; write file.py:function or module:function")
    if _is_file(place) and not Path(place).is_file():
        raise checks.Error(f"there is no file {place}")
    return place, name


def body_of(function: Any) -> Any:
    """The Python function that Numba compiles; one that is not compiled is its own body."""
    return getattr(function, "py_func", function)


def load(custom: Custom) -> Function:
    """The function, or the one of that name, whose file or module is then executed."""
    if not isinstance(custom, str):
        return custom
    place, name = check_name(custom)
    module = module_of(place)
    known = [
        key for key, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    ]  # fmt: skip
    function: Any = functools.reduce(lambda owner, part: getattr(owner, part, None), name.split("."), module)
    if function is None:
        if not known:
            raise checks.Error(f"{place} defines no functions")
        nearest = checks.did_you_mean(name, known)
        raise checks.Error(f"{place} has no function {name!r}; known: {checks.some(known)}{nearest}")
    if not callable(function):
        raise checks.Error(f"{name} in {place} is {checks.shown(function)}, but must be a function")
    return function  # type: ignore[no-any-return]


def tried(text: str) -> Function:
    """Like `load`, but the file is first executed in a process of its own, which it may end, crash, or never leave."""
    place, _ = check_name(text)
    worker.tried(place, load, text)
    return load(text)


def module_of(place: str) -> Any:
    """The module of that name, or of a file, which is then executed; an exception there is an error in one line.

    A file leaves no __pycache__ in its folder.
    """
    file = os.path.realpath(place) if _is_file(place) else None
    folder = str(_folder_of(Path(file))) if file else os.getcwd()
    if folder not in sys.path:  # as Python does for a script
        sys.path.insert(0, folder)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, sys.dont_write_bytecode or file is not None
    try:
        return _module_of(Path(file)) if file else importlib.import_module(place)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise checks.Error(
            f"importing {place}: {error.msg} ({os.path.basename(error.filename or place)}{line})"
        ) from None
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{place}.".startswith(f"{error.name}."):
            raise checks.Error(f"there is no module {place!r} here, nor one that is installed") from None
        code = file or os.path.join(os.getcwd(), *place.split(".")) + ".py"
        raise checks.Error(f"importing {place} {raised(error, code)}") from None
    finally:
        sys.dont_write_bytecode = writes


def _is_file(place: str) -> bool:
    return place.endswith(".py") or os.sep in place


def _folder_of(file: Path) -> Path:
    """The folder that it is imported from: its own, or the one that holds its package."""
    folder = file.parent
    while (folder / "__init__.py").exists():
        folder = folder.parent
    return folder


def _module_of(file: Path) -> Any:
    folder = _folder_of(file)
    if folder != file.parent:
        module = importlib.import_module(".".join(file.relative_to(folder).with_suffix("").parts))
        if os.path.realpath(module.__file__ or "") != str(file):
            raise ImportError(f"{module.__name__} is {module.__file__} already; rename the package")
        return module
    name = f"custom_{file.stem}"  # a name under which nothing else is imported
    specification = importlib.util.spec_from_file_location(name, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def called_with(function: Any, name: str, arguments: Sequence[Any], described: str = "") -> inspect.BoundArguments:
    """The arguments by parameter; an error if the function takes fewer or more. `described` is what they are."""
    signature = inspect.signature(body_of(function))
    if only := [key for key, parameter in signature.parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]:
        which = " and ".join(only)
        raise checks.Error(
            f"{name}{signature} takes {which} by name only, of which Numba ignores the default: remove the *, or write "
            "a function around it"
        )
    try:
        return signature.bind(*arguments)
    except TypeError:
        takes = checks.count(len(signature.parameters), "argument")
        given = f"{len(arguments) or 'none'}{f': {described}' if described else ''}"
        raise checks.Error(f"{name}{signature} takes {takes}, but was given {given}") from None


def folded(function: Any, types: Sequence[Any]) -> tuple[Any, ...]:
    """The types that a Numba function is compiled for if it is called with these: one of a tuple for `*rest`."""
    return tuple(function._compiler.fold_argument_types(tuple(types), {})[1])


def in_signature(function: Any, arguments: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments, as machine code takes them: one tuple for `*rest`, and the default of an omitted argument."""
    bound = inspect.signature(function.py_func).bind(*arguments)
    bound.apply_defaults()
    return tuple(bound.arguments.values())


def evaluated(
    expression: str, names: dict[str, Any] | None = None, each: Callable[[Any], Any] = lambda value: value,
    function: Any = None,
) -> tuple[Any, ...]:  # fmt: skip
    """The arguments that an expression gives, `each` changed.

    names       replace those of NumPy
    function    takes the arguments, which may then be given by name, and the expression may use the names of its file
    """
    numpy = {**vars(np), **(names or {})}
    own = getattr(body_of(function), "__globals__", {})
    known = {**own, **numpy, "np": types.SimpleNamespace(**numpy), "numpy": types.SimpleNamespace(**numpy)}
    try:
        values, by_name = eval(f"_given({expression})", {**known, "_given": lambda *a, **k: (a, k)})
        if by_name and function is None:
            raise TypeError("arguments are given in order, not by name")
        if by_name:
            given = inspect.signature(body_of(function)).bind(*values, **by_name)
            given.apply_defaults()
            values = given.args
        return tuple(map(each, values))
    except Exception as error:
        raise checks.Error(
            f"the arguments {expression!r} cannot be evaluated: {checks.described(error)}; "
            "they are Python, with the names of NumPy, such as 'ones(1000, float32), 3' or 'ones((64, 64), float32)'"
        ) from None


def raised(error: BaseException, file: str) -> str:
    """`raises ValueError: message (file.py, line 3)`; the line if it is in this file."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if os.path.realpath(frame.filename) == os.path.realpath(file)]
    place = f" ({os.path.basename(file)}, line {lines[-1]})" if lines else ""
    return f"raises {checks.described(error)}{place}"


def not_compiled(error: BaseException) -> str:
    """Why Numba did not compile a function, if the exception is not one of Numba's."""
    if isinstance(error, checks.Error):
        return str(error)
    if isinstance(error, ImportError) and "scipy" in str(error):
        return "Numba needs SciPy for @, np.dot and numpy.linalg; write the loops, or: pip install scipy"
    if found := re.fullmatch(r"Use of unsupported opcode \((\w+)\) found\. Raised from (.+) \((\d+)\)", str(error)):
        what, file, line = found.groups()
        reason = "assigns to a global variable" if what == "STORE_GLOBAL" else f"needs the unsupported opcode {what}"
        return f"it {reason} ({os.path.basename(file)}, line {line})"
    return checks.described(error)
