"""Figures of a page as SVG; the same numbers give the same bytes."""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Draw = Callable[[Axes], None]
"""Draws one panel of a figure."""
INK = "#010203"
"""Colour of text and axes; the page replaces it by its own, which may be light or dark."""
USER, ITEM, OTHER, FLOOR = "#2f74d0", "#d9730d", "#7d8590", "#b0457b"
"""Colours of what is shown."""
STYLE: Any = {
    "svg.hashsalt": "darec",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.constrained_layout.use": True,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Picture:
    """A figure on the page."""

    name: str
    caption: str
    alt: str
    """What the figure shows, in words and numbers."""
    svg: str
    """The SVG element, as the page embeds it."""


def picture(
    name: str,
    caption: str,
    alt: str,
    panels: Mapping[str, Draw],
    inches: float = 3.6,
    save: Callable[[Figure, str], None] | None = None,
    high: float = 3.2,
) -> Picture:
    """Draw panels side by side, by title, each ``inches`` wide and ``high`` inches high.

    ``save`` is given the figure and its SVG file, to keep them elsewhere as well.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(inches * len(panels) + 1.0, high))
        for k, (title, draw) in enumerate(panels.items()):
            axes = figure.add_subplot(1, len(panels), k + 1)
            axes.set_title(title, fontsize=9)
            draw(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        if save is not None:
            save(figure, text.getvalue())
    return Picture(name, caption, alt, _inline(text.getvalue(), name))


def _inline(svg: str, name: str) -> str:
    """Return the SVG element, its ids made unique by ``name`` and its ink that of the page."""
    element = svg[svg.index("<svg") :].replace(INK, "currentColor")
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{name}-", element)
    return re.sub(r'(<svg [^>]*?)width="[^"]*"', r"\1", element, count=1)
