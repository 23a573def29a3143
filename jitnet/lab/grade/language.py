"""The language of submissions: loops over arrays, in Python, with a list of what they may import and call.

The source is parsed and not run. What is not listed is refused: other modules, functions of NumPy that do the work
themselves, names that begin with an underscore, and the parts of Python that reach into the interpreter. A submission
in this language can neither search for the grader's data nor call loops of others.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from ... import checks
from . import vocabulary

LONGEST = 100_000
"""The maximum number of bytes of a submission, small enough for Python's parser."""


@dataclass(frozen=True)
class Language:
    """What submissions to an assignment may import, and which functions of NumPy they may use."""

    modules: tuple[str, ...] = vocabulary.MODULES
    numpy: tuple[str, ...] = vocabulary.NUMPY

    @property
    def is_free(self) -> bool:
        """True if submissions may do anything."""
        return vocabulary.ANYTHING in self.modules

    def error_of(self, source: bytes) -> str | None:
        """The first thing in a submission that is not allowed, as a sentence, or None."""
        return next((error for _, error in self.errors(source)), None)

    def errors(self, source: bytes) -> list[tuple[int, str]]:
        """All that is not allowed in a submission: a line, or 0 for the whole, and a sentence."""
        if len(source) > LONGEST:
            return [(0, f"has {len(source)} bytes; a submission may have {LONGEST}")]
        if self.is_free:
            return []
        if not _is_text(source):
            return [(0, "is not stored as UTF-8, as Python expects: save it again with this encoding")]
        try:
            return list(_Reader(self, ast.parse(source)).refused())
        except SyntaxError as error:
            return [(0, f"has a syntax error{f' in line {error.lineno}' if error.lineno else ''}: {error.msg}")]
        except (ValueError, RecursionError, MemoryError) as error:  # hundreds of nested parentheses
            return [(0, f"is not Python that can be parsed: {error}".rstrip(": "))]


def _is_text(source: bytes) -> bool:
    """Whether it can be decoded. Python may run it without its comments, but what reads the source needs all of it."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    except SyntaxError:  # bytes that are not UTF-8, or a declaration on which the parser says more
        encoding = "utf-8"
    try:
        source.decode(encoding)
    except UnicodeDecodeError:
        return False
    except (LookupError, ValueError):  # `# coding: hex` names no encoding of texts; the parser says so
        pass
    return True


class _Reader:
    """Reads a submission, and finds what is not allowed."""

    def __init__(self, language: Language, tree: ast.Module) -> None:
        self.language, self.tree = language, tree
        # a submission is imported under another name, which it cannot change, so what is below the guard never runs
        tree.body = [statement for statement in tree.body if not is_main_guard(statement)]
        self.nodes = sorted(ast.walk(tree), key=lambda node: getattr(node, "lineno", LONGEST))
        imports = [node for node in self.nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        self.modules = {
            a.asname or a.name: a.name for node in imports if isinstance(node, ast.Import) for a in node.names
        }
        """Name in the submission -> the module that it stands for."""
        numba = [node for node in imports if isinstance(node, ast.ImportFrom) and node.module == "numba"]
        self.of_numba = {a.asname or a.name: a.name for node in numba for a in node.names}
        """Name in the submission -> the name in Numba."""
        self.functions = {node.name for node in self.nodes if isinstance(node, ast.FunctionDef)}
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        self.globals = {name for node in functions for name in _read_from_outside(node)}
        """Names that functions read, and do not give to something themselves."""
        self.users: dict[str, dict[str, None]] = {}
        """Name -> the functions that read it, with their decorators and defaults."""
        for function in functions:
            for name in read_by(function):
                self.users.setdefault(name, {})[function.name] = None
        self.error_of_imports = self._error_of_modules(tree.body)
        """The error of the imports outside of functions; it names all that are not allowed, to correct them at once."""
        self.outside = {id(statement) for statement in tree.body}
        decorators = [part for node in self.nodes if isinstance(node, ast.FunctionDef) for part in node.decorator_list]
        calls = [node.func for node in self.nodes if isinstance(node, ast.Call)]
        self.placed = {id(part) for part in [*decorators, *calls]}
        """Nodes that are decorators, or are called."""
        fields = [getattr(node, field, None) for node in self.nodes for field in ("annotation", "returns")]
        parts = [list(ast.walk(field)) for field in fields if field]
        parts = [inner for inner in parts if all(isinstance(part, vocabulary.ANNOTATION) for part in inner)]
        self.types = {id(part) for inner in parts for part in inner}
        """Nodes of annotations that call nothing."""

    def refused(self) -> Iterator[tuple[int, str]]:
        """What is not allowed, as lines and sentences."""
        outside = [(statement, self._error_at_the_top(statement)) for statement in self.tree.body]
        # there, what a statement calls does not matter: it may not run at all
        idle = {id(n) for s, error in outside if error and isinstance(s, _RUNNING) for n in ast.walk(s)}
        for node in self.nodes:
            if id(node) not in idle and (found := self._error_at(node)):
                line = getattr(node, "lineno", 0)
                yield line, f"{found} (line {line})" if line else found
        for statement, error in outside:
            if error:
                yield statement.lineno, f"{error} (line {statement.lineno})"

    def _error_at(self, node: ast.AST) -> str | None:
        if not isinstance(node, vocabulary.STATEMENTS):
            name = type(node).__name__
            word = vocabulary.KEYWORDS.get(name, name.lower())
            return f"uses {word}, which is not part of the language of this assignment"
        if isinstance(node, ast.Import):
            return next(filter(None, (self._error_of_module(node, alias) for alias in node.names)), None)
        if isinstance(node, ast.ImportFrom):
            return self._error_of_import(node)
        if isinstance(node, ast.Attribute) and (error := self._error_of_attribute(node)):
            return error
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult):
            return "uses @, which is not allowed in this assignment; write the loops"
        if self._numba(node) in vocabulary.COMPILERS and id(node) not in self.placed:
            return f"gives {self._numba(node)} another name; write it above a function, or call it"
        if isinstance(node, ast.Call) and self._numba(node.func) in vocabulary.COMPILERS:
            return self._error_of_compiler(node)
        return self._error_of_names(node)

    def _error_of_names(self, node: ast.AST) -> str | None:
        for name in names_of(node):
            if name.startswith("__") and (name != "__name__" or not _is_read(node)):
                return f"uses the name {name}; names with two underscores belong to Python"
            is_type = id(node) in self.types and name in vocabulary.PYTHON_TYPES
            if not is_type and name in vocabulary.PYTHON and name not in vocabulary.BUILTINS:
                return f"uses {name}, which this assignment does not allow"
        taken = next((name for name in _given(node) if name in {**self.modules, **self.of_numba}), None)
        return f"gives the name {taken}, which it imports, to something else" if taken else None

    def _error_of_module(self, node: ast.Import, alias: ast.alias) -> str | None:
        if alias.name not in self.language.modules:
            return self._not_importable(node)
        name = alias.asname or alias.name
        if self.modules.get(name, alias.name) != alias.name or name in self.of_numba:
            return f"imports two modules as {name}"
        return None

    def _not_importable(self, node: ast.stmt) -> str:
        return self.error_of_imports if id(node) in self.outside else self._error_of_modules([node])

    def _error_of_modules(self, statements: list[ast.stmt]) -> str:
        """The error of the modules that these statements import, and may not, with the functions that use them."""
        found: dict[str, dict[str, None]] = {}
        for module, name in (pair for node in statements for pair in imported(node)):
            if module not in self.language.modules:
                found.setdefault(module, {}).update(self.users.get(name, {}))
        listed = [f"{name} (used by {checks.joined(list(users))})" if users else name for name, users in found.items()]
        allowed = checks.some(self.language.modules) or "nothing"
        advice = "" if any(found.values()) else f"; for a test of your own, {_BELOW}"
        named = checks.some(listed, _NAMED, 2 * _SHOWN)
        return f"imports {named}; a submission is one file, which may import {allowed}{advice}"

    def _error_of_import(self, node: ast.ImportFrom) -> str | None:
        module = imported(node)[0][0]
        if module not in self.language.modules:
            return self._not_importable(node)
        for alias in node.names:
            name = alias.asname or alias.name
            if error := self._error_of_part(module, alias.name):
                return error
            if name in self.modules or (name in self.of_numba and self.of_numba[name] != alias.name):
                return f"imports two things as {name}"
            if name in self.of_numba and module != "numba":
                return f"imports two things as {name}"
        return None

    def _error_of_part(self, module: str, name: str) -> str | None:
        """The error if this name of a module may not be used."""
        allowed = {"numpy": self.language.numpy, "numba": vocabulary.NUMBA}.get(module)
        if name == "*":
            return f"imports * from {module}; name what you use"
        if name.startswith("_") or (allowed is not None and name not in allowed):
            return f"uses {module}.{name}, which this assignment does not allow; write the loops"
        return None

    def _error_of_attribute(self, node: ast.Attribute) -> str | None:
        base = node.value
        if isinstance(base, ast.Name) and base.id in self.modules:
            module = self.modules[base.id]
            is_type = id(node) in self.types and module == "numpy" and node.attr in vocabulary.NUMPY_TYPES
            return None if is_type else self._error_of_part(module, node.attr)
        if node.attr not in vocabulary.ATTRIBUTES:
            usual = vocabulary.USUAL.get(base.id, "") if isinstance(base, ast.Name) else ""
            if usual in self.language.modules and not self._is_bound(ast.unparse(base)):
                called = ast.unparse(base)
                wanted = f"import {usual}" + (f" as {called}" if called != usual else "")
                return f"uses {called}.{node.attr} without an import; write {wanted} at the top"
            return f"uses .{node.attr}, which this assignment does not allow; write the loops"
        return None

    def _is_bound(self, name: str) -> bool:
        """True for a parameter, and for what is assigned."""
        stored = (n.id for n in self.nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        return name in stored or any(isinstance(n, ast.arg) and n.arg == name for n in self.nodes)

    def _numba(self, node: ast.AST) -> str | None:
        """The name in Numba of `njit`, `nb.njit`."""
        if isinstance(node, ast.Name):
            return self.of_numba.get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return node.attr if self.modules.get(node.value.id) == "numba" else None
        return None

    def _error_of_compiler(self, call: ast.Call) -> str | None:
        """The error if Numba is given more than types, flags and functions: it would evaluate a text as Python."""
        for part in (inner for argument in [*call.args, *call.keywords] for inner in ast.walk(argument)):
            is_text = isinstance(part, ast.Constant) and isinstance(part.value, str)
            if is_text and not vocabulary.is_signature(part.value):  # type: ignore[attr-defined]
                return f"gives Numba the text {part.value[:40]!r}, which is not a signature"  # type: ignore[attr-defined]
            if isinstance(part, ast.Name) and part.id not in {**self.modules, **self.of_numba}:
                if part.id not in self.functions:
                    return f"gives Numba {part.id}; write types and options where Numba is called"
            elif not isinstance(part, vocabulary.OPTIONS):
                return "gives Numba something else than types, options and a function"
        return None

    def _error_at_the_top(self, statement: ast.stmt) -> str | None:
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not (is_text or isinstance(statement, vocabulary.AT_THE_TOP)):
            return f"does something outside of its functions; {_BELOW}"
        inside = {id(inner) for inner in _bodies(statement)}
        for node in ast.walk(statement):
            if id(node) not in inside and isinstance(node, ast.Call) and not self._is_of_numba(node.func):
                called = ast.unparse(node.func)[:_SHOWN]
                used = next((name for name in _targets(statement) if name in self.globals), None)
                if used:
                    return f"makes {used} outside of its functions by {called}(); make it in the function that uses it"
                return f"calls {called}() outside of its functions; {_BELOW}"
        return None

    def _is_of_numba(self, function: ast.AST) -> bool:
        """True for `njit`, and for what `njit(parallel=True)` returns."""
        return self._numba(function) is not None or (
            isinstance(function, ast.Call) and self._numba(function.func) in vocabulary.COMPILERS
        )


def _bodies(statement: ast.stmt) -> Iterator[ast.AST]:
    """What is inside of a function, and runs only if it is called."""
    if isinstance(statement, ast.FunctionDef):
        for inner in statement.body:
            yield from ast.walk(inner)


def _targets(statement: ast.stmt) -> list[str]:
    """The names that a statement gives to something."""
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and not _is_read(node)]


def _read_from_outside(function: ast.FunctionDef) -> set[str]:
    nodes = [node for statement in function.body for node in ast.walk(statement)]
    own = {name for node in [function.args, *nodes] for name in _given_in(node)}
    return {node.id for node in nodes if isinstance(node, ast.Name) and _is_read(node)} - own


def _given_in(node: ast.AST) -> list[str]:
    if isinstance(node, ast.arguments):
        return [part.arg for part in [*node.posonlyargs, *node.args, *node.kwonlyargs]]
    return [node.id] if isinstance(node, ast.Name) and not _is_read(node) else []


def read_by(function: ast.FunctionDef) -> set[str]:
    """The names that a function uses, and does not give to something itself."""
    return _read_from_outside(function) | read_in_header(function)


def read_in_header(function: ast.FunctionDef) -> set[str]:
    """The names in its decorators, defaults and annotations, which are evaluated with the import."""
    parts = [*function.decorator_list, function.args, *([function.returns] if function.returns else [])]
    return {node.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Name)}


def imported(node: ast.AST) -> list[tuple[str, str]]:
    """The modules that an import names, each with the name that it gives."""
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return []
    names = [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    if isinstance(node, ast.Import):
        return [(alias.name, name) for alias, name in zip(node.names, names, strict=True)]
    return [("." * node.level + (node.module or ""), name) for name in names]


def is_main_guard(statement: ast.stmt) -> bool:
    """True for `if __name__ == "__main__":` without an `else`."""
    return isinstance(statement, ast.If) and ast.unparse(statement.test) in _MAIN and not statement.orelse


_BELOW = "write it below if __name__ == '__main__'"
_SHOWN, _NAMED = 40, 8
_RUNNING = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.For, ast.While, ast.If, ast.With, ast.Try)
"""Statements that run with the import; `def` and `class` have errors of their own."""
_MAIN = ("__name__ == '__main__'", "'__main__' == __name__")


def names_of(node: ast.AST) -> list[str]:
    """The names that a node uses or gives."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.arg | ast.keyword):
        return [node.arg] if node.arg else []
    if isinstance(node, ast.Global | ast.Nonlocal):
        return list(node.names)
    if isinstance(node, ast.alias):
        return [node.asname or node.name]
    return []


def _is_read(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def _given(node: ast.AST) -> list[str]:
    """The names that a node gives to something, other than an import."""
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    return [] if isinstance(node, ast.alias | ast.keyword | ast.Global | ast.Nonlocal) else names_of(node)
