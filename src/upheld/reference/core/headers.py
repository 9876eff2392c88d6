"""Header fields that every answer carries."""

from __future__ import annotations


class HeaderPolicy:
    """A seam: a mutant may replace it."""

    def always(self) -> dict[str, str]:
        """ASVS 5.0 §3.4: an API answers nothing that a browser should sniff, run, frame or refer from."""
        return {
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
        }

    def unless_set(self) -> dict[str, str]:
        """What an operation says nothing about is stored nowhere (RFC 9111 §5.2.2.5)."""
        return {"Cache-Control": "no-store"}
