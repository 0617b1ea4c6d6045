"""PTUPCDR (Zhu et al., WSDM 2022): a bridge of one's own from source to target for each user.

A characteristic encoder attends over the source items that a user rated, ``p_u = sum_j a_j y_j``,
where a is the softmax of ``h(y_j)``. A meta network g makes the user's bridge from it, the X x X
matrix ``w_u = g(p_u)``. The target vector is ``x_source w_u``. Only h and g learn here, from the
errors of target ratings ("task-oriented"); the vectors are those of `darec.models.mf`. The
published code (models.py and run.py of github.com/easezyc/WSDM2022-PTUPCDR) keeps the epoch with
the lowest *test* error, and a user's last 20 liked items; here validation chooses, and all count.
Shapes: B users of a step, n of their source ratings, m of their target ratings, X factors and a
bias, U users.
"""

import dataclasses
from typing import Annotated, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from darec.core.config import STRICT
from darec.core.new_user import OwnRatings
from darec.core.recommender import Run
from darec.core.triples import Triples, triples
from darec.data.split import Training
from darec.models.mapped_mf import MappedMF
from darec.models.mf import MFConfig, n_weights_mf, scores

LIKED = 3.0
"""Items rated with more stars than this are liked, as in the authors' code."""


@dataclass(frozen=True, config=STRICT)
class PTUPCDRConfig(MFConfig):
    """Hyper-parameters of PTUPCDR."""

    meta: Annotated[int, Field(ge=1, le=10**4)] = 50
    """Hidden units of the meta network."""
    history: Literal["liked", "all"] = "liked"
    """The source items that are attended to: those with more than three stars, as in the authors'
    code, or all. The bridge of a user without any follows from ``p_u = 0``."""


class MetaNet(nn.Module):
    """The attention h and the network g, which turn rated source items into a bridge."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1, bias=False)
        )
        self.bridge = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width * width)
        )

    def characteristics(
        self, item_nX: torch.Tensor, row_n: torch.Tensor, n_rows: int
    ) -> torch.Tensor:
        """Return ``p_u`` of each user [B, X], from items and the position in 0..B-1 of their user.

        The softmax is taken over the items of each user. Without items it is 0.
        """
        score_n = self.attention(item_nX)[:, 0]
        top_B = score_n.new_zeros(n_rows)
        top_B.scatter_reduce_(0, row_n, score_n.detach(), "amax", include_self=False)
        weight_n = torch.exp(score_n - top_B[row_n])
        total_B = score_n.new_zeros(n_rows).index_add(0, row_n, weight_n)
        share_n = weight_n / total_B[row_n]
        return item_nX.new_zeros(n_rows, item_nX.shape[1]).index_add(
            0, row_n, share_n[:, None] * item_nX
        )

    def forward(
        self, source_BX: torch.Tensor, item_nX: torch.Tensor, row_n: torch.Tensor
    ) -> torch.Tensor:
        """Return ``x_source w_u`` of each user [B, X]."""
        n_rows, width = source_BX.shape
        p_BX = self.characteristics(item_nX, row_n, n_rows)
        bridge_BXX = self.bridge(p_BX).view(n_rows, width, width)
        return torch.bmm(source_BX[:, None], bridge_BXX)[:, 0]


@dataclasses.dataclass(frozen=True)
class ByUser:
    """Ratings in the order of their users, from which those of some users are taken."""

    ratings: Triples
    count_U: torch.Tensor
    start_U: torch.Tensor

    @staticmethod
    def of(ratings: Triples, n_users: int) -> "ByUser":
        """Group ratings that are in the order of their users."""
        count_U = torch.bincount(ratings.user, minlength=n_users)
        return ByUser(ratings, count_U, torch.cumsum(count_U, 0) - count_U)

    def take(self, user_B: torch.Tensor) -> tuple[Triples, torch.Tensor]:
        """Return the ratings of users, and the position in 0..B-1 of each rating's user."""
        count_B = self.count_U[user_B]
        row_n = torch.repeat_interleave(count_B)
        skipped_B = self.start_U[user_B] - (torch.cumsum(count_B, 0) - count_B)
        position_n = torch.arange(len(row_n), device=row_n.device) + skipped_B[row_n]
        return self.ratings.take(position_n), row_n


class PTUPCDR(MappedMF):
    """PTUPCDR. A step of h and g reads all ratings of a batch of users, so that cost is linear."""

    def __init__(self, config: PTUPCDRConfig, training: Training, run: Run) -> None:
        super().__init__(config, training, run, MetaNet(config.factors + 1, config.meta))
        source, n_users = training.source, training.source.n_users
        self._least = LIKED if config.history == "liked" else 0.0
        attended = triples(
            source.take(source.values > self._least), self.center["source"], run.device
        )
        self._history = ByUser.of(attended, n_users)
        self._target = ByUser.of(self.triples["target"], n_users)

    def fit_mapping(self) -> float:
        """Visit each user with ratings in both domains once, with all of their target ratings."""
        return self.fit_by_steps(self.errors)

    def errors(self, user_B: torch.Tensor) -> torch.Tensor:
        """Return the squared errors of the users' target ratings from mapped vectors [m]."""
        ratings, row_m = self._target.take(user_B)
        item_mX = self.net.item_IX["target"].detach().index_select(0, ratings.item)
        predicted_m = scores(self.mapped(user_B).index_select(0, row_m), item_mX)
        return (predicted_m - ratings.value).square()

    def mapped(self, user_B: torch.Tensor) -> torch.Tensor:
        """Return the source vectors of users, sent over their own bridges [B, X]."""
        source_BX = self.net.user_UX["source"].detach().index_select(0, user_B)
        history, row_n = self._history.take(user_B)
        return self._cross(source_BX, history.item, row_n)

    def mapped_new(self, source_X: torch.Tensor, own: OwnRatings) -> torch.Tensor:
        """Return the source vector of a new user, sent over the bridge of their ratings [X]."""
        items = own.items[own.values > self._least]
        item_n = torch.from_numpy(items).long().to(source_X.device)
        return self._cross(source_X[None], item_n, torch.zeros_like(item_n))[0]

    def _cross(
        self, source_BX: torch.Tensor, item_n: torch.Tensor, row_n: torch.Tensor
    ) -> torch.Tensor:
        item_nX = self.net.item_IX["source"].detach().index_select(0, item_n)
        target_BX: torch.Tensor = self.net.mapping(source_BX, item_nX, row_n)
        return target_BX


def build_ptupcdr(config: PTUPCDRConfig, training: Training, run: Run) -> PTUPCDR:
    """Build PTUPCDR on the training ratings of both domains."""
    return PTUPCDR(config, training, run)


def n_weights_ptupcdr(config: PTUPCDRConfig, training: Training) -> int:
    """Return the number of factors, biases and weights of the attention and the meta network."""
    width = config.factors + 1
    meta_net = width * (width + 2) + config.meta * (width + 1) + width**2 * (config.meta + 1)
    return n_weights_mf(config, training) + meta_net
