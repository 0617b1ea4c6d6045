"""``python -m darec step``: one step of a reproduction, in a process of its own."""

import sys

from darec.cli.command import command, stop_on_sigterm
from darec.reporter import Reporter


@command
def step(reporter: Reporter) -> None:
    """Run one search or evaluation, which is described as JSON on standard input.

    `darec reproduce` starts this command for each of the searches that it runs side by side.
    """
    from darec.report.running.step import StepRequest, run_step

    stop_on_sigterm()
    run_step(StepRequest.from_json(sys.stdin.read()), reporter)
