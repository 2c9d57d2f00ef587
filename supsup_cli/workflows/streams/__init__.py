"""`learn-stream`: from a stream of batches to committed masks."""
