"""The commands: each is a thin layer over one function of the Python API."""
