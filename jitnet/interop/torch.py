"""To and from PyTorch. A torch.nn.Linear keeps its weights transposed: (n_out, n_in)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..layers import Dense, Dropout, LayerNorm
from ..network import Network
from . import parts

ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "identity": ("Identity", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("ReLU", {}),
    "gelu": ("GELU", {"approximate": "tanh"}),
    "silu": ("SiLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "softplus": ("Softplus", {"beta": 1, "threshold": 20}),
    "softmax": ("Softmax", {"dim": -1}),
}
"""Activation -> the class in torch.nn and its settings."""


def to_torch(net: Network) -> Any:
    """A torch.nn.Sequential with copies of the parameters, in evaluation mode; `.train()` switches dropout on.

    Its modules are Linear, LayerNorm, Dropout and the activations, and it computes what `net.forward` computes, within
    rounding. It can be saved, trained or exported without jitnet.

    Errors    ValueError for a user's activation, and if PyTorch is not installed
    """
    nn = parts.package("torch", "torch").nn
    tensor = parts.package("torch", "torch").from_numpy
    modules = []
    for layer in net.layers:
        if isinstance(layer, Dense):
            module = nn.utils.skip_init(nn.Linear, layer.n_in, layer.n_out, bias=layer.bias)
            arrays = {"weight": layer.W.T, **({"bias": layer.b} if layer.bias else {})}
        elif isinstance(layer, LayerNorm):
            module, arrays = nn.LayerNorm(layer.n, layer.epsilon), {"weight": layer.gamma, "bias": layer.beta}
        elif isinstance(layer, Dropout):
            module, arrays = nn.Dropout(layer.rate), {}
        else:
            raise checks.Error(f"{layer!r} has no counterpart in PyTorch")
        for name, array in arrays.items():
            setattr(module, name, nn.Parameter(tensor(np.array(array, order="C"))))
        modules.append(module)
        if layer.activation != "identity":
            kind, settings = parts.translated(layer.activation, ACTIVATIONS, "PyTorch")
            modules.append(getattr(nn, kind)(**settings))
    return nn.Sequential(*modules).eval()


def from_torch(module: Any, activations: Sequence[str] | None = None, epsilon: float = 1e-5) -> Network:
    """A network with copies of the parameters of a PyTorch model.

    module         a torch.nn.Sequential (can be nested) of Linear, LayerNorm, Dropout, and activations after a
                   Linear; or a state_dict: names and tensors or arrays, as PyTorch and safetensors give it
    activations    for a state_dict, which does not contain them: the activation of each Linear
    epsilon        for a state_dict: of its LayerNorms

    A state_dict is read in its order, or by the numbers of a Sequential: 0.weight, 2.weight, 10.weight.

    Errors    ValueError for a module without a counterpart, such as nn.GELU() without approximate="tanh", and for
              parameters that are neither all float32 nor all float64, or not finite
    """
    if isinstance(module, Mapping):
        return parts.network(_of_state_dict(module, activations, epsilon))
    nn = parts.package("torch", "torch").nn
    if not isinstance(module, nn.Module):
        raise checks.Error(f"{checks.shown(module)} is not a torch.nn.Module, nor a state_dict")
    if activations is not None:
        raise checks.Error(
            "activations are for a state_dict: from_torch(module.state_dict(), activations); a Sequential has its own"
        )
    return parts.network(_of_modules(nn, module))


def _of_modules(nn: Any, module: Any) -> list[parts.Part]:
    """The layers of a module; each activation joins the Linear before it."""
    found: list[parts.Part] = []
    is_open = False  # after a Linear that has no activation yet
    for name, inner in _flat(nn, module, ""):
        is_of = {kind: type(inner) is getattr(nn, kind) for kind in ("Linear", "LayerNorm", "Dropout", "Identity")}
        if is_of["Linear"]:
            bias = None if inner.bias is None else _array(inner.bias)
            found.append(parts.dense(name, _array(inner.weight).T, bias, "identity"))
        elif is_of["LayerNorm"]:
            found.append(_norm(name, inner))
        elif is_of["Dropout"]:
            found.append((Dropout(inner.p), {}))
        elif not is_of["Identity"]:
            activation = _activation(nn, name, inner, _by_state_dict(nn, module, inner))
            if not is_open:
                raise checks.Error(f"{name} of the module does not follow a Linear, as the activation of a Dense does")
            layer, arrays = found[-1]
            found[-1] = Dense(layer.n_in, layer.n_out, activation, "b" in arrays), arrays  # type: ignore[arg-type]
        is_open = is_of["Linear"] or (is_open and is_of["Identity"])
    return found


def _flat(nn: Any, module: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The modules in their order, with names for messages; a Flatten has nothing to do, since samples are rows."""
    if module._forward_pre_hooks or module._forward_hooks:
        raise checks.Error(f"{name or 'the module'} has hooks, which can change what it computes; remove them first")
    if type(module) is nn.Sequential:
        for key, inner in module._modules.items():  # named_children omits a module that occurs a second time
            yield from _flat(nn, inner, f"{name}.{key}" if name else key)
    elif type(module) is not nn.Flatten:
        yield f"{name or 'the module'} ({type(module).__name__})", module


def _norm(name: str, module: Any) -> parts.Part:
    if len(module.normalized_shape) != 1:
        raise checks.Error(f"{name} normalizes {tuple(module.normalized_shape)}, but a LayerNorm of jitnet one axis")
    if module.weight is None or module.bias is None:
        raise checks.Error(
            f"{name} has no weight or no bias, but a LayerNorm has both; set elementwise_affine and bias"
        )
    return parts.layer_norm(_array(module.weight), _array(module.bias), module.eps)


def _by_state_dict(nn: Any, module: Any, refused: Any) -> str:
    """How to give the whole module in another way, for the message about a part of it that is a class of the user's."""
    if not any(type(part) is nn.Linear for part in refused.modules()):
        return ""
    linears = sum(type(part) is nn.Linear for part in module.modules())
    activations = ["relu"] * (linears - 1) + ["identity"]
    return f"; for a chain of Linears, write from_torch(module.state_dict(), {activations}) with its activations"


def _activation(nn: Any, name: str, module: Any, otherwise: str) -> str:
    """The activation of this module, if its settings are those of jitnet."""
    for activation, (kind, settings) in ACTIVATIONS.items():
        if type(module) is getattr(nn, kind):
            for setting, value in settings.items():
                given = getattr(module, setting)
                if given != value and (setting, given) != ("dim", 1):
                    raise checks.Error(
                        f"{name} has {setting}={given!r}, but {activation} is nn.{kind}({setting}={value!r}) in jitnet"
                    )
            return activation
    kinds = ["Linear", "LayerNorm", "Dropout", "Flatten", *(kind for kind, _ in ACTIVATIONS.values())]
    raise checks.Error(f"{name} has no counterpart in jitnet; known: Sequential, {', '.join(kinds)}{otherwise}")


def _of_state_dict(state: Mapping[str, Any], activations: Any, epsilon: float) -> list[parts.Part]:
    """Weights of two axes are those of a Linear, weights of one axis those of a LayerNorm."""
    modules: dict[str, dict[str, NDArray[Any]]] = {}
    for key, value in state.items():
        name, _, parameter = str(key).rpartition(".")
        array = _array(value)
        if parameter not in ("weight", "bias") or array.ndim not in ((1, 2) if parameter == "weight" else (1,)):
            raise checks.Error(
                f"{checks.shown(key)} {array.shape} is neither the weight nor the bias of a Linear or a LayerNorm"
            )
        modules.setdefault(name, {})[parameter] = array
    if all(_numbers(name) for name in modules) and len({_prefix(name) for name in modules}) == 1:
        modules = dict(sorted(modules.items(), key=lambda item: _numbers(item[0])))
    of_dense = iter(parts.activations_of(
        activations, sum(module["weight"].ndim == 2 for module in modules.values() if "weight" in module)
    ))  # fmt: skip
    found = []
    for name, module in modules.items():
        if "weight" not in module or (module["weight"].ndim == 1 and "bias" not in module):
            raise checks.Error(f"{name}.{'bias' if 'weight' in module else 'weight'} is missing in the state_dict")
        if module["weight"].ndim == 2:
            found.append(parts.dense(name, module["weight"].T, module.get("bias"), next(of_dense)))
        else:
            found.append(parts.layer_norm(module["weight"], module["bias"], epsilon))
    return found


def _numbers(name: str) -> list[int]:
    """The numbers of "net.2.10", a Sequential in a Sequential; none if other names follow a number."""
    parts = name.removeprefix(_prefix(name)).split(".")
    return [int(part) for part in parts] if all(part.isdecimal() for part in parts) else []


def _prefix(name: str) -> str:
    """The part before the first number: "net." of "net.2.10"."""
    return "".join(f"{part}." for part in itertools.takewhile(lambda part: not part.isdecimal(), name.split(".")))


def _array(value: Any) -> NDArray[Any]:
    """A tensor or array as an array."""
    if not hasattr(value, "detach"):
        return np.asarray(value)
    try:
        return np.asarray(value.detach().cpu().numpy())
    except (RuntimeError, TypeError) as error:  # bfloat16, sparse, quantized, without data
        kind = f"{value.dtype}, {value.layout}, on {value.device}"
        raise checks.Error(
            f"a tensor ({kind}) cannot become a NumPy array: {checks.reason(error)}; convert it to a dense float32"
        ) from None
