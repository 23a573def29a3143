"""To and from Keras: the list of arrays that `model.get_weights()` returns and `model.set_weights(...)` takes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import checks, parameters
from ..network import Network
from . import parts


def to_keras(net: Network) -> list[NDArray[Any]]:
    """Copies of the parameters in the order of Keras: kernel and bias of each Dense, gamma and beta of each LayerNorm.

    For `model.set_weights` of a model with the same layers, with use_bias=False where bias=False. Keras has different
    defaults: its gelu is exact (`keras.activations.gelu(x, approximate=True)` is jitnet's), its LeakyReLU has the slope
    0.3 or 0.2 (jitnet 0.01), and the epsilon of its LayerNormalization is 1e-3 (jitnet 1e-5).
    """
    return [array.copy() for array in parameters.named(net.layers, net.theta).values()]


def from_keras(weights: Sequence[ArrayLike], activations: Sequence[str], epsilon: float = 1e-3) -> Network:
    """A network with copies of the arrays of `model.get_weights()`.

    Shapes    kernel (n_in, n_out) and, unless use_bias=False, bias (n_out,) of each Dense; gamma (n,) and beta (n,) of
              each LayerNormalization, which precede the next kernel
    activations    of each Dense, by jitnet's names, such as ["relu", "softmax"]
    epsilon        of each LayerNormalization
    Errors    ValueError for arrays that do not form such a list, are neither all float32 nor all float64, or not finite

    >>> import jitnet, numpy as np
    >>> kernel, bias = np.eye(2, 3, dtype=np.float32), np.zeros(3, np.float32)
    >>> jitnet.interop.from_keras([kernel, bias], ["softmax"])
    <Network 2-3 (softmax), 9 parameters, float32>
    """
    arrays = [np.asarray(array) for array in weights]
    kernels = [i for i, array in enumerate(arrays) if array.ndim == 2]
    names = iter(parts.activations_of(activations, len(kernels)))
    found, starts = [], [0, *kernels, len(arrays)]
    for start, stop in pairwise(starts):
        vectors = arrays[start:stop]
        if vectors and vectors[0].ndim == 2:
            kernel, *vectors = vectors
            bias = vectors.pop(0) if len(vectors) % 2 else None
            found.append(parts.dense(f"array {start}", kernel, bias, next(names)))
        if len(vectors) not in (0, 2) or any(vector.ndim != 1 for vector in vectors):
            shapes = ", ".join(str(array.shape) for array in arrays[start:stop])
            raise checks.Error(f"the arrays {shapes} are not a kernel, a bias, and gamma and beta of a layer norm")
        if vectors:
            gamma, beta = vectors
            found.append(parts.layer_norm(gamma, beta, epsilon))
    return parts.network(found)
