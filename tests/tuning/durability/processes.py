"""The processes that a command has started, so that a test ends no others."""

from pathlib import Path


def descendants(pid):
    """Return the ids and command lines of a process's children, and of theirs."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text().rpartition(")")[2].split()
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has ended meanwhile
                continue
            parents[int(entry.name)] = int(status[1]), line
    found, front = [], {pid}
    while front:
        front = {child for child, (parent, _) in parents.items() if parent in front}
        found += [(child, parents[child][1]) for child in sorted(front)]
    return found
