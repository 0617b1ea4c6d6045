"""The bias baseline's search space; ours, the paper has no such baseline."""

from optuna.distributions import FloatDistribution

SPACE = {
    # nuisance
    "reg_user": FloatDistribution(0.1, 100, log=True),  # ours
    "reg_item": FloatDistribution(0.1, 100, log=True),  # ours
}

FIXED: dict[str, str] = {}
