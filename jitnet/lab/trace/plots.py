"""The arrays of a trace as a film strip. It needs matplotlib, which the extra `cli` installs.

A row is an array, a frame is a moment. An element has the color of its latest access; gray ones are not accessed yet.
The film ends when all of the largest array has been accessed, because this shows the order best. The last column shows,
for the whole run, the fraction of an element's accesses that miss the first cache.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...display import plots
from .recording import Accesses, Placed
from .tracing import Trace

FRAMES = 4

UNTOUCHED = "#e4e4e4"

PIXELS = 300
"""Of a panel, at least."""

FLATTEST = 6
"""Arrays whose sides differ by a larger factor are drawn as squares."""


def draw(found: Trace, path: str | Path) -> None:
    """Write the film strip, in the format of the file's suffix."""
    plots.write(film_strip(found), path)


def film_strip(found: Trace) -> Any:
    """The film strip as a matplotlib figure."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    accesses, missed = found.counts.accesses, found.counts.misses > 0
    arrays = [array for array in accesses.arrays if array.addresses.size]
    end = _end_of_film(accesses, arrays)
    figure = Figure(figsize=(2.1 * (FRAMES + 1) + 0.4, 2.15 * max(len(arrays), 1) + 1.1), layout="constrained")
    axes = figure.subplots(max(len(arrays), 1), FRAMES + 1, squeeze=False)
    times, heats = (colormaps[name].with_extremes(bad=UNTOUCHED) for name in ("viridis", "Reds"))
    moments = [max(1, end * (k + 1) // FRAMES) for k in range(FRAMES)]
    frame = heat = None
    for array, panels in zip(arrays, axes, strict=False):
        for moment, axis in zip(moments, panels, strict=False):
            frame = _panel(axis, _latest(array, accesses.addresses[:moment]), cmap=times, vmin=0, vmax=end)
        heat = _panel(panels[-1], _missed(array, accesses.addresses, missed), cmap=heats, vmin=0, vmax=1)
        panels[0].set_ylabel(f"{array.name} {'×'.join(map(str, array.addresses.shape))}", parse_math=False)
    for moment, axis in zip(moments, axes[0], strict=False):
        axis.set_title(f"after {moment:,}", fontsize=9)
    level = found["caches"][0]["name"]
    axes[0, -1].set_title(f"{level} misses, whole run", fontsize=9)
    if frame is not None and heat is not None:
        figure.colorbar(frame, ax=axes[:, :-1], location="bottom", shrink=0.6, aspect=50, pad=0.02,
                        label="number of the latest access to an element; gray: not accessed yet")  # fmt: skip
        figure.colorbar(heat, ax=axes[:, -1], location="bottom", aspect=12, pad=0.02, label="misses per access")
    title = f"{found['target']}: accesses 1 to {end:,} of {found['accesses']:,}"
    figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def _panel(axis: Any, values: NDArray[Any], **colors: Any) -> Any:
    rows = values.reshape(1, -1) if values.ndim < 2 else values.reshape(-1, values.shape[-1])
    flat = max(rows.shape) > FLATTEST * min(rows.shape)
    for axis_of_rows, size in enumerate(rows.shape):  # sharp edges, whatever the number of pixels
        rows = rows.repeat(-(-PIXELS // size), axis_of_rows)
    axis.set(xticks=[], yticks=[])
    return axis.imshow(rows, aspect="auto" if flat else "equal", **colors)


def _end_of_film(accesses: Accesses, arrays: list[Placed]) -> int:
    """How many accesses touch each element of the largest array at least once, of those that are touched at all."""
    largest = max((array.addresses.size for array in arrays), default=0)
    ends = []
    for array in arrays:
        if array.addresses.size == largest:
            where, own = _own(array, accesses.addresses)
            _, first = np.unique(own, return_index=True)
            ends += [int(where[first].max()) + 1] if own.size else []
    return min(ends, default=len(accesses))


def _own(array: Placed, addresses: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which accesses are to this array, and their addresses."""
    where = np.flatnonzero((addresses >= array.addresses.min()) & (addresses <= array.addresses.max()))
    return where, addresses[where]


def _latest(array: Placed, addresses: NDArray[np.int64]) -> Any:
    """Per element the number of its latest access; masked where there is none."""
    where, own = _own(array, addresses)
    latest = np.full(int(array.addresses.max()) + 1, -1, np.int64)
    latest[own] = where  # of several values for one index, NumPy keeps the last
    return np.ma.masked_less(latest[array.addresses], 0)


def _missed(array: Placed, addresses: NDArray[np.int64], missed: NDArray[np.bool_]) -> Any:
    """Per element the fraction of its accesses that miss; masked where there is no access."""
    where, own = _own(array, addresses)
    places = int(array.addresses.max()) + 1
    count, misses = np.bincount(own, minlength=places), np.bincount(own[missed[where]], minlength=places)
    return np.ma.masked_where(count == 0, misses / np.maximum(count, 1))[array.addresses]
