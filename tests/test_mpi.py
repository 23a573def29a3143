"""Training on several real processes with MPI, started by mpiexec."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from cases import release, slow
from command import jitnet_command

import jitnet
from jitnet import storage

pytest.importorskip("mpi4py", reason="needs the extra mpi")
HERE = Path(__file__).parent
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
if MPIEXEC is None:
    pytest.skip("needs mpiexec, as in the package mpich", allow_module_level=True)


def mpiexec(*parts, **environment):
    """Run parts (number of ranks, arguments of python); the processes can import the modules of this folder."""
    command = []
    for size, *words in parts:
        command += [":"] * bool(command) + ["-n", str(size), sys.executable, *map(str, words)]
    paths = os.pathsep.join([str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [MPIEXEC, *command], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", **environment},
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
    result = mpiexec((size, "-c", textwrap.dedent(TRAINED.format(threads=threads, with_comm=with_comm))))
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    ranks = json.loads(result.stdout)
    assert len(ranks) == size
    assert all(rank == ranks[0] for rank in ranks)
    return ranks[0]


def test_two_processes_give_the_same_bits_as_one():
    assert results_on(2) == results_on(1, with_comm=False)


@pytest.mark.parametrize(("size", "threads"), [slow(3, None), release(4, 2)])
def test_more_processes_and_threads_give_the_same_bits(size, threads):
    assert results_on(size, threads) == results_on(1)


TRAIN = ["-m", "jitnet", "train", "digits", "--hidden", "8", "--backend", "numpy"]


@pytest.mark.slow
def test_command_line_trains_on_several_ranks(tmp_path):
    options = [*TRAIN, "--epochs", 2, "--checkpoint", tmp_path / "run.ckpt", "--json"]
    result = mpiexec((3, *options, "--save", tmp_path / "of three.npz"))
    assert json.loads(result.stdout)["ranks"] == 3
    assert result.stderr.count("digits: 1438 training samples") == 1
    options[options.index(2)] = 4
    result = mpiexec((2, *options, "--resume", "--save", tmp_path / "resumed.npz"), MPIR_CVAR_NOLOCAL="1")
    assert result.returncode == 0, result.stderr  # MPICH: simulates one machine per rank
    jitnet_command(*TRAIN[2:], "--epochs", 4, "--reduction", "tree", "--quiet", "--save", tmp_path / "of one.npz")
    resumed, whole = (jitnet.load(tmp_path / name).theta for name in ("resumed.npz", "of one.npz"))
    assert resumed.tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    ("first", "others", "line"),
    [
        release(
            ["--epochs", "1"], ["--epochs", "x"], "rank 1: jitnet train: argument --epochs: invalid int value: 'x'"
        ),
        slow(["--lr", "0.1"], ["--lr", "0.2"], "rank 1: lr is 0.2, but 0.1 on rank 0; give all the same"),
        release(["--hidden", "x"], ["--hidden", "x"], "--hidden is 'x', but must be widths such as 64,32, or none"),
    ],
)
def test_errors_on_ranks_are_one_line(first, others, line):
    result = mpiexec((1, *TRAIN, *first), (2, *TRAIN, *others))
    assert result.returncode == 2
    assert result.stderr.startswith(f"jitnet: {line}")
    assert result.stderr.count("\n") == 1


KILLED = """
    import os, signal
    from mpi4py import MPI
    from runs import make, spiral
    def kill(net, history):
        if history.epochs == 3 and MPI.COMM_WORLD.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    make().fit(*spiral(), epochs=9999, backend="numpy", comm=MPI.COMM_WORLD, callbacks=kill, checkpoint={path!r})
"""


@pytest.mark.slow
def test_killed_rank_ends_all_ranks(tmp_path):
    result = mpiexec((3, "-c", textwrap.dedent(KILLED.format(path=str(tmp_path / "run.ckpt")))))
    assert result.returncode != 0
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("jitnet: ")]
    ranks, end = re.fullmatch(r"jitnet: (.*?) ((?:was|were) .*); the training of all ranks ends", line).groups()
    assert re.search(r"\brank 1 \(process \d+\)", ranks)
    if " and " in ranks:  # on a busy machine, the launcher can end another rank before the report
        assert end == "were killed or crashed, or ended by the launcher"
    else:
        assert end == "was killed or crashed"
    about, _ = storage.read(tmp_path / "run.ckpt", "checkpoint")
    assert len(about["history"]["loss"]) == 2
