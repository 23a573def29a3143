"""How a loop becomes machine code. The kernels themselves are in `jitnet.kernels`."""
