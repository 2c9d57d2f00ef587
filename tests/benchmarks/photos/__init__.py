"""Convolution nets and trained networks as the base."""
