"""The models by name: add one file here and one line to `MODELS`.

``darec.models()`` returns them: this package can be called like a function.
"""

import sys
from types import ModuleType

from darec.errors import UserError
from darec.models import plugins
from darec.models.autorec import AutoRecConfig, build_autorec, n_weights_autorec
from darec.models.bias import BiasConfig, build_bias
from darec.models.cdtf import CDTFConfig, build_cdtf, n_weights_cdtf
from darec.models.cf_nade import (
    NADEConfig,
    build_cf_nade,
    n_temporary_cf_nade,
    n_weights_cf_nade,
)
from darec.models.cmf import CMFConfig, build_cmf, n_weights_cmf
from darec.models.conet import CoNetConfig, build_conet, n_weights_conet
from darec.models.darec import DARecConfig, build_darec, n_weights_darec
from darec.models.emcdr import EMCDRConfig, build_emcdr, n_weights_emcdr
from darec.models.fm import FMConfig, build_fm, n_weights_fm
from darec.models.fm_cdcf import FMCDCFConfig, build_fm_cdcf, n_weights_fm_cdcf
from darec.models.hierarchical_bias import HierarchicalBiasConfig, build_hierarchical_bias
from darec.models.item_knn import ItemKNNConfig, build_item_knn, n_weights_item_knn
from darec.models.kind import FirstStage, ModelKind
from darec.models.mean import MeanConfig, build_mean
from darec.models.pmf import PMFConfig, build_pmf, n_weights_pmf
from darec.models.ptupcdr import PTUPCDRConfig, build_ptupcdr, n_weights_ptupcdr
from darec.models.rbm import RBMConfig, build_rbm, n_temporary_rbm, n_weights_rbm
from darec.models.shared_bias import SharedBiasConfig, build_shared_bias
from darec.models.stack import StackConfig, build_stack, n_temporary_stack, n_weights_stack

__all__ = ["MADE", "MODELS", "STACK", "FirstStage", "ModelKind", "all_models", "kind_of"]

MODELS: dict[str, ModelKind] = {
    "mean": ModelKind(MeanConfig, build_mean, whole_fit=True, cpu_only=True, cold_users=True),
    "bias": ModelKind(BiasConfig, build_bias, cpu_only=True, cold_users=True),
    "shared_bias": ModelKind(SharedBiasConfig, build_shared_bias, cpu_only=True, cold_users=True),
    "hierarchical_bias": ModelKind(
        HierarchicalBiasConfig,
        build_hierarchical_bias,
        whole_fit=True,
        cpu_only=True,
        cold_users=True,
    ),
    "item_knn": ModelKind(
        ItemKNNConfig, build_item_knn, n_weights_item_knn, whole_fit=True, cpu_only=True
    ),
    "pmf": ModelKind(PMFConfig, build_pmf, n_weights_pmf, whole_fit=True, cpu_only=True),
    "cmf_unbiased": ModelKind(CMFConfig, build_cmf, n_weights_cmf),
    "cmf": ModelKind(CMFConfig, build_cmf, n_weights_cmf, cold_users=True),
    "cdtf": ModelKind(CDTFConfig, build_cdtf, n_weights_cdtf, cpu_only=True, cold_users=True),
    "fm_cdcf": ModelKind(
        FMCDCFConfig,
        build_fm_cdcf,
        n_weights_fm_cdcf,
        whole_fit=True,
        cpu_only=True,
        cold_users=True,
    ),
    "fm": ModelKind(
        FMConfig,
        build_fm,
        n_weights_fm,
        whole_fit=True,
        cpu_only=True,
        variant="output",
        cold_users=True,
    ),
    "emcdr": ModelKind(EMCDRConfig, build_emcdr, n_weights_emcdr, cold_users=True),
    "ptupcdr": ModelKind(PTUPCDRConfig, build_ptupcdr, n_weights_ptupcdr, cold_users=True),
    "conet": ModelKind(CoNetConfig, build_conet, n_weights_conet, cold_users=True),
    "u_rbm": ModelKind(
        RBMConfig, build_rbm, n_weights_rbm, n_temporary_rbm, axis="user", levels=True
    ),
    "i_rbm": ModelKind(
        RBMConfig, build_rbm, n_weights_rbm, n_temporary_rbm, axis="item", levels=True
    ),
    "u_cf_nade": ModelKind(
        NADEConfig, build_cf_nade, n_weights_cf_nade, n_temporary_cf_nade, axis="user", levels=True
    ),
    "i_cf_nade": ModelKind(
        NADEConfig, build_cf_nade, n_weights_cf_nade, n_temporary_cf_nade, axis="item", levels=True
    ),
    "u_autorec": ModelKind(
        AutoRecConfig, build_autorec, n_weights_autorec, axis="user", cold_users=True
    ),
    "i_autorec": ModelKind(AutoRecConfig, build_autorec, n_weights_autorec, axis="item"),
    "u_darec": ModelKind(
        DARecConfig,
        build_darec,
        n_weights_darec,
        axis="user",
        stage1=FirstStage("u_autorec"),
        cold_users=True,
    ),
    "i_darec": ModelKind(
        DARecConfig, build_darec, n_weights_darec, axis="item", stage1=FirstStage("i_autorec")
    ),
}
STACK = "stack"
"""The model that is made of others (`darec.stack`) and not searched itself."""
MADE: dict[str, ModelKind] = {
    STACK: ModelKind(
        StackConfig,
        build_stack,
        n_weights_stack,
        n_temporary_stack,
        whole_fit=True,
        cold_users=True,
    )
}


def kind_of(name: str) -> ModelKind:
    """Return a model by name, darec's own or one from outside (`darec.models.plugins`).

    Raises `UserError` for an unknown name, and for an installed model that cannot be loaded.
    """
    if name in MADE:
        return MADE[name]
    known = all_models()
    if name in known:
        return known[name]
    if name in plugins.BROKEN:
        raise UserError(plugins.BROKEN[name])
    hint = "register a model of your own first (darec.register)"
    raise UserError(f"there is no model {name!r}; known: {', '.join(known)}; {hint}")


def all_models() -> dict[str, ModelKind]:
    """Return every model that can be searched, by name: darec's own, then those from outside."""
    plugins.load_installed(frozenset({**MODELS, **MADE}))
    return {**MODELS, **plugins.OUTSIDE}


class _CallablePackage(ModuleType):
    """A package that can be called: ``darec.models`` is a package and a function of the API."""

    def __call__(self) -> dict[str, ModelKind]:
        return all_models()


sys.modules[__name__].__class__ = _CallablePackage
