"""DARec (section 3, Eq. 3-7): the domain-adversarial network trained on frozen AutoRec embeddings.

Shapes: R rows of a domain, D rows of a step (the target's B, then the source's), K embedding,
H extractor, n ratings of a batch, N ratings asked for.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from darec.core import kernels
from darec.core.adam import Adam
from darec.core.batches import RatingRows, RowBatch, paired, shuffled
from darec.core.layers import backward, outputs
from darec.core.losses import SOURCE, TARGET, domain_loss, squared_error, squared_norm
from darec.core.recommender import Run
from darec.core.replay import Replayed
from darec.core.reversal import reverse_gradient
from darec.core.sparse import score_pairs, squared_errors
from darec.core.trained import Trained
from darec.data.ratings import Domain, FloatArray, IntArray, along
from darec.data.split import Training
from darec.models.autorec import AutoRec
from darec.models.dann import DANN, RatingPredictor
from darec.models.darec_config import DARecConfig
from darec.models.pretrain import pretrain
from darec.seeds import derive

DOMAINS: tuple[Domain, ...] = ("target", "source")
LABEL: dict[Domain, float] = {"source": SOURCE, "target": TARGET}


@dataclass(frozen=True)
class StepLosses:
    """The parts of one step's loss, each a sum over the mini-batch (Eq. 3)."""

    rating: dict[Domain, torch.Tensor]
    features_DH: torch.Tensor
    """The extractor's output."""
    domain: torch.Tensor
    n_correct: torch.Tensor
    """Rows whose domain the classifier names correctly."""
    n_rows: torch.Tensor


class Reading(NamedTuple):
    """A rating predictor on some of a step's rows, once or twice the batch whose ratings it has."""

    predictor: RatingPredictor
    batch: RowBatch
    span: slice
    """The rows among the step's D."""
    is_target_B: torch.Tensor
    """1 where the ratings are the target's, 0 where the source's."""


def domain_parts(
    logit_D: torch.Tensor, label_D: torch.Tensor, kept_D: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the classifier's cross-entropy, the rows that it names correctly, and all rows."""
    is_right_D = ((logit_D > 0) == (label_D > 0)).to(kept_D)
    return domain_loss(logit_D, label_D, kept_D), is_right_D @ kept_D, kept_D.sum()


class DARec(Trained):
    """Stage 2: rating predictors on shared features, with or against a domain classifier."""

    domains = DOMAINS

    def __init__(self, config: DARecConfig, training: Training, run: Run) -> None:
        self.config = config
        self.stage1: dict[Domain, AutoRec] = {
            "source": pretrain(training.source, config.source, run),
            "target": pretrain(training.target, config.autorec, run),
        }
        """Each domain's trained AutoRec; it predicts its own domain as its ``"target"``."""
        self._rows = {domain: autorec.rows for domain, autorec in self.stage1.items()}
        parts = [self.stage1[domain].embeddings() for domain in DOMAINS]
        self._embeddings_RK, self._n_target = torch.cat(parts), len(parts[0])
        """Both domains' frozen embeddings, the target's first, as in all that is "stacked" here."""
        self._is_rated_R = torch.cat([self._rows[domain].is_rated for domain in DOMAINS]).float()
        self._generator = torch.Generator().manual_seed(
            derive(run.seed, "darec", config.autorec.axis)
        )
        shared = config.predictors == "shared"
        net = DANN(
            config.autorec.hidden,
            config.extractor,
            config.pyramid,
            n_source=None if shared else self._rows["source"].n_columns,
            n_target=self._rows["target"].n_columns,
        )
        net.initialise(config.init, self._generator)
        self._net = net.to(run.device)
        self._stacked = RatingRows.stacked(*(self._rows[d] for d in DOMAINS)) if shared else None
        """Both domains' rows, the target's first, for one predictor of both."""
        predictors = [p for p in (self._net.source, self._net.target) if p is not None]
        weights = [predictor.weight_MP for predictor in predictors]
        sized = {id(weight) for weight in weights}
        others = [weight for weight in self._net.parameters() if id(weight) not in sized]
        self._adam = Adam(weights, others, config.learning_rate, config.lambda_, config.decay)
        self._replayed = Replayed(self._net, self._rows["target"].device)
        super().__init__(self._net, self._adam, self._generator)

    def train_epoch(self) -> dict[str, float]:
        """Minimise Eq. 3 with Eq. 4-6 (reversed gradient), or Eq. 7, over one epoch."""
        device = self._rows["target"].device
        step = self._step_compiled if kernels.serve(device) else self._step
        totals, steps = torch.zeros(5, device=device), self._begun()
        norms = self._gradient_norms(*steps[0])
        for batches in steps:
            totals += self._replayed(step, *batches)
        error_S, error_T, domain, n_correct, n_rows = totals.tolist()
        norm = self.config.lambda_ * squared_norm(self._net.parameters())
        return {
            "loss_rating_source": error_S,
            "loss_rating_target": error_T,
            "loss_domain": domain,
            "loss_regulariser": norm.item(),
            "domain_accuracy": n_correct / n_rows,
            **norms,
        }

    def _begun(self) -> list[tuple[RowBatch, ...]]:
        """Draw an epoch's batches: of source and target each step, or of both stacked."""
        source_order, target_order = self._orders()
        size = self.config.batch_size
        if self._stacked is None:
            epochs = [
                self._rows["source"].epoch(source_order, size),
                self._rows["target"].epoch(target_order, size),
            ]
        else:
            lower = source_order + self._n_target
            parts = zip(torch.split(target_order, size), torch.split(lower, size), strict=True)
            epochs = [self._stacked.epoch(torch.cat([p for pair in parts for p in pair]), 2 * size)]
        self._adam.begin(*epochs)
        return list(zip(*(epoch.batches for epoch in epochs), strict=True))

    def _step(self, *batches: RowBatch) -> torch.Tensor:
        """Do a step; return its squared errors, its BCE, its rows named correctly and all [5]."""
        losses = self.losses(*batches)
        self.objective(losses).backward()
        self._adam.step(*batches)
        parts = (losses.rating["source"], losses.rating["target"], losses.domain)
        return torch.stack([*parts, losses.n_correct, losses.n_rows]).detach()

    def _step_compiled(self, *batches: RowBatch) -> torch.Tensor:
        """Do the same with gradients by hand; those of rating-sized weights are never stored."""
        net, config = self._net, self.config
        with torch.no_grad():
            embeddings_DK, kept_D, label_D = self._inputs(*batches)
            extracted = outputs(net.extractor, embeddings_DK)
            classified = outputs(net.classifier, features_DH := extracted[-1])
            logit_D = classified[-1]
            error_S, error_T = logit_D.new_zeros(2)
            slope_D = self._bce_weight * kept_D * (torch.sigmoid(logit_D) - label_D)
            slope_DH = backward(net.classifier, classified, slope_D)
            if config.reverses:
                slope_DH *= -config.mu
            for table, reading in zip(self._adam.tables, self._readings(*batches), strict=True):
                predictor, batch, span, is_target_B = reading
                hidden = outputs(predictor.hidden, features_DH[span])
                hidden_LBP = hidden[-1].view(-1, len(batch.rows), hidden[-1].shape[1])
                kept_LB = kept_D[span].view(hidden_LBP.shape[:2])
                error_LB, slope_Ln, slope_LBP = squared_errors(
                    batch,
                    kept_LB * (1 + (config.beta - 1) * is_target_B),
                    hidden_LBP,
                    predictor.weight_MP,
                    predictor.bias_M,
                )
                slope_DH[span] += backward(predictor.hidden, hidden, slope_LBP.flatten(0, 1))
                table.step_sums(batch, slope_Ln, hidden_LBP)
                error_B = (error_LB * kept_LB).sum(0)
                error_S += error_B @ (1 - is_target_B)
                error_T += error_B @ is_target_B
            backward(net.extractor, extracted, slope_DH, to_input=False)
            self._adam.step_others()
            return torch.stack([error_S, error_T, *domain_parts(logit_D, label_D, kept_D)])

    def losses(self, *batches: RowBatch) -> StepLosses:
        """Return the loss parts of one step; rows without a training rating do not count.

        ``batches`` are the source's and the target's, or one of the target's rows above as many of
        the source's.
        """
        embeddings_DK, kept_D, label_D = self._inputs(*batches)
        features_DH = self._net.extractor(embeddings_DK)
        config, to_classifier_DH = self.config, features_DH
        if config.reverses:
            to_classifier_DH = reverse_gradient(features_DH, config.mu)
        logit_D = self._net.classifier(to_classifier_DH)
        rating: dict[Domain, torch.Tensor] = {d: features_DH.new_zeros(()) for d in DOMAINS}
        for predictor, batch, span, is_target_B in self._readings(*batches):
            shape_LB = -1, len(batch.rows)
            features_LBH = features_DH[span].view(*shape_LB, features_DH.shape[1])
            for features_BH, kept_B in zip(features_LBH, kept_D[span].view(shape_LB), strict=True):
                predicted_n = predictor(features_BH, batch)
                for domain in DOMAINS:
                    is_its_B = is_target_B if domain == "target" else 1 - is_target_B
                    weight_n = (kept_B * is_its_B)[batch.row_of]
                    error = squared_error(predicted_n, batch.values, weight_n)
                    rating[domain] = rating[domain] + error
        return StepLosses(rating, features_DH, *domain_parts(logit_D, label_D, kept_D))

    def _inputs(self, *batches: RowBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the embeddings [D, K] of a step's rows, whether they count [D], their labels."""
        if len(batches) == 1:
            rows_D = batches[0].rows
        else:
            rows_D = torch.cat([batches[1].rows, batches[0].rows + self._n_target])
        embeddings_DK = self._embeddings_RK.index_select(0, rows_D)
        label_D = torch.where(rows_D < self._n_target, TARGET, SOURCE).to(embeddings_DK)
        return embeddings_DK, self._is_rated_R.index_select(0, rows_D), label_D

    def _readings(self, *batches: RowBatch) -> list[Reading]:
        """Return what each predictor reads: its own domain's rows, or those of both (docs/paper.md, reading 2)."""
        if len(batches) == 1:
            is_target_D = (batches[0].rows < self._n_target).to(self._is_rated_R)
            return [Reading(self._net.target, batches[0], slice(None), is_target_D)]
        (batch_S, batch_T), n_target = batches, len(batches[1].rows)
        span_S, span_T = slice(n_target, None), slice(n_target)
        if self.config.both_heads:
            span_S = span_T = slice(None)
        kept_B = self._is_rated_R.new_ones(len(batch_S.rows))
        return [
            Reading(self._net.predictor("source"), batch_S, span_S, 0 * kept_B),
            Reading(self._net.predictor("target"), batch_T, span_T, kept_B),
        ]

    @property
    def _bce_weight(self) -> float:
        return 1.0 if self.config.reverses else self.config.mu

    def objective(self, losses: StepLosses) -> torch.Tensor:
        """Return what a step minimises, but for R, which is Adam's (Eq. 3, 4-6 and 7)."""
        return sum(self._weighted(losses).values(), start=losses.domain.new_zeros(()))

    def _weighted(self, losses: StepLosses) -> dict[str, torch.Tensor]:
        return {
            "source": losses.rating["source"],
            "target": self.config.beta * losses.rating["target"],
            "domain": self._bce_weight * losses.domain,
        }

    def _gradient_norms(self, *batches: RowBatch) -> dict[str, float]:
        """Return the norm of the gradient that reaches the extractor's output from each head."""
        losses, norms = self.losses(*batches), {}
        for head, loss in self._weighted(losses).items():
            (grad,) = torch.autograd.grad(loss, losses.features_DH, retain_graph=True)
            norms[f"grad_norm_{head}"] = grad.norm().item()
        return norms

    def _orders(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return this epoch's row order of each domain (docs/paper.md, reading 5)."""
        rated = {domain: rows.is_rated for domain, rows in self._rows.items()}
        if self.config.both_heads:
            either = (rated["source"] | rated["target"]).nonzero()[:, 0]
            order = shuffled(either, self._generator)
            return order, order
        source, target = (rated[domain].nonzero()[:, 0] for domain in ("source", "target"))
        return paired(source, target, self._generator)

    def embeddings(self, domain: Domain) -> torch.Tensor:
        """Return a domain's frozen embeddings [R, K]."""
        target, source = self._embeddings_RK.tensor_split([self._n_target])
        return target if domain == "target" else source

    def predict(
        self,
        users: IntArray,
        items: IntArray,
        domain: Domain = "target",
        answers_from: Domain | None = None,
    ) -> FloatArray:
        """Return predictions f32[N]: a row answers from its own domain's embedding (docs/paper.md, reading 4).

        On the user axis it may answer from the other one's: of a user without target ratings, say.
        """
        rows, columns = along(self.config.autorec.axis, users, items)
        embeddings_RK, predictor = (
            self.embeddings(answers_from or domain),
            self._net.predictor(domain),
        )
        scores = score_pairs(
            rows,
            columns,
            lambda distinct: predictor.hidden(self._net.extractor(embeddings_RK[distinct])),
            predictor.weight_MP,
            predictor.bias_M,
        )
        return scores + self.stage1[domain].center.predict(users, items)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state of stage 2; stage 1 is rebuilt from its config."""
        super().load_state_dict(state)
        self._replayed.forget()


def build_darec(config: DARecConfig, training: Training, run: Run) -> DARec:
    """Build U-DARec or I-DARec, training stage 1 first unless ``run.cache`` holds it."""
    return DARec(config, training, run)
