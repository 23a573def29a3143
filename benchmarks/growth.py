"""The time of a training step against the width of the network and the batch size, for all libraries, as a plot.

    python benchmarks/growth.py [--threads 2]

Width: w-w-10 at batch 64, w from 32 to 4096. Batch: 256-256-10, m from 1 to 4096. relu, softmax, cross-entropy, SGD.
"""

import steps  # reads the options
from steps import common, given

import jitnet

WIDTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
PEERS = ("jitnet", "NumPy", "PyTorch", "JAX")


def measure(width: int, m: int) -> dict[str, float]:
    everyone = steps.candidates(f"{width}-{width}-10", m, "relu", "cross_entropy", jitnet.SGD(1e-4), compiled=False)
    return common.time_alternating({who: everyone[who][0] for who in PEERS}, max(3, given.rounds // 3), seconds=0.01)


def main() -> None:
    series = {"width": {}, "batch": {}}
    for width in WIDTHS:
        common.say(f"width {width}")
        series["width"][width] = measure(width, 64)
    for m in BATCHES:
        common.say(f"batch {m}")
        series["batch"][m] = measure(256, m)
    rows = []
    for kind, points in series.items():
        for value, times in points.items():
            best = min((seconds, who) for who, seconds in times.items() if who != "jitnet")
            rows.append(
                {"": f"{kind} {value}"}
                | {f"{who} µs": f"{1e6 * seconds:.4g}" for who, seconds in times.items()}
                | {"× best peer": f"{best[0] / times['jitnet']:.2f} ({best[1]})"}
            )
    common.publish("growth", given, rows)
    draw(series)


def draw(series: dict[str, dict[int, dict[str, float]]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    titles = {"width": "width w of w-w-10, batch 64", "batch": "samples in a batch, 256-256-10"}
    for axis, (kind, points) in zip(axes, series.items(), strict=True):
        for who, marker in zip(PEERS, "os^D", strict=True):
            style = {"linewidth": 2.5, "color": "black"} if who == "jitnet" else {"linewidth": 1.2}
            axis.plot(list(points), [1e6 * times[who] for times in points.values()], marker=marker, label=who, **style)
        axis.set(xscale="log", yscale="log", xlabel=titles[kind])
        axis.set_xscale("log", base=2)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("µs per training step")
    axes[0].legend()
    count = f"{given.threads} thread{'s' if given.threads > 1 else ''}"
    cpu = common.machine(given.threads)["cpu"]
    figure.suptitle(f"A training step, from small to large ({cpu}, {count}; lower is better)")
    figure.savefig(given.out / f"growth_{count.replace(' ', '_')}.png", dpi=110)


if __name__ == "__main__":
    main()
