"""CoNet (Hu, Zhang & Yang, CIKM 2018) for ratings: two towers with cross connections.

``a_T' = relu(W_T a_T + b_T + H a_S)``, and the same with T and S exchanged. One H serves both ways
(Eq. 7-8 of Hu et al.). The first two layers have an H each. Its L1 penalty is minimised by its
subgradient, so that entries become small but not zero. Outputs are linear, and errors are squared.
Shapes: B pairs of a step, U users, I items of a domain, E embedding, N ratings asked for.
"""

import dataclasses
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn
from torch.nn import functional

from darec.core.center import CenterKind, fit_centers
from darec.core.config import STRICT, BatchSize, LearningRate
from darec.core.embedding_adam import Index, embedding_adam
from darec.core.hierarchical import OTHER
from darec.core.recommender import Run
from darec.core.trained import Optimizers, Trained
from darec.core.triples import Triples, batches, n_batches, predict, triples
from darec.data.ratings import Domain, FloatArray, IntArray, Ratings
from darec.data.split import Training
from darec.seeds import derive

EMBEDDING_STD = 0.1
"""Standard deviation of initial embeddings."""
N_CROSSED = 2
"""The number of first layers that have cross connections."""


@dataclass(frozen=True, config=STRICT)
class CoNetConfig:
    """Hyper-parameters of CoNet."""

    embedding: Annotated[int, Field(ge=4, le=10**4)] = 32
    """Width E of user and item embeddings. A tower is 2E, E, E / 2 and E / 4 wide."""
    lasso: Annotated[float, Field(ge=0, le=1e6)] = 1e-3
    """Weight of ``|H|_1``, which counts once a step."""
    reg: Annotated[float, Field(ge=0, le=1e6)] = 1e-3
    """Ridge of each rating on the embeddings that it reads; ours."""
    crossing: Literal["mean", "none"] = "mean"
    """What the other tower reads in prediction. ``mean``: the mean embedding of the user's items in
    its domain (ours); ``none``: nothing crosses, as in the authors' code."""
    center: CenterKind = "hierarchical"
    """What is subtracted from the ratings of each domain first; ours."""
    learning_rate: LearningRate = 1e-3
    """Adam's step size."""
    batch_size: BatchSize = 256
    """Ratings of each domain in a mini-batch."""


def tower_widths(embedding: int) -> list[int]:
    """Return the widths of a tower's input and of its layers."""
    return [2 * embedding, embedding, embedding // 2, embedding // 4]


class CoNetNet(nn.Module):
    """Embeddings, two towers and the matrices H between them."""

    def __init__(
        self, n_users: int, n_items: dict[Domain, int], embedding: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        widths = tower_widths(embedding)

        def table(size: int) -> nn.Parameter:
            values = torch.randn(size, embedding, generator=generator)
            return nn.Parameter(EMBEDDING_STD * values)

        self.user_UE = table(n_users)
        self.item_IE = nn.ParameterDict({domain: table(size) for domain, size in n_items.items()})
        sizes = list(pairwise(widths))
        self.layers = nn.ModuleList(
            nn.ModuleDict({domain: nn.Linear(*size) for domain in n_items}) for size in sizes
        )
        self.output = nn.ModuleDict({domain: nn.Linear(widths[-1], 1) for domain in n_items})
        self.cross = nn.ParameterList(torch.empty(out, into) for into, out in sizes[:N_CROSSED])
        for weight in [*self.layers.parameters(), *self.output.parameters(), *self.cross]:
            if weight.dim() == 1:
                nn.init.zeros_(weight)
            else:
                nn.init.xavier_uniform_(weight, generator=generator)

    def forward(
        self, user_BE: torch.Tensor, item_BE: dict[Domain, torch.Tensor], crosses: bool = True
    ) -> dict[Domain, torch.Tensor]:
        """Return each tower's predictions [B], for users and an item of each domain."""
        a = {domain: torch.cat([user_BE, e_BE], 1) for domain, e_BE in item_BE.items()}
        for depth, tower in enumerate(self.layers):
            own = {domain: layer(a[domain]) for domain, layer in _of_domains(tower)}
            if crosses and depth < N_CROSSED:
                h = self.cross[depth]
                own = {domain: out + a[OTHER[domain]] @ h.T for domain, out in own.items()}
            a = {domain: torch.relu(out) for domain, out in own.items()}
        return {domain: layer(a[domain])[:, 0] for domain, layer in _of_domains(self.output)}


def _of_domains(modules: Any) -> list[tuple[Domain, nn.Linear]]:
    return list(modules.items())


@dataclasses.dataclass(frozen=True)
class Partners:
    """The training ratings of a domain by user, from which random ones are drawn."""

    ratings: Triples
    count_U: torch.Tensor
    start_U: torch.Tensor

    @staticmethod
    def of(ratings: Triples, n_users: int) -> "Partners":
        """Group ratings by user. They must be in the order of their users."""
        count_U = torch.bincount(ratings.user, minlength=n_users)
        return Partners(ratings, count_U, torch.cumsum(count_U, 0) - count_U)

    def draw(
        self, user_B: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draw a rating of each user.

        Returns its item [B] and value [B], and 1 where the user has a rating here, else 0 [B].
        """
        share_B = torch.rand(len(user_B), generator=generator).to(user_B.device)
        count_B = self.count_U[user_B]
        position_B = self.start_U[user_B] + (share_B * count_B).long()
        picked = self.ratings.take(position_B.clamp(max=len(self.ratings.user) - 1))
        return picked.item, picked.value, (count_B > 0).to(picked.value)

    def mean(self, item_IE: torch.Tensor) -> torch.Tensor:
        """Return the mean embedding of each user's items [U, E], which is 0 without items."""
        return functional.embedding_bag(self.ratings.item, item_IE, self.start_U, mode="mean")


@dataclasses.dataclass(frozen=True)
class Paired:
    """Ratings of a domain, each with a rating of its user in the other domain."""

    domain: Domain
    ratings: Triples
    item_B: torch.Tensor
    """The partners' items."""
    value_B: torch.Tensor
    """The partners' ratings."""
    has_B: torch.Tensor
    """1 where the user has a rating in the other domain, else 0."""

    @property
    def index(self) -> Index:
        """The rows of each table that predict these ratings."""
        items = {f"item_IE.{self.domain}": self.ratings.item}
        return {"user_UE": self.ratings.user, **items, f"item_IE.{OTHER[self.domain]}": self.item_B}


class CoNet(Trained):
    """CoNet. A rating is paired with a random one of the same user in the other domain (ours)."""

    domains: tuple[Domain, ...] = ("target", "source")

    def __init__(self, config: CoNetConfig, training: Training, run: Run) -> None:
        self._config, n_users = config, training.target.n_users
        ratings: dict[Domain, Ratings] = {"target": training.target, "source": training.source}
        self._center = fit_centers(config.center, training)
        self._triples = {
            name: triples(r, self._center[name], run.device) for name, r in ratings.items()
        }
        self._partners = {name: Partners.of(t, n_users) for name, t in self._triples.items()}
        self._generator = torch.Generator().manual_seed(derive(run.seed, "conet"))
        n_items = {name: r.n_items for name, r in ratings.items()}
        self._net = CoNetNet(n_users, n_items, config.embedding, self._generator)
        for name, layer in _of_domains(self._net.output):
            nn.init.constant_(layer.bias, self._triples[name].value.mean().item())
        self._net.to(run.device)
        weights = dict(self._net.named_parameters())
        tables = {
            name: weights.pop(name) for name in ("user_UE", "item_IE.target", "item_IE.source")
        }
        self._tables_adam = embedding_adam(tables, config.learning_rate, 6 * config.batch_size)
        self._adam = torch.optim.Adam(weights.values(), lr=config.learning_rate, fused=True)
        optimizers = Optimizers(self._tables_adam, self._adam)
        super().__init__(self._net, optimizers, self._generator)

    def train_epoch(self) -> dict[str, float]:
        """Visit the ratings of the larger domain once; those of the smaller one are repeated."""
        totals = {f"loss_rating_{name}": 0.0 for name in self.domains}
        size = self._config.batch_size
        self._tables_adam.begin(n_batches(self._triples, size))
        for batch_of in batches(self._triples, size, self._generator):
            crossed = torch.stack([h.abs().sum() for h in self._net.cross]).sum()
            loss = self._config.lasso * crossed
            pairs = [self._paired(domain, batch) for domain, batch in batch_of.items()]
            rows = self._tables_adam.read(*(pair.index for pair in pairs))
            for pair, read in zip(pairs, rows, strict=True):
                errors = self._errors(pair, read)
                loss = loss + errors["ridge"] + errors["own"].mean() + errors["partner"].mean()
                totals[f"loss_rating_{pair.domain}"] += float(errors["own"].detach().sum())
            self._adam.zero_grad()
            loss.backward()
            self._adam.step()
            self._tables_adam.step()
        return totals

    def _paired(self, domain: Domain, ratings: Triples) -> Paired:
        """Return some ratings with a random one of each user in the other domain."""
        partner = self._partners[OTHER[domain]].draw(ratings.user, self._generator)
        return Paired(domain, ratings, *partner)

    def _errors(self, pair: Paired, rows: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the squared errors [B] of the ratings and of their partners, and the ridge."""
        domain, other = pair.domain, OTHER[pair.domain]
        user_BE = rows["user_UE"]
        item_BE = {
            domain: rows[f"item_IE.{domain}"],
            other: rows[f"item_IE.{other}"] * pair.has_B[:, None],
        }
        predicted = self._net(user_BE, item_BE)
        read = [user_BE, *item_BE.values()]
        ridge = self._config.reg * torch.stack([part.square().sum(1).mean() for part in read]).sum()
        return {
            "own": (predicted[domain] - pair.ratings.value).square(),
            "partner": pair.has_B * (predicted[other] - pair.value_B).square(),
            "ridge": ridge,
        }

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return the output of the domain's tower plus the centre, f32[N]."""
        net, other = self._net, OTHER[domain]
        crosses = self._config.crossing == "mean"
        with torch.no_grad():
            mean_UE = self._partners[other].mean(net.item_IE[other])

        def score(user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
            item_BE = {domain: net.item_IE[domain][item], other: mean_UE[user]}
            scored: torch.Tensor = net(net.user_UE[user], item_BE, crosses)[domain]
            return scored

        scores = predict(users, items, net.user_UE.device, score)
        return scores + self._center[domain].predict(users, items)


def build_conet(config: CoNetConfig, training: Training, run: Run) -> CoNet:
    """Build CoNet on both domains' training ratings."""
    return CoNet(config, training, run)


def n_weights_conet(config: CoNetConfig, training: Training) -> int:
    """Return the number of weights and biases of the embeddings, the towers and their crossings."""
    n_users, n_items = training.target.n_users, training.source.n_items + training.target.n_items
    widths = tower_widths(config.embedding)
    layers = list(pairwise([*widths, 1]))
    towers = 2 * sum(into * out + out for into, out in layers)
    crossings = sum(into * out for into, out in layers[:N_CROSSED])
    return (n_users + n_items) * config.embedding + towers + crossings
