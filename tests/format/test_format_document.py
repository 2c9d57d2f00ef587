"""FORMAT.md and the code cite the same invariants, and the tests named in it exist."""

import re
from pathlib import Path

import bank_format
from tests.support.commands import ROOT

PACKAGE = Path(bank_format.__file__).parent
FORMAT = (PACKAGE / "FORMAT.md").read_text(encoding="utf-8")


def test_the_invariants_are_numbered_and_each_is_cited_by_the_code() -> None:
    numbered = re.findall(r"^- \*\*(I\d+)\*\* ", FORMAT, re.MULTILINE)
    assert numbered == [f"I{number}" for number in range(1, 14)]
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    # Docstrings that explain a citation have one as their example.
    cited = re.findall(r'(?:invariant=|name, |_UNREADABLE = )"(I\d+)"', code)
    assert set(cited) == set(numbered)


def test_every_abuse_is_shown_by_a_test_that_exists() -> None:
    table = FORMAT.partition("## Abuses")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 15
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row[3])
        assert named, row[1]
        for name in named:
            assert list((ROOT / "tests").rglob(f"{name}.py")), name
