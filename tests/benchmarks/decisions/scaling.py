"""Measure how cost grows with the number of tasks, 10 to 10,000 random masks; run by name.

    python -m tests.benchmarks.decisions.scaling --plot tests/benchmarks/scaling.png

Cost should grow linearly, without a step: a decision, memory and opening are each drawn against the
number of tasks. Every size has its own process, so that the memory is that of its tasks. The bank
of 10,000 tasks takes 0.4 GB of disk and a minute to make.
"""

import argparse
import csv
import json
import shutil
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.made.synthetic_bank import make_bank
from tests.benchmarks.made.timing import apart, machine, row

SIZES = (10, 30, 100, 300, 1000, 3000, 10_000)
COLUMNS = {
    "open": "opening and verifying, s",
    "one_shot": "One-Shot, one decision, s",
    "alone": "every mask by R, one image, s",
    "exhaustive": "every mask by R, one of 256 images, s",
    "memory": "most memory, torch included, GB",
}
SCRIPT = """
import json, statistics, sys, time
from pathlib import Path
import torch
from supsup_cli.core.inference.exhaustive import exhaustive
from supsup_cli.core.inference.methods import infer_tasks
from supsup_cli.workflows.opening import open_tasks

def median(work):
    seconds = []
    for _ in range(int(sys.argv[2])):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)

opened = open_tasks(Path(sys.argv[1]), "cpu")
net, stack = opened.net.network, opened.stack
images = torch.randn(256, 1, *opened.net.bank.record.input.shape)
common = dict(method="one-shot", objective="H", real=opened.real, own=opened.own)
infer_tasks(net, stack, images[:1], **common)
status = Path("/proc/self/status").read_text()  # getrusage starts with the memory of the parent
memory = int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9
one_shot = median(lambda: infer_tasks(net, stack, images[:1], **common))
exhaustive(net, stack, images[:1], "R", opened.own)
alone = median(lambda: exhaustive(net, stack, images[:1], "R", opened.own))
every = median(lambda: exhaustive(net, stack, images, "R", opened.own)) / len(images)
opening = median(lambda: open_tasks(Path(sys.argv[1]), "cpu"))
print(json.dumps({"open": opening, "one_shot": one_shot, "alone": alone, "exhaustive": every,
                  "memory": memory}))
"""


def main() -> None:
    """Print a table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    print(machine(), "\n")
    print(row("tasks", *COLUMNS.values()))
    print(row("---:", *["---:"] * len(COLUMNS)))
    measured: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for tasks in options.sizes:
            bank = Path(folder) / "bank"
            make_bank(bank, tasks)
            measured[tasks] = json.loads(apart(SCRIPT, str(bank), str(options.runs)))
            shutil.rmtree(bank)
            print(row(str(tasks), *(f"{measured[tasks][key]:.3g}" for key in COLUMNS)), flush=True)
    if options.csv is not None:
        with options.csv.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["tasks", *COLUMNS])
            table.writerows([tasks, *one.values()] for tasks, one in measured.items())
    if options.plot is not None:
        draw(measured, options.plot)


def draw(measured: dict[int, dict[str, float]], path: Path) -> None:
    """Draw every column against the number of tasks, with a line of slope one."""
    import matplotlib.pyplot as plt

    sizes = list(measured)
    figure, panels = plt.subplots(1, len(COLUMNS), figsize=(18, 3.6), layout="constrained")
    for panel, (key, title) in zip(panels, COLUMNS.items(), strict=True):
        values = [one[key] for one in measured.values()]
        panel.loglog(sizes, values, "o-", label="measured")
        line = [values[-1] * size / sizes[-1] for size in sizes]
        panel.loglog(sizes, line, ":", color="grey", label="proportional to tasks")
        panel.set(title=title, xlabel="tasks")
    panels[0].legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
