"""The default number of threads compared with one thread and all: alone, and while other processes use the cores.

    python benchmarks/busy.py

The script creates the load itself: one busy process per core, then two. The default should be about as fast as the
better of the two others on an idle machine, and take at most 1.3 times as long as one thread under load. Each candidate
runs in its own process, which resets the measured choice of threads before each repetition. The script takes about
three minutes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import common

CANDIDATES = {"1 thread": 1, "all threads": os.cpu_count(), "default": None}

BUSY = [sys.executable, "-c", "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"]
"""Keeps a core busy until this process ends."""


def workloads():
    """Name -> a function of the number of threads that returns its time in seconds."""
    import numpy as np

    import jitnet
    from jitnet import backend

    rng = np.random.default_rng(0)
    X = rng.standard_normal((200_000, 50)).astype(np.float32)
    y = X[:, :10].argmax(1)
    A = rng.standard_normal((256, 256)).astype(np.float32)

    def train(X, y, epochs, threads):
        widths = (X.shape[1], 128, 64)
        hidden = [jitnet.Dense(n_in, n_out, "relu", init="he") for n_in, n_out in pairwise(widths)]
        net = jitnet.Network(*hidden, jitnet.Dense(64, 10, "softmax"), seed=0)
        held_out = len(X) // 5
        return sum(
            net.fit(
                X[held_out:], y[held_out:], epochs=epochs, optimizer="adam", threads=threads,
                validation=(X[:held_out], y[:held_out]),
            ).seconds
        )  # fmt: skip

    def multiply(pause, threads):
        seconds = []
        with backend.threads(threads):
            for _ in range(200):
                time.sleep(pause)
                start = time.perf_counter()
                jitnet.matmul(A, A)
                seconds.append(time.perf_counter() - start)
        return statistics.mean(seconds)

    return {
        "train, 200 000 × 50, 1 epoch": lambda threads: train(X, y, 1, threads),
        "train, digits, 20 epochs": lambda threads: train(*jitnet.data.digits(), 20, threads),
        "product 256³, one after another": lambda threads: multiply(0, threads),
        "product 256³, one every 2 ms": lambda threads: multiply(0.002, threads),
    }


def candidate(name):
    """Read names of workloads, and print the time of each."""
    from jitnet.backend import thread_choice

    calls = workloads()
    for call in list(calls.values())[1:]:  # compiles
        call(CANDIDATES[name])
    print(json.dumps(list(calls)), flush=True)
    for line in sys.stdin:
        thread_choice._choice.cache_clear()
        print(calls[json.loads(line)](CANDIDATES[name]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each candidate (default: 5)")
    parser.add_argument("--out", type=Path, help="folder for the JSON and the Markdown (default: that of this machine)")
    parser.add_argument("--candidate", choices=CANDIDATES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.candidate:
        candidate(given.candidate)
        return

    from jitnet.process import disturbance

    cores = os.cpu_count()
    with disturbance.Watch() as watch:
        time.sleep(2)
    was_quiet = "yes" if not watch.reasons else f"no: {', and '.join(watch.reasons)}"
    common.say(f"machine quiet before: {was_quiet}")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = {
        name: subprocess.Popen([sys.executable, __file__, "--candidate", name], **pipes) for name in CANDIDATES
    }
    load, rows = [], []
    try:
        names = [json.loads(process.stdout.readline()) for process in processes.values()].pop()
        for busy in (0, cores, 2 * cores):
            load += [subprocess.Popen(BUSY) for _ in range(busy - len(load))]
            for name in names:
                common.say(f"{name}, {busy} busy processes")
                rows.append({"what": name, "busy processes": busy, **turns(processes, name, given.rounds)})
    finally:
        for process in (*processes.values(), *load):
            process.kill()
    about = common.machine(cores) | {"quiet before": was_quiet}
    common.write((given.out or common.folder_of_this_machine()) / "busy", about, rows)


def turns(processes, name, rounds):
    """The medians of the candidates, which run alternately, and their ratios."""
    seconds = {who: [] for who in processes}
    for _ in range(rounds):
        for who, process in processes.items():
            print(json.dumps(name), file=process.stdin, flush=True)
            seconds[who].append(float(process.stdout.readline()))
    median = {who: statistics.median(times) for who, times in seconds.items()}
    said = {f"{who}, s": f"{value:.3g}" for who, value in median.items()}
    ratios = {f"default ÷ {who}": f"{median['default'] / median[who]:.2f}" for who in ("1 thread", "all threads")}
    return said | ratios


if __name__ == "__main__":
    main()
