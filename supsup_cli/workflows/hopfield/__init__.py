"""Attractors of a bank: `encode-hopfield`, and recalling masks from them."""
