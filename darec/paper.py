"""The numbers that the paper (DARec, IJCAI 2019) prints in Tables 1 and 2 and section 4.1."""

from typing import NamedTuple


class Counts(NamedTuple):
    """One row of Table 1."""

    users: int
    source_items: int
    target_items: int
    source_ratings: int
    target_ratings: int


TABLE_1 = {
    "office_movies": Counts(5154, 10398, 21732, 40294, 158927),
    "sports_cds": Counts(5713, 16420, 34286, 39151, 79019),
    "apps_games": Counts(2034, 9185, 10062, 34217, 21312),
    "toys_auto": Counts(2885, 10597, 7375, 25103, 16448),
}
"""Table 1: the numbers of users, items and ratings of the four pairs."""

TABLE_2: dict[str, dict[str, tuple[float, float]]] = {
    "office_movies": {
        "cmf": (1.0825, 1.0583),
        "cdtf": (1.0577, 1.0389),
        "fm_cdcf": (1.0272, 0.9925),
        "conet": (0.9782, 0.9689),
        "u_darec": (0.9985, 0.9821),
        "i_darec": (0.9665, 0.9582),
    },
    "sports_cds": {
        "cmf": (2.1043, 2.0578),
        "cdtf": (2.0702, 2.0126),
        "fm_cdcf": (2.0580, 1.9942),
        "conet": (1.9835, 1.9587),
        "u_darec": (2.0123, 1.9808),
        "i_darec": (1.9673, 1.9408),
    },
    "apps_games": {
        "cmf": (2.0784, 2.1295),
        "cdtf": (2.0461, 1.9965),
        "fm_cdcf": (1.9963, 1.9722),
        "conet": (1.9744, 1.9562),
        "u_darec": (1.9876, 1.9550),
        "i_darec": (1.9546, 1.9318),
    },
    "toys_auto": {
        "cmf": (2.2636, 2.1855),
        "cdtf": (2.2234, 2.1680),
        "fm_cdcf": (2.1908, 2.1534),
        "conet": (2.1507, 2.1356),
        "u_darec": (2.1734, 2.1405),
        "i_darec": (2.1152, 2.0723),
    },
}
"""Table 2: test RMSE by pair and model, at 80 % and at 90 % training."""

RANGES: dict[str, tuple[float, float]] = {
    "hidden": (100, 1500),
    "alpha": (1e-5, 0.1),
    "extractor": (50, 500),
    "beta": (1e-4, 1.0),
    "mu": (1e-4, 1e4),
    "lambda_": (1e-4, 1e4),
}
"""The ranges that the paper searched, ends included (section 4.1)."""

FIGURE_2_SIZES = (200, 400, 600, 800, 1000, 1200)
"""The embedding sizes of Fig. 2, where the extractor has 100 units."""
