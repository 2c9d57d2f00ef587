"""Answers about images: `infer-task`, `predict`, `evaluate`."""
