"""A function between parallel loops and Numba's threading layer: a loop that gets no threads runs serially.

Without it, the process would end in two cases. GNU OpenMP must not be used in a child that was forked after its threads
had started, which is how multiprocessing creates workers on Linux before Python 3.14; and the layer `workqueue` runs
one parallel loop at a time. Every compiled prange loop calls the symbol `numba_parallel_for` with its parts. jitnet
defines that symbol as its own function: it passes the call on if the layer can take it, and otherwise runs the parts
one after the other on the calling thread. The partition of a loop does not change a bit of its result.
"""

import ctypes
import os
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, config
from numba.core.codegen import initialize_llvm
from numba.core.compiler_lock import global_compiler_lock
from numba.np.ufunc import parallel

SYMBOL, NAME = "numba_parallel_for", "jitnet_parallel_for"

WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "5000"}
"""How OpenMP's threads wait for one another: they spin 5000 times, 60 to 200 µs, and then sleep.

That is longer than most pauses between the parallel loops of a training step; a sleeping thread starts late. By default
they spin for milliseconds. On cores that other processes use, a spinning thread then keeps the thread that it waits for
from running, and a loop takes 10 to 100 times as long.
"""

ANY = 1 << 30

_room = ctypes.c_int(ANY)
"""The number of further parallel loops that the layer can run now: any, 1 with workqueue, or none."""

_engines: list[Any] = []
"""The engine that owns the function, once it is compiled."""

_without_threads = False


def start_layer() -> None:
    """Start Numba's threads and redefine the symbol, if this has not been done yet.

    Errors    ValueError, in one line, if the environment asks for a threading layer that is not available
    """
    if _engines or config.DISABLE_JIT:  # interpreted loops do not call the layer
        return
    with global_compiler_lock:
        try:
            _launch()
        except ValueError as error:
            blamed = [name for name in sorted(os.environ) if name.startswith("NUMBA_THREADING_LAYER")]
            fix = f"; or unset {' '.join(blamed)}" if blamed else ""
            reason = " ".join(str(error).split()).rstrip(".")
            raise ValueError(f"Numba's threads do not start: {reason}{fix}") from None
        if not _engines:
            _room.value = 0 if _without_threads else 1 if parallel.threading_layer() == "workqueue" else ANY
            engine, address = _function_before(llvm.address_of_symbol(SYMBOL))
            llvm.add_symbol(SYMBOL, address)
            _engines.append(engine)


def _launch() -> None:
    """Start Numba's threads, with the variables of `WAITING` unless the environment sets them.

    OpenMP reads these variables when it starts. They are removed afterwards, because they are not meant for other
    processes and libraries. They have no effect if other code has already started the same OpenMP.
    """
    added = {} if WAITING.keys() & os.environ.keys() else WAITING
    os.environ.update(added)
    try:
        parallel._launch_threads()
    finally:
        for name in added:
            os.environ.pop(name, None)


def can_have_threads() -> bool:
    """False in a forked child if the threading layer does not survive a fork."""
    return not _without_threads


def _function_before(layer: int) -> tuple[Any, int]:
    """The machine code of the function and its address: it calls the layer, or the loop's function with all parts."""
    module = ir.Module()
    pointer, number, count = cgutils.voidptr_t, cgutils.intp_t, ir.IntType(32)
    of_layer = ir.FunctionType(ir.VoidType(), [pointer] * 5 + [number] * 3)
    of_loop = ir.FunctionType(ir.VoidType(), [pointer] * 4)
    function = ir.Function(module, of_layer, NAME)
    builder = ir.IRBuilder(function.append_basic_block())
    room = builder.inttoptr(number(ctypes.addressof(_room)), count.as_pointer())
    before = builder.atomic_rmw("sub", room, count(1), "acquire")
    with builder.if_else(builder.icmp_signed(">", before, count(0))) as (there_is_room, there_is_none):
        with there_is_room:
            builder.call(builder.inttoptr(number(layer), of_layer.as_pointer()), function.args)
        with there_is_none:
            loop, *parts = function.args[:5]
            builder.call(builder.bitcast(loop, of_loop.as_pointer()), parts)
    builder.atomic_rmw("add", room, count(1), "release")
    builder.ret_void()
    initialize_llvm()  # if nothing has been compiled yet
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(str(module)), machine)
    engine.finalize_object()
    return engine, engine.get_function_address(NAME)


def _in_a_forked_child() -> None:
    """A fork copies no threads. workqueue starts new ones; OpenMP would end the process, and TBB could."""
    global _without_threads
    if parallel._is_initialized:  # by jitnet, or by another parallel loop of the program
        _without_threads = parallel.threading_layer() != "workqueue"
        _room.value = 0 if _without_threads else 1
    global_compiler_lock.release()


if hasattr(os, "register_at_fork"):
    # a compiling thread is not forked either, and would leave the compiler's lock taken in the child
    os.register_at_fork(
        before=global_compiler_lock.acquire, after_in_parent=global_compiler_lock.release,
        after_in_child=_in_a_forked_child,
    )  # fmt: skip
