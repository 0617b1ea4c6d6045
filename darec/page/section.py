"""A section of a page, and its tables, whose rows can be sorted."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from darec.page.picture import Picture


@dataclass(frozen=True)
class TableCell:
    """A cell's text, and the value that its column is sorted by."""

    text: str
    sort: float | str = ""
    """The text itself if empty."""
    note: str = ""
    """Small print below the text."""
    best: bool = False
    loses: bool = False


@dataclass(frozen=True)
class Table:
    """A caption, column names and rows; the first cell of a row is its label."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[TableCell]]
    foot: Sequence[TableCell] = ()
    """A last row, which sorting leaves at the bottom."""

    @property
    def is_text(self) -> bool:
        """Whether it has words only; on a narrow screen each row is a card then."""
        return all(cell.sort == "" for row in self.rows for cell in row)

    @property
    def lines(self) -> Sequence[Sequence[TableCell]]:
        """All rows, the last one included."""
        return [*self.rows, self.foot] if self.foot else self.rows


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
    code: str = ""
    """Text to copy, as it is."""
