"""A submission without the functions that its language does not allow; only these and their callers lose points.

A function that is not allowed is removed from the source, and the rest is checked again, until the language allows all
of it. Only this rest runs. An import that is not allowed, but whose names nothing uses, is removed in the same way,
and costs nothing.
"""

import ast
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from .language import Language, imported, is_main_guard, names_of

MOST = 8
"""The maximum number of checks: without one function, others may not be allowed either."""


@dataclass(frozen=True)
class Parts:
    """A submission without the functions that are not allowed."""

    source: bytes
    """Its source, in which the lines of these functions are blank."""
    error: str | None = None
    """Why nothing of it may run, as a sentence."""
    refused: dict[str, str] = field(default_factory=dict)
    """Name of a function that is not allowed -> its error."""
    names: dict[str, set[str]] = field(default_factory=dict)
    """Name of another function -> the names that it uses."""
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
    """The parts of a submission. An error outside of its functions is one of the whole submission."""
    if language.is_free:
        return Parts(source)
    source, notes = _without_unused_imports(source, language)
    left, refused = source, dict[str, str]()
    for _ in range(MOST):
        errors = language.errors(left) or _errors_of_headers(left, refused)
        if not errors:
            return _rest(left, refused, notes) or _refused(source, language)
        lines, functions = left.splitlines(keepends=True), _functions(left) if errors[0][0] else []
        for line, error in errors:
            inside = [node for node in functions if line in _lines(node)]
            if line and not inside:
                return _refused(source, language)
            for node in inside:
                refused.setdefault(node.name, error)
                for number in _lines(node):
                    lines[number - 1 : number] = [b"\n"]
        left = b"".join(lines)
    return _refused(source, language)


def _without_unused_imports(source: bytes, language: Language) -> tuple[bytes, tuple[str, ...]]:
    """The source without the refused imports outside of functions whose names nothing uses, and a note about each.

    What is left is checked again before it runs, so a removal can make nothing allowed.
    """
    errors = language.errors(source)
    if not errors or not errors[0][0]:
        return source, ()
    refused = {line for line, _ in errors}
    tree, lines, notes = ast.parse(source), source.splitlines(keepends=True), []
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    others = [node for node in tree.body if not (isinstance(node, ast.Import | ast.ImportFrom) or is_main_guard(node))]
    used = {name for other in others for node in ast.walk(other) for name in names_of(node)} | {"*"}
    taken = Counter(line for node in tree.body for line in _lines(node))
    for node in imports:
        own = _lines(node)
        unused = [a for a, (_, name) in zip(node.names, imported(node), strict=True) if name not in used]
        is_refused = not refused.isdisjoint(own) and all(taken[line] == 1 for line in own)
        if unused and is_refused and imported(node)[0][0] != "__future__":  # which acts without its names
            kept = [alias for alias in node.names if alias not in unused]
            node.names = unused
            notes.append(f"line {node.lineno}: {ast.unparse(node)} is not allowed, but unused, so it was left out")
            node.names = kept
            text = ast.unparse(node).encode() if kept else b""
            lines[own.start - 1 : own.stop - 1] = [text + b"\n", *[b"\n"] * (len(own) - 1)]
    return b"".join(lines), tuple(notes)


def _refused(source: bytes, language: Language) -> Parts:
    """A submission of which nothing may run."""
    return Parts(source, f"the file {language.error_of(source)}")


def _errors_of_headers(source: bytes, refused: dict[str, str]) -> list[tuple[int, str]]:
    """Functions whose decorators, defaults or annotations, which run with the import, name one that is taken out."""
    found = []
    for node in _functions(source) if refused else []:
        returned = [node.returns] if node.returns else []
        name = min(_names([node.args, *node.decorator_list, *returned]) & refused.keys(), default=None)
        if name:
            found.append((node.lineno, f"uses {name}, which {refused[name]}"))
    return found


def _rest(source: bytes, refused: dict[str, str], notes: tuple[str, ...]) -> Parts | None:
    """What is left of a submission; None if it uses what was taken out when it is imported."""
    functions = _functions(source)
    others = [node for node in ast.parse(source).body if not isinstance(node, ast.FunctionDef)] if refused else []
    if _names(others) & refused.keys():
        return None
    names: dict[str, set[str]] = {}
    for node in functions:
        names.setdefault(node.name, set()).update(_names([node]))
    for other in others:
        if isinstance(other, ast.Assign):  # matmul = njit(f)
            for target in _names(other.targets):
                names.setdefault(target, set()).update(_names([other.value]))
    return Parts(source, None, refused, names, notes)


def _functions(source: bytes) -> list[ast.FunctionDef]:
    return [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]


def _lines(statement: ast.stmt) -> range:
    """The numbers of its lines, with its decorators."""
    first = min([statement.lineno, *(part.lineno for part in getattr(statement, "decorator_list", []))])
    return range(first, (statement.end_lineno or first) + 1)


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}


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
