"""A loaded model whose answers are easy to compute by hand."""

import numpy as np
import pandas as pd


class Known:
    """Ids as `darec.serving.ids.Ids` has them."""

    def __init__(self, letter, n):
        self.ids = np.array([f"{letter}{k}" for k in range(n)], object)
        self._at = {name: position for position, name in enumerate(self.ids)}

    def __len__(self):
        return len(self.ids)

    def positions(self, ids, unknown="cold"):
        assert unknown == "cold"
        return np.array([self._at.get(name, -1) for name in ids], np.int64)


class Model:
    """Predicts 1 + (user + item) % 5 / 2, and 3 for what it does not know.

    A tenth of the prediction is its standard deviation.
    """

    SCORES_AT_ONCE = 2**22

    def __init__(self, n_users=7, n_items=5):
        self.user_ids, self.item_ids = Known("u", n_users), Known("i", n_items)
        self.asked = []
        self.users_at_once = self.SCORES_AT_ONCE // n_items

    def predict(self, users, items, *, return_std=False):
        self.asked.append(len(users))
        user, item = self.user_ids.positions(users, "cold"), self.item_ids.positions(items, "cold")
        known = 1 + (user + item) % 5 / 2
        stars = np.where((user < 0) | (item < 0), 3.0, known).astype(np.float32)
        return (stars, stars / 10) if return_std else stars

    def recommend(self, users, n, *, exclude_seen, unknown, lower_bound=0.0):
        self.asked.append(len(users))
        rows = [
            (user, item, 5.0 - rank + exclude_seen - lower_bound, rank)
            for user in users
            for rank, item in enumerate(self.item_ids.ids[:n], 1)
        ]
        return pd.DataFrame(rows, columns=["user", "item", "score", "rank"])
