"""A submission without what its language does not allow; only the functions that contain or use this lose points.

What is not allowed is removed from the source, and the rest is checked again, until the language allows all of it: a
function; an import, with the functions that use its names; and what is assigned to names outside of functions, if it
uses what was removed. Only this rest runs. An import that no function uses costs nothing.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from .language import Language, imported, is_main_guard, read_by, read_in_header

MOST = 8
"""The maximum number of checks: without one function, others may not be allowed either."""

LEFT_OUT = "is not allowed, and no function uses it, so it was left out"


@dataclass(frozen=True)
class Parts:
    """A submission without what is not allowed."""

    source: bytes
    """Its source, with blank lines in place of what was removed."""
    error: str | None = None
    """Why nothing of it may run, as a sentence."""
    refused: dict[str, str] = field(default_factory=dict)
    """Name of a function, an import or a variable that is not allowed -> its error."""
    names: dict[str, set[str]] = field(default_factory=dict)
    """Name of another function, or of what one is assigned to -> the names that it uses."""
    notes: tuple[str, ...] = ()
    """Which imports are left out."""

    def error_of(self, function: str) -> str | None:
        """Why this function may not run: its own error, or that of one that it calls."""
        if self.error or function in self.refused:
            return self.error or self.refused[function]
        reached, new = {function}, {function}
        while new := {name for caller in new for name in self.names.get(caller, ())} - reached:
            reached |= new
        name = min(reached & self.refused.keys(), default=None)
        return f"calls {name}, which {self.refused[name]}" if name else None


def parts_of(source: bytes, language: Language) -> Parts:
    """The parts of a submission. An error of what cannot be removed alone is one of the whole submission."""
    if language.is_free:
        return Parts(source)
    left, refused, notes = source, dict[str, str](), dict[str, None]()
    for _ in range(MOST):
        errors = language.errors(left)
        if errors and not errors[0][0]:
            break
        body, lines = ast.parse(left).body, left.splitlines(keepends=True)
        errors = errors or _errors_of_users(body, refused)
        if not errors:
            return Parts(left, None, refused, _uses(body), tuple(notes))
        functions = [(node, read_by(node)) for node in body if isinstance(node, ast.FunctionDef)]
        others = _read(node for node in body if not (isinstance(node, ast.FunctionDef) or is_main_guard(node)))
        at = _by_line(body)
        for line, error in filter(lambda found: found[0], errors):  # parts of syntax without a line are in others
            statement = at[line][0] if len(at[line]) == 1 else None
            cut = _cut(statement, error, refused, language) if statement else None
            if statement is None or cut is None:
                return Parts(source, f"the file {error}")
            users = [node for node, names in functions if cut.text and not names.isdisjoint(cut.names)]
            is_import = isinstance(statement, ast.Import | ast.ImportFrom)
            if is_import and not users and others.isdisjoint(cut.names):
                notes[f"line {statement.lineno}: {cut.text} {LEFT_OUT}"] = None
            for name in (*cut.names, *(node.name for node in users)):
                refused.setdefault(name, cut.error)
            _replace(lines, statement, cut.kept)
            for node in users:
                _replace(lines, node)
        left = b"".join(lines)
    return Parts(source, f"the file {language.error_of(source)}")


def _by_line(body: list[ast.stmt]) -> dict[int, list[ast.stmt]]:
    """Number of a line -> the statements that have a part of it."""
    at = defaultdict[int, list[ast.stmt]](list)
    for node in body:
        for line in lines_of(node):
            at[line].append(node)
    return at


def _replace(lines: list[bytes], statement: ast.stmt, kept: bytes = b"") -> None:
    """Write what is kept of a statement in its first line; the others become blank, so that all keep their numbers."""
    own = lines_of(statement)
    lines[own.start - 1 : own.stop - 1] = [kept + b"\n", *[b"\n"] * (len(own) - 1)]


class _Cut(NamedTuple):
    """What is removed with a statement, or a part of it."""

    names: set[str]
    """The names that nothing defines then."""
    error: str
    text: str = ""
    """The part that is removed; "" for a function, whose callers `Parts.error_of` finds."""
    kept: bytes = b""


def _cut(node: ast.stmt, error: str, refused: dict[str, str], language: Language) -> _Cut | None:
    """What to remove of a statement with this error; None if it does more than to define names."""
    if isinstance(node, ast.FunctionDef):
        return _Cut({node.name}, error)
    if isinstance(node, ast.Import | ast.ImportFrom):
        defined = [(alias, name) for alias, (_, name) in zip(node.names, imported(node), strict=True)]
        cut = [pair for pair in defined if language.errors(_with(node, [pair[0]]).encode())]
        kept = [alias for alias, _ in defined if not any(alias is other for other, _ in cut)]
        names = {name for _, name in cut}
        if not cut or "*" in names or imported(node)[0][0] == "__future__":
            return None
        return _Cut(names, error, _with(node, [alias for alias, _ in cut]), _with(node, kept).encode() if kept else b"")
    used = min(_read([node]) & refused.keys(), default=None)
    targets = _targets(node)
    if used and targets and all(isinstance(target, ast.Name) for target in targets):  # fast = numba.njit(slow)
        return _Cut(names_in(targets), refused[used], ast.unparse(node))
    return None


def _targets(node: ast.stmt) -> list[ast.expr]:
    """What an assignment gives a value to; nothing for another statement."""
    return node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []


def _with(node: ast.Import | ast.ImportFrom, names: list[ast.alias]) -> str:
    """The import of these of its names."""
    return ast.unparse(
        ast.Import(names) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, names, node.level)
    )


def _errors_of_users(body: list[ast.stmt], refused: dict[str, str]) -> list[tuple[int, str]]:
    """Statements, and decorators, defaults and annotations of functions, that use what was removed.

    They run with the import.
    """
    found = []
    for node in body:
        used = read_in_header(node) if isinstance(node, ast.FunctionDef) else _read([node])
        name = min(used & refused.keys(), default=None)
        if name and not is_main_guard(node):
            found.append((node.lineno, f"uses {name}, which {refused[name]}"))
    return found


def _uses(body: list[ast.stmt]) -> dict[str, set[str]]:
    """Name of a function, or of what one is assigned to -> the names that it uses."""
    names: dict[str, set[str]] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            names.setdefault(node.name, set()).update(read_by(node))
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:  # matmul = njit(f)
            for target in names_in(_targets(node)):
                names.setdefault(target, set()).update(names_in([node.value]))
    return names


def _functions(source: bytes) -> list[ast.FunctionDef]:
    return [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]


def lines_of(statement: ast.stmt) -> range:
    """The numbers of its lines, with its decorators."""
    first = min([statement.lineno, *(part.lineno for part in getattr(statement, "decorator_list", []))])
    return range(first, (statement.end_lineno or first) + 1)


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _read(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that are used, and not given to something."""
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name) and _is_read(inner)}


def is_interpreted(source: bytes, name: str) -> bool:
    """Whether a function of this text has loops, but nothing above it or below it that could compile it."""
    nodes = list(ast.walk(ast.parse(source)))
    is_assigned = any(isinstance(node, ast.Name) and node.id == name and not _is_read(node) for node in nodes)
    found = [node for node in _functions(source) if node.name == name]
    return bool(found) and not is_assigned and not found[-1].decorator_list and _has_loops(found[-1])


def _is_read(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _has_loops(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.For | ast.While | ast.comprehension) for inner in ast.walk(node))


def parameters_of(source: bytes, name: str) -> list[str]:
    """The parameters of a function in this text, which is not executed; none if there is no such function."""
    try:
        found = [node for node in _functions(source) if node.name == name]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [part.arg for part in found[-1].args.args] if found else []
