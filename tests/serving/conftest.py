"""Model folders of every model, without a search."""

from dataclasses import asdict

import pytest
import torch
from safetensors.numpy import save_file as save_file_np
from safetensors.torch import save_file

import darec
from darec.core.config import plain
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.data.split import split
from darec.files import digest_of, write_json
from darec.models import MODELS
from darec.seeds import derive
from darec.tuning.study.kept import KeptTrial, KeptTrials
from darec.tuning.trial.predictions import OF_STUDY
from tests.models.common import config
from tests.winners import saved, winner_on


@pytest.fixture(autouse=True)
def small_numbers_are_kept():
    """Undo what a training in an earlier test set: schemathesis draws denormal numbers."""
    torch.set_flush_denormal(False)


def searched(name, pair, folder, epochs=3):
    """Leave the files of a search whose winner is a small model, and return its result."""
    centred = {"center": "mean"} if name == "pmf" else {}  # else it does not reach the mean
    kind, chosen, data = MODELS[name], config(name, **centred), split(pair).search
    fit = Fit(kind.build(chosen, data.training, Run(derive(0, "run"))), data)
    for _ in range(1 if kind.whole_fit else epochs):
        fit.step()
    study = folder / f"{pair.name}-90" / name
    study.mkdir(parents=True)
    weights = {key: weight.contiguous().clone() for key, weight in fit.best_weights.items()}
    save_file(weights, study / "best.safetensors")
    best = winner_on(
        pair,
        name,
        config=plain(chosen),
        epoch=fit.best_epoch,
        max_epochs=max(1, fit.best_epoch),
        valid_rmse=fit.best_rmse,
        weights_digest=digest_of(study / "best.safetensors"),
    )
    saved(best, study)
    trial = KeptTrial(best.trial_id, best.config, best.epoch, best.valid_rmse)
    write_json(study / "kept.json", asdict(KeptTrials([trial])))
    save_file_np({best.trial_id: fit.best_predictions}, study / OF_STUDY)
    return darec.load_result(study)
