"""What the service is asked and what it answers, as JSON, with the limits of each request."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from darec.serving import ids
from darec.serving.card import Card

MOST_BYTES = 2**20
"""The largest body of a request."""
MOST_IDS = 1000
"""Most pairs, items or ratings of one request."""
MOST_USERS = 100
"""Most users of one request for recommendations."""
MOST_RECOMMENDED = 500
"""Most recommendations for a user."""
MOST_STDS = 100
"""Most standard deviations below the prediction."""
LONGEST_ID = 256
"""Most characters of an id."""

Id = Annotated[str, Field(max_length=LONGEST_ID)]
Count = Annotated[
    int, Field(ge=1, le=MOST_RECOMMENDED, description="How many items to recommend to a user.")
]
Unknown = Annotated[
    ids.Unknown,
    Field(description="Answer for unknown ids by the model's cold policy, or refuse the request."),
]
Std = Annotated[
    bool, Field(description="Answer also the standard deviations of ratings around predictions.")
]
LowerBound = Annotated[
    float,
    Field(
        ge=0,
        le=MOST_STDS,
        allow_inf_nan=False,
        description="A score is the prediction minus this many standard deviations.",
    ),
]
Digest = Annotated[str, Field(description="SHA-256 of the model.json of the model that answered.")]


class _Message(BaseModel):
    """Fields of exactly these names and types: a number is no id."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Pair(_Message):
    """A user and an item of the target domain."""

    user: Id
    item: Id


class PredictRequest(_Message):
    """Which ratings to predict."""

    pairs: list[Pair] = Field(min_length=1, max_length=MOST_IDS)
    unknown: Unknown = "cold"
    std: Std = False


class PredictAnswer(_Message):
    """The predicted ratings in the order of the pairs, and their standard deviations if asked.

    All are in the units of the target's ratings (``lowest`` to ``highest`` of the card).
    """

    model: Digest
    predictions: list[float]
    std: list[float] | None = None


class RecommendRequest(_Message):
    """For whom to recommend items of the target domain."""

    users: list[Id] = Field(min_length=1, max_length=MOST_USERS)
    n: Count = 10
    exclude_seen: bool = Field(default=True, description="Leave out what the user has rated.")
    unknown: Unknown = "cold"
    lower_bound: LowerBound = 0.0


class Ranked(_Message):
    """An item with the score that it is ranked by, which is not clipped to the rating range."""

    item: str
    score: float


class Recommendations(_Message):
    """The best items for a user, best first; fewer than ``n`` where no more are left."""

    user: str
    items: list[Ranked]


class RecommendAnswer(_Message):
    """Recommendations, in the order of the users."""

    model: Digest
    recommendations: list[Recommendations]


class Rating(_Message):
    """A rating of an item, on the scale of its domain."""

    item: Id
    rating: float = Field(allow_inf_nan=False)


class FoldInRequest(_Message):
    """The ratings of a person who was not in the data. They are used for this answer alone."""

    source: list[Rating] = Field(default=[], max_length=MOST_IDS)
    target: list[Rating] = Field(default=[], max_length=MOST_IDS)
    items: list[Id] = Field(
        default=[], max_length=MOST_IDS, description="Items to predict ratings of."
    )
    n: Count = 10
    std: Std = False
    lower_bound: LowerBound = 0.0


class FoldInAnswer(_Message):
    """Predicted ratings in the order of ``items``, and the best items that were not rated."""

    model: Digest
    predictions: list[float]
    std: list[float] | None = None
    recommendations: list[Ranked]


class ModelAnswer(_Message):
    """The model that answers."""

    model: Digest
    card: Card


class Health(_Message):
    """The service answers, with this model."""

    model: Digest


class Refusal(_Message):
    """Why there is no answer."""

    detail: str
