"""How much is read of what users give: whatever a file or a list claims, work and memory end here.

Nothing else is imported, so that the command line can name the limits without reading images.
"""

from typing import Final

# Pixels of one image, unless --max-pixels says otherwise; and the most that it may say, which is
# where Pillow itself refuses. Decoding takes up to 24 bytes of memory for each.
MAX_PIXELS: Final = 100_000_000
MOST_PIXELS: Final = 178_956_970

MOST_FILE_BYTES: Final = 2**30  # of one image file; pixels without compression take fewer
MOST_FILES: Final = 2_000_000  # entries of the folders of one command; ImageNet has 1.3 million
MOST_LINE: Final = 32_768  # characters of one line of a list; Linux has paths of up to 4,096
