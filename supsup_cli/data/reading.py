"""How data are read: limits of an image, and where data sets outside the package are."""

from dataclasses import dataclass
from pathlib import Path

from supsup_cli.data.limits import MAX_PIXELS
from supsup_cli.errors import NoInputError


@dataclass(frozen=True, slots=True)
class Reading:
    """What a command may read.

    Attributes:
        max_pixels: of one image file; a file with more is a failed input.
        root: folder of the published data sets; "" if none was named.
        download: whether a missing data set may be fetched.
        first_rule: whether folders are read by the first rule, as for the oldest tasks.
    """

    max_pixels: int = MAX_PIXELS
    root: str = ""
    download: bool = False
    first_rule: bool = False

    @property
    def folder(self) -> Path:
        """The root, with a user's home in place of ~.

        Raises:
            NoInputError: there is no such user, or no home.
        """
        try:
            return Path(self.root).expanduser()
        except RuntimeError as error:
            raise NoInputError(
                f"--data-root {self.root}: not a usable path ({error})",
                hint="write the folder's path in full",
            ) from error


DEFAULT = Reading()
