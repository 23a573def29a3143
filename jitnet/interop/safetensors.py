"""Files of safetensors: the named arrays of `Network.state_dict`, and what they mean as JSON among the metadata."""

import json
from pathlib import Path
from typing import Any

from .. import checks, storage
from ..network import Network, of_model
from . import parts


def to_safetensors(net: Network, path: str | Path) -> None:
    """Write the network as a safetensors file, atomically: its parameters, and after training the optimizer's state.

    The names are those of `net.state_dict()`: W0, b0, ..., so that `net.load_state_dict(safetensors.numpy.load_file(
    path))` reads it too.

    Errors    ValueError if the file cannot be written, and if the package safetensors is not installed
    """
    tensors = parts.package("safetensors.numpy", "'jitnet[safetensors]'")
    storage.put(path, tensors.save(net.state_dict(), {"jitnet": json.dumps(storage.described(net))}))


def from_safetensors(path: str | Path) -> Network:
    """Read a network that `to_safetensors` wrote, with the state of its optimizer.

    For a file of PyTorch use `from_torch(safetensors.numpy.load_file(path), activations=[...])`.

    Errors    FileNotFoundError; ValueError if the file is damaged, of another program, or needs more memory than there
              is, and if the package safetensors is not installed
    """
    checks.expect_path(path)
    package = parts.package("safetensors", "'jitnet[safetensors]'")
    about: Any = None
    try:
        with checks.fits_into_memory(path), package.safe_open(path, "numpy") as file:
            about = (file.metadata() or {}).get("jitnet")
            arrays = {name: file.get_tensor(name) for name in file.keys()} if about else {}  # noqa: SIM118
    except OSError:
        raise
    except Exception as error:  # of the package: SafetensorError, and TypeError for a dtype that NumPy lacks
        raise checks.Error(f"{path} is not a readable safetensors file: {checks.reason(error)}") from None
    if about is None:
        raise checks.Error(
            f"{path} was not written by jitnet; for weights of PyTorch use "
            "jitnet.interop.from_torch(safetensors.numpy.load_file(path), activations=[...])"
        )
    try:
        net = of_model(storage.model_of(json.loads(about)))
        net.load_state_dict(arrays)
    except storage.NotDefinedError as error:
        raise storage.NotDefinedError(f"{path} {error}") from None
    except (checks.Error, KeyError, TypeError, ValueError) as error:
        raise checks.Error(f"{path} is not a valid network of jitnet: {checks.reason(error)}") from None
    return net
