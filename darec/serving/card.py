"""``model.json``: what a model folder holds, and how good the model was found to be."""

from dataclasses import replace
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from darec.core.cold import ColdPolicy
from darec.core.config import STRICT, parse
from darec.core.objective import Metric
from darec.data.holdout import ColdPercent, Holdout, SplitKind, TrainPercent
from darec.data.ratings import HIGHEST, LOWEST
from darec.data.scale import Scale
from darec.evaluation.origin import Origin
from darec.models import STACK
from darec.models.best import Count, Rmse
from darec.models.stack import StackConfig

FORMAT: Literal[1, 2] = 2
"""The version of the folder's format; it grows when an older release could not read a folder."""
Refit = Literal["train", "all"]
"""What a model was trained on: the search's training ratings, or every rating."""


@dataclass(frozen=True, config=STRICT)
class Counts:
    """The size of the training data."""

    users: Count
    source_items: Count
    target_items: Count
    source_ratings: Count
    target_ratings: Count


@dataclass(frozen=True, config=STRICT)
class TestScore:
    """Errors on test ratings under one cold policy, as means over seeds, in the target's units."""

    __test__ = False  # it is no test of pytest

    cold: ColdPolicy
    seeds: Count
    test_rmse: Rmse
    spread: Rmse | None
    """Sample standard deviation over the seeds; None for one seed."""
    bias_rmse: Rmse
    mean_rmse: Rmse
    hierarchical_rmse: Rmse | None = None
    """None in a score of format 1."""


@dataclass(frozen=True, config=STRICT)
class Card:
    """The content of ``model.json``."""

    format: Literal[1, 2]
    model: str
    config: dict[str, Any]
    pair: str
    train: TrainPercent
    refit: Refit
    seed: int
    """Root seed of the search, its split and the training run."""
    epoch: Count
    """Number of epochs that the model was trained."""
    max_epochs: Count
    valid_rmse: Rmse
    """The winner's validation RMSE in the search, also for a model of every rating."""
    bias_valid_rmse: Rmse
    scores: list[TestScore]
    """Of models trained without the test ratings. Empty until the winner is evaluated."""
    cold: ColdPolicy
    """How cold users and items are predicted."""
    lowest: float
    highest: float
    """The ends of the scale of the target's ratings. All errors are in its units."""
    counts: Counts
    data_digest: str
    """`DomainPair.digest` of the pair that was searched on."""
    origin: Origin
    """What trained the model."""
    files: dict[str, str]
    """The folder's other files, and their SHA-256."""
    cold_users: ColdPercent | None = None
    """Percent of the users who were test users of the cold-user task; None: the warm task."""
    hierarchical_valid_rmse: Rmse | None = None
    """None in a card of format 1."""
    source_lowest: float = LOWEST
    source_highest: float = HIGHEST
    """The ends of the scale of the source's ratings; a card of format 1 is of 1 to 5 stars."""
    split: SplitKind = "random"
    """How the warm task divided the ratings."""
    metric: Metric = "rmse"
    """What the search selected by."""

    @property
    def scale(self) -> Scale:
        """The scale of the target's ratings."""
        return Scale(self.lowest, self.highest)

    @property
    def source_scale(self) -> Scale:
        """The scale of the source's ratings."""
        return Scale(self.source_lowest, self.source_highest)

    def with_scores(self, scores: list[TestScore]) -> "Card":
        """Return the card with the scores of an evaluation."""
        return replace(self, scores=scores)

    @property
    def holdout(self) -> Holdout:
        """What was held out."""
        return Holdout(self.train, self.cold_users, self.split)


def readme(card: Card) -> str:
    """Return the model card in words, for people."""
    counts = card.counts
    searched = f"{card.train} %, less a tenth for validation"
    source_only = "biases"
    if card.split == "file":
        searched = "those that its split file names"
    elif card.split != "random":
        searched = "the earlier ones, of both domains; docs/splits.md"
    if card.cold_users is not None:
        searched = (
            f"without target ratings of the test users, {card.cold_users} % of the users, and of "
            "the validation users, a fifth of the others"
        )
        source_only = "the model, from their source ratings"
    data = {
        "train": f"the training ratings of the search ({searched})",
        "all": "every rating of the pair, test ratings included",
    }[card.refit]
    lines = [
        f"# {card.model} on {card.pair}",
        "",
        f"A rating predictor for the target domain of {card.pair}, found by darec's search: the",
        f"configuration that was best on validation ratings by {card.metric.upper()}.",
        "",
        "| | |",
        "|---|---|",
        f"| trained on | {data} |",
        f"| ratings | target {counts.target_ratings}, source {counts.source_ratings} |",
        f"| task | {card.holdout.in_words} |",
        f"| users | {counts.users} |",
        f"| scale | target {card.scale}, source {card.source_scale} |",
        f"| items | target {counts.target_items}, source {counts.source_items} |",
        *_members(card),
        f"| epochs | {card.epoch} (at most {card.max_epochs} in the search) |",
        f"| validation RMSE | {card.valid_rmse:.4f} (bias baseline {card.bias_valid_rmse:.4f}, "
        f"hierarchical biases {_shown(card.hierarchical_valid_rmse)}) |",
        f"| cold users and items | {card.cold} |",
        f"| code | {card.origin.shown()} |",
        f"| data | SHA-256 {card.data_digest} |",
        "",
        "## Test scores",
        "",
        *_scores(card),
        "",
        "## Limits",
        "",
        f"- Predictions are {card.scale.noun} from {card.scale}, and errors are in the same units.",
        "  A rating model is not trained to rank: measure its recommendations (`darec evaluate`",
        "  reports NDCG and recall) before you use them.",
        f"- Users without target ratings are predicted by {source_only};",
        "  items without ratings are predicted by biases. `darec.load(..., cold=...)` says",
        '  otherwise: `"source"` lets models of the cold-user task predict by themselves.',
        "- The folder holds the training ratings and the ids of users: treat it as personal data.",
        "",
        "## Use",
        "",
        "```python",
        "import darec",
        "",
        'model = darec.load("path/of/this/folder")',
        "```",
        "",
    ]
    return "\n".join(lines)


def _members(card: Card) -> list[str]:
    """Return the row of a stack's members; nothing for other models."""
    if card.model != STACK:
        return []
    return [f"| members and weights | {parse(StackConfig, card.config).in_words} |"]


def _scores(card: Card) -> list[str]:
    """Return the lines on test scores, with their caveats."""
    if not card.scores:
        return ["The model was not evaluated on test ratings yet (`darec evaluate`)."]
    rows = [
        f"| {s.cold} | {s.test_rmse:.4f} | {_shown(s.spread)} | {s.seeds} "
        f"| {_shown(s.hierarchical_rmse)} | {s.bias_rmse:.4f} | {s.mean_rmse:.4f} |"
        for s in card.scores
    ]
    caveat = "The models that were scored never saw the test ratings."
    if card.refit == "all":
        caveat += " The model in this folder has seen them, and was not scored."
    runs = "training runs on one split" if card.holdout.same_for_all_seeds else "seeds"
    head = (
        f"| cold policy | test RMSE | spread over {runs} | {runs} "
        "| hierarchical biases | bias RMSE | mean RMSE |"
    )
    return [head, "|---|---|---|---|---|---|---|", *rows, "", caveat]


def _shown(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.4f}"
