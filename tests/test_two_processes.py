"""Two processes compile kernels: the second one gets its part, compiles it, and ends."""

import contextlib
import os
import time

import numpy as np
import pytest

from jitnet.backend import cpu, thread_choice
from jitnet.cli import compiling
from jitnet.compiler import jit, linking
from jitnet.process import disturbance, progress

FLOAT32 = np.dtype("float32")
OF_A_TRAINING = ["gather", "layer", "softmax", "cross_entropy", "delta", "adam", "gradients"]


@pytest.fixture
def events(monkeypatch):
    """Lists the kernels that would be compiled, and the start and end of the second process."""
    heard = []

    @contextlib.contextmanager
    def helper_process(kernels):
        heard.append(("starts", kernels))
        yield
        heard.append("ends")

    monkeypatch.setattr(cpu, "helper_process", helper_process)
    monkeypatch.setattr(cpu, "needs_compiling", lambda kernel, signature: True)
    monkeypatch.setattr(cpu, "entry_point", lambda kernel, signature: kernel)  # none is loaded yet
    monkeypatch.setattr(cpu, "compile_for", lambda kernel, signature: heard.append(kernel.__name__))
    return heard


def test_second_process_begins_with_a_part_of_the_tile(events):
    """Then it goes on from the end: the other kernels, which do not wait for the tile, and those that call it."""
    fast = cpu.Fast()
    kernels = [(operation, fast.kernels[operation]) for operation in OF_A_TRAINING]
    show, reported = progress.Progress(), []
    show.compiling = lambda *news: reported.append(news)
    assert cpu._compile(kernels, FLOAT32, show) == 7
    assert events == [
        ("starts", [
            ("layer", "fused", "float32"), ("delta", "fused", "float32"), ("gradients", "fused", "float32"),
            ("gather", "ahead", "float32"), ("softmax", "polynomial", "float32"), ("cross_entropy", "njit", "float32"),
            ("adam", "wide", "float32"), ("register tile", "narrow_tiles", "float32"),
        ]),
        "layer_fused", "delta_fused", "gradients_fused", "gather_ahead", "softmax_polynomial", "cross_entropy",
        "adam_wide", "ends",
    ]  # fmt: skip
    assert [news[:2] for news in reported] == [(done, 7) for done in range(8)]


def test_second_process_gets_only_missing_kernels(events, monkeypatch):
    fast = cpu.Fast()
    kernels = [(operation, fast.kernels[operation]) for operation in OF_A_TRAINING]
    missing = {id(fast.kernels[operation]) for operation in ("softmax", "adam")}
    monkeypatch.setattr(cpu, "needs_compiling", lambda kernel, signature: id(kernel) in missing)
    assert cpu._compile(kernels, FLOAT32, None) == 2
    assert events[0] == ("starts", [("softmax", "polynomial", "float32"), ("adam", "wide", "float32")])
    events.clear()
    missing.remove(id(fast.kernels["adam"]))
    assert cpu._compile(kernels, FLOAT32, None) == 1  # too few for a second process
    assert "ends" not in events
    missing.clear()
    tile, _ = cpu.kernel_and_signature((*cpu.NARROW, "float32"))
    missing |= {id(tile), id(fast.kernels["layer"])}
    events.clear()
    assert cpu._compile(kernels, FLOAT32, None) == 1
    assert events[:2] == [("starts", [("layer", "fused", "float32"), (*cpu.NARROW, "float32")]), "layer_fused"]
    missing |= {id(fast.kernels["softmax"]), id(fast.kernels["adam"])}
    missing.remove(id(fast.kernels["layer"]))  # those that are missing do not call the tile
    events.clear()
    assert cpu._compile(kernels, FLOAT32, None) == 2
    assert events[0] == ("starts", [("softmax", "polynomial", "float32"), ("adam", "wide", "float32")])
    missing.remove(id(tile))
    missing.add(id(fast.kernels["layer"]))
    events.clear()
    assert cpu._compile(kernels, FLOAT32, None) == 3
    assert (*cpu.NARROW, "float32") not in events[0][1]  # it is in the cache


def test_the_part_of_the_tile_is_the_one_that_a_product_calls():
    """It is found in the cache by the types of its arguments."""
    jit.compile_for(*cpu.kernel_and_signature(("matmul", "packed", "float32")))
    _, signature = cpu.kernel_and_signature((*cpu.NARROW, "float32"))
    called = [types for name, types in linking._LINKED.values() if name == "narrow_tiles"]
    assert jit._types_of(signature) in called


def test_second_process_is_for_the_command_line_with_two_cores(monkeypatch):
    show = progress.Progress()
    monkeypatch.setattr(thread_choice, "cpus", lambda: 1)
    with compiling.in_two_processes(show):
        assert (cpu.helper_process, show.processes) == (contextlib.nullcontext, 1)
    monkeypatch.setattr(thread_choice, "cpus", lambda: 2)
    with compiling.in_two_processes(show):
        assert (cpu.helper_process, show.processes) == (compiling.second_process, 2)
    assert cpu.helper_process is contextlib.nullcontext


def test_second_process_fills_the_cache_and_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))
    until = time.monotonic() + 60
    with compiling.second_process([("relu", "wide", "float32"), ("relu", "njit", "float32")]):
        while not list(tmp_path.glob("*/relu-*.kernel")):
            assert time.monotonic() < until
            time.sleep(0.05)
        (child,) = disturbance.HELPERS
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert not disturbance.HELPERS


def test_first_process_compiles_everything_if_the_second_cannot_start(monkeypatch):
    monkeypatch.setattr(compiling, "command", lambda module: ["/nowhere/python"])
    with compiling.second_process([("relu", "njit", "float32")]):
        assert not disturbance.HELPERS
