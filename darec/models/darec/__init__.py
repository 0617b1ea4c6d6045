"""DARec (section 3): the domain-adversarial network on frozen AutoRec embeddings."""

from darec.models.darec.config import DARecConfig
from darec.models.darec.model import DARec, build_darec, n_weights_darec

__all__ = ["DARec", "DARecConfig", "build_darec", "n_weights_darec"]
