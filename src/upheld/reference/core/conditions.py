"""Conditional requests (RFC 9110 §13) over entity tags."""

from __future__ import annotations

import re

_ENTITY_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def none_match(field: str | None, etag: str) -> bool:
    """Whether a GET goes on: If-None-Match names no current tag. Weak comparison (§13.1.2)."""
    if field is None:
        return True
    if field.strip() == "*":
        return False
    return etag not in [opaque for _, opaque in _ENTITY_TAG.findall(field)]


def match(field: str | None, etag: str | None) -> bool:
    """Whether a write goes on: If-Match names the current tag. Strong comparison (§13.1.1); ``etag`` None: nothing is there."""
    if field is None:
        return True
    if field.strip() == "*":
        return etag is not None
    return etag in [opaque for weak, opaque in _ENTITY_TAG.findall(field) if not weak]
