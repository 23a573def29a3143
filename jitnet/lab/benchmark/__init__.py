"""The candidates of a ladder, their correctness tests, and the sandbox of custom kernels."""
