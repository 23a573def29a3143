"""The kinds of layers, one file each. `base` defines their interface to a network."""

from .base import KINDS as KINDS
from .base import Layer as Layer
from .base import Spot as Spot
from .base import from_settings as from_settings
from .base import kind as kind
from .dense import Dense
from .dense import Gradient as Gradient
from .dropout import Dropout
from .layer_norm import LayerNorm

__all__ = ["Dense", "Dropout", "LayerNorm"]
