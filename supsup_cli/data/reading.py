"""How data are read: bounds of an image, and where data sets lie that are not in the package."""

from dataclasses import dataclass

from supsup_cli.data.limits import MAX_PIXELS


@dataclass(frozen=True, slots=True)
class Reading:
    """What a command may read.

    Attributes:
        max_pixels: of one image file; one with more is an input that failed.
        root: folder of the published data sets; "" if none was named.
        download: whether one that is not there may be fetched.
        first_rule: whether folders are read by the rule that the oldest tasks were learned by.
    """

    max_pixels: int = MAX_PIXELS
    root: str = ""
    download: bool = False
    first_rule: bool = False


DEFAULT = Reading()
