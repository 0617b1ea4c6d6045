import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darec.core.batches import paired
from darec.core.rating_rows import RatingRows
from darec.data.ratings import Ratings


@st.composite
def ratings(draw: st.DrawFn) -> Ratings:
    n_users, n_items = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    cells = draw(st.sets(st.integers(0, n_users * n_items - 1), min_size=1))
    cell = np.array(sorted(cells))
    stars = draw(st.lists(st.integers(1, 5), min_size=len(cell), max_size=len(cell)))
    users, items = (cell // n_items).astype(np.int32), (cell % n_items).astype(np.int32)
    return Ratings(users, items, np.array(stars, np.float32), n_users, n_items)


@settings(deadline=None)  # the first example compiles the loops
@given(ratings(), st.sampled_from(["user", "item"]), st.integers(1, 5), st.randoms())
def test_batches_rebuild_the_rating_matrix(ratings, axis, batch_size, random):
    rows = RatingRows(ratings, axis, "cpu", ratings.values - 3)
    order = torch.tensor(random.sample(range(rows.n_rows), rows.n_rows))
    matrix = np.zeros((rows.n_rows, rows.n_columns), np.float32)
    sizes = []
    epoch = rows.epoch(order, batch_size)
    for batch in epoch.batches:
        sizes.append(len(batch.rows))
        for row, begin, end in zip(batch.rows, batch.starts, batch.starts[1:], strict=False):
            assert (batch.rows[batch.row_of[begin:end]] == row).all()
            columns = batch.columns[begin:end].numpy()
            matrix[int(row), columns] += batch.values[begin:end].numpy() + 3.0
    dense = np.zeros((ratings.n_users, ratings.n_items), np.float32)
    dense[ratings.users, ratings.items] = ratings.values
    np.testing.assert_array_equal(matrix, dense if axis == "user" else dense.T)
    assert sum(sizes) == rows.n_rows and max(sizes) <= batch_size
    np.testing.assert_array_equal(rows.is_rated.numpy(), matrix.any(1))


@settings(deadline=None)  # the first example compiles the loops
@given(ratings(), st.sampled_from(["user", "item"]), st.integers(1, 5), st.randoms())
def test_the_batches_of_an_epoch_list_their_ratings_by_column_and_each_columns_next_batch(
    ratings, axis, batch_size, random
):
    rows = RatingRows(ratings, axis, "cpu")
    order = torch.tensor(random.sample(range(rows.n_rows), rows.n_rows))
    epoch = rows.epoch(order, batch_size)
    touching = [set(batch.columns.tolist()) for batch in epoch.batches]

    def first_from(begin, column):
        later = (s for s in range(begin, len(touching)) if column in touching[s])
        return next(later, len(touching))

    for column in range(rows.n_columns):
        assert epoch.first[column] == first_from(0, column)
    for s, batch in enumerate(epoch.batches):
        touched = batch.touched
        assert set(touched.columns.tolist()) == touching[s]
        assert sorted(touched.ratings.tolist()) == list(range(len(batch.columns)))
        assert touched.starts[0] == 0 and touched.starts[-1] == len(batch.columns)
        for t, column in enumerate(touched.columns.tolist()):
            own = touched.ratings[touched.starts[t] : touched.starts[t + 1]]
            assert len(own) and (batch.columns[own] == column).all()
            assert touched.next_batch[t] == first_from(s + 1, column)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 5))
def test_paired_repeats_the_shorter_domain_to_the_longer_ones_length(n_source, n_target, seed):
    generator = torch.Generator().manual_seed(seed)
    source, target = paired(torch.arange(n_source), torch.arange(n_target), generator)
    assert len(source) == len(target) == max(n_source, n_target)
    for order, size in ((source, n_source), (target, n_target)):
        counts = torch.bincount(order, minlength=size)
        assert counts.max() - counts.min() <= 1
