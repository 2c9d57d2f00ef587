"""Answers about images: `infer-task`, `predict`, `evaluate`, and sheets and folders of them."""
