"""A neural-network library in which you can read every loop.

Each operation is a loop written by hand and compiled by Numba; plain Python decides which loop runs next.

    >>> import jitnet
    >>> X, y = jitnet.data.digits()
    >>> train, test = jitnet.data.split(X, y, test=0.2, seed=0)
    >>> net = jitnet.Network(jitnet.Dense(64, 32, "sigmoid"), jitnet.Dense(32, 10, "softmax"), seed=0)
    >>> history = net.fit(*train, epochs=10, optimizer=jitnet.SGD(0.5), validation=test)
    >>> history.validation_accuracy[-1] > 0.9
    True

Build       Network, of Dense, Dropout and LayerNorm; load
Data        data.digits, data.split, ...
Train       net.fit, net.partial_fit or net.step, with SGD, Momentum, Adam, AdamW or RMSprop; History, Progress,
            Diverged; StepDecay, CosineDecay, Warmup, ReduceOnPlateau; EarlyStopping
Use         net.predict, net.evaluate, net.forward, net.save, net.state_dict
Estimators  sklearn: MLPClassifier and MLPRegressor, with scikit-learn's parameters; imported when used
Exchange    interop: weights to and from PyTorch, Keras, scikit-learn, ONNX, safetensors
Inspect     net.summary, net.graph, net.gradients; calculus: derivatives computed in slower, independent ways
Loops       kernels.LADDERS: every operation, from the naive loop to the fast one; backends(): which loops run
Operations  matmul, sigmoid, tanh, relu, softmax: single operations on any array
Your own    activation, loss: decorators of scalar functions
Errors      Error: one sentence, for everything that the caller can fix

`help(name)` shows its formula, shapes and errors. The command line (`jitnet --help`) and `jitnet.lab` measure and
explain compiled loops.
"""

import importlib
from typing import TYPE_CHECKING

from .process import interruption  # noqa: F401  # isort: skip (first, so that ^C ends the command during the imports)
from .process import garbage_collector  # isort: skip
from .compiler import environment  # noqa: F401  # isort: skip (before Numba is imported)

with garbage_collector.paused():
    from . import calculus, kernels, layers, optimizers
    from .backend import backends
    from .checks import Error
    from .custom import activation, loss
    from .functions import matmul, relu, sigmoid, softmax, tanh
    from .layers import *  # noqa: F403  the kinds of layers
    from .network import Network, load
    from .optimizers import *  # noqa: F403 the optimizers that a user can create
    from .process.progress import Progress
    from .training import schedules, stopping
    from .training.history import History
    from .training.loop import Diverged
    from .training.schedules import *  # noqa: F403
    from .training.stopping import *  # noqa: F403

if TYPE_CHECKING:
    from . import data, interop

__version__ = "0.1.0"

__all__ = [
    "Diverged",
    "Error",
    "History",
    "Network",
    "Progress",
    "__version__",
    "activation",
    "backends",
    "calculus",
    "data",
    "interop",
    "kernels",
    "load",
    "loss",
    "matmul",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]
__all__ += layers.__all__ + optimizers.__all__ + schedules.__all__ + stopping.__all__


def __dir__() -> list[str]:
    """The public names, for tab completion."""
    return sorted(__all__)


def __getattr__(name: str) -> object:
    """The modules that many programs do not use, imported on first use. `sklearn` also needs scikit-learn."""
    if name in ("data", "interop", "sklearn"):
        return importlib.import_module(f"jitnet.{name}")
    raise AttributeError(f"module 'jitnet' has no attribute {name!r}")
