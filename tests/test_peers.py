"""Whole training runs give the same numbers as PyTorch."""

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from cases import release

from jitnet import SGD, Adam, AdamW, Dense, Momentum, Network, RMSprop
from jitnet.kernels.activations import ActivationName
from jitnet.losses import LossName
from jitnet.optimizers import OptimizerName

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

RUNS = [
    (["sigmoid", "sigmoid"], "mse"), (["relu", "softmax"], "cross_entropy"), (["sigmoid", "softmax"], "cross_entropy"),
    (["tanh", "identity"], "half_squared_error"), (["relu", "sigmoid"], "binary_cross_entropy"),
    (["relu", "relu", "softmax"], "cross_entropy"), (["gelu", "identity"], "huber"),
    (["silu", "silu", "identity"], "hinge"), (["leaky_relu", "softmax"], "cross_entropy"),
    (["softplus", "gelu"], "mse"), (["tanh", "softplus"], "huber"),
]  # fmt: skip

OPTIMIZERS = [
    (SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    (SGD(0.1, weight_decay=0.01), lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.01)),
    (Momentum(0.05, weight_decay=0.01), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.01)),
    (Momentum(0.05, nesterov=True), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True)),
    (Adam(0.01, weight_decay=0.01), lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.01)),
    (AdamW(0.01, weight_decay=0.1), lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1)),
    (RMSprop(0.01, weight_decay=0.01), lambda p: torch.optim.RMSprop(p, 0.01, weight_decay=0.01)),
]

FUNCTIONS = {
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "identity": lambda z: z,
    "gelu": lambda z: torch.nn.functional.gelu(z, approximate="tanh"), "silu": torch.nn.functional.silu,
    "leaky_relu": lambda z: torch.nn.functional.leaky_relu(z, 0.01), "softplus": torch.nn.functional.softplus,
}  # fmt: skip

OF_OUTPUTS = {
    "mse": torch.nn.functional.mse_loss,
    "half_squared_error": lambda A, Y: 0.5 * ((A - Y) ** 2).sum() / len(Y),
    "huber": torch.nn.functional.huber_loss,
    "hinge": lambda A, Y: torch.clamp(1 - A * torch.where(Y > 0, 1.0, -1.0), min=0).mean(),
}


def torch_loss(name, Z, Y):
    """The loss from the pre-activation of the last layer, as PyTorch computes it."""
    f = torch.nn.functional
    if name == "cross_entropy":
        return f.cross_entropy(Z, Y)
    if name == "binary_cross_entropy":
        return f.binary_cross_entropy_with_logits(Z, Y, reduction="sum") / len(Z)
    return None


def train_torch(net, X, Y, activations, loss, make_optimizer, steps):
    parameters = [
        (torch.tensor(layer.W.copy(), requires_grad=True), torch.tensor(layer.b.copy(), requires_grad=True))
        for layer in net.layers
    ]
    optimizer = make_optimizer([tensor for pair in parameters for tensor in pair])
    X, Y = torch.tensor(X), torch.tensor(Y)
    history = []
    for _ in range(steps):
        optimizer.zero_grad()
        A = X
        for (W, b), f in zip(parameters, activations, strict=True):
            Z = A @ W + b
            A = FUNCTIONS[f](Z) if f != "softmax" else Z
        value = torch_loss(loss, Z, Y)
        if value is None:
            value = OF_OUTPUTS[loss](A, Y)
        value.backward()
        optimizer.step()
        history.append(value.item())
    return parameters, history


LACKING = set()
"""Names of ours that PyTorch lacks."""


def test_everything_that_pytorch_has_is_compared_with_it():
    compared = {name for activations, loss in RUNS for name in (*activations, loss)}
    compared |= {optimizer.name for optimizer, _ in OPTIMIZERS}
    ours = {name for names in (ActivationName, LossName, OptimizerName) for name in get_args(names)}
    assert compared == ours - LACKING


def is_usual(run, optimizer):
    """Each network with one optimizer, and each optimizer with two networks; a release tests all pairs."""
    return optimizer is OPTIMIZERS[0] or run in (RUNS[1], RUNS[5])


@pytest.mark.parametrize(
    ("activations", "loss", "mine", "theirs"),
    [
        (*run, *optimizer) if is_usual(run, optimizer) else release(*run, *optimizer)
        for optimizer in OPTIMIZERS
        for run in RUNS
    ],
    ids=lambda value: str(value) if not callable(value) else "",
)
@pytest.mark.parametrize("backend", ["fast", release("parallel")])  # the same formulas
def test_hundred_steps_equal_pytorch(activations, loss, mine, theirs, backend):
    rng = np.random.default_rng(0)
    widths = [*[7, 11, 9][: len(activations)], 4]
    layers = [Dense(n, p, f) for (n, p), f in zip(pairwise(widths), activations, strict=True)]
    net = Network(*layers, seed=2, dtype="float64")
    X, Y = rng.standard_normal((23, 7)), rng.dirichlet(np.ones(4), 23)
    if loss == "hinge":
        Y = np.where(Y > 0.25, 1.0, 0.0)
    parameters, expected = train_torch(net, X, Y, activations, loss, theirs, 100)
    history = net.fit(X, Y, epochs=100, batch_size=23, optimizer=mine, loss=loss, shuffle=False, backend=backend)
    np.testing.assert_allclose(history.loss, expected, rtol=1e-10)
    for layer, (W, b) in zip(net.layers, parameters, strict=True):
        np.testing.assert_allclose(layer.W, W.detach().numpy(), rtol=0, atol=1e-10)
        np.testing.assert_allclose(layer.b, b.detach().numpy(), rtol=0, atol=1e-10)
    assert history.loss[-1] < history.loss[0]


def test_class_weights_schedule_and_clipping_equal_pytorch():
    """CrossEntropyLoss(weight=...), clip_grad_norm_ and CosineAnnealingLR; an epoch has four batches in order."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 4)), rng.integers(0, 3, 40)
    net = Network(Dense(4, 6, "tanh"), Dense(6, 3, "softmax"), seed=0, dtype="float64")
    model = [torch.tensor(part.copy(), requires_grad=True) for layer in net.layers for part in (layer.W, layer.b)]
    weights = {0: 1.0, 1: 5.0, 2: 0.5}
    history = net.fit(
        X, Y, epochs=6, batch_size=10, shuffle=False, optimizer=Momentum(0.3), class_weight=weights, clip_norm=0.4,
        schedule=lambda epoch, history: 0.5 * (1 + np.cos(np.pi * epoch / 8)), backend="numpy",
    )  # fmt: skip
    loss = torch.nn.CrossEntropyLoss(weight=torch.tensor(list(weights.values()), dtype=torch.float64))
    optimizer = torch.optim.SGD(model, 0.3, momentum=0.9)
    schedule, clipped = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8), 0
    for _ in range(6):
        for x, y in zip(torch.tensor(X).split(10), torch.tensor(Y).split(10), strict=True):
            optimizer.zero_grad()
            loss(torch.tanh(x @ model[0] + model[1]) @ model[2] + model[3], y).backward()
            clipped += float(torch.nn.utils.clip_grad_norm_(model, 0.4)) > 0.4
            optimizer.step()
        schedule.step()
    assert 0 < clipped < 24
    ours = [part for layer in net.layers for part in (layer.W, layer.b)]
    for mine, theirs in zip(ours, model, strict=True):
        np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=1e-4, atol=1e-5)  # PyTorch adds 1e-6 to the norm
    assert history.loss[-1] < history.loss[0]
