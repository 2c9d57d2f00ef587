"""`init-base`, `stats`, `verify` and `doctor`."""
