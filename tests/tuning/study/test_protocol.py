import csv
import json
from dataclasses import replace

import pandas as pd
import pytest
from safetensors.torch import load_file

from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.errors import UserError
from darec.models import MODELS
from darec.models.best import load_best
from darec.seeds import derive
from darec.tuning.study.protocol import Protocol
from darec.tuning.study.record import check_record
from darec.tuning.study.request import Budget
from tests.tuning.common import Told, request_for


def search(request, settings, resume):
    """Check the folder and run all studies of a request, as the Python API does."""
    check_record(request, resume)
    published = []
    best = Protocol(request, settings, resume, lambda: published.append(True)).run(["test"])
    assert published
    return best


@pytest.mark.parametrize("model", ["i_autorec", "u_darec"])
def test_the_winner_is_the_lowest_row_with_the_weights_of_that_row(
    model, tiny_pair, settings, tmp_path
):
    request, told = request_for(model, tiny_pair, tmp_path / "study"), Told()
    settings = replace(settings, reporter=told)
    best = search(request, settings, resume=False)
    folder = request.folder
    assert best == load_best(folder)
    rows = pd.concat(
        pd.read_csv(path, usecols=["valid_rmse"]) for path in folder.glob("tune/*/progress.csv")
    )
    assert best.valid_rmse == pytest.approx(rows["valid_rmse"].min(), abs=1e-12)
    config = parse(MODELS[model].config, best.config)
    run = Run(derive(0, "run"))
    fit = Fit(MODELS[model].build(config, request.data.training, run), request.data)
    fit.model.load_weights(load_file(folder / "best.safetensors"))
    assert fit.validate() == pytest.approx(best.valid_rmse, abs=1e-6)
    with (folder / "trials.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 6 and float(table[0]["best_valid_rmse"]) == best.valid_rmse
    study = json.loads((folder / "study.json").read_text())
    assert study["data_digest"] == tiny_pair.digest and study["revision"]
    assert not list(folder.rglob("checkpoint_*"))
    stages = [line for line in told.lines if line.startswith("Stage ")]
    assert len(stages) == (3 if model == "u_darec" else 0)
    if model == "u_darec":
        target, source = load_best(folder / "stage1_target"), load_best(folder / "stage1_source")
        assert source.config["hidden"] == target.config["hidden"]
        assert best.config["autorec"] == {**target.config, "epochs": target.epoch}
        assert best.config["autorec_source"] == {**source.config, "epochs": source.epoch}
        assert best.stage1_valid_rmse == pytest.approx(target.valid_rmse, abs=1e-6)
    with pytest.raises(UserError, match="holds a search already"):
        search(request, settings, resume=False)
    assert search(request, settings, resume=True) == best
    other = replace(request, budget=Budget(7, 2, 4, None))
    with pytest.raises(UserError, match="--resume needs the same budget"):
        search(other, settings, resume=True)
