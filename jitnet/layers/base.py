"""The interface of a layer to a network, and the registry of the kinds of layers.

A layer defines its width, its parameters, and its formulas as lists of calls. The network owns the parameters, one flat
vector, and gives each layer views of it; the results of a pass are in a `Workspace`.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import arrays, checks
from ..compiler.registry import Call, expect_new
from ..compiler.types import Matrix, Vector


class Context(NamedTuple):
    """Where a layer is in a network, and what its forward pass leaves for its backward pass, as PyTorch's ctx."""

    l: int
    """The position of the layer."""
    clock: Vector
    """The seed of the training, and the index of the step."""
    kept: Any
    """`kept_per_sample` numbers for each sample, or None."""


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
    kept_per_sample: ClassVar[int] = 0
    """How many numbers the forward pass stores for the backward pass."""

    _values: tuple[Any, ...] = ()
    _grads: tuple[Any, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        """Settings can be set before the layer is in a network, parameters after."""
        is_in_network, kind = "_values" in vars(self), type(self)
        if name not in ("_values", "_grads") and not isinstance(getattr(kind, name, None), property):
            if name not in getattr(kind, "__dataclass_fields__", {}):
                raise checks.Error(f"{kind.__name__} has no {name} to set")
            if is_in_network:  # twins have copies of the setting, and recorded steps have its value
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
        """The name of the layer in the description of a network."""
        return self.activation

    @property
    def identity(self) -> tuple[Any, ...]:
        """The settings that must be the same to resume a run."""
        return tuple(self.settings().values())

    def placed(self, width: int) -> "Layer":
        """A copy without parameters, for an input of this width."""
        return replace(self)  # type: ignore[type-var]

    def initialize(self, rng: np.random.Generator) -> None:  # noqa: B027 (without parameters there is nothing to do)
        """Set the initial values of the parameters."""

    @abstractmethod
    def forward(self, X: Matrix, Z: Matrix, A: Matrix, ctx: Context) -> list[Call]:
        """A from X. Z stores the pre-activation, unless it is A."""

    @abstractmethod
    def propagate(self, delta: Matrix, Z: Matrix, X: Matrix, f: str, delta_before: Matrix, ctx: Context) -> list[Call]:
        """delta_before = ∂L/∂X ⊙ f'(Z), where X = f(Z) is the output of the previous layer."""

    @abstractmethod
    def gradients(self, X: Matrix, delta: Matrix, ctx: Context) -> list[Call]:
        """The gradients with respect to the parameters, into grad."""

    def descend(self, X: Matrix, delta: Matrix, lr: Any, weight_decay: Any, ctx: Context) -> list[Call]:
        """A gradient step for the parameters."""
        pairs = zip(self._grads, self._values, strict=True)
        steps = [Call("sgd", (grad, lr, weight_decay, value)) for grad, value in pairs]
        return [*self.gradients(X, delta, ctx), *steps]

    @abstractmethod
    def gradient_copies(self, delta: Any) -> Any:
        """The gradients for users: copies, as a named tuple."""

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
        target[...] = arrays.parameter(name, values, target.shape, target.dtype)  # a view of theta stays one


KINDS: dict[str, type[Layer]] = {}
"""Name in files -> kind of layer."""


def kind(layer: type[Any]) -> type[Any]:
    """Register a kind of layer by its name."""
    expect_new(f"layer {layer.__name__!r}", KINDS.get(layer.__name__), layer)
    KINDS[layer.__name__] = layer
    return layer


def from_settings(what: str, content: Any) -> Layer:
    """The layer that a file describes; without a kind it is a Dense, as in older files.

    Errors    ValueError if the description is not valid
    """
    settings = dict(checks.fields(what, content))
    chosen = KINDS[checks.one_of(f"kind of {what}", settings.pop("kind", "Dense"), KINDS)]
    return chosen(**checks.fields(what, settings, chosen.stored))
