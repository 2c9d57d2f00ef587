"""The method: masks, superposition, learning, task inference. Only torch; no files, no printing.

Shape letters used in every docstring of this package:

    B   images (one decision each, unless a group was asked for)
    N   images of a data set
    T   tasks
    O   outputs of the network, real ones first, superfluous ones after them
    d   traits of an image under a mask
    P   masked weights of the network, all parameters together
"""
