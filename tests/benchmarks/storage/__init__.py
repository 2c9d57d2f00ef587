"""Bytes of masks, and masks as attractors."""
