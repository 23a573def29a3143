"""From a table to the arrays of a network: how each column and the target are prepared, saved with the model."""
