"""Distributed hyper-parameter search for cross-domain recommendation (DARec, IJCAI 2019)."""

__version__ = "0.1.0"
