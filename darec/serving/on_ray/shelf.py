"""One checked copy of the served folder, from which all replicas load the model.

A replica on another machine need not see the folder. A folder that is being written, or damaged,
never reaches a replica.
"""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from darec.errors import UserError
from darec.serving.answers import Answers
from darec.serving.folder import CARD, FILES
from darec.serving.load import load
from darec.tuning import storage


@dataclass(frozen=True)
class Copy:
    """The files of a model folder."""

    place: str
    """The folder or URI that they are from."""
    files: dict[str, bytes]

    @property
    def digest(self) -> str:
        """SHA-256 of model.json, which has those of the other files."""
        return hashlib.sha256(self.files[CARD]).hexdigest()


def copy_of(place: str, names: frozenset[str] = frozenset({CARD, *FILES})) -> Copy:
    """Return a copy of files of a model folder.

    Raises `UserError` for one that cannot be read.
    """
    is_uri = storage.is_uri(place)
    files, folder = storage.open_place(place if is_uri else str(Path(place).absolute()))
    content = {}
    for name in sorted(names):
        try:
            content[name] = storage.read(files, f"{folder}/{name}")
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"{place}/{name}: cannot be read: {reason}; is it a model?") from error
    return Copy(place, content)


def digest_of(place: str) -> str:
    """Return the SHA-256 of a folder's model.json; raises `UserError` if it cannot be read."""
    return copy_of(place, frozenset({CARD})).digest


def load_copy(copy: Copy) -> Answers:
    """Return the model of a copy, ready to answer; raises `UserError` if the copy is not whole."""
    with tempfile.TemporaryDirectory(prefix="darec-model-") as folder:
        for name, content in copy.files.items():
            (Path(folder) / name).write_bytes(content)
        try:
            model = load(folder)
        except UserError as error:
            raise UserError(str(error).replace(folder, copy.place)) from error
    model.recommend([model.user_ids.ids[0]], 1)  # the first request should not wait for tables
    return Answers(model, copy.digest)


class Shelf:
    """An actor that holds the copy that all replicas load; it needs no CPU."""

    def __init__(self, copy: Copy) -> None:
        self._copy = copy

    def replace(self, copy: Copy) -> None:
        """Hold another copy from now on."""
        self._copy = copy

    def newer(self, digest: str) -> Copy | None:
        """Return the copy, or None if it is the one with this digest."""
        return None if digest == self._copy.digest else self._copy
