"""Download an Amazon category's rating file once, and check its SHA-256 each time it is used."""

import logging
from pathlib import Path

import pooch
from pydantic import TypeAdapter, ValidationError

from darec.errors import UserError
from darec.files import write, write_json
from darec.reporter import SILENT, Advance, Reporter

LOGGER = logging.getLogger(__name__)

BASE_URLS = {
    2014: "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/",
    2018: "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/categoryFilesSmall/",
    2023: "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/benchmark/0core/rating_only/",
}
FILE_NAMES = {2014: "ratings_{}.csv", 2018: "{}.csv", 2023: "{}.csv.gz"}

SHA256_2014 = {
    "Office_Products": "4cd5f3d454e744b7017ad5918e995ec2893b577c2109dbaa6d65b375092f9630",
    "Movies_and_TV": "05fd3bbb387bca99f16b7a64a26abb736429da416e3cc0cc7423483e9ec4c265",
    "Sports_and_Outdoors": "a31a27e2f0cd85b50acd002378cf1a23a0b3f2659484defb3225a836118252d4",
    "CDs_and_Vinyl": "74b503152bc8f92f389a1f841ec00361f903772e5ebb2b664ce678c023dbbceb",
    "Apps_for_Android": "ed8919d499a20949a60ea10c40c25d820783da7bead896f32213f98b1887d987",
    "Video_Games": "f0ca171050c2e0f208d47f5267992476b21ab68a01439c21c8be1a4432982cfa",
    "Toys_and_Games": "e28a342ca89a79036a9a840c0385a3a3342a08d3d3450ea3eaf3d544cd65d3af",
    "Automotive": "d77d59c094d86b7c987edcbc8d99ae78c9061e6f89ba819e1a77a1951fe977cc",
}
"""From public libraries that load the 2014 files. Files of later years are held against the
SHA-256 of their first download."""
RECORD = TypeAdapter(dict[str, str])


def fetch(
    category: str,
    year: int,
    folder: Path,
    pair: str,
    base_url: str | None = None,
    accept_changed: bool = False,
    reporter: Reporter = SILENT,
) -> Path:
    """Return the path of a category's file in ``folder``, and download it first if it is absent.

    ``pair`` is the pair of Table 1 that needs the file; error messages name it. ``reporter`` shows
    the progress of a download in percent.
    Raises `UserError` when the file cannot be downloaded, or when its SHA-256 is neither the known
    one nor accepted with ``accept_changed``.
    """
    url = (base_url or BASE_URLS[year]) + FILE_NAMES[year].format(category)
    path = folder / str(year) / url.rsplit("/", 1)[1]
    record = path.parent / "sha256.json"
    recorded = _recorded(record)
    known = recorded.get(path.name) or (SHA256_2014.get(category) if year == 2014 else None)
    how = f"accept it with darec prepare --pair {pair} --accept-changed"
    if not path.is_file():
        try:
            _download(url, path, None if accept_changed else known, reporter)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            stand_in = f"darec tune --pair {pair} --synthetic"
            raise UserError(
                f"{url}: cannot be downloaded ({reason}); put the file at {path}, "
                f"or try the synthetic stand-in: {stand_in}"
            ) from error
        except ValueError as error:
            rule = f"sha256 must be {known}, but the server has another file"
            raise UserError(f"{url}: {rule}; nothing was kept; {how}") from error
    found = pooch.file_hash(str(path))
    if known not in (None, found) and not accept_changed:
        rule = f"sha256 must be {known}, but got {found}"
        raise UserError(f"{path}: {rule}; delete it to download it again, or {how}")
    if recorded.get(path.name) != found:
        write_json(record, {**recorded, path.name: found})
    return path


def _recorded(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that was used before; raises `UserError` for another file."""
    try:
        return RECORD.validate_json(path.read_bytes()) if path.is_file() else {}
    except ValidationError as error:
        rule = "must be a JSON object of file names and their SHA-256"
        raise UserError(f"{path}: {rule}, but is not; delete it to record them anew") from error


def _download(url: str, path: Path, sha256: str | None, reporter: Reporter) -> None:
    """Download a file, and keep nothing of it on failure.

    Raises ``OSError`` when it cannot be downloaded or written, and ``ValueError`` when its SHA-256
    differs.
    """
    LOGGER.info("downloading %s", url)

    def save(temporary: Path) -> None:
        with reporter.progress(f"downloading {path.name}", 100) as advance:
            get = pooch.HTTPDownloader(progressbar=_Percent(advance), timeout=60)
            get(url, str(temporary), None)
        if sha256 not in (None, pooch.file_hash(str(temporary))):
            raise ValueError("another file")

    write(path, save)


class _Percent:
    """A progress bar as pooch expects it, which advances a `Reporter`'s bar percent by percent."""

    total = 0
    """Bytes of the whole file, set by pooch."""

    def __init__(self, advance: Advance) -> None:
        self._advance, self._bytes, self._shown = advance, 0, 0

    def update(self, n_bytes: int) -> None:
        """Count bytes that have arrived."""
        self._bytes += n_bytes
        while self.total and self._shown < min(100, 100 * self._bytes // self.total):
            self._shown += 1
            self._advance()

    def reset(self) -> None:
        """Do nothing: pooch calls this before it counts the whole file once more at the end."""
        self._bytes = 0

    def close(self) -> None:
        """Do nothing."""
