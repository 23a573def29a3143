"""The state of an optimizer where the gradient is 0, as that of a dead unit, or NaN."""

import numpy as np
import pytest
from cases import marks_of

import jitnet
from jitnet.kernels import LADDERS

OPTIMIZERS = [
    jitnet.Momentum(0.01),
    jitnet.Momentum(0.01, nesterov=True),
    jitnet.Adam(),
    jitnet.AdamW(),
    jitnet.RMSprop(),
]
RUNGS = [
    pytest.param(optimizer, rung, id=f"{optimizer.kernel}-{rung}")
    for optimizer in OPTIMIZERS
    for rung in LADDERS[optimizer.kernel]
    if rung != "numpy"
]
N = 37


def after_a_step(optimizer, rung, gradient, state, dtype):
    """The state after a step of N parameters, which all have this gradient and this state."""
    vectors = [np.full(N, state, dtype) for _ in optimizer.memory]
    numbers = [x if isinstance(x, np.ndarray) else dtype(x) for x in optimizer.given(3, np.dtype(dtype))]
    LADDERS[optimizer.kernel][rung](np.full(N, gradient, dtype), *numbers, *vectors, np.ones(N, dtype))
    return np.concatenate(vectors)


@pytest.mark.parametrize(("optimizer", "rung", "dtype"), [
    pytest.param(*case.values, dtype, marks=marks_of(case.values[0].kernel, case.values[1], dtype.__name__),
                 id=f"{case.id}-{dtype.__name__}")
    for case in RUNGS for dtype in (np.float32, np.float64)
])  # fmt: skip
def test_the_state_is_never_subnormal(optimizer, rung, dtype):
    tiny = np.finfo(dtype).tiny
    for state in (tiny, tiny / 2, 0.0):  # decays to less than tiny
        assert not after_a_step(optimizer, rung, 0.0, state, dtype).any()
    assert (after_a_step(optimizer, rung, 0.0, 2 * tiny, dtype) >= tiny).all()


@pytest.mark.parametrize(("optimizer", "rung"), RUNGS)
def test_a_gradient_that_is_not_a_number_stays_visible_in_the_state(optimizer, rung):
    assert np.isnan(after_a_step(optimizer, rung, np.nan, 0.0, np.float32)).all()
