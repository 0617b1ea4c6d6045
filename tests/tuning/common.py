"""A small search that several tests ask for."""

from dataclasses import replace

from optuna.distributions import CategoricalDistribution

from darec.data.split import split
from darec.models import MODELS
from darec.tuning.study.request import Budget, Request
from search_spaces import SPACES


def request_for(model, pair, folder):
    """Return a small search of a model: six trials, two per stage-1 study."""
    stage1 = MODELS[model].stage1
    sizes = CategoricalDistribution([16, 20, 24])
    space = SPACES[stage1.model if stage1 else model]
    autorec = replace(space, space={**space.space, "hidden": sizes}, first={})
    return Request(
        model=model,
        kind=MODELS[model],
        pair=pair.name,
        train=90,
        seed=0,
        data=split(pair).search,
        data_digest=pair.digest,
        space=SPACES[model] if stage1 else autorec,
        stage1=autorec if stage1 else None,
        budget=Budget(6, 2, 4, None),
        sampler="tpe",
        scheduler="asha",
        folder=folder,
        storage=str(folder),
    )
