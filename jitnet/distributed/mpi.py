"""Ranks with mpi4py, which no other module imports."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from typing import Any

from mpi4py import MPI

from ..compiler.types import Vector
from ..process import progress, resources
from . import witness
from .comm import Comm

SPIN = 1e-3
"""Seconds of polling without sleep, if each rank has a core: longer than most exchanges take."""

NAP = 5e-5
"""Seconds between two polls after that. MPI itself would spin, and keep a core from ranks that need it."""


class MpiComm(Comm):
    """The ranks of a communicator of mpi4py, with a duplicate of it for jitnet's messages."""

    def __init__(self, given: Any) -> None:
        self._given, self.rank, self.size = given, given.rank, given.size
        self._spin = 0.0
        self._witness: socket.socket | None = None
        self._comm, comes = given.Idup()
        with self.or_abort():
            self._wait(comes)  # ranks can come late
            self._meet()

    def _meet(self) -> None:
        """Find the ranks of this machine, and start their witness."""
        here = self._comm.Split_type(MPI.COMM_TYPE_SHARED)
        cores = here.allgather(resources.cores())
        self.first_here = here.bcast(self.rank)
        cores_here = len(set().union(*cores))
        self.threads = max(1, min(len(resources.cores()), cores_here // here.size))
        self._spin = SPIN if here.size <= cores_here else 0.0
        address, self._process = "", None
        if self.size > 1 and self.is_first_here:
            address, self._process = witness.started(here.size, self.size)
        address = here.bcast(address)
        if address:
            self._witness = witness.connected(address, self.rank)
        here.Free()

    def allgather(self, thing: Any) -> list[Any]:
        self._wait(self._comm.Ibarrier())
        return list(self._comm.allgather(thing))

    def broadcast(self, vector: Vector) -> None:
        self._wait(self._comm.Ibcast(vector, root=0))

    def allreduce(self, vector: Vector) -> None:
        self._wait(self._comm.Iallreduce(MPI.IN_PLACE, vector, MPI.SUM))

    def exchange(self, vector: Vector | None, cuts: list[int], received: list[Vector | None]) -> None:
        waiting = [
            self._comm.Irecv(part, source)
            for source, part in enumerate(received)
            if part is not None and source != self.rank
        ]
        for target in range(self.size):
            part = None if vector is None else vector[cuts[target] : cuts[target + 1]]
            mine = received[target]
            if part is None:
                continue
            if target != self.rank:
                waiting.append(self._comm.Isend(part, target))
            elif mine is not None:
                mine[...] = part
        self._wait(waiting)

    def allgather_parts(self, part: Vector, cuts: list[int], whole: Vector) -> None:
        sizes = [stop - start for start, stop in itertools.pairwise(cuts)]
        self._wait(self._comm.Iallgatherv(part, [whole, (sizes, cuts[:-1])]))

    def abort(self, message: str, status: int) -> None:
        self._dismiss()  # it has nothing to report
        progress.say(f"jitnet: rank {self.rank}: {message}")
        self._given.Abort(status)

    def close(self) -> None:
        self._wait(self._comm.Ibarrier())
        self._dismiss()
        if self._process is not None:
            self._process.wait()
        self._comm.Free()

    def _dismiss(self) -> None:
        """Dismiss the witness. The first rank that does so is enough."""
        if self._witness is not None:
            with contextlib.suppress(OSError):
                self._witness.sendall(witness.LEAVE)
            self._witness.close()

    def _wait(self, requests: Any) -> None:
        """Wait without keeping the core busy; signals are handled meanwhile."""
        kind: Any = MPI.Request
        test = requests.Test if isinstance(requests, kind) else lambda: kind.Testall(requests)
        until = time.perf_counter() + self._spin
        while not test():
            if time.perf_counter() >= until:
                time.sleep(NAP)
