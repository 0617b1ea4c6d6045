"""DARec as a recommender: two trained AutoRecs (stage 1), and the network on top (stage 2).

Shapes: R rows of a domain, K embedding, N ratings asked for.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from darec.core.backend import TORCH, Backend
from darec.core.center import fit_centers
from darec.core.cuda_graphs import CapturedStep
from darec.core.lazy_adam import LazyAdam
from darec.core.new_user import NewUser
from darec.core.recommender import Run
from darec.core.scoring import score_pairs
from darec.core.tables import Tables, as_array
from darec.core.trained import Trained
from darec.data.ratings import Domain, FloatArray, IntArray, along
from darec.data.split import Training
from darec.models.autorec import AutoRec, n_weights_autorec
from darec.models.darec.autograd_step import AutogradStep, gradient_norms
from darec.models.darec.batches import DOMAINS, StepBatches
from darec.models.darec.config import DARecConfig
from darec.models.darec.cpu_step import CpuStep
from darec.models.darec.equations import regulariser
from darec.models.darec.network import DANN
from darec.models.darec.pretrain import pretrain
from darec.seeds import derive


class DARec(Trained):
    """Rating predictors on shared features, trained with or against a domain classifier."""

    domains = DOMAINS

    def __init__(self, config: DARecConfig, training: Training, run: Run) -> None:
        self.config = config
        self.stage1: dict[Domain, AutoRec] = {
            "source": pretrain(training.swapped(), config.source, run),
            "target": pretrain(training, config.autorec, run),
        }
        """Each domain's trained AutoRec. It predicts its own domain as its ``"target"``."""
        self._centers = fit_centers(config.autorec.center, training)
        self._step_batches = StepBatches(self.stage1, config)
        self._answering = {name: self._step_batches.answering(name) for name in DOMAINS}
        """Which embedding predicts each row of a domain."""
        seed = derive(run.seed, "darec", config.autorec.axis)
        self._generator = torch.Generator().manual_seed(seed)
        rows = self.stage1["target"].rows
        self._backend = rows.backend
        net = network(config, training, self._backend)
        net.initialise(config.init, self._generator)
        self._net = net.to(run.device)
        weights = [predictor.weight_MP for predictor in net.predictors()]
        sized = {id(weight) for weight in weights}
        others = [weight for weight in net.parameters() if id(weight) not in sized]
        adam = self._backend.adam(
            weights, others, config.learning_rate, config.lambda_, config.decay
        )
        self._adam = adam
        step: Callable[..., torch.Tensor] = (
            CpuStep(net, config, self._step_batches, adam)
            if isinstance(adam, LazyAdam)
            else AutogradStep(net, config, self._step_batches, adam)
        )
        self._step = CapturedStep(step, net, rows.device)
        super().__init__(net, adam, self._generator)

    def train_epoch(self) -> dict[str, float]:
        """Minimise Eq. 4-6 or Eq. 7 over one epoch.

        Returns the epoch's losses, the share of rows whose domain the classifier named correctly,
        and the norms of the gradients of the first step.
        """
        epochs = self._step_batches.epochs(self._generator)
        self._adam.begin(*epochs)
        steps = list(zip(*(epoch.batches for epoch in epochs), strict=True))
        norms = gradient_norms(self._net, self.config, self._step_batches.rows(*steps[0]))
        totals = torch.zeros(5, device=self._step_batches.embeddings_RK.device)
        for batches in steps:
            totals += self._step(*batches)
        error_S, error_T, domain, n_correct, n_rows = totals.tolist()
        return {
            "loss_rating_source": error_S,
            "loss_rating_target": error_T,
            "loss_domain": domain,
            "loss_regulariser": regulariser(self._net.parameters(), self.config.lambda_).item(),
            "domain_accuracy": n_correct / n_rows,
            **norms,
        }

    def embeddings(self, domain: Domain) -> torch.Tensor:
        """Return a domain's frozen embeddings [R, K]."""
        return self._step_batches.embeddings(domain)

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return predictions f32[N] of a domain's ratings.

        A row is predicted from its embedding in this domain (docs/paper.md, reading 4). A user
        without ratings in this domain is predicted from the embedding in the other domain.
        """
        rows, columns = along(self.config.autorec.axis, users, items)
        embedding_R, embeddings_RK = self._answering[domain], self._step_batches.embeddings_RK
        predictor = self._net.predictor(domain)
        scores = score_pairs(
            rows,
            columns,
            lambda distinct: predictor.hidden(
                self._net.extractor(embeddings_RK[embedding_R[distinct]])
            ),
            predictor.weight_MP,
            predictor.bias_M,
            self._backend,
        )
        stage1 = self.stage1[domain]
        is_residual = self.config.head == "residual"
        base = stage1.predict(users, items) if is_residual else stage1.center.predict(users, items)
        return scores + base

    def tables(self, domain: Domain = "target") -> Tables:
        """Return the tables of all rows' last hidden units and of a rating predictor."""
        predictor = self._net.predictor(domain)
        embeddings_RK = self._step_batches.embeddings_RK[self._answering[domain]]
        hidden_RP = self._last_hidden(domain, embeddings_RK)
        parts = as_array(predictor.weight_MP), as_array(predictor.bias_M)
        stage1 = self.stage1[domain]
        base = stage1.tables() if self.config.head == "residual" else stage1.center.tables()
        found = base.plus_rows(self.config.autorec.axis, hidden_RP, *parts)
        return replace(found, center=self._centers[domain])

    def fold_in(self, user: NewUser) -> FloatArray | None:
        """Return predictions of all target items f32[I], given the embedding of a new user's row.

        The target's stage 1 embeds the user's row, or the source's if the user has no target
        rating. On the item axis the user is no row, and the result is None.
        """
        if self.config.autorec.axis == "item":
            return None
        rated: Domain = "target" if len(user["target"]) else "source"
        own = user
        if rated == "source":  # the source's own stage 1 knows its domain as its target
            own = {"target": user["source"], "source": user["target"]}
        hidden_P = self._last_hidden("target", self.stage1[rated].embed_new(own))[0]
        predictor = self._net.predictor("target")
        scores_I: FloatArray = as_array(predictor.weight_MP) @ hidden_P + as_array(predictor.bias_M)
        stage1 = self.stage1["target"]
        base_I = stage1.fold_in(user) if self.config.head == "residual" else None
        return (stage1.center.of_new_user(user) if base_I is None else base_I) + scores_I

    def _last_hidden(self, domain: Domain, embeddings_BK: torch.Tensor) -> FloatArray:
        """Return the last hidden units of a domain's predictor, [B, P]."""
        with torch.no_grad():
            features_BH = self._net.extractor(embeddings_BK)
            return as_array(self._net.predictor(domain).hidden(features_BH))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state of stage 2. Stage 1 was rebuilt from its config."""
        super().load_state_dict(state)
        self._step.discard()


def network(config: DARecConfig, training: Training, backend: Backend) -> DANN:
    """Return the network for a pair's training ratings, before its weights are drawn."""
    axis, shared = config.autorec.axis, config.predictors == "shared"
    return DANN(
        config.autorec.hidden,
        config.extractor,
        config.pyramid,
        n_source=None if shared else training.source.shape(axis)[1],
        n_target=training.target.shape(axis)[1],
        backend=backend,
        is_residual=config.head == "residual",
    )


def build_darec(config: DARecConfig, training: Training, run: Run) -> DARec:
    """Build U-DARec or I-DARec. Stage 1 is trained first, unless ``run.cache`` has it."""
    return DARec(config, training, run)


def n_weights_darec(config: DARecConfig, training: Training) -> int:
    """Return the number of weights of both stages, and of entries of the frozen embeddings."""
    stage1 = sum(n_weights_autorec(each, training) for each in (config.source, config.autorec))
    domains, axis = (training.source, training.target), config.autorec.axis
    embeddings = config.autorec.hidden * sum(ratings.shape(axis)[0] for ratings in domains)
    with torch.device("meta"):  # shapes without memory
        net = network(config, training, TORCH)
    return stage1 + embeddings + sum(weight.numel() for weight in net.parameters())
