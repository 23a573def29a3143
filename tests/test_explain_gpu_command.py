"""`jitnet explain --backend cuda` on the command line, and its errors."""

import importlib.util
import json
import sys

import pytest
from command import in_a_process, jitnet_command

import jitnet.cli

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed (pip install 'jitnet[cuda]')", allow_module_level=True)


from jitnet.lab.gpu import explaining


@pytest.mark.slow  # a process that compiles; the tests above cover `explaining`
def test_command_explains_gpu_kernels():
    result = in_a_process("explain", "matmul.naive", "--backend", "cuda")
    assert "measuring 1/2: compiling matmul.naive for the GPU" in result.stderr
    assert "✗ reuse             0.5 multiply-adds per loaded number" in result.stdout
    assert "total += A[i, k] * B[k, j]" in result.stdout
    result = jitnet_command("explain", "relu.elements", "--backend", "cuda", "--capability", "8.0", "--json", "--quiet")
    assert result.stderr == ""
    assert json.loads(result.stdout)["capability"] == "8.0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matmull.naive"], "did you mean 'matmul'?"),
        (["matmul.naiv"], "did you mean 'naive'?"),
        (["matmul.packed"], "unknown rung of matmul on the GPU 'packed'; known: naive, coalesced"),
        (["matmul"], "which rung of matmul? Write matmul.naive; rungs: naive, coalesced"),
        (["relu"], "which rung of relu? Write relu.elements"),
        (["mine.py:f"], "a kernel of your own cannot be explained for the GPU"),
        (["matmul.naive", "--capability", "3.5"], "capability is '3.5', but must be a compute capability that"),
        (["matmul.naive", "--capability", "9"], "capability is '9', but must be"),
        (["matmul.tensorcore", "--capability", "7.5"], "matmul.tensorcore needs compute capability 8.0, and 7.5"),
        (
            ["matmul.naive", "--args", "3"],
            "--args, --types, --problem, --options, --analyzer, --size, --no-run and --dtype float64",
        ),
        (["matmul.naive", "--types", "int64"], "have no effect"),
        (["matmul.naive", "--options", "fastmath=True"], "have no effect"),
        (["matmul.naive", "--dtype", "float64"], "have no effect"),
        (["matmul.naive", "--size", "64"], "have no effect"),
        (["matmul.naive", "--backend", "fast"], "--backend can only be cuda"),
    ],
)
def test_errors_are_one_line_with_status_2(arguments, message, capsys):
    backend = [] if "--backend" in arguments else ["--backend", "cuda"]
    assert jitnet.cli.main(["explain", *arguments, *backend, "--quiet"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_capability_needs_the_cuda_backend(capsys):
    assert jitnet.cli.main(["explain", "matmul.packed", "--capability", "9.0", "--quiet"]) == 2
    assert "give --backend cuda too" in capsys.readouterr().err


@pytest.mark.slow  # a separate process
def test_missing_packages_are_a_one_line_error(monkeypatch):
    monkeypatch.setattr(explaining.cuda.nvvm, "is_available", lambda: False)
    with pytest.raises(jitnet.Error, match=r"the compiler for the GPU is missing: pip install 'jitnet\[cuda\]'"):
        explaining.explain("matmul.naive")
    simulated = jitnet_command("explain", "matmul.naive", "--backend", "cuda", status=2, NUMBA_ENABLE_CUDASIM="1")
    assert simulated.stderr == "jitnet: NUMBA_ENABLE_CUDASIM is set, so nothing is compiled for a GPU; unset it\n"


def test_missing_numba_cuda_is_an_error(monkeypatch, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: find_spec(name) if name != "numba_cuda" else None)
    rooms = ("jitnet.compiler.cuda", "jitnet.kernels.cuda", "jitnet.lab.gpu")
    for module in [name for name in sys.modules if name.startswith(rooms)]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr(jitnet.lab.gpu, "explaining")
    assert jitnet.cli.main(["explain", "matmul.naive", "--backend", "cuda", "--quiet"]) == 2
    assert capsys.readouterr().err == "jitnet: the package numba-cuda is missing: pip install 'jitnet[cuda]'\n"
