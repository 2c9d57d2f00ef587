"""Folders of images: how they are walked, what they mean, which classes and files they have."""
