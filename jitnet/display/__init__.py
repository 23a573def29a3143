"""What people look at: a network as a table and as a graph, results in a notebook, the plot of a training."""
