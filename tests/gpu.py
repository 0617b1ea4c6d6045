"""Marks tests that need a GPU."""

import pytest
import torch


def needs_gpu(test):
    """Skip a test where there is no CUDA device; ``pytest -m gpu`` runs all such tests."""
    skips = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    return pytest.mark.gpu(skips(test))
