"""Signatures: features of the frozen network, and where tasks lie in them."""
