"""The other methods."""
