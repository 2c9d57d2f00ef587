"""Learn from batches without task labels."""
