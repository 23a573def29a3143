"""The kernels for the card in Numba's simulator: in a process of its own, as it decides what `cuda` is once for all."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SIMULATED = [Path(__file__).parent / name for name in ("cuda_simulated.py", "cuda_simulated_training.py")]


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="pip install 'jitnet[cuda]' to run these")
def test_everything_in_the_simulator():
    unwatched = {key: value for key, value in os.environ.items() if not key.startswith("COV")}  # ten times as fast
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SIMULATED],
        env={**unwatched, "NUMBA_ENABLE_CUDASIM": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr
