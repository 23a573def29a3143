"""How a loop becomes machine code. Nothing here knows a kernel; `jitnet.kernels` holds those."""
