"""A custom kernel: its threads, when it is compiled, and its exceptions as sentences.

It is any callable with the arguments of a rung, `(inputs..., outputs)`, on NumPy arrays: plain Python, or compiled by
Numba in any way.
"""

import dis
import os
import re
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numba
import numpy as np
from numba.core import errors, event
from numba.core.dispatcher import Dispatcher

from ...backend import cpu
from ..formatting import first_sentence
from ..loading import Function, body_of, folded, not_compiled, raised


def threads_of(function: Function, most: int) -> int:
    """How many threads it may use. Only for Numba functions is it known that they use one."""
    options = getattr(function, "targetoptions", None)
    return 1 if isinstance(options, dict) and not options.get("parallel") else most


def idea_of(function: Function) -> str:
    """The first sentence of its docstring, or its file."""
    file = _file_of(function)
    text = first_sentence(body_of(function).__doc__) if file else ""  # not that of its class
    return text or (f"yours, from {os.path.basename(file)}" if file else "yours")


def watch_compiling(begins: Callable[[], None], ends: Callable[[], None]) -> None:
    """Call these when Numba begins to compile a kernel and when it has finished; helpers are compiled in between."""

    class Listener(event.Listener):  # type: ignore[misc]
        depth = 0

        def on_start(self, event: object) -> None:
            self.depth += 1
            if self.depth == 1:
                begins()

        def on_end(self, event: object) -> None:
            self.depth -= 1
            if self.depth == 0:
                ends()

    event.register("numba:compile", Listener())


def in_words(error: BaseException, function: Function, arguments: list[Any], when: str) -> str:
    """An exception of a call, or Numba's reason for not compiling it, in one line."""
    text = str(error)
    if isinstance(error, TypeError) and text.startswith("No matching definition for argument type"):
        takes = " or ".join(map(_types, getattr(function, "signatures", ())))
        given = _types(numba.typeof(argument) for argument in arguments)
        return f"is compiled for other types: it is given {given}" + (f", but takes {takes}" if takes else "")
    names = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
    if isinstance(error, errors.NumbaError) or "_compile_for_args" in names:
        return _does_not_compile(error, function)
    return f"{raised(error, _file_of(function))}, {when}"


def obstacle_to_compiling(function: Function, arguments: Sequence[Any]) -> str:
    """Why Numba does not compile it for these arguments; an empty string if it does, or is not asked to."""
    if not isinstance(function, Dispatcher) or function.signatures:
        return ""
    plain = [np.asarray(argument) if isinstance(argument, np.ndarray) else argument for argument in arguments]
    if function.targetoptions.get("parallel"):
        cpu.start()  # compiling starts the threads, too, but its error would blame the kernel
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function.compile(folded(function, [numba.typeof(argument) for argument in plain]))
    except Exception as error:  # Numba's own errors are not the only ones
        return _does_not_compile(error, function)
    return ""


def _does_not_compile(error: BaseException, function: Function) -> str:
    if not isinstance(error, errors.NumbaError):
        return f"does not compile: {not_compiled(error)}"
    text = str(error)
    place = _line_in(text, _file_of(function)) or _line_of_name(text, function)
    return f"does not compile: {_essence(text)}{place}"


def _line_of_name(text: str, function: Function) -> str:
    """The first line that uses a name which is not defined: then the message of Numba has no line."""
    code, found = getattr(body_of(function), "__code__", None), re.search(r"NameError: name '(\w+)'", text)
    if not (code and found):
        return ""
    lines, line = dict(dis.findlinestarts(code)), code.co_firstlineno
    for step in dis.get_instructions(code):
        line = lines.get(step.offset) or line
        if step.argval == found[1] and "GLOBAL" in step.opname:
            return f" ({os.path.basename(code.co_filename)}, line {line})"
    return ""


def _types(types: Iterable[Any]) -> str:
    """`(array(float32, 2d, C), int64)`."""
    return f"({', '.join(map(str, types))})"


def _line_in(text: str, file: str) -> str:
    """The line of this file that is named in a message of Numba, whose paths are relative to the working folder."""
    name = os.path.basename(file)
    lines = [line for path, line in re.findall(r'File "([^"]+)", line (\d+)', text) if os.path.basename(path) == name]
    return f" ({name}, line {lines[0]})" if lines else ""


def _essence(text: str) -> str:
    """The reason in a long message of Numba, which begins with a place in the compiler."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Failed in ")]
    reason = lines[0] if lines else text
    if reason.endswith("found for signature:"):
        call = next((line.removeprefix(">>> ") for line in lines if line.startswith(">>> ")), "")
        reason = f"{reason.removesuffix(' found for signature:')} for {call}"
    rejected = re.search(r"(?:TypingError|TypeError|ValueError): (.+)", text)
    return reason + (f": {rejected[1]}" if rejected and rejected[1] not in reason else "")


def _file_of(function: Function) -> str:
    code = getattr(body_of(function), "__code__", None)
    return code.co_filename if code else ""
