"""Studies under a URI (``s3://...``): Tune writes there itself, the plain files are copied."""

import atexit
import shutil
import tempfile
from pathlib import Path

from pyarrow import fs

PLAIN = (".json", ".jsonl", ".csv", ".safetensors")


def is_uri(out: str) -> bool:
    """Whether ``--out`` names a remote place."""
    return "://" in out


def working_folder(out: str) -> Path:
    """Return where plain files are written: ``out`` itself, or a scratch folder to publish."""
    if not is_uri(out):
        return Path(out).resolve()
    folder = Path(tempfile.mkdtemp(prefix="darec-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def fetch(uri: str, folder: Path) -> None:
    """Copy plain files from a URI, if there are any: to resume a search, or to evaluate it."""
    remote, root = fs.FileSystem.from_uri(uri)
    found = remote.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    for info in found:
        name = info.path[len(root) :].lstrip("/")
        inside = ".." not in Path(name).parts
        if info.is_file and inside and name.endswith(PLAIN) and "tune" not in Path(name).parts:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            fs.copy_files(info.path, str(folder / name), remote, fs.LocalFileSystem())


def publish(folder: Path, uri: str) -> None:
    """Copy plain files to a URI, ``best.json`` after all that it stands for."""
    remote, root = fs.FileSystem.from_uri(uri)
    files = [path for path in folder.glob("**/*") if path.suffix in PLAIN]
    for path in sorted(files, key=lambda path: (path.name == "best.json", path)):
        to = f"{root.rstrip('/')}/{path.relative_to(folder).as_posix()}"
        remote.create_dir(to.rpartition("/")[0], recursive=True)
        fs.copy_files(str(path), to, fs.LocalFileSystem(), remote)


def publish_lines(path: Path, uri: str) -> None:
    """Add an append-only file's new lines to its copy at a URI; lines of others there stay."""
    remote, root = fs.FileSystem.from_uri(uri)
    to, kept = f"{root.rstrip('/')}/{path.name}", ""
    if remote.get_file_info(to).is_file:
        with remote.open_input_stream(to) as file:
            kept = file.read().decode()
    lines = dict.fromkeys([*kept.splitlines(), *path.read_text().splitlines()])
    with remote.open_output_stream(to) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
