"""One checked copy of the served folder, from which all replicas load the model.

A replica on another machine need not see the folder. A folder that is being written, or damaged,
never reaches a replica.
"""

from darec.serving.answers import Answers
from darec.serving.folder import CARD
from darec.serving.load import Copy, copy_of, model_of


def digest_of(place: str) -> str:
    """Return the SHA-256 of a folder's model.json; raises `UserError` if it cannot be read."""
    return copy_of(place, frozenset({CARD})).digest


def load_copy(copy: Copy) -> Answers:
    """Return the model of a copy, ready to answer; raises `UserError` if the copy is not whole."""
    model = model_of(copy)
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
