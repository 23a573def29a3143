"""Loops in Python sources: their lines, their nesting, and the elements that outer loops return to."""

import ast
import functools
import tokenize
from collections.abc import Collection

from ..sanitizer.syntax import assigned, assigned_by, names_in

Loop = ast.For | ast.While
Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def text_of(file: str) -> tuple[str, ...]:
    """Its lines, decoded and divided as by Python; none if it cannot be read."""
    try:
        with tokenize.open(file) as source:
            return tuple(line.rstrip("\n") for line in source)
    except (OSError, ValueError, SyntaxError):
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
    return bool(nest) and isinstance(nest[-1], ast.For) and _walks_columns(names_in(nest[-1].target), nest[-1])


def _walks_columns(variables: set[str], loop: Loop) -> bool:
    indices = [n.slice.elts for n in ast.walk(loop) if isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Tuple)]
    return any(
        variables & set().union(*map(names_in, index[:-1])) and not variables & names_in(index[-1]) for index in indices
    )


def swappable(file: str, line: int) -> bool:
    """True if a loop around the one on that line can take its place, so that each lane of a vector has its own sum.

    In `for i: for j: total = 0; for k: total += x[i, k]*w[k, j]`, the loop over j can, which goes along rows of w; the
    loop over i would move down columns of x.
    """
    nest = _nest(file, line)
    outer = [loop for loop in nest[:-1] if isinstance(loop, ast.For)]
    return bool(nest) and isinstance(nest[-1], ast.For) and any(_could_be_inner(loop, nest[-1]) for loop in outer)


def _could_be_inner(outer: ast.For, inner: ast.For) -> bool:
    variables, inside = names_in(outer.target), list(ast.walk(inner))
    stored = (node for node in ast.walk(outer) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    begun = {node.id for node in stored if node not in inside}
    elements = [node for node in inside if isinstance(node, ast.Subscript)]
    own = {name for name, _ in _updates(inner)} <= begun and all(
        variables & names_in(node) for node in elements if isinstance(node.ctx, ast.Store)
    )
    views = begun & {node.value.id for node in elements if isinstance(node.value, ast.Name)}
    return own and not views and not begun & names_in(inner.iter) and not _walks_columns(variables, inner)


def _updates(loop: Loop) -> list[tuple[str, ast.stmt]]:
    """The assignments whose new value of a variable depends on the one of the previous iteration."""
    known, found = set[str](), list[tuple[str, ast.stmt]]()  # known: variables that each iteration begins anew
    for statement in (part for one in loop.body for part in ast.walk(one)):
        pairs = [(t.id, value) for t, value in assigned_by(statement) if isinstance(t, ast.Name)]
        is_sum = isinstance(statement, ast.AugAssign)
        old = {name for name, value in pairs if is_sum or name in names_in(value)} - known
        found += [(name, statement) for name in old if isinstance(statement, ast.stmt)]
        if statement in loop.body and len(pairs) == 1:
            known |= {name for name, _ in pairs if name not in {old for old, _ in found}}
    return found


def recurs(file: str, line: int) -> bool:
    """True if an iteration needs a value of the previous one for more than a sum, a product, a maximum or a minimum:
    `total += x[i]; out[i] = total`, or `x = a*x % m`."""
    nest = _nest(file, line)
    if not nest:
        return False
    for name, statement in _updates(nest[-1]):
        own = list(ast.walk(statement))
        read = [
            n for n in ast.walk(nest[-1]) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)
        ]
        if any(node not in own for node in read) or not _reduces(name, statement):
            return True
    return False


_DIVISIONS = (ast.Div, ast.FloorDiv, ast.Mod)
_REDUCTIONS = (ast.Add, ast.Sub, ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)


def _reduces(name: str, statement: ast.stmt) -> bool:
    """`x += a`, `x = x + a`, `x = max(x, a)`, where a does not depend on x."""
    if isinstance(statement, ast.AugAssign):
        return isinstance(statement.op, _REDUCTIONS) and name not in names_in(statement.value)
    value = statement.value if isinstance(statement, ast.Assign) else None
    parts: list[ast.expr] = []
    if isinstance(value, ast.BinOp) and isinstance(value.op, _REDUCTIONS):
        parts = [value.left, value.right]
    elif isinstance(value, ast.Call) and names_in(value.func) <= {"max", "min"}:
        parts = value.args
    return [ast.unparse(part) for part in parts if name in names_in(part)] == [name]


def divides(file: str, line: int) -> bool:
    """True if the loop on that line may divide by 0: by something else than a constant."""
    first, last = lines_of_loop(file, line)
    by = [
        n.right if isinstance(n, ast.BinOp) else n.value
        for n in ast.walk(_tree(file))
        if isinstance(n, (ast.BinOp, ast.AugAssign)) and isinstance(n.op, _DIVISIONS) and first <= n.lineno <= last
    ]
    return any(not (isinstance(divisor, ast.Constant) and divisor.value) for divisor in by)


def _sources_of_names(function: ast.AST) -> dict[str, set[str]]:
    """Name -> the names that it is computed from."""
    sources: dict[str, set[str]] = {}
    for target, value in assigned(function):
        for name in names_in(target) if isinstance(target, (ast.Name, ast.Tuple)) else ():
            sources.setdefault(name, set()).update(names_in(value))
    return sources
