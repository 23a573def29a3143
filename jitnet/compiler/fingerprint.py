"""A fingerprint of a function: its instructions, its constants, and those of all functions that it calls.

The cache key contains its hash, so the next process finds the machine code, but an edited function is compiled again.
"""

import builtins
import dis
import functools
import hashlib
import os
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

COMPILER = os.path.dirname(__file__)

FOLDERS = [COMPILER, os.path.join(os.path.dirname(COMPILER), "kernels")]
"""The folders whose sources are part of every cache key. They are texts, since comparing paths takes ten times as long,
and spelled as in the file names of functions: `Path` would shorten `a//b`."""

HASHED = [Path(folder) for folder in FOLDERS]

BEGINNINGS = tuple(f"{folder}{os.sep}" for folder in FOLDERS)
"""How the names of all files there begin."""


def fingerprint(f: Any) -> str:
    return hashlib.blake2b(described(f).encode(), digest_size=4).hexdigest()


def described(value: Any, within: tuple[Any, ...] = ()) -> str:
    """A string that is the same in every process, unless it contains the address of an object (`is_reproducible`)."""
    value = getattr(value, "py_func", getattr(value, "__wrapped__", value))  # the original function
    if isinstance(value, FunctionType):
        is_hashed = value.__code__.co_filename.startswith(BEGINNINGS)
        if value in within or (is_hashed and not value.__closure__):
            return f"{value.__module__}.{value.__qualname__}:{value.__code__.co_firstlineno}"
        inner = [described(other, (*within, value)) for other in values(value)]
        return f"{value.__qualname__} {described(value.__code__)} {value.__defaults__} {inner}"
    if isinstance(value, CodeType):
        return f"{value.co_code!r} {value.co_names} {[described(constant) for constant in value.co_consts]}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {value.tobytes()!r}"
    if isinstance(value, (tuple, list)):
        return f"{[described(other, within) for other in value]}"
    if isinstance(value, (type, ModuleType)) or callable(value):
        return getattr(value, "__qualname__", getattr(value, "__name__", repr(value)))
    return repr(value)


def is_reproducible(text: str) -> bool:
    return " at 0x" not in text


@functools.cache
def globals_of(code: CodeType) -> list[str]:
    """The global names that a function reads, and the functions within it."""
    return _named(code, ("LOAD_GLOBAL", "LOAD_NAME"))


@functools.cache
def attributes_of(code: CodeType) -> list[str]:
    """The attributes that a function reads, such as `exp` of `math`."""
    return _named(code, ("LOAD_ATTR", "LOAD_METHOD"))


def _named(code: CodeType, instructions: tuple[str, ...]) -> list[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    own = [step.argval for step in dis.get_instructions(code) if step.opname in instructions]
    return list(dict.fromkeys([*own, *(name for each in inner for name in _named(each, instructions))]))


def values(f: Any) -> list[Any]:
    """The objects that f uses: globals, attributes of modules, closure variables."""
    known = {**vars(builtins), **f.__globals__}
    found = [known[name] for name in globals_of(f.__code__) if name in known]
    modules, attributes = [value for value in found if isinstance(value, ModuleType)], attributes_of(f.__code__)
    found += [getattr(module, name) for module in modules for name in attributes if hasattr(module, name)]
    return found + [cell.cell_contents for cell in f.__closure__ or ()]
