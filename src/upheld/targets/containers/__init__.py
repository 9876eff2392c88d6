"""Targets in containers: a Compose file, or an image with the parts that it needs. Needs the extra ``containers``.

Only this package imports testcontainers and docker, which take a second to load: `upheld.targets.choose` imports it when a
contract asks for it.
"""
