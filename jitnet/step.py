"""One training step: the passes of a network, written down once as a list of calls, and the update."""

from typing import Any

from .backend import DESCENDING, Backend
from .kernels.legend import Vector
from .losses import Loss
from .optimizers import Optimizer


def descent(run: Backend, optimizer: Optimizer) -> tuple[float, float] | None:
    """lr and weight decay, if this back end takes the steps of this optimizer along with the gradients."""
    return optimizer.descent if run.name in DESCENDING else None


def operations(net: Any, run: Backend, loss: Loss, optimizer: Optimizer) -> list[str]:
    """The kernels that a step needs."""
    needed = net.operations(loss)
    if descent(run, optimizer):
        return ["descend" if name == "gradients" else name for name in needed]
    return [*needed, optimizer.kernel]


class Step:
    """One training step for batches of m samples.

    The arrays of a network and of its work space stay where they are from batch to batch. So the calls that its passes
    make are recorded once, and then repeated with no other Python between the kernels.
    """

    def __init__(self, net: Any, run: Backend, m: int, loss: Loss, optimizer: Optimizer) -> None:
        descends = descent(run, optimizer)

        def passes(run: Backend) -> None:
            net.pass_forward(run, work.X, work, loss.reads_Z)
            net.pass_output(run, work.Y, loss, work)
            net.pass_back(run, work.X, work, descends)

        self.work = work = net.workspace(m)
        self._calls = run.recorded(net.dtype, passes)
        self._update = None if descends else run.direct(optimizer.kernel, net.dtype)
        self._optimizer, self._net = optimizer, net

    def __call__(self, t: int, memory: list[Vector]) -> Vector:
        """Learn from the batch in work.X and work.Y as step t = 1, 2, ...; the loss of each sample."""
        for kernel, arguments in self._calls:
            kernel(*arguments)
        if self._update:
            self._optimizer.step(self._update, t, self._net.grad, memory, self._net.theta)
        return self.work.losses  # type: ignore[no-any-return]
