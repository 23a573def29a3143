"""What the language of submissions contains: its modules, names, attributes and syntax."""

import ast
import builtins
import re

ANYTHING = "*"
"""Instead of a list of modules: submissions may import and do anything that their process allows."""

MODULES = ("math", "numba", "numpy")
"""What submissions may import, unless the assignment lists something else."""

NUMPY = (
    "empty", "zeros", "ones", "full", "empty_like", "zeros_like", "ones_like", "float32", "float64", "int8", "int16",
    "int32", "int64", "intp", "uint8", "uint16", "uint32", "uint64", "bool_", "inf", "nan", "pi", "e", "newaxis",
    "sqrt", "exp", "log", "log1p", "expm1", "tanh", "sin", "cos", "abs", "fabs", "maximum", "minimum", "isnan", "isinf",
    "isfinite", "floor", "ceil", "sign", "finfo", "array", "arange", "linspace",
)  # fmt: skip
"""Names of NumPy that make arrays, or work on single numbers: none does a sum or a product over an array."""

TYPES = (
    "boolean", "float32", "float64", "int8", "int16", "int32", "int64", "intp", "uint8", "uint16", "uint32", "uint64",
    "void",
)  # fmt: skip
COMPILERS = ("njit", "jit", "vectorize", "guvectorize")
"""Names of Numba that evaluate strings as Python, so their arguments have special rules."""

NUMBA = (
    *TYPES, *COMPILERS, "prange", "types", "get_num_threads", "get_thread_id", "set_num_threads",
    "get_parallel_chunksize", "set_parallel_chunksize",
)  # fmt: skip

NUMPY_TYPES = ("ndarray", "array", "dtype", "generic", "number", "integer", "floating")
PYTHON_TYPES = ("str", "bytes", "object")
"""Names of NumPy and of Python that annotations may use besides the others: nothing can reach their values there."""

ANNOTATION = (
    ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Tuple, ast.List, ast.BinOp, ast.BitOr, ast.expr_context,
)  # fmt: skip
"""The syntax of such an annotation: Python may evaluate it, so it calls nothing."""

ATTRIBUTES = (
    *TYPES, "shape", "size", "ndim", "dtype", "type", "T", "itemsize", "nbytes", "strides", "real", "imag", "copy",
    "fill", "astype", "reshape", "ravel", "flat", "transpose", "append", "extend", "pop", "eps", "tiny",
)  # fmt: skip
"""Attributes of arrays, lists and types."""

PYTHON = frozenset(dir(builtins))
"""The names that Python has by itself."""

BUILTINS = (
    "range", "len", "min", "max", "abs", "round", "pow", "divmod", "int", "float", "bool", "complex", "enumerate",
    "zip", "reversed", "tuple", "list", "dict", "set", "slice", "print", "AssertionError", "ValueError", "IndexError",
    "Ellipsis", "__name__",
)  # fmt: skip

STATEMENTS = (
    ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Delete, ast.Assign, ast.AugAssign,
    ast.AnnAssign, ast.For, ast.While, ast.If, ast.Raise, ast.Assert, ast.Import, ast.ImportFrom, ast.alias, ast.Expr,
    ast.Pass, ast.Break, ast.Continue, ast.BoolOp, ast.NamedExpr, ast.BinOp, ast.UnaryOp, ast.Lambda, ast.IfExp,
    ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.Compare,
    ast.Call, ast.keyword, ast.JoinedStr, ast.FormattedValue, ast.Constant, ast.Attribute, ast.Subscript, ast.Starred,
    ast.Name, ast.List, ast.Tuple, ast.Slice, ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop,
    ast.Global, ast.Nonlocal,
)  # fmt: skip
"""The allowed syntax: no classes, `with`, `try`, `match`, generators and coroutines."""

KEYWORDS = {
    "ClassDef": "class", "AsyncFunctionDef": "async def", "AsyncFor": "async for", "AsyncWith": "async with",
    "TryStar": "try", "YieldFrom": "yield from", "TypeAlias": "type", "TemplateStr": "t-strings",
    "TypeVar": "type parameters", "ParamSpec": "type parameters", "TypeVarTuple": "type parameters",
}  # fmt: skip
"""Syntax -> its word, where that is not its name in lower case, such as `with` and `match`."""

AT_THE_TOP = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.Assign, ast.AnnAssign)
"""Allowed statements outside of functions, besides strings and a main guard; they call only Numba."""

USUAL = {"numba": "numba", "nb": "numba", "numpy": "numpy", "np": "numpy", "math": "math"}
"""The usual names of modules."""

OPTIONS = (
    ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.keyword, ast.Attribute, ast.Subscript, ast.Slice,
    ast.Call, ast.Name, ast.expr_context,
)  # fmt: skip

_SIGNATURE = {*TYPES, *"fi", "b1", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", *"mnklpqxyz"}


def is_allowed_name(name: str) -> bool:
    """Whether a submission may give a function this name: not one of Python's own."""
    return name.isidentifier() and not name.startswith("__") and (name not in PYTHON or name in BUILTINS)


def is_signature(text: str) -> bool:
    """True for `float32[:,::1], int64`, `void(f8)`, `(m,n)->(m)`, and names of options such as `contract`."""
    words = re.findall(r"[^\W\d]\w*", text)
    is_option = text.isidentifier() and not text.startswith("_") and text not in PYTHON
    return is_option or (bool(re.fullmatch(r"[\w\[\]:,()\s>-]*", text)) and all(w in _SIGNATURE for w in words))
