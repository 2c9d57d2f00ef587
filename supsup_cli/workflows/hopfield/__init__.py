"""Attractors of a bank: `encode-hopfield` and what recalls by them."""
