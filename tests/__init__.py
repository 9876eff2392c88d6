"""A package, so that no distribution's stray top-level `tests` is imported in its stead."""
