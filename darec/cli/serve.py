"""``darec serve``: answer HTTP requests with a model."""

from typing import Annotated

import typer

from darec.cli.command import command, stop_on_sigterm
from darec.cli.console import Terminal
from darec.cli.options import Address, Insecure
from darec.errors import UserError


@command
def serve(
    reporter: Terminal,
    model: Annotated[str, typer.Argument(help="A model's folder or URI.")],
    host: Annotated[str, typer.Option(help="Address to listen on; there is no login.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    replicas: Annotated[
        int, typer.Option(min=1, help="Processes that answer, each with the model and a CPU.")
    ] = 1,
    max_replicas: Annotated[
        int | None, typer.Option(min=1, help="Start up to this many when there are many requests.")
    ] = None,
    address: Address = None,
    insecure: Insecure = False,
) -> None:
    """Answer HTTP requests with a model until Ctrl-C: predictions, recommendations, its card.

    Example: darec serve results/toys_auto-90/fm_cdcf/model --port 8000

    A new model in the same folder replaces the old one without losing a request. The page /docs
    describes all requests.
    """
    try:
        from darec.serving.on_ray.service import Options, run_service
    except ImportError as error:
        message = str(error).partition(". ")[0]
        raise UserError(f'{message}: pip install -e ".[serve]"') from error

    stop_on_sigterm()
    options = Options(host, port, replicas, max_replicas)
    try:
        run_service(model, options, reporter, address=address, insecure=insecure)
    except KeyboardInterrupt:  # for a service this is no failure
        reporter.line("stopped")
