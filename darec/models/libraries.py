"""Optional libraries that some baselines need. They are imported when such a model is trained."""

import importlib
import warnings
from types import ModuleType

from darec.errors import UserError


def library(module: str, package: str) -> ModuleType:
    """Import an optional library. Raises `UserError`, which says how to install it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # myfm 0.4 imports pkg_resources
            return importlib.import_module(module)
    except ImportError as error:
        how = 'pip install -e ".[baselines]"'
        raise UserError(
            f"this model needs {package}, which cannot be imported: {error}; {how}"
        ) from error
