"""`fit` and `partial_fit`: they validate the options, and run the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from numpy.typing import ArrayLike

from .. import backend as backends
from .. import checks, distributed, labels
from ..compiler.types import BackendName
from ..distributed import Reduction
from ..losses import Loss, LossName
from ..optimizers import Optimizer, OptimizerName
from ..process.progress import Progress, display
from .checkpoint import Checkpoint
from .history import History
from .loop import Training
from .plan import Trainable, validated
from .schedules import Factor
from .stopping import Callback, EarlyStopping, listed
from .stream import Batches, Source

ClassWeight = Mapping[Any, float] | Literal["balanced"]


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
    progress: Progress | bool = False,
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
    optimizer         "sgd" (with lr=0.1), "momentum" (0.05), "adam", "adamw", "rmsprop" (0.003), or SGD(0.5), ...
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
                      there is a warning and history.checkpoint_error, and training continues. Without `resume`, a
                      warning says that an earlier checkpoint will be replaced
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
            checks.flag("resume", resume)
            batches = _batches(X, epochs, batches_per_epoch, sample_weight, class_weight) if Y is None else None
            if batches is None and batches_per_epoch is not None:
                raise checks.Error("batches_per_epoch is for an iterator of batches; with X and Y, batch_size decides")
            data: tuple[Any, Any, Any] = (X, Y, sample_weight) if batches is None else batches.first
            plan = validated(
                net, *data[:2], epochs=epochs, batch_size=batch_size, optimizer=optimizer, loss=loss, backend=backend,
                validation=validation, shuffle=shuffle, seed=seed, early_stopping=early_stopping,
                sample_weight=data[2], class_weight=class_weight, schedule=schedule, clip_norm=clip_norm,
                learns=batches is None and (not resume or checkpoint is not None), batches=batches, part=group.part,
            )  # fmt: skip
            plan.distribute(group, distributed.checked(reduction, group, comm is not None))
            file = Checkpoint(checkpoint, checks.whole("checkpoint_every", checkpoint_every, least=1))
            if file.every > 1 and checkpoint is None:
                raise checks.Error(f"checkpoint_every is {file.every}, but there is no checkpoint; add checkpoint=FILE")
            backends.check_threads(threads, backend)
            if resume and checkpoint is None and seed is None:
                plan.seed = None  # that of the latest training
            if not isinstance(progress, bool | Progress):
                raise checks.Error(
                    f"progress is {checks.shown(progress)}, but must be True, False or a jitnet.Progress object"
                )
            called, show = listed(callbacks), display(progress if group.rank == 0 else False)
        return Training(net, plan, threads, file, resume, called, show).run()


def _batches(
    source: Any, epochs: int, per_epoch: int | None, sample_weight: ArrayLike | None, class_weight: ClassWeight | None
) -> Batches:
    """The batches of an iterator, whose weights cannot come from options that need all samples."""
    if sample_weight is not None or isinstance(class_weight, str):
        raise checks.Error(
            "an iterator of batches has its weights in triples (X, Y, sample_weight); omit sample_weight"
        )
    return Batches(source, checks.whole("epochs", epochs, least=1), per_epoch)


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

    Errors    as for `fit`, and ValueError for classes other than those of the first call, or without labels
    """
    classes = None if _has_already(net, classes) else classes
    if isinstance(class_weight, str):
        raise checks.Error(
            f"class_weight is {class_weight!r}, but partial_fit does not see all samples; give a dict of weights"
        )
    plan = validated(
        net, X, Y, batch_size=batch_size, optimizer=optimizer, loss=loss, backend=backend, shuffle=shuffle,
        seed=seed, sample_weight=sample_weight, class_weight=class_weight, classes=classes, schedule=schedule,
        clip_norm=clip_norm,
    )  # fmt: skip
    if classes is not None and (net.task or plan.task) != "classes":
        raise checks.Error(
            f"classes are {checks.shown(classes)}, but this training is without labels; leave classes out, or give "
            "labels and one unit per class"
        )
    backends.check_threads(threads, backend)
    continues = net._state is not None
    if continues and seed is None:
        plan.seed = None  # that of the latest training
    return Training(net, plan, threads, resume=continues).run()


def _has_already(net: Trainable, classes: ArrayLike | None) -> bool:
    """True if the network has these classes; an error if it has others."""
    if classes is None or net._classes is None:
        return False
    given = labels.checked(classes, net.layers[-1].n_out)
    if given is None or sorted(given.tolist()) != sorted(net._classes.tolist()):
        raise checks.Error(
            f"classes are {checks.shown(classes)}, but the network has {checks.shown(net._classes.tolist())}"
        )
    return True
