"""Learning from batches that nobody has labelled with a task."""
