"""Alternatives for the register tile on this machine: tiles of every size, and B packed or read in place.

    python benchmarks/landscape.py

The left plot times tiles of 1 to 14 rows and 1 to 6 vectors, on panels in the L2 cache. With too few sums, additions
wait for each other; with more sums than registers, sums are spilled to memory. In between is a plateau, and
`register_tile.py` uses one of its tiles. The right plot divides the time of a product that reads B in place by the time
of one that packs it, for many shapes, and marks the shapes for which `packing_pays` packs. It takes about three
minutes.
"""

import common

given = common.arguments(__doc__ or "")

import statistics  # noqa: E402
from types import FunctionType  # noqa: E402

import numba  # noqa: E402
import numpy as np  # noqa: E402

from jitnet.compiler.intrinsics import REGISTERS, VECTOR_BYTES, lanes, rolled  # noqa: E402
from jitnet.compiler.jit import OPTIONS, part_of_kernels  # noqa: E402
from jitnet.compiler.memory import aligned  # noqa: E402
from jitnet.compiler.simd import broadcast, load  # noqa: E402
from jitnet.compiler.simd_rows import rank_1_update, repeated, store_rows  # noqa: E402
from jitnet.kernels import register_tile  # noqa: E402

ROWS, VECTORS = range(1, 15), range(1, 7)
DEPTH, HEIGHT = 500, 840  # terms of a sum; rows of C, divisible by most tile heights

CASES = {
    "on a cache line": [(64, 128), (128, 784), (512, 512), (784, 128), (784, 256), (2048, 64)],
    "across lines": [(64, 77), (128, 131), (771, 131), (784, 100), (784, 200), (1023, 513)],
    "evicting": [(320, 1024), (640, 512), (784, 512), (784, 1024), (1024, 512)],
}
"""Kind of rows -> shapes of B."""
HEIGHTS = (5, 10, 16, 24, 32, 48, 64, 96, 128, 200, 400)


def tile_of(rows, vectors):
    """C = A·B with tiles of this size only: the loop of `row_of_tiles`, for any number of rows."""

    def tile(A, B, C):
        for i in range(0, C.shape[0] - C.shape[0] % rows, rows):
            sums = repeated(broadcast(C.dtype.type(0), C, vectors), rows)
            for k in range(A.shape[1]):
                rolled()
                sums = rank_1_update(sums, A, i, k, load(B[k], 0, vectors))
            store_rows(sums, C, i, C.shape[1])

    return numba.njit(**OPTIONS)(tile)


def speed_of_tiles():
    """Fraction of the peak, by rows and vectors."""
    probe, probe_flop = common.peak_probe(np.float32, 1)
    calls, flop = {"peak": probe}, {"peak": probe_flop}
    for vectors in VECTORS:
        common.say(f"compiling tiles {vectors} vectors wide")
        width = vectors * lanes(np.empty(0, np.float32))
        A, B = draw(HEIGHT, DEPTH), draw(DEPTH, width)
        for rows in ROWS:
            tile, C = tile_of(rows, vectors), np.full((HEIGHT, width), np.nan, np.float32)
            tile(A, B, C)
            whole = HEIGHT - HEIGHT % rows
            np.testing.assert_allclose(C[:whole], A[:whole] @ B, atol=1e-3)
            calls[rows, vectors] = lambda tile=tile, A=A, B=B, C=C: tile(A, B, C)
            flop[rows, vectors] = 2 * whole * DEPTH * width
    times = common.time_alternating(calls, given.rounds, 0.005)
    peak = flop["peak"] / times["peak"]
    return np.array([[flop[r, v] / times[r, v] / peak for v in VECTORS] for r in ROWS])


def draw(m, n):
    array = aligned(m * n, np.float32).reshape(m, n)
    array[...] = np.random.default_rng(m * n).standard_normal((m, n))
    return array


def product_that(packs):
    """The product of `register_tile.py`, with another `packing_pays`."""

    def decided(B, rows):
        return packs

    names = {**vars(register_tile), "packing_pays": part_of_kernels(decided)}
    body = FunctionType(register_tile.product.__code__, names)
    product = numba.njit(**OPTIONS)(body)
    return lambda A, B, C: product(A, B, C, register_tile.PLAIN, C[0, :0], np.float32(0))


def gains_of_packing():
    """Shape of B -> for each of HEIGHTS, the time in place over the time packed, and whether jitnet packs."""
    in_place, packed = product_that(False), product_that(True)
    found = {}
    for shape in [shape for shapes in CASES.values() for shape in shapes]:
        common.say(f"B {shape[0]}x{shape[1]}")
        B, row = draw(*shape), []
        for m in HEIGHTS:
            A, C, D = draw(m, shape[0]), np.empty((m, shape[1]), np.float32), np.empty((m, shape[1]), np.float32)
            calls = {"in place": lambda: in_place(A, B, C), "packed": lambda: packed(A, B, D)}  # noqa: B023
            times = common.time_alternating(calls, given.rounds, 0.003)
            np.testing.assert_array_equal(C, D)
            row.append((times["in place"] / times["packed"], register_tile.packing_pays(B, m)))
        found[shape] = row
    return found


def losses_of(gains):
    """For each cell, the time of jitnet's choice over the time of the better one."""
    return [max(1.0, 1 / gain if packs else gain) for row in gains.values() for gain, packs in row]


def picture(speed, gains, path):
    from matplotlib import pyplot as plt
    from matplotlib.colors import TwoSlopeNorm

    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 6.2), width_ratios=(2, 3), layout="constrained")
    image = left.imshow(speed, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for r, v in np.ndindex(speed.shape):
        left.text(v, r, f"{speed[r, v]:.2f}", ha="center", va="center", color="w" if speed[r, v] < 0.6 else "k")
    left.add_patch(frame(plt, register_tile.VECTORS - 1, register_tile.ROWS - 1))
    left.set_xticks(range(len(VECTORS)), VECTORS)
    left.set_yticks(range(len(ROWS)), ROWS)
    left.set_xlabel(f"vectors of {VECTOR_BYTES} bytes; {REGISTERS} registers")
    left.set_ylabel("rows")
    left.set_title("Fraction of the peak, by size of the tile\n(framed: the tile of jitnet)")
    figure.colorbar(image, ax=left)
    table = np.array([[gain for gain, _ in row] for row in gains.values()])
    image = right.imshow(table, cmap="RdBu_r", norm=TwoSlopeNorm(1, 0.5, 2), aspect="auto")
    for y, row in enumerate(gains.values()):
        for x, (gain, packs) in enumerate(row):
            right.text(x, y, f"{gain:.2f}", ha="center", va="center", color="k" if 0.65 < gain < 1.6 else "w")
            if packs:
                right.add_patch(frame(plt, x, y))
    kinds = [kind for kind, shapes in CASES.items() for _ in shapes]
    right.set_xticks(range(len(HEIGHTS)), HEIGHTS)
    right.set_yticks(range(len(gains)), [f"{k}×{n}, {kind}" for (k, n), kind in zip(gains, kinds, strict=True)])
    right.set_xlabel("rows of C")
    losses = losses_of(gains)
    right.set_title(
        "Time with B in place over time with B packed (framed: jitnet packs)\n"
        f"jitnet's choice takes {100 * (statistics.mean(losses) - 1):.0f} % longer than the better one on average, "
        f"{100 * (max(losses) - 1):.0f} % at most"
    )
    figure.colorbar(image, ax=right)
    figure.savefig(path, dpi=110)


def frame(plt, x, y):
    return plt.Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor="k", linewidth=2.5)


def main():
    speed, gains = speed_of_tiles(), gains_of_packing()
    rows = [
        {"B": f"{k}x{n}"} | {str(m): f"{gain:.2f}{' packed' if packs else ''}"
                             for m, (gain, packs) in zip(HEIGHTS, row, strict=True)}
        for (k, n), row in gains.items()
    ]  # fmt: skip
    common.publish("landscape", given, rows)
    picture(speed, gains, given.out / "landscape.png")


if __name__ == "__main__":
    main()
