"""ImageNet's folders as tasks of ten classes each; images are read with their task and kept small.

The layout is torchvision's: ROOT/train/CLASS/IMAGE and ROOT/val/CLASS/IMAGE, or the same under
ROOT/imagenet. Any number of class folders will do: with the thousand of ImageNet the tasks are
those of the paper's SplitImageNet.
"""

from functools import partial
from typing import Final

import numpy as np

from supsup_cli.data.folders.class_folders import Listing
from supsup_cli.data.folders.loading import ListedData
from supsup_cli.data.folders.named_classes import class_names, list_chosen
from supsup_cli.data.names import Variant
from supsup_cli.data.published import missing_root
from supsup_cli.data.reading import Reading
from supsup_cli.errors import NoInputError

FORM: Final = "imagenet-split"
_CLASSES = 10
_ORDER_SEED = 1  # of the paper's split


def imagenet_data(variant: Variant, reading: Reading) -> ListedData:
    """Take the classes of one ImageNet task."""
    name = str(variant)
    files = partial(list_imagenet, int(variant.number), reading)
    return ListedData(name, name, files, reading)


def list_imagenet(index: int, reading: Reading) -> Listing:
    """List the files of the index-th ten classes of the seeded order.

    Wortsman et al. 2020, section 4.1: 100 tasks of 10 classes.

    Raises:
        NoInputError: no such folders, too few classes, or one of them without a training image.
    """
    if not reading.root:
        raise missing_root(FORM)
    root = reading.folder
    root = root / "imagenet" if (root / "imagenet" / "train").is_dir() else root
    for part in ("train", "val"):
        if not (root / part).is_dir():
            raise NoInputError(
                f"{root / part}: nothing there, expected ImageNet's class folders",
                hint="fetch ImageNet from image-net.org (it asks for an account), and unpack it as "
                f"{root}/train/CLASS/IMAGE.JPEG and {root}/val/CLASS/IMAGE.JPEG",
            )
    names = class_names(root / "train")
    order = np.random.RandomState(_ORDER_SEED).permutation(len(names)).tolist()
    classes = tuple(names[one] for one in order[_CLASSES * index : _CLASSES * (index + 1)])
    if len(classes) < _CLASSES:
        raise NoInputError(
            f"{root / 'train'}: {len(names)} class folders found, {FORM}-{index} needs "
            f"{_CLASSES * (index + 1)}"
        )
    return list_chosen(root, "train", "val", classes)
