"""Where a score comes from: the code, the libraries and the device that computed it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeVar

import torch
from pydantic import Field

from darec.models.kind import ModelKind
from darec.provenance import LIBRARIES, code_digest, other_releases, revision, versions


@dataclass(frozen=True)
class Origin:
    """What computed a score. Raises ``ValueError`` if a library has no release."""

    revision: str
    """Of darec's own repository; the version of darec where there is none."""
    code_digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Of darec's code, together with that of a model from outside."""
    versions: dict[str, str]
    """Releases of Python and of the libraries that can change a result."""
    device: str
    """``cpu``, or ``cuda`` and the name of the GPU."""

    def __post_init__(self) -> None:
        for name in ("python", *LIBRARIES):
            if name not in self.versions:
                raise ValueError(f"versions must have a release of {name}, but has none")

    def differences(self, other: "Origin") -> list[str]:
        """Return, in words, the differences from another origin that can change a score.

        All GPUs count as the same device. Code is compared by its digest, not by its revision.
        """
        messages = ["other code"] if self.code_digest != other.code_digest else []
        for library in other_releases(self.versions, other.versions):
            messages.append(
                f"{library} {self.versions[library]} instead of {other.versions[library]}"
            )
        if _kind(self.device) != _kind(other.device):
            messages.append(f"{self.device} instead of {other.device}")
        return messages

    def shown(self) -> str:
        """Return the revision, the code and the device in words."""
        return f"revision {self.revision}, code {self.code_digest[:12]}, {self.device}"


class Made(Protocol):
    """A score that says where it comes from."""

    @property
    def origin(self) -> Origin:
        """What computed it."""


T = TypeVar("T", bound=Made)


def this_origin(kind: ModelKind, device: str, code: str | None = None) -> Origin:
    """Return the origin of what this process computes; a model of the CPU never uses a GPU.

    ``code`` is the digest of all code if there is more than darec's: that of a model from outside.
    """
    used = "cpu" if kind.cpu_only else device
    if used != "cpu" and torch.cuda.is_available():
        used = f"{used} ({torch.cuda.get_device_name()})"
    return Origin(revision(), code or code_digest(), versions(), used)


def by_origin(scores: Iterable[T]) -> list[list[T]]:
    """Return the scores in groups: in a group, nothing that can change a number differs."""
    groups: list[list[T]] = []
    for score in scores:
        for group in groups:
            if not score.origin.differences(group[0].origin):
                group.append(score)
                break
        else:
            groups.append([score])
    return groups


def compared(scores: Iterable[tuple[Made, Origin]]) -> Counter[tuple[str, str]]:
    """Count scores by their origin in words, and by its differences from another one in words."""
    return Counter(
        (score.origin.shown(), ", ".join(score.origin.differences(here))) for score, here in scores
    )


def mixture(scores: Sequence[Made]) -> str:
    """Say how many scores come from where, in one line; nothing if all are of one origin."""
    groups = by_origin(scores)
    if len(groups) < 2:
        return ""
    last = groups[-1][0].origin
    messages = []
    for group in groups:
        origin = group[0].origin
        differs = [each for each in origin.differences(last) if each != "other code"]
        words = ", ".join([origin.shown(), *differs])
        messages.append(f"{len(group)} ({words})")
    return f"{len(scores)} scores mix different code, libraries or devices: {'; '.join(messages)}"


def _kind(device: str) -> str:
    return device.partition(" ")[0]
