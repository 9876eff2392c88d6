"""What errors promise (RFC 9457), what an error document lacks, and who made an error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from upheld.check import NotApplicable
from upheld.exchange import NotJson, Request, Response

if TYPE_CHECKING:
    from upheld.contract import Contract


PROBLEM = "application/problem+json"


NO_FORMAT = NotApplicable("the contract promises no error format (errors: {format: rfc9457})")


_URI_REFERENCE = re.compile(r"[!#-;=?-\[\]_a-z~\u0080-\U0010ffff]*")


def problems_promised(contract: Contract) -> bool:
    """Whether every error is to be a problem document (RFC 9457)."""
    return contract.policy.errors.format == "rfc9457"


def exempt_from_problems(contract: Contract, request: Request) -> bool:
    """What the request calls has an error format of its own."""
    from upheld.contract.patterns import matches

    operation = contract.operation(request.operation)
    if operation is not None:
        return contract.has_own_errors(operation)
    exempt = contract.policy.errors.exempt
    return any(matches(pattern, request.method, request.path, contract.prefix) for pattern in exempt)


def problem_fault(response: Response) -> str:
    """Why the answer carries no problem document, in few words; empty when it does."""
    kind = response.media_type
    if kind == "application/problem+xml":
        return ""
    if kind != PROBLEM:
        return kind or "content without a Content-Type"
    try:
        document = response.json()
    except NotJson:
        return f"{PROBLEM} that cannot be parsed"
    return "" if isinstance(document, dict) else f"{PROBLEM} that is no JSON object"


def member_faults(response: Response, require: Iterable[str]) -> list[str]:
    """What is wrong with the members of a problem document (RFC 9457 §3.1); empty also when it is none."""
    if response.media_type != PROBLEM:
        return []
    try:
        document = response.json()
    except NotJson:
        return []
    if not isinstance(document, dict):
        return []
    faults = [f"no {name!r}" for name in require if name not in document]
    for name in ("type", "title", "detail", "instance"):
        value = document.get(name, "")
        if not isinstance(value, str):
            faults.append(f"{name!r} is {_kind(value)}, not a string")
        elif name in ("type", "instance") and not _URI_REFERENCE.fullmatch(value):
            faults.append(f"{name!r} is no URI reference: {value[:60]!r}")
    status = document.get("status", response.status)
    if isinstance(status, bool) or not isinstance(status, int | float):
        faults.append(f"'status' is {_kind(status)}, not a number")
    elif status != response.status:
        faults.append(f"'status' is {status:.10g} in an answer with {response.status}")
    return faults


def _kind(value: Any) -> str:
    kinds = {bool: "a boolean", str: "a string", list: "an array", dict: "an object", type(None): "null"}
    return kinds.get(type(value), "a number")


_SERVER_MADE = frozenset({400, 408, 411, 413, 414, 417, 431, 501, 505})


_GATEWAY_MADE = frozenset({502, 503, 504})


def made_below(response: Response) -> bool:
    """The HTTP server or a gateway seems to have made this error: the application, and so its contract, never saw the request.

    What gives it away: no JSON, and one of the statuses that servers answer on their own, ending the connection.
    """
    if response.is_json:
        return False
    closes = "close" in response.headers.get("connection", "").lower()
    return response.status in _GATEWAY_MADE or (response.status in _SERVER_MADE and closes)


def maker(request: Request, response: Response) -> str:
    """Which part of a service seems to have made this error, in words: errors of one maker have one cause."""
    status = response.status
    if status == 429:
        return "the rate limiter"
    if status >= 500:
        return "the handler of unexpected errors"
    if status in (401, 403):
        return "authentication and authorization"
    if status == 405 or (status == 404 and request.operation is None):
        return "the router"
    if status in (400, 422):
        return "the validation of requests"
    if status in (406, 411, 413, 414, 415, 417, 431):
        return "the bounds on requests"
    return "the operations' own code"
