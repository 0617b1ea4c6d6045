"""Machines that answer ssh, made of Linux namespaces on this one machine.

Each has its own network, processes, /root and /tmp. All share this machine's Python packages,
except darec, which the set-up commands of the cluster install.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TOOLS = ("ip", "unshare", "sshd", "ssh", "ssh-keygen", "rsync")
NET = f"10.77.{os.getpid() % 256}"  # two runs of the tests at once do not meet
OPTIONS = ["-q", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
OPTIONS += ["-o", "ConnectTimeout=5"]
COMMAND_LIMIT_S = 60
SSHD = """
Port 22
ListenAddress {ip}
HostKey {folder}/hostkey
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
AuthorizedKeysFile .ssh/authorized_keys
PidFile none
"""
PROFILE = """
export PATH=/root/venv/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
export PIP_NO_DEPS=1 PIP_NO_BUILD_ISOLATION=0 PIP_DISABLE_PIP_VERSION_CHECK=1
"""
RUN = """
hostname {name}
{binds}
mount --rbind {folder}/root /root
mount --rbind {folder}/tmp /tmp
mount -t tmpfs -o size=2g tmpfs /dev/shm
mkdir -p /run/sshd
exec {sshd} -D -e -f {folder}/sshd_config
"""


@dataclass
class Host:
    """One machine; root may log in with the lab's key."""

    name: str
    ip: str
    process: subprocess.Popen
    """The machine's first process; all others end with it."""

    def kill(self):
        """End all processes of the machine at once, as a power cut does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(COMMAND_LIMIT_S)


@dataclass
class Lab:
    """Machines on one network, and what is needed to use them."""

    hosts: list[Host]
    key: Path
    """The private key that opens every machine."""
    shared: Path
    """A folder that every machine sees."""
    home: Path
    """A home folder for the person who starts the cluster."""


def missing() -> str | None:
    """Return why machines cannot be made here, or None if they can."""
    lacking = [tool for tool in TOOLS if not _which(tool)]
    if lacking:
        return f"{', '.join(lacking)} not installed"
    if os.geteuid():
        return "network namespaces need root"
    probe = ["unshare", "--net", "--mount", "--pid", "--fork", "true"]
    refused = subprocess.run(probe, check=False, timeout=COMMAND_LIMIT_S).returncode
    return "this system does not permit namespaces" if refused else None


@contextmanager
def lab(count: int) -> Iterator[Lab]:
    """Start ``count`` machines, wait until ssh works on each, and remove them at the end."""
    folder = Path(tempfile.mkdtemp(prefix="darec-lab-", dir="/var/tmp"))
    tag = f"d{os.getpid() % 10000}"
    bridge, made = f"{tag}b", Lab([], folder / "key", folder / "shared", folder / "home")
    for path in (made.shared, made.home, Path("/run/sshd")):
        path.mkdir(exist_ok=True, parents=True)
    for key in (made.key, folder / "hostkey"):
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    try:
        _do("ip", "link", "add", bridge, "type", "bridge")
        _do("ip", "addr", "add", f"{NET}.1/24", "dev", bridge)
        _do("ip", "link", "set", bridge, "up")
        for i in range(count):
            made.hosts.append(_host(folder, f"{tag}h{i}", f"{NET}.{10 + i}", bridge))
        for host in made.hosts:
            _wait_for_ssh(host, made.key)
        yield made
    finally:
        for host in made.hosts:
            if host.process.poll() is None:
                host.kill()
            _do("ip", "netns", "del", host.name, check=False)
        _do("ip", "link", "del", bridge, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _host(folder: Path, name: str, ip: str, bridge: str) -> Host:
    own = folder / name
    for part in ("root/.ssh", "tmp"):
        (own / part).mkdir(parents=True)
    (own / "tmp").chmod(0o1777)
    shutil.copy(folder / "key.pub", own / "root/.ssh/authorized_keys")
    (own / "root/.bashrc").write_text(PROFILE)
    (own / "sshd_config").write_text(SSHD.format(ip=ip, folder=folder))
    _environment(own / "root/venv")
    binds = "\n".join(_binds(own))
    inside = RUN.format(name=name, binds=binds, folder=own, sshd=_which("sshd"))
    _do("ip", "netns", "add", name)
    _do("ip", "link", "add", f"{name}v", "type", "veth", "peer", "name", "eth0", "netns", name)
    _do("ip", "link", "set", f"{name}v", "master", bridge, "up")
    up = (
        "link set eth0 up",
        "link set lo up",
        f"route add default via {NET}.1",
    )  # Ray wants a default route
    for command in (f"addr add {ip}/24 dev eth0", *up):
        _do("ip", "-n", name, *command.split())
    apart = ["--pid", "--fork", "--kill-child", "--mount-proc", "--uts", "--mount", "--ipc"]
    process = subprocess.Popen(
        ["ip", "netns", "exec", name, "unshare", *apart, "bash", "-ec", inside],
        stdin=subprocess.DEVNULL,
        stdout=(own / "log").open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return Host(name, ip, process)


def _environment(venv: Path) -> None:
    """Make the machine's virtual environment; it sees the packages of the one that runs this."""
    _do(sys.executable, "-m", "venv", "--without-pip", str(venv))
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    (inside,) = venv.glob("lib/*/site-packages")
    (inside / "ours.pth").write_text(packages)
    scripts = {"ray": "ray.scripts.scripts", "pip": "pip", "tensorboard": "tensorboard.main"}
    for name, module in scripts.items():
        script = venv / "bin" / name
        script.write_text(f'#!/bin/sh\nexec /root/venv/bin/python -m {module} "$@"\n')
        script.chmod(0o755)


def _binds(own: Path) -> Iterator[str]:
    """Return commands that keep this Python visible although /root and /tmp are replaced."""
    for path in (Path(sys.base_prefix), Path(sys.prefix)):
        for hidden in ("root", "tmp"):
            if path.is_relative_to(f"/{hidden}"):
                place = own / hidden / path.relative_to(f"/{hidden}")
                yield f"mkdir -p {place}; mount --bind {path} {place}"


def _wait_for_ssh(host: Host, key: Path) -> None:
    command = ["ssh", *OPTIONS, "-i", str(key), f"root@{host.ip}", "true"]
    deadline = time.monotonic() + 30
    while subprocess.run(command, check=False, timeout=COMMAND_LIMIT_S).returncode:
        assert host.process.poll() is None and time.monotonic() < deadline, f"no ssh on {host.name}"
        time.sleep(0.2)


def _which(tool: str) -> str | None:
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _do(tool: str, *arguments: str, check: bool = True) -> None:
    command = [_which(tool) or tool, *arguments]
    subprocess.run(command, check=check, capture_output=not check, timeout=COMMAND_LIMIT_S)
