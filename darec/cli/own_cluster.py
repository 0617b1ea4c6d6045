"""``darec own-cluster``: write cluster.yaml for machines of your own, reached over ssh."""

from pathlib import Path
from typing import Annotated

import typer

from darec.cli.command import command, command_line
from darec.cli.console import Terminal


@command
def own_cluster(
    reporter: Terminal,
    hosts: Annotated[
        str, typer.Option(help="Host names or addresses, comma-separated; the first is the head.")
    ],
    user: Annotated[str, typer.Option(help="User who can ssh to every host without a password.")],
    out: Annotated[
        str, typer.Option(help="Where results go: a folder that every host sees (NFS), or a URI.")
    ],
    home: Annotated[
        str | None, typer.Option(help="That user's home; /home/USER or /root by default.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Private ssh key; ssh's own by default.")] = None,
    to: Annotated[Path, typer.Option(help="File to write.")] = Path("own-cluster.yaml"),
) -> None:
    """Write a cluster file for your own machines: cluster.yaml without a cloud and containers.

    Example: darec own-cluster --hosts 10.0.0.1,10.0.0.2 --user ada --out /nfs/results

    Every host needs ssh, rsync, Python 3.11 or later and Ray on the PATH of its login shell.
    `ray up` installs the releases of constraints.txt. The head runs trials, too.
    """
    from darec.api.own_cluster import write_cluster_file

    write_cluster_file([name.strip() for name in hosts.split(",")], user, out, home, key, to)
    up = command_line("ray up", {}, to)
    reporter.line(
        f"written: {to}\n"
        f"next:  (umask 077; ray get-auth-token --generate)   # once\n"
        f"       RAY_UP_enable_autoscaler_v2=0 {up}   # in the checkout, which every host "
        f"gets; the autoscaler's v2 leaves one host out"
    )
    reporter.answer({"written": to})
