"""Checks that a running API keeps the promises of its contract."""

__version__ = "0.1.0"
