"""Facts about a prange loop from its source alone.

Numba has three kinds of variables there. A reduction variable is only updated, by +=, -=, *=, /=, max or min: each
thread has a part of it, and the parts are combined after the loop. A variable that the body assigns before it reads it
is private. Any other variable that the body assigns carries a value from one iteration to the next: Numba compiles it,
and computes something else.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import NamedTuple

from .extremes import fix_of_extreme
from .findings import FIXES, Finding
from .syntax import events_of, events_of_all, names_in, parts_of, read_before_stored, statements_in, tree_of, updates_of

_CHANGES = ("append", "extend", "insert", "pop", "popitem", "remove", "clear", "update", "setdefault", "add", "discard")
"""Methods that change a list, a dict or a set, which threads may not share."""


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


class Stale(NamedTuple):
    """A variable that an iteration may read before it assigns it, which then holds what another one left."""

    name: str
    loop: int
    """The line of the loop."""
    finding: Finding
    """What is wrong if that happens."""
    is_known: bool
    """Whether it is assigned before the loop, too."""


@dataclass
class Loops:
    """The prange loops of one function."""

    findings: list[Finding] = field(default_factory=list)
    reduction_lines: set[int] = field(default_factory=set)
    watched: list[Watched] = field(default_factory=list)
    stale: list[Stale] = field(default_factory=list)
    serial_lines: set[int] = field(default_factory=set)
    """Lines of loops that Numba runs serially, because they have more than one exit."""
    literal_lines: set[int] = field(default_factory=set)
    """Lines with an index that is written as a negative number."""
    has_source: bool = True


def analyzed(code: CodeType, is_prange: Callable[[ast.expr], bool]) -> Loops:
    """The loops of a function; `is_prange` decides whether an expression is the name of prange."""
    found, tree = Loops(), tree_of(code)
    if tree is None:
        found.has_source = code.co_name == "<lambda>"  # which has no loops
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and any(map(_is_negative, parts_of(node.slice))):
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


def _is_negative(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)


class _Loop:
    """One prange loop of a function: what its body does with variables."""

    def __init__(self, loop: ast.For, function: ast.FunctionDef, file: str, found: Loops) -> None:
        self.loop, self.file, self.found = loop, file, found
        self.events = list(events_of_all(loop.body))
        self.stores: dict[str, list[int]] = {}
        """Variable -> the lines of the body that assign it."""
        for event in self.events:
            if event.is_store:
                self.stores.setdefault(event.name, []).append(event.line)
        self.targets = names_in(loop.target)
        everywhere = list(events_of_all(function.body))
        self.known_before = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
        self.known_before |= {event.name for event in everywhere if event.is_store and event.line < loop.lineno}
        self.after = [[event for event in everywhere if event.line > (loop.end_lineno or 0)]]
        """What may follow: the rest of the function, or another iteration of a loop around this one."""
        for outer in ast.walk(function):
            if isinstance(outer, (ast.For, ast.While)) and outer is not loop and loop in ast.walk(outer):
                around = list(events_of_all([*([outer.test] if isinstance(outer, ast.While) else []), *outer.body]))
                rest = [event for event in around if event.line > (loop.end_lineno or 0)]
                self.after.append([*rest, *(event for event in around if event.line < loop.lineno)])
        self.updates: dict[str, list[tuple[ast.stmt, str]]] = {}
        """Variable -> the statements that update it, each with the family of the operation, or ""."""
        for statement in statements_in(ast.Module(loop.body, [])):
            for name, family in updates_of(statement):
                self.updates.setdefault(name, []).append((statement, family))
        self.not_private: set[str] = set()
        """Variables that are added up, or carry a value to the next iteration."""

    def analyze(self) -> None:
        if self._has_exits():
            return
        self._find_shared_containers()
        loads = read_before_stored(self.loop)
        for name in self.stores:
            is_known = name in self.known_before
            if name in self.targets:
                continue
            if is_known and (family := self._reduction_of(name)):
                self._check_reduction(name, family)
            elif line := next((load.line for load in loads if load.name == name), None):
                message = f"an iteration of the prange loop reads {name}, which another iteration assigns"
                finding = Finding("carried", message, [line, self.stores[name][-1]], self.file, name)
                finding.fix = fix_of_extreme(self.loop, name) or finding.fix
                self.found.stale.append(Stale(name, self.loop.lineno, finding, is_known))
                if is_known:
                    self.not_private.add(name)
        self._find_escapes()

    def _add(self, kind: str, message: str, lines: list[int], name: str = "") -> None:
        self.found.findings.append(Finding(kind, message, lines, self.file, name))

    def _watch(self, name: str, line: int, how: str) -> None:
        self.found.watched.append(Watched(name, self.loop.lineno, line, how))

    def _has_exits(self) -> bool:
        """Numba runs a loop with more than one exit serially: then nothing races."""
        statement = next(_exits_of(self.loop.body), None)
        if statement is not None:
            self.found.serial_lines.add(self.loop.lineno)
            what = type(statement).__name__.lower()
            message = f"a prange loop with `{what}` inside has more than one exit, so Numba runs it serially"
            self._add("exits", message, [statement.lineno])
        return statement is not None

    def _find_shared_containers(self) -> None:
        """What would change a list or a dict that was made before the loop; its type is known when the loop has run."""
        shared = self.known_before - set(self.stores)
        for node in ast.walk(ast.Module(self.loop.body, [])):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
                owner, how = node.func.value, f".{node.func.attr}"
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                owner, how = node.value, "[]"
            else:
                continue
            if isinstance(owner, ast.Name) and owner.id in shared:
                self._watch(owner.id, node.lineno, how)

    def _reduction_of(self, name: str) -> str:
        """The family of the updates of a reduction variable: nothing else assigns it, and all are of one family."""
        families = {family for _, family in self.updates.get(name, ())}
        is_only_updated = len(self.updates.get(name, ())) == len(self.stores[name])
        return families.pop() if is_only_updated and len(families) == 1 else ""

    def _check_reduction(self, name: str, family: str) -> None:
        """Nothing but its updates may read a reduction variable, each of them once."""
        statements = [statement for statement, _ in self.updates[name]]
        self.not_private.add(name)
        self.found.reduction_lines.update(
            line for statement in statements for line in range(statement.lineno, (statement.end_lineno or 0) + 1)
        )
        if family not in ("max", "min"):
            assigned = next((statement for statement in statements if isinstance(statement, ast.Assign)), None)
            self._watch(name, assigned.lineno if assigned else self.loop.lineno, "assigned" if assigned else "sum")
        loads = [event for event in self.events if event.name == name and not event.is_store]
        for statement in statements:
            loads.remove(next(event for event in events_of(statement) if event.name == name and not event.is_store))
        if loads:
            message = f"reads {name} inside the prange loop that adds it up: a thread sees only its own part of the sum"
            self._add("reduction", message, [loads[0].line, self.stores[name][0]], name)

    def _find_escapes(self) -> None:
        """Variables of the body, and the loop variable, that are read after the loop."""
        lines = {name: lines[-1] for name, lines in self.stores.items()}
        for name, line in (lines | dict.fromkeys(self.targets, self.loop.lineno)).items():
            firsts = [next((event for event in path if event.name == name), None) for path in self.after]
            first = next((event for event in firsts if event and not event.is_store), None)
            if first and name not in self.not_private:
                message = f"reads {name} after the prange loop, whose iterations each have their own {name}"
                self._add("escapes", message, [first.line, line], name)
                self.found.findings[-1].fix = fix_of_extreme(self.loop, name) or FIXES["escapes"]


def _exits_of(statements: list[ast.stmt], is_inner: bool = False) -> Iterator[ast.stmt]:
    """The statements that leave a loop: all that may raise, and `break`, but not that of an inner loop."""
    for statement in statements:
        leaves = (ast.Return, ast.Raise, ast.Assert, ast.Try, *([] if is_inner else [ast.Break]))
        if isinstance(statement, leaves):
            yield statement
        elif isinstance(statement, (ast.For, ast.While)):
            yield from _exits_of(statement.body, True)
            yield from _exits_of(statement.orelse, is_inner)
        elif isinstance(statement, ast.If):
            yield from _exits_of([*statement.body, *statement.orelse], is_inner)
        elif isinstance(statement, ast.With):
            yield from _exits_of(statement.body, is_inner)
