"""Learning from a stream."""
