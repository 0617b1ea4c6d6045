"""``cluster.yaml`` for machines of one's own, made from the shipped file for AWS."""

import re
import shlex
from collections.abc import Sequence
from importlib.metadata import files
from pathlib import Path

import yaml

from darec.errors import UserError
from darec.files import write

IMAGE_HOME = "/home/ray"
"""The home directory in cluster.yaml's container image."""
RESULTS = re.compile(r"DAREC_OUT=[^\s']+")
CLOUD_ONLY = ("docker", "available_node_types", "head_node_type", "head_setup_commands")


def write_cluster_file(
    hosts: Sequence[str],
    user: str,
    out: str,
    home: str | None = None,
    key: Path | None = None,
    to: Path = Path("own-cluster.yaml"),
) -> None:
    """Write a file for ``ray up`` for hosts that are reached over ssh; the first is the head.

    Raises `UserError` for repeated hosts, and for results that not every host can see.
    """
    if not all(hosts) or len(set(hosts)) != len(hosts):
        given = ",".join(hosts)
        raise UserError(f"--hosts must be different host names, comma-separated, but got {given!r}")
    if not out.startswith("/") and "://" not in out:
        raise UserError(f"--out must be an absolute path or a URI, but got {out!r}")
    if shlex.quote(out) != out:
        raise UserError(f"--out must be without blanks and quotes, but got {out!r}")
    shipped = _shipped()
    text, n_places = RESULTS.subn(lambda _: f"DAREC_OUT={out}", shipped.read_text())
    if n_places != 1:
        raise UserError(f"{shipped}: DAREC_OUT= must be set in one place, but is in {n_places}")
    text = text.replace(IMAGE_HOME, home or ("/root" if user == "root" else f"/home/{user}"))
    config = yaml.safe_load(text)
    for part in CLOUD_ONLY:
        del config[part]
    config["provider"] = {"type": "local", "head_ip": hosts[0], "worker_ips": list(hosts[1:])}
    config["auth"] = {"ssh_user": user}
    if key is not None:
        config["auth"]["ssh_private_key"] = str(key)
    config["min_workers"] = config["max_workers"] = len(hosts) - 1
    made = f"# Made from cluster.yaml by darec own-cluster.\n{yaml.safe_dump(config)}"
    write(to, lambda temporary: temporary.write_text(made))


def _shipped() -> Path:
    """Return the path of cluster.yaml in a checkout, or where the wheel was installed."""
    path = Path(__file__).parents[2] / "cluster.yaml"
    if path.is_file():
        return path
    for installed in files("darec") or []:
        if installed.name == path.name:
            return Path(str(installed.locate()))
    raise UserError(f"{path}: the file is missing")
