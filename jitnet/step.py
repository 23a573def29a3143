"""One training step: the passes of a network, written down once as a list of calls, and the update."""

from typing import Any

from .backend import Backend
from .kernels.legend import Vector
from .losses import Loss
from .optimizers import Optimizer


class Step:
    """One training step for batches of m samples.

    The arrays of a network and of its work space stay where they are from batch to batch. So the calls that its passes
    make are recorded once, and then repeated with no other Python between the kernels.
    """

    def __init__(self, net: Any, run: Backend, m: int, loss: Loss, optimizer: Optimizer) -> None:
        def passes(run: Backend) -> None:
            net.pass_forward(run, work.X, work, loss.reads_Z)
            net.pass_output(run, work.Y, loss, work)
            net.pass_back(run, work.X, work)

        self.work = work = net.workspace(m)
        self._calls = run.recorded(net.dtype, passes)
        self._update = run.direct(optimizer.kernel, net.dtype)
        self._optimizer, self._net = optimizer, net

    def __call__(self, t: int, memory: list[Vector]) -> Vector:
        """Learn from the batch in work.X and work.Y as step t = 1, 2, ...; the loss of each sample."""
        for kernel, arguments in self._calls:
            kernel(*arguments)
        self._optimizer.step(self._update, t, self._net.grad, memory, self._net.theta)
        return self.work.losses  # type: ignore[no-any-return]
