"""Make a page of its sections."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from darec.page.section import Section


def render(title: str, about: str, notes: Sequence[str], sections: Sequence[Section]) -> str:
    """Return a page as self-contained HTML.

    ``about`` is the paragraph below the title, and ``notes`` are small print below it.
    """
    environment = Environment(
        loader=PackageLoader("darec.page", "."), autoescape=True, undefined=StrictUndefined
    )
    template = environment.get_template("page.html.j2")
    return template.render(title=title, about=about, notes=notes, sections=sections)
