"""The pages are complete: every command, option, key and exit code once; links; figures."""

import re
from collections import Counter

import pytest

from bank_format.errors import BankError
from supsup_cli.errors import SupsupError
from tests.support.commands import ROOT
from tests.support.documented import ANSWERS, commands, keys_of, options

README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "supsup_cli" / "GUIDE.md").read_text(encoding="utf-8")
COMMANDS = dict(commands())
ROOMS = ("bank_format", "supsup_cli", "tests", "examples")
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (ROOT, *(ROOT / room for room in ROOMS))
    for path in (folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))
)

# What counts as a measurement: per cent with two decimals, times, speeds.
FIGURE = re.compile(r"\d\.\d\d %|\d (?:ms|images/s)\b|\d\.\d+ s\b")
DATE = re.compile(r"\b20\d\d-\d\d-\d\d\b")
PROCESSOR = re.compile(r"\b(?:cores?|thread|Xeon|H100)\b")
COMMAND = re.compile(
    r"\b(?:supsup [a-z]|python (?:-m )?(?:tests|examples)|sh examples)|\.sh\b|\btorchrun "
)


def section(page: str, title: str) -> str:
    """Cut a section out of a page."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    return str(found)


def rows(page: str, title: str) -> list[list[str]]:
    """List the rows of a section's only table, without its head."""
    lines = [line for line in section(page, title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_command_has_one_line_in_the_readme_and_one_row_in_the_guide() -> None:
    described = [row[0].strip("`") for row in rows(GUIDE, "Commands")]
    assert sorted(described) == sorted(COMMANDS)
    lines = re.findall(r"^- `([a-z -]+)`: ", README, re.MULTILINE)
    assert sorted(lines) == sorted(COMMANDS)


def test_every_option_of_every_command_has_exactly_one_row() -> None:
    every = {(name, option) for name, command in COMMANDS.items() for option in options(command)}
    described: Counter[tuple[str, str]] = Counter()
    for option, of, _ in rows(GUIDE, "Options"):
        named = set(re.findall(r"`([a-z -]+)`", of))
        of_all = of.startswith("all")
        assert of_all or named
        assert named <= COMMANDS.keys()
        described.update(
            (name, option.strip("`")) for name in (COMMANDS.keys() - named if of_all else named)
        )
    assert set(described) == every
    assert max(described.values()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_of_every_document_is_in_the_guide(command: str) -> None:
    documented = dict(rows(GUIDE, "JSON documents"))
    assert len(documented) == len(rows(GUIDE, "JSON documents")) == len(COMMANDS)
    assert documented[f"`{command}`"] == keys_of(ANSWERS[command])


def test_every_exit_code_has_exactly_one_row_on_one_page() -> None:
    def codes(kind: type[Exception]) -> set[int]:
        return {kind.exit_code} | {code for one in kind.__subclasses__() for code in codes(one)}

    documented = [int(code) for code, _ in rows(GUIDE, "Exit codes")]
    assert documented == [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 130]
    assert codes(BankError) | codes(SupsupError) <= set(documented)
    tables = [page for page in PAGES if re.search(r"^\| 130 \|", _text(page), re.MULTILINE)]
    assert tables == ["supsup_cli/GUIDE.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", _text(page)) if "://" not in link]
    for link in links:
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings]
            assert anchor in anchors, link


@pytest.mark.parametrize("page", PAGES)
def test_no_figure_stands_without_its_command_date_and_processor(page: str) -> None:
    """Text above the first heading of the second level holds for the whole page."""
    head, *sections = re.split(r"^## ", _text(page), flags=re.MULTILINE)
    for one in sections:
        if FIGURE.search(one):
            title = one.splitlines()[0]
            assert DATE.search(head + one), f"{page}, {title}: no date"
            assert PROCESSOR.search(head + one), f"{page}, {title}: no processor"
            assert COMMAND.search(one), f"{page}, {title}: no command"


def _text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")
