"""Answers requests with a model, many at once where it pays."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

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
        """Answer requests by one call of the model for each way to treat unknown ids."""
        return _grouped(asked, lambda one: one.unknown, self._predict)

    def recommend(self, asked: Sequence[m.RecommendRequest]) -> list[m.RecommendAnswer | Exception]:
        """Answer requests by one call of the model for those with the same options."""
        return _grouped(asked, lambda one: (one.n, one.exclude_seen, one.unknown), self._recommend)

    def fold_in(self, asked: m.FoldInRequest) -> m.FoldInAnswer:
        """Answer one request; raises `UserError` where the model refuses it."""
        user = self._model.fold_in(_rated(asked.source), _rated(asked.target))
        rows = self._model.recommend([user], asked.n)
        predicted = (
            self._model.predict([user] * len(asked.items), asked.items) if asked.items else ()
        )
        return m.FoldInAnswer(
            model=self.digest,
            predictions=[float(rating) for rating in predicted],
            recommendations=[
                m.Ranked(item=item, score=score)
                for item, score in zip(rows["item"], map(float, rows["score"]), strict=True)
            ],
        )

    def _predict(self, asked: Sequence[m.PredictRequest]) -> list[m.PredictAnswer]:
        pairs = [pair for one in asked for pair in one.pairs]
        predicted = self._model.predict(
            [pair.user for pair in pairs], [pair.item for pair in pairs], unknown=asked[0].unknown
        )
        parts = np.split(predicted, np.cumsum([len(one.pairs) for one in asked])[:-1])
        return [m.PredictAnswer(model=self.digest, predictions=part.tolist()) for part in parts]

    def _recommend(self, asked: Sequence[m.RecommendRequest]) -> list[m.RecommendAnswer]:
        users = [user for one in asked for user in one.users]
        positions = self._model.user_ids.positions(users, asked[0].unknown)
        items, scores = self._model.top(positions, asked[0].n, asked[0].exclude_seen)
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
