"""CMF (Singh & Gordon, KDD 2008): factorises both rating matrices with shared user factors.

Identity link, and squared loss on observed ratings. Shapes: B ratings of each domain a step,
U users, I items, K factors, N ratings asked for.
"""

from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from darec.core.center import CenterKind, fit_centers
from darec.core.config import STRICT, BatchSize, LearningRate
from darec.core.embedding_adam import Index, embedding_adam
from darec.core.recommender import Run
from darec.core.tables import Tables, as_array
from darec.core.trained import Trained
from darec.core.triples import batches, n_batches, predict, triples
from darec.data.ratings import Domain, FloatArray, IntArray, Ratings
from darec.data.split import Training
from darec.seeds import derive

INIT_STD = 0.1
"""Standard deviation of initial factors."""


@dataclass(frozen=True, config=STRICT)
class CMFConfig:
    """Hyper-parameters of CMF. The paper gives none."""

    factors: Annotated[int, Field(ge=1, le=10**4)] = 20
    """Width K of user and item factors."""
    source_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Weight a of the source's loss. The target's loss has 1 - a. With a = 0, and
    neither ``bias`` nor a centre, this is PMF."""
    reg: Annotated[float, Field(ge=0, le=1e3)] = 0.05
    """Ridge of each rating on the factors (and biases) that it reads."""
    bias: bool = True
    """Whether each item has a bias, and each user one in each domain. The paper's CMF has none."""
    center: CenterKind = "hierarchical"
    """What is subtracted from the ratings of each domain first."""
    learning_rate: LearningRate = 5e-3
    """Adam's step size."""
    batch_size: BatchSize = 1024
    """Ratings of each domain in a mini-batch."""


class CMFNet(nn.Module):
    """``r = u . v_d (+ b_u,d + b_i,d)`` for domain d."""

    def __init__(
        self,
        n_users: int,
        n_items: dict[Domain, int],
        config: CMFConfig,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.bias = config.bias

        def table(size: int, width: int, std: float = INIT_STD) -> nn.Parameter:
            return nn.Parameter(torch.randn(size, width, generator=generator) * std)

        self.user_UK = table(n_users, config.factors)
        self.item_IK = nn.ParameterDict({d: table(n, config.factors) for d, n in n_items.items()})
        if self.bias:
            self.user_bias = nn.ParameterDict({d: table(n_users, 1, 0.0) for d in n_items})
            self.item_bias = nn.ParameterDict({d: table(n, 1, 0.0) for d, n in n_items.items()})

    def index(self, domain: Domain, user_B: torch.Tensor, item_B: torch.Tensor) -> Index:
        """Return the rows of each table that predict the ratings of a domain."""
        factors = {"user_UK": user_B, f"item_IK.{domain}": item_B}
        biases = {f"user_bias.{domain}": user_B, f"item_bias.{domain}": item_B}
        return {**factors, **biases} if self.bias else factors

    def forward(self, domain: Domain, user_B: torch.Tensor, item_B: torch.Tensor) -> torch.Tensor:
        """Return predictions [B]."""
        index = self.index(domain, user_B, item_B)
        rows = {name: self.get_parameter(name).index_select(0, index[name]) for name in index}
        return predicted(list(rows.values()))


def predicted(rows: list[torch.Tensor]) -> torch.Tensor:
    """Return predictions [B] from factors of users and items [B, K], then biases [B, 1]."""
    user_BK, item_BK, *biases = rows
    scores_B = (user_BK * item_BK).sum(1)
    for bias_B1 in biases:
        scores_B = scores_B + bias_B1[:, 0]
    return scores_B


def squared_norm(rows: list[torch.Tensor]) -> torch.Tensor:
    """Return the squared norm of the weights that each prediction reads [B]."""
    return torch.stack([part.square().sum(1) for part in rows]).sum(0)


class CMF(Trained):
    """CMF. A step has a batch of each domain, and the loss of a domain is a mean over its batch."""

    domains: tuple[Domain, ...] = ("target", "source")

    def __init__(self, config: CMFConfig, training: Training, run: Run) -> None:
        self._config = config
        self._share: dict[Domain, float] = {
            "target": 1 - config.source_share,
            "source": config.source_share,
        }
        ratings: dict[Domain, Ratings] = {"target": training.target, "source": training.source}
        self._center = fit_centers(config.center, training)
        self._triples = {
            name: triples(r, self._center[name], run.device) for name, r in ratings.items()
        }
        self._generator = torch.Generator().manual_seed(derive(run.seed, "cmf"))
        n_items = {name: r.n_items for name, r in ratings.items()}
        net = CMFNet(training.target.n_users, n_items, config, self._generator).to(run.device)
        self._net = net
        tables = dict(net.named_parameters())
        n_read = len(self.domains) * config.batch_size * (4 if config.bias else 2)
        self._adam = embedding_adam(tables, config.learning_rate, n_read)
        super().__init__(net, self._adam, self._generator)

    def train_epoch(self) -> dict[str, float]:
        """Visit the ratings of the larger domain once; those of the smaller one are repeated."""
        totals = {f"loss_rating_{name}": 0.0 for name in self.domains}
        size = self._config.batch_size
        self._adam.begin(n_batches(self._triples, size))
        for batch_of in batches(self._triples, size, self._generator):
            index = [self._net.index(name, own.user, own.item) for name, own in batch_of.items()]
            loss = torch.zeros(())
            read = zip(batch_of.items(), self._adam.read(*index), strict=True)
            for (domain, batch), rows in read:
                parts = list(rows.values())
                errors_B = (predicted(parts) - batch.value).square()
                mean = (errors_B + self._config.reg * squared_norm(parts)).mean()
                loss = loss + self._share[domain] * mean
                totals[f"loss_rating_{domain}"] += float(errors_B.detach().sum())
            loss.backward()
            self._adam.step()
        return totals

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return ``u . v_d`` plus biases and centre, f32[N]."""
        device = self._net.user_UK.device
        scores = predict(users, items, device, lambda u, i: self._net(domain, u, i))
        return scores + self._center[domain].predict(users, items)

    def tables(self, domain: Domain = "target") -> Tables:
        """Return the tables of a domain, with biases and centre as biases."""
        net, center = self._net, self._center[domain].tables()
        found = center.plus_factors(as_array(net.user_UK), as_array(net.item_IK[domain]))
        if not net.bias:
            return found
        return found.plus_biases(
            *(as_array(table[domain])[:, 0] for table in (net.user_bias, net.item_bias))
        )


def build_cmf(config: CMFConfig, training: Training, run: Run) -> CMF:
    """Build CMF on both domains' training ratings."""
    return CMF(config, training, run)


def n_weights_cmf(config: CMFConfig, training: Training) -> int:
    """Return the number of factors and biases."""
    n_users, n_items = training.target.n_users, training.source.n_items + training.target.n_items
    biases = 2 * n_users + n_items if config.bias else 0
    return (n_users + n_items) * config.factors + biases
