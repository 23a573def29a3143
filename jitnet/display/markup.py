"""Results in a notebook: tables and curves in plain HTML and SVG, readable on light and on dark pages."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

CELL = "padding:2px 10px;text-align:{};font-variant-numeric:tabular-nums"


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[object]], note: str = "", figures: bool = True
) -> str:
    """A table; with `figures` all columns but the first are at the right."""

    def line(cells: Sequence[object], tag: str) -> str:
        styles = [CELL.format("right" if i and figures else "left") for i in range(len(cells))]
        styles[0] += ";white-space:nowrap"
        marked = (f'<{tag} style="{s}">{escape(str(c))}</{tag}>' for s, c in zip(styles, cells, strict=True))
        return f"<tr>{''.join(marked)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    below = f'<div style="opacity:.75;font-size:90%">{escape(note)}</div>' if note else ""
    return (
        f'<table style="border-collapse:collapse"><caption style="text-align:left;padding:4px 10px">{escape(caption)}'
        f"</caption><thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>{below}"
    )


def folded(title: str, text: str) -> str:
    """Fixed-width text that a click unfolds."""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def curve(values: Sequence[float]) -> str:
    """A line through the values, from 0 at the bottom to the largest at the top."""
    width, height = 240, 48
    top = max(values, default=0.0) or 1.0
    across = width / max(1, len(values) - 1)
    points = " ".join(f"{i * across:.1f},{height - value / top * height:.1f}" for i, value in enumerate(values))
    return (
        f'<svg viewBox="-2 -2 {width + 4} {height + 4}" width="{width}" height="{height}" role="img" '
        f'aria-label="loss by epoch"><polyline points="{points}" fill="none" stroke="#0072b2" stroke-width="2"/></svg>'
    )


def _shown(value: float, style: str) -> str:
    return "–" if math.isnan(value) else format(value, style)  # an epoch without validation


def history(history: Any) -> str:
    """The loss as a curve, and the figures of about ten epochs; the last one is always there."""
    epochs, best_epoch = history.epochs, history.best_epoch
    every = max(1, -(-epochs // 10))
    shown = sorted({*range(every, epochs + 1, every), *([1, epochs] if epochs else []), best_epoch or epochs} - {0})
    columns = {
        "loss": (history.loss, ".4f"), "validation loss": (history.validation_loss, ".4f"),
        "accuracy": (history.validation_accuracy, ".1%"), "seconds": (history.seconds, ".3g"),
    }  # fmt: skip
    columns = {name: column for name, column in columns.items() if column[0]}
    rows = [[epoch, *(_shown(values[epoch - 1], style) for values, style in columns.values())] for epoch in shown]
    best = f"; the weights are those of epoch {best_epoch}" if best_epoch else ""
    why = f", {history.ending.words}" if history.stopped else ""
    caption = f"{epochs} epoch{'' if epochs == 1 else 's'} in {sum(history.seconds):.3g} s{why}{best}"
    return (curve(history.loss) if epochs > 1 else "") + table(caption, ["epoch", *columns], rows)
