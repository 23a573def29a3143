"""The syntax of a function: its tree, the order in which it loads and stores its variables, and which it updates.

An update is a statement such as `s += x`, from which Numba makes a reduction if it is in a prange loop.
"""

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from types import CodeType, FunctionType
from typing import Any, NamedTuple, TypeGuard

from ..loading import body_of

_FAMILY = {ast.Add: "+", ast.Sub: "+", ast.Mult: "*", ast.Div: "*"}
"""Operations that Numba combines; those of one family may be mixed."""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
"""Nodes with variables of their own."""

_ENDS = (ast.Continue, ast.Break, ast.Return, ast.Raise)
"""Statements after which nothing of their block is executed."""


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


def integers_in(body: FunctionType, span: range) -> list[int]:
    """The integers of a function's source, and the global integers that it names, in ascending order."""
    values = [getattr(node, "value", None) for node in ast.walk(tree_of(body.__code__) or ast.Pass())]
    values += [body.__globals__.get(name) for name in body.__code__.co_names]
    return sorted({value for value in values if type(value) is int and value in span})


def statements_in(node: ast.AST) -> Iterator[ast.stmt]:
    """All statements, outer ones first, but not those of inner functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _SCOPES):
            continue
        if isinstance(child, ast.stmt):
            yield child
        yield from statements_in(child)


def assigned(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What is assigned to what; `a, b = c, d` is two assignments."""
    return chain.from_iterable(map(assigned_by, ast.walk(tree)))


def assigned_by(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The same of one statement."""
    if not isinstance(node, (ast.Assign, ast.AugAssign)):
        return
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value


def names_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def parts_of(index: ast.expr) -> list[ast.expr]:
    """`i` and `j` of the index `i, j`."""
    return index.elts if isinstance(index, ast.Tuple) else [index]


def is_named(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def is_shape(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and node.attr == "shape"


# -- updates ---------------------------------------------------------------------------------------


def updates_of(statement: ast.stmt) -> list[tuple[str, str]]:
    """The variables of `s += x`, `s = s + x`, `s = max(s, x)`, each with the family of the operation, or ""."""
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        name = statement.target.id
        return [(name, "" if name in names_in(statement.value) else _FAMILY.get(type(statement.op), ""))]
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return []
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        pairs = list(zip(target.elts, value.elts, strict=True))  # s, t = s + x, t + 1
    else:
        pairs = [(target, value)]
    return [(name.id, _family(name.id, of)) for name, of in pairs if isinstance(name, ast.Name)]


def _family(name: str, value: ast.expr) -> str:
    """The family of the operation that `name = value` updates the variable by, or ""."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("max", "min"):
        others = [argument for argument in value.args if not is_named(argument, name)]
        is_update = len(value.args) == 2 and len(others) == 1 and name not in names_in(others[0])
        return value.func.id if is_update else ""
    if isinstance(value, ast.BinOp) and type(value.op) in _FAMILY:
        commutes = isinstance(value.op, (ast.Add, ast.Mult))
        left = is_named(value.left, name) and name not in names_in(value.right)
        right = is_named(value.right, name) and name not in names_in(value.left)
        return _FAMILY[type(value.op)] if left or (commutes and right) else ""
    return ""


# -- loads and stores ------------------------------------------------------------------------------


class Event(NamedTuple):
    """A variable is loaded or stored."""

    name: str
    is_store: bool
    line: int


def events_of(node: ast.AST) -> Iterator[Event]:
    """Loads and stores of variables, in the order in which they happen: a value is computed before it is stored."""
    if isinstance(node, ast.Name):
        yield Event(node.id, isinstance(node.ctx, ast.Store), node.lineno)
    elif isinstance(node, ast.AugAssign):
        if isinstance(node.target, ast.Name):
            yield Event(node.target.id, False, node.lineno)
        yield from events_of_all([node.value, node.target])
    elif isinstance(node, ast.Assign):
        yield from events_of_all([node.value, *node.targets])
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
        yield from events_of_all([*([node.value] if node.value else []), node.target])
    elif isinstance(node, ast.For):
        yield from events_of_all([node.iter, node.target, *node.body, *node.orelse])
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield Event(node.name, True, node.lineno)
    elif isinstance(node, _SCOPES):
        yield from _events_from_outside(node)
    else:
        yield from events_of_all(ast.iter_child_nodes(node))


def events_of_all(nodes: Iterable[ast.AST]) -> Iterator[Event]:
    for node in nodes:
        yield from events_of(node)


def _events_from_outside(scope: ast.AST) -> Iterator[Event]:
    """The events of a lambda or a comprehension, except those of its own variables."""
    inside = list(events_of_all(ast.iter_child_nodes(scope)))
    own = {event.name for event in inside if event.is_store}
    own |= {node.arg for node in ast.walk(scope) if isinstance(node, ast.arg)}
    return (event for event in inside if event.name not in own)


def renamed(function: Callable[..., Any]) -> dict[str, int] | None:
    """The parameters whose names a function gives to something else, each with the line; None without its source."""
    code = getattr(body_of(function), "__code__", None)
    tree = tree_of(code) if code else None
    if tree is None:
        return None
    parameters = {node.arg for node in ast.walk(tree.args) if isinstance(node, ast.arg)}
    found: dict[str, int] = {}
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Assign)):
        for target in node.targets:
            names = [part for part in ast.walk(target) if isinstance(part, ast.Name)]
            stored = {name.id for name in names if isinstance(name.ctx, ast.Store)} & parameters
            for name in stored - {_root(node.value)}:  # out = out.ravel() is a view
                found.setdefault(name, node.lineno)
    return found


def array_of(element: ast.expr) -> str:
    """`a` of a[i] and a[i][j]."""
    while isinstance(element, ast.Subscript):
        element = element.value
    return ast.unparse(element)


def _root(node: ast.expr) -> str:
    """`a` of a[i], a.T and a.reshape(n); "" for other expressions, and for a name."""
    inner = node
    while isinstance(inner, (ast.Attribute, ast.Subscript, ast.Call)):
        inner = inner.func if isinstance(inner, ast.Call) else inner.value
    return inner.id if isinstance(inner, ast.Name) and inner is not node else ""


def read_before_stored(loop: ast.For) -> list[Event]:
    """The loads of variables that some path through one iteration has not stored before."""
    paths = _Paths()
    paths.follow(loop.body, names_in(loop.target))
    return paths.unknown


class _Paths:
    """All paths through some statements, followed with the set of variables that each has stored."""

    def __init__(self) -> None:
        self.unknown: list[Event] = []
        """Loads of variables that were not stored before."""

    def follow(self, statements: list[ast.stmt], known: set[str]) -> set[str] | None:
        """Add to `known` what these statements store in any case; None if nothing comes after them."""
        for statement in statements:
            if isinstance(statement, ast.If):
                self._note(statement.test, known)
                ends = [self.follow(branch, set(known)) for branch in (statement.body, statement.orelse)]
                alive = [end for end in ends if end is not None]
                if not alive:
                    return None
                known.update(set.intersection(*alive))
            elif isinstance(statement, (ast.For, ast.While)):
                self._follow_loop(statement, known)
            else:
                self._note(statement, known)
                if isinstance(statement, _ENDS):
                    return None
        return known

    def _follow_loop(self, loop: ast.For | ast.While, known: set[str]) -> None:
        """A loop may have no iteration, so what it stores is not known after it."""
        self._note(loop.iter if isinstance(loop, ast.For) else loop.test, known)
        inside = set(known)
        if isinstance(loop, ast.For):
            self._note(loop.target, inside)
        self.follow(loop.body, inside)
        self.follow(loop.orelse, set(known))

    def _note(self, node: ast.AST, known: set[str]) -> None:
        for event in events_of(node):
            if event.is_store:
                known.add(event.name)
            elif event.name not in known:
                self.unknown.append(event)
