"""This process and its machine: progress output, ^C, the cores that it may use, and the load of other processes."""
