"""Plain Locust with Upheld's schedule, counts and verdict: load/README.md tells how to start it."""

from upheld.load.locustfile import Generator  # noqa: F401 - Locust looks for its users among the names of this file
