"""Wrong usage: exit 2, one line that says what was found, and the next command to type."""

from pathlib import Path

import pytest

from tests.support.commands import run

WRONG = {
    "unknown option": ("tasks", "--nonesuch"),
    "unknown command": ("nonesuch",),
    "argument too many": ("stats", "extra"),
    "no number": ("infer-task", "x.png", "--top", "many"),
    "method": ("infer-task", "x.png", "--method", "guess"),
    "objective": ("predict", "x.png", "--objective", "Z"),
    "group": ("infer-task", "x.png", "--group", "0"),
    "group name": ("evaluate", "--group", "class"),
    "top": ("infer-task", "x.png", "--top", "0"),
    "limit": ("infer-task", "--data", "mnist", "--limit", "0"),
    "limit of evaluate": ("evaluate", "--limit", "-1"),
    "limit of export": ("data", "export", "mnist", "x", "--limit", "0"),
    "split": ("data", "export", "mnist", "x", "--split", "other"),
    "device": ("infer-task", "x.png", "--device", "abacus"),
    "absent device": ("learn-task", "--data", "mnist", "--device", "cuda:99"),
    "neither images nor data": ("predict",),
    "both images and data": ("predict", "x.png", "--data", "mnist"),
    "no such file": ("infer-task", "nonesuch.png"),
    "pattern without a match": ("predict", "nonesuch*.png"),
    "unknown data": ("learn-task", "--data", "mnist-prem-1"),
    "number of data out of range": ("learn-task", "--data", "mnist-split-9"),
    "no data": ("learn-task",),
    "name for two": ("learn-task", "--data", "mnist-perm-8..9", "--name", "one"),
    "unlawful name": ("learn-task", "--data", "mnist-perm-9", "--name", "../up"),
    "data twice": ("learn-task", "--data", "mnist-perm-9", "--data", "mnist-perm-9..9"),
    "recipe": ("learn-task", "--data", "mnist-perm-9", "--recipe", "cake"),
    "steps": ("learn-task", "--data", "mnist-perm-9", "--steps", "0"),
    "no such task": ("predict", "x.png", "--task", "nonesuch"),
    "no such task to evaluate": ("evaluate", "--tasks", "nonesuch"),
    "architecture": ("init-base", "--arch", "tower"),
    "input": ("init-base", "--input", "28x28"),
    "channels": ("init-base", "--input", "2x28x28"),
    "real outputs": ("init-base", "--outputs", "5", "--real-outputs", "6"),
    "init": ("init-base", "--init", "zeros"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_exits_2_with_a_line_and_a_hint(
    case: str, bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPSUP_BANK", str(bank))
    told = run(*WRONG[case])
    assert (told.code, told.out) == (2, "")
    message, hint = told.err.splitlines()
    assert message.startswith("supsup: ")
    assert hint.startswith("  hint: ")
    silent = run(*WRONG[case], "--json")
    assert silent.err == ""
    assert silent.error["message"] == message.removeprefix("supsup: ")
    assert silent.error["hint"]
