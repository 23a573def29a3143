"""Loops in Python sources: their lines, their nesting, and the elements that outer loops return to."""

import ast
import functools
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Collection

from ..sanitizer.syntax import assigned, assigned_by, is_named, names_in, parts_of

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


def _elements(loop: Loop) -> list[ast.Subscript]:
    """X[i, k], and X[i][k] without X[i]."""
    found = [node for node in ast.walk(loop) if isinstance(node, ast.Subscript)]
    rows = {id(node.value) for node in found}
    return [node for node in found if id(node) not in rows]


def _index_of(element: ast.Subscript) -> list[ast.expr]:
    """i and k of X[i, k], and of X[i][k]."""
    row = _index_of(element.value) if isinstance(element.value, ast.Subscript) else []
    return [*row, *parts_of(element.slice)]


def _walks_columns(variables: set[str], loop: Loop) -> bool:
    return any(
        variables & set().union(*map(names_in, index[:-1])) and not variables & names_in(index[-1])
        for index in map(_index_of, _elements(loop))
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
    ids = set(map(id, inside))
    stored = (node for node in ast.walk(outer) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    begun = {node.id for node in stored if id(node) not in ids}
    elements = [node for node in inside if isinstance(node, ast.Subscript)]
    own = set(_updates(inner)) <= begun and all(
        variables & names_in(node) for node in elements if isinstance(node.ctx, ast.Store)
    )
    views = begun & {node.value.id for node in elements if isinstance(node.value, ast.Name)}
    steps = [
        part is index[-1] and _has_step_1(variables, part)
        for index in map(_index_of, _elements(inner))
        for part in index
        if variables & names_in(part)
    ]
    return own and not views and not begun & names_in(inner.iter) and bool(steps) and all(steps)


def _has_step_1(variables: set[str], index: ast.expr) -> bool:
    """True for `j` and `j + k`, not for `j*n`."""
    others = (n for n in ast.walk(index) if isinstance(n, ast.BinOp) and not isinstance(n.op, (ast.Add, ast.Sub)))
    return not any(variables & names_in(node) for node in others)


def _updates(loop: Loop) -> dict[str, list[tuple[ast.expr, bool]]]:
    """The variables whose new values depend on that of the previous iteration: these values (`s + a` of `s += a`), and
    whether every iteration assigns them."""
    begun, found = set[str](), defaultdict[str, list[tuple[ast.expr, bool]]](list)  # begun: anew in each iteration
    for one in loop.body:
        for part in ast.walk(one):
            for target, value in assigned_by(part):
                if isinstance(target, ast.Name) and target.id not in begun:
                    old = ast.Name(target.id, ast.Load())
                    new = ast.BinOp(old, part.op, value) if isinstance(part, ast.AugAssign) else value
                    if target.id in names_in(new):
                        found[target.id].append((new, part is one))
        if isinstance(one, ast.Assign):
            begun |= {target.id for target in one.targets if isinstance(target, ast.Name) and target.id not in found}
    return found


def recurs(file: str, line: int) -> bool:
    """True if an iteration needs a value of the previous one, but not for a sum, a product, a maximum or a minimum:
    `total += x[i]; out[i] = total`, or `x = a*x % m`. Counters are known in advance."""
    found = _reductions(file, line)
    return bool(found) and not any(found)


def reduces(file: str, line: int) -> bool:
    """True if the loop on that line has a sum, a product, a maximum or a minimum that only the code after it reads."""
    return any(_reductions(file, line))


def _reductions(file: str, line: int) -> list[bool]:
    """For each variable that an iteration passes to the next one, except counters: whether it is such a sum."""
    nest = _nest(file, line)
    if not nest:
        return []
    nodes = list(ast.walk(nest[-1]))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    last = {id(n) for one in nodes if isinstance(one, (ast.Return, ast.Raise)) for n in ast.walk(one)}
    reads = Counter(node.id for node in names if isinstance(node.ctx, ast.Load) and id(node) not in last)
    reads.update(n.target.id for n in nodes if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name))
    found = []
    for name, steps in _updates(nest[-1]).items():
        values = [value for value, _ in steps]
        own = sum(is_named(node, name) for value in values for node in ast.walk(value))
        if not all(is_always and _counts(name, value, stored) for value, is_always in steps):
            found.append(reads[name] == own and _reduces(name, values))
    return found


def _counts(name: str, value: ast.expr, stored: set[str]) -> bool:
    """`i + 1`, or `i + n` where the loop does not change n."""
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, (ast.Add, ast.Sub)):
        return False
    step = value.right
    return is_named(value.left, name) and isinstance(step, (ast.Constant, ast.Name)) and not names_in(step) & stored


_DIVISIONS = (ast.Div, ast.FloorDiv, ast.Mod)
_REDUCTIONS = {"Add", "Mult", "BitAnd", "BitOr", "BitXor", "max", "min", "choice"}
_SAME = {"Sub": "Add", "maximum": "max", "fmax": "max", "minimum": "min", "fmin": "min"}
_CONVERTS = re.compile(r"(u?int|float)\d*$|type$")


def _reduces(name: str, values: list[ast.expr]) -> bool:
    """True if one operation makes all the new values of x from its old one: `x + a - b`, `max(x, a)`, `a if a > x else
    x`, where a and b do not depend on x."""
    kinds, parts = set[str](), list(values)
    while parts:
        part = parts.pop()
        operands, kind = [part], ""
        if isinstance(part, ast.BinOp):
            operands, kind = [part.left, part.right], type(part.op).__name__
        elif isinstance(part, ast.Call):
            operands, kind = part.args, ast.unparse(part.func).rpartition(".")[2]
        elif isinstance(part, ast.IfExp):
            operands, kind = [part.body, part.orelse], "choice" if name in names_in(part.test) else ""
        elif not is_named(part, name):
            return False
        used = [operand for operand in operands if name in names_in(operand) and operand is not part]
        if len(used) > 1 and not isinstance(part, ast.IfExp):
            return False
        kinds |= {_SAME.get(kind, kind)} if kind and not _CONVERTS.match(kind) else set()
        parts += used
    return len(kinds) <= 1 and kinds <= _REDUCTIONS


def reads_what_it_writes(file: str, line: int) -> bool:
    """True if the loop on that line reads other elements of an array that it writes: D[i, j] += D[i, k]."""
    nest = _nest(file, line)
    elements = _elements(nest[-1]) if nest else []
    written = [(_root(node), ast.unparse(node)) for node in elements if isinstance(node.ctx, ast.Store)]
    read = [(_root(node), ast.unparse(node)) for node in elements if isinstance(node.ctx, ast.Load)]
    return any(array == other and element != text for array, element in written for other, text in set(read))


def _root(element: ast.Subscript) -> str:
    """X of X[i][k]."""
    inner: ast.expr = element
    while isinstance(inner, ast.Subscript):
        inner = inner.value
    return ast.unparse(inner)


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
