"""The machine code reflects the compiler options, and the registry has each body with each compiler."""

import re

import numba
import numpy as np
import pytest
from numba import prange
from numba.core.compiler_lock import global_compiler_lock

import jitnet
from jitnet.backend.base import REGISTRY
from jitnet.backend.base import register as register_backend
from jitnet.compiler import jit, parallel_for, registry
from jitnet.compiler.registry import FLOP, baseline, operation, rung
from jitnet.kernels import LADDERS, SIGNATURES, elementwise
from jitnet.kernels.activations import ACTIVATIONS
from jitnet.kernels.losses import LOSSES, loss
from jitnet.kernels.optimizers import RULES, register_rule
from jitnet.layers.base import KINDS, kind
from jitnet.optimizers import OPTIMIZERS, SGD, USUAL_LR, AdamW, registered


def test_functions_are_handed_to_numba_while_no_thread_can_fork(monkeypatch):
    """Numba prepares its target at the first function; a child forked meanwhile would wait forever for Numba's lock."""
    locked = []
    monkeypatch.setattr(numba, "njit", lambda **_: lambda body: locked.append(global_compiler_lock.is_locked()) or body)
    later = jit.compiled_later(fill)
    assert not locked
    assert later() is fill
    assert locked == [True]


def divide(x):
    """A kernel that could raise an error, hold the GIL and count references."""
    x[0] = x[1] / x[2] + x[3] * x[4]


def spread(x):
    for i in prange(x.size):
        x[i] = i


def fill(x):
    y = np.empty(x.size)
    for i in range(x.size):
        y[i] = i
        x[i] = y[i]


SIGNATURE = "(float64[::1],)"


def llvm(kernel):
    jit.compile_for(kernel, SIGNATURE)
    (text,) = kernel.inspect_llvm().values()
    return text


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))


def test_options_of_a_kernel_are_visible_in_its_code():
    kernel = jit.compiled(divide)
    text = llvm(kernel)
    assert set(re.findall(r"= f(?:add|mul|div) (.*?) ?double", text)) == {"contract"}  # only a·b + c may be fused
    assert "PyEval_SaveThread" in text  # releases the GIL
    assert "NRT_incref" not in text
    assert "NRT_decref" not in text
    assert "numba_parallel_for" not in text
    x = np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    kernel(x)
    assert x[0] == np.inf  # as in NumPy, instead of ZeroDivisionError


def test_only_parallel_kernels_start_threads():
    assert "numba_parallel_for" in llvm(jit.compiled(spread, parallel=True))
    assert "numba_parallel_for" not in llvm(jit.compiled(spread))


def test_parallel_loop_restores_the_number_of_threads():
    parallel_for.start_layer()
    before, x = parallel_for._room.value, np.empty(8)
    jit.compiled(spread, parallel=True)(x)
    assert (x == range(8)).all()
    assert parallel_for._room.value == before


def test_only_kernels_that_allocate_have_a_runtime():
    x = np.zeros(3)
    jit.compiled(fill, allocates=True)(x)
    assert (x == [0, 1, 2]).all()
    with pytest.raises(jitnet.Error, match="kernels allocate no memory"):
        jit.compiled(fill)(x)


def test_only_kernels_that_are_not_loaded_or_cached_need_compiling():
    kernel = jit.compiled(divide)
    assert jit.needs_compiling(kernel, SIGNATURE)
    jit.compile_for(kernel, SIGNATURE)
    assert not jit.needs_compiling(kernel, SIGNATURE)
    kernel._cache.flush()
    assert not jit.needs_compiling(kernel, SIGNATURE)  # loaded in this process
    assert jit.needs_compiling(jit.compiled(divide), SIGNATURE)
    assert not jit.needs_compiling(divide, SIGNATURE)
    jit.compile_for(divide, SIGNATURE)  # an interpreted function: nothing to compile


def test_entry_point_is_for_one_signature():
    kernel = jit.compiled(divide)
    assert jit.entry_point(kernel, SIGNATURE) is kernel  # not compiled yet
    jit.compile_for(kernel, SIGNATURE)
    (overload,) = kernel.overloads.values()
    assert jit.entry_point(kernel, SIGNATURE) is overload.entry_point
    assert jit.entry_point(kernel, "(float32[::1],)") is kernel
    assert jit.entry_point(divide, SIGNATURE) is divide


def test_signature_for_replaces_the_dtype():
    assert jit.signature_for("T[:,::1], T, int64", np.dtype("float32")) == "(float32[:,::1], float32, int64,)"
    assert jit.signature_for("T[::1]", np.dtype("float64")) == SIGNATURE


def test_every_rung_is_registered_with_its_parallel_twin():
    """Both have the same body; only the compiler options differ."""
    assert set(LADDERS) == set(SIGNATURES)
    for ladder in LADDERS.values():
        assert list(ladder)[:3] == ["python", "njit", "parallel"]
        assert not jit.is_compiled(ladder["python"])
        assert ladder["njit"].py_func is ladder["parallel"].py_func is ladder["python"]
        for name, kernel in ladder.items():
            if jit.is_compiled(kernel):
                parallel = name == "parallel" or name.endswith("_parallel")
                assert kernel.targetoptions["parallel"] == parallel
                assert name in ("njit", "parallel") or ladder[name.removesuffix("_parallel")].py_func is kernel.py_func
                assert parallel or name == "njit" or f"{name}_parallel" in ladder


def test_a_known_name_is_registered_again_only_by_the_same_function():
    """As when the cell of a notebook runs again. Otherwise everything stays as it was."""
    contents = [LADDERS, SIGNATURES, ACTIVATIONS, LOSSES, OPTIMIZERS, KINDS, REGISTRY, RULES]
    before = [dict(content) for content in contents]
    matmul, clash = LADDERS["matmul"]["python"], type("Adam", (SGD,), {})
    for register, what in (
        (lambda: operation("T[::1]")(type(matmul)(divide.__code__, {}, "matmul")), "operation 'matmul'"),
        (lambda: rung("matmul", "packed")(divide), "rung 'packed' of matmul"),
        (lambda: rung("relu", "njit")(divide), "rung 'njit' of relu"),
        (lambda: elementwise.activation("relu")(divide), "activation 'relu'"),
        (lambda: loss("mse")(divide).derivative(divide), "operation 'mse'"),
        (lambda: registered(usual_lr=0.1)(clash), "optimizer 'adam'"),
        (lambda: kind(type("Dense", (), {})), "layer 'Dense'"),
        (lambda: register_backend(type("Other", (), {"name": "fast"})), "backend 'fast'"),
        (lambda: register_rule("sgd", AdamW.rule, 8, 2), "operation 'sgd'"),
    ):
        with pytest.raises(ValueError, match=f"^{what} exists already: jitnet.*; give the new one another name$"):
            register()
    assert [dict(content) for content in contents] == before
    assert rung("matmul", "packed")(LADDERS["matmul"]["packed"].py_func)


@pytest.mark.parametrize("vectors", [0, 3])
def test_a_rule_has_one_or_two_state_vectors(vectors):
    names = tuple("abc"[:vectors])
    optimizer = type("Unusual", (AdamW,), {"memory": names, "kernel": "unusual"})
    with pytest.raises(ValueError, match=f"optimizer 'unusual' has {vectors} state vectors, but a rule has one or two"):
        registered(usual_lr=0.1)(optimizer)
    for content in (OPTIMIZERS, RULES, LADDERS):
        assert "unusual" not in content


def test_the_cell_of_an_optimizer_can_be_changed_and_run_again():
    """The class of a cell has the same name; its rule may be another one."""
    try:
        for factor in (1.0, 2.0):
            cell = CELL.replace("factor", str(factor))
            exec(cell, {"registered": registered, "AdamW": AdamW})
            with pytest.raises(ValueError, match="has 3 state vectors"):  # a mistake, and the next cell corrects it
                exec(f"{cell}    memory = tuple('abc')", {"registered": registered, "AdamW": AdamW})
            theta = np.zeros(3)
            LADDERS["of_a_cell"]["python"](np.ones(3), np.zeros(8), np.zeros(3), np.zeros(3), theta)
            assert (theta == -factor).all()
    finally:
        for content, name in ((OPTIMIZERS, "ofacell"), (USUAL_LR, "ofacell"), (RULES, "of_a_cell")):
            content.pop(name, None)
        for content in (LADDERS, SIGNATURES, FLOP):
            content.pop("of_a_cell", None)


CELL = """
@registered(usual_lr=0.1)
class OfACell(AdamW):
    kernel = "of_a_cell"

    @staticmethod
    def rule(g, w, mean, square, numbers):
        return mean, square, w - factor * g
"""


def test_registering_a_kernel_adds_its_rungs(monkeypatch):
    monkeypatch.setattr("jitnet.compiler.registry.LADDERS", ladders := {})
    monkeypatch.setattr("jitnet.compiler.registry.SIGNATURES", signatures := {})
    monkeypatch.setattr("jitnet.compiler.registry.FLOP", {})
    before = registry.changes
    assert operation("T[::1]")(divide) is divide
    assert rung("divide", "filled", allocates=True)(fill) is fill
    assert rung("divide", "spread")(spread) is spread
    assert baseline("divide")(llvm) is llvm
    assert registry.changes == before + 4  # so that backends update their kernels
    assert registry.Call("divide", (np.empty((3, 5)), 0.5)).flop == 15
    assert signatures == {"divide": "T[::1]"}
    (ladder,) = ladders.values()
    names = ["python", "njit", "parallel", "filled", "filled_parallel", "spread", "spread_parallel", "numpy"]
    assert list(ladder) == names
    assert ladder["python"] is divide
    assert ladder["numpy"] is llvm
    options = {name: ladder[name].targetoptions for name in names[1:-1]}
    assert [options[name]["parallel"] for name in options] == [False, True, False, True, False, True]
    assert [options[name]["_nrt"] for name in options] == [False, False, True, True, False, False]
