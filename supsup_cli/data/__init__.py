"""Images and labels: named data, image folders, single files. Knows neither the core nor the bank.

Everything here is numpy; images are uint8 with 0 black and 255 white. Letters in docstrings:

    N       images
    C       channels, 1 (grey) or 3 (red, green, blue)
    H, W    height and width, pixels
    K       classes of a task
"""
