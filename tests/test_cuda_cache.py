"""GPU kernels are compiled once per machine. No GPU is needed to compile, cache and load them."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed (pip install 'jitnet[cuda]')", allow_module_level=True)


@pytest.fixture
def process(tmp_path):
    """Compile or load in a separate process; returns the words of its output."""

    def run(*arguments, **environment):
        result = subprocess.run(
            [sys.executable, Path(__file__).with_name("cuda_cache.py"), *arguments], capture_output=True, text=True,
            check=False, env={**os.environ, "JITNET_CACHE_DIR": str(tmp_path), **environment},
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout.split()

    return run


@pytest.mark.release
def test_tiles_of_one_function_have_separate_cache_files(process):
    small, large = process("9.0", "small"), process("9.0", "large")
    assert (small[0], large[0]) == ("compiled", "compiled")
    assert process("9.0", "small") == ["loaded", *small[1:]]


@pytest.mark.release
def test_kernel_is_compiled_once_and_then_loaded(process, tmp_path):
    how, name, code = process("9.0")
    assert how == "compiled"
    assert process("9.0") == ["loaded", name, code]
    (file,) = tmp_path.glob("kernels-*/gpu-*.kernel")
    assert process("8.0")[0] == "compiled"  # another GPU
    assert process("9.0", "newer")[0] == "compiled"  # another compiler
    assert process("9.0", NUMBA_OPT="2")[0] == "compiled"  # other settings
    assert process("9.0", "broken")[0] == "compiled"  # a Numba version with other internals
    file.write_bytes(file.read_bytes()[:-1])
    how, name, code = process("9.0")
    assert how == "compiled"
    assert process("9.0") == ["loaded", name, code]
