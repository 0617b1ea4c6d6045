"""The former place of `WARM_UP`; to be deleted with its last import."""

from darec.core.cuda_graphs import WARM_UP

__all__ = ["WARM_UP"]
