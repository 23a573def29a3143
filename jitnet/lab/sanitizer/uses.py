"""How the source of a kernel uses its parameters, from which their types and dimensions are guessed."""

import ast
import itertools
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any, TypeGuard

import numpy as np

from ..loading import body_of
from .syntax import assigned, is_named, is_shape, parts_of, tree_of

_OF_NUMBERS = ("real", "imag", "conj", "conjugate", "item", "view")
"""Attributes that numbers have in compiled code, too."""

_MAKERS = ("zeros", "ones", "empty", "full")
"""Functions of NumPy that take a shape."""

_OF_ARRAYS = (
    "all", "any", "argmax", "argmin", "argsort", "cumsum", "dot", "max", "mean", "median", "min", "prod", "sort", "std",
    "sum", "var",
)  # fmt: skip
"""Functions of NumPy that Numba compiles for arrays only, although NumPy has them for numbers, too."""

_LOOPS = ("range", "prange")
_CONVERSIONS = ("int", "int32", "int64", "intp")


def numbers(shape: tuple[int, ...], dtype: np.dtype[Any], length: int, rng: np.random.Generator) -> Any:
    """Positive numbers; integers that are indices."""
    if dtype.kind in "iub":
        return rng.integers(0, max(length, 1), shape).astype(dtype)
    return (rng.random(shape) + 0.5).astype(dtype) if dtype.kind in "fc" else np.zeros(shape, dtype)


class Uses:
    """How the source of a kernel uses its parameters; their defaults.

    known      what the names of its file stand for: the uses of the functions that get a parameter count, too
    callers    those from which this one is called
    """

    def __init__(
        self, tree: ast.FunctionDef, parameters: list[str], defaults: Mapping[str, Any],
        known: Mapping[str, Any] | None = None, callers: tuple[CodeType, ...] = (),
    ) -> None:  # fmt: skip
        self.tree, self.parameters, self.defaults = tree, parameters, defaults
        self.dims = dict.fromkeys(parameters, 0)
        self.indices: set[str] = set()
        """Variables whose value, or whose elements, are used as an index or a bound."""
        self.bounds: set[str] = set()
        """Those of them that end a loop; the others lie inside of an array."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript):
                self._indexed(node)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
                self._unpacked(node.targets[0], node.value)
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
                for factor in filter(self._known, (node.left, node.right)):
                    self._at_least(factor, 1)
            elif isinstance(node, (ast.For, ast.comprehension)) and self._known(node.iter):  # for x in a
                self._at_least(node.iter, 1)
            elif isinstance(node, ast.Attribute) and self._known(node.value):
                if _is_of_arrays(node.attr):
                    self._at_least(node.value, 2 if node.attr == "T" else 1)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Subscript):  # A[i].mean()
                if _is_of_arrays(node.attr):
                    self._row(node.value)
            elif _is_call(node, *_OF_ARRAYS) and isinstance(node.func, ast.Attribute):
                for row in node.args[:1]:
                    if isinstance(row, ast.Subscript):  # np.max(A[i])
                        self._row(row)
            elif _is_call(node, "len") and node.args and self._known(node.args[0]):
                self._at_least(node.args[0], 1)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MAKERS:
                self.bounds |= set(_values(node.args[0])) if node.args else set()
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and known and node.func.id in known:
                self._passed(node.args, body_of(known[node.func.id]), callers)
        self.bounds |= {name for bound in _bounds(tree) for name in _values(bound)}
        self.bounds = self._with_sources(self.bounds)
        self.indices = self._with_sources(self.indices | self.bounds)

    def _passed(self, arguments: list[ast.expr], function: Any, callers: tuple[CodeType, ...]) -> None:
        """`mandel(x, y, steps)`: a number that bounds a loop there is whole; an array has as many dimensions."""
        code = getattr(function, "__code__", None)
        if code is None or code in callers or (tree := tree_of(code)) is None:
            return
        names = [parameter.arg for parameter in tree.args.args]
        uses = Uses(tree, names, {}, function.__globals__, (*callers, code))
        for argument, name in zip(arguments, names, strict=False):
            if isinstance(argument, ast.Name) and argument.id in self.dims:
                self._at_least(argument, uses.dims[name])
                self.bounds |= {argument.id} if name in uses.bounds else set()
                self.indices |= {argument.id} if name in uses.indices else set()

    def _with_sources(self, names: set[str]) -> set[str]:
        """The variables, and those whole numbers from which they are computed: `lo = i - half`, `half = k // 2`."""
        known: set[str] = set()
        while known != names:
            known = set(names)
            for target, value in assigned(self.tree):
                if isinstance(target, ast.Name) and target.id in names:
                    names = names | set(_whole(value))
        return known

    def _known(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self.dims

    def _at_least(self, node: ast.expr, dims: int) -> None:
        assert isinstance(node, ast.Name)
        self.dims[node.id] = max(self.dims[node.id], dims)

    def _row(self, node: ast.Subscript) -> None:
        """An element that is an array itself, `A[i]`, if i is the variable of a loop."""
        loops = (n.target for n in ast.walk(self.tree) if isinstance(n, ast.For) and _is_call(n.iter, *_LOOPS))
        if self._known(node.value) and any(ast.unparse(target) == ast.unparse(node.slice) for target in loops):
            self._at_least(node.value, 2)

    def _indexed(self, node: ast.Subscript) -> None:
        parts = parts_of(node.slice)
        if self._known(node.value):
            self._at_least(node.value, sum(not _is_new_axis(part) for part in parts))
        elif isinstance(node.value, ast.Subscript) and self._known(node.value.value):  # A[i][j]
            self._at_least(node.value.value, 2)
        if is_shape(node.value) and self._known(node.value.value):
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int) and node.slice.value >= 0:
                self._at_least(node.value.value, node.slice.value + 1)
        else:
            self.indices |= {name for part in parts for name in _values(part)}

    def _unpacked(self, target: ast.Tuple, value: ast.expr) -> None:
        """`m, n = A.shape`."""
        if is_shape(value) and self._known(value.value):
            self._at_least(value.value, len(target.elts))

    def choices(self) -> list[tuple[int, ...]]:
        """Numbers of dimensions for the parameters: what the source shows, then larger ones."""
        each: list[list[int]] = []
        for parameter, dims in self.dims.items():
            if dims:
                each.append([*range(dims, max(dims + 1, min(dims + 2, 4)))])
            elif parameter in self.indices or parameter in self.defaults or not self._is_passed_on(parameter):
                each.append([0, 1])
            else:
                each.append([1, 2, 3, 0])
        places = itertools.islice(itertools.product(*(range(len(one)) for one in each)), 512)
        usual = sorted(places, key=sum)[:64]
        return [tuple(one[place] for one, place in zip(each, at, strict=True)) for at in usual]

    def made(self, dims: tuple[int, ...], length: int, dtype: np.dtype[Any], in_order: bool = False) -> list[Any]:
        """Arguments with these numbers of dimensions; arrays of indices hold 0, 1, 2, ... if they are in order."""
        rng = np.random.default_rng(length)
        made: list[Any] = []
        for parameter, count in zip(self.parameters, dims, strict=True):
            if count == 0:
                made.append(self._number(parameter, length, dtype))
            elif count == 1 and self._points(parameter):
                made.append(np.sort(np.append([0, length], rng.integers(0, length + 1, max(length - 1, 0)))))
            elif in_order and self._indexes(parameter):
                made.append(np.broadcast_to(np.arange(length), (length,) * count).copy())
            else:
                is_whole = self._indexes(parameter) or self._counts(parameter)
                made.append(numbers((length,) * count, np.dtype(np.int64) if is_whole else dtype, length, rng))
        return made

    def _number(self, parameter: str, length: int, dtype: np.dtype[Any]) -> Any:
        if parameter in self.defaults:
            return self.defaults[parameter]
        if parameter not in self.indices:
            if dtype.kind == "f" and self._is_above(parameter):
                return dtype.type(1.5)  # numbers lie between 0.5 and 1.5
            return np.float64(0.5) if dtype.kind == "c" else dtype.type(0.5)
        names = {parameter}  # and others of it: `i = last`
        names |= {to.id for to, of in assigned(self.tree) if isinstance(to, ast.Name) and is_named(of, parameter)}
        is_index = any(
            isinstance(node, ast.Subscript) and any(is_named(part, n) for part in parts_of(node.slice) for n in names)
            for node in ast.walk(self.tree)
        )
        return length - 1 if is_index and parameter not in self.bounds else length

    def example(self) -> str:
        """How to give arguments, with the names of the parameters."""
        names = ", ".join(f"{name}=..." for name in self.parameters if name not in self.defaults)
        return f"give your own: --args '{names}', in Python, such as ones((3, 4), uint8) or 0.5"

    @property
    def has_indices(self) -> bool:
        """Whether the elements of an array are used as indices."""
        return any(map(self._indexes, self.parameters))

    def _counts(self, parameter: str) -> bool:
        """True if whole numbers are added to it, and nothing else is stored in it."""
        stored = [
            n for n in ast.walk(self.tree) if isinstance(n, (ast.Assign, ast.AugAssign)) and _stores(n, parameter)
        ]
        return bool(stored) and all(
            isinstance(n, ast.AugAssign) and isinstance(n.value, ast.Constant) and type(n.value.value) is int
            for n in stored
        )

    def _is_above(self, parameter: str) -> bool:
        """True if another parameter is subtracted from it, as in `hi - lo`."""
        differences = (n for n in ast.walk(self.tree) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Sub))
        return any(is_named(n.left, parameter) and self._known(n.right) for n in differences)

    def _points(self, parameter: str) -> bool:
        """True if its neighboring elements bound a loop, like the row pointers of a sparse matrix: p[i], p[i + 1]."""
        pairs = list(assigned(self.tree))

        def index(argument: ast.expr) -> set[str]:
            values = [argument, *(value for target, value in pairs if ast.unparse(target) == ast.unparse(argument))]
            return {ast.unparse(value.slice) for value in values if _is_element(value, parameter)}  # type: ignore[attr-defined]

        loops = (n.args for n in ast.walk(self.tree) if _is_call(n, *_LOOPS))
        return any(f"{i} + 1" in index(args[1]) for args in loops if len(args) > 1 for i in index(args[0]))

    def _indexes(self, parameter: str) -> bool:
        """True if its elements are used as an index: `a[index[i]]`, `k = index[i]; a[k]`."""
        for target, value in assigned(self.tree):
            if isinstance(target, ast.Name) and target.id in self.indices and _is_element(value, parameter):
                return True
        each = (n for n in ast.walk(self.tree) if isinstance(n, ast.For) and is_named(n.iter, parameter))
        if any(isinstance(loop.target, ast.Name) and loop.target.id in self.indices for loop in each):
            return True
        inside = (
            part for node in ast.walk(self.tree) if isinstance(node, ast.Subscript) and not is_shape(node.value)
            for part in _not_converted(node.slice)
        )  # fmt: skip
        bounds = (part for bound in _bounds(self.tree) for part in ast.walk(bound))
        return any(_is_element(part, parameter) for part in (*inside, *bounds))

    def _is_passed_on(self, parameter: str) -> bool:
        """True if another function gets it, which may index it; those of `math` take numbers."""
        calls = (
            node for node in ast.walk(self.tree)
            if isinstance(node, ast.Call) and not ast.unparse(node.func).startswith("math.")
        )  # fmt: skip
        return any(is_named(a, parameter) for node in calls for a in node.args)


def asked(tree: ast.AST | None) -> set[str]:
    """The arrays whose length bounds a loop of a source, by itself or by a name: `n = x.size`, `range(n)`."""
    tree = tree or ast.Pass()
    parts: list[ast.AST] = [n.test for n in ast.walk(tree) if isinstance(n, ast.While)]
    parts += _bounds(tree)
    found, names = set(), set()
    while parts:
        part = parts.pop()
        array = part.value if isinstance(part, ast.Attribute) and part.attr in ("size", "shape") else None
        array = part.args[0] if _is_call(part, "len") and part.args else array
        if isinstance(array, ast.Name):
            found.add(array.id)
        elif isinstance(part, ast.Name) and part.id not in names:
            names.add(part.id)
            parts += [v for target, v in assigned(tree) if any(is_named(t, part.id) for t in parts_of(target))]
        else:
            parts += ast.iter_child_nodes(part)
    return found


def _values(node: ast.AST) -> Iterator[str]:
    """The names whose values an expression takes, not only their shapes."""
    if isinstance(node, ast.Name):
        yield node.id
    elif not isinstance(node, ast.Attribute) and not _is_call(node, "len") and not _is_call(node, *_CONVERSIONS):
        for child in ast.iter_child_nodes(node):
            yield from _values(child)


def _bounds(tree: ast.AST) -> Iterator[ast.expr]:
    """The arguments of range and prange."""
    for node in ast.walk(tree):
        if _is_call(node, *_LOOPS):
            yield from node.args


def _is_call(node: ast.AST, *functions: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in functions


def _not_converted(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of an expression, without what `int` gets, which need not be a whole number."""
    yield node
    for child in () if _is_call(node, *_CONVERSIONS) else ast.iter_child_nodes(node):
        yield from _not_converted(child)


def _whole(node: ast.AST) -> Iterator[str]:
    """The names in an expression whose values must be whole numbers if it is to be one."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("min", "max", "abs"):
        for argument in node.args:
            yield from _whole(argument)
    elif isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Div):
        yield from (*_whole(node.left), *_whole(node.right))


def _is_of_arrays(attribute: str) -> bool:
    return attribute not in _OF_NUMBERS and hasattr(np.ndarray, attribute)


def _is_element(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Subscript) and is_named(node.value, name)


def _stores(node: ast.Assign | ast.AugAssign, name: str) -> bool:
    """True if it stores into elements of that array."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(_is_element(target, name) for target in targets)


def _is_new_axis(node: ast.expr) -> bool:
    is_none = isinstance(node, ast.Constant) and node.value is None
    return is_none or (isinstance(node, ast.Attribute) and node.attr == "newaxis")
