"""The losses that a user names: which activation each goes with, and the constants of its formula.

Each is averaged over the batch. The loops are in kernels/losses.py.
"""

from dataclasses import dataclass

from . import checks
from .kernels.elementwise import ACTIVATIONS


@dataclass(frozen=True)
class Loss:
    """What the orchestration has to know about a loss."""

    name: str
    """Its name, and that of its kernel."""
    made_for: str | None
    """The activation of the output layer that it is defined for, or None if it goes with every one."""
    reads_Z: bool
    """Computed from the pre-activation too, for the sake of accuracy, and differentiated together with the
    activation: the error A − Y, scaled, is already ∂L/∂Z."""
    averages_outputs: bool
    """Averaged over the outputs of a sample too."""

    @property
    def goes_with(self) -> tuple[str, ...]:
        """Activations of the output layer for which it is defined."""
        return (self.made_for,) if self.made_for else tuple(ACTIVATIONS)

    def scale(self, m: int, n_out: int) -> float:
        """The constant in front of A − Y, for a batch of m samples."""
        return 2.0 / (m * n_out) if self.averages_outputs else 1.0 / m


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("half_squared_error", None, False, False),
        Loss("mse", None, False, True),
        Loss("cross_entropy", "softmax", True, False),
        Loss("binary_cross_entropy", "sigmoid", True, False),
    )
}


def get(name: str | None, activation: str) -> Loss:
    """The loss of that name, checked against the output layer's activation; None means the one that suits it."""
    if name is None:
        name = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy"}.get(activation, "mse")
    loss = LOSSES[checks.one_of("loss", name, LOSSES)]
    if activation not in loss.goes_with:
        fitting = [other.name for other in LOSSES.values() if activation in other.goes_with]
        raise checks.Error(
            f"loss {name!r} needs {loss.goes_with[0]!r} in the last layer, which has {activation!r}; "
            f"change the activation, or use one of: {', '.join(fitting)}"
        )
    return loss
