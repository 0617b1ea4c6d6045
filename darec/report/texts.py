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
    "Marked as surely best is a model whose error is lower than every other row's by a paired "
    f"t-test over splits, Holm-corrected, at 0.05; with fewer than {LEAST_SPLITS} splits nothing "
    "is. A row whose mean is above the bias baseline's is said to lose to it.",
    "The first split is the one whose validation ratings chose the configuration; test ratings of "
    "the others may have been training or validation ratings of the search.",
]
COLD_ITEMS = (
    "An item without training ratings has a zero-initialised output; clipped to the scale it is "
    "the lowest rating. How many test ratings are of such items decides the level of an error far "
    "more than the model does: this alone takes RMSE from 1 to 2, where three of the paper's four "
    "pairs are."
)
COLD_USERS = (
    "All target ratings of a tenth of the users are withheld, so that only their source ratings "
    "are known. U-DARec answers from its source embedding. The bias baseline knows the items "
    "alone; a model beside a source whose users are exchanged can know nothing about them, so "
    "that the difference between the two columns is what the source tells."
)
PARTS = (
    "Each row is a search of its own at the same budget with one part held fixed, on the stage 1 "
    "of the whole model where that is not what changes. With mu = 0 the classifier is trained, "
    "but neither its reversed gradient (users) nor its error (items) reaches the extractor."
)
RANGES = (
    "An optimum at an edge asks for a wider range. Importances with fewer than 50 trials are "
    "rough, and few trials say little about where an optimum lies. The paper's ranges (section "
    "4.1): "
)
SYNTHETIC = (
    "The pairs are synthetic stand-ins with Table 1's counts: their numbers say nothing about the "
    "paper's data."
)
PROVENANCE = "provenance.json, beside this page, has the command, versions, machine, data, seeds."
