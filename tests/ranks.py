"""Ranks as threads of this process: they compute the same results as MPI processes."""

import pickle
import threading

import numpy as np

from jitnet.distributed import Comm


class AbortedError(Exception):
    """Another rank has ended the training."""


class Exchange:
    """A barrier and a list of slots through which the threads exchange objects."""

    def __init__(self, size):
        self.size = size
        self.barrier = threading.Barrier(size, timeout=60)
        self.values = [None] * size
        self.messages = []

    def swap(self, rank, value):
        """The objects of all ranks."""
        try:
            self.values[rank] = value
            self.barrier.wait()
            values = list(self.values)
            self.barrier.wait()
        except threading.BrokenBarrierError:
            raise AbortedError from None
        return values


class ThreadComm(Comm):
    """The communicator of one rank; all ranks share one Exchange."""

    first_here, threads = 0, 1

    def __init__(self, shared, rank):
        self._shared, self.rank, self.size = shared, rank, shared.size

    def allgather(self, value):
        return [pickle.loads(sent) for sent in self._shared.swap(self.rank, pickle.dumps(value))]

    def broadcast(self, vector):
        values = self._shared.swap(self.rank, vector.copy())
        vector[...] = values[0]

    def allreduce(self, vector):
        vector[...] = np.sum(self._shared.swap(self.rank, vector.copy()), axis=0)

    def exchange(self, vector, cuts, received):
        for part, sent in zip(received, self._shared.swap(self.rank, vector), strict=True):
            assert (part is None) == (sent is None)
            if sent is not None:
                part[...] = sent[cuts[self.rank] : cuts[self.rank + 1]]
        self._shared.swap(self.rank, None)  # now the vectors can be overwritten

    def allgather_parts(self, part, cuts, whole):
        parts = self._shared.swap(self.rank, part.copy())
        assert [len(part) for part in parts] == list(np.diff(cuts))
        whole[...] = np.concatenate(parts)

    def abort(self, message, status):
        if not self._shared.barrier.broken:  # with MPI, the other ranks would already have ended
            self._shared.messages.append((self.rank, message, status))
            self._shared.barrier.abort()

    def close(self):
        pass


def on_ranks(size, work):
    """work(comm) on each rank: the results or exceptions, in the order of the ranks, and their abort messages."""
    shared, results = Exchange(size), [None] * size

    def run(rank):
        try:
            results[rank] = work(ThreadComm(shared, rank))
        except BaseException as error:
            results[rank] = error

    threads = [threading.Thread(target=run, args=[rank], daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "deadlock: ranks wait for each other"
    return results, shared.messages
