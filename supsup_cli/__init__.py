"""supsup: a persistent bank of supermasks. One frozen network, one binary mask per task."""

__version__ = "0.2.0"
