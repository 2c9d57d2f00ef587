"""`learn-task --detect`: do these images, with these labels, belong to a task that is known?"""

import numpy as np

from bank_format.kinds.mask import Task
from supsup_cli.data.splits import TaskData
from supsup_cli.workflows.inference.decisions import decide
from supsup_cli.workflows.inference.rules import DecisionRequest, choose_rule
from supsup_cli.workflows.opening import OpenNetwork, stack_tasks
from supsup_cli.workflows.reporting import Silent

# Images that decide together: enough for all classes of MNIST, decided in well under a second.
_IMAGES = 256


def known_task(net: OpenNetwork, data: TaskData) -> Task | None:
    """Find the task of the bank that the first training images belong to, as one group.

    The mask that fits them best must know them (`decide`), and the share whose class it names
    right must be nearer to its accuracy than to chance: the same images with other labels are
    another task.

    Args:
        net: the bank; tasks committed a moment ago count.
        data: of the task that is about to be learned.

    Returns:
        the task, or None if the data is new.

    Raises:
        BankError: a task cannot be read.
    """
    if not net.bank.tasks() or len(data.train) == 0:
        return None
    opened = stack_tasks(net)
    first = data.train.take(slice(_IMAGES))
    images, labels = first.images, first.labels
    group = [list(range(len(images)))]
    rule = choose_rule(opened, DecisionRequest("auto", None, "all", str(net.device)), Silent())
    decisions = decide(opened, rule, images, group)
    if not decisions.known[0]:
        return None
    index = int(decisions.best[0])
    task = opened.tasks[index]
    names = [task.content.classes[label].name for label in decisions.labels.tolist()]
    right = np.mean([name == data.classes[one] for name, one in zip(names, labels, strict=True)])
    accuracy = task.accuracy
    chance = 1 / len(task.content.classes)
    return task if right > ((1.0 if accuracy is None else accuracy) + chance) / 2 else None
