"""Scores of pairs are computed in chunks and returned in the order asked for."""

import numpy as np
import pytest
import torch

from darec.core import scoring
from darec.core.backend import TORCH
from darec.core.numba_backend import NumbaBackend


@pytest.mark.parametrize("backend", [NumbaBackend(), TORCH], ids=["numba", "torch"])
def test_score_pairs_scores_only_the_pairs_asked_for_in_their_order(backend, monkeypatch):
    monkeypatch.setattr(scoring, "PAIRS_AT_ONCE", 3)
    generator = torch.Generator().manual_seed(0)
    hidden_BK, weight_MK, bias_M = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((4, 3), (5, 3), 5)
    )
    rows = np.array([2, 0, 2, 1, 0, 3, 2], np.int32)
    columns = np.array([4, 0, 1, 1, 0, 3, 4], np.int32)
    asked = []

    def hidden_of(distinct):
        asked.append(distinct)
        return hidden_BK[distinct]

    scores = scoring.score_pairs(rows, columns, hidden_of, weight_MK, bias_M, backend)
    dense_BM = (hidden_BK @ weight_MK.T + bias_M).numpy()
    np.testing.assert_allclose(scores, dense_BM[rows, columns], rtol=1e-6)
    assert max(map(len, asked)) <= 3
