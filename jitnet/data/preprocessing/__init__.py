"""From a table to the arrays of a network: what becomes of each column and of the target, kept with the model."""
