"""Loops and functions in Python sources: their lines, their nesting, and what their statements do."""

import ast
import functools
import tokenize
from collections.abc import Collection

Loop = ast.For | ast.While
Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def text_of(file: str) -> tuple[str, ...]:
    """Its lines, decoded and divided as by Python; none if it cannot be read."""
    try:
        with tokenize.open(file) as source:
            return tuple(line.rstrip("\n") for line in source)
    except (OSError, ValueError, SyntaxError, LookupError):  # LookupError: `# coding: hex`
        return ()


@functools.cache
def _tree(file: str) -> ast.Module:
    """Empty if it is not Python."""
    try:
        return ast.parse("\n".join(text_of(file)))
    except SyntaxError:
        return ast.Module([], [])


@functools.cache
def _statements(file: str) -> tuple[list[Loop], list[Function]]:
    """Loops and functions, outer ones before inner ones."""
    nodes = sorted((n for n in ast.walk(_tree(file)) if isinstance(n, ast.stmt)), key=lambda node: node.lineno)
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


def function_of(file: str, line: int) -> Function | None:
    """The innermost function that holds this line."""
    found = [function for function in _statements(file)[1] if _holds(function, [line])]
    return found[-1] if found else None


def nest_of(file: str, line: int) -> list[Loop]:
    """The loop that begins on that line and those around it in the same function, the outermost first."""
    function = function_of(file, line)
    first = function.lineno if function else 0
    return [loop for loop in _statements(file)[0] if _holds(loop, [line]) and loop.lineno >= first]


def depth(file: str, line: int) -> int:
    """The nesting depth of the loop on that line within its function."""
    return len(nest_of(file, line))


def lines_of_loop(file: str, line: int) -> tuple[int, int]:
    nest = nest_of(file, line)
    return (line, nest[-1].end_lineno or line) if nest else (line, line)


def function_around(file: str, line: int) -> tuple[str, int, int]:
    """Name, first line (decorators counted) and last line of the function that holds this line."""
    function = function_of(file, line)
    if function is None:
        return "", line, line
    first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
    return function.name, first, function.end_lineno or line


def leaves(file: str, line: int) -> bool:
    """True if the loop on that line has an early exit: break, return or raise."""
    nest = nest_of(file, line)
    return bool(nest) and any(isinstance(node, (ast.Break, ast.Return, ast.Raise)) for node in ast.walk(nest[-1]))


_DIVISIONS = (ast.Div, ast.FloorDiv, ast.Mod)


def divides(file: str, line: int) -> bool:
    """True if the loop on that line may divide by 0: by something else than a constant."""
    first, last = lines_of_loop(file, line)
    by = [
        n.right if isinstance(n, ast.BinOp) else n.value
        for n in ast.walk(_tree(file))
        if isinstance(n, (ast.BinOp, ast.AugAssign)) and isinstance(n.op, _DIVISIONS) and first <= n.lineno <= last
    ]
    return any(not (isinstance(divisor, ast.Constant) and divisor.value) for divisor in by)
