"""How a loop becomes a GPU kernel. Only `device` imports `numba.cuda`."""
