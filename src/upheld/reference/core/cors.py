"""The CORS protocol (Fetch §3.3) for exact origins, without credentials."""

from __future__ import annotations

from collections.abc import Iterable

EXPOSED = ("Retry-After", "RateLimit", "RateLimit-Policy", "Location", "ETag", "Link", "X-Request-ID")
ACCEPTED = (
    "Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-API-Key", "X-Request-ID",
)  # fmt: skip


class CorsPolicy:
    """Says which headers let a page of another origin read an answer. A seam: a mutant may replace it."""

    def __init__(self, origins: Iterable[str], max_age: int) -> None:
        self.origins = frozenset(origins)
        self.max_age = max_age

    def allows(self, origin: str) -> bool:
        return origin in self.origins

    def response_headers(self, origin: str | None) -> dict[str, str]:
        """For every answer. Vary also without an Origin: a shared cache must not hand this answer to an allowed page."""
        headers = {"Vary": "Origin"}
        if origin is not None and self.allows(origin):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = ", ".join(EXPOSED)
        return headers

    def preflight_headers(self, origin: str, methods: Iterable[str]) -> dict[str, str]:
        """For the answer to a preflight; ``methods`` are those of the path, and no others."""
        headers = {"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
        if self.allows(origin):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Methods"] = ", ".join(methods)
            headers["Access-Control-Allow-Headers"] = ", ".join(ACCEPTED)
            headers["Access-Control-Max-Age"] = str(self.max_age)
        return headers
