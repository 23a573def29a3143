"""This process and its machine: progress output, ^C, the cores granted to it, and the load of other processes."""
