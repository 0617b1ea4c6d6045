"""The validation predictions of each trial's best epoch, from which a stack is made.

A trial writes them into its checkpoints. They stay when its checkpoints are deleted, and a finished
study has those of all its trials in one file.
Shapes: N validation ratings of the target.
"""

import io
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from ray import tune
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from darec.data.ratings import FloatArray
from darec.errors import UserError
from darec.files import write
from darec.models.best import REMEDY
from darec.tuning.storage import read, replace

IN_CHECKPOINT = "valid_predictions.npy"
"""A trial's predictions f32[N], in its checkpoints and later in its folder."""
OF_STUDY = "valid_predictions.safetensors"
"""The predictions f32[N] of a finished study's trials, by trial id."""


def save_predictions(best_predictions: FloatArray, checkpoint: Path) -> None:
    """Write a trial's predictions into a checkpoint."""
    np.save(checkpoint / IN_CHECKPOINT, best_predictions)


def keep_predictions(checkpoint: tune.Checkpoint) -> None:
    """Copy a trial's predictions out of its last checkpoint, which will be deleted.

    A trial that diverged at once has none. Raises ``OSError`` when they cannot be copied.
    """
    with suppress(FileNotFoundError):
        path, files = Path(checkpoint.path), checkpoint.filesystem
        content = read(files, str(path / IN_CHECKPOINT))
        replace(files, str(path.parent / IN_CHECKPOINT), content)


def gather_predictions(
    checkpoints: Iterable[tuple[str, tune.Checkpoint | None]], folder: Path
) -> None:
    """Write the predictions of a study's trials into one file of its folder.

    ``checkpoints`` has each trial's id and last checkpoint. A study that goes on with more trials
    has a file of the first ones already. Trials whose predictions are lost are left out.
    """
    found = {}
    with suppress(OSError, SafetensorError):
        found = dict(load_file(folder / OF_STUDY))
    for trial_id, checkpoint in checkpoints:
        predictions = None if checkpoint is None else _of(checkpoint)
        if predictions is not None and len(predictions):
            found[trial_id] = predictions
    write(folder / OF_STUDY, lambda path: save_file(found, path))


def _of(checkpoint: tune.Checkpoint) -> FloatArray | None:
    """Return a trial's predictions from its last checkpoint, or from its folder."""
    path = Path(checkpoint.path)
    for place in (path, path.parent):
        with suppress(OSError, ValueError, EOFError):
            content = read(checkpoint.filesystem, str(place / IN_CHECKPOINT))
            array: FloatArray = np.load(io.BytesIO(content), allow_pickle=False)
            return array
    return None


def read_predictions(folder: Path, n_valid: int, place: str) -> dict[str, FloatArray]:
    """Return the predictions of a finished study's trials by trial id.

    ``n_valid`` is N, and ``place`` the folder as the user names it. Raises `UserError` if the file
    is damaged, of other data, or absent, as it is after a search by an earlier version.
    """
    named = f"{place}/{OF_STUDY}"
    try:
        found: dict[str, FloatArray] = load_file(folder / OF_STUDY)
    except FileNotFoundError as error:
        message = "the search kept no validation predictions; search again with another --out"
        raise UserError(f"{named}: {message}") from error
    except (OSError, SafetensorError) as error:
        raise UserError(f"{named}: cannot be read: {error}; {REMEDY}") from error
    for trial_id, predictions in found.items():
        if len(predictions) != n_valid:
            message = f"must have {n_valid} predictions of trial {trial_id}"
            raise UserError(f"{named}: {message}, but has {len(predictions)}; {REMEDY}")
    return found
