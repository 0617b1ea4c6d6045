"""Why a user gets a prediction."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Neighbour:
    """An item that the user has rated, and how like the predicted item it is."""

    item: str
    rating: float
    similarity: float
    """The cosine of the centred factors of both items, -1 to 1."""


@dataclass(frozen=True)
class Explanation:
    """The parts of a prediction: ``score = mean + user_bias + item_bias + model_share``."""

    user: str
    item: str
    prediction: float
    """The score, clipped to the scale."""
    score: float
    mean: float
    """Of the target's training ratings."""
    user_bias: float
    item_bias: float
    model_share: float
    """What the model adds to the regularised biases. Of cold users and items it is what the cold
    policy adds: 0, but for cold items under ``floor``."""
    cold_user: bool
    """Whether the user's prediction comes from the cold policy."""
    cold_item: bool
    nearest: list[Neighbour]
    """Items that the user has rated, most like the item first; empty without factors of items."""

    def __str__(self) -> str:
        cold = self.cold_user or self.cold_item
        parts = (
            f"{self.item} for {self.user}: {self.prediction:.2f} stars = mean {self.mean:.2f} "
            f"{self.user_bias:+.2f} (user) {self.item_bias:+.2f} (item) "
            f"{self.model_share:+.2f} ({'cold policy' if cold else 'model'})"
        )
        rated = [
            f"{each.item} ({each.rating:g} stars, {each.similarity:.2f})" for each in self.nearest
        ]
        return f"{parts}; most like: {', '.join(rated)}" if rated else parts
