"""Kernels for the card, read without a card: how they are compiled, and what their code says."""
