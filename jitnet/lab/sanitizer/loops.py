"""What the source alone tells about a prange loop.

Numba has three kinds of variables there. A reduction variable is only updated, by +=, -=, *=, /=, max or min: each
thread has a part of it, and the parts are combined after the loop. A variable that the body assigns before it reads it
is private. Any other variable that the body assigns carries a value from one iteration to the next: Numba compiles it,
and computes something else.
"""

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import CodeType

from .findings import Finding

_FAMILY = {ast.Add: "+", ast.Sub: "+", ast.Mult: "*", ast.Div: "*"}
"""Operations that Numba combines; those of one family may be mixed."""

_CHANGES = ("append", "extend", "insert", "pop", "popitem", "remove", "clear", "update", "setdefault", "add", "discard")
"""Methods that change a list, a dict or a set, none of which threads may share."""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass
class Loops:
    """The prange loops of one function."""

    findings: list[Finding] = field(default_factory=list)
    reduction_lines: set[int] = field(default_factory=set)
    reductions: dict[int, list[str]] = field(default_factory=dict)
    """Line of a loop -> its reduction variables."""
    sums: list[tuple[str, int]] = field(default_factory=list)
    """Those that add or multiply, so that the order matters, each with the line of its loop."""
    literal_lines: set[int] = field(default_factory=set)
    """Lines with an index that is written as a negative number."""
    has_source: bool = True


@functools.cache
def tree_of(code: CodeType) -> ast.FunctionDef | None:
    """The syntax of a function, with the line numbers of its file."""
    try:
        lines, first = inspect.getsourcelines(code)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return None
    ast.increment_lineno(tree, first - 1)
    return next((node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)), None)


def analyzed(code: CodeType, is_prange: Callable[[ast.expr], bool]) -> Loops:
    """The loops of a function; `is_prange` tells whether an expression is the name of prange."""
    found, tree = Loops(), tree_of(code)
    if tree is None:
        found.has_source = code.co_name == "<lambda>"  # which has no loops
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and any(map(_is_negative, _indices(node))):
            found.literal_lines.add(node.lineno)
    for loop in _outermost(tree, is_prange):
        _analyze(loop, tree, code.co_filename, found)
    return found


def _outermost(node: ast.AST, is_prange: Callable[[ast.expr], bool]) -> Iterator[ast.For]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.For) and isinstance(child.iter, ast.Call) and is_prange(child.iter.func):
            yield child
        else:
            yield from _outermost(child, is_prange)


def _indices(node: ast.Subscript) -> list[ast.expr]:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def _is_negative(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)


def _analyze(loop: ast.For, function: ast.FunctionDef, file: str, found: Loops) -> None:
    body = ast.Module(loop.body, [])
    updates = [(statement, update) for statement in _statements(body) if (update := update_of(statement))]
    known_before = {a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)}
    earlier = (event for event in _events(ast.Module(function.body, [])) if event[2] < loop.lineno)
    known_before |= {name for name, kind, _ in earlier if kind == "store"}
    targets = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    stores = [(name, line) for name, kind, line in _events(body) if kind == "store"]
    shared = known_before - {name for name, _ in stores}
    for node in ast.walk(body):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id in shared:
                message = f"{owner.id}.{node.func.attr} in a prange loop changes what all threads share"
                found.findings.append(Finding("shared", message, [node.lineno], file, owner.id))
    after, carried = list(_events_after(function, loop)), set()
    for name in dict.fromkeys(name for name, _ in stores):
        mine = [(statement, family) for statement, (variable, family) in updates if variable == name]
        families = {family for _, family in mine}
        lines = [line for other, line in stores if other == name]
        if name not in known_before or name in targets:
            continue
        if len(mine) == len(lines) and len(families) == 1 and "" not in families:
            found.reduction_lines.update(line for s, _ in mine for line in range(s.lineno, (s.end_lineno or 0) + 1))
            found.reductions.setdefault(loop.lineno, []).append(name)
            if not families & {"max", "min"}:
                found.sums.append((name, loop.lineno))
            reads = [line for other, kind, line in _events(body) if (other, kind) == (name, "load")]
            updated = [line for s, _ in mine for other, kind, line in _events(s) if (other, kind) == (name, "load")]
            for line in updated:
                reads.remove(line)
            if reads:
                message = (
                    f"reads {name} inside the prange loop that adds it up: a thread sees only its own part of the sum"
                )
                found.findings.append(Finding("reduction", message, [reads[0], lines[0]], file, name))
            continue
        stale = [line for other, line in _read_before_written(loop) if other == name]
        if stale:
            message = f"an iteration of the prange loop reads {name}, which another iteration assigns"
            found.findings.append(Finding("carried", message, [stale[0], lines[-1]], file, name))
            carried.add(name)
    for name, line in dict(stores).items():
        first = next(((kind, at) for other, kind, at in after if other == name), None)
        is_private = name not in carried and name not in found.reductions.get(loop.lineno, [])
        if first and first[0] == "load" and is_private:
            message = f"reads {name} after the prange loop, whose iterations each have a {name} of their own"
            found.findings.append(Finding("escapes", message, [first[1], line], file, name))


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _SCOPES):
            continue
        if isinstance(child, ast.stmt):
            yield child
        yield from _statements(child)


def update_of(statement: ast.stmt) -> tuple[str, str] | None:
    """The variable of `s += x`, `s = s + x`, `s = max(s, x)`, and the family of the operation, or ""."""
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id, _FAMILY.get(type(statement.op), "")
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target, value = statement.targets[0], statement.value
    if not isinstance(target, ast.Name):
        return None
    name = target.id
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("max", "min"):
        others = [a for a in value.args if not _is(a, name)]
        if len(others) == len(value.args) - 1 and not any(_mentions(a, name) for a in others):
            return name, value.func.id
    if isinstance(value, ast.BinOp) and type(value.op) in _FAMILY:
        family, commutes = _FAMILY[type(value.op)], isinstance(value.op, (ast.Add, ast.Mult))
        if commutes and _is(value.right, name) and not _mentions(value.left, name):
            return name, family
        left, others = value, [value.right]
        while isinstance(left.left, ast.BinOp) and _FAMILY.get(type(left.left.op)) == family:
            left = left.left
            others.append(left.right)
        if _is(left.left, name) and not any(_mentions(a, name) for a in others):
            return name, family
    return None


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _mentions(node: ast.expr, name: str) -> bool:
    return any(_is(part, name) for part in ast.walk(node) if isinstance(part, ast.expr))


Event = tuple[str, str, int]
"""Name, "load" or "store", line."""


def _events(node: ast.AST) -> Iterator[Event]:
    """Loads and stores of names, in the order in which they happen."""
    if isinstance(node, ast.Name):
        yield node.id, "store" if isinstance(node.ctx, ast.Store) else "load", node.lineno
    elif isinstance(node, ast.AugAssign):
        if isinstance(node.target, ast.Name):
            yield node.target.id, "load", node.lineno
        yield from _events(node.value)
        yield from _events(node.target)
    elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
        if node.value:
            yield from _events(node.value)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from _events(target)
    elif isinstance(node, ast.For):
        yield from _events(node.iter)
        yield from _events(node.target)
        for statement in [*node.body, *node.orelse]:
            yield from _events(statement)
    elif isinstance(node, _SCOPES):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, "store", node.lineno
            return
        inside = [event for child in ast.iter_child_nodes(node) for event in _events(child)]
        bound = {name for name, kind, _ in inside if kind == "store"}
        bound |= {a.arg for a in ast.walk(node) if isinstance(a, ast.arg)}
        yield from (event for event in inside if event[0] not in bound)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _events(child)


def _events_after(function: ast.FunctionDef, loop: ast.For) -> Iterator[Event]:
    for statement in function.body:
        for event in _events(statement):
            if event[2] > (loop.end_lineno or 0):
                yield event


def _read_before_written(loop: ast.For) -> list[tuple[str, int]]:
    """Names that a path through one iteration reads before it writes them, and where."""
    found: list[tuple[str, int]] = []

    def walk(statements: list[ast.stmt], known: set[str]) -> set[str] | None:
        """The names that are written after these statements, or None if nothing comes after them."""
        for statement in statements:
            if isinstance(statement, ast.If):
                note(statement.test, known)
                ends = [walk(branch, set(known)) for branch in (statement.body, statement.orelse)]
                alive = [end for end in ends if end is not None]
                if not alive:
                    return None
                known.update(set.intersection(*alive))
            elif isinstance(statement, (ast.For, ast.While)):
                note(statement.iter if isinstance(statement, ast.For) else statement.test, known)
                inside = set(known)
                if isinstance(statement, ast.For):
                    note(statement.target, inside)
                walk(statement.body, inside)
                walk(statement.orelse, set(known))
            elif isinstance(statement, (ast.Continue, ast.Break, ast.Return, ast.Raise)):
                note(statement, known)
                return None
            else:
                note(statement, known)
        return known

    def note(node: ast.AST, known: set[str]) -> None:
        for name, kind, line in _events(node):
            if kind == "store":
                known.add(name)
            elif name not in known:
                found.append((name, line))

    walk(loop.body, {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)})
    return found
