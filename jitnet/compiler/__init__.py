"""How a loop becomes machine code. This package knows no kernel; those are in `jitnet.kernels`."""
