"""The commands: each is a thin layer over one Python function."""
