"""Mini-batches, epochs, history, early stopping, checkpoints: what happens around the four formulas."""

import math
import secrets
import signal
import threading
import time
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import backend as backends
from . import checks, losses, optimizers, progress, storage
from .backend import Backend
from .kernels.legend import Matrix, Vector
from .losses import Loss
from .optimizers import Optimizer


class Trainable(Protocol):
    """What training needs of a network."""

    theta: Vector
    grad: Vector
    layers: Any
    dtype: np.dtype[Any]
    seed: int | None
    loss: str | None

    def workspace(self, m: int) -> Any: ...
    def operations(self, loss: Loss | None = None) -> list[str]: ...
    def pass_forward(self, run: Backend, X: Matrix, work: Any) -> Matrix: ...
    def pass_back(self, run: Backend, X: Matrix, Y: Matrix, loss: Loss, work: Any) -> None: ...
    def measure(self, run: Backend, X: Matrix, Y: Matrix, loss: Loss, classes: bool) -> dict[str, float]: ...
    def targets(self, Y: ArrayLike, m: int, loss: Loss) -> Matrix: ...
    def classifies(self) -> bool: ...


@dataclass
class History:
    """What happened, one number an epoch."""

    loss: list[float] = field(default_factory=list)
    """Mean loss over the samples of the epoch, each at the weights that its batch found."""
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    compile_seconds: float = 0.0
    """Time spent on compiling, or on loading what was compiled before."""
    best_epoch: int | None = None
    """With early stopping: the epoch, counted from 1, whose weights the network has now."""
    stopped: str = ""
    """Why training ended before the last epoch: "", "early" or "interrupted"."""

    @property
    def epochs(self) -> int:
        """Epochs that were completed."""
        return len(self.loss)


class Diverged(checks.Error):
    """The loss or the weights stopped being finite numbers; the network has its last good weights back."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


class Interrupt:
    """Makes ^C wait for the end of a mini-batch, so that no update is left half done. A second ^C does not wait."""

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


@dataclass
class State:
    """Everything that the next epoch depends on: what a checkpoint has to hold."""

    theta: Vector
    memory: list[Vector]
    step: int = 0
    history: History = field(default_factory=History)
    best_loss: float = math.inf
    best_theta: Vector | None = None


def fit(
    net: Trainable,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    epochs: int = 30,
    batch_size: int = 32,
    optimizer: str | Optimizer = "sgd",
    loss: str | None = None,
    backend: str = "fast",
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    threads: int | None = None,
    early_stopping: int | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
    progress: "progress.Progress | bool" = False,
) -> History:
    """Learn from X and Y by mini-batches, and keep a history.

    Formula   for each batch: the four formulas, then theta ← optimizer(theta, grad)
    Shapes    X (n, n_in), Y (n, n_out), or labels (n,); validation likewise
    epochs            times that every sample is seen; with `resume`, those before count too
    batch_size        samples per update; the last batch of an epoch may be shorter
    optimizer         "sgd", "momentum", "adam" with their usual rates, or an object such as SGD(0.5)
    loss              by name; None takes the one that suits the last layer
    validation        (X, Y) to measure loss and accuracy on after every epoch
    shuffle, seed     permute the samples each epoch; epoch e of seed s has the same order on every run. None takes
                      the network's seed
    threads           how many the back ends "parallel" and "fast" may use; never changes a bit of the result
    early_stopping    stop after this many epochs without a lower validation loss, and restore the best weights
    checkpoint        file to keep the state in, every `checkpoint_every` epochs; replaced whole or not at all
    resume            continue from that file, to the same bits as a run that was never interrupted
    progress          True shows compiling and epochs on standard error; or an object of your own

    ^C ends the training after the batch at hand and keeps what was learned.

    Errors    ValueError for input that does not fit, before anything is changed; `Diverged`, a ValueError, when loss
              or weights stop being finite: the network then has the weights of its last good epoch
    """
    run = backends.get(backend)
    layers = net.layers
    which = losses.get(loss, layers[-1].activation)
    chosen = optimizers.get(optimizer)
    checks.whole("epochs", epochs, least=1)
    checks.whole("batch_size", batch_size, least=1)
    checks.whole("checkpoint_every", checkpoint_every, least=1)
    inputs = checks.samples(X, layers[0].n_in, net.dtype)
    wanted = net.targets(Y, len(inputs), which)
    classes = net.classifies() or (np.ndim(Y) == 1 and layers[-1].n_out > 1)
    held_out = None
    if validation is not None:
        held_out_inputs = checks.samples(validation[0], layers[0].n_in, net.dtype)
        held_out = held_out_inputs, net.targets(validation[1], len(held_out_inputs), which)
    if early_stopping is not None:
        checks.whole("early_stopping", early_stopping, least=1)
        if held_out is None:
            raise checks.Error("early_stopping needs validation=(X, Y): without it nothing tells when to stop")
    if resume and checkpoint is None:
        raise checks.Error("resume needs checkpoint=PATH: the file to continue from")
    if threads is not None and backend not in backends.THREADED and threads != 1:
        raise checks.Error(f"back end {backend!r} runs on one thread; for more, use {' or '.join(backends.THREADED)}")

    state = State(net.theta, chosen.start(net.theta))
    seed = net.seed if seed is None else checks.whole("seed", seed, least=0)
    settings = {
        "layers": [(layer.n_in, layer.n_out, layer.activation, layer.bias) for layer in layers],
        "dtype": net.dtype.name, "batch_size": batch_size, "optimizer": chosen.settings(), "loss": which.name,
        "shuffle": shuffle, "seed": seed, "early_stopping": early_stopping,
        "data": _fingerprint(inputs, wanted, *(held_out or ())),
    }  # fmt: skip
    if checkpoint is not None:
        storage.check_writable(checkpoint)
        if resume:
            seed = _restore(checkpoint, state, settings)
    if seed is None:
        seed = secrets.randbits(32)
    settings["seed"] = seed
    show = _display(progress)
    net.loss = which.name

    with backends.threads(threads), Interrupt() as interrupt, show:
        needed = ["gather", *net.operations(which), chosen.kernel]
        began = time.perf_counter()
        run.compile(needed, net.dtype, show.compiling)
        history = state.history
        history.compile_seconds = time.perf_counter() - began
        if history.stopped != "early":  # a resumed run that had stopped early stays so
            history.stopped = ""
        show.training(history.epochs, epochs)
        while history.epochs < epochs and not history.stopped:
            began = time.perf_counter()
            good = state.theta.copy()
            order = _order(len(inputs), history.epochs, seed, shuffle)
            mean = _epoch(net, run, inputs, wanted, order, batch_size, which, chosen, state, interrupt, show)
            if mean is None:
                history.stopped = "interrupted"
                if not np.isfinite(state.theta).all():
                    state.theta[...] = good
                break
            measured = net.measure(run, *held_out, which, classes) if held_out else {}
            if not math.isfinite(mean) or not np.isfinite(state.theta).all():
                state.theta[...] = good
                raise Diverged(
                    f"training diverged in epoch {history.epochs + 1}: the loss is {mean:g}; the weights of "
                    f"{f'epoch {history.epochs}' if history.epochs else 'the start'} were restored; "
                    "lower the learning rate, or scale the inputs", history,
                )  # fmt: skip
            history.loss.append(mean)
            history.seconds.append(time.perf_counter() - began)
            if held_out:
                history.validation_loss.append(measured["loss"])
                history.validation_accuracy += [measured["accuracy"]] if classes else []
            if early_stopping is not None:
                _note_best(state, early_stopping)
            if checkpoint is not None and (history.epochs % checkpoint_every == 0 or history.epochs == epochs):
                _keep(checkpoint, state, settings)
            show.epoch(history, epochs)
            if interrupt.asked and history.epochs < epochs:
                history.stopped = history.stopped or "interrupted"
    if state.best_theta is not None:
        state.theta[...] = state.best_theta
    return history


def _epoch(
    net: Trainable, run: Backend, X: Matrix, Y: Matrix, order: Vector, batch_size: int, loss: Loss,
    optimizer: Optimizer, state: State, interrupt: Interrupt, show: "progress.Progress",
) -> float | None:  # fmt: skip
    """One pass over all samples; the mean loss, or None if ^C cut it short."""
    gather, update = run.kernels["gather"], run.kernels[optimizer.kernel]
    total = 0.0
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        work = net.workspace(len(rows))
        gather(X, rows, work.X)
        gather(Y, rows, work.Y)
        A = net.pass_forward(run, work.X, work)
        run.losses(loss, work.Z[-1], A, work.Y, work.losses)
        net.pass_back(run, work.X, work.Y, loss, work)
        state.step += 1
        optimizer.step(update, state.step, net.grad, state.memory, net.theta)
        total += float(work.losses.sum(dtype=np.float64))
        show.batch(start + len(rows), len(order))
        if interrupt.asked and start + len(rows) < len(order):
            return None
    return total / len(order)


def _order(n: int, epoch: int, seed: int, shuffle: bool) -> NDArray[np.int64]:
    """The samples in the order of this epoch. It depends on seed and epoch alone, so a resumed run needs no more."""
    if not shuffle:
        return np.arange(n, dtype=np.int64)
    return np.random.default_rng((seed, epoch)).permutation(n)


def _note_best(state: State, patience: int) -> None:
    history = state.history
    if history.validation_loss[-1] < state.best_loss:
        state.best_loss = history.validation_loss[-1]
        state.best_theta = state.theta.copy()
        history.best_epoch = history.epochs
    elif history.epochs - (history.best_epoch or 0) >= patience:
        history.stopped = "early"


def _fingerprint(*arrays: Any) -> list[Any]:
    """Enough about the data to notice when a run is resumed with other data."""
    return [[list(array.shape), zlib.crc32(array)] for array in arrays]


def _keep(path: str | Path, state: State, settings: dict[str, Any]) -> None:
    arrays = {"theta": state.theta, **{f"memory{i}": vector for i, vector in enumerate(state.memory)}}
    if state.best_theta is not None:
        arrays["best_theta"] = state.best_theta
    about = {
        "settings": settings, "step": state.step, "history": asdict(state.history),
        "best_loss": None if math.isinf(state.best_loss) else state.best_loss,
    }  # fmt: skip
    storage.write(path, "checkpoint", about, arrays)


def _restore(path: str | Path, state: State, settings: dict[str, Any]) -> int:
    """Put the state of a checkpoint in place; the seed that it was made with."""
    about, arrays = storage.read(path, "checkpoint")
    try:
        kept = dict(about["settings"])
        if settings["seed"] is None:
            settings["seed"] = kept["seed"]
        now = storage.plain(settings)
        different = [f"{name} was {kept.get(name)}, is {now[name]}" for name in now if kept.get(name) != now[name]]
        if different:
            raise checks.Error(f"checkpoint {path} belongs to another run: " + "; ".join(different))
        vectors = [arrays["theta"], *(arrays[f"memory{i}"] for i in range(len(state.memory)))]
        best = arrays.get("best_theta")
        for vector in vectors if best is None else [*vectors, best]:
            if vector.shape != state.theta.shape or vector.dtype != state.theta.dtype:
                raise TypeError(f"a vector has shape {vector.shape}, not {state.theta.shape}")
        history, step = History(**about["history"]), checks.whole("step", about["step"], least=0)
        best_loss = math.inf if best is None else checks.number("best_loss", about["best_loss"])
        seed = checks.whole("seed", kept["seed"], least=0)
    except (KeyError, TypeError) as error:
        raise checks.Error(f"checkpoint {path} is incomplete ({error}); start again without resume") from None
    for target, vector in zip([state.theta, *state.memory], vectors, strict=True):
        target[...] = vector
    state.step, state.history, state.best_loss, state.best_theta = step, history, best_loss, best
    return seed


def _display(wanted: "progress.Progress | bool") -> "progress.Progress":
    if isinstance(wanted, bool):
        return progress.on_standard_error() if wanted else progress.Progress()
    return wanted
