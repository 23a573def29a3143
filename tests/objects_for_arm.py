"""Writes object files of kernels for AArch64 to a given folder, for `test_arm_numbers.py`.

Each kernel is named kernel_OPERATION_RUNG; linked helpers keep the symbols that the kernels call.
"""

import subprocess
import sys
from pathlib import Path

import as_on_arm
import numpy as np

from jitnet.compiler import linking
from jitnet.compiler.jit import signature_for
from jitnet.kernels import LADDERS, SIGNATURES

KERNELS = (("matmul", "tiled"), ("matmul", "packed"), ("matmul_nt", "packed"), ("sigmoid", "polynomial"))


def write(compiled, symbol):
    machine, module = as_on_arm.for_arm(compiled.library)
    file = Path(sys.argv[1]) / f"{symbol}.o"
    file.write_bytes(machine.emit_object(module))
    # every module contains the same Numba functions
    rename = f"--redefine-sym={compiled.fndesc.llvm_func_name}={symbol}"
    subprocess.run(["aarch64-linux-gnu-objcopy", "--weaken", rename, file], check=True)


for helper in linking.HELPERS.values():
    helper._cache.disable()
for operation, rung in KERNELS:
    kernel = LADDERS[operation][rung]
    kernel._cache.disable()
    kernel.compile(signature_for(SIGNATURES[operation], np.dtype("float32")))
    write(next(iter(kernel.overloads.values())), f"kernel_{operation}_{rung}")
for symbol, (name, arguments) in linking._LINKED.items():
    write(linking.HELPERS[name].overloads[arguments], symbol)
