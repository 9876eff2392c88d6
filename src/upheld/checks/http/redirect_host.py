"""A redirect leads to the same host, with the same scheme and method.

## What it requires

Where the service redirects a path that has a slash too many or too few, `Location` names no host that only the request's `Host` named, keeps
https, and for a POST the status is 307 or 308.

## Why

Frameworks build that redirect from the `Host` they were sent. A cache in between keeps it and sends the next visitors, with their cookies and
tokens, to an attacker's machine. And on 301 or 302 a client repeats a POST as a GET, and its data is lost.

## What it sends

To up to three paths without ids: a GET with the slash turned, once as it is and once as raw octets with `Host: evil.example`; to one path
that takes POST an empty JSON object without credentials.

## Example of a breach

`GET /items/` with `Host: evil.example` is answered `307` with `Location: http://evil.example/items`.

## When to waive it

Where a gateway lets only known hosts through to the service, and the run speaks to the service directly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from upheld.check import (
    SERVICE,
    SHOULD,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subjects,
    raw,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import octets, templates

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="A redirect leads to the same host, with the same scheme and method",
    level=SHOULD,
    clause=Clause(
        "RFC 9110 §15.4.8",
        "https://www.rfc-editor.org/rfc/rfc9110#section-15.4.8",
        "the user agent MUST NOT change the request method if it performs an automatic redirection to that URI",
    ),
    catalogue=("HTTP-13",),
    reads=("target.url",),
    cost=7,
    cwe=("CWE-601", "CWE-644"),
)

_EVIL = "evil.example"


def subjects(contract: Contract) -> Subjects:
    if _turned(contract, "GET") or _turned(contract, "POST"):
        return [SERVICE]
    return NotApplicable("every path has an id in it")


def converse(lane: Lane) -> Conversation:
    redirects = 0
    gets = _turned(lane.contract, "GET")[:3]
    posts = _turned(lane.contract, "POST")[:1]
    plain = [Request("GET", path) for path in gets] + [Request("POST", path).with_json({}) for path in posts]
    secure = (lane.contract.policy.target.url or "").startswith("https:")
    for request in plain:
        response = yield from send(request)
        target = _target(response)
        if target is None:
            continue
        redirects += 1
        if secure and target.startswith("http:"):
            return _finding(request, response, "a Location that keeps https, or names no scheme")
        if request.method == "POST" and response.status in (301, 302, 303):
            return _finding(request, response, "307 or 308, which keep the method and the body")
    for request in (Request("GET", path).with_headers(host=_EVIL) for path in gets):
        answer = yield from raw(octets(request), request=request)
        for response in answer.responses:
            target = _target(response)
            if target is None:
                continue
            redirects += 1
            if _host(target) == _EVIL:
                return _finding(request, response, "400, 404 or 421, or a Location with the service's own host or none")
    return Kept(f"{redirects} redirects" if redirects else "no path is redirected")


def _turned(contract: Contract, method: str) -> list[str]:
    """Paths of operations without ids, with a slash at the end that the contract does not have, or without the one that it has."""
    found = []
    for op in contract.operations:
        if op.method == method and "{" not in op.path and len(op.path) > 1 and op.label not in contract.dangerous:
            path = op.path[:-1] if op.path.endswith("/") else op.path + "/"
            if not templates(contract, path):
                found.append(path)
    return found


def _target(response: Response) -> str | None:
    return response.headers.get("location", "").strip() if 300 <= response.status < 400 else None


def _host(location: str) -> str:
    try:
        return (urlsplit(location).hostname or "").lower()
    except ValueError:
        return ""


def _finding(request: Request, response: Response, expected: str) -> Finding:
    location = response.headers.get("location", "")
    return Finding(
        expected=expected,
        actual=f"{response.status} with Location: {location[:160]}",
        origin="redirect",
        request=request,
    )


def _redirecting(says: str, location: str, status: int = 307) -> Example:
    def alter(request: Request, response: Response) -> Response:
        if not request.path.endswith("/"):
            return response
        host = request.headers.get("host", "127.0.0.1:8500").replace("{host}", "127.0.0.1:8500")
        return Response.of(status, location=location.format(host=host, path=request.path[:-1]))

    return Example(says, alter=alter)


CONFORMING = (
    Example("404 for both spellings of the host"),
    _redirecting("an absolute path, whatever Host says", "{path}"),
    _redirecting("the host that the service knows as its own", "https://shop.example.test{path}", 308),
)

BREACHING = (
    _redirecting("the host that the request named", "http://{host}{path}"),
    _redirecting("a network-path reference with that host", "//{host}{path}", 308),
    _redirecting("a POST becomes a GET", "{path}", 301),
)
