"""jitnet: a neural network you can read, running at the speed of the hardware.

Every operation is a loop written by hand; Numba compiles it, and plain Python decides which loop runs next. The names
below are in the order in which a reader meets them.
"""

from . import interruption  # noqa: F401  # isort: skip (first: ^C then ends the command during the imports)
from .compiler import environment  # noqa: F401  # isort: skip (before Numba is imported)
from . import calculus, data, kernels, optimizers
from .backend import backends
from .checks import Error
from .custom import activation, loss
from .functions import matmul, relu, sigmoid, softmax, tanh
from .history import History
from .layers import Dense, Dropout, LayerNorm
from .network import Network, load
from .optimizers import *  # noqa: F403  all that a user can make one of
from .progress import Progress
from .training import Diverged

__version__ = "0.1.0"

__all__ = [
    "Dense",
    "Diverged",
    "Dropout",
    "Error",
    "History",
    "LayerNorm",
    "Network",
    "Progress",
    "__version__",
    "activation",
    "backends",
    "calculus",
    "data",
    "kernels",
    "load",
    "loss",
    "matmul",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]
__all__ += optimizers.__all__
