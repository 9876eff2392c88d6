"""A Bearer challenge is well formed and says why.

## What it requires

`Bearer` in `WWW-Authenticate` is followed by at least one parameter, none of them twice. Where a token was shown and refused, `error` is
there and says `invalid_token`; where none was shown, there is no `error`.

## Why

Client libraries decide by `error` whether to refresh the token, to ask for another scope, or to sign in.

## What it sends

Nothing of its own. It watches every 401 of operations that bearer tokens secure.

## Example of a breach

`WWW-Authenticate: Bearer`, which several frameworks send.

## When to waive it

Where a gateway answers for the service and can't be configured.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from upheld.check import SHOULD, Clause, Example, Finding, Kept, Outcome, Requirement, seen
from upheld.exchange import Exchange, Response

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A Bearer challenge is well formed and says why",
    level=SHOULD,
    clause=Clause(
        "RFC 6750 §3",
        "https://www.rfc-editor.org/rfc/rfc6750#section-3",
        "This scheme MUST be followed by one or more auth-param values; if the request included an access token and failed "
        'authentication, the resource server SHOULD include the "error" attribute.',
    ),
    catalogue=("AUTH-02",),
    scope="service",
    reads=("auth",),
    owasp="API2:2023",
)

_PARAMETER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[!#$%&'*+\-.^_`|~0-9A-Za-z]+)")
_BEARER = re.compile(r"(?:^|,)\s*bearer(?=$|[\s,])", re.IGNORECASE)
# A scheme after a comma ends the parameters of the one before it (RFC 9110 §11.6.1).
_NEXT_SCHEME = re.compile(r",\s*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?=\s+[!#$%&'*+\-.^_`|~0-9A-Za-z]+\s*=|\s*,|\s*$)")


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    operation = contract.operation(exchange.operation)
    if (
        exchange.response.status != 401
        or operation is None
        or not operation.secured
        or contract.auth.scheme != "bearer"
    ):
        return None
    value = exchange.response.headers.get("www-authenticate", "")
    bearer = _BEARER.search(value)
    if bearer is None:
        return None  # that there is a challenge at all is http/challenge
    rest = value[bearer.end() :]
    following = _NEXT_SCHEME.search(rest)
    parameters = [
        (k.lower(), v.strip('"')) for k, v in _PARAMETER.findall(rest[: following.start()] if following else rest)
    ]
    names = [name for name, _ in parameters]
    shown = _token_shown(exchange)
    error = dict(parameters).get("error")
    fault = ""
    if not names:
        fault = "Bearer without a parameter"
    elif len(set(names)) < len(names):
        fault = "a parameter stands twice"
    elif shown and error is None:
        fault = "no error parameter although a token was refused"
    elif shown is False and error is not None:
        fault = f"error={error} although no credentials were sent"
    if not fault:
        return Kept()
    expected = 'Bearer realm="…", error="invalid_token"' if shown else 'Bearer realm="…"'
    return Finding(expected=expected, actual=f"{fault}: {value[:120]}", origin=fault, request=exchange.request)


def _token_shown(exchange: Exchange) -> bool | None:
    """Whether a bearer token was shown; None when something else was, and the RFC does not say."""
    if exchange.request.session is not None:
        return True
    value = exchange.request.headers.get("authorization")
    if value is None:
        return False if not exchange.request.headers.get("cookie") else None
    scheme, _, token = value.strip().partition(" ")
    return True if scheme.lower() == "bearer" and token.strip() else None


_ME = "/api/v1/users/me"


def _answer(value: str, sent: str | None) -> Exchange:
    headers = {"Authorization": sent} if sent else {}
    return seen("GET", _ME, Response.problem(401, www_authenticate=value), headers=headers)


CONFORMING = (
    Example("no credentials, a realm", exchange=_answer('Bearer realm="shop"', None)),
    Example("a refused token, an error", exchange=_answer('Bearer realm="a, b", error="invalid_token"', "Bearer x")),
    Example("another scheme was sent", exchange=_answer('Bearer realm="shop"', "Basic eDp5")),
    Example("two challenges", exchange=_answer('Basic realm="x", Bearer realm="shop"', None)),
    Example("parameters of the next scheme do not count", exchange=_answer('Bearer realm="a", ApiKey realm="b"', None)),
)

BREACHING = (
    Example("a bare scheme", exchange=_answer("Bearer", None)),
    Example("no reason", exchange=_answer('Bearer realm="shop"', "Bearer abc.def.ghi")),
    Example("a reason for nothing", exchange=_answer('Bearer realm="shop", error="invalid_token"', None)),
    Example("a realm twice", exchange=_answer('Bearer realm="a", realm="b"', None)),
)
