"""How data are read: limits of an image, and where data sets outside the package are."""

from dataclasses import dataclass

from supsup_cli.data.limits import MAX_PIXELS


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


DEFAULT = Reading()
