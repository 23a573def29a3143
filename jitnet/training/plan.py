"""The options of a training, validated before anything is changed, and the data in the layout of the kernels."""

from __future__ import annotations

import contextlib
import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import arrays, checks, labels, losses, optimizers, storage
from .. import backend as backends
from ..backend import Backend
from ..compiler.registry import Call
from ..compiler.types import Matrix, Vector
from ..distributed import Alone, Comm
from ..distributed.tree import cuts
from ..labels import Task
from ..losses import Loss
from ..optimizers import Optimizer
from ..step import Extras, needed
from . import schedules, stopping
from .schedules import Factor
from .state import State
from .stopping import EarlyStopping

PARTS = 64
"""Parts of the data, each with its own checksum, if several ranks read them."""


class Trainable(Protocol):
    """The interface of a network for training."""

    theta: Vector
    layers: Any
    dtype: np.dtype[Any]
    seed: int | None
    loss: str | None
    task: Task | None
    classes: NDArray[Any] | None
    _classes: NDArray[Any] | None
    _state: State | None

    def in_training(self) -> contextlib.AbstractContextManager[Any]: ...
    def needed(self, m: int, loss: Loss | None = None) -> list[Call]: ...
    def measure(
        self, backend: Backend, X: Matrix, Y: Matrix, loss: Loss, task: Task, *, comm: Comm
    ) -> dict[str, float]: ...


class Batch(NamedTuple):
    """A validated batch of an iterator, in the layout of the kernels."""

    X: Matrix
    Y: Matrix
    weights: NDArray[np.float64] | None
    weight: float
    """The sum of the user's weights, or the number of samples."""


@dataclass
class Plan:
    """The validated options of `fit`, and the data in the layout of the kernels."""

    net: Trainable
    backend: Backend
    X: Matrix
    Y: Matrix
    weights: NDArray[np.float64] | None
    held_out: tuple[Matrix, Matrix] | None
    task: Task
    validation_task: Task
    """The task according to the validation samples, which decides whether there is an accuracy."""
    classes: NDArray[Any] | None
    class_weight: Any
    loss: Loss
    optimizer: Optimizer
    schedule: Factor | None
    extras: Extras
    epochs: int
    batch_size: int
    shuffle: bool
    seed: int | None
    early_stopping: EarlyStopping | None
    comm: Comm = field(default_factory=Alone)
    reduction: int | Literal["fast"] | None = None
    """How the gradients of the blocks of a batch are added up; None for whole batches."""
    _fingerprint: list[Any] = field(default_factory=list)
    batches: Any = None
    """A `stream.Batches`, of which X and Y are the first one; None if X and Y are all samples."""

    def distribute(self, comm: Comm, reduction: int | Literal["fast"] | None) -> None:
        """Cut batches into blocks, and share them among the ranks.

        Errors    ValueError on a GPU, where this does not work
        """
        if reduction is None:
            return
        if self.backend.is_remote:
            raise checks.Error("comm and reduction do not work on a GPU; use a CPU backend")
        self.comm, self.reduction = comm, reduction
        self.extras = self.extras._replace(is_in_blocks=True)

    def record_task(self, net: Trainable, is_continued: bool) -> None:
        """What the network is trained for; a part of the data, with which a training continues, can suggest another."""
        net.loss = self.loss.name
        net.task = (is_continued and net.task) or self.task
        net._classes = self.classes if net.task == "classes" else None

    @property
    def fingerprint(self) -> list[Any]:
        """Shapes and checksums of the data, to detect that a run is resumed with other data."""
        if not self._fingerprint:  # functools.cached_property has one lock for all ranks that are threads
            self._fingerprint = self._fingerprinted()
        return self._fingerprint

    def _fingerprinted(self) -> list[Any]:
        data = [] if self.batches else [self.X, self.Y]
        weights = [] if self.weights is None or self.batches else [self.weights]
        on_host = [self.backend.to_host(array) for array in (*data, *(self.held_out or ()), *weights)]
        checksum = zlib.crc32 if self.reduction is None else self._checksums
        return [["batches"]] * bool(self.batches) + [[list(array.shape), checksum(array)] for array in on_host]

    def _checksums(self, array: NDArray[Any]) -> list[int]:
        """The checksums of the parts of an array. Each rank reads some of them, and all must call it."""
        parts = cuts(len(array), PARTS)
        mine = range(PARTS)[self.comm.part(PARTS)]
        of_ranks = self.comm.allgather([zlib.crc32(array[parts[k] : parts[k + 1]].data) for k in mine])
        return list(itertools.chain.from_iterable(of_ranks))

    def choices(self) -> dict[str, Any]:
        """The options that determine the bits of a run, in the form of JSON."""
        layers = [layer.identity for layer in self.net.layers]
        choices: dict[str, Any] = storage.plain({
            "layers": layers, "dtype": self.net.dtype.name, "batch_size": self.batch_size, "loss": self.loss.name,
            "optimizer": self.optimizer.settings(), "shuffle": self.shuffle, "seed": self.seed,
            "early_stopping": self.early_stopping and self.early_stopping.settings(),
            "schedule": schedules.settings(self.schedule), "clip_norm": self.extras.clip_norm,
            "reduction": self.reduction,
        })  # fmt: skip
        return choices

    def settings(self) -> dict[str, Any]:
        """The settings that must be the same to resume a run, in the form of JSON."""
        settings: dict[str, Any] = self.choices() | {"data": storage.plain(self.fingerprint)}
        return settings

    @property
    def schedules_within_epochs(self) -> bool:
        """True if the learning rate changes from step to step."""
        return bool(getattr(self.schedule, "within_epochs", False))

    def validated_batch(self, X: Any, Y: Any, sample_weight: Any) -> Batch:
        """A further batch of `batches`."""
        inputs, wanted = labels.inputs_and_targets(self.net, X, Y, self.loss, self.classes)
        weights, most = _weights(sample_weight, self.class_weight, wanted, self.classes, is_part=True)
        return Batch(inputs, wanted.Y, weights, float(len(inputs) if weights is None else weights.sum() * most))


def _weights(
    sample_weight: Any, class_weight: Any, wanted: labels.Targets, classes: Any, is_part: bool
) -> tuple[Any, float]:
    """The weights of the samples times those of their classes, or None; and the number that they are divided by."""
    m, most = len(wanted.Y), 1.0
    weights: Any = None
    if sample_weight is not None:
        weights, most = arrays.weights(sample_weight, m, is_part)
    if class_weight is not None:
        of_classes = labels.class_weights(class_weight, wanted, classes)
        weights, factor = arrays.weights(of_classes if weights is None else weights * of_classes, m, is_part)
        most *= factor
    return weights, most


def validated(
    net: Trainable,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    optimizer: str | Optimizer,
    loss: str | Loss | None,
    backend: str,
    epochs: int = 1,
    batch_size: int = 1,
    validation: Any = None,
    shuffle: bool = False,
    seed: int | None = None,
    early_stopping: int | EarlyStopping | None = None,
    schedule: Factor | None = None,
    clip_norm: float | None = None,
    sample_weight: ArrayLike | None = None,
    class_weight: Any = None,
    classes: ArrayLike | None = None,
    learns: bool = False,
    batches: Any = None,
    part: Callable[[int], slice] | None = None,
) -> Plan:
    """Validate everything before anything is changed.

    learns     Y can define the classes
    batches    the `stream.Batches` of which X and Y are the first one; all samples of a batch can have the weight 0
    part       see `arrays.samples`
    """
    chosen_backend = backends.get(backend, net.dtype)
    last, which = net.layers[-1], losses.get(loss, net.layers[-1].activation)
    if last.activation == "softmax" and last.n_out == 1:
        raise checks.Error(
            "the last layer has one unit with 'softmax', whose output is always 1; use Dense(n_in, 2, 'softmax') or "
            "Dense(n_in, 1, 'sigmoid') for two classes, 'identity' for numbers"
        )
    known = net._classes if classes is None else labels.checked(classes, last.n_out)
    inputs, wanted = labels.inputs_and_targets(net, X, Y, which, known, learns, part)
    if wanted.classes is not None:
        known = wanted.classes
    held_out, validation_task = None, wanted.task
    if validation is not None:
        held_out, validation_task = _held_out(validation, net, which, known)
    weights, _ = _weights(sample_weight, class_weight, wanted, known, is_part=batches is not None)
    chosen = optimizers.get(optimizer)
    if clip_norm is not None:
        checks.expect_representable("clip_norm", checks.number("clip_norm", clip_norm, above=0), net.dtype)
    if schedules.checked(schedule) is not None:
        chosen.scaled(1)  # an error for an optimizer without a learning rate
    epochs, batch_size = checks.whole("epochs", epochs, least=1), checks.whole("batch_size", batch_size, least=1)
    return Plan(
        net=net, backend=chosen_backend, X=inputs, Y=wanted.Y, weights=weights, held_out=held_out, task=wanted.task,
        validation_task=validation_task, classes=known, class_weight=class_weight, loss=which, optimizer=chosen,
        schedule=schedule, extras=Extras(weights is not None, schedule is not None, clip_norm),
        epochs=epochs, batch_size=batch_size if batches is None else len(inputs), batches=batches,
        shuffle=checks.flag("shuffle", shuffle),
        seed=net.seed if seed is None else checks.whole("seed", seed, least=0),
        early_stopping=stopping.checked(early_stopping, held_out is not None, validation_task != "numbers"),
    )  # fmt: skip


def _held_out(validation: Any, net: Trainable, loss: Loss, classes: Any) -> tuple[tuple[Matrix, Matrix], Task]:
    """The validation samples, and their task."""
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        raise checks.Error("validation must be a pair (X, Y)")
    try:
        inputs, wanted = labels.inputs_and_targets(net, validation[0], validation[1], loss, classes)
    except checks.Error as error:
        raise checks.Error(f"in validation, {error}") from None
    return (inputs, wanted.Y), wanted.task


def steps(plan: Plan) -> list[Call]:
    """The calls of a step for a whole batch, and of one for the rest of the samples; or for their blocks."""
    n, calls = len(plan.X), []
    sizes = {min(plan.batch_size, n), n % plan.batch_size}
    if plan.reduction is not None:
        blocks = plan.comm.size if plan.reduction == "fast" else plan.reduction
        if plan.batches:  # X is that of this rank
            blocks = len(range(blocks)[plan.comm.part(blocks)])
        sizes = {stop - start for m in sizes for start, stop in itertools.pairwise(cuts(m, blocks))}
    for m in sizes - {0}:
        calls += needed(plan.net, plan.backend, m, plan.loss, plan.optimizer, plan.extras)
    return calls
