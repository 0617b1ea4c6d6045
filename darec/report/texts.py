"""What the page says about its sections."""

from darec.report.statistics import LEAST_SPLITS

CLAIMS = (
    "A claim holds, or does not, where a paired t-test over at least "
    f"{LEAST_SPLITS} splits says so at 0.05 (Holm-corrected where several are compared); else it "
    "is undecided. Searches share their budget; another budget may decide otherwise. Splits share "
    "most of their ratings, so that these p-values are a little too small."
)
TABLE_2 = [
    "Test RMSE of the target domain: mean ± standard deviation over seeds, each on a split of its "
    "own with a training run of its own. The paper's numbers are printed beside ours and never "
    "chased: most of its columns lie at the level that cold items at the lowest rating give.",
    "Marked as surely best is a model whose error is lower than every other scored row's by a "
    f"paired t-test over splits, Holm-corrected, at 0.05; with fewer than {LEAST_SPLITS} splits "
    "nothing is. A row whose mean is above the bias baseline's is said to lose to it.",
    "The first split is the one whose validation ratings chose the configuration; test ratings of "
    "the others may have been training or validation ratings of the search.",
]
COLD_ITEMS = (
    "A test rating is cold whose item or user has no training rating. An uncentred user-axis model "
    "leaves a cold item's output near 0, which is clipped to the lowest rating. Which of the two a "
    "score assumes can matter far more than the model: with a third or more of the test ratings "
    "cold it takes RMSE from 1 to 2, the level of three of the paper's four pairs (not all of the "
    "paper's rows are explained by it). 90 % training."
)
COLD_USERS = (
    "All target ratings of a tenth of the users are withheld, so that only their source ratings "
    "are known; 90 % training. U-DARec answers from its source embedding. The bias baseline knows "
    "the items alone; beside a source whose users are exchanged a model knows nothing about these "
    "users, and is misled about the others. Configurations are those of the search, which had seen "
    "these users' target ratings; p-values are paired over seeds and not corrected."
)
PARTS = (
    "Each row is a search of its own at the same budget with one part held fixed, on the stage "
    "1 of the whole model where that is not what changes; 90 % training. With mu = 0 nothing of "
    "the classifier reaches the extractor; without the reversal the extractor helps it to tell "
    "the domains apart, and with one hinders it. The whole model searches over what is held "
    "fixed here, with as many trials. p-values are paired over seeds and not corrected."
)
RANGES = (
    "An optimum at an edge asks for a wider range. Importances with fewer than 50 trials are "
    "rough, and few trials say little about where an optimum lies. Trials that diverged are left "
    "out, and trials that were stopped early count with the error that they had; 90 % training. "
    "The paper's ranges (section 4.1): "
)
SYNTHETIC = (
    "The pairs are synthetic stand-ins with Table 1's counts: their numbers, and what is said of "
    "the claims on them, tell nothing about the paper's data."
)
PROVENANCE = "provenance.json, beside this page, has the command, versions, machine, data, seeds."
