"""`infer-task`, `predict` and `evaluate`."""
