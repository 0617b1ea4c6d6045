"""PMF, CMF, CDTF, FM-CDCF, CoNet and the shared bias against libraries and plain formulas."""

import sys
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch import nn

from darec.core.recommender import Run
from darec.data.ratings import Ratings
from darec.data.split import Training, split
from darec.errors import UserError
from darec.models import MODELS
from darec.models.cdtf import CDTF, CDTFConfig, polar
from darec.models.cmf import CMF, CMFConfig
from darec.models.conet import CoNet, CoNetConfig
from darec.models.fm.features import source_ratings
from darec.models.fm_cdcf import FMCDCFConfig, build_fm_cdcf
from darec.models.pmf import PMF, PMFConfig
from tests.models.common import build, fitted


@pytest.fixture(scope="module")
def data(tiny_pair):
    return split(tiny_pair).search


def test_pmf_predicts_what_surprise_does(data):
    import surprise

    target, valid = data.training.target, data.valid
    model = PMF(PMFConfig(factors=3, epochs=20), data.training, Run())
    model.train_epoch()
    frame = pd.DataFrame({"u": target.users, "i": target.items, "r": target.values})
    frame = frame.sort_values(["u", "i"])
    reader = surprise.Reader(rating_scale=(1, 5))
    full = surprise.Dataset.load_from_df(frame, reader).build_full_trainset()
    svd = surprise.SVD(3, 20, biased=False, lr_all=5e-3, reg_all=0.05, random_state=model._seed)
    svd.fit(full)
    own = [svd.predict(u, i, clip=False).est for u, i in zip(valid.users, valid.items, strict=True)]
    np.testing.assert_allclose(model.predict(valid.users, valid.items), own, rtol=1e-5)


def objective(model, ratings, reg):
    """Return the mean over ratings of ``(r - u . v)^2 + reg (|u|^2 + |v|^2)``."""
    weights = {name: w.double().numpy() for name, w in model.weights().items()}
    user, item = (weights.get(f"target.{s}", weights.get(t)) for s, t in TABLES)
    u, v = user[ratings.users], item[ratings.items]
    squared = np.square(ratings.values - (u * v).sum(1))
    return np.mean(squared + reg * (np.square(u).sum(1) + np.square(v).sum(1)))


TABLES = (("user", "user_UK"), ("item", "item_IK.target"))


def test_cmf_without_the_source_reaches_pmfs_minimum(data):
    target, reg = data.training.target, 0.1
    pmf = PMF(PMFConfig(factors=2, reg=reg, epochs=400, learning_rate=5e-3), data.training, Run())
    pmf.train_epoch()
    plain = {"source_share": 0.0, "bias": False, "center": "none", "reg": reg, "factors": 2}
    cmf = CMF(CMFConfig(**plain, batch_size=200, learning_rate=1e-2), data.training, Run())
    for _ in range(400):
        cmf.train_epoch()
    ours, theirs = objective(cmf, target, reg), objective(pmf, target, reg)
    assert ours == pytest.approx(theirs, rel=0.02)
    rewritten = replace(data.training.source, values=np.float32(6 - data.training.source.values))
    other = CMF(CMFConfig(**plain), Training(rewritten, target), Run())
    same = CMF(CMFConfig(**plain), data.training, Run())
    for model in (other, same):
        model.train_epoch()
    pairs = data.valid.users, data.valid.items
    np.testing.assert_array_equal(other.predict(*pairs), same.predict(*pairs))


def dense_cdtf(model, training, config, epochs):
    """Return the target's model matrix after EM-ALS on whole dense matrices."""
    a, h = model._a_UF.copy(), model._h_FF.copy()
    domains = {"target": training.target, "source": training.source}
    weight = {"target": 1.0, "source": config.source_weight}
    x, observed, c = {}, {}, {}
    for name, r in domains.items():
        observed[name] = np.zeros((r.n_users, r.n_items), bool)
        observed[name][r.users, r.items] = True
        x[name] = np.full(observed[name].shape, float(r.values.mean()))
        x[name][r.users, r.items] = r.values
        c[name] = np.ones(config.factors)
    known = {name: matrix.copy() for name, matrix in x.items()}
    eye = config.reg * np.eye(config.factors)
    for _ in range(epochs):
        p, y = {}, {}
        for d in domains:
            left, _, right = np.linalg.svd(
                x[d].T @ (a * c[d] @ h.T), full_matrices=False
            )  # polar: U V'
            p[d] = left @ right
            y[d] = x[d] @ p[d]
        for _ in range(5):
            g = sum(weight[d] * (h * c[d]).T @ (h * c[d]) for d in domains) + eye
            a = sum(weight[d] * y[d] @ (h * c[d]) for d in domains) @ np.linalg.inv(g)
            g = sum(weight[d] * (a * c[d]).T @ (a * c[d]) for d in domains) + eye
            h = (np.linalg.inv(g) @ sum(weight[d] * (a * c[d]).T @ y[d] for d in domains)).T
            for d in domains:
                design = np.stack([np.outer(a[:, f], h[:, f]).ravel() for f in range(len(c[d]))], 1)
                normal = weight[d] * design.T @ design + eye
                c[d] = np.linalg.solve(normal, weight[d] * design.T @ y[d].ravel())
        for d in domains:
            x[d] = np.where(observed[d], known[d], a * c[d] @ h.T @ p[d].T)
    return a * c["target"] @ h.T @ p["target"].T


@pytest.mark.parametrize("size", [0.0, 1e-160, 1e-90, 1.0])
def test_the_polar_factor_of_what_vanishes_is_finite(size):
    with np.errstate(all="raise", under="ignore"):
        result = polar(size * np.array([[3.0, 0.0], [4.0, 0.0], [0.0, 2.0]]))
    want = np.array([[0.6, 0.0], [0.8, 0.0], [0.0, 1.0]]) if size >= 1e-90 else np.zeros((3, 2))
    np.testing.assert_allclose(result, want, atol=1e-9)


def test_cdtf_equals_em_als_on_dense_matrices(data):
    config = CDTFConfig(factors=3, reg=2.0, source_weight=0.3, center="none")
    model = CDTF(config, data.training, Run())
    want = dense_cdtf(model, data.training, config, epochs=3)
    for _ in range(3):
        model.train_epoch()
    users, items = (index.ravel().astype(np.int32) for index in np.indices(want.shape))
    np.testing.assert_allclose(model.predict(users, items), want.ravel(), atol=2e-3)


def test_cdtf_under_a_strong_ridge_is_its_centre(data):
    config = CDTFConfig(factors=3, reg=1e5, source_weight=0.3, center="hierarchical")
    model = CDTF(config, data.training, Run())
    target = data.training.target
    with np.errstate(all="raise", under="ignore"):
        for _ in range(60):
            model.train_epoch()
    predicted = model.predict(target.users, target.items)
    want = model.center["target"].predict(target.users, target.items)
    np.testing.assert_allclose(predicted, want, atol=1e-6)


def test_fm_cdcf_predicts_the_mean_of_its_samples(data, monkeypatch):
    import myfm

    config = FMCDCFConfig(rank=3, iterations=20)
    seen = []

    class Spy(myfm.MyFMRegressor):
        def fit(self, *args, **kwargs):
            seen.append((self, args[2]))
            return super().fit(*args, **{**kwargs, "n_kept_samples": 15})

    monkeypatch.setattr(myfm, "MyFMRegressor", Spy)
    model = build_fm_cdcf(config, data.training, Run())
    model.train_epoch()
    library, blocks = seen[0]
    target = model.ratings["target"]
    want = library.predict(sparse.csr_matrix((len(target), 0)), blocks)
    got = model.predict(target.users, target.items)
    np.testing.assert_allclose(got, want, rtol=1e-4)  # all 15 kept samples, none left out


def test_fm_cdcf_without_source_ratings_is_a_plain_fm(data):
    import myfm

    target, valid, none = data.training.target, data.valid, np.empty(0, np.int32)
    empty = Ratings(none, none, none.astype(np.float32), target.n_users, 1)
    ours = build_fm_cdcf(FMCDCFConfig(rank=3, iterations=200), Training(empty, target), Run())
    ours.train_epoch()

    def one_hot(ratings):
        sizes = (ratings.n_users, ratings.n_items)
        columns = (ratings.users, ratings.items)
        return sparse.hstack(
            [sparse.identity(n, format="csr")[c] for n, c in zip(sizes, columns, strict=True)],
            format="csr",
        )

    def plain(seed):
        shapes, model = [target.n_users, target.n_items], myfm.MyFMRegressor(3, random_seed=seed)
        x = one_hot(target)
        model.fit(x, target.values, n_iter=200, n_kept_samples=150, group_shapes=shapes)
        return model.predict(one_hot(valid))

    def gap(a, b):
        return np.sqrt(np.mean(np.square(a - b)))

    chains = [plain(seed) for seed in range(3)]
    apart = max(gap(a, b) for a, b in combinations(chains, 2))
    predicted = ours.predict(valid.users, valid.items)
    assert max(gap(predicted, chain) for chain in chains) < 1.2 * apart


def test_source_ratings_are_normalised_ratings_of_the_most_rated_items():
    users, items = np.array([0, 0, 0, 1, 2], np.int32), np.array([0, 1, 2, 1, 1], np.int32)
    source = Ratings(users, items, np.float32([5, 3, 1, 2, 4]), 4, 3)
    dense = {n: source_ratings(source, n, 0).toarray() for n in ("n", "sqrt_n", "none", "centred")}
    np.testing.assert_allclose(dense["n"][0], [1 / 3, 0.6 / 3, 0.2 / 3])
    np.testing.assert_allclose(dense["sqrt_n"][0], np.array([1, 0.6, 0.2]) / np.sqrt(3))
    np.testing.assert_allclose(dense["none"][1], [0, 0.4, 0])
    np.testing.assert_allclose(dense["centred"][0], np.array([1.5, 1.0, 0.5]) / 3)
    assert not dense["n"][3].any()
    one = source_ratings(source, "none", 1).toarray()
    np.testing.assert_allclose(one[0], [0, 0.6, 0]), "item 1 is rated most"


def test_conet_without_cross_connections_is_two_separate_towers(data):
    model = CoNet(CoNetConfig(embedding=8, center="mean"), data.training, Run())
    net, valid = model._net, data.valid
    for matrix in net.cross:
        nn.init.zeros_(matrix)
    layers = [part for tower in net.layers for part in (tower["target"], nn.ReLU())]
    tower = nn.Sequential(*layers, net.output["target"])
    users, items = torch.from_numpy(valid.users).long(), torch.from_numpy(valid.items).long()
    with torch.no_grad():
        alone = tower(torch.cat([net.user_UE[users], net.item_IE["target"][items]], 1))[:, 0]
    mean = data.training.target.values.mean()
    np.testing.assert_allclose(
        model.predict(valid.users, valid.items), alone.numpy() + mean, rtol=1e-5
    )


def test_conet_reads_a_partner_of_the_same_user(data):
    model = CoNet(CoNetConfig(embedding=8), data.training, Run())
    partners, source = model._partners["source"], data.training.source
    rated = {(int(u), int(i)) for u, i in zip(source.users, source.items, strict=True)}
    users = torch.arange(source.n_users)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        items, _, has = partners.draw(users, generator)
        assert all(
            (int(u), int(i)) in rated for u, i, one in zip(users, items, has, strict=True) if one
        )
    means = partners.mean(model._net.item_IE["source"]).detach()
    u = int(source.users[0])
    own = model._net.item_IE["source"][source.items[source.users == u]].mean(0)
    torch.testing.assert_close(means[u], own.detach())


def test_a_shared_bias_without_the_source_is_the_bias_baseline(data):
    pairs = data.valid.users, data.valid.items
    alone = fitted("shared_bias", data, source_weight=0.0).model.predict(*pairs)
    np.testing.assert_allclose(alone, fitted("bias", data).model.predict(*pairs), rtol=1e-5)
    shared = fitted("shared_bias", data, source_weight=1.0).model.predict(*pairs)
    assert not np.allclose(shared, alone)


def test_the_mean_is_the_training_mean(data):
    predicted = fitted("mean", data).model.predict(data.valid.users, data.valid.items)
    np.testing.assert_allclose(predicted, data.training.target.values.mean(), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "module"), [("pmf", "surprise"), ("fm_cdcf", "myfm"), ("fm", "myfm")]
)
def test_a_missing_library_is_one_line(name, module, data, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    model = build(name, data.training)
    with pytest.raises(UserError, match=r'needs .*pip install -e "\.\[baselines\]"') as raised:
        model.train_epoch()
    assert "\n" not in str(raised.value)


def test_a_batch_may_have_no_rating_in_one_domain(data):
    """With heads=both a batch of one user who rates nothing in the target has no target column."""
    target = data.training.target
    training = Training(data.training.source, target.take(target.users != 7))
    model = build("u_darec", training, batch_size=1)
    assert np.isfinite(list(model.train_epoch().values())).all()


@pytest.mark.parametrize("name", MODELS)
def test_users_and_items_without_ratings_are_predicted(name, data):
    def with_strangers(r):
        return Ratings(r.users, r.items, r.values, r.n_users + 2, r.n_items + 3)

    training = Training(*map(with_strangers, (data.training.source, data.training.target)))
    model = build(name, training)
    model.train_epoch()
    target = training.target
    users = np.array([0, target.n_users - 1, target.n_users - 1], np.int32)
    items = np.array([target.n_items - 1, 0, target.n_items - 1], np.int32)
    assert np.isfinite(model.predict(users, items)).all()
