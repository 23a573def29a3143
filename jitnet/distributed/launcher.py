"""Whether mpiexec or srun started this process, with its rank and the number of ranks."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from .. import checks
from ..process import progress
from .comm import Comm, on_all_ranks

VARIABLES = {
    "PMI_SIZE": "PMI_RANK",  # MPICH, Intel MPI, and Slurm with PMI-2
    "OMPI_COMM_WORLD_SIZE": "OMPI_COMM_WORLD_RANK",
    "MV2_COMM_WORLD_SIZE": "MV2_COMM_WORLD_RANK",
    "SLURM_STEP_NUM_TASKS": "PMIX_RANK",
}
"""Environment variables: the number of ranks, and this rank."""

PRIORITY = 2.0
"""Seconds in which only rank 0 reports an error that all ranks may have."""


def place() -> tuple[int, int] | None:
    """(rank, number of ranks) of this process; None if no launcher started it."""
    for size, rank in VARIABLES.items():
        if os.environ.get(size, "").isdecimal() and os.environ.get(rank, "").isdecimal():
            return int(os.environ[rank]), int(os.environ[size])
    return None


def is_first() -> bool:
    """True in one of the processes that a launcher started, and without a launcher."""
    where = place()
    return where is None or where[0] == 0


def world() -> Comm | None:
    """The ranks that the launcher started; None if there is no launcher.

    Errors    ValueError if they cannot find one another
    """
    where = place()
    if where is None:
        return None
    rank, size = where
    os.environ.setdefault("MPIR_CVAR_SUPPRESS_ABORT_MESSAGE", "1")  # of MPICH; jitnet itself names rank and error
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: without an MPI library
        message = (
            f"mpiexec started {checks.count(size, 'process', 'processes')}, which need mpi4py to work together, and it "
            f"cannot be imported ({checks.reason(error)}); pip install 'jitnet[mpi]', or run without mpiexec"
        )
        if size > 1:
            _end_all(rank, message)
        raise checks.Error(message) from None
    if MPI.COMM_WORLD.size != size:
        raise on_all_ranks(checks.Error(
            f"mpiexec started {checks.count(size, 'process', 'processes')}, but MPI knows {MPI.COMM_WORLD.size}: "
            "mpiexec belongs to another MPI library than mpi4py; use the mpiexec of that library"
        ))  # fmt: skip
    from .mpi import MpiComm

    return MpiComm(MPI.COMM_WORLD)


def _end_all(rank: int, message: str) -> None:
    """End a rank without MPI by a signal, which launchers notice; otherwise the others would wait for it forever.

    If no rank has MPI, rank 0 reports it first and ends, and the launcher ends the others.
    """
    if rank > 0:
        time.sleep(PRIORITY)
    progress.say(f"jitnet: rank {rank}: {message}")
    signal.raise_signal(signal.SIGKILL)


def reported(message: str) -> str | None:
    """Report an error in the command line of this rank before it ends, because the other ranks would wait for it."""
    try:
        comm = world()
        if comm is None:
            return message
        with contextlib.closing(comm), comm.together():
            raise checks.Error(message)
    except checks.Error as error:
        return str(error) if is_first() else None
