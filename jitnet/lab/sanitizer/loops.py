"""Facts about a prange loop from its source alone.

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
from typing import NamedTuple

from .findings import Finding

_FAMILY = {ast.Add: "+", ast.Sub: "+", ast.Mult: "*", ast.Div: "*"}
"""Operations that Numba combines; those of one family may be mixed."""

_CHANGES = ("append", "extend", "insert", "pop", "popitem", "remove", "clear", "update", "setdefault", "add", "discard")
"""Methods that change a list, a dict or a set, which threads may not share."""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Watched(NamedTuple):
    """A variable whose value at the end of a prange loop decides what the lines mean."""

    name: str
    loop: int
    """The line of the loop."""
    line: int
    how: str
    """"sum": added up as `s += x`, so that the order matters for floating-point numbers; "assigned": as `s = s + x`,
    which is not a reduction of arrays; "[]": its items are assigned, or ".append": this method is called, which is
    an error if it is a list, a dict or a set.
    """


@dataclass
class Loops:
    """The prange loops of one function."""

    findings: list[Finding] = field(default_factory=list)
    reduction_lines: set[int] = field(default_factory=set)
    watched: list[Watched] = field(default_factory=list)
    serial_lines: set[int] = field(default_factory=set)
    """Lines of loops that Numba runs serially, because they have more than one exit."""
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
    """The loops of a function; `is_prange` decides whether an expression is the name of prange."""
    found, tree = Loops(), tree_of(code)
    if tree is None:
        found.has_source = code.co_name == "<lambda>"  # which has no loops
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and any(map(_is_negative, _indices(node))):
            found.literal_lines.add(node.lineno)
        elif isinstance(node, ast.For) and _has_steps(node, is_prange):
            message = "prange takes steps of 1 only: Numba does not compile this loop with parallel=True"
            found.findings.append(Finding("step", message, [node.lineno], code.co_filename))
    for loop in _outermost(tree, is_prange):
        _Loop(loop, tree, code.co_filename, found).analyze()
    return found


def _outermost(node: ast.AST, is_prange: Callable[[ast.expr], bool]) -> Iterator[ast.For]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.For) and isinstance(child.iter, ast.Call) and is_prange(child.iter.func):
            yield child
        else:
            yield from _outermost(child, is_prange)


def _has_steps(loop: ast.For, is_prange: Callable[[ast.expr], bool]) -> bool:
    """True for prange(start, stop, step), unless the step is written as 1."""
    if not isinstance(loop.iter, ast.Call) or not is_prange(loop.iter.func) or len(loop.iter.args) < 3:
        return False
    step = loop.iter.args[2]
    return not (isinstance(step, ast.Constant) and step.value == 1)


def _indices(node: ast.Subscript) -> list[ast.expr]:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def _is_negative(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)


class _Loop:
    """One prange loop of a function: what its body does with variables."""

    def __init__(self, loop: ast.For, function: ast.FunctionDef, file: str, found: Loops) -> None:
        self.loop, self.file, self.found = loop, file, found
        self.body = ast.Module(loop.body, [])
        self.events = list(_events(self.body))
        self.stores: dict[str, list[int]] = {}
        """Variable -> the lines of the body that assign it."""
        for name, kind, line in self.events:
            if kind == "store":
                self.stores.setdefault(name, []).append(line)
        earlier = (event for event in _events(ast.Module(function.body, [])) if event[2] < loop.lineno)
        self.known_before = {a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)}
        self.known_before |= {name for name, kind, _ in earlier if kind == "store"}
        self.targets = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
        self.updates = [
            (statement, *update) for statement in _statements(self.body) for update in updates_of(statement)
        ]
        self.after = list(_events_after(function, loop))
        self.not_private: set[str] = set()
        """Variables that are added up, or carry a value to the next iteration."""

    def analyze(self) -> None:
        self._exits()
        self._shared()
        stale = _read_before_written(self.loop)
        for name, lines in self.stores.items():
            if name not in self.known_before or name in self.targets:
                continue
            mine = [(statement, family) for statement, variable, family in self.updates if variable == name]
            families = {family for _, family in mine}
            if len(mine) == len(lines) and len(families) == 1 and "" not in families:
                self._reduction(name, [statement for statement, _ in mine], families.pop())
                continue
            reads = [line for other, line in stale if other == name]
            if reads:
                message = f"an iteration of the prange loop reads {name}, which another iteration assigns"
                self._add("carried", message, [reads[0], lines[-1]], name)
                self.not_private.add(name)
        self._escapes()

    def _add(self, kind: str, message: str, lines: list[int], name: str = "") -> None:
        self.found.findings.append(Finding(kind, message, lines, self.file, name))

    def _exits(self) -> None:
        """Numba runs a loop with more than one exit serially."""
        statement = next(_exits_of(self.loop), None)
        if statement is not None:
            self.found.serial_lines.add(self.loop.lineno)
            what = type(statement).__name__.lower()
            message = (
                f"a prange loop with `{what}` inside has more than one exit, so Numba runs it serially; it was checked "
                "as if it ran in parallel"
            )
            self._add("serial", message, [statement.lineno])

    def _shared(self) -> None:
        """What would change a list or a dict that was made before the loop."""
        shared = self.known_before - set(self.stores)
        for node in ast.walk(self.body):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
                owner = node.func.value
                if isinstance(owner, ast.Name) and owner.id in shared:
                    self._watch(owner.id, node.lineno, f".{node.func.attr}")
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                name = node.value.id if isinstance(node.value, ast.Name) else ""
                if name in shared:
                    self._watch(name, node.lineno, "[]")

    def _watch(self, name: str, line: int, how: str) -> None:
        self.found.watched.append(Watched(name, self.loop.lineno, line, how))

    def _reduction(self, name: str, statements: list[ast.stmt], family: str) -> None:
        """A variable that is only updated; nothing else may read it."""
        self.not_private.add(name)
        self.found.reduction_lines.update(
            line for statement in statements for line in range(statement.lineno, (statement.end_lineno or 0) + 1)
        )
        if family not in ("max", "min"):
            assigned = next((statement for statement in statements if isinstance(statement, ast.Assign)), None)
            self._watch(name, assigned.lineno if assigned else self.loop.lineno, "assigned" if assigned else "sum")
        reads = [line for other, kind, line in self.events if (other, kind) == (name, "load")]
        for statement in statements:  # an update reads it once
            reads.remove(next(line for other, kind, line in _events(statement) if (other, kind) == (name, "load")))
        if reads:
            message = f"reads {name} inside the prange loop that adds it up: a thread sees only its own part of the sum"
            self._add("reduction", message, [reads[0], self.stores[name][0]], name)

    def _escapes(self) -> None:
        """Variables of the body, and the loop variable, that are read after the loop."""
        lines = {name: lines[-1] for name, lines in self.stores.items()}
        for name, line in (lines | dict.fromkeys(self.targets, self.loop.lineno)).items():
            kind, at = next(((kind, at) for other, kind, at in self.after if other == name), ("", 0))
            if kind == "load" and name not in self.not_private:
                message = f"reads {name} after the prange loop, whose iterations each have their own {name}"
                self._add("escapes", message, [at, line], name)


def _exits_of(loop: ast.For) -> Iterator[ast.stmt]:
    """The statements that leave the loop: `break`, but not that of a loop inside, and all that may raise."""

    def walk(statements: list[ast.stmt], is_inner: bool) -> Iterator[ast.stmt]:
        for statement in statements:
            leaves = (ast.Return, ast.Raise, ast.Assert, ast.Try) + (() if is_inner else (ast.Break,))
            if isinstance(statement, leaves):
                yield statement
            elif isinstance(statement, (ast.For, ast.While)):
                yield from walk(statement.body, True)
                yield from walk(statement.orelse, is_inner)
            elif isinstance(statement, ast.If):
                yield from walk([*statement.body, *statement.orelse], is_inner)
            elif isinstance(statement, ast.With):
                yield from walk(statement.body, is_inner)

    return walk(loop.body, False)


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _SCOPES):
            continue
        if isinstance(child, ast.stmt):
            yield child
        yield from _statements(child)


def updates_of(statement: ast.stmt) -> list[tuple[str, str]]:
    """The variables of `s += x`, `s = s + x`, `s = max(s, x)`, each with the family of the operation, or ""."""
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        name = statement.target.id
        return [(name, "" if _mentions(statement.value, name) else _FAMILY.get(type(statement.op), ""))]
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
        others = [a for a in value.args if not _is(a, name)]
        if len(others) == 1 and len(value.args) == 2 and not _mentions(others[0], name):
            return value.func.id
    if isinstance(value, ast.BinOp) and type(value.op) in _FAMILY:
        commutes = isinstance(value.op, (ast.Add, ast.Mult))
        for one, other in ((value.left, value.right), (value.right, value.left)):
            if _is(one, name) and not _mentions(other, name) and (commutes or one is value.left):
                return _FAMILY[type(value.op)]
    return ""


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
