"""The GPU kernels in Numba's simulator, in a separate process, because Numba selects the simulator once per process."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

SIMULATED = [Path(__file__).parent / name for name in ("cuda_simulated.py", "cuda_simulated_training.py")]
HAS_PACKAGE = importlib.util.find_spec("numba_cuda") is not None


class Simulation:
    """The tests of the simulator take minutes: conftest.py starts them first, in parallel with the other tests."""

    def __init__(self, config):
        unwatched = {key: value for key, value in os.environ.items() if not key.startswith("COV")}  # ten times as fast
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115  until `stop`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", config.option.markexpr, *SIMULATED],
            env={**unwatched, "NUMBA_ENABLE_CUDASIM": "1"}, stdout=self._output, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def result(self):
        """Exit status and output."""
        status = self._process.wait()
        self._output.seek(0)
        return status, self._output.read()

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._output.close()


@pytest.mark.slow  # the PTX interpreter runs the same kernels, including training
@pytest.mark.skipif(not HAS_PACKAGE, reason="needs numba-cuda: pip install 'jitnet[cuda]'")
def test_all_simulator_tests_pass(request):
    simulation = request.config.stash.get("simulation", None) or Simulation(request.config)
    status, printed = simulation.result()
    simulation.stop()
    print(printed)
    assert status == 0, printed
