"""Fetch an Amazon category's rating file once: sha256 checked, nothing broken kept."""

import hashlib
import json
import sys
from pathlib import Path

import pooch
import requests

from darec.errors import UserError
from darec.files import write_json

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
"""As pinned by public loader libraries for the 2014 files; later years record their first."""


def fetch(
    category: str,
    year: int,
    folder: Path,
    stand_in: str,
    base_url: str | None = None,
    accept_changed: bool = False,
) -> Path:
    """Return the category's file in ``folder``, downloading it unless it is there already.

    A sha256 other than the pinned one (2014) or the one recorded at the first download is refused
    unless ``accept_changed``. Raises `UserError` when it differs or cannot be fetched.
    """
    url = (base_url or BASE_URLS[year]) + FILE_NAMES[year].format(category)
    path = folder / str(year) / url.rsplit("/", 1)[1]
    record = path.parent / "sha256.json"
    recorded: dict[str, str] = json.loads(record.read_text()) if record.is_file() else {}
    pinned = recorded.get(path.name) or (SHA256_2014.get(category) if year == 2014 else None)
    if not path.is_file():
        _download(url, path, None if accept_changed else pinned, stand_in)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if pinned not in (None, found) and not accept_changed:
        raise UserError(f"{path}: sha256 must be {pinned}, but got {found}; {ACCEPT}")
    if recorded.get(path.name) != found:
        write_json(record, {**recorded, path.name: found})
    return path


ACCEPT = "delete it to fetch it again, or accept it with jobs/prepare.py --accept-changed"


def _download(url: str, path: Path, sha256: str | None, stand_in: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bar = sys.stderr.isatty()
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}" if sha256 else None,
            path=path.parent,
            fname=path.name,
            downloader=pooch.HTTPDownloader(progressbar=bar, timeout=60),
        )
    except ValueError as error:
        path.unlink(missing_ok=True)
        raise UserError(
            f"{url}: refused, sha256 must be {sha256}: nothing kept; {ACCEPT}"
        ) from error
    except (requests.exceptions.RequestException, OSError) as error:
        path.unlink(missing_ok=True)
        stand = f"python jobs/tune.py --pair {stand_in} --synthetic"
        raise UserError(
            f"{url}: cannot be fetched ({type(error).__name__}); put the file at {path}, "
            f"or try the synthetic stand-in: {stand}"
        ) from error
