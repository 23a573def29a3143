"""The script that `test_cuda_cache.py` runs in separate processes: it compiles a GPU kernel, but does not load it.

python cuda_cache.py 9.0 [small] [large] [broken] [newer]

It prints whether the kernel was compiled, and a hash of its machine code. `small` and `large` are tiles of a product.
"""

import hashlib
import importlib.metadata
import sys
import types
from unittest import mock

from numba.cuda import codegen, dispatcher

version = importlib.metadata.version
if "newer" in sys.argv:  # a newer version of the compiler only
    importlib.metadata.version = lambda name: (
        "99" if name in ("nvidia-nvvm", "nvidia-cuda-nvcc-cu12") else version(name)
    )

from jitnet.compiler.cuda import cache  # noqa: E402
from jitnet.kernels.cuda import LADDERS  # noqa: E402

capability = tuple(int(part) for part in sys.argv[1].split("."))
gpu = types.SimpleNamespace(compute_capability=capability)
compiled, bound = [], []
make = dispatcher._Kernel.__init__


def counted(self, *arguments, **options):
    compiled.append(self)
    make(self, *arguments, **options)


def bind(self):
    self._codelibrary.get_cubin()
    bound.append(self)


if "broken" in sys.argv:  # a different version of Numba
    cache._Kernel._rebuild = None
large, _, small = LADDERS["matmul"]["pipelined"].launches
launch = small if "small" in sys.argv else large if "large" in sys.argv else LADDERS["relu"]["elements"].launches[0]
with (
    mock.patch.object(dispatcher, "get_current_device", return_value=gpu),
    mock.patch.object(cache.cuda, "get_current_device", return_value=gpu),
    mock.patch.object(codegen.devices, "get_context", return_value=types.SimpleNamespace(device=gpu)),
    mock.patch.object(dispatcher._Kernel, "__init__", counted),
    mock.patch.object(dispatcher._Kernel, "bind", bind),
):
    launch.compile()
    (kernel,) = launch._kernel.overloads.values()
    assert bound[-1:] == [kernel]  # loaded before a graph of its launches is captured
    cubin = kernel._codelibrary.get_cubin()
    code = bytes(getattr(cubin, "code", cubin))
    print("compiled" if compiled else "loaded", kernel.entry_name, hashlib.sha256(code).hexdigest())
