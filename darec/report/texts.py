"""What the page says about its sections."""

from darec.report.statistics import LEAST_SPLITS

CLAIMS = (
    f"A claim holds, or does not, where a paired t-test over at least {LEAST_SPLITS} splits says "
    "so at 0.05 (Holm-corrected where several models are compared; not for the number of claims "
    "and pairs); else it is undecided. Splits share most of their ratings: the tests' standard "
    "errors are widened for that (Nadeau & Bengio 2003), so that more splits buy little. A test "
    "compares the configurations that two searches found: how lucky the searches were is not in "
    "its p, and another search, or budget, may decide otherwise. Every option that is searched "
    "may win, those that are ours included (docs/paper.md)."
)
TABLE_2 = [
    "Test RMSE of the target domain: mean ± standard deviation over seeds, each on a split of its "
    "own with a training run of its own. The paper's numbers, on its own data, are printed beside "
    "ours and never chased. Its CMF has no biases, as cmf_unbiased here.",
    "Marked as surely best is a model whose error is lower than every other row's by a paired "
    "t-test over splits, widened as for the claims and Holm-corrected, at 0.05; with fewer than "
    f"{LEAST_SPLITS} splits or a row without a score nothing is. A row whose mean is above the "
    "searched bias baseline's is said to lose to it.",
    "The first split is the one whose validation ratings chose the configuration; test ratings of "
    "the others may have been training or validation ratings of the search.",
]
FIGURE_3 = (
    "Cold items and users at the bias prediction (cold=fallback); surely best as in Table 2, "
    "among these models."
)
FIGURE_2 = (
    "Every size is a search of its own at the same budget, stage 1 included; cold items and users "
    "at the bias prediction (cold=fallback); bars are standard deviations over seeds; 90 % "
    "training."
)
COLD_ITEMS = (
    "A test rating is cold whose item or user has no training rating. An uncentred user-axis "
    "model leaves a cold item's output near 0, which is clipped to the lowest rating "
    "(cold=floor); the bias prediction is the other policy. Where they lie far apart, which of "
    "the two a paper assumes says more about its numbers than its models do. 90 % training."
)
COLD_USERS = (
    "All target ratings of a tenth of the users are withheld, so that only their source ratings "
    "are known; 90 % training. U-DARec answers from its source embedding. The bias baseline, "
    "untuned, knows the items alone; beside a source whose users are exchanged a model knows "
    "nothing about these users. Configurations are those of the search, which had seen these "
    "users' target ratings; p-values are widened as for the claims, and Holm-corrected for a "
    "model's two."
)
PARTS = (
    "Each row is a search of its own at the same budget with one part held fixed, on the stage 1 "
    "of the whole model where that is not what changes; 90 % training. With mu = 0 nothing of the "
    "classifier reaches the extractor; without the reversal the extractor helps it to tell the "
    "domains apart, and with one hinders it. The whole model searches over what is held fixed "
    "here, with as many trials. p-values are widened as for the claims and Holm-corrected for a "
    "model's rows; that each row is another search is not in them, so that small gaps mean "
    "little."
)
RANGES = (
    "An optimum at an edge asks for a wider range. Importances with fewer than 50 trials are "
    "rough, and few trials say little about where an optimum lies. Trials that diverged are left "
    "out, and trials that were stopped early count with the error that they had; 90 % training. "
    "Ranges are those of search_spaces/, which are the paper's where it has one (section 4.1): "
)
SYNTHETIC = (
    "The pairs are synthetic stand-ins with Table 1's counts: their numbers, and what is said of "
    "the claims on them, tell nothing about the paper's data."
)
PROVENANCE = "provenance.json, beside this page, has the command, versions, machine, data, seeds."
