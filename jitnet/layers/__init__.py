"""The kinds of layers, one file each. `base` defines their interface to a network."""

from .base import Context as Context
from .base import Layer as Layer
from .base import from_settings as from_settings
from .dense import Dense
from .dropout import Dropout
from .layer_norm import LayerNorm

__all__ = ["Dense", "Dropout", "LayerNorm"]
