"""Runs what is missing: several searches side by side, each step in a process of its own."""
