"""Folders of images: walk them, decide what they mean, list their classes and files."""
