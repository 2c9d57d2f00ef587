"""`verify` and repair, on banks damaged one way at a time."""
