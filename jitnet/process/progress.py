"""Progress output: compiling, then epochs; or measurements.

`Progress` shows nothing and is the base class; `Lines` prints plain lines without control characters; `Bars` draws
progress bars with rich, if it is installed and standard error is a terminal; `Cell` draws them in a notebook.
"""

import contextlib
import html
import importlib.util
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, cast

WORTH_SAYING = 5.0
"""Seconds from which an estimate is shown."""

GAIN = 1.7
"""How many times as fast two processes compile."""

Report = Callable[[int, int, str], object]
"""A callback (done, total, next measurement), like `Progress.measuring`."""


def ignore(*_: object) -> None:
    """A callback that does nothing."""


def stage(name: str, report: Report) -> Report:
    """The same callback for one stage of several; it prefixes the name of the stage, as in `"checking: njit"`.

    `"timing, round"` also names what is counted, if that is not the steps.
    """
    return lambda done, total, what: report(done, total, f"{name}: {what}" if what else "")


def _parts(what: str) -> tuple[str, str]:
    """The stage, and its next step."""
    name, _, step = what.rpartition(": ")
    return name or "measuring", step


def _beside_a_bar(what: str) -> str:
    """The same as one text, without what is counted."""
    name, step = _parts(what)
    return f"{name.partition(',')[0]} {step}" if what else "measured"


class Progress:
    """Receives the events of a run; shows nothing."""

    expected = ""
    """An estimate of the run time, shown at the first measurement, when it is certain that the run can start."""

    expected_seconds = math.inf
    """The same as a number; a run that takes twice as long says so."""

    _began = 0.0

    processes = 1
    """The number of processes that compile."""

    compile_seconds = 0.0
    """An estimate of the time in which one process compiles; it is set before `compiling` is called."""

    held_out = "validation"
    """The name of the samples for validation: `jitnet train` can have test samples in their place."""

    dtype = ""
    """The dtype of the kernels that are being compiled, if there are several."""

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def kernels(self, count: int) -> str:
        """`92 kernels for float32`, or without the dtype if there is only one."""
        return f"{count} kernel{'' if count == 1 else 's'}{self.dtype and f' for {self.dtype}'}"

    def compiling(self, done: int, total: int, kernel: str) -> None:
        """`done` of `total` kernels are compiled, `kernel` is next. Not called if all are in the cache."""

    def measuring(self, done: int, total: int, what: str) -> None:
        """`done` of `total` measurements are complete, `what` is next, with the name of a stage if there are stages."""

    def run_time(self) -> str:
        """What to show about the run time at this measurement: the estimate, or that it was wrong; or nothing."""
        now = time.monotonic()
        self._began = self._began or now
        if said := self.expected:
            self.expected = ""
        elif now - self._began > 2 * max(self.expected_seconds, WORTH_SAYING):
            self.expected_seconds = now - self._began
            said = f"this takes longer than estimated, {self.expected_seconds:.0f} s so far"
        return said

    def training(self, done: int, epochs: int) -> None:
        """Epochs begin; `done` of them are complete if a run is resumed."""

    def batch(self, done: int, total: int) -> None:
        """`done` of the `total` samples of this epoch are processed."""

    def epoch(self, history: Any, epochs: int) -> None:
        """An epoch is complete."""

    def note(self, text: str) -> None:
        """A message for the user during the run."""


def on_standard_error(intro: str = "") -> Progress:
    """Bars in a notebook, and on a terminal with rich; lines elsewhere. `intro` is shown when the work begins."""
    if in_notebook():
        return Cell(intro)
    if sys.stderr.isatty() and importlib.util.find_spec("rich"):
        return Bars(intro)
    return Lines(intro)


def display(wanted: Progress | bool) -> Progress:
    """Your own Progress object; True is the usual display, and False shows nothing."""
    if isinstance(wanted, bool):
        return on_standard_error() if wanted else Progress()
    return wanted


def say(text: str) -> None:
    """Print a line on standard error. A closed standard error does not stop the work."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # a closed pipe or terminal, a full disk
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def summary(history: Any, epochs: int, held_out: str) -> str:
    """The latest epoch in one line."""
    text = f"epoch {history.epochs:>{len(str(epochs))}}/{epochs}  loss {history.loss[-1]:.4f}"
    if history.validation_loss and not math.isnan(history.validation_loss[-1]):
        text += f"  {held_out} loss {history.validation_loss[-1]:.4f}"
    if history.validation_accuracy and not math.isnan(history.validation_accuracy[-1]):
        text += f"  accuracy {history.validation_accuracy[-1]:.1%}"
    return text


class Lines(Progress):
    """Plain lines on standard error: about ten for a training run, more if epochs are slow."""

    def __init__(self, intro: str = "") -> None:
        self._intro = intro
        self._epoch = 0
        self._stage = ""
        self._latest = time.monotonic()

    def __enter__(self) -> Progress:
        if self._intro:
            self._say(self._intro)
        return self

    def training(self, done: int, epochs: int) -> None:
        self._epoch = done

    def compiling(self, done: int, total: int, kernel: str) -> None:
        if done == 0:
            text = f"compiling {self.kernels(total)}, once per machine"
            seconds = self.compile_seconds / (GAIN if self.processes > 1 else 1)
            if seconds >= WORTH_SAYING:
                text += f"; this takes about {round(seconds / 5) * 5} s on an idle machine"
            self._say(f"{text} ...")
        elif done == total:
            self._say(f"compiled {self.kernels(total)}")
        elif time.monotonic() - self._latest > 2:
            self._say(f"compiling {done + 1}/{total}: {kernel}")

    def measuring(self, done: int, total: int, what: str) -> None:
        if said := self.run_time():
            self._say(said)
        name, step = _parts(what)
        if done < total and (name != self._stage or time.monotonic() - self._latest > 2):
            self._stage = name
            of = " of " if "," in name else "/"
            self._say(f"{name} {done + 1}{of}{total}: {step}")

    def batch(self, done: int, total: int) -> None:
        if done < total and time.monotonic() - self._latest > 5:
            self._say(f"epoch {self._epoch + 1}: {done / total:.0%} of the samples")

    def epoch(self, history: Any, epochs: int) -> None:
        self._epoch = history.epochs
        if history.epochs % max(1, epochs // 10) == 0 or time.monotonic() - self._latest > 5:
            self._say(summary(history, epochs, self.held_out))

    def note(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        say(text)
        self._latest = time.monotonic()


class _Tolerant:
    """A stream that ignores errors, as `say` does: a closed terminal must not end the training."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


class Bars(Progress):
    """Progress bars drawn by rich."""

    def __init__(self, intro: str = "") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress
        from rich.table import Column

        elapsed = TimeElapsedColumn(table_column=Column(min_width=7, no_wrap=True))
        columns = TextColumn("{task.description}"), BarColumn(), elapsed  # an epoch fits into 80 columns
        stream = cast(Any, _Tolerant(sys.stderr))
        self._bars = RichProgress(
            *columns, console=Console(file=stream), refresh_per_second=10,
            redirect_stdout=sys.stdout.isatty(),  # else what is printed into a file would go to the terminal
        )  # fmt: skip
        self._intro = intro
        self._compiling: Any = None
        self._measuring: Any = None
        self._training: Any = None
        self._epoch = 0
        self._latest = 0.0

    def __enter__(self) -> Progress:
        self._bars.start()
        if self._intro:
            self._bars.console.print(self._intro, markup=False, highlight=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def compiling(self, done: int, total: int, kernel: str) -> None:
        if self._compiling is None:
            self._compiling = self._bars.add_task("", total=total)
        text = f"compiling once per machine: {kernel}" if done < total else f"compiled {self.kernels(total)}"
        self._bars.update(self._compiling, total=total, completed=done, description=text)

    def measuring(self, done: int, total: int, what: str) -> None:
        if said := self.run_time():
            self.note(said)
        if self._measuring is None:
            self._measuring = self._bars.add_task("", total=total)
        self._bars.update(self._measuring, total=total, completed=done, description=_beside_a_bar(what))

    def training(self, done: int, epochs: int) -> None:
        self._epoch = done
        self._training = self._bars.add_task(f"epoch {done + 1}/{epochs}", total=epochs, completed=done)

    def batch(self, done: int, total: int) -> None:
        if time.monotonic() - self._latest > 0.1:  # drawing costs more than a small batch
            self._latest = time.monotonic()
            self._bars.update(self._training, completed=self._epoch + done / total)

    def epoch(self, history: Any, epochs: int) -> None:
        self._epoch = history.epochs
        self._bars.update(self._training, completed=history.epochs, description=summary(history, epochs, self.held_out))

    def note(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False)


def in_notebook() -> bool:
    """True if this process is the kernel of a notebook, whose cells show HTML."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


class Cell(Progress):
    """Progress bars below a cell of a notebook, as HTML that is replaced; without other packages."""

    def __init__(self, intro: str = "") -> None:
        self._notes = [intro] if intro else []
        self._bars: dict[str, tuple[float, str]] = {}
        self._epoch = self._epochs = 0
        self._latest = 0.0
        self._handle: Any = None

    def compiling(self, done: int, total: int, kernel: str) -> None:
        text = f"compiling once per machine: {kernel}" if done < total else f"compiled {self.kernels(total)}"
        self._bar("compiling", done / total, text)

    def measuring(self, done: int, total: int, what: str) -> None:
        if said := self.run_time():
            self._notes.append(said)
        self._bar("measuring", done / total, _beside_a_bar(what))

    def training(self, done: int, epochs: int) -> None:
        self._epoch, self._epochs = done, epochs
        self._bar("training", done / epochs, f"epoch {done + 1}/{epochs}")

    def batch(self, done: int, total: int) -> None:
        if time.monotonic() - self._latest > 0.2:
            self._bar("training", (self._epoch + done / total) / self._epochs, self._bars["training"][1])

    def epoch(self, history: Any, epochs: int) -> None:
        self._epoch, self._epochs = history.epochs, epochs
        text = summary(history, epochs, self.held_out)
        if time.monotonic() - self._latest > 0.2 or history.epochs == epochs:
            self._bar("training", history.epochs / epochs, text)
        else:
            self._bars["training"] = history.epochs / epochs, text

    def note(self, text: str) -> None:
        self._notes.append(text)
        self._show()

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._show()

    def _bar(self, stage: str, part: float, text: str) -> None:
        self._bars[stage] = part, text
        self._show()

    def _show(self) -> None:
        from IPython.display import HTML, display

        notes = "".join(f"<div>{html.escape(note)}</div>" for note in self._notes)
        bars = "".join(
            f'<div><progress value="{part:.4f}" style="width:16em;vertical-align:middle"></progress> '
            f"{html.escape(text)}</div>"
            for part, text in self._bars.values()
        )
        content = HTML(f'<div style="font-variant-numeric:tabular-nums">{notes}{bars}</div>')
        if self._handle is None:
            self._handle = display(content, display_id=True)
        else:
            self._handle.update(content)
        self._latest = time.monotonic()
