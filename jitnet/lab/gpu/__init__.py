"""Kernels for the GPU, read without a GPU: how they are compiled, and what their code says."""
