"""Searches whose trials run one after another in this process, each of them to its end."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna

from darec.core.config import parse
from darec.core.fit import trained
from darec.core.recommender import Cache, DivergedError, MemoryCache, Run
from darec.data.split import SearchData
from darec.models import kind_of
from darec.tuning.study.algorithms import SAMPLERS
from darec.tuning.study.request import SearchSpace
from darec.tuning.trial.names import key_of, nest


@dataclass(frozen=True)
class Trial:
    """A trained configuration."""

    drawn: Mapping[str, Any]
    """Its values of the hyper-parameters that are drawn."""
    rmse: float
    """Its lowest validation RMSE."""
    seconds: float
    """The CPU seconds of its training."""

    @property
    def key(self) -> str:
        """Identifies the configuration."""
        return key_of(self.drawn)


@dataclass(frozen=True)
class Sequential:
    """What the searches for one model on one split have in common."""

    model: str
    space: SearchSpace
    data: SearchData
    epochs: int
    known: dict[str, Trial] = field(default_factory=dict)
    """All trained configurations. None is trained twice."""
    cache: Cache = field(default_factory=MemoryCache)
    """What trials share, the centre of the ratings for example."""

    def search(
        self, sampler: str, seed: int, starts: Sequence[Mapping[str, Any]], trials: int
    ) -> list[Trial]:
        """Return a search's trials. The first ones are ``starts``; the sampler draws the others."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=SAMPLERS[sampler](seed))
        for start in starts:
            study.enqueue_trial(dict(start))
        found = []
        for _ in range(trials):
            asked = study.ask(dict(self.space.space))
            found.append(self.train(asked.params))
            study.tell(asked, found[-1].rmse)
        return found

    def train(self, drawn: Mapping[str, Any]) -> Trial:
        """Train a configuration. One that diverges has the worst possible RMSE."""
        key = key_of(drawn)
        if key not in self.known:
            begin = time.process_time()
            rmse = self._valid_rmse(nest({**self.space.fixed, **drawn}))
            self.known[key] = Trial(drawn, rmse, time.process_time() - begin)
        return self.known[key]

    def _valid_rmse(self, config: dict[str, Any]) -> float:
        kind = kind_of(self.model)
        run = Run(cache=self.cache)
        try:
            built = kind.build(parse(kind.config, config), self.data.training, run)
            epochs = 1 if kind.whole_fit else self.epochs
            return trained(built, self.data, epochs).best_rmse
        except DivergedError:
            return self.data.valid.scale.range
