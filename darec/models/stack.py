"""A stack: several trained models in one prediction (`darec.core.blend`).

It is made from the trials of finished searches (`darec.stack`), not searched itself.
Shapes: N pairs, B users, I target items.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from darec.core.config import STRICT, parse
from darec.core.fold_in import NewUsers
from darec.core.hierarchical import HierarchicalBias, hierarchical_biases
from darec.core.new_user import NewUser
from darec.core.recommender import Recommender, Run, Weights, check_domain
from darec.core.tables import AllScores, all_scores
from darec.data.ratings import Domain, FloatArray, IntArray
from darec.data.split import Training
from darec.models.kind import ModelKind, reads_source

Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=STRICT)
class Member:
    """One model of a stack: a trial of a search."""

    model: str
    trial_id: str
    config: dict[str, Any]
    """The trial's full config, nested."""
    epoch: Count
    """The epochs that it is trained for: its best one in the search."""
    max_epochs: Count
    """The epoch budget of the search. Training on another split finds its own best epoch."""
    weight: Annotated[float, Field(ge=0)]


@dataclass(frozen=True, config=STRICT)
class StackConfig:
    """The members of a stack."""

    members: Annotated[tuple[Member, ...], Field(min_length=1)]

    @property
    def in_words(self) -> str:
        """The weight and the model of each member."""
        return ", ".join(f"{member.weight:.2f} {member.model}" for member in self.members)


class Stack:
    """The members' predictions, blended by their weights. It predicts the target only."""

    domains: tuple[Domain, ...] = ("target",)

    def __init__(
        self,
        config: StackConfig,
        members: Sequence[Recommender],
        kinds: Sequence[ModelKind],
        training: Training,
    ) -> None:
        self._config, self._members, self._training = config, members, training
        self._centre = HierarchicalBias(hierarchical_biases(training), "target")
        self._read_source = list(map(reads_source, kinds, members))
        self.reads_source = True
        """The biases, on which the members are blended, learn from a user's source ratings."""
        self.cold_users = all(kind.cold_users for kind in kinds)
        """Whether every member predicts users without target ratings by itself."""

    def train_epoch(self) -> dict[str, float]:
        """Train each member for all of its epochs; return the losses of their last ones."""
        losses: dict[str, float] = {}
        for n, (chosen, member) in enumerate(zip(self._config.members, self._members, strict=True)):
            last = [member.train_epoch() for _ in range(chosen.epoch)][-1]
            losses |= {f"{n}.{chosen.model}.{name}": value for name, value in last.items()}
        return losses

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return the predictions f32[N]."""
        check_domain(self.domains, domain)
        own = [member.predict(users, items) for member in self._members]
        return self.blended(self._centre.predict(users, items), own)

    def blended(self, centre: FloatArray, own: Sequence[FloatArray]) -> FloatArray:
        """Return ``h + sum_m w_m (p_m - h)``, given h and each p_m."""
        blended = centre.copy()
        for member, predictions in zip(self._config.members, own, strict=True):
            blended += np.float32(member.weight) * (predictions - centre)
        return blended

    def tables(self, domain: Domain = "target") -> AllScores:
        """Return what scores all items."""
        check_domain(self.domains, domain)
        n_items = self._training.target.n_items
        own = [all_scores(member, n_items) for member in self._members]
        return _Scores(self, self._centre.tables(), own)

    def fold_in(self, user: NewUser) -> FloatArray | None:
        """Return the predictions of all target items for a new user, f32[I].

        A member that cannot predict for new users, or that learns nothing about this one, adds
        nothing to the biases. None if no member can predict for new users.
        """
        own = [member.fold_in(user) for member in self._new_users]
        if all(each is None for each in own):
            return None
        centre = self._centre.of_new_user(user)
        learns = [len(user["target"]) > 0 or reads for reads in self._read_source]
        known = [
            centre if each is None or not does else each
            for each, does in zip(own, learns, strict=True)
        ]
        return self.blended(centre, known)

    @cached_property
    def _new_users(self) -> list[NewUsers]:
        return [NewUsers(member, self._training) for member in self._members]

    def weights(self) -> Weights:
        """Return the members' tensors; each name begins with the member's number."""
        return numbered([member.weights() for member in self._members])

    def load_weights(self, weights: Weights) -> None:
        """Predict from these tensors from now on."""
        for n, member in enumerate(self._members):
            begin = f"{n}."
            own = {k.removeprefix(begin): w for k, w in weights.items() if k.startswith(begin)}
            member.load_weights(own)

    def state_dict(self) -> dict[str, Any]:
        """Return the members' states."""
        return {str(n): member.state_dict() for n, member in enumerate(self._members)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved states."""
        for n, member in enumerate(self._members):
            member.load_state_dict(state[str(n)])


def numbered(members: Sequence[Weights]) -> Weights:
    """Return the weights of a stack, given those of its members."""
    return {f"{n}.{name}": w for n, own in enumerate(members) for name, w in own.items()}


class _Scores(NamedTuple):
    """Scores of all target items by a stack."""

    stack: Stack
    centre: AllScores
    members: list[AllScores]

    def scores(self, users: IntArray) -> FloatArray:
        """Return the unclipped predictions of all items for some users, f32[B, I]."""
        own = [member.scores(users) for member in self.members]
        return self.stack.blended(self.centre.scores(users), own)


def build_stack(config: StackConfig, training: Training, run: Run) -> Stack:
    """Build the members; raises `UserError` for an unknown model."""
    kinds = _kinds_and_configs(config)
    members = [kind.build(own, training, run) for kind, own in kinds]
    return Stack(config, members, [kind for kind, _ in kinds], training)


def n_weights_stack(config: StackConfig, training: Training) -> int:
    """Return an upper bound of the members' number of weights."""
    return sum(kind.n_weights(own, training) for kind, own in _kinds_and_configs(config))


def n_temporary_stack(config: StackConfig, training: Training) -> int:
    """Return an upper bound of the numbers that a step of one member holds besides."""
    return max(kind.n_temporary(own, training) for kind, own in _kinds_and_configs(config))


def _kinds_and_configs(config: StackConfig) -> list[tuple["ModelKind", Any]]:
    """Return the model and the config of each member; raises `UserError` for an unknown model."""
    from darec.models import kind_of  # a stack is one of the models that this knows

    kinds = [(kind_of(member.model), member.config) for member in config.members]
    return [(kind, parse(kind.config, values)) for kind, values in kinds]
