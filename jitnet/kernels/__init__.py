"""Every loop that jitnet computes with, written by hand: one file per operation, with its rungs from naive to fast.

The legend, for code, formulas and plots alike:

    m            samples in a mini-batch
    n_in, n_out  width of a layer's input and output
    X            input of a layer, one sample per row          (m, n_in)
    W, b         weights, bias                                 (n_in, n_out), (n_out,)
    Z            pre-activation, Z = X·W + b                   (m, n_out)
    A            activation, A = f(Z)                          (m, n_out)
    Y            target                                        (m, n_out)
    L            the loss, a scalar, averaged over the batch
    delta        ∂L/∂Z of a layer                              (m, n_out)
    dW, db, dX   ∂L/∂W = Xᵀ·delta, ∂L/∂b = Σ_rows delta, ∂L/∂X = delta·Wᵀ
    i, j, k      sample, unit out, unit in
    theta, grad  all parameters as one flat vector, and their gradient

    LADDERS["matmul"]["reordered"](X, W, Z)     a rung is a function: inputs first, outputs last, returns None
"""

import importlib
import pkgutil

from ..compiler.registry import LADDERS as LADDERS
from ..compiler.registry import SIGNATURES as SIGNATURES

LAST = "numpy_baseline"
"""Imported last, because it adds to the ladders of the other files."""

FILES = sorted((file.name for file in pkgutil.iter_modules(__path__) if not file.ispkg), key=lambda name: name == LAST)

for file in FILES:  # each registers its operations
    importlib.import_module(f"{__name__}.{file}")
