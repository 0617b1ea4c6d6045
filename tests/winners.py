"""A winner as a search leaves it, for tests that need one and no search."""

import json
from dataclasses import asdict

from darec.data.scale import STARS
from darec.models.best import Best, SpaceRecord

VALUES = {
    "model": "bias",
    "pair": "p",
    "train": 90,
    "cold_users": None,
    "split": "random",
    "seed": 0,
    "data_digest": "d",
    "sampler": "gp",
    "scheduler": "asha",
    "space": SpaceRecord({}, {}, {}),
    "domain": "target",
    "trials_asked": 6,
    "max_epochs": 3,
    "time_budget": None,
    "config": {},
    "epoch": 1,
    "scale": STARS,
    "valid_rmse": 1.0,
    "trials": 6,
    "trial_id": "t",
    "bias_valid_rmse": 1.1,
    "hierarchical_valid_rmse": 1.05,
    "stage1_valid_rmse": None,
    "weights_digest": "w",
    "code": ["c"],
}


def winner_of(model, **changed):
    """Return a winner of six trials of three epochs at most."""
    return Best(**{**VALUES, "model": model, **changed})


def winner_on(pair, model, **changed):
    """Return such a winner on a pair's ratings."""
    own = {"pair": pair.name, "data_digest": pair.digest, "scale": pair.target.scale}
    return winner_of(model, **{**own, **changed})


def saved(best, folder, **changed):
    """Write a winner and the ``study.json`` of its search, with these fields changed."""
    best.save(folder)
    values = asdict(best)
    names = (
        "model",
        "pair",
        "train",
        "cold_users",
        "split",
        "seed",
        "data_digest",
        "sampler",
        "scheduler",
        "space",
        "metric",
    )
    record = {name: values[name] for name in names}
    budget = {"trials": best.trials_asked, "stage1_trials": 1}
    budget |= {"max_epochs": best.max_epochs, "time_budget": best.time_budget}
    record |= {"budget": budget, "stages": "paper", "fix": {}, "paper": False, "stage1": None}
    record |= {"arguments": {"model": best.model}, "revision": "r", "versions": {}, "code": ["c"]}
    (folder / "study.json").write_text(json.dumps({**record, **changed}))
