"""The process in which `explain` compiles, as if this were an ARM machine: LLVM has the target, and nothing is run.

Numba compiles for this machine. Before LLVM optimizes a module, a copy is kept, and optimized for AArch64.
"""

import os
import platform
import re

os.environ |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}

import llvmlite.binding as llvm
from numba.core.codegen import CPUCodeLibrary  # importing Numba detects the processor

platform.machine = lambda: "aarch64"

from jitnet.lab.machine_code import compiling  # noqa: E402

TRIPLE, CPU = os.environ.get("ARM", "aarch64-unknown-linux-gnu neoverse-n1").split()


def keeping(optimize):
    def optimize_and_keep(library):
        # Numba's own functions are linked as they were compiled, with an instruction of x86 that counts references
        library.before = re.sub(r"(@)llvm\.x86\.(.*?)( immarg)?(\)| #)", r"\1x86.\2\4", str(library._final_module))
        optimize(library)

    return optimize_and_keep


def for_arm(library):
    """The target machine, and the module that is optimized for it."""
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(cpu=CPU, opt=3, reloc="static")
    module = llvm.parse_assembly(library.before)
    module.triple, module.data_layout = TRIPLE, str(machine.target_data)
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization = True
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return machine, module


llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
CPUCodeLibrary._optimize_final_module = keeping(CPUCodeLibrary._optimize_final_module)

if __name__ == "__main__":
    compiling._assembly = lambda library: compiling.text_of(*for_arm(library))
    compiling.main()
