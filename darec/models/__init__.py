"""The models by name: add one file here and one line to `MODELS`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from darec.core.recommender import Recommender, Run
from darec.data.ratings import Axis
from darec.data.split import Training
from darec.models.autorec import AutoRecConfig, build_autorec
from darec.models.bias import BiasConfig, build_bias
from darec.models.cdtf import CDTFConfig, build_cdtf
from darec.models.cf_nade import NADEConfig, build_cf_nade
from darec.models.cmf import CMFConfig, build_cmf
from darec.models.conet import CoNetConfig, build_conet
from darec.models.darec import build_darec
from darec.models.darec_config import DARecConfig
from darec.models.fm_cdcf import FMCDCFConfig, build_fm_cdcf
from darec.models.levels import LEVELS
from darec.models.mean import MeanConfig, build_mean
from darec.models.pmf import PMFConfig, build_pmf
from darec.models.rbm import RBMConfig, build_rbm
from darec.models.shared_bias import SharedBiasConfig, build_shared_bias


@dataclass(frozen=True)
class ModelKind:
    """A model's config class and its only constructor."""

    config: type[Any]
    """The dataclass of its hyper-parameters."""
    build: Callable[[Any, Training, Run], Recommender]
    """From a config, training ratings and how to run to a complete model."""
    axis: Axis | None = None
    """The axis of an autoencoder-like model; None where there is none."""
    stage1: str | None = None
    """The name of the model that is tuned first and frozen (section 4.1), for two-stage models."""
    whole_fit: bool = False
    """One epoch is a whole fit: of a library that reports none, or of nothing to train."""
    cpu_only: bool = False
    """Never given a GPU."""
    per_unit: int = 2
    """Weights per column of the rating matrix and unit of ``hidden``: what memory it takes."""


MODELS: dict[str, ModelKind] = {
    "mean": ModelKind(MeanConfig, build_mean, whole_fit=True, cpu_only=True),
    "bias": ModelKind(BiasConfig, build_bias, cpu_only=True),
    "shared_bias": ModelKind(SharedBiasConfig, build_shared_bias, cpu_only=True),
    "pmf": ModelKind(PMFConfig, build_pmf, whole_fit=True, cpu_only=True),
    "cmf_unbiased": ModelKind(CMFConfig, build_cmf),
    "cmf": ModelKind(CMFConfig, build_cmf),
    "cdtf": ModelKind(CDTFConfig, build_cdtf, cpu_only=True),
    "fm_cdcf": ModelKind(FMCDCFConfig, build_fm_cdcf, whole_fit=True, cpu_only=True),
    "conet": ModelKind(CoNetConfig, build_conet),
    "u_rbm": ModelKind(RBMConfig, build_rbm, "user", per_unit=LEVELS),
    "i_rbm": ModelKind(RBMConfig, build_rbm, "item", per_unit=LEVELS),
    "u_cf_nade": ModelKind(NADEConfig, build_cf_nade, "user", per_unit=2 * LEVELS),
    "i_cf_nade": ModelKind(NADEConfig, build_cf_nade, "item", per_unit=2 * LEVELS),
    "u_autorec": ModelKind(AutoRecConfig, build_autorec, "user"),
    "i_autorec": ModelKind(AutoRecConfig, build_autorec, "item"),
    "u_darec": ModelKind(DARecConfig, build_darec, "user", stage1="u_autorec"),
    "i_darec": ModelKind(DARecConfig, build_darec, "item", stage1="i_autorec"),
}
