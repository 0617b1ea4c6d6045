"""Distributed search with Ray Tune and Optuna.

Besides this package, only `darec.serving.on_ray` and one benchmark import Ray.
"""

import os

SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's own table reporter
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
for _name, _value in SETTINGS.items():  # before ray is imported: it reads them at import
    os.environ.setdefault(_name, _value)
