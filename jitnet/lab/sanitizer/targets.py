"""What can be checked: the Python function behind a kernel, or an error that says why there is none."""

import functools
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.np.ufunc.dufunc import DUFunc
from numba.np.ufunc.gufunc import GUFunc
from numba.stencils.stencil import StencilFunc

from ... import checks


def opened(kernel: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function to check, compiled by Numba or not, and arguments that belong to it: those of a partial, `self`."""
    if isinstance(kernel, functools.partial) and not kernel.keywords:
        function, given = opened(kernel.func)
        return function, (*given, *kernel.args)
    if isinstance(kernel, MethodType):
        function, given = opened(kernel.__func__)
        return function, (*given, kernel.__self__)
    if isinstance(kernel, GUFunc):  # what it does with one set of arguments
        return kernel.gufunc_builder.py_func, ()
    if isinstance(kernel, (FunctionType, Dispatcher)):
        return kernel, ()
    call, is_numbas = vars(type(kernel)).get("__call__"), type(kernel).__module__.startswith("numba")
    if isinstance(call, (FunctionType, Dispatcher)) and not is_numbas:  # an object of a class
        return opened(MethodType(call, kernel))
    raise checks.Error(f"{name_of(kernel)} cannot be checked: {_obstacle(kernel)}")


def name_of(kernel: Any) -> str:
    """Its name in messages."""
    if isinstance(kernel, functools.partial):
        return name_of(kernel.func)
    if isinstance(kernel, StencilFunc):
        return str(kernel.kernel_ir.func_id.func_name)
    return str(getattr(kernel, "__name__", None) or getattr(kernel, "__qualname__", None) or type(kernel).__name__)


def _obstacle(kernel: Any) -> str:
    kind = type(kernel).__module__
    if isinstance(kernel, functools.partial):
        return "it is a partial with keyword arguments; write a function that calls it"
    if isinstance(kernel, DUFunc):
        return "vectorize compiles it for one number at a time, so it has no loop; check the function that calls it"
    if isinstance(kernel, StencilFunc):
        return "Numba writes the loop of a stencil; check the function that calls it"
    if "cuda" in kind:
        return "it is a kernel of the GPU; a check runs those of the processor"
    if isinstance(kernel, np.ufunc):
        return "it is a ufunc, without Python source; check the function that calls it"
    return f"it is a {type(kernel).__name__}, without Python source; give a function"
