"""What all lessons share: where their pictures go, and whether the answers to the exercises are run.

    python examples/01_one_weight.py [--out FOLDER] [--answers]

In a notebook there are no options: pictures appear below their cell, and the cell of the answers runs when you run it.
"""

import argparse
import contextlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

IN_A_NOTEBOOK = "ipykernel" in sys.modules


def stop(message: str) -> None:
    """End here, with one line that says why and what to do."""
    print(message, file=sys.stderr)
    sys.exit(2)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=sys.modules["__main__"].__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("pictures"), metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--answers", action="store_true", help="run the answers to the exercises too")
    options = parser.parse_args([] if IN_A_NOTEBOOK else None)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=options.out).close()  # better told now than after the work is done
    except OSError as error:
        stop(f"pictures cannot be written into {options.out}: {error.strerror}; name another folder with --out")
    return options


if importlib.util.find_spec("matplotlib") is None:
    stop("the lessons draw with matplotlib: pip install 'jitnet[lessons]'")
if not IN_A_NOTEBOOK:
    sys.stdout.reconfigure(encoding="utf-8")  # the formulas need more signs than some terminals begin with
OPTIONS = _options()
ANSWERS = OPTIONS.answers or IN_A_NOTEBOOK


@contextlib.contextmanager
def watched(threads: int = 1) -> Iterator[Any]:
    """Times are measured inside: says afterwards what disturbed them. `reasons` of what it yields is empty if nothing.

    threads     how many cores the measurement needs
    """
    from jitnet import disturbance

    with disturbance.Watch(threads) as watch:
        yield watch
    say(watch.reasons)


def say(reasons: list[str]) -> None:
    """Print what disturbed a measurement, if anything did."""
    from jitnet import disturbance

    if reasons:
        print(disturbance.sentence(reasons))


def effect(factor: float) -> str:
    """What a factor of speed says, if it is far enough from 1 to say anything."""
    return "gains" if factor > 1.1 else "loses" if factor < 0.9 else "stays about the same"


BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
"""Colours that people with any kind of colour vision can tell apart; lines differ in style or marker as well."""


def new_figure(width: float, height: float, title: str) -> Any:
    """A figure of so many inches that needs no display; one sentence above it says what it shows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure


def save(figure: Any, name: str) -> None:
    """Write the picture into the folder that `--out` names, and show it if this is a notebook."""
    path = OPTIONS.out / f"{name}.png"
    figure.savefig(path, dpi=110)
    print(f"picture: {path}")
    if IN_A_NOTEBOOK:
        from IPython.display import Image, display

        display(Image(str(path)))
