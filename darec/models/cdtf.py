"""CDTF (Hu et al., WWW 2013): PARAFAC2 of the two rating matrices, fitted by EM and ridge ALS.

``X_d ~ A diag(c_d) H' P_d'`` with A shared by the domains and orthonormal P_d (Bro & Kiers 1999).
EM fills the missing cells with the predictions of the last model. So ``X_d = S_d + L_d R_d'`` with
a sparse S_d, and no dense matrix is stored. Shapes: U users, I items of a domain, F factors.
"""

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy import sparse

from darec.core.center import CenterKind
from darec.core.config import STRICT
from darec.core.recommender import DivergedError, Run
from darec.data.ratings import Domain
from darec.data.split import Training
from darec.models.factors import Factors
from darec.seeds import generator

Matrix = np.ndarray[Any, Any]
INNER = 5
"""Sweeps of ALS after each EM step."""


@dataclass(frozen=True, config=STRICT)
class CDTFConfig:
    """Hyper-parameters of CDTF."""

    factors: Annotated[int, Field(ge=1, le=1000)] = 10
    """Width F of all factors."""
    reg: Annotated[float, Field(ge=0, le=1e9)] = 5.0
    """Ridge on A, H and c. A ridge on A alone would have no effect, since H and c could grow."""
    source_weight: Annotated[float, Field(ge=0, le=1e6)] = 0.1
    """Weight of the source's squared errors. The target's have 1. The authors tune it, too."""
    center: CenterKind = "hierarchical"
    """What is subtracted from the ratings of each domain first; ours. With ``none`` the factors
    start at the mean of each domain."""


class CDTF(Factors):
    """CDTF. An epoch is an EM step. ``user_UK`` is L and ``item_IK`` is R of the module's text."""

    def __init__(self, config: CDTFConfig, training: Training, run: Run) -> None:
        super().__init__(training, config.factors, config.center, ("target", "source"))
        self._config = config
        self._weight: dict[Domain, float] = {"target": 1.0, "source": config.source_weight}
        self._values = {domain: self.residuals(domain) for domain in self.domains}
        if config.center == "none":
            for domain, values in self._values.items():
                self.user_UK[domain][:, 0], self.item_IK[domain][:, 0] = values.mean(), 1
        rng = generator(run.seed, "cdtf")
        self._a_UF: Matrix = rng.normal(size=(training.target.n_users, config.factors))
        self._h_FF: Matrix = np.eye(config.factors) + 0.1 * rng.normal(size=(config.factors,) * 2)
        self._c_F: dict[Domain, Matrix] = {d: np.ones(config.factors) for d in self.domains}

    def train_epoch(self) -> dict[str, float]:
        """Fill the missing cells, fit P, then A, H and c; return the sums of squared errors."""
        filled = {domain: self._filled(domain) for domain in self.domains}
        p_IF, y_UF = {}, {}
        for domain, (rest, left_UF, right_IF) in filled.items():
            model_UF = self._a_UF * self._c_F[domain] @ self._h_FF.T
            q_IF = rest.T @ model_UF + right_IF @ (left_UF.T @ model_UF)
            p_IF[domain] = polar(q_IF)
            y_UF[domain] = rest @ p_IF[domain] + left_UF @ (right_IF.T @ p_IF[domain])
        try:
            for _ in range(INNER):
                self._sweep(y_UF)
        except np.linalg.LinAlgError as error:
            raise DivergedError(f"ALS: {error}") from error
        for domain in self.domains:
            model_UF = self._a_UF * self._c_F[domain] @ self._h_FF.T
            self.user_UK[domain] = model_UF.astype(np.float32)
            self.item_IK[domain] = p_IF[domain].astype(np.float32)
        return self.losses()

    def _filled(self, domain: Domain) -> tuple[sparse.csr_matrix, Matrix, Matrix]:
        """Return S, L and R of ``X = S + L R'``: the ratings where observed, else the model."""
        ratings, left, right = self.ratings[domain], self.user_UK[domain], self.item_IK[domain]
        users, items = ratings.users, ratings.items
        predicted = self.predict(users, items, domain) - self.center[domain].predict(users, items)
        rest = (self._values[domain] - predicted).astype(np.float64)
        shape = ratings.n_users, ratings.n_items
        matrix = sparse.csr_matrix((rest, (users, items)), shape)
        return matrix, left.astype(np.float64), right.astype(np.float64)

    def _sweep(self, y_UF: dict[Domain, Matrix]) -> None:
        """Fit A, then H, then each c to ``sum_d w_d |Y_d - A diag(c_d) H'|^2`` plus the ridge."""
        ridge_FF = self._config.reg * np.eye(self._config.factors)
        right = {d: self._h_FF * self._c_F[d] for d in self.domains}
        gram_FF = self._sum({d: right[d].T @ right[d] for d in self.domains}) + ridge_FF
        cross_UF = self._sum({d: y_UF[d] @ right[d] for d in self.domains})
        self._a_UF = np.linalg.solve(gram_FF, cross_UF.T).T
        left = {d: self._a_UF * self._c_F[d] for d in self.domains}
        gram_FF = self._sum({d: left[d].T @ left[d] for d in self.domains}) + ridge_FF
        cross_FF = self._sum({d: left[d].T @ y_UF[d] for d in self.domains})
        self._h_FF = np.linalg.solve(gram_FF, cross_FF).T
        both_FF = (self._a_UF.T @ self._a_UF) * (self._h_FF.T @ self._h_FF)
        for domain, weight in self._weight.items():
            projected_F = np.einsum("uf,ug,gf->f", self._a_UF, y_UF[domain], self._h_FF)
            self._c_F[domain] = np.linalg.solve(weight * both_FF + ridge_FF, weight * projected_F)

    def _sum(self, terms: dict[Domain, Matrix]) -> Matrix:
        """Return the weighted sum over the domains."""
        return sum((self._weight[d] * term for d, term in terms.items()), np.zeros(()))

    def state_dict(self) -> dict[str, Any]:
        """Return the tables, and A, H and c."""
        factors = {"a": self._a_UF, "h": self._h_FF, **{f"c.{d}": c for d, c in self._c_F.items()}}
        tensors = {name: torch.from_numpy(factor) for name, factor in factors.items()}
        return {**super().state_dict(), "factors": tensors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved tables and factors."""
        super().load_state_dict(state)
        factors = {name: tensor.numpy() for name, tensor in state["factors"].items()}
        self._a_UF, self._h_FF = factors["a"], factors["h"]
        self._c_F = {domain: factors[f"c.{domain}"] for domain in self.domains}


def polar(q_IF: Matrix) -> Matrix:
    """Return ``Q (Q'Q)^(-1/2)``, the nearest matrix to Q with orthonormal columns.

    A strong ridge makes Q vanish. Then so does the result, and the model predicts its centre.
    """
    values_F, vectors_FF = np.linalg.eigh(q_IF.T @ q_IF)
    floor = max(values_F[-1] * 1e-12, 1e-200)
    root_FF = vectors_FF / np.sqrt(np.maximum(values_F, floor)) @ vectors_FF.T
    result: Matrix = q_IF @ root_FF
    return result


def build_cdtf(config: CDTFConfig, training: Training, run: Run) -> CDTF:
    """Build CDTF on the training ratings of both domains. It runs on the CPU."""
    return CDTF(config, training, run)


def n_weights_cdtf(config: CDTFConfig, training: Training) -> int:
    """Return the number of entries of both domains' tables and of A, H and both c."""
    n_users, n_items = training.target.n_users, training.source.n_items + training.target.n_items
    return (3 * n_users + n_items + config.factors + 2) * config.factors
