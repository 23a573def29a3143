"""On a GPU: every rung of the product compared with cuBLAS, and epochs of training compared with PyTorch and JAX.

    python benchmarks/gpu.py [--sizes 1024,4097x2049x1023] [--rounds 9] [--only products|training|epoch] [--out FOLDER]

It runs unattended: a missing library (PyTorch, which includes cuBLAS, or JAX) is left out of the tables. Products are
checked against float64 before their alternating timings. Networks start with the same weights, and the table shows the
differences after the first epoch. Times are medians. The tables are rewritten after each row, so an interrupted run
keeps its results.
"""

import argparse
import datetime
import functools
import importlib.metadata
import importlib.util
import itertools
import os
import platform
import re
import statistics
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # for a clone without an installed jitnet

import common
from gpu_libraries import DEVICE, of_jax, of_torch, peer

import jitnet
from jitnet.backend import cuda
from jitnet.lab.timing import time_alternating, time_of

EPOCH = 100
"""Batches per epoch."""

IN_A_ROW = 20
"""The maximum number of products in the stream before a wait, so that launches overlap with the computation."""

TURN = 0.02
"""Seconds per repetition of a product, at least one call."""

PATIENCE = 0.5
"""Time limit in seconds for one product; slower rungs are left out at this size."""

CASES = [
    ("784-128-10", 64, "sigmoid", "mse"), ("784-128-10", 64, "relu", "cross_entropy"),
    ("784-512-512-10", 128, "relu", "cross_entropy"), ("784-2048-2048-10", 1024, "relu", "cross_entropy"),
    ("4096-4096-4096-10", 4096, "relu", "cross_entropy"), ("64-32-10", 32, "sigmoid", "mse"),
]  # fmt: skip
"""Network, batch size, activation and loss."""
LARGEST = 2**30
"""Limit of the samples in bytes: an epoch of large samples has fewer batches."""
SAMPLES = 60_000
"""Samples of the epoch that is timed as a whole."""
PEERS = ("torch", "torch compiled", "torch graph", "jax")
OPTIMIZERS = {"SGD": jitnet.SGD(0.01), "Adam": jitnet.Adam(1e-3)}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", default="1024,2048,4096,8192,4097x2049x1023", help="sizes of products (default %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=9, help="repetitions of each candidate (default %(default)s)")
    parser.add_argument("--only", default="", help="products, training or epoch")
    parser.add_argument("--rungs", default="", help="only these rungs of products, and cuBLAS")
    parser.add_argument(
        "--peers", default=",".join(PEERS), help="for networks (default %(default)s); PyTorch takes long to compile"
    )
    parser.add_argument("--cases", default="", help="only networks whose name contains this text")
    parser.add_argument("--batches", type=int, default=EPOCH, help="batches per epoch (default %(default)s)")
    parser.add_argument("--out", type=Path, help="folder for the tables (default: that of this GPU, in results/)")
    return parser.parse_args()


def machine():
    from jitnet.compiler.cuda import device

    versions = {"python": platform.python_version()}
    for package in ("numba", "numba-cuda", "cuda-bindings", "cuda-core", "numpy", "torch", "jax"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    about = {"gpu": device.name(), "measured": datetime.date.today().isoformat()}
    if not device.SIMULATED:
        gpu = device.cuda.get_current_device()
        about["capability"] = ".".join(map(str, gpu.compute_capability))
        about["multiprocessors"] = gpu.MULTIPROCESSOR_COUNT
    return about | versions


def products(given):
    """GFLOP/s of every rung of every product, and its fraction of cuBLAS."""
    for size, operation in itertools.product(given.sizes.split(","), ("matmul", "matmul_tn", "matmul_nt")):
        yield from product(given, size, operation)


def product(given, size, operation):
    from jitnet.compiler.cuda.device import cuda, stream
    from jitnet.kernels.cuda import LADDERS

    common.say(f"{operation}, {size}")
    m, k, n = ([int(part) for part in size.split("x")] * 3)[:3]  # C (m, n) is a sum of k terms
    shapes = {"matmul": ((m, k), (k, n)), "matmul_tn": ((k, m), (k, n)), "matmul_nt": ((m, k), (n, k))}[operation]
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal(shape, np.float32) for shape in shapes)
    there = [cuda.to_device(array) for array in (left, right, np.full((m, n), np.nan, np.float32))]
    chosen, expected, magnitude = some_rows(operation, left, right)
    calls, in_a_row = {}, {}

    def take(name, eps, once, result):
        """Check a product, and choose the number of calls per repetition."""
        once()
        bound = eps * (k + 2) * magnitude
        if not (np.abs(result()[chosen] - expected) <= bound).all():
            sys.exit(f"{operation}, {name}: wrong at {size}")
        seconds = time_of(once, 1)
        if seconds > PATIENCE:
            common.say(f"{operation}, {name}, {size} is left out: one call takes {seconds:.1f} s")
            return
        in_a_row[name] = max(1, min(IN_A_ROW, int(TURN / seconds)))
        calls[name] = functools.partial(once, in_a_row[name])

    for name, rung in LADDERS[operation].items():
        too_old = cuda.get_current_device().compute_capability < rung.capability
        if too_old or (given.rungs and name not in given.rungs.split(",")):
            continue

        def once(times=1, rung=rung):
            for _ in range(times):
                rung(*there)
            stream().synchronize()

        there[2].copy_to_device(np.full((m, n), np.nan, np.float32))
        take(name, rung.eps, once, there[2].copy_to_host)
    torch = peer("torch")
    if torch:
        a, b = (torch.from_numpy(array).to(DEVICE) for array in (left, right))
        a, b = {"matmul": (a, b), "matmul_tn": (a.T, b), "matmul_nt": (a, b.T)}[operation]
        c = torch.empty(m, n, device=DEVICE)
        for name, tf32 in (("cuBLAS", False), ("cuBLAS TF32", True)):

            def cublas(times=1, tf32=tf32):
                torch.backends.cuda.matmul.allow_tf32 = tf32
                for _ in range(times):
                    torch.matmul(a, b, out=c)
                torch.cuda.synchronize()
                torch.backends.cuda.matmul.allow_tf32 = False

            take(name, 2.0**-10 if tf32 else 2.0**-23, cublas, lambda: c.cpu().numpy())
    times = {
        name: timing.seconds / in_a_row[name]
        for name, timing in time_alternating(calls, given.rounds, seconds=TURN, most=3.0).items()
    }
    for name, seconds in times.items():
        row = {"operation": operation, "size": size, "rung": name, "GFLOP/s": round(2e-9 * m * k * n / seconds)}
        if torch:
            same = "cuBLAS TF32" if name == "tensorcore" else "cuBLAS"  # arithmetic
            row["of cuBLAS"] = f"{times[same] / seconds:.1%}"
        yield row


def some_rows(operation, left, right):
    """Some rows of the product in float64: their indices, their values, and the sums of the terms' magnitudes."""
    m = left.shape[operation == "matmul_tn"]
    chosen = np.random.default_rng(1).integers(0, m, 16)
    a = (left[:, chosen].T if operation == "matmul_tn" else left[chosen]).astype(np.float64)
    b = (right.T if operation == "matmul_nt" else right).astype(np.float64)
    return chosen, a @ b, np.abs(a) @ np.abs(b)


def training(given):
    """Microseconds per step: the time of an epoch in shuffled order, with all data on the GPU, over its batches."""
    for (widths, m, f, loss), (name, optimizer) in itertools.product(CASES, OPTIMIZERS.items()):
        what = f"{widths}, batch {m}, {f} + {loss}, {name}"
        if given.cases not in what:
            continue
        batches = max(1, min(given.batches, LARGEST // (4 * m * int(widths.split("-")[0]))))
        yield {"step": what, **compared(given, widths, m, f, loss, optimizer, batches * m, batches)}


def epoch(given):
    """Microseconds for one pass over 60 000 samples of 784 numbers, the size of MNIST."""
    case, what = ("784-128-10", 100, "relu", "cross_entropy", OPTIMIZERS["SGD"]), "784-128-10, batch 100, SGD"
    if given.cases in what:
        yield {"epoch": f"{SAMPLES} samples, {what}", **compared(given, *case, SAMPLES, 1)}


def compared(given, widths, m, f, loss, optimizer, samples, parts):
    """A row of the table: microseconds of an epoch for each library, divided by `parts`, and differences of weights.

    All batches have the same size, because some libraries require it.
    """
    common.say(f"{widths}, batch {m}, {f} + {loss}, {type(optimizer).__name__}, {samples} samples")
    sizes = [int(n) for n in widths.split("-")]
    rng = np.random.default_rng(0)
    X = rng.random((samples, sizes[0]), np.float32)
    y = rng.integers(0, sizes[-1], len(X))
    last = "softmax" if loss == "cross_entropy" else f
    layers = [jitnet.Dense(a, b, f) for a, b in itertools.pairwise(sizes[:-1])]
    net = jitnet.Network(*layers, jitnet.Dense(*sizes[-2:], last), seed=0)
    start = [(layer.W.copy(), layer.b.copy()) for layer in net.layers]
    problem = X, y, start, m, f, loss, optimizer
    ours, weights = of_jitnet(net, X, y, m, loss, optimizer, given.rounds)
    row, others = {"jitnet µs": f"{1e6 * ours / parts:.1f}"}, []
    for name, library, run in (
        ("torch", "torch", functools.partial(of_torch, "eager")),
        ("torch compiled", "torch", functools.partial(of_torch, "compiled")),
        ("torch graph", "torch", functools.partial(of_torch, "graph")), ("jax", "jax", of_jax),
    ):  # fmt: skip
        found = peer(library) if name in given.peers.split(",") else None
        if found:
            seconds, theirs = run(found, *problem, given.rounds)
            others.append(seconds)
            apart = max(np.abs(a - b).max() for a, b in zip(weights, theirs, strict=True))
            row |= {f"{name} µs": f"{1e6 * seconds / parts:.1f}", f"{name} apart": f"{apart:.0e}"}
    if others:
        row["× best peer"] = f"{min(others) / ours:.2f}"
    return row


def of_jitnet(net, X, y, m, loss, optimizer, rounds):
    """Seconds per epoch, and W of each layer after the first epoch; so do the functions for the other libraries."""
    options = {"batch_size": m, "optimizer": optimizer, "loss": loss, "backend": "cuda", "shuffle": False}
    net.fit(X, y, epochs=1, **options)
    weights = [layer.W.copy() for layer in net.layers]
    return statistics.median(net.fit(X, y, epochs=rounds + 1, **options).seconds[1:]), weights


def publish(name, about, rows, folder):
    """Write the table as JSON and Markdown, into the folder of the GPU."""
    folder = folder or common.RESULTS / re.sub("[^a-z0-9]+", "_", about["gpu"].lower()).strip("_")
    common.save(folder / f"gpu_{name}", about, rows)


def main():
    given = arguments()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # otherwise JAX allocates all memory of the GPU
    missing = cuda.obstacle()
    if missing:
        sys.exit(f"nothing to measure: {missing}")
    about = machine()
    for name, table in (("products", products), ("training", training), ("epoch", epoch)):
        rows = []
        for row in table(given) if given.only in name else ():
            rows.append(row)
            print("  ".join(str(value) for value in row.values()), flush=True)
            publish(name, about, rows, given.out)


if __name__ == "__main__":
    main()
