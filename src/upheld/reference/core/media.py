"""Content negotiation: which request bodies are read (415) and which answers can be had (406)."""

from __future__ import annotations

from starlette.datastructures import Headers

from .problems import Problem

PRODUCED = ("application/json", "application/problem+json")


FORM = "application/x-www-form-urlencoded"


def require_json(headers: Headers) -> None:
    """RFC 9110 §15.5.16: a 415 names in Accept what would have been read, in Accept-Encoding which coding."""
    kind, _, subtype = _media_type(headers).partition("/")
    if kind != "application" or not (subtype == "json" or subtype.endswith("+json")):
        raise _unsupported("application/json")


def require_form(headers: Headers) -> None:
    """The same for the one operation that takes a form (RFC 6749 §3.2)."""
    if _media_type(headers) != FORM:
        raise _unsupported(FORM)


def _media_type(headers: Headers) -> str:
    """What the body is, without parameters; empty for one in another charset than UTF-8, which nobody reads."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise Problem.of_status(415, "The body has a content coding.", headers={"Accept-Encoding": "identity"})
    essence, _, parameters = headers.get("content-type", "").partition(";")
    return essence.strip().lower() if _parameter(parameters, "charset") in ("", "utf-8") else ""


def _unsupported(wanted: str) -> Problem:
    return Problem.of_status(415, f"The body has to be {wanted}.", headers={"Accept": wanted})


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
