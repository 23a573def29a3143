"""The losses by name, and the activations for which they are defined. Their kernels are in kernels/losses.py.

Each is averaged over the batch.
"""

from . import checks
from .kernels.losses import LOSSES, Loss, LossName

__all__ = ["LOSSES", "Loss", "LossName", "get"]


def get(name: str | Loss | None, activation: str) -> Loss:
    """The loss of this name, checked against the output layer's activation; None selects the loss that suits it."""
    if name is None:
        name = next((loss.name for loss in LOSSES.values() if loss.made_for == activation), "mse")
    name = checks.name_of("loss", name, LOSSES) if isinstance(name, Loss) else name
    loss = LOSSES[checks.one_of("loss", name, LOSSES, can_define=True)]
    if activation not in loss.goes_with:
        suitable = [other.name for other in LOSSES.values() if activation in other.goes_with]
        raise checks.Error(
            f"loss {name!r} needs {loss.made_for!r} in the last layer, which has {activation!r}; "
            f"change the activation, or use one of: {', '.join(suitable)}"
        )
    return loss
