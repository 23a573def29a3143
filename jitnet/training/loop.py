"""The training loop around the four formulas: mini-batches, epochs, history, early stopping, checkpoints."""

from __future__ import annotations

import copy
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from .. import backend as backends
from .. import checks, distributed, labels, storage
from ..backend import Backend
from ..compiler.types import BackendName
from ..distributed import Comm, Reduction
from ..losses import Loss, LossName
from ..optimizers import Optimizer, OptimizerName
from ..process import disturbance, progress
from ..process.interruption import Interrupt
from . import checkpoint as checkpoints
from . import ranks
from .blocks import BlockEpoch
from .history import History
from .plan import Plan, Trainable, steps, validated
from .schedules import Factor
from .state import State
from .stopping import Callback, EarlyStopping, asks_to_stop, listed
from .stream import Batches, Source, StreamEpoch

ClassWeight = Mapping[Any, float] | Literal["balanced"]


class Epochs(Protocol):
    """Each call trains on every sample once: `step.Epoch`, or its equivalent for a GPU."""

    def __call__(self, interrupt: Any, show: Any) -> float | None: ...
    def settle(self) -> None: ...


class Diverged(checks.Error):
    """The loss or the weights are not finite; the last good weights of the network have been restored."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:  # otherwise pickle would call it with only the message
        return type(self), (str(self), self.history), vars(self)


def fit(
    net: Trainable,
    X: ArrayLike | Source,
    Y: ArrayLike | None = None,
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
    sample_weight: ArrayLike | None = None,
    class_weight: ClassWeight | None = None,
    schedule: Factor | None = None,
    clip_norm: float | None = None,
    early_stopping: int | EarlyStopping | None = None,
    callbacks: Callback | Sequence[Callback] | None = None,
    batches_per_epoch: int | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
    progress: progress.Progress | bool = False,
    comm: Any = None,
    reduction: Reduction | None = None,
) -> History:
    """Train on X and Y by mini-batches; returns the history.

    Formula   for each batch: the four formulas, then theta ← optimizer(theta, grad)
    Shapes    X (n, n_in), Y (n, n_out), or labels (n,) of any kind: text, booleans, whole numbers; validation likewise.
              With labels, `net.classes` lists them in the order of the outputs, and `predict` returns them
    Y                 None if X is an iterator of batches (X, Y) or (X, Y, sample_weight), or a function that returns
                      one, for data that do not fit in memory. Each batch is a step; batch_size and shuffle have no
                      effect, and after an error in a batch the weights are those after the previous batch
    batches_per_epoch end each epoch of an iterator after this many batches; None takes all
    epochs            passes over all samples; with a checkpoint and `resume`, including earlier ones
    batch_size        samples per update; the last batch of an epoch can be smaller
    optimizer         "sgd", "momentum", "adam", ... with their default rates, or an object such as SGD(0.5)
    loss              its name; None selects the one that suits the last layer
    validation        (X, Y), on which loss and accuracy are measured after every epoch
    shuffle, seed     permute the samples in each epoch; epoch e of seed s has the same order in every run. None
                      uses the network's seed
    threads           number of threads of the backends "parallel" and "fast"; None uses one or all, whichever is
                      faster at the time. It never changes a bit of the result
    sample_weight     w (n,), at least 0: the loss of a batch is Σ w·losses / Σ w, as in scikit-learn and PyTorch. Only
                      the ratios matter, and a weight of 0 leaves a sample out
    class_weight      {label: weight}, 1 for labels that it omits, or "balanced": n / (classes · samples of the class).
                      It is multiplied by sample_weight
    schedule          factors of the learning rate: StepDecay, CosineDecay, Warmup or ReduceOnPlateau, or your function
                      of (epoch, history), which is called once per epoch
    clip_norm         scale the gradient of all parameters down to this length if it is longer
    early_stopping    stop after this many epochs without a lower validation loss, and restore the best weights; or an
                      EarlyStopping object, which can also monitor the accuracy or the training loss
    callbacks         functions that are called with (net, history) after each epoch; True or "stop" ends the training
    checkpoint        file for the state, written atomically every `checkpoint_every` epochs. If it cannot be written,
                      there is a warning and history.checkpoint_error, and training continues
    resume            continue from that file, up to `epochs` in all. Without a checkpoint, continue the latest training
                      of this network in memory, by `epochs` more: its optimizer's state, the order of the samples, the
                      history. Both give the same bits as one uninterrupted run
    progress          True shows compiling and epochs on standard error; or your own Progress object
    comm              communicator of mpi4py, such as MPI.COMM_WORLD: its ranks all call fit with the same options, and
                      share the work of each batch; each rank has its own iterator, and their batches together are one.
                      All begin with the parameters of rank 0; only rank 0 uses the checkpoint and shows progress
    reduction         how gradients are added up. "tree", the default with comm: each batch is cut into 8 blocks, or a
                      given number of them, and their gradients are added up in a fixed order, so the bits are the same
                      with any number of ranks and without MPI. "fast": in any order. None without comm: no blocks

    ^C ends the training after the current batch and keeps the weights; while kernels are compiled, it is an ordinary
    KeyboardInterrupt.

    Errors    ValueError for invalid input, before anything is changed; `Diverged`, a ValueError, if the loss, the
              validation loss or the weights are not finite: the network then has the weights of its last good
              epoch
    """
    with distributed.joined(comm) as group, group.or_abort():
        with group.together():
            data: Any = X
            learns, batches = not resume or checkpoint is not None, None
            if Y is None:
                if sample_weight is not None or isinstance(class_weight, str):
                    raise checks.Error(
                        "an iterator of batches has its weights in triples (X, Y, sample_weight); omit sample_weight"
                    )
                batches = Batches(X, checks.whole("epochs", epochs, least=1), batches_per_epoch)
                data, Y, sample_weight = batches.first
                learns = False
            elif batches_per_epoch is not None:
                raise checks.Error("batches_per_epoch is for an iterator of batches; with X and Y, batch_size decides")
            plan = validated(
                net, data, Y, epochs=epochs, batch_size=batch_size, optimizer=optimizer, loss=loss, backend=backend,
                validation=validation, shuffle=shuffle, seed=seed, early_stopping=early_stopping,
                sample_weight=sample_weight, class_weight=class_weight, schedule=schedule, clip_norm=clip_norm,
                learns=learns, is_part=batches is not None, part=group.part,
            )  # fmt: skip
            if batches is not None:
                plan.batches, plan.batch_size = batches, len(plan.X)
            plan.distribute(group, distributed.checked(reduction, group, comm is not None))
            checks.whole("checkpoint_every", checkpoint_every, least=1)
            backends.check_threads(threads, backend)
            if checks.flag("resume", resume) and checkpoint is None and seed is None:
                plan.seed = None
        return _train(net, plan, threads, checkpoint, checkpoint_every, resume, progress, listed(callbacks))


def partial_fit(
    net: Trainable,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    batch_size: int = 32,
    optimizer: OptimizerName | Optimizer = "sgd",
    loss: LossName | Loss | None = None,
    backend: BackendName = "fast",
    shuffle: bool = True,
    seed: int | None = None,
    threads: int | None = None,
    sample_weight: ArrayLike | None = None,
    class_weight: Mapping[Any, float] | None = None,
    schedule: Factor | None = None,
    clip_norm: float | None = None,
) -> History:
    """Train one epoch on X and Y, a part of the data; the next call continues with the optimizer's state.

    It is `fit(X, Y, epochs=1, resume=True)`, and the first call starts a training. Returns the history of all calls.

    classes           all labels, as in scikit-learn: the first call needs them, unless they are 0, 1, ..., n_out − 1 or
                      `net.classes` has them already

    The other options are those of `fit`.

    >>> import jitnet
    >>> net = jitnet.Network(jitnet.Dense(1, 2, "softmax"), seed=0)
    >>> for part in [[[0.0], [1.0]], [[0.2], [0.9]]]:
    ...     history = net.partial_fit(part, ["low", "high"], classes=["high", "low"], optimizer="adam")
    >>> history.epochs, net.classes.tolist()
    (2, ['high', 'low'])

    Errors    as for `fit`, and ValueError for classes other than those of the first call
    """
    if classes is not None and net._classes is not None:
        given = labels.checked(classes, net.layers[-1].n_out)
        if given is None or sorted(given.tolist()) != sorted(net._classes.tolist()):
            raise checks.Error(
                f"classes are {checks.shown(classes)}, but the network has {checks.shown(net._classes.tolist())}"
            )
        classes = None
    if isinstance(class_weight, str):
        raise checks.Error(
            f"class_weight is {class_weight!r}, but partial_fit does not see all samples; give a dict of weights"
        )
    plan = validated(
        net, X, Y, epochs=1, batch_size=batch_size, optimizer=optimizer, loss=loss, backend=backend, shuffle=shuffle,
        seed=seed, sample_weight=sample_weight, class_weight=class_weight, classes=classes, schedule=schedule,
        clip_norm=clip_norm,
    )  # fmt: skip
    backends.check_threads(threads, backend)
    continues = net._state is not None
    if continues and seed is None:
        plan.seed = None
    return _train(net, plan, threads, resume=continues)


def _train(
    net: Trainable,
    plan: Plan,
    threads: int | None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
    progress: progress.Progress | bool = False,
    callbacks: Sequence[Callback] = (),
) -> History:
    """`fit` for validated options."""
    comm = plan.comm
    with net.in_training() as plan.net:
        ranks.compare(plan, {
            "callbacks": len(callbacks), "a checkpoint": checkpoint is not None, "checkpoint_every": checkpoint_every,
            "resume": resume,
        })  # fmt: skip
        if checkpoint is not None and comm.size > 1:
            ranks.read_together(plan)
        with comm.together():
            calls = steps(plan)
            calls += plan.net.needed(len(plan.held_out[0]), plan.loss) if plan.held_out else []
            plan.run.check(calls)
            state = _begun(net, plan, checkpoint, resume)
        ranks.share(state, plan)
        net._state = None
        net.loss, net.task = (
            plan.loss.name,
            (resume and net.task) or plan.task,
        )  # a part of the data can suggest another task
        net._classes = plan.classes if net.task == "classes" else None
        show = _display(progress if comm.rank == 0 else False)
        with backends.threads(_threads(plan, threads)), np.errstate(all="ignore"), show:
            began = time.perf_counter()
            ranks.prepare(plan, calls, show.compiling)
            history = state.history
            history.compile_seconds = time.perf_counter() - began
            show.training(history.epochs, plan.epochs)
            see_every_sample = _epochs(plan, state)
            written = history.epochs
            watch = _watch(show, plan.run) if comm.size == 1 else None
            with Interrupt() as pressed:
                interrupt = pressed if plan.reduction is None else ranks.Agreed(pressed)
                while history.epochs < plan.epochs and not history.stopped:
                    _one_epoch(plan, state, see_every_sample, interrupt, show)
                    if str(history.stopped) != "interrupted":
                        _call_back(callbacks, net, history, comm)
                    if checkpoint is not None and _is_due(plan, history, checkpoint_every, interrupt):
                        see_every_sample.settle()
                        with comm.together():
                            written = checkpoints.keep_or_warn(checkpoint, state, plan, written)
                    if interrupt.asked and history.epochs < plan.epochs and not history.stopped:
                        history.stopped = "interrupted"
                    if watch and (news := watch.news()):
                        show.note(news)
        see_every_sample.settle()
        if history.stopped != "interrupted":  # otherwise the optimizer's vectors can belong to other weights
            net._state = state
        if state.best_theta is not None:
            state.last_theta = state.theta.copy()
            state.theta[...] = state.best_theta
        return history


def _begun(net: Trainable, plan: Plan, checkpoint: str | Path | None, resume: bool) -> State:
    """The state that the training begins with: a new one, that of the latest training, or that of a checkpoint."""
    if resume and checkpoint is None:
        state = _continued(net, plan)
    else:
        state = State(net.theta, plan.optimizer.start(net.theta), plan.optimizer.name)
    if checkpoint is not None and plan.comm.rank == 0:
        storage.check_writable(checkpoint, kind="checkpoint")
        if resume:
            checkpoints.restore(checkpoint, state, plan)
    state.seed = plan.seed = secrets.randbits(32) if plan.seed is None else plan.seed
    return state


def _threads(plan: Plan, threads: int | None) -> int | None:
    """The number of threads of all kernels; None leaves it to the backend."""
    if threads is not None or not plan.run.uses_threads:
        return threads
    if not plan.run.pay_for_threads(steps(plan)):
        return 1  # for validation too, which is shorter than the steps, so that no threaded kernel is compiled
    return None if plan.comm.threads is None else min(plan.comm.threads, max(backends.thread_choice.possible()))


def _epochs(plan: Plan, state: State) -> Epochs:
    if plan.batches:
        return StreamEpoch(plan, state)
    epochs: Epochs = plan.run.epoch(plan, state) if plan.reduction is None else BlockEpoch(plan, state)
    return epochs


def _continued(net: Trainable, plan: Plan) -> State:
    """The state of the latest training, for more epochs; its history is copied."""
    state = net._state
    if state is None:
        raise checks.Error(
            "resume continues the latest training of this network, and there is none in memory: it was not trained "
            "here, diverged, or was ended by ^C; fit without resume, or name its checkpoint"
        )
    if state.optimizer != plan.optimizer.name:
        raise checks.Error(
            f"resume continues a training with {state.optimizer}, but optimizer is {plan.optimizer.name}; use the same,"
            " or start another training by fit without resume"
        )
    plan.optimizer.check(net.dtype)
    plan.epochs += state.history.epochs
    plan.seed = state.seed if plan.seed is None else plan.seed
    history = copy.deepcopy(state.history)  # the earlier history belongs to the user
    history.stopped = history.checkpoint_error = ""
    if state.last_theta is not None:  # the network has the best weights instead of the last ones
        net.theta[...] = state.last_theta
    continued = replace(state, history=history, last_theta=None)
    if plan.early_stopping is None or not plan.early_stopping.continues(state):
        history.best_epoch = continued.best_theta = None
        continued.best_loss = math.inf
    return continued


def _one_epoch(
    plan: Plan, state: State, see_every_sample: Epochs, interrupt: Interrupt | ranks.Agreed, show: progress.Progress
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
    what, measured = "" if is_good and math.isfinite(mean) else f"the loss is {mean:g}", dict[str, float]()
    if plan.held_out is not None and not what:
        try:
            measured = plan.net.measure(plan.run, *plan.held_out, plan.loss, plan.judged, comm=plan.comm)
        except checks.NotFiniteError as error:
            what = f"on the validation samples {error}"
    if what:
        state.theta[...] = good
        raise distributed.of_all(Diverged(
            f"training diverged in epoch {history.epochs + 1}: {what}; the weights of "
            f"{f'epoch {history.epochs}' if history.epochs else 'the start'} were restored; "
            "lower the learning rate, or scale the inputs", history,
        ))  # fmt: skip
    history.add(mean, ranks.settle_epoch(plan, state, time.perf_counter() - began, interrupt), measured)
    if plan.early_stopping is not None:
        plan.early_stopping.note(state)
    show.epoch(history, plan.epochs)


def _call_back(callbacks: Sequence[Callback], net: Trainable, history: History, comm: Comm) -> None:
    """Each rank has its callbacks, and any of them can end the training of all."""
    for callback in callbacks:
        with comm.together():
            asks = asks_to_stop(callback(net, history))
        if any(comm.gather(asks)) and not history.stopped:
            history.stopped = "callback"


def _is_due(plan: Plan, history: History, every: int, interrupt: Interrupt | ranks.Agreed) -> bool:
    """After every `every` epochs and after the last one; not if ^C ended an epoch before its last batch."""
    is_last = history.epochs == plan.epochs or history.stopped in ("early", "callback") or interrupt.asked
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
