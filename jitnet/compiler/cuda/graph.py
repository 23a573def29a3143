"""Launches that are recorded once and repeated as a CUDA graph."""

import warnings
from typing import Any

from .device import SIMULATED, stream
from .registry import Call


class Replay:
    """Recorded launches; each call repeats them.

    They are captured in a CUDA graph: in Python, each single launch takes about 10 µs, longer than many kernels run,
    and a graph is one launch for all of them. The simulator has no graphs and launches one kernel after the other.
    """

    def __init__(self, calls: list[Call]) -> None:
        self._calls = calls  # also keeps the arrays alive: a graph stores only their addresses
        self._graph: Any = None
        if not SIMULATED:
            for launch, _, arguments in calls:
                launch.compile_for(arguments)  # a kernel cannot be loaded while a graph is captured
            self._capture()

    def _capture(self) -> None:
        from cuda.core import Device, Stream

        try:
            gpu = Device()
            gpu.set_current()
            builder = gpu.create_graph_builder()
            builder.begin_building()
            for launch, blocks, arguments in self._calls:
                launch.start(blocks, arguments, builder)
            self._graph = builder.end_building().complete()
            self._queue = Stream.from_handle(int(stream()))
        except Exception as error:  # an old driver; single launches are only slower
            self._graph = None
            warnings.warn(f"CUDA graphs do not work here ({error}); kernels are launched one by one", stacklevel=2)

    def __call__(self) -> None:
        if self._graph is not None:
            self._graph.launch(self._queue)
        else:
            for launch, blocks, arguments in self._calls:
                launch.start(blocks, arguments)
