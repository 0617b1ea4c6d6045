"""Reads and writes files in a folder or under a URI (``s3://...``).

Tune writes its own files to a URI by itself. The plain result files of a study are written to a
local folder first and copied to the URI. Paths are handled by ``pyarrow.fs``, as in Tune.
"""

import atexit
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow.fs import (
    FileInfo,
    FileSelector,
    FileSystem,
    FileType,
    LocalFileSystem,
    copy_files,
)

from darec.errors import UserError
from darec.files import write

PLAIN = (".json", ".jsonl", ".csv", ".safetensors", ".parquet", ".md", ".html", ".log")
"""Suffixes of the plain result files of a study."""
LARGE = {"model.safetensors", "ratings.safetensors"}
"""Large files of a model folder. Only a process that loads the model needs them."""
ONE_SLASH = re.compile(r"[A-Za-z][\w+.-]+:/(?!/)")
"""A URI that lacks a slash, as ``str(Path("s3://bucket"))`` makes it."""


def is_uri(place: str) -> bool:
    """Return whether ``--out`` or a study's storage is a URI rather than a folder.

    Raises `UserError` for a URI with a single slash.
    """
    if ONE_SLASH.match(place):
        rule = "a URI must have two slashes, as in s3://bucket/results"
        raise UserError(f"--out {place}: {rule}; a folder of that name is ./{place}")
    return "://" in place


def join(place: str, *names: str) -> str:
    """Return a path below a folder or URI."""
    return "/".join([place.rstrip("/"), *names])


def open_place(place: str) -> tuple[FileSystem, str]:
    """Return the file system of an absolute path or URI, and the path within it.

    Raises `UserError` for a URI that no file system knows, or that has no region or bucket.
    """
    with naming(place):
        files, path = FileSystem.from_uri(place)
        if not path:
            raise ValueError("no bucket is named")
    return files, path


@contextmanager
def naming(place: str) -> Iterator[None]:
    """Turn the errors of a file system into a `UserError` that names ``--out``."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        how = "check the address, and the credentials and region of a bucket"
        raise UserError(f"--out {place}: cannot be used: {reason}; {how}") from error


def listed(files: FileSystem, folder: str, recursive: bool = False) -> list[FileInfo]:
    """Return what is in a folder; nothing if it does not exist."""
    selector = FileSelector(folder, allow_not_found=True, recursive=recursive)
    found: list[FileInfo] = files.get_file_info(selector)
    return found


def exists(files: FileSystem, path: str) -> bool:
    """Return whether there is a file."""
    return bool(files.get_file_info(path).type == FileType.File)


def read(files: FileSystem, path: str) -> bytes:
    """Return a file's content."""
    with files.open_input_stream(path) as source:
        content: bytes = source.read()
    return content


def replace(files: FileSystem, path: str, content: bytes) -> None:
    """Write a file as a whole, so that a reader sees either the old content or the new one."""
    if isinstance(files, LocalFileSystem):
        write(Path(path), lambda temporary: temporary.write_bytes(content))
        return
    _make_folder(files, path)
    with files.open_output_stream(path) as target:
        target.write(content)


def _copy(source: Path, files: FileSystem, path: str) -> None:
    """Copy a file as a whole to a file system."""
    if isinstance(files, LocalFileSystem):
        write(Path(path), lambda temporary: shutil.copyfile(source, temporary))
        return
    _make_folder(files, path)
    copy_files(str(source), path, LocalFileSystem(), files)


def _make_folder(files: FileSystem, path: str) -> None:
    if folder := path.rpartition("/")[0]:
        files.create_dir(folder, recursive=True)


def delete(files: FileSystem, path: str) -> None:
    """Delete a file if it is there."""
    if exists(files, path):
        files.delete_file(path)


def working_folder(out: str) -> Path:
    """Return where plain files are written: ``out`` itself, or a scratch folder for a URI.

    Raises `UserError` for a URI that cannot be read.
    """
    if not is_uri(out):
        return Path(out).resolve()
    files, root = open_place(out)
    with naming(out):
        listed(files, root)
    folder = Path(tempfile.mkdtemp(prefix="darec-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def fetch(uri: str, folder: Path) -> None:
    """Copy the plain result files below a URI to a folder, but not Tune's own files.

    The large files of model folders stay where they are.
    Raises `UserError` when they cannot be read.
    """
    files, root = open_place(uri)
    with naming(uri):
        for info in listed(files, root, recursive=True):
            name = Path(info.path[len(root) :].lstrip("/"))
            ours = name.name not in LARGE and not {"..", "tune"} & set(name.parts)
            if info.is_file and _is_plain(name) and ours:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                copy_files(info.path, str(folder / name), files, LocalFileSystem())


def sizes(uri: str) -> dict[str, int]:
    """Return the bytes of every file below a URI, by its path below it.

    Raises `UserError` when they cannot be read.
    """
    files, root = open_place(uri)
    with naming(uri):
        found = [info for info in listed(files, root, recursive=True) if info.is_file]
    return {info.path[len(root) :].lstrip("/"): info.size for info in found}


def fetch_file(uri: str, path: Path) -> None:
    """Copy one file from a URI if it is there; raises `UserError` when it cannot be read."""
    files, source = open_place(uri)
    with naming(uri):
        if exists(files, source):
            path.parent.mkdir(parents=True, exist_ok=True)
            copy_files(source, str(path), files, LocalFileSystem())


def publish_file(path: Path, uri: str) -> None:
    """Copy one file to a URI; raises `UserError` when it cannot be written."""
    files, to = open_place(uri)
    with naming(uri):
        _copy(path, files, to)


def publish(folder: Path, uri: str) -> None:
    """Copy a folder's plain result files to a URI; ``best.json`` comes last and marks the end.

    Raises `UserError` when they cannot be written.
    """
    files, root = open_place(uri)
    found = [path for path in folder.glob("**/*") if _is_plain(path)]
    with naming(uri):
        for path in sorted(found, key=lambda path: (path.name == "best.json", path)):
            _copy(path, files, join(root, path.relative_to(folder).as_posix()))


def _is_plain(path: Path) -> bool:
    """Return whether a file is a result, and not what an interrupted write left."""
    return path.suffix in PLAIN and not path.name.startswith(".")


def publisher(folder: Path, place: str) -> Callable[[], None]:
    """Return a function that copies a folder to its URI; it does nothing if there is no URI."""
    return (lambda: publish(folder, place)) if is_uri(place) else (lambda: None)


def publish_lines(path: Path, uri: str) -> None:
    """Add a file's new lines to its copy at a URI. Lines that others wrote there stay.

    Half a line at the end of either is left out.

    Raises `UserError` when they cannot be written.
    """
    files, root = open_place(uri)
    to = join(root, path.name)
    with naming(uri):
        *kept, _ = (read(files, to) if exists(files, to) else b"").split(b"\n")
        *own, _ = path.read_bytes().split(b"\n")
        replace(files, to, b"".join(line + b"\n" for line in dict.fromkeys([*kept, *own])))
