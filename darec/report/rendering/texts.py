"""What the page says about its sections."""

from collections.abc import Mapping, Sequence

from darec.data.scale import Scale
from darec.report.analysis.statistics import LEAST_SPLITS
from darec.report.matrix.cells import Budget

VIEW_TITLES = {
    "hierarchical": "cold items and users at the hierarchical biases (cold=hierarchical)",
    "fallback": "cold items and users at the regularised bias (cold=fallback)",
    "floor": "cold items at the lowest rating (cold=floor), comparable with Table 2's level",
    "warm": "warm test ratings only",
}
"""Captions of Table 2, by view."""
CLAIMS = (
    f"A claim holds or fails if a paired t-test over at least {LEAST_SPLITS} splits says so at "
    "0.05. Otherwise it is undecided. p-values are Holm-corrected if several models are compared, "
    "but not for the number of claims and pairs. Splits share most of their ratings, so the "
    "standard errors are widened (Nadeau & Bengio 2003), and more splits help little. A test "
    "compares the configurations that two searches found. It does not account for the luck of the "
    "searches: another search, or another budget, may decide otherwise. DARec and AutoRec are "
    "judged as the paper prints them (darec tune --paper), never with our additions. The search "
    "spaces of the other models are ours and may centre them, since the paper gives none."
)
TABLE_2 = [
    "Test RMSE on the target domain: mean ± standard deviation over seeds. Each seed has its own "
    "split and its own training run. u_darec and i_darec are the paper's (darec tune --paper); "
    "the rows with (ours) search our additions, too (docs/models.md). The search spaces of the "
    "other models are ours, since the paper gives none. The paper's numbers stand beside those "
    "measured here; they belong to the paper's own data and are not a target. The paper's CMF has "
    "no biases: it is cmf_unbiased here.",
    "A model is surely best if its error is lower than that of every other row by a paired t-test "
    "over splits at 0.05, widened as for the claims and Holm-corrected. No model is surely best "
    f"with fewer than {LEAST_SPLITS} splits, or if a row has no score. A row loses to bias, or to "
    "hierarchical_bias, if its mean is above that of the searched baseline of this name.",
    "The validation ratings of the first split chose the configuration. Test ratings of the other "
    "splits may have been training or validation ratings of the search.",
]
WINNERS = (
    "Each search chose its configuration by validation RMSE, without a test rating. Of two-stage "
    "models the choice of the second stage is listed. study.html in a search's folder shows more."
)
FIGURE_3 = (
    "AutoRec, CF-NADE and DARec are searched as printed (darec tune --paper), and in the rows with "
    "(ours) with our additions, too (docs/models.md). Cold items and users get the prediction of "
    "the hierarchical biases (cold=hierarchical). Surely best is meant as in Table 2, among these "
    "rows."
)
FIGURE_2 = (
    "DARec is searched as the paper prints it (darec tune --paper). Every size has its own search "
    "with the same budget, stage 1 included. Cold items and users get the prediction of the "
    "hierarchical biases (cold=hierarchical). Bars are standard deviations over seeds; 90 % "
    "training."
)
COLD_ITEMS = (
    "A test rating is cold if its item or its user has no training rating. An uncentred user-axis "
    "model predicts about 0 for a cold item, which is clipped to the lowest rating (cold=floor). "
    "The other policies take the prediction of the hierarchical biases (cold=hierarchical) or of "
    "the regularised bias of the target alone (cold=fallback). Where the policies lie far apart, "
    "the policy that a paper assumes says more about its numbers than its models do. DARec is "
    "searched as the paper prints it (darec tune --paper); 90 % training."
)
COLD_USERS = (
    "All target ratings of some users are held out, so that only their source ratings are known. "
    "The configurations were searched for this task, with other such users as validation users. "
    "U-DARec answers from its source embedding. Rows with (ours) search our additions "
    "(docs/models.md). The untuned bias baseline knows only the items. The hierarchical biases "
    "know the users' levels in the source. A model that was trained with shuffled source users "
    "knows nothing about the test users. p-values are widened for splits that share users, and "
    "Holm-corrected for the two tests of a model."
)
PARTS = (
    "Each row is its own search with the same budget and one part held fixed. It uses the stage 1 "
    "of the whole model, unless the fixed part belongs to stage 1; 90 % training. The whole model "
    "is DARec as the paper prints it (darec tune --paper); center and head are ours "
    "(docs/models.md). With mu = 0 the classifier does not reach the extractor. Without the "
    "reversal the extractor helps the classifier to tell the domains apart; with it, the "
    "extractor hinders the classifier. The whole model searches mu and beta, with as many trials. "
    "p-values are widened as for the claims, and Holm-corrected for the rows of a model. They do "
    "not account for the luck of each row's search, so small differences mean little."
)
RANGES = (
    "An optimum at an edge asks for a wider range. Importances from fewer than 50 trials are "
    "rough, and few trials say little about where an optimum lies. Diverged trials are left out. "
    "Trials that were stopped early count with the error that they had reached; 90 % training. "
    "DARec is searched as the paper prints it (darec tune --paper), over its ranges (section 4.1): "
)
SYNTHETIC = (
    "The pairs are synthetic stand-ins with the counts of Table 1. Their numbers, and the verdicts "
    "on the claims, say nothing about the paper's data."
)
PROVENANCE = (
    "provenance.json, beside this page, records the command, versions, machine, data and seeds, "
    "and which scores come from which code."
)


def scales(pair: str, source: Scale, target: Scale) -> str:
    """Say in which units the errors of a pair are that is not rated from 1 to 5 stars."""
    return (
        f"{pair}: target ratings lie from {target}, source ratings from {source}. RMSE and MAE are "
        "in the target's units; 'of the range' is RMSE / (highest - lowest rating)."
    )


def mixed(n: int) -> str:
    """Say that the scores were not all computed with the same code, libraries and device."""
    return (
        f"The scores come from {n} combinations of code, libraries and device. This may cause some "
        "of the differences between rows, and some of the spread over seeds. The last section "
        "lists the combinations."
    )


def budgets(found: Mapping[str, Sequence[str]], seeds: int) -> str:
    """Say what each search could spend, if not all could spend the same; by budget the models."""
    message = "; ".join(f"{words}: {', '.join(models)}" for words, models in found.items())
    return (
        f"Each search had its own budget, from which differences between rows may come. {message}."
        f" Winners are chosen by validation RMSE and scored on {seeds} seeds."
    )


def budget(each: Budget) -> str:
    """Say what every search could spend."""
    return (
        f"The same budget for every model: {each.trials} trials of at most {each.max_epochs} "
        f"epochs (one trial if the space is empty; a whole fit of a library counts as one epoch). "
        f"DARec had {each.stage1_trials} more trials in each of its two stage-1 studies. Winners "
        f"are chosen by validation RMSE and scored on {each.seeds} seeds."
    )
