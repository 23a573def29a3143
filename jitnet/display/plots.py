"""The plot of a training run. It needs matplotlib, which is in the extra `cli`."""

import functools
import importlib.util
import io
from pathlib import Path
from typing import Any

from .. import checks, storage
from ..process import interruption

ENDINGS = (".png", ".svg", ".pdf", ".jpg")
"""File formats of plots."""
LOSS = "mean loss per sample"


def check_installed() -> None:
    """Raise an error if matplotlib is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        raise checks.Error("drawing needs matplotlib: pip install 'jitnet[cli]'")


def check_drawing(path: str | Path) -> None:
    """Check before the work starts that plots can be drawn, and that the file name fits."""
    check_installed()
    if Path(path).suffix.lower() not in ENDINGS:
        raise checks.Error(f"no plot can be written to {path}; its name must end in {', '.join(ENDINGS)}")


def write(figure: Any, path: str | Path) -> None:
    """Write a matplotlib figure atomically, in the format of the file's suffix."""
    check_drawing(path)
    with interruption.delayed(), storage.replacing(path) as file:
        figure.savefig(file, format=Path(path).suffix[1:].lower(), dpi=150)


def draw_history(history: Any, path: str | Path, title: str, held_out: str, loss: str = LOSS) -> None:
    """Write the plot of a history."""
    with interruption.delayed():
        write(history_figure(history, title, held_out, loss), path)


def history_figure(history: Any, title: str, held_out: str = "validation", loss: str = LOSS) -> Any:
    """Loss and, for classes, accuracy per epoch, as a matplotlib figure.

    held_out, loss    the names of the validation samples and of the vertical axis
    """
    check_installed()
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    epochs = range(1, history.epochs + 1)
    points = 3 if history.epochs <= 60 else 0
    training = {"color": "#0072b2", "marker": "o", "markersize": points, "label": "training (mean over the epoch)"}
    after = f"{held_out} (after the epoch)"
    validation = {"color": "#d55e00", "marker": "s", "markersize": points, "label": after, "linestyle": "--"}
    panels = 2 if history.validation_accuracy else 1
    figure = Figure(figsize=(4.8 * panels, 3.6), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    axes[0].plot(epochs, history.loss, **training)
    if history.validation_loss:
        axes[0].plot(epochs, history.validation_loss, **validation)
        axes[0].legend()
    axes[0].set(title="Loss", ylabel=loss, ylim=(0, None))
    if panels == 2:
        axes[1].plot(epochs, history.validation_accuracy, **validation)
        axes[1].set(title="Accuracy", ylabel=f"fraction of {held_out} samples")
        axes[1].yaxis.set_major_formatter(PercentFormatter(1.0))
        axes[1].legend(loc="lower right")
    for axis in axes:
        axis.set(xlabel="epoch", xlim=(0.5, history.epochs + 0.5))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        if history.best_epoch:
            late = history.best_epoch > history.epochs / 2
            axis.axvline(history.best_epoch, color="grey", linestyle=":")
            axis.annotate(
                "best weights", (history.best_epoch, 0.5), xycoords=("data", "axes fraction"), fontsize=8,
                xytext=(-3 if late else 3, 0), textcoords="offset points", ha="right" if late else "left",
            )  # fmt: skip
    if title:
        figure.suptitle(checks.printable(title), parse_math=False)  # a file name can hold bytes that are no text
    setattr(figure, "_repr_png_", functools.partial(_png, figure))  # noqa: B010  for notebooks: pyplot does not know it
    return figure


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
