"""Hyper-parameters of DARec: the configs of stage 1, and those of the network of stage 2."""

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
    """Stage 1 of the target. Its axis and centre are also those of stage 2."""
    autorec_source: AutoRecConfig | None = None
    """Stage 1 of the source, with the same axis, hidden, center and activation. None: as of the
    target."""
    head: Literal["plain", "residual"] = "residual"
    """``plain``: a predictor reconstructs the ratings minus their centre, as in the paper;
    ``residual``: what the domain's stage 1 left unexplained. It starts at 0 and has no biases, so
    that it changes nothing where an embedding is 0; ours."""
    heads: Heads | None = None
    """``both``: every user embedding reconstructs the ratings of both domains (Eq. 3, user axis
    only); ``own``: those of its own domain. None: both on the user axis, own on the item axis."""
    predictors: Literal["own", "shared"] = "own"
    """``own``: one rating predictor for each domain; ``shared``: one for the items of both domains,
    with an output per user (item axis only; ours). With ``own``, I-DARec cannot use who rated what
    in the source (docs/paper.md)."""
    extractor: Annotated[int, Field(ge=2, le=10**5)] = 100
    """Units H of the extractor. The paper searches 50 to 500."""
    beta: Weight = 0.1
    """Weight of the target's squared errors; the source's have 1 (Eq. 3). The paper searches 1e-4
    to 1."""
    mu: Weight = 1.0
    """Strength of the gradient reversal (user axis), or weight of the classifier loss (item axis).
    The paper searches 1e-4 to 1e4."""
    reversal: bool | None = None
    """True: the gradient of the classifier loss reaches the extractor times -mu (Eq. 4-6); False:
    the classifier loss has the weight mu (Eq. 7). None: True on the user axis, False on the item
    axis, as in the paper."""
    lambda_: Weight = 1e-3
    """Weight of R, the squared norm of all weights and biases of stage 2. The paper searches 1e-4
    to 1e4."""
    pyramid: float = 1.0
    """Ratio r of the hidden widths of a predictor, H r and H r^2: 0.5, 1 or 2. Ours: the paper only
    says "pyramid"."""
    decay: Decay = "coupled"
    """``coupled``: Adam sees the gradient of lambda R; ``decoupled``: weights shrink as in AdamW;
    ours."""
    init: Init = "paper"
    """Initial weights. ``paper``: N(0, 0.01^2); ``xavier``: Glorot's uniform ones; ours. Biases are
    0."""
    learning_rate: LearningRate = 1e-4
    """Adam's step size; ours."""
    batch_size: BatchSize = 128
    """Rating rows of each domain in a mini-batch; ours."""

    def __post_init__(self) -> None:
        for name in ("axis", "hidden", "center", "activation"):
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
        """Whether every embedding reconstructs both domains' ratings (docs/paper.md, reading 2)."""
        return self.heads == "both" or (self.heads is None and self.autorec.axis == "user")

    @property
    def reverses(self) -> bool:
        """Whether the gradient of the classifier loss is reversed (docs/paper.md, reading 3)."""
        return self.autorec.axis == "user" if self.reversal is None else self.reversal

    @property
    def source(self) -> AutoRecConfig:
        """The config of stage 1 of the source."""
        return self.autorec if self.autorec_source is None else self.autorec_source
