"""The exit code of a finished command, where an option has a say in it."""

from supsup_cli.workflows.results.common import Result
from supsup_cli.workflows.results.inference import InferResult, PredictResult

NEW_TASK = 4


def exit_code(result: Result, *, fail_on_new: bool) -> int:
    """Choose the code of a result: its own unless that is 0, then 4 for a new task if asked for."""
    if not fail_on_new or not isinstance(result, InferResult | PredictResult):
        return result.exit_code
    new = any(one.known is False for one in result.results)
    return result.exit_code or (NEW_TASK if new else 0)
