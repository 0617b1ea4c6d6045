"""The winner's curves, which TensorBoard shows as a run of their own."""

from contextlib import suppress

from darec.tuning import storage
from darec.tuning.study.study import Study
from darec.tuning.trial.names import trial_id_of

WINNER = "winner"
"""The folder of a study that has a copy of the winner's TensorBoard events."""
EVENTS = "events.out.tfevents."


def mark_winner(study: Study, trial_id: str) -> None:
    """Copy a trial's events to ``winner/<its folder>``, in place of those of an earlier winner.

    TensorBoard is a help only, so that errors of the disk are ignored.
    """
    with suppress(OSError):
        files, root = storage.open_place(study.storage)
        for earlier in storage.listed(files, f"{root}/{WINNER}"):
            files.delete_dir(earlier.path)
        for trial in storage.listed(files, f"{root}/tune"):
            if trial_id_of(trial.base_name) == trial_id:
                for found in storage.listed(files, trial.path):
                    if found.base_name.startswith(EVENTS):
                        to = f"{root}/{WINNER}/{trial.base_name}/{found.base_name}"
                        storage.replace(files, to, storage.read(files, found.path))
