"""The launcher that starts ranks, their command line, and the witness that reports a killed rank."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from command import jitnet_command

import jitnet
from jitnet.distributed import launcher, witness
from jitnet.distributed.comm import is_on_all_ranks

LAUNCHED = [
    ({}, None),
    ({"PMI_RANK": "2", "PMI_SIZE": "4"}, (2, 4)),
    ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, (0, 2)),
    ({"PMIX_RANK": "1", "SLURM_STEP_NUM_TASKS": "3"}, (1, 3)),
    ({"SLURM_STEP_NUM_TASKS": "1"}, None),  # in a batch script, before srun
    ({"PMI_RANK": "", "PMI_SIZE": "many"}, None),
]
MPICH = "MPIR_CVAR_SUPPRESS_ABORT_MESSAGE"


@pytest.mark.parametrize(("variables", "place"), LAUNCHED)
def test_rank_and_size_are_read_from_the_environment(monkeypatch, variables, place):
    for names in launcher.VARIABLES.items():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launcher.place() == place
    assert launcher.is_first() == (place is None or place[0] == 0)


def test_mpiexec_without_mpi4py_is_an_error(monkeypatch, capsys):
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    waits = []
    monkeypatch.setattr(launcher, "time", SimpleNamespace(sleep=waits.append))
    monkeypatch.setattr(launcher.signal, "raise_signal", lambda number: sys.exit(2))  # instead of a signal
    for rank, words in (("0", []), ("1", []), ("1", ["--epochs", "x"])):
        monkeypatch.setenv("PMI_RANK", rank)
        said = jitnet_command("train", "digits", *words, status=2).stderr
        assert said.startswith(f"jitnet: rank {rank}: mpiexec started 4 processes, which need mpi4py to work together")
        assert waits == [launcher.PRIORITY] * (rank != "0")  # rank 0 reports first
        waits.clear()
    monkeypatch.setenv("PMI_SIZE", "1")
    assert "jitnet: mpiexec started 1 process" in jitnet_command("train", "digits", status=2).stderr
    monkeypatch.setenv(MPICH, "")  # so that the test's end restores it
    monkeypatch.delenv(MPICH)
    with pytest.raises(jitnet.Error, match="mpiexec started 1 process"):
        launcher.world()
    assert os.environ[MPICH] == "1"


def test_command_line_option_selects_the_reduction(tmp_path):
    options = ("train", "digits", "--epochs", "1", "--hidden", "8", "--quiet", "--backend", "numpy", "--save")
    thetas = []
    for name, reduction in (("tree", "tree"), ("8", "8"), ("16", "16")):
        jitnet_command(*options, tmp_path / name, "--reduction", reduction)
        thetas.append(jitnet.load(tmp_path / name).theta)
    assert np.array_equal(thetas[0], thetas[1])
    assert not np.array_equal(thetas[0], thetas[2])
    jitnet_command("train", "digits", "--reduction", "forest", status=2)


RANK = """
import runpy, sys, time
connection = runpy.run_path(sys.argv[1])["connected"](chr(0) + sys.argv[2], int(sys.argv[3]))
print(flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def on_witness(ranks, total, monkeypatch):
    """A witness in a thread of this process, and sleeping processes that are connected to it."""
    monkeypatch.setattr(witness, "GRACE", 0.05)
    server, name = socket.socket(socket.AF_UNIX), f"jitnet-test-{os.getpid()}-{ranks}"
    server.bind("\0" + name)
    server.listen(ranks)
    watch = threading.Thread(target=witness.watch, args=[server, ranks, total])
    watch.start()
    yield name, watch
    server.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize(
    ("total", "hint"), [(3, ""), (6, " (each machine has such a line, and the first one names the cause)")]
)
def test_witness_names_the_killed_rank(monkeypatch, capsys, total, hint):
    with on_witness(3, total, monkeypatch) as (name, watch):
        words = [sys.executable, "-I", "-S", "-c", RANK, witness.__file__, name]
        processes = [subprocess.Popen([*words, str(rank)], stdout=subprocess.PIPE) for rank in range(3)]
        for process in processes:
            process.stdout.readline()  # now it is connected
        processes[1].kill()
        watch.join(20)
    said = f"jitnet: rank 1 (process {processes[1].pid}) was killed or crashed; the training of all ranks ends{hint}\n"
    assert capsys.readouterr().err == said
    for process in processes:
        process.communicate(timeout=5)
        assert process.returncode == -9


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_stopped_witness_prints_nothing(monkeypatch, capsys):
    with on_witness(2, 2, monkeypatch) as (name, watch):
        connections = [witness.connected("\0" + name, rank) for rank in range(2)]
        connections[1].sendall(witness.LEAVE)
        for connection in connections[::-1]:
            connection.close()
        watch.join(20)
    assert not watch.is_alive()
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_witness_process_serves_the_ranks_of_one_machine(capfd):
    address, process = witness.started(1, total=2)
    with witness.connected(address, 0) as connection:
        connection.sendall(witness.LEAVE)
        assert process.wait(20) == 0  # it does not wait for the rank of another machine
    assert capfd.readouterr() == ("", "")


def test_mpiexec_of_another_mpi_library_is_an_error_on_all_ranks(monkeypatch):
    world = type("World", (), {"size": 1})
    monkeypatch.setitem(sys.modules, "mpi4py", type("mpi4py", (), {"MPI": type("MPI", (), {"COMM_WORLD": world})}))
    monkeypatch.setattr(launcher, "place", lambda: (0, 4))
    with pytest.raises(jitnet.Error, match="mpiexec started 4 processes, but MPI knows 1") as caught:
        launcher.world()
    assert is_on_all_ranks(caught.value)
