"""Weights to and from other libraries: one file per library, which is imported where it is used.

torch          from_torch, to_torch: a Sequential, or a state_dict
keras          from_keras, to_keras: the list of arrays of get_weights and set_weights
scikit_learn   from_sklearn: a fitted MLPClassifier or MLPRegressor
onnx           to_onnx: a file for ONNX Runtime and others
safetensors    from_safetensors, to_safetensors: a file of named arrays, with the state of the optimizer

Parameters are copied bit for bit, so a network that is copied there and back is the same.
"""

from .keras import from_keras, to_keras
from .onnx import to_onnx
from .safetensors import from_safetensors, to_safetensors
from .scikit_learn import from_sklearn
from .torch import from_torch, to_torch

__all__ = [
    "from_keras", "from_safetensors", "from_sklearn", "from_torch", "to_keras", "to_onnx", "to_safetensors",
    "to_torch",
]  # fmt: skip
