"""The page of a stack: its members, their weights, and the trials that were left out."""

from pathlib import Path

import pandas as pd

from darec.api.stack_files import MEMBERS
from darec.api.study_figures import bars
from darec.api.winner import gaps
from darec.errors import UserError
from darec.models.best import Best, read_best
from darec.page.picture import picture
from darec.page.render import render
from darec.page.section import Section, Table, TableCell
from darec.tuning.study.record import Record


def stack_page(folder: Path, record: Record) -> str:
    """Return the page of a stack as HTML; raises `UserError` if its files cannot be read."""
    best, path = read_best(folder), folder / MEMBERS
    try:
        candidates = pd.read_csv(path, dtype={"trial_id": "str"})
        numbers = candidates[["valid_rmse", "weight"]].astype(float)
        names = candidates["model"] + ", trial " + candidates["trial_id"]
        again = names.groupby(names).cumcount()  # one model of two searches
        names = names.where(again == 0, names + " (" + (again + 1).astype(str) + ")")
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    rows = [
        [TableCell(name), TableCell(f"{weight:.2f}", weight), TableCell(f"{rmse:.4f}", rmse)]
        for name, rmse, weight in zip(names, *numbers.to_numpy().T, strict=True)
    ]
    table = Table("All candidates", ["trial", "weight", "valid RMSE"], rows)
    shares = {
        name: weight for name, weight in zip(names, numbers["weight"], strict=True) if weight > 0
    }
    message = ", ".join(f"{name} {weight:.2f}" for name, weight in shares.items())
    drawn = {"members": bars(shares, "weight")}
    figure = picture("weights", "The weights of the members.", message, drawn, inches=4.6)
    text = ["What each member adds to the hierarchical biases is multiplied by its weight."]
    sections = [Section("members", "Members", text, [table], [figure])]
    notes = [
        f"{record.holdout.in_words}, seed {record.seed}. The validation RMSE is cross-fitted: each "
        "rating is predicted with members and weights that were learned from other ratings. It is "
        "still too low, as the trials and their epochs were chosen by all of them. Test ratings "
        "have no part in this page."
    ]
    return render(f"stack on {record.pair}", _headline(best, len(shares)), notes, sections)


def _headline(best: Best, n_members: int) -> str:
    baselines = {"bias": best.bias_valid_rmse, "hierarchical_bias": best.hierarchical_valid_rmse}
    members = "1 member" if n_members == 1 else f"{n_members} members"
    message = ", ".join(gaps(best.valid_rmse, baselines))
    return f"Validation RMSE {best.valid_rmse:.4f}, {members}; {message}."
