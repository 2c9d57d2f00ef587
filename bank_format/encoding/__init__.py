"""Write and check bytes: bits, the codec, JSON, seals."""
