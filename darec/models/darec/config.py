"""DARec's hyper-parameters: stage 1's configs, and those of the domain-adversarial network."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from darec.core.adam import Decay
from darec.core.config import STRICT, BatchSize, LearningRate
from darec.models.autorec import AutoRecConfig
from darec.models.darec.network import Init

Heads = Literal["both", "own"]
Weight = Annotated[float, Field(ge=0, le=1e9)]
"""Weight of a part of the objective."""


@dataclass(frozen=True, config=STRICT)
class DARecConfig:
    """Hyper-parameters of DARec (Fig. 1, Eq. 3-7, section 4.1)."""

    autorec: AutoRecConfig
    """Stage 1 of the target; also fixes DARec's axis and centring."""
    autorec_source: AutoRecConfig | None = None
    """Stage 1 of the source; the target's when None. Same axis, hidden and center."""
    heads: Heads | None = None
    """``both``: every user embedding reconstructs both domains (Eq. 3, user axis only); ``own``:
    its own, as items must. None: as the axis allows."""
    predictors: Literal["own", "shared"] = "own"
    """``shared``: one rating predictor for both domains' items, with an output per shared user
    (item axis only; ours). With its own one per domain, I-DARec cannot tell who rated what in the
    source: exchanging the source's users changes nothing (docs/paper.md)."""
    extractor: Annotated[int, Field(ge=2, le=10**5)] = 100
    """Units of the shared extractor H; the paper searches 50-500."""
    beta: Weight = 0.1
    """Weight of the target's squared error against the source's (Eq. 3); 1e-4 to 1."""
    mu: Weight = 1.0
    """Strength of the gradient reversal (user axis) or of the BCE (item axis); 1e-4 to 1e4."""
    reversal: bool | None = None
    """Whether the classifier's gradient reaches the extractor times -mu (Eq. 4-6), or the BCE
    counts mu for both alike (Eq. 7). None: as the paper's axis has it."""
    lambda_: Weight = 1e-3
    """Weight of the squared L2 norms of all stage-2 weights and biases; 1e-4 to 1e4."""
    pyramid: float = 1.0
    """Predictor widths are H r and H r^2; r in {0.5, 1, 2}; ours, the paper says "pyramid"."""
    decay: Decay = "coupled"
    """``coupled``: the gradient of lambda R through Adam; ``decoupled``: AdamW's; ours."""
    init: Init = "paper"
    """``paper``: N(0, 0.01^2) weights, zero biases; ``xavier``: Glorot uniform; ours."""
    learning_rate: LearningRate = 1e-3
    """Adam's step size; ours."""
    batch_size: BatchSize = 128
    """Rating rows of each domain a step; ours."""

    def __post_init__(self) -> None:
        for name in ("axis", "hidden", "center"):
            source, target = getattr(self.source, name), getattr(self.autorec, name)
            if source != target:
                rule = f"{name} must be the same in both domains' AutoRec"
                raise ValueError(f"{rule}, but got {source!r} and {target!r}")
        if self.autorec.axis == "item" and self.heads == "both":
            raise ValueError("heads='both' needs the user axis: items have no counterpart")
        if self.autorec.axis == "user" and self.predictors == "shared":
            raise ValueError("predictors='shared' needs the item axis: domains share users only")
        if self.pyramid not in (0.5, 1.0, 2.0):
            raise ValueError(f"pyramid must be 0.5, 1 or 2, but got {self.pyramid}")

    @property
    def both_heads(self) -> bool:
        """Whether every embedding reconstructs both domains (docs/paper.md, reading 2)."""
        return self.heads == "both" or (self.heads is None and self.autorec.axis == "user")

    @property
    def reverses(self) -> bool:
        """Whether there is a gradient reversal: on users, unless said otherwise."""
        return self.autorec.axis == "user" if self.reversal is None else self.reversal

    @property
    def source(self) -> AutoRecConfig:
        """Stage 1 of the source."""
        return self.autorec if self.autorec_source is None else self.autorec_source
