"""Masks, densities, kernels over packed bits."""
