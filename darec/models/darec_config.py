"""The former place of `DARecConfig`; to be deleted with its last import."""

from darec.models.darec.config import DARecConfig

__all__ = ["DARecConfig"]
