import numpy as np

from darec.data.ratings import Ratings
from darec.data.twins import copied_share


def test_ratings_repeated_for_an_edition_are_counted():
    """Items 0 and 1 have the same three raters, who agree on two; item 2 has other raters."""
    cells = [(0, 0, 5), (1, 0, 4), (2, 0, 3), (0, 1, 5), (1, 1, 4), (2, 1, 1), (0, 2, 5), (3, 2, 5)]
    users, items, stars = map(np.array, zip(*cells, strict=True))
    ratings = Ratings(users.astype(np.int32), items.astype(np.int32), np.float32(stars), 4, 4)
    assert copied_share(ratings) == 4 / 8
    assert copied_share(ratings.take(items == 2)) == 0.0
