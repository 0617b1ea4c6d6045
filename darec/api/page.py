"""Write the page of a search beside its results."""

from pathlib import Path

from darec.errors import UserError
from darec.reporter import LOGGER
from darec.tuning import storage


def write_page(folder: Path, place: str) -> None:
    """Write ``study.html``, if there is a trial to show, also where results are at a URI.

    ``place`` is the folder as the user names it, or the URI.
    """
    from darec.api.study_page import write_study_page  # matplotlib is slow to import

    try:
        page = write_study_page(folder)
        if storage.is_uri(place):
            storage.publish_file(page, storage.join(place, page.name))
    except UserError as error:
        LOGGER.debug("no page: %s", error)
    except Exception as error:  # a search must not be lost for a picture of it
        LOGGER.warning("%s: the page could not be written: %s", folder, error)
