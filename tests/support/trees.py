"""The files below a folder."""

from pathlib import Path


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, including hidden ones, by its path from there."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
