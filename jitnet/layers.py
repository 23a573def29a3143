"""Layers: their interface to a network, and the kinds of layers.

A layer defines its width, its parameters, and its formulas as lists of calls. The network owns the parameters, one flat
vector, and gives each layer views of it; the results of a pass are in a `Workspace`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import checks, formulas
from .compiler.registry import Call
from .compiler.types import Matrix, Vector
from .kernels.activations import ACTIVATIONS, ActivationName
from .kernels.elementwise import Activation

INITS: dict[str, Callable[[np.random.Generator, int, int], NDArray[Any]]] = {
    "glorot": lambda rng, n_in, n_out: rng.uniform(-1, 1, (n_in, n_out)) * math.sqrt(6 / (n_in + n_out)),
    "he": lambda rng, n_in, n_out: rng.standard_normal((n_in, n_out)) * math.sqrt(2 / n_in),
    "zeros": lambda rng, n_in, n_out: np.zeros((n_in, n_out)),
}
"""Initial W: glorot (Glorot and Bengio, 2010) suits sigmoid and tanh, he (He et al., 2015) relu. b starts at 0."""


class NameOfActivation:
    """The field `activation` of a layer: a name, or an object of `@jitnet.activation`, which is stored as its name."""

    def __get__(self, layer: Any, owner: Any) -> str:
        return "identity" if layer is None else str(vars(layer)["activation"])

    def __set__(self, layer: Any, value: ActivationName | Activation) -> None:
        vars(layer)["activation"] = (
            checks.name_of("activation", value, ACTIVATIONS) if isinstance(value, Activation) else value
        )


class Gradient(NamedTuple):
    """The gradients of one Dense: ∂L/∂W, ∂L/∂b (None with bias=False) and delta = ∂L/∂Z. A Dropout has three None."""

    dW: Any
    db: Any
    delta: Any


class Spot(NamedTuple):
    """A layer's place in a network, and its memory for the passes over one batch."""

    l: int
    clock: Vector
    """The seed of the training, and the index of the step."""
    kept: Any
    """`keeps` numbers per sample, stored from the forward pass to the backward pass."""


class Layer(ABC):
    """The interface of a layer. A kind of layer is a dataclass, which `kind` registers.

    X is the input, A the output; delta is ∂L/∂A ⊙ f'(Z) with the layer's own activation.
    """

    n_in: int
    n_out: int
    activation: str = "identity"
    """f, the last function of the output; the next layer differentiates it too."""
    stored: ClassVar[tuple[str, ...]]
    """The settings in files."""
    only_in_training: ClassVar[bool] = False
    """True if prediction and evaluation skip the layer."""
    keeps: ClassVar[int] = 0

    _values: tuple[Any, ...] = ()
    _grads: tuple[Any, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        """Settings can be set before the layer is in a network, parameters after."""
        is_in_network, kind = "_values" in vars(self), type(self)
        if name not in ("_values", "_grads") and not isinstance(getattr(kind, name, None), property):
            if name not in getattr(kind, "__dataclass_fields__", {}):
                raise checks.Error(f"{kind.__name__} has no {name} to set")
            if is_in_network:  # its twins have copies, and recorded steps have the numbers
                raise checks.Error(
                    f"{name} of {kind.__name__} cannot change once the layer is in a network; make a new Network with "
                    f"{kind.__name__}({name}=...), and copy the parameters"
                )
        super().__setattr__(name, value)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters by name, in their order in theta; a missing one has no elements."""
        return {}

    @property
    def label(self) -> str:
        """Its name in the description of a network."""
        return self.activation

    @property
    def identity(self) -> tuple[Any, ...]:
        """The settings that must be the same to resume a run."""
        return tuple(self.settings().values())

    def placed(self, width: int) -> "Layer":
        """A copy without parameters, for an input of this width."""
        return replace(self)  # type: ignore[type-var]

    def begin(self, rng: np.random.Generator) -> None:  # noqa: B027 (without parameters there is nothing to do)
        """Set the initial values of the parameters."""

    @abstractmethod
    def forward(self, X: Matrix, Z: Matrix, A: Matrix, spot: Spot) -> list[Call]:
        """A from X. Z stores the pre-activation, unless it is A."""

    @abstractmethod
    def propagate(self, delta: Matrix, Z: Matrix, X: Matrix, f: str, delta_before: Matrix, spot: Spot) -> list[Call]:
        """delta_before = ∂L/∂X ⊙ f'(Z), where X = f(Z) is the output of the layer before."""

    @abstractmethod
    def gradients(self, X: Matrix, delta: Matrix, spot: Spot) -> list[Call]:
        """The gradients by the parameters, into grad."""

    def descend(self, X: Matrix, delta: Matrix, lr: Any, weight_decay: Any, spot: Spot) -> list[Call]:
        """A gradient step for the parameters."""
        pairs = zip(self._grads, self._values, strict=True)
        steps = [Call("sgd", (grad, lr, weight_decay, value)) for grad, value in pairs]
        return [*self.gradients(X, delta, spot), *steps]

    @abstractmethod
    def gradient(self, delta: Any) -> "Gradient | NormGradient":
        """Copies of its gradients, for users."""

    def settings(self) -> dict[str, Any]:
        """The settings for a file."""
        return {"kind": type(self).__name__, **{name: getattr(self, name) for name in self.stored}}

    def _view(self, views: tuple[Any, ...], position: int) -> Any:
        if not views:
            kind = type(self).__name__
            raise checks.Error(
                f"this {kind} has no parameters yet: they belong to the copy in a Network, net.layers[l]"
            )
        return views[position]

    @staticmethod
    def _assign(name: str, target: NDArray[Any], values: ArrayLike) -> None:
        if np.shape(values) != target.shape:
            raise checks.Error(f"{name} has shape {target.shape}, but was given {np.shape(values)}")
        target[...] = values  # a view of theta stays a view of theta


KINDS: dict[str, type[Layer]] = {}
"""Name in files -> kind of layer."""


def kind(layer: type[Any]) -> type[Any]:
    """Register a kind of layer by its name."""
    KINDS[layer.__name__] = layer
    return layer


def from_settings(what: str, content: Any) -> Layer:
    """The layer that a file describes; without a kind it is a Dense, as in older files.

    Errors    ValueError if the description is not valid
    """
    settings = dict(checks.fields(what, content))
    chosen = KINDS[checks.one_of(f"kind of {what}", settings.pop("kind", "Dense"), KINDS)]
    return chosen(**checks.fields(what, settings, chosen.stored))


@kind
@dataclass
class Dense(Layer):
    """One layer: A = f(X·W + b).

    Shapes    X (m, n_in), W (n_in, n_out), b (n_out,), A (m, n_out)
    f         one of ACTIVATIONS; or one of yours, see `jitnet.activation`
    init      "glorot", "he" or "zeros"
    Errors    ValueError for widths below 1 and unknown names

    A network makes its own copy of each layer and gives it W, b, dW and db: views of theta and grad.
    """

    n_in: int
    n_out: int
    activation: NameOfActivation = NameOfActivation()
    bias: bool = True
    init: str = "glorot"

    stored = ("n_in", "n_out", "activation", "bias", "init")

    def __post_init__(self) -> None:
        self.n_in = checks.whole("n_in of Dense", self.n_in, least=1)
        self.n_out = checks.whole("n_out of Dense", self.n_out, least=1)
        self.bias = checks.flag("bias of Dense", self.bias)
        checks.one_of("activation", vars(self)["activation"], ACTIVATIONS)
        checks.one_of("init", self.init, INITS)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.n_in, self.n_out), "b": (self.n_out if self.bias else 0,)}

    @property
    def identity(self) -> tuple[Any, ...]:
        return self.n_in, self.n_out, self.activation, self.bias

    def begin(self, rng: np.random.Generator) -> None:
        self.W = INITS[self.init](rng, self.n_in, self.n_out)

    def settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.stored}  # the format of older versions

    def forward(self, X: Matrix, Z: Matrix, A: Matrix, spot: Spot) -> list[Call]:
        W, b = self._values
        return formulas.forward(X, W, b, self.activation, Z, A)

    def propagate(self, delta: Matrix, Z: Matrix, X: Matrix, f: str, delta_before: Matrix, spot: Spot) -> list[Call]:
        return formulas.propagate(delta, self._values[0], Z, X, f, delta_before)

    def gradients(self, X: Matrix, delta: Matrix, spot: Spot) -> list[Call]:
        dW, db = self._grads
        return formulas.gradients(X, delta, dW, db)

    def descend(self, X: Matrix, delta: Matrix, lr: Any, weight_decay: Any, spot: Spot) -> list[Call]:
        W, b = self._values
        return formulas.descend(X, delta, lr, weight_decay, W, b)

    def gradient(self, delta: Any) -> Gradient:
        return Gradient(self.dW.copy(), None if self.db is None else self.db.copy(), delta)

    @property
    def W(self) -> Matrix:
        """Weights (n_in, n_out)."""
        return self._view(self._values, 0)  # type: ignore[no-any-return]

    @W.setter
    def W(self, values: ArrayLike) -> None:
        self._assign("W", self.W, values)

    @property
    def b(self) -> Vector | None:
        """Bias (n_out,), or None with bias=False."""
        b = self._view(self._values, 1)
        return b if self.bias else None

    @b.setter
    def b(self, values: ArrayLike) -> None:
        if self.b is None:
            raise checks.Error("this layer has no bias: it was created with bias=False")
        self._assign("b", self.b, values)

    @property
    def dW(self) -> Matrix:
        """∂L/∂W of the last batch in `gradients` (n_in, n_out)."""
        return self._view(self._grads, 0)  # type: ignore[no-any-return]

    @property
    def db(self) -> Vector | None:
        """∂L/∂b of the last batch in `gradients` (n_out,), or None with bias=False."""
        return self._view(self._grads, 1) if self.bias else None


@kind
@dataclass
class Dropout(Layer):
    """In training, each number is set to 0 with probability `rate`, and the others are divided by 1 − rate.

    Shapes    X (m, n), A (m, n), as wide as what comes before
    rate      from 0 to below 1
    Errors    ValueError for other rates, and as the last layer

    Only `fit` drops numbers; forward, predict, evaluate and gradients skip this layer. The dropped numbers depend only
    on the training seed, the step, the layer and the index: the same with any number of threads, and in a resumed run.
    """

    rate: float
    n_in: int = field(default=0, repr=False, kw_only=True)
    """The width, which the network sets."""

    stored = ("rate",)
    only_in_training = True

    def __post_init__(self) -> None:
        self.rate = checks.number("rate of Dropout", self.rate, least=0, below=1)

    @property
    def n_out(self) -> int:  # type: ignore[override]
        return self.n_in

    @property
    def label(self) -> str:
        return f"dropout {self.rate:g}"

    def placed(self, width: int) -> "Dropout":
        return Dropout(self.rate, n_in=width)

    def forward(self, X: Matrix, Z: Matrix, A: Matrix, spot: Spot) -> list[Call]:
        threshold, scale = round((1 - self.rate) * 2**32), X.dtype.type(1 / (1 - self.rate))
        return [Call("dropout", (X, threshold, scale, spot.l, spot.clock, A))]

    def propagate(self, delta: Matrix, Z: Matrix, X: Matrix, f: str, delta_before: Matrix, spot: Spot) -> list[Call]:
        calls = self.forward(delta, delta_before, delta_before, spot)  # numbers that were set to 0 have no gradient
        return calls if f == "identity" else [*calls, formulas.derivative(Z, X, f, delta_before)]

    def gradients(self, X: Matrix, delta: Matrix, spot: Spot) -> list[Call]:
        return []

    def gradient(self, delta: Any) -> Gradient:
        return Gradient(None, None, None)


class NormGradient(NamedTuple):
    """The gradients of one LayerNorm: ∂L/∂gamma, ∂L/∂beta and delta = ∂L/∂A, with A its output."""

    dgamma: Vector
    dbeta: Vector
    delta: Matrix


@kind
@dataclass
class LayerNorm(Layer):
    """Each sample is normalized to mean 0 and variance 1: A = gamma·(X − mean)/√(variance + epsilon) + beta.

    Shapes    X (m, n), gamma (n,), beta (n,), A (m, n)
    epsilon   keeps a sample of equal numbers from dividing by 0
    Errors    ValueError for widths below 1 and epsilon not above 0

    gamma begins at 1 and beta at 0. Ba, Kiros and Hinton, 2016.
    """

    n: int
    epsilon: float = 1e-5

    stored = ("n", "epsilon")
    keeps = 2

    def __post_init__(self) -> None:
        self.n = checks.whole("n of LayerNorm", self.n, least=1)
        self.epsilon = checks.number("epsilon of LayerNorm", self.epsilon, above=0)

    @property
    def n_in(self) -> int:  # type: ignore[override]
        return self.n

    @property
    def n_out(self) -> int:  # type: ignore[override]
        return self.n

    @property
    def label(self) -> str:
        return "layer norm"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"gamma": (self.n,), "beta": (self.n,)}

    @property
    def gamma(self) -> Vector:
        """Scale (n,)."""
        return self._view(self._values, 0)  # type: ignore[no-any-return]

    @gamma.setter
    def gamma(self, values: ArrayLike) -> None:
        self._assign("gamma", self.gamma, values)

    @property
    def beta(self) -> Vector:
        """Shift (n,)."""
        return self._view(self._values, 1)  # type: ignore[no-any-return]

    @beta.setter
    def beta(self, values: ArrayLike) -> None:
        self._assign("beta", self.beta, values)

    def begin(self, rng: np.random.Generator) -> None:
        checks.survives("epsilon of LayerNorm", self.epsilon, self.gamma.dtype)
        self.gamma = np.ones(self.n)

    def forward(self, X: Matrix, Z: Matrix, A: Matrix, spot: Spot) -> list[Call]:
        return [Call("layer_norm", (X, *self._values, X.dtype.type(self.epsilon), spot.kept, A))]

    def propagate(self, delta: Matrix, Z: Matrix, X: Matrix, f: str, delta_before: Matrix, spot: Spot) -> list[Call]:
        calls = [Call("layer_norm_back", (X, self._values[0], spot.kept, delta, delta_before))]
        return calls if f == "identity" else [*calls, formulas.derivative(Z, X, f, delta_before)]

    def gradients(self, X: Matrix, delta: Matrix, spot: Spot) -> list[Call]:
        return [Call("layer_norm_gradients", (X, spot.kept, delta, *self._grads))]

    def gradient(self, delta: Any) -> NormGradient:
        dgamma, dbeta = self._grads
        return NormGradient(dgamma.copy(), dbeta.copy(), delta)


Dense.__doc__ = str(Dense.__doc__).replace("ACTIVATIONS", ", ".join(f'"{name}"' for name in ACTIVATIONS))
