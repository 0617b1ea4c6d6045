"""Small configs and helpers for tests over every model."""

from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.models import MODELS
from search_spaces import SPACES

STAGE1 = {"hidden": 8, "alpha": 0.01, "learning_rate": 0.02, "batch_size": 32, "epochs": 3}


SMALL = {
    "pmf": {"factors": 4, "epochs": 10},
    "cmf": {"factors": 4, "batch_size": 128, "learning_rate": 0.02},
    "cdtf": {"factors": 3},
    "fm": {"rank": 3, "iterations": 20},
    "fm_cdcf": {"rank": 3, "iterations": 20},
    "emcdr": {"factors": 3, "batch_size": 128, "learning_rate": 0.02},
    "ptupcdr": {"factors": 3, "meta": 8, "batch_size": 128, "learning_rate": 0.02},
    "conet": {"embedding": 8, "batch_size": 128, "learning_rate": 0.01},
    "rbm": {"hidden": 8, "batch_size": 32},
    "cf_nade": {"hidden": 8, "batch_size": 32, "learning_rate": 0.01},
    "autorec": STAGE1,
}


def config(name, **changes):
    """Return a config of a model that trains in milliseconds."""
    kind = MODELS[name]
    if kind.stage1:
        autorec = {"axis": kind.axis, **STAGE1, **changes.pop("autorec", {})}
        heads = "both" if kind.axis == "user" else "own"
        small = {"extractor": 8, "init": "xavier", "learning_rate": 0.01, "batch_size": 32}
        values = {"autorec": autorec, "heads": heads, **small, **changes}
    else:
        small = SMALL.get(name.removeprefix("u_").removeprefix("i_").removesuffix("_unbiased"), {})
        held = dict(SPACES[name].fixed)
        values = {**held, **small, **changes}
    return parse(kind.config, values)


def build(name, training, seed=0, **changes):
    """Build a small model."""
    return MODELS[name].build(config(name, **changes), training, Run(seed))


def fitted(name, data, steps=3, seed=0, **changes):
    """Return a `Fit` after some epochs."""
    fit = Fit(build(name, data.training, seed, **changes), data)
    for _ in range(steps):
        fit.step()
    return fit
