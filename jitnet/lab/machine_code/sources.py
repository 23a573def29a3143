"""Loops in Python sources: their lines, their nesting, and the elements that outer loops return to."""

import ast
import functools
from collections.abc import Collection
from pathlib import Path

from ..sanitizer.syntax import assigned, names_in

Loop = ast.For | ast.While
Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def text_of(file: str) -> tuple[str, ...]:
    """Its lines; none if it cannot be read."""
    try:
        return tuple(Path(file).read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError):
        return ()


@functools.cache
def _statements(file: str) -> tuple[list[Loop], list[Function]]:
    """Loops and functions, outer ones before inner ones."""
    try:
        tree = ast.parse("\n".join(text_of(file)))
    except SyntaxError:
        return [], []
    nodes = sorted((node for node in ast.walk(tree) if isinstance(node, ast.stmt)), key=lambda node: node.lineno)
    return [n for n in nodes if isinstance(n, Loop)], [n for n in nodes if isinstance(n, Function)]


def _holds(statement: ast.stmt, lines: Collection[int]) -> bool:
    return statement.lineno <= min(lines) and max(lines) <= (statement.end_lineno or 0)


@functools.cache
def loop_around(file: str, lines: frozenset[int]) -> int | None:
    """The line of the innermost loop that holds all of these lines."""
    found = [loop.lineno for loop in _statements(file)[0] if _holds(loop, lines)]
    return found[-1] if found else None


def is_loop(file: str, line: int) -> bool:
    return any(loop.lineno == line for loop in _statements(file)[0])


def _function(file: str, line: int) -> Function | None:
    found = [function for function in _statements(file)[1] if _holds(function, [line])]
    return found[-1] if found else None


def _nest(file: str, line: int) -> list[Loop]:
    """The loop that begins on that line and those around it in the same function, the outermost first."""
    function = _function(file, line)
    first = function.lineno if function else 0
    return [loop for loop in _statements(file)[0] if _holds(loop, [line]) and loop.lineno >= first]


def depth(file: str, line: int) -> int:
    """The nesting depth of the loop on that line within its function."""
    return len(_nest(file, line))


def lines_of_loop(file: str, line: int) -> tuple[int, int]:
    nest = _nest(file, line)
    return (line, nest[-1].end_lineno or line) if nest else (line, line)


def function_around(file: str, line: int) -> tuple[str, int, int]:
    """Name, first line (decorators counted) and last line of the function that holds this line."""
    function = _function(file, line)
    if function is None:
        return "", line, line
    first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
    return function.name, first, function.end_lineno or line


def leaves(file: str, line: int) -> bool:
    """True if the loop on that line has an early exit: break, return or raise."""
    nest = _nest(file, line)
    return bool(nest) and any(isinstance(node, (ast.Break, ast.Return, ast.Raise)) for node in ast.walk(nest[-1]))


def comes_back(file: str, line: int) -> str | None:
    """The variable of an outer loop that writes the same elements again in each iteration; or None.

    In `for k: for j: z[j] += x[k]*w[k, j]`, z[j] does not depend on k: the loop over k returns to all of z.
    """
    nest = _nest(file, line)
    if len(nest) < 2:
        return None
    sources = _sources_of_names(_function(file, line) or nest[0])
    written = [
        node for node in ast.walk(nest[-1]) if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
    ]
    for target in written:
        known, new = set[str](), names_in(target)
        while new:
            known |= new
            new = set().union(*(sources.get(name, set()) for name in new)) - known
        for loop in reversed(nest[:-1]):
            if isinstance(loop, ast.For) and not names_in(loop.target) & known:
                return ast.unparse(loop.target)
    return None


def walks_columns(file: str, line: int) -> bool:
    """True if the loop on that line moves down a column: its variable is in an index, but not in the last one."""
    nest = _nest(file, line)
    if not nest or not isinstance(nest[-1], ast.For):
        return False
    variables = names_in(nest[-1].target)
    indices = [
        n.slice.elts for n in ast.walk(nest[-1]) if isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Tuple)
    ]
    return any(
        variables & set().union(*map(names_in, index[:-1])) and not variables & names_in(index[-1]) for index in indices
    )


def _sources_of_names(function: ast.AST) -> dict[str, set[str]]:
    """Name -> the names that it is computed from."""
    sources: dict[str, set[str]] = {}
    for target, value in assigned(function):
        for name in names_in(target) if isinstance(target, (ast.Name, ast.Tuple)) else ():
            sources.setdefault(name, set()).update(names_in(value))
    return sources
