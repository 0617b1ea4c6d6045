"""Result files as searches and evaluations leave them, with errors as a test wants them."""

import csv
from dataclasses import asdict

from darec.api.registry import spaces_for
from darec.data.scale import STARS
from darec.evaluation import kept
from darec.evaluation.origin import Origin
from darec.evaluation.scores import Score
from darec.models import MODELS
from darec.models.best import SpaceRecord
from darec.provenance import code_digest, versions
from darec.tuning.study.record import space_json
from darec.tuning.study.request import middle
from darec.tuning.study.trials_table import COLUMNS
from tests.winners import saved, winner_of


def searched(cell, out, trials=8, digest="d", scale=STARS, **changed):
    """Write a finished search of a cell and return its winner."""
    kind = MODELS[cell.model]
    space, stage1 = spaces_for(cell.model, fix=dict(cell.fix), paper=cell.paper)
    config = middle(space)
    if kind.stage1:
        config["autorec"] = {"axis": kind.axis, "hidden": 10, "epochs": 1}
    best = winner_of(
        cell.model,
        pair=cell.label,
        train=cell.train,
        cold_users=cell.cold_users,
        data_digest=digest,
        scale=scale,
        config=config,
        space=SpaceRecord(**space_json(space)),
        max_epochs=1 if kind.whole_fit else 3,
        trials=trials,
        trials_asked=trials,
    )
    folder = cell.folder(out)
    budget = {"trials": trials, "stage1_trials": 2, "max_epochs": best.max_epochs}
    study = {"budget": {**budget, "time_budget": None}, "fix": dict(cell.fix)}
    study["paper"] = cell.paper
    if stage1 is not None:
        study["stage1"] = space_json(stage1)
        trials_of(stage1, folder / "stage1_target", trials)
    saved(best, folder, **{**study, **changed})
    trials_of(space, folder, trials)
    return best


def trials_of(space, folder, trials):
    """Write a study's ``trials.csv``: values spread over the ranges, the lowest ones the best.

    The winner is the last trial.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "trials.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, [*COLUMNS, *space.space], restval="")
        table.writeheader()
        for k in range(trials):
            share = (k + 0.5) / trials
            values = {name: drawn_at(d, share) for name, d in space.space.items()}
            row = {"trial_id": "t" if k == 0 else f"{trials - k}", "best_epoch": 1}
            table.writerow({**row, "best_valid_rmse": 1 + k / 100, **values})


def drawn_at(distribution, share):
    """A value at this share of a range, or of the choices."""
    if hasattr(distribution, "choices"):
        return distribution.choices[int(share * len(distribution.choices))]
    low, high, step = distribution.low, distribution.high, distribution.step
    drawn = low + share * (high - low)
    return drawn if step is None else low + step * int((drawn - low) / step)


ORIGIN = Origin("abc1234", code_digest(), versions(), "cpu")


def scored(cell, out, errors, floor=1.0, digest="d", origin=ORIGIN, scale=STARS):
    """Write a finished search and its scores: these errors by seed, ``floor`` more under it."""
    best = searched(cell, out, digest=digest, scale=scale)
    for seed, error in enumerate(errors):
        for policy, more in (("hierarchical", 0.0), ("fallback", 0.0), ("floor", floor)):
            score = Score(
                **{name: value for name, value in asdict(best).items() if name in FROM_BEST},
                scale=best.scale,
                source_scale=STARS,
                fold=None,
                folds=None,
                cold=policy,
                split_seed=seed,
                run_seed=seed,
                searched_split=seed == 0,
                refit=False,
                valid_rmse=error,
                test_rmse=error + more,
                test_mae=error + more,
                warm_rmse=error,
                cold_share=0.2,
                n_test=9,
                rmse_source=None,
                rmse_both=None,
                shuffled_rmse=error + more + 0.1 if cell.cold_users else None,
                stage1_rmse=error + more + 0.01 if MODELS[cell.model].stage1 else None,
                bias_rmse=0.1,
                hierarchical_rmse=0.1,
                mean_rmse=1.2,
                beats_bias=False,
                beats_hierarchical=False,
                ranking=None,
                epoch=1,
                trials=best.trials,
                origin=origin,
            )
            kept.append(cell.out(out) / "scores.jsonl", [score])
    return best


FROM_BEST = {"model", "pair", "train", "cold_users", "split", "config", "max_epochs", "data_digest"}
