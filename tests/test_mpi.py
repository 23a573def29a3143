"""Training on several processes by MPI: real ones, which mpiexec starts."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("mpi4py", reason="needs the extra mpi")
HERE = Path(__file__).parent
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
if MPIEXEC is None:
    pytest.skip("needs mpiexec, as in the package mpich", allow_module_level=True)


def on_processes(size, code, timeout=120, **environment):
    """Run this code on so many ranks, with the helpers of the tests."""
    command = [MPIEXEC, "-n", str(size), sys.executable, "-c", textwrap.dedent(code)]
    paths = os.pathsep.join([str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )  # fmt: skip


TRAINED = """
    import json, sys, zlib
    from mpi4py import MPI
    from runs import make, spiral
    comm = MPI.COMM_WORLD if {with_comm} else None
    net = make()
    history = net.fit(
        *spiral(), epochs=3, optimizer="adam", comm=comm, reduction="tree", threads={threads}, validation=spiral(31),
    )
    ranks = MPI.COMM_WORLD.gather([zlib.crc32(net.theta.data), history.loss, history.validation_loss])
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(ranks))
"""


def results_on(size, threads="None", with_comm=True):
    result = on_processes(size, TRAINED.format(threads=threads, with_comm=with_comm))
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    ranks = json.loads(result.stdout)
    assert len(ranks) == size
    assert all(rank == ranks[0] for rank in ranks)
    return ranks[0]


def test_two_processes_have_the_bits_of_one():
    assert results_on(2) == results_on(1, with_comm=False)


@pytest.mark.slow
def test_the_same_bits_on_one_to_four_processes_and_one_or_two_threads():
    expected = results_on(1)
    for size, threads in ((3, None), (4, 2)):
        assert results_on(size, threads) == expected, (size, threads)
