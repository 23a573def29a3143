"""From scikit-learn, whose `coefs_` have the shapes of W."""

from typing import Any

from .. import checks
from ..network import Network
from . import parts

ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu", "softmax": "softmax"}
"""scikit-learn's name -> jitnet's."""


def from_sklearn(model: Any) -> Network:
    """A network with copies of the weights of a fitted MLPClassifier or MLPRegressor, of scikit-learn or of jitnet.

    Its output is that of `predict_proba` (of one sigmoid: the second class) or, for a regression, of `predict`. Its
    classes are those of the model.

    Errors    ValueError for a model that is not fitted, is none of these, or has another activation
    """
    names = ("coefs_", "intercepts_", "activation", "out_activation_")
    missing = [name for name in names if not hasattr(model, name)]
    if missing:
        raise checks.Error(
            f"{type(model).__name__} has no {missing[0]}, but a fitted MLPClassifier or MLPRegressor is expected"
        )
    last = len(model.coefs_) - 1
    found = []
    for l, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        name = model.out_activation_ if l == last else model.activation
        if name not in ACTIVATIONS:
            raise checks.Error(f"activation {checks.shown(name)} has no counterpart; known: {', '.join(ACTIVATIONS)}")
        found.append(parts.dense(f"coefs_[{l}]", W, b, ACTIVATIONS[name]))
    net = parts.network(found)
    classes, outputs = getattr(model, "classes_", ()), net.layers[-1].n_out
    if model.out_activation_ == "softmax" or (outputs == 1 and len(classes) == 2):
        net.classes = classes
    return net
