"""The same training on a GPU with PyTorch and JAX, for gpu.py: seconds per epoch, and W after the first epoch."""

import importlib.metadata
import importlib.util
import statistics
import time

import numpy as np

import jitnet

DEVICE = "cuda"
"""The device name in PyTorch."""


def peer(name):
    """PyTorch or JAX, if it is installed and finds a GPU."""
    if importlib.util.find_spec(name) is None:
        return None
    if name == "torch":
        import torch

        torch.backends.cuda.matmul.allow_tf32 = False
        return torch if torch.cuda.is_available() else None
    import jax

    jax.config.update("jax_default_matmul_precision", "float32")
    return jax if any(device.platform == "gpu" for device in jax.devices()) else None


def of_torch(how, torch, X, y, start, m, f, loss, optimizer, rounds):
    """`how`: eager, compiled, or graph: a whole step is captured and replayed on batches that are copied in place."""
    activation = {"relu": torch.relu, "sigmoid": torch.sigmoid}[f]
    X, y = torch.from_numpy(X).to(DEVICE), torch.from_numpy(y).to(DEVICE)
    parameters = [torch.tensor(p, device=DEVICE, requires_grad=True) for pair in start for p in pair]
    adam = isinstance(optimizer, jitnet.Adam)
    kind = torch.optim.Adam if adam else torch.optim.SGD
    options = {"capturable": True} if adam and how == "graph" else {}
    steps = kind(parameters, lr=optimizer.lr, fused=True, **options)
    Y = torch.nn.functional.one_hot(y, len(start[-1][1])).float()

    def loss_of(x, labels, target):
        for l in range(0, len(parameters), 2):
            x = torch.addmm(parameters[l + 1], x, parameters[l])
            x = activation(x) if l < len(parameters) - 2 or loss == "mse" else x
        if loss == "mse":
            return torch.nn.functional.mse_loss(x, target)
        return torch.nn.functional.cross_entropy(x, labels)

    if how == "compiled":
        torch._dynamo.reset()  # clear the compiled code of the previous case
    forward, times = torch.compile(loss_of) if how == "compiled" else loss_of, []

    def step(*batch):
        steps.zero_grad(set_to_none=True)
        value = forward(*batch)
        value.backward()
        steps.step()
        return value.detach()

    if how == "graph":
        step = captured(torch, step, [data[:m].clone() for data in (X, y, Y)], parameters, steps)
    for _ in range(rounds + 1):
        began, total = time.perf_counter(), torch.zeros((), device=DEVICE)
        for at in range(0, len(X), m):
            total += step(X[at : at + m], y[at : at + m], Y[at : at + m])
        total.item()
        times.append(time.perf_counter() - began)
        if len(times) == 1:
            weights = [p.detach().cpu().numpy().copy() for p in parameters[::2]]
    return statistics.median(times[1:]), weights


def captured(torch, step, places, parameters, steps):
    """A step as a CUDA graph, as in PyTorch's manual: some steps in another stream, then the capture."""
    before = [p.detach().clone() for p in parameters]
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step(*places)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        value = step(*places)
    with torch.no_grad():  # restore the initial weights
        for p, was in zip(parameters, before, strict=True):
            p.copy_(was)
        for kept in (number for state in steps.state.values() for number in state.values()):
            if torch.is_tensor(kept):
                kept.zero_()

    def replay(*batch):
        for place, data in zip(places, batch, strict=True):
            place.copy_(data)
        graph.replay()
        return value

    return replay


def of_jax(jax, X, y, start, m, f, loss, optimizer, rounds):
    import jax.numpy as jnp

    activation = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[f]
    X, Y = jnp.asarray(X), jax.nn.one_hot(jnp.asarray(y), len(start[-1][1]))
    adam = isinstance(optimizer, jitnet.Adam)

    def loss_of(parameters, x, target):
        for l, (W, b) in enumerate(parameters):
            x = x @ W + b
            x = activation(x) if l < len(parameters) - 1 or loss == "mse" else x
        if loss == "mse":
            return jnp.mean((x - target) ** 2)
        return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(x), axis=1))

    def one_step(state, at):
        parameters, mean, square, t = state
        x, target = (jax.lax.dynamic_slice_in_dim(data, at, m) for data in (X, Y))
        value, grad = jax.value_and_grad(loss_of)(parameters, x, target)
        t += 1
        if adam:
            b1, b2 = optimizer.beta1, optimizer.beta2
            mean = jax.tree.map(lambda v, g: b1 * v + (1 - b1) * g, mean, grad)
            square = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, square, grad)
            grad = jax.tree.map(
                lambda v, s: v / (1 - b1**t) / (jnp.sqrt(s / (1 - b2**t)) + optimizer.epsilon), mean, square
            )
        parameters = jax.tree.map(lambda p, g: p - optimizer.lr * g, parameters, grad)
        return (parameters, mean, square, t), value

    epoch = jax.jit(lambda state: jax.lax.scan(one_step, state, jnp.arange(0, len(X), m)))  # an epoch in one call
    parameters = [tuple(map(jnp.asarray, pair)) for pair in start]
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    state, times = (parameters, zeros, zeros, jnp.float32(0)), []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        state, losses = epoch(state)
        losses.block_until_ready()
        times.append(time.perf_counter() - began)
        if len(times) == 1:
            weights = [np.asarray(W) for W, _ in state[0]]
    return statistics.median(times[1:]), weights
