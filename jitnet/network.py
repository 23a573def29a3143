"""A network is a chain of layers: parameters, forward pass, gradients.

All parameters are views of one flat vector `theta`, and all gradients of a second one, `grad`; each W and b starts
on a cache line. Intermediate results are in a `Workspace`, which is created once per batch size.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import checks, evaluation, formulas, parameters, storage
from .backend import Backend
from .compiler.memory import aligned
from .compiler.registry import Call
from .compiler.types import BackendName, DtypeName, Matrix
from .display import graph as graphs
from .display import summary as summaries
from .kernels.activations import ACTIVATIONS
from .labels import Task
from .labels import checked as checked_classes
from .layers import Dense, Layer
from .losses import Loss
from .step import ROWS_AT_ONCE, Memory, Workspace
from .training import fitting, single_step
from .training import state as states
from .training.state import State

if TYPE_CHECKING:
    from .data.preprocessing.recipe import Recipe

IDLE = 2
"""The number of idle twins (copies for other threads, with their own gradients and work space) that a network keeps."""


class BorrowedTwin:
    """For `with`: an idle twin of a network, or a new one. It is a class because a generator would take longer."""

    __slots__ = ("_net", "_twin")

    def __init__(self, net: Network) -> None:
        self._net = net

    def __enter__(self) -> Network:
        try:
            self._twin = self._net._twins.pop()  # atomic, without a lock that could stay locked in a forked child
        except IndexError:
            self._twin = self._net._sharing_theta()
            self._twin._lay_out(theta=self._net.theta)
        return self._twin

    def __exit__(self, *_: object) -> None:
        if len(self._net._twins) < IDLE:
            self._net._twins.append(self._twin)


class Network:
    """A multilayer perceptron.

    >>> from jitnet import Dense, Network
    >>> Network(Dense(64, 32, "sigmoid"), Dense(32, 10, "softmax"), seed=0, dtype="float32")
    <Network 64-32-10 (sigmoid, softmax), 2,410 parameters, float32>

    Shapes    X (m, n_in of the first layer); output (m, n_out of the last)
    Dtype     "float32" or "float64", for parameters and everything computed with them
    seed      of the initial parameters and the order of samples in `fit`; None draws one
    Errors    ValueError for layers that do not chain, unknown names, and invalid input

    Several threads can use one network at once, but only one of them can `fit` it; meanwhile, the others compute with
    parameters that are changing.
    """

    def __init__(
        self, *layers: Layer, seed: int | None = None, dtype: DtypeName | np.dtype[Any] | type[Any] = "float32"
    ) -> None:
        for layer in layers:
            if isinstance(layer, (list, tuple)):
                raise checks.Error("layers must not be in a list; write Network(*layers) or Network(layer, ...)")
            if not isinstance(layer, Layer):
                raise checks.Error(f"{layer!r} is not a layer; write Dense(n_in, n_out, activation)")
        self.layers = _chained(layers)
        self.dtype = checks.dtype_of(dtype)
        self.seed = None if seed is None else checks.whole("seed", seed, least=0)
        self.loss: str | None = None  # of the last training
        self.recipe: Any = None  # how the columns of a table are prepared, as the command line learned it
        self.task: Task | None = None  # that it was trained for: one class of several, several labels, numbers
        self._classes: NDArray[Any] | None = None
        self._reset_private_state()
        self._lay_out()
        rng = np.random.default_rng(seed)
        for layer in self.layers:
            layer.initialize(rng)

    def _reset_private_state(self) -> None:
        """Create what belongs to this object alone, and is not copied: work space, twins, the state of a training."""
        self._workspaces: dict[int, Workspace] = {}
        self._on_gpu: Network | None = None
        self._twins: list[Network] = []
        self._fitting = threading.Lock()
        self._state: State | None = None  # of the latest training
        self._recorded: single_step.Recorded | None = None

    def _lay_out(self, memory: Memory = aligned, theta: Any = None) -> None:
        """Allocate grad and, unless it is given, theta, and give each layer its views of both."""
        self._memory = memory
        self.theta = memory(parameters.length(self.layers, self.dtype), self.dtype) if theta is None else theta
        self.grad = memory(self.theta.size, self.dtype)
        values, grads = (parameters.views(self.layers, flat) for flat in (self.theta, self.grad))
        for l, layer in enumerate(self.layers):
            layer._values, layer._grads = values[l], grads[l]

    def __getstate__(self) -> dict[str, Any]:
        """For copy and pickle: theta without views, which would become copies, and without the optimizer's state."""
        blank: Network = object.__new__(type(self))
        blank._reset_private_state()
        made_anew = {"grad", "_memory", *vars(blank)}
        state = {name: value for name, value in vars(self).items() if name not in made_anew}
        return {**state, "layers": tuple(map(replace, self.layers))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._reset_private_state()
        self._lay_out()
        self.theta[...] = state["theta"]

    def _twin(self) -> BorrowedTwin:
        """A network with the same parameters, but with work space and gradients for the calling thread only."""
        return BorrowedTwin(self)

    def _sharing_theta(self) -> Network:
        """A copy with the same theta, whose layers get views of their own from `_lay_out`."""
        other: Network = object.__new__(type(self))
        vars(other).update(vars(self), layers=tuple(map(replace, self.layers)))
        other._reset_private_state()
        return other

    @contextlib.contextmanager
    def in_training(self) -> Iterator[Network]:
        """A twin to train, which shares the parameters of this network; only one thread at a time can have it."""
        if not self._fitting.acquire(blocking=False):
            raise checks.Error("another call of fit is training this network; wait for its end, or fit another network")
        try:
            with self._twin() as twin:
                yield twin
        finally:
            self._fitting.release()

    def on(self, backend: Backend) -> Network:
        """This network in the memory of this backend: itself, or its replica on the GPU with the current parameters."""
        if not backend.is_remote:
            return self
        if self._on_gpu is None:
            replica = self._sharing_theta()
            replica._lay_out(backend.memory)  # can run out of memory
            self._on_gpu = replica
        self._on_gpu.theta.copy_to_device(self.theta)
        return self._on_gpu

    def __repr__(self) -> str:
        labels = ", ".join(layer.label for layer in self.layers)
        return f"<Network {self.widths} ({labels}), {self.parameters:,} parameters, {self.dtype}>"

    @property
    def widths(self) -> str:
        """Input, hidden layers and output, as in "64-32-10"."""
        outputs = (layer.n_out for layer in self.layers if isinstance(layer, Dense))
        return "-".join(str(n) for n in [self.layers[0].n_in, *outputs])

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return sum(math.prod(shape) for layer in self.layers for shape in layer.shapes.values())

    @property
    def classes(self) -> NDArray[Any] | None:
        """The labels in the order of the outputs: text, whole numbers or booleans; None if there are none.

        `fit` sets them from its labels (m,). Set them yourself before `step` or `partial_fit`, which see few labels.
        One unit with sigmoid has two classes. The classes of a model of `jitnet train` come from the target column.
        """
        if self.recipe is None:
            return self._classes
        return self._recipe().labels

    @classes.setter
    def classes(self, labels: ArrayLike | None) -> None:
        if self.recipe is not None:
            raise checks.Error("the classes of a model of jitnet train are those of its table, and cannot be set")
        self._classes = checked_classes(labels, self.layers[-1].n_out)

    def __dir__(self) -> list[str]:
        """The public names, for tab completion; the others are for training and backends."""
        internal = {"execute", "in_training", "measure", "needed", "on", "prepared", "workspace"}
        return [name for name in super().__dir__() if name not in internal and not name.startswith("pass_")]

    # The four formulas, forward and back.

    def _active(self, training: bool) -> list[int]:
        """The layers of this pass."""
        return [l for l, layer in enumerate(self.layers) if training or not layer.only_in_training]

    def pass_forward(self, X: Matrix, work: Workspace, keep_Z: bool = False, training: bool = False) -> list[Call]:
        """A^l = f(A^{l-1}·W^l + b^l), from A^0 = X to the output; the last Z is stored if keep_Z is True.

        The Z of other layers are stored where their activation needs them.
        """
        calls, A_before, last = [], X, len(self.layers) - 1
        for l in self._active(training):
            layer, A = self.layers[l], work.A[l]
            is_kept = ACTIVATIONS[layer.activation].keeps_Z or (keep_Z and l == last)
            calls += layer.forward(A_before, work.Z[l] if is_kept else A, A, work.contexts[l])
            A_before = A
        return calls

    def pass_output(self, Y: Matrix, loss: Loss, work: Workspace, is_weighted: bool = False) -> list[Call]:
        """delta^L = ∂L/∂A^L ⊙ f'(Z^L), and the loss of each sample; L is their mean, or weighted mean by work.w."""
        scale = self.dtype.type(loss.scale(work.m, self.layers[-1].n_out))
        f = self.layers[-1].activation
        calls = formulas.output(loss, scale, work.Z[-1], work.A[-1], Y, f, work.delta[-1], work.losses)
        return [*calls, Call("weigh", (work.w, work.delta[-1], work.delta[-1]))] if is_weighted else calls

    def pass_back(
        self, X: Matrix, work: Workspace, descent: tuple[float, float] | None = None, training: bool = False
    ) -> list[Call]:
        """From delta at the output, layer by layer: delta of the previous layer, and the gradients.

        With `descent`, a learning rate and a weight decay, the parameters are updated directly, and the gradients are
        not stored.
        """
        calls, active = [], self._active(training)
        for l, before in zip(reversed(active), [*reversed(active[:-1]), None], strict=True):
            layer, ctx, delta = self.layers[l], work.contexts[l], work.delta[l]
            A_before = X if before is None else work.A[before]
            if before is not None:
                f, Z = self.layers[before].activation, work.Z[before]
                calls += layer.propagate(delta, Z, A_before, f, work.delta[before], ctx)
            if descent:
                lr, weight_decay = map(self.dtype.type, descent)
                calls += layer.descend(A_before, delta, lr, weight_decay, ctx)
            else:
                calls += layer.gradients(A_before, delta, ctx)
        return calls

    def needed(self, m: int, loss: Loss | None = None) -> list[Call]:
        """The calls of `forward`, or with a loss those of `evaluate`, for m samples; used to compile their kernels."""
        calls = []
        for rows in {min(m, ROWS_AT_ONCE), m % ROWS_AT_ONCE} - {0}:
            work = Workspace(self.layers, rows, self.dtype, np.empty)
            calls += self.pass_forward(work.X, work, loss is not None and loss.reads_Z)
            calls += self.pass_output(work.Y, loss, work) if loss else []
        return calls

    def execute(self, backend: Backend, passes: str, calls: list[Call]) -> None:
        """Execute the calls of these passes, with the number of threads that is fastest for them."""
        backend.run(calls, passes, self.theta.size, self.dtype)

    def workspace(self, m: int) -> Workspace:
        """Memory for m samples, created at the first use; the four latest sizes are kept."""
        if m not in self._workspaces:
            if len(self._workspaces) == 4:
                del self._workspaces[next(iter(self._workspaces))]
            self._workspaces[m] = Workspace(self.layers, m, self.dtype, self._memory)
        return self._workspaces[m]

    # For users.

    forward = evaluation.forward

    def predict(self, X: ArrayLike, backend: BackendName = "fast") -> NDArray[Any]:
        """Labels (m,), one for each sample, or (m, n_out) for several labels of 0 and 1; otherwise the output itself.

        The labels are those of the training, `net.classes`. Without classes they are int64, for softmax or one sigmoid.
        A model of `jitnet train` takes rows in the form of its file, as an array, a DataFrame, dictionaries or the path
        of another file, and returns (m,).

        Errors    ValueError as for `forward`, and if an output is not finite
        """
        if self.recipe is not None:
            return self._recipe().predicted(self, X, backend)
        return evaluation.predict(self, X, backend)

    def prepared(self, X: ArrayLike, Y: ArrayLike) -> tuple[Matrix, NDArray[Any]]:
        """Rows and targets in the form of the training file -> inputs and targets for `fit` and `forward`."""
        return self._recipe().samples(X, Y, self.dtype)

    def _recipe(self) -> Recipe:
        from .data.preprocessing.recipe import Recipe  # here: only models of tables need it

        return Recipe.from_plain(self.recipe)

    evaluate = evaluation.evaluate
    measure = evaluation.measure
    gradients = evaluation.gradients
    fit = fitting.fit
    partial_fit = fitting.partial_fit
    step = single_step.step
    state_dict = states.state_dict
    load_state_dict = states.load_state_dict
    graph = graphs.graph
    summary = summaries.summary
    _repr_html_ = summaries.network

    def save(self, path: str | Path) -> None:
        """Write the network to an .npz file, atomically."""
        storage.save(path, self)


def _chained(layers: tuple[Layer, ...]) -> tuple[Any, ...]:
    """Copies of the layers, each for the output width of the previous layer."""
    if layers and not isinstance(layers[-1], Dense):
        raise checks.Error(f"the last layer is {layers[-1]!r}, but must be a Dense, as in Dense(64, 10, 'softmax')")
    width = next((layer.n_in for layer in layers if isinstance(layer, Dense)), 0)
    chained = []
    for layer in layers:
        chained.append(layer.placed(width))
        width = chained[-1].n_out
    checks.expect_chained([(layer.n_in, layer.n_out) for layer in chained])
    return tuple(chained)


def load(path: str | Path) -> Network:
    """Read a network that `Network.save` or `jitnet train --save` wrote.

    Errors    FileNotFoundError; ValueError if the file is damaged, truncated, forged or from a newer version, or needs
              an activation or a loss of a user that is not defined yet
    """
    model = storage.read_model(path)
    try:
        with checks.fits_into_memory(path):
            net = of_model(model)
    except (checks.Error, TypeError) as error:
        raise checks.Error(f"{path} is not a valid jitnet model: {checks.reason(error)}") from None
    for name, value in parameters.named(net.layers, net.theta).items():
        value[...] = model.arrays[name]
    return net


def of_model(model: storage.Model) -> Network:
    """The network that a file describes, with initial parameters."""
    net = Network(*model.layers, seed=model.seed, dtype=np.dtype(model.dtype))
    net.loss, net.recipe, net.task, net._classes = model.loss, model.recipe, model.task, model.classes
    return net
