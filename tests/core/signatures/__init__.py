"""Signatures: features of the frozen network, and where the images of tasks lie among them."""
