"""Answers requests with a model, many at once where it pays."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from darec.serving import messages as m
from darec.serving.model import LoadedModel

Q = TypeVar("Q")
A = TypeVar("A")


class Answers:
    """A loaded model, and the SHA-256 of its model.json, which every answer names."""

    def __init__(self, model: LoadedModel, digest: str) -> None:
        self._model = model
        self.digest = digest

    def model(self) -> m.ModelAnswer:
        """Return the model's card."""
        return m.ModelAnswer(model=self.digest, card=self._model.card)

    def predict(self, asked: Sequence[m.PredictRequest]) -> list[m.PredictAnswer | Exception]:
        """Answer requests by one call of the model for those with the same options."""
        return _grouped(asked, lambda one: (one.unknown, one.std), self._predict)

    def recommend(self, asked: Sequence[m.RecommendRequest]) -> list[m.RecommendAnswer | Exception]:
        """Answer requests by one call of the model for those with the same options."""
        return _grouped(
            asked,
            lambda one: (one.n, one.exclude_seen, one.unknown, one.lower_bound),
            self._recommend,
        )

    def fold_in(self, asked: m.FoldInRequest) -> m.FoldInAnswer:
        """Answer one request; raises `UserError` where the model refuses it."""
        user = self._model.fold_in(_rated(asked.source), _rated(asked.target))
        rows = self._model.recommend([user], asked.n, lower_bound=asked.lower_bound)
        predicted, std = self._model.predict(user, asked.items, return_std=True)
        return m.FoldInAnswer(
            model=self.digest,
            predictions=predicted.tolist(),
            std=std.tolist() if asked.std else None,
            recommendations=[
                m.Ranked(item=item, score=score)
                for item, score in zip(rows["item"], map(float, rows["score"]), strict=True)
            ],
        )

    def _predict(self, asked: Sequence[m.PredictRequest]) -> list[m.PredictAnswer]:
        pairs = [pair for one in asked for pair in one.pairs]
        ids = [pair.user for pair in pairs], [pair.item for pair in pairs]
        options: Any = {"unknown": asked[0].unknown, "return_std": asked[0].std}
        found = self._model.predict(*ids, **options)
        ends = np.cumsum([len(one.pairs) for one in asked])[:-1]
        figures = [np.split(each, ends) for each in (found if asked[0].std else (found,))]
        return [
            m.PredictAnswer(
                model=self.digest,
                predictions=part.tolist(),
                std=std[0].tolist() if std else None,
            )
            for part, *std in zip(*figures, strict=True)
        ]

    def _recommend(self, asked: Sequence[m.RecommendRequest]) -> list[m.RecommendAnswer]:
        users = [user for one in asked for user in one.users]
        positions = self._model.user_ids.positions(users, asked[0].unknown)
        first = asked[0]
        items, scores = self._model.top(positions, first.n, first.exclude_seen, first.lower_bound)
        names = self._model.item_ids.ids
        lists = (
            m.Recommendations(
                user=user,
                items=[
                    m.Ranked(item=names[item], score=score)
                    for item, score in zip(best.tolist(), high.tolist(), strict=True)
                    if item >= 0
                ],
            )
            for user, best, high in zip(users, items, scores, strict=True)
        )
        return [
            m.RecommendAnswer(model=self.digest, recommendations=[next(lists) for _ in one.users])
            for one in asked
        ]


def _rated(ratings: Iterable[m.Rating]) -> list[tuple[str, float]]:
    return [(one.item, one.rating) for one in ratings]


def _grouped(
    asked: Sequence[Q], key: Callable[[Q], object], answer: Callable[[Sequence[Q]], Sequence[A]]
) -> list[A | Exception]:
    """Return an answer for each request, from one call for those with the same key."""
    groups: dict[object, list[int]] = {}
    for place, one in enumerate(asked):
        groups.setdefault(key(one), []).append(place)
    answers: dict[int, A | Exception] = {}
    for places in groups.values():
        found: list[A | Exception] = _each(answer, [asked[place] for place in places])
        answers.update(zip(places, found, strict=True))
    return [answers[place] for place in range(len(asked))]


def _each(answer: Callable[[Sequence[Q]], Sequence[A]], asked: Sequence[Q]) -> list[A | Exception]:
    """Answer requests together; if one of them cannot be answered, each by itself.

    The exception of such a request takes the place of its answer, so that it disturbs no other.
    """
    try:
        return [*answer(asked)]
    except Exception as error:
        if len(asked) == 1:
            return [error]
        return [result for one in asked for result in _each(answer, [one])]
