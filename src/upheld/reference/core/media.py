"""Content negotiation: which request bodies are read (415) and which answers can be had (406)."""

from __future__ import annotations

from starlette.datastructures import Headers

from .problems import Problem

PRODUCED = ("application/json", "application/problem+json")


def require_json(headers: Headers) -> None:
    """RFC 9110 §15.5.16: a 415 names in Accept what would have been read, in Accept-Encoding which coding."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise Problem.of_status(415, "The body has a content coding.", headers={"Accept-Encoding": "identity"})
    essence, _, parameters = headers.get("content-type", "").partition(";")
    kind, _, subtype = essence.strip().lower().partition("/")
    charset = _parameter(parameters, "charset")
    if kind != "application" or not (subtype == "json" or subtype.endswith("+json")) or charset not in ("", "utf-8"):
        raise Problem.of_status(415, "The body has to be application/json.", headers={"Accept": "application/json"})


def require_acceptable(headers: Headers) -> None:
    """406 when the Accept header excludes JSON (RFC 9110 §12.5.1); an absent or unreadable one excludes nothing."""
    field = ", ".join(headers.getlist("accept"))
    if field.strip() and not any(_quality(field, media_type) > 0 for media_type in PRODUCED[:1]):
        raise Problem.of_status(406, "Only application/json can be sent.")


def _quality(field: str, media_type: str) -> float:
    """The weight of a media type: the most specific range that matches it decides."""
    kind, _, _ = media_type.partition("/")
    best, specificity = 0.0, 0
    for item in field.split(","):
        media_range, _, parameters = item.partition(";")
        media_range = media_range.strip().lower()
        rank = {media_type: 3, f"{kind}/*": 2, "*/*": 1, "*": 1}.get(media_range, 0)
        if rank > specificity:
            try:
                best = float(_parameter(parameters, "q") or 1)
            except ValueError:
                best = 1.0
            specificity = rank
    return best


def _parameter(parameters: str, name: str) -> str:
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"').lower()
    return ""
