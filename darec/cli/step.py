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
    from darec.tuning.cluster.connection import connected

    request = StepRequest.from_json(sys.stdin.read())
    with connected(request.place.address):
        stop_on_sigterm()  # after Ray's own handler
        run_step(request, reporter)
