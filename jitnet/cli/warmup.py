"""Compile all kernels now, so that no later run has to wait."""

import argparse
import json
import time

from .. import backend as backends
from .. import functions
from ..checks import count
from ..compiler.cache_folder import cache_folder
from ..kernels import LADDERS
from .compiling import in_two_processes
from .shared import backend_option, output_options, shown


def add_options(parser: argparse.ArgumentParser) -> None:
    backend_option(parser)
    output_options(parser)


def run(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    backend = backends.get(options.backend)
    needed = backend.compiles
    with shown(options) as show, in_two_processes(show):
        compiled = 0
        for place, dtype in enumerate(backend.dtypes if needed else (), 1):
            several = f" ({place} of {len(backend.dtypes)})" if len(backend.dtypes) > 1 else ""
            show.dtype = dtype.name + several  # since the estimate is for one of them
            compiled += backend.compile(LADDERS, dtype, show)
            if backend.name == functions.DEFAULT:
                functions.prepare(dtype)
    seconds, folder = time.perf_counter() - began, str(cache_folder())
    if options.json:
        about = {"backend": backend.name, "kernels": needed, "compiled": compiled, "seconds": seconds, "cache": folder}
        print(json.dumps(about))
    elif needed:
        there = count(needed - compiled, "was", "were")
        print(f"{count(compiled, 'kernel')} compiled in {seconds:.1f} s, {there} cached; they are in {folder}")
    else:
        print(f"backend {backend.name} compiles nothing")
    return 0
