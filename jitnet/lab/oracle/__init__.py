"""The expected results of every operation: the formula in float64 NumPy, and bounds for a kernel's rounding errors.

`case(operation, ...)` draws inputs, and returns the arguments for a rung with the outputs filled with NaN, next to
the expected outputs and their bounds. A bound is eps · (number of roundings) · (sum of the absolute values that were
added), so it scales with the dtype and the length of the sum. NaN never passes: no comparison with it is true.

products.py functions.py losses.py updates.py    the formulas, by operation
baseline.py     for operations without one: their NumPy baseline, in float64
"""

from typing import Any

import numpy as np

from ...kernels import activations
from ...kernels.losses import LOSSES
from ...kernels.optimizers import RULES
from . import functions, losses, products, updates  # noqa: F401  (they register the formulas)
from .baseline import case_by_baseline
from .baseline import described as described
from .case import FORMULAS, Draw, Formula
from .case import UGLY as UGLY
from .case import Case as Case
from .case import Shape as Shape
from .case import holds_nothing as holds_nothing
from .case import nothing as nothing
from .case import ugly_shapes as ugly_shapes
from .functions import ACTIVATIONS as ACTIVATIONS
from .functions import f_of as f_of
from .functions import sigmoid as sigmoid
from .functions import softmax as softmax


def case(operation: str, shape: Shape, dtype: Any, seed: int = 0) -> Case:
    """Draw inputs for an operation. shape is (m, n_in, n_out); element-wise operations use (m, n_out)."""
    rng, dtype = np.random.default_rng((seed, *shape)), np.dtype(dtype)
    formula = _formula_of(operation)
    if formula is None:
        m, n_in, n_out = shape
        return case_by_baseline(operation, {"m": m, "n": n_out, "n_in": n_in, "n_out": n_out}, dtype, rng)
    return formula(Draw(operation, rng, dtype, shape)).case(dtype)


def _formula_of(operation: str) -> Formula | None:
    """Activations, losses and rules, which can be added, have one formula for all of a kind."""
    if operation in FORMULAS:
        return FORMULAS[operation]
    if operation in activations.ACTIVATIONS:
        return functions.activation
    if operation.endswith("_derivative"):
        return functions.derivative
    if operation in LOSSES and not LOSSES[operation].is_written_out:
        return losses.of_numbers
    return updates.rule if operation in RULES else None
