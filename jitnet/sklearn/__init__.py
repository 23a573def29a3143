"""Estimators for scikit-learn: `MLPClassifier` and `MLPRegressor` with scikit-learn's parameters, trained by jitnet.

    from jitnet.sklearn import MLPClassifier  # instead of sklearn.neural_network

With the same random_state they begin with the same weights, and with shuffle=False they end with the same ones, within
rounding. jitnet shuffles the samples of an epoch in a different order. The loss "poisson" is not available;
`class_weight` is an additional parameter. The network of a fitted estimator is `network_`.
"""

try:
    from sklearn.utils.validation import validate_data  # noqa: F401  new in scikit-learn 1.6
except ImportError as error:
    raise ImportError("jitnet.sklearn needs scikit-learn 1.6 or newer: pip install 'jitnet[sklearn]'") from error

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
