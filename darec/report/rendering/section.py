"""A section of the page."""

from dataclasses import dataclass, field

from darec.report.rendering.figures import Picture
from darec.report.rendering.tables import Table


@dataclass(frozen=True)
class Section:
    """A title, paragraphs, tables and figures, under an id that the page links to."""

    id: str
    title: str
    text: list[str]
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    foot: str = ""
    """A paragraph below the tables."""
