"""How a loop becomes a kernel of the GPU. `device` alone imports `numba.cuda`."""
