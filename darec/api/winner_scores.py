"""The test scores of a search's winner that are on disk."""

from darec.api.result import SearchResult
from darec.api.runs import SCORES
from darec.core.cold import ColdPolicy
from darec.evaluation import kept
from darec.evaluation.scores import Score
from darec.models.best import Best
from darec.tuning import storage

SAME = (
    *("model", "pair", "train", "cold_users", "split", "config", "data_digest", "max_epochs"),
    "metric",
)
"""What a score and a winner must have in common."""


def scores_of_winner(result: SearchResult, best: Best) -> dict[ColdPolicy, list[Score]]:
    """Return the latest scores of a winner by cold policy, one for each split and run.

    They are of models that were trained on training ratings alone, and not of folds.
    """
    path = result.root / SCORES
    if storage.is_uri(result.path) and not path.is_file():
        storage.fetch_file(storage.join(result.out, path.name), path)
    wanted = {name: getattr(best, name) for name in SAME}
    found: dict[ColdPolicy, list[Score]] = {}
    for same in kept.by_key(kept.read(path, Score, storage.join(result.out, path.name))).values():
        score = same[-1]
        whole = not score.refit and score.folds is None
        if whole and {name: getattr(score, name) for name in SAME} == wanted:
            found.setdefault(score.cold, []).append(score)
    return found
