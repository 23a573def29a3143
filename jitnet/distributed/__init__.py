"""Several processes, called ranks as in MPI, train one network on parts of each mini-batch.

    tree.py         a sum in a fixed order: the blocks of a batch are the leaves of a binary tree
    comm.py         the messages between ranks, and how all ranks raise the error of one
    mpi.py          the same with mpi4py, the only module that imports it
    reduction.py    the gradient of a batch from those of its blocks: the fixed tree, or a plain all-reduce
    one_copy.py     one rank of each machine reads the data, and all ranks there share them
    launcher.py     whether mpiexec started this process
    witness.py      a process that reports which rank was killed

Every rank has all parameters, the optimizer's vectors and the history, with the same bits. `training/blocks.py` and
`training/loop.py` use this package.
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from .. import checks
from .comm import Alone, Comm, is_on_all_ranks, on_all_ranks
from .one_copy import read_once
from .reduction import Reduction, checked, sum_of

__all__ = ["Alone", "Comm", "Reduction", "checked", "is_on_all_ranks", "joined", "on_all_ranks", "read_once", "sum_of"]


@contextlib.contextmanager
def joined(given: Any) -> Iterator[Comm]:
    """The ranks of a communicator of mpi4py; None is a single rank, and a `Comm` is returned unchanged.

    Errors    ValueError for anything else
    """
    if given is None or isinstance(given, Comm):
        yield given or Alone()
        return
    library = sys.modules.get("mpi4py.MPI")  # it is there, if the argument is one of its communicators
    if library is None or not isinstance(given, library.Intracomm) or given == library.COMM_NULL:
        raise checks.Error(
            f"comm is {checks.shown(given)}, but must be a communicator of mpi4py: from mpi4py import MPI, then "
            "comm=MPI.COMM_WORLD"
        )
    from .mpi import MpiComm

    with contextlib.closing(MpiComm(given)) as comm:
        yield comm
