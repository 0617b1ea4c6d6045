"""Factorisation machines by Gibbs sampling (myfm)."""

from darec.models.fm.model import FMConfig, build_fm, n_weights_fm

__all__ = ["FMConfig", "build_fm", "n_weights_fm"]
