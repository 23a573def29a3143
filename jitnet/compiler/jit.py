"""How a loop is compiled: all compiler options are here.

*Options are inherited.* A kernel that leaves `fastmath` or `error_model` unset takes them from the first caller that
compiles it, so every kernel and every helper here sets them explicitly.

*A fast-math flag is a promise to the compiler.* `contract` lets a*b + c become one fused multiply-add; nothing else is
relaxed: every sum is added up in the order in which it is written, on every machine and with any number of threads.
`reassoc` would let a sum be split over the lanes of a vector, but it also turned (c − z) + log s, which is exact for z
= c = 1e4, into (c + log s) − z, which is not. `nnan` and `ninf` would promise that there are no NaNs and infinities,
and `isnan` would then return False.
"""

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.core.compiler_lock import global_compiler_lock
from numba.core.errors import ForceLiteralArg
from numba.core.sigutils import normalize_signature
from numba.extending import register_jitable

from . import linking
from .cache import KernelCache

Kernel = Callable[..., None]

OPTIONS: dict[str, Any] = {
    "fastmath": {"contract"},
    "error_model": "numpy",  # x/0 is inf, as in NumPy; without a check the loop can be vectorized
    "nogil": True,
    "_nrt": False,  # no reference counts: they cost registers, and an allocation per array argument
}


def compiled(body: Callable[..., Any], parallel: bool = False, allocates: bool = False) -> Callable[..., Any]:
    """Compile a loop: once per signature, once per machine. It can use np.empty only if `allocates` is True.

    The first call, or `compile_for`, starts the compiler. With NUMBA_DISABLE_JIT=1 the result is the body itself, which
    is then interpreted.
    """
    return compiled_later(body, parallel, allocates)()


def compiled_later(
    body: Callable[..., Any], parallel: bool = False, allocates: bool = False
) -> Callable[[], Callable[..., Any]]:
    """A function that returns `compiled(...)`: the file of the body is read now, and Numba's part comes later."""
    options = {**OPTIONS, "parallel": parallel, "_nrt": allocates}
    cache = KernelCache(body, options)

    def make() -> Callable[..., Any]:
        with global_compiler_lock:  # a fork waits for it; a child would inherit other locks of Numba as they are
            kernel: Any = numba.njit(**options)(body)
        if kernel is not body:
            kernel._cache = cache
            kernel.compile = functools.partial(_compile, body, kernel.compile)
        return kernel  # type: ignore[no-any-return]

    return make


ERROR_HANDLERS: list[Callable[[Callable[..., Any], Exception], None]] = []
"""Called with a body that Numba rejects and the error; each may raise a clearer one (`backend/compiler_errors.py`)."""


def _compile(body: Callable[..., Any], compile_: Callable[[Any], Any], signature: Any) -> Any:
    try:
        return compile_(signature)
    except ForceLiteralArg:  # no error: Numba's dispatcher compiles again
        raise
    except Exception as error:
        for handler in ERROR_HANDLERS:
            handler(body, error)
        raise


def part_of_kernels(helper: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function callable from compiled kernels; interpreted kernels call the function itself."""
    return register_jitable(**OPTIONS)(helper)  # type: ignore[no-any-return]


def inlined(helper: Callable[..., Any]) -> Callable[..., Any]:
    """Like `part_of_kernels`, but always inlined, where passing many arrays would take too long."""
    return register_jitable(**OPTIONS, forceinline=True)(helper)  # type: ignore[no-any-return]


def linked(helper: Callable[..., None]) -> Callable[..., None]:
    """Make a function that returns nothing callable from kernels by address; interpreted, it is unchanged."""
    linking.call_by_address(helper, compiled_later(helper))
    return helper


def is_compiled(kernel: Kernel) -> bool:
    """True for a compiled rung, False for an interpreted one."""
    return hasattr(kernel, "py_func")


def signature_for(pattern: str, dtype: np.dtype[Any]) -> str:
    """`signature_for("T[:,::1], T", float32)` is `"(float32[:,::1], float32,)"`."""
    return "(" + pattern.replace("T", dtype.name) + ",)"


@functools.cache
def _types_of(signature: str) -> tuple[Any, ...]:
    arguments, _ = normalize_signature(signature)
    return tuple(arguments)


def needs_compiling(kernel: Kernel, signature: str) -> bool:
    """True if `compile_for` would run the compiler instead of loading a file."""
    if not is_compiled(kernel):
        return False
    dispatcher: Any = kernel
    known = _types_of(signature) in dispatcher.overloads
    return not known and not dispatcher._cache.holds(signature, dispatcher.targetctx.codegen())


def compile_for(kernel: Kernel, signature: str) -> None:
    """Compile for one signature, or load the machine code from the cache."""
    if is_compiled(kernel):
        kernel.compile(signature)  # type: ignore[attr-defined]


def entry_point(kernel: Kernel, signature: str) -> Kernel:
    """The machine code for one signature, if it is compiled. It does not check the types of its arguments."""
    if not is_compiled(kernel):
        return kernel
    dispatcher: Any = kernel
    overload = dispatcher.overloads.get(_types_of(signature))
    return kernel if overload is None else overload.entry_point
