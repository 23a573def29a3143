"""The training loop around the four formulas: mini-batches, epochs, history, early stopping, checkpoints."""

from __future__ import annotations

import contextlib
import functools
import math
import secrets
import signal
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from . import backend as backends
from . import checkpoint as checkpoints
from . import checks, disturbance, losses, optimizers, progress, storage
from .backend import Backend
from .compiler.registry import Call
from .compiler.types import BackendName, Matrix, Vector
from .history import History
from .losses import Loss, LossName
from .optimizers import Optimizer, OptimizerName
from .state import State
from .step import needed


class Trainable(Protocol):
    """The interface of a network for training."""

    theta: Vector
    layers: Any
    dtype: np.dtype[Any]
    seed: int | None
    loss: str | None
    _state: State | None

    def in_training(self) -> contextlib.AbstractContextManager[Any]: ...
    def needed(self, m: int, loss: Loss | None = None) -> list[Call]: ...
    def measure(self, run: Backend, X: Matrix, Y: Matrix, loss: Loss, classes: bool) -> dict[str, float]: ...
    def targets(self, Y: ArrayLike, m: int, loss: Loss) -> Matrix: ...
    def classifies(self, Y: ArrayLike) -> bool: ...


class Epochs(Protocol):
    """Each call trains on every sample once: `step.Epoch`, or its equivalent for a GPU."""

    def __call__(self, interrupt: Any, show: Any) -> float | None: ...
    def settle(self) -> None: ...


class Diverged(checks.Error):
    """The loss or the weights are not finite; the last good weights of the network have been restored."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:  # otherwise pickle would call it with the message alone
        return type(self), (str(self), self.history), vars(self)


class Interrupt:
    """Delays ^C to the end of a mini-batch, so that no update is incomplete. A second ^C is immediate.

    Other signals belong to the program. A handler that should end the training as ^C does calls the handler of SIGINT.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._before is signal.SIG_IGN:  # as a shell starts jobs in the background
            return
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


@dataclass
class Plan:
    """The validated options of `fit`, and the data in the layout of the kernels."""

    net: Trainable
    run: Backend
    X: Matrix
    Y: Matrix
    held_out: tuple[Matrix, Matrix] | None
    classes: bool
    loss: Loss
    optimizer: Optimizer
    epochs: int
    batch_size: int
    shuffle: bool
    seed: int | None
    early_stopping: int | None

    @functools.cached_property
    def fingerprint(self) -> list[Any]:
        """Shapes and checksums of the data, to detect that a run is resumed with other data."""
        arrays = (self.run.to_host(array) for array in (self.X, self.Y, *(self.held_out or ())))
        return [[list(array.shape), zlib.crc32(array)] for array in arrays]

    def settings(self) -> dict[str, Any]:
        """The settings that must be the same to resume a run, in the form of JSON."""
        layers = [layer.identity for layer in self.net.layers]
        settings: dict[str, Any] = storage.plain({
            "layers": layers, "dtype": self.net.dtype.name, "batch_size": self.batch_size, "loss": self.loss.name,
            "optimizer": self.optimizer.settings(), "shuffle": self.shuffle, "seed": self.seed,
            "early_stopping": self.early_stopping, "data": self.fingerprint,
        })  # fmt: skip
        return settings


def fit(
    net: Trainable,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    epochs: int = 30,
    batch_size: int = 32,
    optimizer: OptimizerName | Optimizer = "sgd",
    loss: LossName | Loss | None = None,
    backend: BackendName = "fast",
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    threads: int | None = None,
    early_stopping: int | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
    progress: progress.Progress | bool = False,
) -> History:
    """Train on X and Y by mini-batches; returns the history.

    Formula   for each batch: the four formulas, then theta ← optimizer(theta, grad)
    Shapes    X (n, n_in), Y (n, n_out), or labels (n,); validation likewise
    epochs            passes over all samples; with `resume`, the earlier ones count too
    batch_size        samples per update; the last batch of an epoch can be smaller
    optimizer         "sgd", "momentum", "adam", ... with their default rates, or an object such as SGD(0.5)
    loss              its name; None selects the one that suits the last layer
    validation        (X, Y) to measure loss and accuracy on after every epoch
    shuffle, seed     permute the samples in each epoch; epoch e of seed s has the same order in every run. None
                      uses the network's seed
    threads           number of threads of the backends "parallel" and "fast"; None uses one or all, whichever is
                      faster at the time. It never changes a bit of the result
    early_stopping    stop after this many epochs without a lower validation loss, and restore the best weights
    checkpoint        file for the state, written atomically every `checkpoint_every` epochs. If it cannot be written,
                      there is a warning and history.checkpoint_error, and training continues
    resume            continue from that file; the result has the same bits as an uninterrupted run
    progress          True shows compiling and epochs on standard error; or your own Progress object

    ^C ends the training after the current batch and keeps the weights; while kernels are compiled, it is an ordinary
    KeyboardInterrupt.

    Errors    ValueError for invalid input, before anything is changed; `Diverged`, a ValueError, if the loss, the
              validation loss or the weights are not finite: the network then has the weights of its last good
              epoch
    """
    plan = validated(
        net, X, Y, epochs=epochs, batch_size=batch_size, optimizer=optimizer, loss=loss, backend=backend,
        validation=validation, shuffle=shuffle, seed=seed, early_stopping=early_stopping,
    )  # fmt: skip
    checks.whole("checkpoint_every", checkpoint_every, least=1)
    if resume and checkpoint is None:
        raise checks.Error("resume needs checkpoint=PATH: the file to continue from")
    backends.check_threads(threads, backend)
    with net.in_training() as plan.net:
        calls = steps(plan)
        validation_too = plan.net.needed(len(plan.held_out[0]), plan.loss) if plan.held_out else []
        plan.run.check(calls + validation_too)
        state = State(net.theta, plan.optimizer.start(net.theta), plan.optimizer.name)
        if checkpoint is not None:
            storage.check_writable(checkpoint, kind="checkpoint")
            if resume:
                checkpoints.restore(checkpoint, state, plan)
        if plan.seed is None:
            plan.seed = secrets.randbits(32)
        state.seed, net._state = plan.seed % 2**63, None
        net.loss = plan.loss.name
        show = _display(progress)
        if threads is None and plan.run.uses_threads and not plan.run.pay_for_threads(calls):
            threads = 1  # for validation too, which takes less time than the steps: no threaded kernel is compiled
        with backends.threads(threads), np.errstate(all="ignore"), show:
            began = time.perf_counter()
            plan.run.prepare(calls + validation_too, net.dtype, show.compiling)
            history = state.history
            history.compile_seconds = time.perf_counter() - began
            show.training(history.epochs, plan.epochs)
            see_every_sample, written = plan.run.epoch(plan, state), history.epochs
            watch = _watch(show, plan.run)
            with Interrupt() as interrupt:
                while history.epochs < plan.epochs and not history.stopped:
                    _one_epoch(plan, state, see_every_sample, interrupt, show)
                    if checkpoint is not None and _is_due(plan, history, checkpoint_every, interrupt):
                        see_every_sample.settle()
                        written = checkpoints.keep_or_warn(checkpoint, state, plan, written)
                    if interrupt.asked and history.epochs < plan.epochs and not history.stopped:
                        history.stopped = "interrupted"
                    if watch and (news := watch.news()):
                        show.note(news)
        see_every_sample.settle()
        if state.best_theta is not None:
            state.theta[...] = state.best_theta
        elif history.stopped != "interrupted":  # otherwise the optimizer's vectors can belong to other weights
            net._state = state
        return history


def validated(net: Trainable, X: ArrayLike, Y: ArrayLike, *, validation: Any, seed: int | None, **options: Any) -> Plan:
    """Validate everything before anything is changed."""
    run = backends.get(options["backend"], net.dtype)
    layers = net.layers
    loss = losses.get(options["loss"], layers[-1].activation)
    inputs = checks.samples(X, layers[0].n_in, net.dtype)
    held_out, judged = None, Y
    if validation is not None:
        if not isinstance(validation, tuple | list) or len(validation) != 2:
            raise checks.Error("validation must be a pair (X, Y)")
        judged = validation[1]
        held_out_inputs = checks.samples(validation[0], layers[0].n_in, net.dtype)
        held_out = held_out_inputs, net.targets(judged, len(held_out_inputs), loss)
    early_stopping = options["early_stopping"]
    if early_stopping is not None:
        early_stopping = checks.whole("early_stopping", early_stopping, least=1)
        if held_out is None:
            raise checks.Error("early_stopping needs validation=(X, Y): the validation loss decides when to stop")
    return Plan(
        net, run, inputs, net.targets(Y, len(inputs), loss), held_out, net.classifies(judged), loss,
        optimizers.get(options["optimizer"]),
        checks.whole("epochs", options["epochs"], least=1),
        checks.whole("batch_size", options["batch_size"], least=1),
        checks.flag("shuffle", options["shuffle"]),
        net.seed if seed is None else checks.whole("seed", seed, least=0),
        early_stopping,
    )  # fmt: skip


def steps(plan: Plan) -> list[Call]:
    """The calls of a step for a whole batch, and of one for the rest of the samples."""
    n, calls = len(plan.X), []
    for m in {min(plan.batch_size, n), n % plan.batch_size} - {0}:
        calls += needed(plan.net, plan.run, m, plan.loss, plan.optimizer)
    return calls


def _one_epoch(
    plan: Plan, state: State, see_every_sample: Epochs, interrupt: Interrupt, show: progress.Progress
) -> None:
    """Train on every sample once, then validate; the result is in the history."""
    history = state.history
    began, good = time.perf_counter(), state.theta.copy()
    mean = see_every_sample(interrupt, show)
    is_good = np.isfinite(state.theta).all()
    if mean is None:  # ^C
        history.stopped = "interrupted"
        if not is_good:
            state.theta[...] = good
        return
    what = "" if is_good and math.isfinite(mean) else f"the loss is {mean:g}"
    if plan.held_out is not None and not what:
        try:
            measured = plan.net.measure(plan.run, *plan.held_out, plan.loss, plan.classes)
        except checks.NotFiniteError as error:
            what = f"on the validation samples {error}"
    if what:
        state.theta[...] = good
        raise Diverged(
            f"training diverged in epoch {history.epochs + 1}: {what}; the weights of "
            f"{f'epoch {history.epochs}' if history.epochs else 'the start'} were restored; "
            "lower the learning rate, or scale the inputs", history,
        )  # fmt: skip
    if plan.held_out is not None:
        history.validation_loss.append(measured["loss"])
        history.validation_accuracy += [measured["accuracy"]] if plan.classes else []
    history.loss.append(mean)
    history.seconds.append(time.perf_counter() - began)
    if plan.early_stopping is not None:
        _note_best(state, plan.early_stopping)
    show.epoch(history, plan.epochs)


def _note_best(state: State, patience: int) -> None:
    history = state.history
    if history.validation_loss[-1] < state.best_loss:
        state.best_loss = history.validation_loss[-1]
        state.best_theta = state.theta.copy()
        history.best_epoch = history.epochs
    elif history.epochs - (history.best_epoch or 0) >= patience:
        history.stopped = "early"


def _is_due(plan: Plan, history: History, every: int, interrupt: Interrupt) -> bool:
    """After every `every` epochs and after the last one; not if ^C ended an epoch before its last batch."""
    is_last = history.epochs == plan.epochs or history.stopped == "early" or interrupt.asked
    return history.stopped != "interrupted" and (history.epochs % every == 0 or is_last)


def _watch(show: progress.Progress, run: Backend) -> disturbance.Watch | None:
    """A watch for disturbances, or None if `show` would not display them, because it reads many files."""
    if getattr(show.note, "__func__", None) is progress.Progress.note:
        return None
    return disturbance.Watch(run.cores()).begin()


def _display(wanted: progress.Progress | bool) -> progress.Progress:
    if isinstance(wanted, bool):
        return progress.on_standard_error() if wanted else progress.Progress()
    return wanted
