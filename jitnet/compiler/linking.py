"""Helpers that are compiled once and called by address, like the functions of a library.

Numba compiles a helper into every kernel that calls it, and again into every parallel loop of that kernel. For the
register tile that cost half a second each time, for a dozen kernels. A helper under `@linked` is compiled separately.
The machine code of the kernels contains only its symbol, and LLVM's linker inserts the address, in this process and in
every later one that loads the kernels from the cache.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import llvmlite.binding
import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin
from numba.np.numpy_support import as_dtype, from_dtype

from .lazy import LazyFunctions

PREFIX = "jitnet_linked_"

HELPERS = LazyFunctions()
"""Name -> the compiled helper."""

_LINKED: dict[str, tuple[str, tuple[Any, ...]]] = {}
"""Symbol -> helper and types of its arguments."""


def call_by_address(helper: Callable[..., None], compiled: Callable[[], Any]) -> None:
    """Let kernels call this helper, which returns nothing, at the address of what `compiled()` returns."""
    name = helper.__name__
    HELPERS.add(name, compiled)

    class Type(AbstractTemplate):
        key = helper

        def generic(self, arguments, keywords):
            plain = tuple(types.intp if isinstance(a, types.Integer) else types.unliteral(a) for a in arguments)
            return signature(types.none, *plain)

    infer_global(helper, types.Function(Type))

    @lower_builtin(helper, types.VarArg(types.Any))
    def call(context, builder, signature, arguments):
        _link(name, signature.args)  # as late as possible: another process may have stored the helper by now
        function_type = context.call_conv.get_function_type(types.none, signature.args)
        function = cgutils.get_or_insert_function(builder.module, function_type, _symbol(name, signature.args))
        context.call_conv.call_function(builder, function, types.none, signature.args, arguments)
        return context.get_dummy_value()


def links_of(machine_code: Any) -> list[tuple[str, list[Any]]]:
    """The linked helpers that this machine code calls, each with its argument types in a form for JSON."""
    functions = machine_code._asdict()["library"]._final_module.functions
    names = {function.name for function in functions if function.name.startswith(PREFIX)}
    links = [_LINKED[symbol] for symbol in sorted(names)]
    return [(name, [_described(argument) for argument in arguments]) for name, arguments in links]


def link(links: Iterable[tuple[str, list[Any]]]) -> None:
    """Compile or load these helpers, before machine code that calls them is loaded."""
    for name, arguments in links:
        _link(name, tuple(_type_of(argument) for argument in arguments))


def _described(argument: Any) -> Any:
    if isinstance(argument, types.Array):
        return [as_dtype(argument.dtype).name, argument.ndim, argument.layout, argument.mutable]
    return as_dtype(argument).name


def _type_of(description: Any) -> Any:
    if isinstance(description, str):
        return from_dtype(np.dtype(description))
    dtype, ndim, layout, mutable = description
    return types.Array(from_dtype(np.dtype(dtype)), ndim, layout, readonly=not mutable)


def _link(name: str, arguments: tuple[Any, ...]) -> None:
    symbol = _symbol(name, arguments)
    if symbol not in _LINKED:
        helper = HELPERS[name]
        helper.compile(arguments)
        machine_code = helper.overloads[arguments]._asdict()
        address = machine_code["library"].get_pointer_to_function(machine_code["fndesc"].llvm_func_name)
        llvmlite.binding.add_symbol(symbol, address)
        _LINKED[symbol] = name, arguments


def _symbol(name: str, arguments: tuple[Any, ...]) -> str:
    return PREFIX + name + "_" + hashlib.blake2b(str(arguments).encode(), digest_size=8).hexdigest()
