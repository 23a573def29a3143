"""Launches that are made again and again, in one go."""

import warnings
from typing import Any

from .device import SIMULATED, stream
from .registry import Call


class Replay:
    """Makes launches that were noted down, each time it is called.

    They are captured in a CUDA graph: to launch one after the other takes Python some 10 µs for each, which is more
    than many of them run; a graph is launched once for all of them. The simulator, which has none, takes the list.
    """

    def __init__(self, calls: list[Call]) -> None:
        self._calls = calls  # which keeps the arrays alive, too: a graph knows their addresses only
        self._graph: Any = None
        if not SIMULATED:
            for launch, _, arguments in calls:
                launch.compile_for(arguments)  # nothing may be loaded while a graph is captured
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
        except Exception as error:  # an old driver; without a graph it is slower, and that is all
            self._graph = None
            warnings.warn(f"CUDA graphs do not work here ({error}); kernels are launched one by one", stacklevel=2)

    def __call__(self) -> None:
        if self._graph is not None:
            self._graph.launch(self._queue)
        else:
            for launch, blocks, arguments in self._calls:
                launch.start(blocks, arguments)
