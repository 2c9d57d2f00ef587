"""Masks: thresholds, density, superposition, kernels over packed bits."""
