"""Only the origins of the contract are let in.

## What it requires

A page of an origin under `cors.origins:` may read the answers: `Access-Control-Allow-Origin` names it. For every other origin, and for
`null`, the field is absent or names another one. `*` is right only if the contract lists `"*"`, and never lets credentials in. A
contract that says nothing of origins is held to one thing: no foreign origin is let in together with its credentials.

## Why

A service that echoes whatever `Origin` it is sent lets any web page read, in the name of its visitors, what is theirs. Patterns that match a
part of the name are nearly as bad: anybody can register `evilexample.com`.

## What it sends

A GET and a preflight with the allowed origin, then with one that has nothing to do with it, with `null`, another scheme, another port, a name
that begins or ends as the allowed one does, and one that a careless pattern takes for it.

## Example of a breach

With `Origin: https://evil.example` the answer says `Access-Control-Allow-Origin: https://evil.example`.

## When to waive it

For a public API that every page may read, write `cors: {origins: ["*"]}` instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from upheld.check import (
    MUST,
    SERVICE,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    Requirement,
    Subjects,
    Unproven,
    send,
)
from upheld.exchange import Request, Response
from upheld.steps import caller, control, plain_get

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="Only the origins of the contract are let in",
    level=MUST,
    clause=Clause(
        "Fetch, CORS protocol",
        "https://fetch.spec.whatwg.org/#http-access-control-allow-origin",
        "Indicates whether the response can be shared, via returning the literal value of the `Origin` request header "
        "(which can be `null`) or `*` in a response.",
    ),
    catalogue=("CORS-01",),
    reads=("cors.origins", "cors.credentials"),
    cost=14,
    owasp="API8:2023",
    cwe=("CWE-942", "CWE-346"),
)


def subjects(contract: Contract) -> Subjects:
    if plain_get(contract) is None:
        return Unproven("no GET can be sent without parameters")
    return [SERVICE]


def converse(lane: Lane) -> Conversation:
    operation = plain_get(lane.contract)
    assert operation is not None
    stated = "origins" in lane.contract.policy.cors.model_fields_set
    allowed = lane.contract.policy.cors.origins
    session = yield from caller(lane, operation)
    request, _ = yield from control(lane, operation, session)
    for origin in [origin for origin in allowed if origin != "*"][:1]:
        welcome = request.with_headers(origin=origin)
        response = yield from send(welcome)
        finding = _welcomed(lane.contract, origin, response, welcome) if response.ok else None
        if finding is not None:
            return finding
    judged = 0
    for origin in _foreign(allowed):
        for probe in (request, _preflight(request)):
            probe = probe.with_headers(origin=origin)
            response = yield from send(probe)
            finding = _judge(origin, response, stated=stated, anybody="*" in allowed, request=probe)
            if finding is not None:
                return finding
            judged += 1
    return Kept(f"{judged} requests of foreign origins")


def _welcomed(contract: Contract, origin: str, response: Response, request: Request) -> Finding | None:
    cors, value = contract.policy.cors, _acao(response)
    sent = f"{request.method} {request.path} with Origin: {origin}, which the contract lets in"
    if value not in (origin, "*"):
        return Finding(
            expected=f"Access-Control-Allow-Origin: {origin}", actual=_said(value), sent=sent, request=request
        )
    credentials = _credentials(response)
    if "credentials" in cors.model_fields_set and credentials != cors.credentials:
        return Finding(
            expected=("" if cors.credentials else "no ") + "Access-Control-Allow-Credentials: true",
            actual=("" if credentials else "no ") + "Access-Control-Allow-Credentials: true",
            sent=sent,
            required=f"{REQUIREMENT.title} (contract: cors.credentials: {str(cors.credentials).lower()})",
            request=request,
        )
    return None


def _judge(origin: str, response: Response, *, stated: bool, anybody: bool, request: Request) -> Finding | None:
    value = _acao(response)
    credentials = _credentials(response)
    if value is None or value not in (origin, "*") or (value == "*" and (anybody or not stated)):
        return None
    if value == origin and not credentials and (anybody or not stated):
        return None  # as good as a star: without credentials a page sees what everybody sees
    return Finding(
        expected="no Access-Control-Allow-Origin"
        + (" with credentials" if anybody or not stated else ", or another origin"),
        actual=_said(value) + (", Access-Control-Allow-Credentials: true" if credentials else ""),
        sent=f"{request.method} {request.path} with Origin: {origin}",
        origin="origins are echoed" if value == origin else "every origin is let in",
        request=request,
    )


def _preflight(request: Request) -> Request:
    return Request("OPTIONS", request.path).with_headers(
        access_control_request_method="GET", access_control_request_headers="authorization"
    )


def _foreign(allowed: tuple[str, ...]) -> list[str]:
    others = ["https://evil.example", "null"]
    own = next((urlsplit(origin) for origin in allowed if "://" in origin), None)
    if own is not None and own.hostname:
        scheme, host, port = own.scheme, own.hostname, own.netloc[len(own.hostname) :]
        others += [
            f"{'http' if scheme == 'https' else 'https'}://{host}{port}",
            f"{scheme}://{host}:{'8444' if port else '8443'}",
            f"{scheme}://{host}.evil.example",
            f"{scheme}://evil{host}{port}",
        ]
        if "." in host:
            others.append(f"{scheme}://{host.replace('.', 'x', 1)}{port}")
    return [origin for origin in others if origin not in allowed]


def _acao(response: Response) -> str | None:
    value = response.headers.get("access-control-allow-origin")
    return None if value is None else value.strip()


def _credentials(response: Response) -> bool:
    return response.headers.get("access-control-allow-credentials", "").strip() == "true"


def _said(value: str | None) -> str:
    return "no Access-Control-Allow-Origin" if value is None else f"Access-Control-Allow-Origin: {value}"


_OWN = "https://app.example.test"


def _letting(
    says: str, rule: str, *, own: bool = True, credentials: bool = False, cors: dict[str, object] | None = None
) -> Example:
    """A service that lets in its own page, and the origins of which ``rule`` is a part: ``*`` with a star, ``=`` all."""

    def alter(request: Request, response: Response) -> Response:
        origin = request.headers.get("origin", "")
        headers = response.headers.with_("Access-Control-Allow-Origin", None)
        if origin and (rule in ("*", "=") or (rule and rule in origin) or (own and origin == _OWN)):
            headers = headers.with_("Access-Control-Allow-Origin", "*" if rule == "*" else origin)
            headers = headers.with_("Access-Control-Allow-Credentials", "true" if credentials else None)
        return Response(response.status, headers, response.body)

    return Example(says, alter=alter, policy={"cors": cors} if cors is not None else {})


_ANYBODY: dict[str, object] = {"origins": ["*"], "credentials": False}

CONFORMING = (
    Example("the one of the contract"),
    _letting(
        "with credentials, as the contract says", "", credentials=True, cors={"origins": [_OWN], "credentials": True}
    ),
    _letting("a public API: a star, as the contract says", "*", cors=_ANYBODY),
    _letting("a public API that echoes instead", "=", cors=_ANYBODY),
    _letting("nothing said of origins, and a star", "*", cors={}),
)

BREACHING = (
    _letting("whatever it is sent", "="),
    _letting("a star, though the contract lists origins", "*"),
    _letting("any port and what follows", _OWN),
    _letting("whatever ends so", "app.example.test"),
    _letting("files and sandboxed frames", "null"),
    _letting("echoed with credentials, and nothing said of origins", "=", credentials=True, cors={}),
    _letting("nobody, not even the allowed one", "", own=False),
    _letting("credentials, though the contract says none", "", credentials=True),
)
