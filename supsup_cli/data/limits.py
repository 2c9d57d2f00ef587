"""How much is read of what users give: limits on work and memory, whatever a file or list claims.

This module imports nothing else, so that the command line can name the limits quickly.
"""

from typing import Final

# Pixels of one image unless --max-pixels says otherwise, and the most it may say, because Pillow
# refuses more. Decoding takes up to 24 bytes of memory per pixel.
MAX_PIXELS: Final = 100_000_000
MOST_PIXELS: Final = 178_956_970

MOST_FILE_BYTES: Final = 2**30  # of one image file; even uncompressed pixels take fewer
MOST_FILES: Final = 2_000_000  # entries of all folders of one command; ImageNet has 1.3 million

# Length of one line of a list: bytes before the line end where lines are answered as they come,
# characters where the list is read whole. Paths on Linux have up to 4,096 bytes.
MOST_LINE: Final = 32_768
