"""The four formulas, as calls of operations, for every backend.

    forward      A^l     = f(A^{l-1}·W^l + b^l)
    output       delta^L = ∂L/∂A^L ⊙ f'(Z^L)
    propagate    delta^l = (delta^{l+1}·(W^{l+1})ᵀ) ⊙ f'(Z^l)
    gradients    dW^l    = (A^{l-1})ᵀ·delta^l,     db^l = Σ_rows delta^l

Each function returns a list of calls without executing them. A backend executes them, or binds each to its kernel and
repeats it for every batch.
"""

from typing import Any

from .compiler.registry import Call
from .compiler.types import Matrix, Vector
from .kernels.activations import ACTIVATIONS, CODES, IDENTITY
from .losses import Loss


def forward(X: Matrix, W: Matrix, b: Vector, f: str, Z: Matrix, A: Matrix) -> list[Call]:
    """A = f(X·W + b). Z keeps the pre-activation, unless it is A."""
    if Z is A and f in CODES:
        return [Call("layer", (X, W, b, CODES[f], A))]
    return [Call("layer", (X, W, b, IDENTITY, Z)), Call(f, (Z, A))]


def output(
    loss: Loss, scale: Any, Z: Matrix, A: Matrix, Y: Matrix, f: str, delta: Matrix, losses: Vector
) -> list[Call]:
    """delta = ∂L/∂A ⊙ f'(Z), and the loss of each sample."""
    if loss.reads_Z:
        return [Call(loss.name, (Z, A, Y, scale, delta, losses))]
    if f in CODES:
        return [Call(loss.name, (A, Y, scale, CODES[f], delta, losses))]
    return [Call(loss.name, (A, Y, scale, IDENTITY, delta, losses)), derivative(Z, A, f, delta)]


def propagate(delta_next: Matrix, W_next: Matrix, Z: Matrix, A: Matrix, f: str, delta: Matrix) -> list[Call]:
    """delta = (delta_next·W_nextᵀ) ⊙ f'(Z)."""
    if f in CODES:
        return [Call("delta", (delta_next, W_next, A, CODES[f], delta))]
    return [Call("delta", (delta_next, W_next, A, IDENTITY, delta)), derivative(Z, A, f, delta)]


def derivative(Z: Matrix, A: Matrix, f: str, delta: Matrix) -> Call:
    """delta = delta ⊙ f'(Z), with f' calculated from Z or from A."""
    return Call(f + "_derivative", (Z if ACTIVATIONS[f].reads_Z else A, delta, delta))


def gradients(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> list[Call]:
    """dW = Xᵀ·delta, db = Σ_rows delta."""
    return [Call("gradients", (X, delta, dW, db))]


def descend(X: Matrix, delta: Matrix, lr: Any, weight_decay: Any, W: Matrix, b: Vector) -> list[Call]:
    """W ← W − lr·(Xᵀ·delta + weight_decay·W), b ← b − lr·(Σ_rows delta + weight_decay·b)."""
    return [Call("descend", (X, delta, lr, weight_decay, W, b))]
