"""The rows of each training step: frozen embeddings, and the ratings that they reconstruct.

Shapes: R rows of both domains, D rows of a step, B rows of a batch, K embedding. Where rows of both
domains stand together (R, D), the target's rows come first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch

from darec.core.batches import Epoch, RowBatch, paired, shuffled
from darec.core.rating_rows import RatingRows
from darec.data.ratings import Domain
from darec.models.autorec import AutoRec
from darec.models.darec.config import DARecConfig
from darec.models.darec.equations import SOURCE, TARGET

DOMAINS: tuple[Domain, ...] = ("target", "source")
"""In the order in which their rows are stacked."""


class Reading(NamedTuple):
    """The ratings of a batch, reconstructed by one rating predictor from some rows of the step."""

    predictor: Domain
    """The domain whose predictor it is. A shared predictor is the target's."""
    batch: RowBatch
    rows: slice
    """Positions in the step of the rows that are read: the batch's rows, or twice as many, since a
    user's source and target embedding both reconstruct the user's ratings."""
    is_target_B: torch.Tensor
    """f32[B], 1 where the ratings of the batch's row are the target's, 0 where the source's."""


@dataclass(frozen=True)
class StepRows:
    """The D rows of one step, with all that the network reads of them."""

    embeddings_DK: torch.Tensor
    counts_D: torch.Tensor
    """f32[D], 1 for rows with a training rating in their own domain, 0 for rows that are left out
    of every loss (docs/paper.md, reading 6)."""
    label_D: torch.Tensor
    """f32[D], the domain labels of section 3."""
    readings: list[Reading]


class StepBatches:
    """Both domains' rows, and how an epoch is divided into steps.

    A step has one batch of each domain, source first. With a shared predictor it has one batch
    instead, of as many rows of each domain, target first.
    """

    def __init__(self, stage1: Mapping[Domain, AutoRec], config: DARecConfig) -> None:
        self._config = config
        self._ratings = {
            domain: autorec.unexplained() if config.head == "residual" else autorec.rows
            for domain, autorec in stage1.items()
        }
        parts = [stage1[domain].embeddings() for domain in DOMAINS]
        self.embeddings_RK = torch.cat(parts)
        """The frozen embeddings of both domains."""
        self.is_rated_R = torch.cat([self._ratings[d].is_rated for d in DOMAINS]).float()
        self._n_target = len(parts[0])
        self._stacked: RatingRows | None = None
        if config.predictors == "shared":
            self._stacked = RatingRows.stacked(*(self._ratings[domain] for domain in DOMAINS))

    def embeddings(self, domain: Domain) -> torch.Tensor:
        """Return a domain's frozen embeddings [R, K]."""
        target, source = self.embeddings_RK.tensor_split([self._n_target])
        return target if domain == "target" else source

    def answering(self, domain: Domain) -> torch.Tensor:
        """Return which of `embeddings_RK` predicts each row of a domain, i64[R].

        It is the row's own (docs/paper.md, reading 4). A user without a rating in the domain is
        predicted from the embedding of the other domain. An item is in one domain only.
        """
        is_rated = self._ratings[domain].is_rated
        row_R = torch.arange(len(is_rated), device=is_rated.device)
        source_R, target_R = row_R + self._n_target, row_R
        own_R, other_R = (target_R, source_R) if domain == "target" else (source_R, target_R)
        if self._config.autorec.axis == "item":
            return own_R
        return torch.where(is_rated, own_R, other_R)

    def epochs(self, generator: torch.Generator) -> list[Epoch]:
        """Draw an epoch: of the source and the target, or of both stacked."""
        source_order, target_order = self._orders(generator)
        size = self._config.batch_size
        if self._stacked is None:
            return [
                self._ratings["source"].epoch(source_order, size),
                self._ratings["target"].epoch(target_order, size),
            ]
        below = source_order + self._n_target
        parts = zip(torch.split(target_order, size), torch.split(below, size), strict=True)
        order = torch.cat([part for pair in parts for part in pair])
        return [self._stacked.epoch(order, 2 * size)]

    def _orders(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the order of the source's rows and of the target's (docs/paper.md, reading 5)."""
        rated = {domain: rows.is_rated for domain, rows in self._ratings.items()}
        if self._config.both_heads:
            either = (rated["source"] | rated["target"]).nonzero()[:, 0]
            order = shuffled(either, generator)
            return order, order
        source, target = (rated[domain].nonzero()[:, 0] for domain in ("source", "target"))
        return paired(source, target, generator)

    def rows(self, *batches: RowBatch) -> StepRows:
        """Return the rows of the step that has these batches of `epochs`."""
        if self._stacked is not None:
            (both,) = batches
            return self._step_rows(both.rows, self._shared_reading(both))
        source, target = batches
        rows_D = torch.cat([target.rows, source.rows + self._n_target])
        return self._step_rows(rows_D, self._own_readings(source, target))

    def _step_rows(self, rows_D: torch.Tensor, readings: list[Reading]) -> StepRows:
        embeddings_DK = self.embeddings_RK.index_select(0, rows_D)
        label_D = torch.where(rows_D < self._n_target, TARGET, SOURCE).to(embeddings_DK)
        return StepRows(embeddings_DK, self.is_rated_R.index_select(0, rows_D), label_D, readings)

    def _shared_reading(self, both: RowBatch) -> list[Reading]:
        """Return the reading of the one predictor that serves both domains."""
        is_target_B = (both.rows < self._n_target).to(self.is_rated_R)
        return [Reading("target", both, slice(None), is_target_B)]

    def _own_readings(self, source: RowBatch, target: RowBatch) -> list[Reading]:
        """Return the readings of each domain's own predictor.

        It reads the rows of its domain, or with ``heads=both`` all rows (docs/paper.md, reading 2).
        """
        n_target = len(target.rows)
        rows_S, rows_T = slice(n_target, None), slice(n_target)
        if self._config.both_heads:
            rows_S = rows_T = slice(None)
        one_B = self.is_rated_R.new_ones(len(source.rows))
        return [
            Reading("source", source, rows_S, 0 * one_B),
            Reading("target", target, rows_T, one_B),
        ]
