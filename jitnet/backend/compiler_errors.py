"""What is wrong with a function that the compiler rejects, as one clear error: a kernel, or a user's function."""

import ast
import builtins
import dis
import linecache
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core.errors import NumbaError

from .. import checks
from ..compiler.jit import ERROR_HANDLERS
from ..compiler.registry import USER_DEFINED

NOT_USEFUL = re.compile(
    r"Failed in|\w*Error: Failed|>>>|There are|- Of which|Overload |With argument|Rejected as|No match|During|File "
    r"|No implementation of function Function\(<function "
)
"""The beginnings of those lines in Numba's messages that do not say what is wrong with a user's function."""

REFUSES = "Numba refuses"
"""The beginning of the error of a kernel."""

RULES = "docs/guide/numba_rules.md"

_FOLDER = Path(__file__).parents[2]
_PLACE = re.compile(r"(\s*)During: (?:typing of|lowering) .* at (.+) \((\d+)\)$")
_UNDEFINED = re.compile(r"(?:name|no attribute) '(\w+)'(?: is not defined)?$")
_FUNCTION = re.compile(r"Function\(<(?:built-in )?function (\w+)[^>]*>\)")

Place = tuple[str, int]
"""File and line."""


class RefusedError(checks.Error):
    """Numba rejects a kernel. The context is its own error."""


def raise_if_refused(operation: str, error: Exception) -> None:
    """Raise one clear error if the compiler rejects a user's function."""
    if isinstance(error, RefusedError) and isinstance(error.__context__, Exception):
        error = error.__context__
    frames = traceback.extract_tb(error.__traceback__)
    is_from_compiler = isinstance(error, NumbaError) or any(frame.name == "compile" for frame in frames)
    if operation in USER_DEFINED and is_from_compiler and not isinstance(error, (OSError, MemoryError, checks.Error)):
        lines = [line.strip() for line in str(error).splitlines()]
        useful = next((line for line in lines if line and not NOT_USEFUL.match(line)), type(error).__name__)
        owner, problem = USER_DEFINED[operation], useful.rstrip(".:")
        raise checks.Error(f"{owner} cannot be compiled: {problem}; use numbers and functions of math only") from None


def explained(body: Callable[..., Any], error: Exception) -> None:
    """Raise an error with Numba's reason, and the line, for a kernel that it rejects."""
    if isinstance(error, (OSError, MemoryError, ImportError, checks.Error)):
        return
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    reason, place = _parsed(text) if isinstance(error, NumbaError) else (checks.described(error), None)
    undefined = _UNDEFINED.search(reason)
    place = place or (next(_uses(undefined[1], body), None) if undefined else None)
    file, line = place or (body.__code__.co_filename, 0)
    where = str(Path(file).relative_to(_FOLDER)) if Path(file).is_relative_to(_FOLDER) else file
    where += f", line {line}" if line else f", {body.__name__}"
    hint = _hint(reason, file, line)
    raise RefusedError(f"{REFUSES} {where}: {reason}{hint and f'; {hint}'}") from None


ERROR_HANDLERS.append(explained)


def _parsed(text: str) -> tuple[str, Place | None]:
    """Numba's reason for the innermost of our functions, and its place, if Numba gives one.

    The message has a block for each function, the later the farther inside; a block ends with the place of its error,
    and is indented further than those around it.
    """
    if undefined := re.search(r"name '\w+' is not defined", text):
        return undefined[0], None
    library = str(Path(numba.__file__).parent)
    lines = [line for line in text.splitlines() if line.strip()]
    places = [(n, place) for n, line in enumerate(lines) if (place := _PLACE.match(line)) and library not in place[2]]
    end, found = places[0] if places else (len(lines), None)
    indent = len(found[1]) if found else 0
    start = end
    while start and not re.match(rf"\s{{0,{indent}}}Rejected as", lines[start - 1]):
        start -= 1
    said = [line.strip() for line in lines[start:end] if not re.match(r"\s*(\w+Error: )?Failed in", line)] or [text]
    reason = said[0]
    if reason.endswith("for signature:"):
        call = next((line for line in said if line.startswith(">>>")), "")
        reason = f"{reason} {call.removeprefix('>>>').strip()}"
    reason = _FUNCTION.sub(r"\1", re.sub(r"^\w+Error: ", "", reason)).rstrip(".:")
    return reason, (found[2], int(found[3])) if found else None


def _uses(name: str, body: Callable[..., Any]) -> Iterator[Place]:
    """Where the body, or a function that it calls, reads this undefined name."""
    seen, waiting = set[Any](), [body]
    while waiting:
        function = waiting.pop()
        function = getattr(function, "py_func", function)
        code = getattr(function, "__code__", None)
        if code is None or code in seen or not _is_ours(code.co_filename, body):
            continue
        seen.add(code)
        names = function.__globals__
        waiting += [names[other] for other in code.co_names if other in names]
        if name in code.co_names and name not in names and not hasattr(builtins, name):
            line = code.co_firstlineno
            for instruction in dis.get_instructions(code):
                line = getattr(instruction, "line_number", instruction.starts_line) or line  # new in Python 3.13
                if instruction.argval == name:
                    yield code.co_filename, line
                    break


def _is_ours(file: str, body: Callable[..., Any]) -> bool:
    return file == body.__code__.co_filename or Path(file).is_relative_to(_FOLDER / "jitnet")


def _hint(reason: str, file: str, line: int) -> str:
    """How to fix the usual mistakes."""
    if "float32" in reason and "float64" in reason:
        constants, arrays = _read(file, line)
        what = f"{constants[0]} is" if constants else "a constant such as 0.1 is"
        return f"{what} float64: write {arrays[0] if arrays else 'x'}.dtype.type({(constants or ['0.1'])[0]}) ({RULES})"
    if re.search("NRT required|function (empty|zeros|ones|full|array) ", reason):
        return f"kernels allocate no memory, so they make no lists, strings or arrays ({RULES})"
    return ""


def _read(file: str, line: int) -> tuple[list[str], list[str]]:
    """The constants with a point, and the names of arrays, in the statement at this line."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:  # the file is being edited
        return [], []
    statements = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    if not statements:
        return [], []
    nodes = list(ast.walk(max(statements, key=lambda statement: statement.lineno)))
    constants = [repr(node.value) for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    indexed = [node.value.id for node in nodes if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)]
    typed = [
        node.value.id
        for node in nodes
        if isinstance(node, ast.Attribute) and node.attr == "dtype" and isinstance(node.value, ast.Name)
    ]
    return constants, [*typed, *indexed]
