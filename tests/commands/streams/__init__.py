"""`learn-stream`."""
