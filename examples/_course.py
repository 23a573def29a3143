"""Code that all lessons share: the folder for plots, the answers to the exercises, and the check of your own answer.

    python examples/01_one_weight.py [--out FOLDER] [--answers]
    python examples/01_one_weight.py --check my_answer.py

A notebook has no options: plots appear below their cell, the answers run when you run their cell, and `check(step)`
checks the function that the last exercise asks for.
"""

import argparse
import contextlib
import faulthandler
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

IN_A_NOTEBOOK = "ipykernel" in sys.modules
SECONDS = 120
"""An answer that is checked for longer has an endless loop, which ^C cannot stop if it is compiled."""


def stop(message: str) -> None:
    """Exit with one line that gives the reason and the fix."""
    print(message, file=sys.stderr)
    sys.exit(2)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=sys.modules["__main__"].__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("pictures"), metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--answers", action="store_true", help="run the answers to the exercises too")
    parser.add_argument("--check", metavar="FILE", help="only check your answer to the last exercise, in this file")
    options = parser.parse_args([] if IN_A_NOTEBOOK else None)
    if options.check:
        return options
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=options.out).close()  # fail now instead of after the work
    except OSError as error:
        stop(f"plots cannot be written to {options.out}: {error.strerror}; name another folder with --out")
    return options


def check(answer: Callable[..., object], name: str | None = None) -> str:
    """Check a function that answers the exercise with its name; returns `right: ...` or `wrong: ...`."""
    from _exercises import verdict

    return verdict(answer, name or answer.__name__)


def _check_file(lesson: int, file: str) -> int:
    """Print whether the answer in this file is right. Exit status: 0 if it is, 1 if not, 2 without a function."""
    from _exercises import JUDGES

    from jitnet import checks
    from jitnet.lab import loading

    name = JUDGES[lesson].__name__
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=sys.__stderr__)
    try:
        sentence = check(loading.load(f"{file if file.endswith('.py') else file + '.py'}:{name}"), name)
    except checks.Error as error:
        stop(str(error))
    finally:
        faulthandler.cancel_dump_traceback_later()
    print(sentence)
    return 0 if sentence.startswith("right") else 1


if importlib.util.find_spec("matplotlib") is None:
    stop("the lessons draw with matplotlib: pip install -e '.[lessons]'")
with contextlib.suppress(AttributeError):  # a notebook's output has no `reconfigure`, and needs none
    sys.stdout.reconfigure(encoding="utf-8")
OPTIONS = _options()
ANSWERS = OPTIONS.answers or IN_A_NOTEBOOK
if OPTIONS.check:
    sys.exit(_check_file(int(Path(sys.argv[0]).name[:2]), OPTIONS.check))


@contextlib.contextmanager
def watched(threads: int = 1) -> Iterator[Any]:
    """Watch a measurement and print afterwards what disturbed it; `reasons` lists the disturbances.

    threads     the number of cores that the measurement needs
    """
    from jitnet.process import disturbance

    with disturbance.Watch(threads) as watch:
        yield watch
    say(watch.reasons)


def say(reasons: list[str]) -> None:
    """Print what disturbed a measurement, if anything did."""
    from jitnet.process import disturbance

    if reasons:
        print(disturbance.sentence(reasons))


def effect(factor: float) -> str:
    """The effect of this speedup on a loop, in words."""
    return "gains" if factor > 1.1 else "loses" if factor < 0.9 else "stays about the same"


BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
"""A color-blind-safe palette; lines also differ in style or marker."""


def new_figure(width: float, height: float, title: str) -> Any:
    """A figure of this size in inches that needs no display, with one sentence as its title."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure


def save(figure: Any, name: str) -> None:
    """Save the plot in the folder of `--out`, and show it in a notebook."""
    path = OPTIONS.out / f"{name}.png"
    figure.savefig(path, dpi=110)
    print(f"picture: {path}")
    if IN_A_NOTEBOOK:
        from IPython.display import Image, display

        display(Image(str(path)))
