"""The training curves that `test_golden.py` compares with: what they are, and how to renew them.

``python -m tests.models.golden`` trains every model of `CONFIGS` and overwrites ``golden.json``.
Do that only for a change that is meant to change results, and say so in its commit message.
"""

import json
import platform
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
import torch

from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.data.split import split
from darec.data.synthetic import planted_pair
from darec.models import MODELS
from darec.paper import Counts

FILE = Path(__file__).with_name("golden.json")
EPOCHS = 3
AUTOREC = {"hidden": 8, "alpha": 0.01, "learning_rate": 0.02, "batch_size": 32, "epochs": 3}
RBM = {"hidden": 8, "batch_size": 32}
PLAIN = {"center": "none", "ordinal": 1.0, "decay": 0.01}
NADE = {**PLAIN, "hidden": 8, "batch_size": 32, "learning_rate": 0.01}
DAREC = {"extractor": 8, "init": "xavier", "learning_rate": 0.01, "batch_size": 32}
PRINTED = {**AUTOREC, "center": "bias", "activation": "sigmoid"}
CONFIGS = {
    f"{axis[0]}_{name}": config
    for axis in ("user", "item")
    for name, config in {
        "autorec": {"axis": axis, **AUTOREC},
        "rbm": {"axis": axis, **RBM},
        "cf_nade": {"axis": axis, **NADE},
        "darec": {"autorec": {"axis": axis, **AUTOREC}, **DAREC},
        "autorec as printed": {"axis": axis, **PRINTED},
        "darec as printed": {"autorec": {"axis": axis, **PRINTED}, **DAREC, "head": "plain"},
    }.items()
}


def curve(name):
    """Return what each epoch of a model reports, on a small planted pair.

    The objective is left out, which is the best RMSE again.
    """
    data = split(planted_pair("tiny", Counts(120, 60, 50, 2400, 1800))).search
    kind = MODELS[name.partition(" ")[0]]
    fit = Fit(kind.build(parse(kind.config, CONFIGS[name]), data.training, Run(seed=0)), data)
    rows = [fit.step() for _ in range(EPOCHS)]
    return [{name: value for name, value in row.items() if name != "objective"} for row in rows]


def machine():
    """Return all that may change the rounding of a float on a CPU."""
    return {
        "architecture": platform.machine(),
        "processor": llvmlite.binding.get_host_cpu_name(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    stored = {"machine": machine(), "curves": {name: curve(name) for name in CONFIGS}}
    FILE.write_text(json.dumps(stored, indent=1) + "\n")
