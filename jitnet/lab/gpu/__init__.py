"""Tools for GPU kernels that need no GPU: compiler, PTX interpreter, memory transactions, occupancy, verdicts."""
