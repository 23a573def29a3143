"""Compile functions as usual, and record line numbers and LLVM's remarks: the main() of a separate process.

LLVM gives remarks only if an option is set before the first compilation, and Numba has no assembly of code from a
cache. `explain` therefore starts this program. It reads requests from standard input (a list of target, dtype,
arguments, types, options, operation, problem, run, in JSON) and prints a line of JSON for each: assembly and remarks,
or an error. `run`, if not None, is the size of the arguments of an operation or a problem; the function is then also
run (`running.py`).

Line numbers come from `dbg_directives_only`. Numba's `debug=True` would change the code: it checks bounds, and keeps
each variable in memory. Here the instructions are the same, one for one.
"""

import functools
import inspect
import json
import os
import re
import sys
import tempfile
import tokenize
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite.ir import IRBuilder
from numba.core import compiler
from numba.core.compiler import Flags
from numba.core.cpu import CPUTargetOptions
from numba.core.debuginfo import DIBuilder
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError
from numba.core.registry import cpu_target
from numba.core.sigutils import normalize_signature
from numba.misc import firstlinefinder
from numba.np.ufunc import wrappers
from numba.np.ufunc.dufunc import DUFunc

from ... import checks
from ...compiler import linking
from ...compiler.jit import OPTIONS, signature_for
from ...kernels import LADDERS, SIGNATURES
from .. import loading, problems
from . import running
from .widening import widened

Request = dict[str, Any]

_OPTIONS = sorted(
    {name for name in dir(CPUTargetOptions) if isinstance(getattr(CPUTargetOptions, name), CPUTargetOptions.Mapping)}
    | set(inspect.signature(numba.jit).parameters) - {"signature_or_function", "options"}
)


def with_lines() -> None:
    """From now on machine code has line numbers, and no cache is used."""
    usual = CPUTargetOptions.finalize

    def finalize(self: Any, flags: Any, options: Any) -> None:
        usual(self, flags, options)
        flags.debuginfo = True
        flags.dbg_extend_lifetimes = False

    Flags.options["dbg_directives_only"]._default = True
    CPUTargetOptions.finalize = finalize
    Dispatcher.enable_caching = lambda self: None  # type: ignore[method-assign]
    for helper in linking.HELPERS.values():
        helper._cache.disable()
    DIBuilder._di_file = _whole_path
    firstlinefinder.open = tokenize.open  # Numba reads sources in the encoding of the locale, with a byte order mark
    compiler.compile_ir = _with_file(compiler.compile_ir)
    wrappers.IRBuilder = _builder_with_place


def _whole_path(info: Any) -> Any:
    """LLVM's comments and remarks contain the name of a file, not its folder, and two files can have the same name."""
    return info.module.add_debug_info("DIFile", {"directory": "", "filename": info.filepath})


def _with_file(compile_ir: Any) -> Any:
    """Drop the line numbers of the code that Numba adds around the body of a prange loop."""

    def compile_with_file(typing: Any, target: Any, function: Any, *rest: Any, **options: Any) -> Any:
        statements = [statement for block in function.blocks.values() for statement in block.body]
        if place := next((s.loc for s in statements if s.loc.filename != function.loc.filename), None):
            for statement in statements:
                if statement.loc.filename == function.loc.filename:
                    statement.loc = place.with_lineno(0)
            function.loc = place
        return compile_ir(typing, target, function, *rest, **options)

    return compile_with_file


def _builder_with_place(block: Any) -> Any:
    """LLVM drops the lines of code inlined into a function without any, such as Numba's wrapper of a prange loop."""
    info = DIBuilder(block.module, "<wrapper>", cpu_target.target_context, directives_only=True)
    info.mark_subprogram(block.function, block.function.name, (), (), 0)
    info.finalize()
    builder = IRBuilder(block)
    info.mark_location(builder, 0)
    return builder


class Listener:
    """Records LLVM's remarks on standard error, also those on linked helpers."""

    def __init__(self) -> None:
        for kind in ("", "-missed", "-analysis"):
            llvmlite.binding.set_option("", f"-pass-remarks{kind}=loop-vectorize")
        self.file = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the process runs
        os.dup2(self.file.fileno(), 2)
        self.helpers: dict[str, str] = {}
        link = linking._link

        def listening(name: str, arguments: tuple[Any, ...]) -> None:
            start = self.position()
            link(name, arguments)
            self.helpers.setdefault(linking._symbol(name, arguments), self.since(start))

        linking._link = listening

    def position(self) -> int:
        return self.file.seek(0, os.SEEK_END)

    def since(self, start: int) -> str:
        self.file.seek(start)
        lines = self.file.read().decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if line.startswith("remark: ") and "<unknown>" not in line)


def compiled(request: Request, listener: Listener) -> dict[str, Any]:
    """Assembly, remarks and other properties of one target; and its run, if the request wants one."""
    start = listener.position()
    dispatcher, types = _kernel(request) if ":" not in request["target"] else _function_of_user(request)
    body = dispatcher.py_func
    try:
        if types not in dispatcher.overloads:
            dispatcher.compile(types)
    except checks.Error:  # a kernel of jitnet that Numba refuses
        raise
    except NumbaError as error:
        given = _notation(*types) or "nothing"
        raise checks.Error(f"{request['target']} does not compile: {_in_one_line(error)}, given {given}") from None
    except Exception as error:
        raise checks.Error(f"{request['target']} does not compile: {loading.not_compiled(error)}") from None
    overload = dispatcher.overloads[types]
    said, assembly = listener.since(start), [_assembly(overload.library)]
    links: dict[str, str] = {}
    for text in assembly:  # grows while it is read
        for symbol in set(re.findall(linking.PREFIX + r"\w+", text)) - set(links):
            name, arguments = linking._LINKED[symbol]
            helper = linking.HELPERS[name].overloads[arguments]
            links[symbol] = helper.fndesc.llvm_func_name
            assembly.append(_assembly_of_helper(symbol))
            said += "\n" + listener.helpers[symbol]
    options = {name: sorted(value) if isinstance(value, set) else value for name, value in _options(dispatcher)}
    triple, cpu, features = dispatcher.targetctx.codegen().magic_tuple()
    answer = {
        "name": body.__name__, "signature": _notation(*types), "file": body.__code__.co_filename,
        "line": body.__code__.co_firstlineno, "options": options, "triple": triple, "cpu": cpu, "features": features,
        "numba": numba.__version__, "assembly": assembly, "links": links, "remarks": said,
        "widened": widened(overload),
    }  # fmt: skip
    if request["run"]:
        answer["run"] = running.measured(request, answer, dispatcher, overload)
    return answer


def _notation(*types: Any) -> str:
    """`float32[:,::1], int64`, as the types are written in a signature."""

    def one(kind: Any) -> str:
        if not isinstance(kind, numba.types.Array):
            return str(kind)
        axes = [":"] * kind.ndim
        if kind.layout in ("C", "F"):
            axes[-1 if kind.layout == "C" else 0] = "::1"
        return f"{kind.dtype}[{','.join(axes)}]"

    return ", ".join(map(one, types))


def _options(dispatcher: Any) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in dispatcher.targetoptions.items() if name != "nopython"]


@functools.cache
def _assembly_of_helper(symbol: str) -> str:
    name, arguments = linking._LINKED[symbol]
    return _assembly(linking.HELPERS[name].overloads[arguments].library)


def _assembly(library: Any) -> str:
    return text_of(library._codegen._tm, library._final_module)


def text_of(machine: Any, module: Any) -> str:
    """The assembly for that machine, without what debuggers need."""
    machine.set_asm_verbosity(True)
    lines = str(machine.emit_assembly(module)).splitlines()
    kept = [line for line in lines if "DEBUG_VALUE:" not in line and not line.startswith("\t.cfi")]
    return re.split(r"\t\.section\t(?:\.debug_|__DWARF)", "\n".join(kept))[0]


def _kernel(request: Request) -> tuple[Any, tuple[Any, ...]]:
    operation, rung = request["target"].split(".", 1)
    kernel: Any = LADDERS[operation][rung]
    kernel._cache.disable()
    return kernel, _types_of(operation, request["dtype"])


def _types_of(operation: str, dtype: str) -> tuple[Any, ...]:
    types, _ = normalize_signature(signature_for(SIGNATURES[operation], np.dtype(dtype)))
    return tuple(types)


def _function_of_user(request: Request) -> tuple[Any, tuple[Any, ...]]:
    function: Any = loading.load(request["target"])
    if not inspect.isfunction(function) and not isinstance(function, Dispatcher):
        kind = "is under @vectorize" if isinstance(function, DUFunc) else f"is of type {type(function).__name__}"
        raise checks.Error(f"{request['target']} {kind}; give a function under @njit, or a plain one")
    if request["options"] is not None or inspect.isfunction(function):
        options = {**OPTIONS, "_nrt": True} if request["options"] is None else _stated(request["options"])
        function = numba.njit(**options)(loading.body_of(function))
    return function, _types_for(function, function.py_func.__name__, request)


def _types_for(function: Any, name: str, request: Request) -> tuple[Any, ...]:
    """The argument types to compile for: those of the request, or those that its decorator declares."""
    parameters = inspect.signature(function.py_func)
    declared = list(function.overloads)
    problem = None
    if request["types"] is not None:
        types = _parsed(request["types"])
    elif request["arguments"] is not None:
        types = loading.evaluated(request["arguments"], each=numba.typeof, function=function)
    elif request["operation"] is not None:
        problem = problems.of_operation(request["operation"])
        types = _types_of(request["operation"], request["dtype"])
    elif request["problem"] is not None:
        problem = problems.load(request["problem"])
        types = tuple(map(numba.typeof, problem.case(problem.shapes[0], request["dtype"]).arguments))
    elif declared or not parameters.parameters:
        return declared[0] if declared else ()
    else:
        raise checks.Error(
            f"{name}{parameters} needs argument types: give arguments such as "
            "--args 'ones(1000, float32), 3', types such as --types 'float32[:,::1], int64', or an operation or a "
            "problem, as in --as matmul, --problem conv2d"
        )
    if problem and (misfit := problem.misfit(function, name)):
        raise checks.Error(f"{name} {misfit}")
    loading.called_with(function, name, types, _notation(*types))
    if function._can_compile or types in declared:
        return loading.folded(function, types)
    converts = function.typingctx.can_convert
    for signature in declared:
        if all(converts(ours, theirs) is not None for ours, theirs in zip(types, signature, strict=True)):
            return tuple(signature)
    alone = " or ".join(f"({_notation(*signature)})" for signature in declared)
    raise checks.Error(f"{name} is declared for {alone} alone, and cannot take ({_notation(*types)})")


def _stated(options: str) -> dict[str, Any]:
    try:
        stated: dict[str, Any] = eval(f"dict({options})", {})
        for name in stated:
            if name not in _OPTIONS:  # those with an underscore are private
                checks.one_of("option of numba.njit", name, [known for known in _OPTIONS if known[0] != "_"])
        numba.njit(**stated)(lambda: None).compile(())
    except checks.Error:
        raise
    except Exception as error:
        raise checks.Error(
            f"the options {options!r} are not valid for numba.njit: {checks.described(error)}; "
            "write them such as 'fastmath=True, parallel=True'"
        ) from None
    return stated


def _parsed(types: str) -> tuple[Any, ...]:
    text = types.strip().removesuffix(",")
    try:
        arguments, _ = normalize_signature(text if text.endswith(")") else f"({text},)" if text else "()")
    except Exception:
        raise checks.Error(
            f"the types {types!r} are not known to Numba; write them such as 'float32[:,::1], int64'"
        ) from None
    return tuple(arguments)


def _in_one_line(error: Exception) -> str:
    """The error and its place, from a long message of Numba."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith(("Failed in", "During:", "There are", "-", "File "))]
    what = said[0].removesuffix(":") if said else type(error).__name__
    call = next((line for line in said if line.startswith(">>> ")), None)
    where = re.findall(r'^File "(.*)", line (\d+)', text, re.MULTILINE)
    what += f": {call[4:]}" if call else ""
    return what + (f" ({Path(where[-1][0]).name}, line {where[-1][1]})" if where else "")


def main() -> None:
    requests = json.loads(sys.stdin.readline())
    sys.stdin = open(os.devnull)  # noqa: SIM115  a user's file may ask for something
    with_lines()
    way_out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of a user's file is not part of the answer
    listener = Listener()
    for request in requests:
        try:
            answer = compiled(request, listener)
        except checks.Error as error:
            answer = {"error": " ".join(str(error).split())}
        except Exception as error:  # of Numba or LLVM: also one line
            answer = {"error": f"{request['target']}: {checks.described(error)}"}
        way_out.write(json.dumps(answer) + "\n")
        way_out.flush()
