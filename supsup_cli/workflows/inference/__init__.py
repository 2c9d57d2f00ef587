"""Answers about images: `infer-task`, `predict`, `evaluate`, and what is made of them."""
