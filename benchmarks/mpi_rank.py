"""One rank of mpi.py: measures steps and their traffic; rank 0 prints JSON."""

import itertools
import json
import statistics
import sys
import time

import numpy as np
from mpi4py import MPI

import jitnet
from jitnet.backend import get
from jitnet.distributed import sum_of
from jitnet.distributed.mpi import MpiComm


class Counting(MpiComm):
    """Counts the bytes and calls of a step's exchanges, and how long this rank waits for them."""

    def __init__(self):
        super().__init__(MPI.COMM_WORLD)
        self.clear()

    def clear(self):
        self.calls, self.bytes, self.seconds = 0, 0, 0.0

    def _timed(self, exchange, received):
        began = time.perf_counter()
        exchange()
        self.seconds += time.perf_counter() - began
        self.calls += 1
        self.bytes += received

    def exchange(self, vector, cuts, received):
        others = sum(part.nbytes for rank, part in enumerate(received) if part is not None and rank != self.rank)
        self._timed(lambda: MpiComm.exchange(self, vector, cuts, received), others)

    def allgather_parts(self, part, cuts, whole):
        self._timed(lambda: MpiComm.allgather_parts(self, part, cuts, whole), whole.nbytes - part.nbytes)

    def allreduce(self, vector):  # at least as many bytes as a ring
        self._timed(lambda: MpiComm.allreduce(self, vector), 2 * vector.nbytes * (self.size - 1) // self.size)


def made(widths):
    sizes = [int(width) for width in widths.split("-")]
    hidden = [jitnet.Dense(n, p, "relu") for n, p in itertools.pairwise(sizes[:-1])]
    return jitnet.Network(*hidden, jitnet.Dense(*sizes[-2:], "softmax"), seed=0)


def steps(comm, widths, m, reduction, seconds):
    """The time of a step and its exchange in the fastest epoch; all epochs together take about `seconds`.

    The processes need several cores at the same time, so other work on the machine disturbs most epochs.
    """
    net, rng = made(widths), np.random.default_rng(0)
    count = 8
    X = rng.standard_normal((count * m, net.layers[0].n_in)).astype(np.float32)
    y = rng.integers(0, net.layers[-1].n_out, len(X))
    waited, sent = [], []

    def after(net, history):
        waited.append(comm.seconds / count)
        sent.append((comm.calls, comm.bytes))
        comm.clear()
        return sum(history.seconds) > seconds and history.epochs > 3

    comm.clear()
    options = {"batch_size": m, "optimizer": jitnet.SGD(1e-3), "loss": "cross_entropy", "callbacks": after}
    history = net.fit(X, y, epochs=10_000, comm=comm, reduction=reduction, **options)
    calls, total = sent[-1]  # includes the losses, once per epoch
    best = min(range(1, history.epochs), key=lambda epoch: history.seconds[epoch])
    return {
        "step": history.seconds[best] / count, "exchange": waited[best],
        "calls": calls // count, "bytes": total // count,
    }  # fmt: skip


def update(widths, rounds=200):
    """The time of the optimizer's kernel."""
    net = made(widths)
    kernel, numbers = get("fast").kernels["sgd"], (np.float32(1e-3), np.float32(0))
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        kernel(net.grad, *numbers, net.theta)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def exchanges(comm, size, rounds=30):
    """The median time to exchange a gradient of `size` numbers, with the tree and with the plain all-reduce."""
    found = {}
    for reduction in (8, "fast"):
        total, gradient = sum_of(reduction, comm, size, np.dtype(np.float32)), np.ones(size, np.float32)
        times = []
        for _ in range(rounds):
            for block in total.mine:
                total.add(block, gradient, 0.125)
            comm.allgather(None)
            began = time.perf_counter()
            total.finish(False)
            times.append(time.perf_counter() - began)
        found[str(reduction)] = statistics.median(times)
    return found


def main():
    cases, seconds = json.loads(sys.argv[1])
    comm = Counting()
    results = {}
    for widths, m in cases:
        of_case = {str(how): steps(comm, widths, m, how, seconds) for how in ("tree", "fast")}
        results[f"{widths}, batch {m}"] = of_case | {"parameters": made(widths).theta.size, "update": update(widths)}
    sizes = [1000, 10_000, 100_000, 1_000_000]
    results["exchanges"] = {size: exchanges(comm, size) for size in sizes} if comm.size > 1 else {}
    comm.close()
    if comm.rank == 0:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
