"""Where a bank is: a folder, or an address in an object store."""

import re
from pathlib import Path

from bank_format.disk.stores import Place, StorePath
from supsup_cli.errors import UsageError

# Paths turn two slashes into one; a folder with such a name can be written ./s3:/…
_ADDRESS = re.compile(r"(s3|gs|az|memory):/{1,2}(?P<bucket>[A-Za-z0-9._-]+)(?:/(?P<prefix>.*))?")
# The command that copies a bank into a store, by each store's own tool.
_COPY = {
    "s3": "aws s3 sync FOLDER {url}",
    "gs": "gcloud storage rsync --recursive FOLDER {url}",
    "az": "azcopy sync FOLDER {url}",
}


def address(text: str) -> str | None:
    """Write an address in full, without a slash at the end; None for a folder."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return None
    prefix = (match["prefix"] or "").strip("/")
    return f"{match[1]}://{match['bucket']}" + (f"/{prefix}" if prefix else "")


def place_of(text: str, *, cached: bool = True) -> Place:
    """Find a bank by what the user typed; nothing is read yet.

    Args:
        text: a folder or an address.
        cached: whether files may come from the cache, where they are kept and checked.

    Raises:
        UsageError: an address, but the package that reads stores is not installed.
    """
    url = address(text)
    if url is None:
        return Path(text)
    from supsup_cli.stores.objects import open_store

    return StorePath(open_store(url, cached=cached))


def refuse_address(path: Path) -> None:
    """Refuse an address; a command that writes needs a folder.

    Raises:
        UsageError: it is an address.
    """
    url = address(str(path))
    if url is not None:
        copy = _COPY.get(url.partition(":")[0], "copy FOLDER there").format(url=url)
        raise UsageError(
            f"{url}: a bank in an object store found, expected a folder: this command writes",
            hint=f"use a bank in a folder, then copy it into the store: {copy}",
        )
