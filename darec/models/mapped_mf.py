"""Two matrix factorisations and a mapping of users' vectors from the source to the target.

EMCDR and PTUPCDR are of this kind; they differ in the mapping. Shapes: B ratings or users of a
step, D users asked for, n ratings of a new user, U users, I items of a domain, K factors,
X = K + 1, N ratings asked for.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from darec.core.batches import shuffled
from darec.core.center import fit_centers
from darec.core.embedding_adam import embedding_adam
from darec.core.new_user import NewUser, OwnRatings
from darec.core.recommender import Run, Weights, check_domain
from darec.core.tables import Tables, add_dots, as_array
from darec.core.trained import Optimizers, Trained
from darec.core.triples import triples
from darec.data.ratings import Domain, FloatArray, IntArray, Ratings
from darec.data.split import Training
from darec.models.mf import MFConfig, MFNet, Prior, scores
from darec.seeds import derive

USERS_AT_ONCE = 1024
"""Users whose vectors are mapped at once in predictions, which bounds the memory."""


class MappedMF(Trained, ABC):
    """Both factorisations and a mapping from source to target vectors, which a subclass fits.

    An epoch visits every rating of each domain once, and then fits the mapping to the present
    vectors. So the model can predict after each epoch, and the vectors and the mapping are both
    taken from the epoch with the lowest validation RMSE. A user with target ratings is predicted
    from their own target vector, as in the warm stage of PTUPCDR. A user with source ratings alone
    is predicted from the mapped source vector, and a user without any rating from the vector 0.
    """

    domains: tuple[Domain, ...] = ("target", "source")

    def __init__(
        self,
        config: MFConfig,
        training: Training,
        run: Run,
        mapping: nn.Module,
        min_ratings: int = 1,
    ) -> None:
        """Users with at least ``min_ratings`` training ratings in each domain fit the mapping."""
        self._config = config
        ratings: dict[Domain, Ratings] = {"target": training.target, "source": training.source}
        self._ratings = ratings
        self._priors: dict[Domain, Prior] = {}
        self.center = fit_centers(config.center, training)
        self.triples = {
            name: triples(r, self.center[name], run.device) for name, r in ratings.items()
        }
        counts = {name: r.user_counts for name, r in ratings.items()}
        self._known_U = {name: count_U > 0 for name, count_U in counts.items()}
        fits_U = np.minimum(counts["target"], counts["source"]) >= min_ratings
        self.fitting_users = torch.from_numpy(np.flatnonzero(fits_U)).to(run.device)
        self._generator = torch.Generator().manual_seed(derive(run.seed, "mapped mf"))
        self.net = MFNet(ratings, config.factors, mapping, self._generator).to(run.device)
        self._factors_adam = {
            name: embedding_adam(
                {"user_UX": self.net.user_UX[name], "item_IX": self.net.item_IX[name]},
                config.learning_rate,
                2 * config.batch_size,
            )
            for name in self.domains
        }
        self._mapping_adam = torch.optim.Adam(
            mapping.parameters(),
            lr=config.mapping_learning_rate,
            weight_decay=2 * config.mapping_reg / max(1, len(self.fitting_users)),
            fused=True,
        )
        optimizers = Optimizers(*self._factors_adam.values(), self._mapping_adam)
        super().__init__(self.net, optimizers, self._generator)

    @abstractmethod
    def fit_mapping(self) -> float:
        """Fit the mapping to the present vectors, which stay; return its summed squared errors."""

    @abstractmethod
    def mapped(self, user_B: torch.Tensor) -> torch.Tensor:
        """Return the target vectors [B, X] that follow from the source alone."""

    @abstractmethod
    def mapped_new(self, source_X: torch.Tensor, own: OwnRatings) -> torch.Tensor:
        """Return the target vector [X] of a new user with this source vector and these ratings."""

    def train_epoch(self) -> dict[str, float]:
        """Visit every rating of each domain once, then fit the mapping; return squared errors."""
        self._priors = {}
        losses = {f"loss_rating_{domain}": self._factorise(domain) for domain in self.domains}
        return {**losses, "loss_mapping": self.fit_mapping()}

    def _factorise(self, domain: Domain) -> float:
        ratings, adam, total = self.triples[domain], self._factors_adam[domain], torch.zeros(())
        every = torch.arange(len(ratings.user), device=ratings.user.device)
        steps = self._shuffled(every, self._config.batch_size)
        adam.begin(len(steps))
        for position_B in steps:
            batch = ratings.take(position_B)
            [rows] = adam.read({"user_UX": batch.user, "item_IX": batch.item})
            user_BX, item_BX = rows["user_UX"], rows["item_IX"]
            errors_B = (scores(user_BX, item_BX) - batch.value).square()
            norm_B = user_BX.square().sum(1) + item_BX.square().sum(1)
            (errors_B + self._config.reg * norm_B).mean().backward()
            adam.step()
            total = total + errors_B.detach().sum()
        return float(total)

    def fit_by_steps(self, errors: Callable[[torch.Tensor], torch.Tensor]) -> float:
        """Do a step of Adam for each batch of users; return the sum of squared errors.

        ``errors(user_B)`` returns squared errors, whose mean is minimised.
        """
        total = torch.zeros(())
        for user_B in self._shuffled(self.fitting_users, self._config.mapping_batch_size):
            errors_n = errors(user_B)
            self._mapping_adam.zero_grad()
            errors_n.mean().backward()
            self._mapping_adam.step()
            total = total + errors_n.detach().sum()
        return float(total)

    def _shuffled(self, positions: torch.Tensor, size: int) -> Sequence[torch.Tensor]:
        """Return mini-batches of some positions in a random order."""
        order = shuffled(positions, self._generator)
        return torch.split(order, size) if len(order) else ()

    def vectors(self, users: IntArray, domain: Domain) -> FloatArray:
        """Return the vectors by which users are predicted in a domain, f32[D, X]."""
        known_D = self._known_U[domain][users]
        own_DX: FloatArray = as_array(self.net.user_UX[domain])[users] * known_D[:, None]
        if domain == "source":
            return own_DX
        answered = np.flatnonzero(~known_D & self._known_U["source"][users])
        device = self.net.user_UX[domain].device
        with torch.no_grad():
            for begin in range(0, len(answered), USERS_AT_ONCE):
                part = answered[begin : begin + USERS_AT_ONCE]
                user_B = torch.from_numpy(users[part].astype(np.int64)).to(device)
                own_DX[part] = as_array(self.mapped(user_B))
        return own_DX

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return ``u . v + b_u + b_i`` plus the centre, f32[N]."""
        check_domain(self.domains, domain)
        distinct, row_N = np.unique(users, return_inverse=True)
        user_DX, item_IX = self.vectors(distinct, domain), as_array(self.net.item_IX[domain])
        found = self.center[domain].predict(users, items)
        found += user_DX[row_N, -1] + item_IX[items, -1]
        add_dots(found, user_DX[:, :-1], item_IX[:, :-1], row_N.astype(np.int32), items)
        return found

    def tables(self, domain: Domain = "target") -> Tables:
        """Return the tables of a domain, with biases and centre as biases."""
        check_domain(self.domains, domain)
        everyone = np.arange(len(self._known_U[domain]), dtype=np.int32)
        user_UX, item_IX = self.vectors(everyone, domain), as_array(self.net.item_IX[domain])
        found = self.center[domain].tables().plus_factors(user_UX[:, :-1], item_IX[:, :-1])
        return found.plus_biases(user_UX[:, -1], item_IX[:, -1])

    def load_weights(self, weights: Weights) -> None:
        """Predict from these weights from now on."""
        super().load_weights(weights)
        self._priors = {}

    def fold_in(self, user: NewUser) -> FloatArray:
        """Return predictions of all target items for a new user, f32[I].

        They follow from the person's target ratings, or from the source ratings if there are none,
        as for a trained user.
        """
        item_IX = as_array(self.net.item_IX["target"])
        vector_X = np.zeros(item_IX.shape[1], np.float32)
        if len(user["target"]):
            vector_X = self.solved("target", user)
        elif len(user["source"]):
            source_X = torch.from_numpy(self.solved("source", user))
            with torch.no_grad():
                moved_X = source_X.to(self.net.item_IX["target"].device)
                vector_X = as_array(self.mapped_new(moved_X, user["source"]))
        found_I: FloatArray = item_IX[:, :-1] @ vector_X[:-1] + vector_X[-1] + item_IX[:, -1]
        return found_I + self.center["target"].of_new_user(user)

    def solved(self, domain: Domain, user: NewUser) -> FloatArray:
        """Return the vector f32[X] of a new user that their ratings in a domain make likely."""
        own, prior = user[domain], self._prior(domain)
        item_nX = as_array(self.net.item_IX[domain])[own.items].astype(np.float64)
        rest_n = own.values - self.center[domain].of_new_user(user)[own.items] - item_nX[:, -1]
        item_nX[:, -1] = 1
        return prior.posterior(item_nX, rest_n).astype(np.float32)

    def _prior(self, domain: Domain) -> Prior:
        """Return the prior from the present weights, which is computed once."""
        if domain not in self._priors:
            known = self._ratings[domain]
            errors_N = self.predict(known.users, known.items, domain) - known.values
            noise = float(np.square(errors_N, dtype=np.float64).mean())
            vector_UX = as_array(self.net.user_UX[domain])[self._known_U[domain]]
            self._priors[domain] = Prior.of(vector_UX.astype(np.float64), noise)
        return self._priors[domain]
