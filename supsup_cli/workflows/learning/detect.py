"""`learn-task --detect`: do these images, with these labels, belong to a known task?"""

import numpy as np

from bank_format.kinds.mask import Task
from supsup_cli.data.splits import TaskData
from supsup_cli.workflows.inference.decisions import decide
from supsup_cli.workflows.inference.known import calibration_of, within_threshold
from supsup_cli.workflows.inference.masks_run import run
from supsup_cli.workflows.inference.rules import DecisionRequest, choose_rule
from supsup_cli.workflows.opening import OpenNetwork, stack_tasks
from supsup_cli.workflows.reporting import Silent

# Images decided together: enough for all classes of MNIST, in well under a second.
_IMAGES = 256
_LOOK_ALIKES = 4  # number of tasks to compare labels with, the likeliest first


def known_task(net: OpenNetwork, data: TaskData) -> Task | None:
    """Find the task of the bank that the first training images belong to, as one group.

    The mask that fits them best must know them (`decide`), and its share of right classes must be
    nearer to its accuracy than to chance, because the same images with other labels are another
    task.

    Args:
        net: the bank; tasks committed a moment ago count too.
        data: those of the task that is about to be learned.

    Returns:
        the task, or None if the data are new.

    Raises:
        BankError: a task cannot be read.
    """
    if not net.bank.tasks() or len(data.train) == 0:
        return None
    opened = stack_tasks(net)
    first = data.train.take(slice(_IMAGES))
    images, labels = first.images, first.labels
    group = [list(range(len(images)))]
    # Signatures know images but no labels: of several tasks with the same images they would list
    # one.
    how = DecisionRequest("exhaustive", None, "all", str(net.device))
    rule = choose_rule(opened, how, Silent())
    decisions = decide(opened, rule, images, group)
    if not decisions.known[0]:
        return None
    # Tasks with the same images and other labels look alike, so the labels must decide.
    scores = decisions.scores[0]
    likely = [place for place in np.argsort(-scores, kind="stable") if not np.isnan(scores[place])]
    for index in map(int, likely[:_LOOK_ALIKES]):
        task = opened.tasks[index]
        ran = run(opened, index, images)
        fits = within_threshold(calibration_of(task), [ran.misfits], len(opened.tasks), 1)
        names = [task.content.classes[label].name for label in ran.labels.tolist()]
        right = np.mean([name == data.classes[at] for name, at in zip(names, labels, strict=True)])
        accuracy = 1.0 if task.accuracy is None else task.accuracy
        if fits[0] and right > (accuracy + 1 / len(task.content.classes)) / 2:
            return task
    return None
