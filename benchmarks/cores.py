"""A model of one training step on 1 to 64 cores: which part of it limits the speedup first?

    python benchmarks/cores.py

Each call of a step is timed here on one core. For more cores, the time of a call is the largest of

    arithmetic   its time × the share of its largest part: jitnet divides a product by panels or by rows, and tiles have
                 six or four rows, so 64 rows on 16 cores are one tile for each
    memory       the bytes that it touches / the bandwidth of the L3 cache, which all cores share

plus the barrier at its end, and the transfer of its inputs from the caches of the cores that computed them. Calls of
less than LEAST_FLOP stay on one core. The constants below are assumptions; `steps.py --threads 2` measures two cores.
"""

import common

given = common.arguments(__doc__ or "")

import itertools  # noqa: E402
import math  # noqa: E402

import numpy as np  # noqa: E402

import jitnet  # noqa: E402
from jitnet import backend, losses  # noqa: E402
from jitnet.kernels.parts import MOST_ROWS, divided, number_of_parts, part_of  # noqa: E402
from jitnet.kernels.register_tile import VECTORS  # noqa: E402
from jitnet.step import Step, descent, needed, passes, update_of  # noqa: E402

CASES = [("784-128-10", 64), ("784-512-512-10", 128), ("2048-2048-2048-10", 1024)]
CORES = (1, 2, 4, 8, 16, 32, 64)

BARRIER = 0.7e-6
"""Seconds of a barrier for each doubling of the cores."""
L3 = 400e9
"""Bandwidth of the L3 cache for all cores together, in bytes/s."""
LINK = 10e9
"""Bandwidth at which one core reads from the caches of others, in bytes/s."""

COLORS = {"arithmetic": "#2471a3", "imbalance": "#a8d8f0", "calls on one core": "#d68910", "memory": "#b03a2e",
          "transfer": "#f5c1a9", "barriers": "#7d3c98"}  # fmt: skip


def calls_of(widths, m):
    """(call, seconds on one core, whether it can have threads) for each call of a step with SGD."""
    sizes = [int(n) for n in widths.split("-")]
    layers = [jitnet.Dense(a, b, "relu") for a, b in itertools.pairwise(sizes[:-1])]
    net = jitnet.Network(*layers, jitnet.Dense(*sizes[-2:], "softmax"), seed=0)
    run, loss, optimizer = backend.get("fast"), losses.get("cross_entropy", "softmax"), jitnet.SGD(1e-3)
    run.prepare(needed(net, run, m, loss, optimizer), net.dtype)
    work, descends = net.workspace(m), descent(run, optimizer)
    work.X[...] = np.random.default_rng(0).random(work.X.shape)
    work.Y[:, 0] = 1
    calls = passes(net, work, loss, descends) + ([] if descends else [update_of(net, optimizer)])
    bound = run.bound(calls, net.dtype, 1)
    assert len(bound) == len(Step(net, run, m, loss, optimizer)._calls)
    timed = {str(i): lambda kernel=kernel, a=a: kernel(*a) for i, (kernel, a) in enumerate(bound)}
    times = common.time_alternating(timed, given.rounds, 0.005)
    return [(call, seconds, run.kernel(call, 2) is not run.kernel(call, 1)) for call, seconds in
            zip(calls, times.values(), strict=True)]  # fmt: skip


def largest_share(call, cores):
    """The work of the busiest core, as a fraction of that of one core; an odd number of rows computes one
    twice, and a partial panel costs a complete one. Parts that have fewer rows for the sake of a cache are left out."""
    C = max((a for a in call.arguments if isinstance(a, np.ndarray) and a.ndim == 2), key=lambda a: is_result(call, a))
    shape = divided(C, cores, MOST_ROWS)
    parts = [part_of(C, shape, t) for t in range(number_of_parts(C, shape))]
    width = VECTORS * 64 // C.itemsize
    work = [math.ceil((i1 - i0) / 2) * math.ceil((j1 - j0) / width) for i0, i1, j0, j1 in parts]
    each = [sum(work[core::cores]) for core in range(cores)]
    return max(each) / max(1, math.ceil(C.shape[0] / 2) * math.ceil(C.shape[1] / width))


def is_result(call, array):
    """The last argument of a product is its output; `descend` writes W, the last of its matrices."""
    return max(i for i, a in enumerate(call.arguments) if a is array)


def simulated(calls, cores):
    """Seconds of each kind in one step on this many cores."""
    spent = dict.fromkeys(COLORS, 0.0)
    for call, seconds, has_threads in calls:
        if cores == 1:
            spent["arithmetic"] += seconds
            continue
        if not has_threads:
            spent["calls on one core"] += seconds
            continue
        touched = sum(a.nbytes for a in call.arguments if isinstance(a, np.ndarray))
        ideal, busiest, shared = seconds / cores, seconds * largest_share(call, cores), touched / L3
        spent["arithmetic"] += ideal
        spent["imbalance"] += busiest - ideal
        spent["memory"] += max(0.0, shared - busiest)
        spent["transfer"] += touched / cores * (1 - 1 / cores) / LINK / 4  # a quarter is prefetched too late
        spent["barriers"] += BARRIER * math.log2(cores)
    return spent


def picture(found, path):
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(found), figsize=(13, 4.6), layout="constrained")
    for axis, ((widths, m), by_cores) in zip(axes, found.items(), strict=True):
        bottom = np.zeros(len(CORES))
        one = sum(by_cores[1].values())
        for kind, color in COLORS.items():
            heights = np.array([by_cores[cores][kind] * cores / one for cores in CORES])
            axis.bar(range(len(CORES)), heights, bottom=bottom, color=color, label=kind)
            bottom += heights
        for x, cores in enumerate(CORES):
            total = sum(by_cores[cores].values())
            axis.text(x, bottom[x], f"{one / total:.1f}×", ha="center", va="bottom")
        axis.set_xticks(range(len(CORES)), CORES)
        axis.set_xlabel("cores")
        worst = max((kind for kind in COLORS if kind != "arithmetic"), key=lambda kind: by_cores[CORES[-1]][kind])
        axis.set_title(
            f"{widths}, batch {m}: {1e3 * one:.3g} ms on one core\nmost is lost to {worst} on {CORES[-1]}", fontsize=10
        )
    axes[0].set_ylabel("core-time of a step, in that of one core\n(above the bars: speed-up)")
    axes[0].legend()
    figure.suptitle("On paper, from times on one core: where the time of all cores goes")
    figure.savefig(path, dpi=110)


def main():
    found, rows = {}, []
    for widths, m in CASES:
        common.say(f"{widths}, batch {m}")
        calls = calls_of(widths, m)
        found[widths, m] = {cores: simulated(calls, cores) for cores in CORES}
        one = sum(found[widths, m][1].values())
        for cores, spent in found[widths, m].items():
            total = sum(spent.values())
            rows.append({"step": f"{widths}, batch {m}", "cores": cores, "µs": f"{1e6 * total:.0f}",
                         "speed-up": f"{one / total:.2f}", "efficiency": f"{one / total / cores:.2f}"}
                        | {kind: f"{100 * seconds / total:.0f} %" for kind, seconds in spent.items()})  # fmt: skip
    common.publish("cores", given, rows)
    picture(found, given.out / "cores.png")


if __name__ == "__main__":
    main()
