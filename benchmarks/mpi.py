"""Training on several processes: measurements on this machine, a model of the cost, and its predictions for clusters.

    python benchmarks/mpi.py             measure (about three minutes); needs the extras mpi and cli
    python benchmarks/mpi.py --draw      only draw the plot

The model of one step on P ranks and C cores, for n parameters and 8 blocks:

    compute     the larger of ceil(8/P)/8·blocks + update, for one rank, and (blocks + P·update)/C, for all
    exchange    latency + bytes/bandwidth, times P/C if ranks share cores; bytes = 2·4n·(P − 1)/P received by each rank

`blocks` and `update` are measured on one rank; latency and bandwidth are fitted to exchanges of four sizes on two. If
ranks share cores, an exchange waits for a core, and the latency is that of a small exchange on four ranks, times P/4.
"""

import itertools
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import common

CORES = sorted(os.sched_getaffinity(0))  # before `common` pins this process to one core
CASES = [("64-128-64-10", 32), ("784-128-10", 256), ("784-512-512-10", 512)]
RANKS = (1, 2, 3, 4, 8)
BLOCKS = 8

PAPER = {"784-128-10": 1024, "784-2048-2048-10": 1024, "4096-8192-8192-1000": 1024}
"""Networks of the plot, and the samples of a batch for each node."""

LINES = {10: 20e-6, 25: 10e-6, 100: 2e-6, 200: 1.5e-6}
"""Gbit/s of a network, and its latency in seconds."""

NODE, OVERHEAD = 1.5e12, 1e-6
"""FLOP/s that a node sustains; seconds of a processor for each message of an exchange."""


def measured(size: int, seconds: float) -> dict:
    launcher = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    script = Path(__file__).with_name("mpi_rank.py")
    common.say(f"{size} ranks")
    os.sched_setaffinity(0, CORES)
    command = [launcher, "-n", str(size), sys.executable, script, json.dumps([CASES, seconds])]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output)


def received(size: int, numbers: int) -> float:
    """The minimum number of bytes that each rank receives in a step."""
    return 2 * 4 * numbers * (size - 1) / size


def fitted(exchanges: dict, reduction: str) -> tuple[float, float]:
    """Latency and bandwidth of an exchange between two ranks, by least squares of relative errors."""
    points = [(received(2, int(numbers)), times[reduction]) for numbers, times in exchanges.items()]
    s11 = sum(1 / t**2 for b, t in points)
    s12 = sum(b / t**2 for b, t in points)
    s22 = sum(b * b / t**2 for b, t in points)
    y1, y2 = sum(1 / t for b, t in points), sum(b / t for b, t in points)
    determinant = s11 * s22 - s12 * s12
    return (y1 * s22 - y2 * s12) / determinant, determinant / (s11 * y2 - s12 * y1)


def predicted(size: int, one: dict, line: tuple[float, float], turn: float, cores: int) -> float:
    """Seconds of a step with the tree, predicted from the times on one rank."""
    update, blocks = one["update"], one["tree"]["step"] - one["update"]
    compute = max(math.ceil(BLOCKS / size) / BLOCKS * blocks + update, (blocks + size * update) / cores)
    if size == 1:
        return compute
    latency, bandwidth = line
    if size > cores:
        latency, bandwidth = turn * size / 4, bandwidth * cores / size
    return compute + latency + received(size, one["parameters"]) / bandwidth


def table(results: dict[int, dict]) -> tuple[list[dict], tuple[float, float]]:
    line, turn = fitted(results[2]["exchanges"], "8"), results[4]["exchanges"]["1000"]["8"]
    rows = []
    for widths, m in CASES:
        case = f"{widths}, batch {m}"
        one = results[1][case]
        for size, found in results.items():
            times = found[case]
            guess = predicted(size, one, line, turn, len(CORES))
            rows.append({
                "": case, "ranks": size,
                "tree µs": f"{1e6 * times['tree']['step']:.0f}", "model µs": f"{1e6 * guess:.0f}",
                "model / measured": f"{guess / times['tree']['step']:.2f}",
                "speed-up": f"{one['tree']['step'] / times['tree']['step']:.2f}",
                "fast µs": f"{1e6 * times['fast']['step']:.0f}",
                "fast speed-up": f"{one['fast']['step'] / times['fast']['step']:.2f}",
                "exchange µs": f"{1e6 * times['tree']['exchange']:.0f}",
                "calls": times["tree"]["calls"], "KB received": f"{times['tree']['bytes'] / 1e3:.0f}",
            })  # fmt: skip
    return rows, line


def layers_of(widths: str) -> list[tuple[int, int]]:
    """The weights of each layer, and its parameters with the biases."""
    return [(n * p, n * p + p) for n, p in itertools.pairwise(map(int, widths.split("-")))]


def sizes_of(widths: str) -> tuple[int, int]:
    """Parameters, and FLOP of a step for one sample: three products of two FLOP for each weight; two in layer 1."""
    weights, parameters = zip(*layers_of(widths), strict=True)
    return sum(parameters), 6 * sum(weights) - 2 * weights[0]


def ring(parameters: int, nodes: int, gbit: int) -> float:
    """Seconds of a ring all-reduce."""
    hops = math.log2(nodes)
    return 2 * hops * (LINES[gbit] + OVERHEAD) + received(nodes, parameters) / (gbit * 1e9 / 8)


def overlapped(widths: str, m: int, nodes: int, gbit: int) -> float:
    """Seconds of a step that sends the gradient of each layer as soon as it is computed, without using a core."""
    layers = layers_of(widths)
    now, sent = sum(2 * weights * m / NODE for weights, _ in layers), 0.0  # the forward pass
    for l, (weights, parameters) in reversed(list(enumerate(layers))):
        product = 2 * weights * m / NODE
        now += product  # dW
        sent = max(now, sent) + ring(parameters, nodes, gbit)
        now += product if l > 0 else 0  # delta of the previous layer
    return max(now, sent)


def efficiency(widths: str, m: int, nodes: int, gbit: int, tree: bool) -> float:
    """The time of a step on one node over that on several, where each node has m samples of the batch."""
    parameters, flop = sizes_of(widths)
    compute = m * flop / NODE
    if not tree:
        return compute / overlapped(widths, m, nodes, gbit)
    transfer = received(nodes, parameters) / (gbit * 1e9 / 8)
    messages = (nodes - 1) * OVERHEAD + (1 + math.log2(nodes)) * LINES[gbit]  # to all others; a gather by doubling
    return compute / (compute + messages + transfer)


def draw(path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    nodes = [2**k for k in range(1, 11)]
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.6), sharey=True, layout="constrained")
    for axis, (widths, m) in zip(axes, PAPER.items(), strict=True):
        parameters, flop = sizes_of(widths)
        for gbit, color in zip(LINES, ("#b03a2e", "#d68910", "#2471a3", "#1e8449"), strict=True):
            for tree, style in ((True, "-"), (False, ":")):
                values = [100 * efficiency(widths, m, count, gbit, tree) for count in nodes]
                axis.plot(nodes, values, style, color=color, label=f"{gbit} Gbit/s" if tree else None)
        axis.set_xscale("log", base=2)
        axis.set(xlabel="nodes", title=f"{widths}\n{parameters / 1e6:.3g} M parameters, {1e3 * m * flop / NODE:.3g} ms")
        axis.set_ylim(0, 102)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("efficiency in %")
    handles, labels = axes[0].get_legend_handles_labels()
    handles += [plt.Line2D([], [], color="black", linestyle=style) for style in ("-", ":")]
    labels += ["fixed tree, no overlap", "plain all-reduce of each layer, overlapped with the backward pass"]
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(
        f"On paper, not measured: {next(iter(PAPER.values()))} samples for each node, which sustains "
        f"{NODE / 1e12:g} TFLOP/s;\nlatencies "
        + ", ".join(f"{1e6 * latency:g} µs at {gbit}" for gbit, latency in LINES.items())
        + f" Gbit/s; {1e6 * OVERHEAD:g} µs of a processor for each message", fontsize=10,
    )  # fmt: skip
    figure.savefig(path, dpi=130)


def main() -> None:
    only_draws = "--draw" in sys.argv
    if only_draws:
        sys.argv.remove("--draw")
    given = common.arguments(__doc__.splitlines()[0])
    if not only_draws:
        results = {size: measured(size, 0.1 * given.rounds) for size in RANKS}
        rows, (latency, bandwidth) = table(results)
        about = common.machine(given.threads) | {
            "latency of an exchange": f"{1e6 * latency:.0f} µs", "bandwidth": f"{bandwidth / 1e9:.2f} GB/s",
        }  # fmt: skip
        common.write(given.out / "mpi", about, rows)
    draw(given.out / "mpi.png")


if __name__ == "__main__":
    main()
