"""Tasks: `tasks`."""

import typer

from supsup_cli.commands.answering import answer
from supsup_cli.options import DEFAULT_BANK, BankOption, DebugOption, JsonOption, QuietOption
from supsup_cli.output import Terminal
from supsup_cli.workflows.results.common import Result

app = typer.Typer()


@app.command()
def tasks(
    bank: BankOption = DEFAULT_BANK,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """List the bank's tasks."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows import listing as workflow

        return workflow.list_tasks(bank)

    answer(work, as_json=as_json, quiet=quiet)
