"""Bits, codec and seals."""
