"""Write cluster.yaml for machines of your own, reached over ssh."""

import re
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from darec.errors import UserError
from jobs.common import console, main

SHIPPED = Path(__file__).parents[1] / "cluster.yaml"
IMAGE_HOME = "/home/ray"
"""Where cluster.yaml's image has its user's files."""
PIN, RESULTS = re.compile(r"(\w+)==\S+"), re.compile(r"DAREC_OUT=[^\s']+")


def own_cluster(
    hosts: Annotated[
        str, typer.Option(help="Host names or addresses, comma-separated; the first is the head.")
    ],
    user: Annotated[str, typer.Option(help="Who logs in, on every host, without a password.")],
    out: Annotated[
        str, typer.Option(help="Where results go: a folder that every host sees (NFS), or a URI.")
    ],
    home: Annotated[
        str | None, typer.Option(help="That user's home; /home/USER or /root by default.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Private ssh key; ssh's own by default.")] = None,
    to: Annotated[Path, typer.Option(help="File to write.")] = Path("own-cluster.yaml"),
) -> None:
    """Write cluster.yaml for machines of your own: the same set-up without a cloud and containers.

    Example: python jobs/own_cluster.py --hosts 10.0.0.1,10.0.0.2 --user ada --out /nfs/results

    Every host needs ssh, rsync, Python 3.11 or later and Ray on the PATH of its login shell, and
    gets the releases of torch, Optuna and NumPy that run here. The head runs trials, too.
    """
    import yaml

    names = [name.strip() for name in hosts.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise UserError(f"--hosts must be different host names, comma-separated, but got {hosts!r}")
    if not out.startswith("/") and "://" not in out:
        raise UserError(f"--out must be an absolute path or a URI, but got {out!r}")
    if shlex.quote(out) != out:
        raise UserError(f"--out must be without blanks and quotes, but got {out!r}")
    home = home or ("/root" if user == "root" else f"/home/{user}")
    text, n_places = RESULTS.subn(lambda _: f"DAREC_OUT={out}", SHIPPED.read_text())
    if n_places != 1:
        raise UserError(f"{SHIPPED}: DAREC_OUT= must be set in one place, but is in {n_places}")
    text = text.replace(IMAGE_HOME, home)
    local = {name: version(name).partition("+")[0] for name in PIN.findall(text)}
    config = yaml.safe_load(PIN.sub(lambda pin: f"{pin[1]}=={local[pin[1]]}", text))
    for cloud_only in ("docker", "available_node_types", "head_node_type", "head_setup_commands"):
        del config[cloud_only]
    config["provider"] = {"type": "local", "head_ip": names[0], "worker_ips": names[1:]}
    config["auth"] = {"ssh_user": user}
    if key is not None:
        config["auth"]["ssh_private_key"] = str(key)
    config["min_workers"] = config["max_workers"] = len(names) - 1
    to.write_text(f"# From cluster.yaml by jobs/own_cluster.py.\n{yaml.safe_dump(config)}")
    console.print(
        f"written: {to}\n"
        f"next:  (umask 077; ray get-auth-token --generate)   # once\n"
        f"       RAY_UP_enable_autoscaler_v2=0 ray up {to}   # v2 leaves one of your hosts out",
        highlight=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    main(own_cluster)
