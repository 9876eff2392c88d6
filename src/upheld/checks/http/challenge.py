"""Every 401 tells how to authenticate.

## What it requires

A 401 carries `WWW-Authenticate` with at least one challenge: the name of a scheme, then its parameters.

## Why

The challenge is what tells a client apart what to do: sign in, refresh the token, or ask for another scope. Client libraries and
gateways act on it, and an answer without it leaves them guessing.

## What it sends

Nothing of its own. It watches every 401 of the run: those without credentials, with broken tokens, and the login's own.

## Example of a breach

`HTTP/1.1 401 Unauthorized` with a body and no `WWW-Authenticate`, from a handler that raises the status by hand.

## When to waive it

For the login of a page that is used with browsers only, if a challenge would make them show their own dialog. `Bearer` does not;
only `Basic`, `Digest` and `Negotiate` do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from upheld.check import MUST, Clause, Example, Finding, Kept, Outcome, Requirement, Subjects, seen
from upheld.exchange import Exchange, Response
from upheld.steps import operations

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="Every 401 tells how to authenticate",
    level=MUST,
    clause=Clause(
        "RFC 9110 §11.6.1",
        "https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1",
        "A server generating a 401 (Unauthorized) response MUST send a WWW-Authenticate header field "
        "containing at least one challenge.",
    ),
    catalogue=("HTTP-03",),
    owasp="API2:2023",
)

_KEPT = Kept()
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# RFC 9110 §11.3: challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]; the first one decides.
_CHALLENGE = re.compile(
    rf"[\s,]*{_TOKEN}(?:\s*$|\s*,|\s+[A-Za-z0-9\-._~+/]+=*\s*(?:$|,)|\s+(?:,\s*)?{_TOKEN}\s*=\s*(?:\"|{_TOKEN}))"
)


def subjects(contract: Contract) -> Subjects:
    return operations(contract, lambda op: op.secured or "401" in op.responses, "no operation needs credentials")


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    if exchange.response.status != 401:
        return None
    values = exchange.response.headers.all("www-authenticate")
    if any(_CHALLENGE.match(value) for value in values):
        return _KEPT
    operation = contract.operation(exchange.operation)
    secured = operation is not None and operation.secured
    return Finding(
        expected='WWW-Authenticate with a challenge, such as Bearer realm="api"',
        actual=f"WWW-Authenticate: {', '.join(values)[:120]}" if values else "401 without WWW-Authenticate",
        # What refuses credentials is one piece of a service; a login that refuses a password is another.
        origin="401 of operations that need credentials" if secured else "",
        request=exchange.request,
    )


_ME = "/api/v1/users/me"
_LOGIN = "/api/v1/auth/login"

CONFORMING = (
    Example("a realm", exchange=seen("GET", _ME, Response.problem(401, www_authenticate='Bearer realm="shop"'))),
    Example("a scheme alone", exchange=seen("GET", _ME, Response.problem(401, www_authenticate="Bearer"))),
    Example("token68", exchange=seen("GET", _ME, Response.problem(401, www_authenticate="Negotiate YWJjZA=="))),
    Example(
        "several challenges in one field",
        exchange=seen(
            "GET", _ME, Response.problem(401, www_authenticate='ApiKey, Basic realm="a, b", charset="UTF-8"')
        ),
    ),
)

BREACHING = (
    Example("no challenge", exchange=seen("GET", _ME, Response.problem(401))),
    Example("the login's own 401", exchange=seen("POST", _LOGIN, Response.problem(401))),
    Example("an empty field", exchange=seen("GET", _ME, Response.problem(401, www_authenticate=" "))),
    Example("no scheme", exchange=seen("GET", _ME, Response.problem(401, www_authenticate='realm="shop"'))),
    Example("a sentence in quotes", exchange=seen("GET", _ME, Response.problem(401, www_authenticate='"log in"'))),
)
