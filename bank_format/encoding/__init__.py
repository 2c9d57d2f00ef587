"""How bytes are written and checked: bits, the codec, JSON, seals."""
