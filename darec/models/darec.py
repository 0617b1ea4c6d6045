"""DARec (section 3, Eq. 3-7): the domain-adversarial network trained on frozen AutoRec embeddings.

Shapes: R rows of a domain, D rows of a step (the target's B, then the source's), K embedding,
H extractor, n ratings of a batch, N ratings asked for.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from darec.core.adam import Adam, Decay
from darec.core.batches import RowBatch, paired, shuffled
from darec.core.config import check_range
from darec.core.losses import SOURCE, TARGET, domain_loss, squared_error, squared_norm
from darec.core.recommender import Run
from darec.core.replay import Replayed
from darec.core.reversal import reverse_gradient
from darec.core.sparse import score_pairs
from darec.core.trained import Trained
from darec.data.ratings import Domain, FloatArray, IntArray
from darec.data.split import Training
from darec.models.autorec import AutoRec, AutoRecConfig
from darec.models.dann import DANN, Init
from darec.models.pretrain import pretrain
from darec.seeds import derive

Heads = Literal["both", "own"]
DOMAINS: tuple[Domain, ...] = ("target", "source")
LABEL: dict[Domain, float] = {"source": SOURCE, "target": TARGET}


@dataclass(frozen=True)
class DARecConfig:
    """Hyper-parameters of DARec (Fig. 1, Eq. 3-7, section 4.1)."""

    autorec: AutoRecConfig
    """Stage 1 of the target; also fixes DARec's axis and centring."""
    autorec_source: AutoRecConfig | None = None
    """Stage 1 of the source; the target's when None. Same axis, hidden and center."""
    heads: Heads = "own"
    """``both``: every user embedding reconstructs both domains (Eq. 3, user axis only)."""
    extractor: int = 100
    """Units of the shared extractor H; the paper searches 50-500."""
    beta: float = 0.1
    """Weight of the target's squared error against the source's (Eq. 3); 1e-4 to 1."""
    mu: float = 1.0
    """Strength of the gradient reversal (user axis) or of the BCE (item axis); 1e-4 to 1e4."""
    lambda_: float = 1e-3
    """Weight of the squared L2 norms of all stage-2 weights and biases; 1e-4 to 1e4."""
    pyramid: float = 1.0
    """Predictor widths are H r and H r^2; r in {0.5, 1, 2}; ours, the paper says "pyramid"."""
    decay: Decay = "coupled"
    """``coupled``: the gradient of lambda R through Adam; ``decoupled``: AdamW's; ours."""
    init: Init = "paper"
    """``paper``: N(0, 0.01^2) weights, zero biases; ``xavier``: Glorot uniform; ours."""
    learning_rate: float = 1e-3
    """Adam's step size; ours."""
    batch_size: int = 128
    """Rating rows of each domain a step; ours."""

    def __post_init__(self) -> None:
        for name in ("axis", "hidden", "center"):
            source, target = getattr(self.source, name), getattr(self.autorec, name)
            if source != target:
                rule = f"{name} must be the same in both domains' AutoRec"
                raise ValueError(f"{rule}, but got {source!r} and {target!r}")
        if self.autorec.axis == "item" and self.heads == "both":
            raise ValueError("heads='both' needs the user axis: items have no counterpart")
        if self.pyramid not in (0.5, 1.0, 2.0):
            raise ValueError(f"pyramid must be 0.5, 1 or 2, but got {self.pyramid}")
        check_range(self, extractor=(2, 10**5), beta=(0.0, 1e9), mu=(0.0, 1e9), lambda_=(0.0, 1e9))
        check_range(self, learning_rate=(1e-12, 10.0), batch_size=(1, 10**7))

    @property
    def source(self) -> AutoRecConfig:
        """Stage 1 of the source."""
        return self.autorec if self.autorec_source is None else self.autorec_source


@dataclass(frozen=True)
class StepLosses:
    """The parts of one step's loss, each a sum over the mini-batch (Eq. 3)."""

    rating: dict[Domain, torch.Tensor]
    domain: torch.Tensor
    features_DH: torch.Tensor
    """The extractor's output."""
    n_rows: torch.Tensor
    n_correct: torch.Tensor
    """Rows whose domain the classifier names correctly."""


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
        self._embeddings_RK = {
            domain: autorec.embeddings() for domain, autorec in self.stage1.items()
        }
        self._generator = torch.Generator().manual_seed(
            derive(run.seed, "darec", config.autorec.axis)
        )
        net = DANN(
            config.autorec.hidden,
            config.extractor,
            config.pyramid,
            n_source=self._rows["source"].n_columns,
            n_target=self._rows["target"].n_columns,
        )
        net.initialise(config.init, self._generator)
        self._net = net.to(run.device)
        weights = self._net.source.weight_MP, self._net.target.weight_MP
        sized = {id(weight) for weight in weights}
        others = [weight for weight in self._net.parameters() if id(weight) not in sized]
        self._adam = Adam(weights, others, config.learning_rate, config.lambda_, config.decay)
        self._do_step = Replayed(self._step, self._rows["target"].device)
        super().__init__(self._net, self._adam, self._generator)

    def train_epoch(self) -> dict[str, float]:
        """Minimise Eq. 3 (user axis, reversed gradient) or Eq. 7 (item axis) over one epoch."""
        totals = torch.zeros(5, device=self._rows["target"].device)
        source_order, target_order = self._orders()
        size = self.config.batch_size
        source = self._rows["source"].epoch(source_order, size)
        target = self._rows["target"].epoch(target_order, size)
        self._adam.begin(source, target)
        norms = self._gradient_norms(source.batches[0], target.batches[0])
        for batch_S, batch_T in zip(source.batches, target.batches, strict=True):
            totals += self._do_step(batch_S, batch_T)
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

    def _step(self, batch_S: RowBatch, batch_T: RowBatch) -> torch.Tensor:
        """Do a step; return its squared errors, its BCE, its rows named correctly and all [5]."""
        losses = self.losses({"source": batch_S, "target": batch_T})
        self.objective(losses).backward()  # type: ignore[no-untyped-call]
        self._adam.step(batch_S, batch_T)
        parts = (losses.rating["source"], losses.rating["target"], losses.domain)
        return torch.stack([*parts, losses.n_correct, losses.n_rows]).detach()

    def losses(self, batches: dict[Domain, RowBatch]) -> StepLosses:
        """Return the loss parts of one step; rows without a training rating do not count."""
        rows = {domain: batches[domain].rows for domain in DOMAINS}
        embeddings_DK = torch.cat(
            [self._embeddings_RK[domain].index_select(0, rows[domain]) for domain in DOMAINS]
        )
        kept_D = torch.cat([self._rows[domain].is_rated[rows[domain]] for domain in DOMAINS])
        kept_D = kept_D.to(embeddings_DK)
        features_DH = self._net.extractor(embeddings_DK)
        sizes = [len(rows[domain]) for domain in DOMAINS]
        features = dict(zip(DOMAINS, torch.split(features_DH, sizes), strict=True))
        kept = dict(zip(DOMAINS, torch.split(kept_D, sizes), strict=True))
        rating = {}
        for domain, batch in batches.items():
            predictor = self._net.predictor(domain)
            rating[domain] = squared_error(predictor(features[domain], batch), batch.values)
            if self.config.heads == "both":
                reader: Domain = "source" if domain == "target" else "target"
                predicted_n = predictor(features[reader], batch)
                weight_n = kept[reader][batch.row_of]
                rating[domain] = rating[domain] + squared_error(predicted_n, batch.values, weight_n)
        logit_D = self._net.classifier(self._to_classifier(features_DH))
        label_D = torch.cat([torch.full_like(kept[domain], LABEL[domain]) for domain in DOMAINS])
        return StepLosses(
            rating,
            domain=domain_loss(logit_D, label_D, kept_D),
            features_DH=features_DH,
            n_rows=kept_D.sum(),
            n_correct=((logit_D > 0) == (label_D > 0)).to(kept_D) @ kept_D,
        )

    def objective(self, losses: StepLosses) -> torch.Tensor:
        """Return what a step minimises, but for R, which is Adam's (Eq. 3, 4-6 and 7)."""
        return sum(self._weighted(losses).values(), start=losses.domain.new_zeros(()))

    def _weighted(self, losses: StepLosses) -> dict[str, torch.Tensor]:
        bce_weight = 1.0 if self.config.autorec.axis == "user" else self.config.mu
        return {
            "source": losses.rating["source"],
            "target": self.config.beta * losses.rating["target"],
            "domain": bce_weight * losses.domain,
        }

    def _to_classifier(self, features_DH: torch.Tensor) -> torch.Tensor:
        if self.config.autorec.axis == "item":
            return features_DH
        return reverse_gradient(features_DH, self.config.mu)

    def _gradient_norms(self, batch_S: RowBatch, batch_T: RowBatch) -> dict[str, float]:
        """Return the norm of the gradient that reaches the extractor's output from each head."""
        losses, norms = self.losses({"source": batch_S, "target": batch_T}), {}
        for head, loss in self._weighted(losses).items():
            (grad,) = torch.autograd.grad(loss, losses.features_DH, retain_graph=True)
            norms[f"grad_norm_{head}"] = grad.norm().item()
        return norms

    def _orders(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return this epoch's row order of each domain (reading 4)."""
        rated = {domain: rows.is_rated for domain, rows in self._rows.items()}
        if self.config.heads == "both":
            either = (rated["source"] | rated["target"]).nonzero()[:, 0]
            order = shuffled(either, self._generator)
            return order, order
        source, target = (rated[domain].nonzero()[:, 0] for domain in ("source", "target"))
        return paired(source, target, self._generator)

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return predictions f32[N]: a row answers from its own domain's embedding (reading 3)."""
        rows, columns = (users, items) if self.config.autorec.axis == "user" else (items, users)
        embeddings_RK, predictor = self._embeddings_RK[domain], self._net.predictor(domain)
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
        self._do_step.forget()


def build_darec(config: DARecConfig, training: Training, run: Run) -> DARec:
    """Build U-DARec or I-DARec, training stage 1 first unless ``run.cache`` holds it."""
    return DARec(config, training, run)
