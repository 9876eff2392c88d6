"""Another way to write a request does not get past the limit.

## What it requires

Where a key is used up, the same operation stays refused however its path and method are written: with a slash more, a dot segment, an encoded
or a capital letter, a path or query parameter, HEAD in place of GET, or an override of the method. What is answered without doing anything
(404, 405, a redirect) is as good as refused.

## Why

A limiter that stands before the router compares texts, the router resolves them. Each spelling that the one tells apart and the other does not
is a way past the limit.

## What it sends

It uses a key up, then asks for the same with each spelling, a few times where it is answered; as a control, so written, for a path that does
not exist.

## Example of a breach

`POST /auth/login` is refused with 429, and `POST /auth/login/` is answered 401 like the logins before.

## When to waive it

Where HEAD is left out of a limit on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from upheld.check import MUST, Clause, Conversation, Example, Finding, Kept, Lane, Requirement, Subjects, Unproven, send
from upheld.checks.ratelimit._drain import partition, rules
from upheld.checks.ratelimit._spent import gets_past, spend
from upheld.exchange import Request, Response

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="Another way to write a request does not get past the limit",
    level=MUST,
    clause=Clause(
        "OWASP API4:2023 and the contract's rate_limits",
        "https://owasp.org/API-Security/editions/2023/en/0xa4-unrestricted-resource-consumption/",
        "Implement a limit on how often a client can interact with the API within a defined timeframe (rate limiting).",
    ),
    catalogue=("RATE-14",),
    reads=("rate_limits",),
    profile="shipped",
    dear=True,
    cost=20,
    quotas=1,
    owasp="API4:2023",
    cwe=("CWE-799", "CWE-178", "CWE-22"),
)

NOT_DONE = frozenset({301, 302, 303, 307, 308, 400, 403, 404, 405, 406, 410, 414, 421, 501})
"""Statuses that a router or a guard answers with, before any operation is reached."""
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")

Change = Callable[[Request, int], Request]


def subjects(contract: Contract) -> Subjects:
    return rules(contract)


def converse(lane: Lane) -> Conversation:
    session = yield from partition(lane)
    spent = yield from spend(lane, session)
    telling = frozenset(spent.answered - NOT_DONE)
    if not telling and not any(200 <= status < 300 for status in spent.answered):
        told = ", ".join(str(status) for status in sorted(spent.answered))
        return Unproven(f"{lane.operation.label} is answered {told}, as a path is that does not exist")

    def through(response: Response) -> bool:
        return response.ok or response.status in telling

    tried, passed, shown = 0, [], None
    plain = yield from spent.ask(lane, session)
    for name, change in _variants(plain.method):
        written = change(plain, 0)
        other = lane.contract.operation(f"{written.method} {written.path}")
        if other not in (None, lane.operation) or (written.target == plain.target and written.method == plain.method):
            continue  # an operation of its own, with a limit of its own
        tried += 1
        answers = yield from gets_past(lane, session, spent, change, through)
        if not answers:
            continue
        # A guard that asks everybody for credentials, or a page for every path, answers what does not exist like this too.
        nothing: Response = yield from send(change(_beside(plain, lane.unique("x")), 0))
        if nothing.status != answers[-1].status:
            passed.append(f"{name} ({answers[-1].status})")
            shown = shown or written
    if not passed:
        return Kept(f"{tried} other ways to write it are refused, or answered without doing it")
    return Finding(
        expected="429 as for the plain request, or an answer that does nothing (404, 405, a redirect)",
        actual=f"admitted again and again: {', '.join(passed)}",
        sent=f"{spent.count + 1} × {lane.operation.label} until 429, then written in {tried} other ways",
        request=shown,
    )


def _beside(request: Request, name: str) -> Request:
    """The same request of a path that does not exist."""
    return request.with_(path=f"{request.path.rstrip('/').rpartition('/')[0]}/{name}", operation=None)


def _variants(method: str) -> Iterator[tuple[str, Change]]:
    """A name for each other way to write a request of this method, and how."""
    yield "a slash at the end", _path(lambda head, last: f"{head}/{last}/")
    yield "two slashes", _path(lambda head, last: f"{head}//{last}")
    yield "two slashes at the beginning", _path(lambda head, last: f"/{head}/{last}")
    yield "a dot segment", _path(lambda head, last: f"{head}/./{last}")
    yield "two dot segments", _path(lambda head, last: f"{head}/x/../{last}")
    yield "an encoded letter", _path(lambda head, last: f"{head}/%{ord(last[0]):02X}{last[1:]}")
    yield "a path parameter", _path(lambda head, last: f"{head}/{last};x=1")
    yield "capital letters", _path(lambda head, last: f"{head}/{last.swapcase()}")
    yield "a query parameter", lambda r, number: r.with_(query=(*r.query, ("cb", str(number))), operation=None)
    if method == "GET":
        yield "HEAD", lambda r, number: r.with_(method="HEAD", operation=None)
    disguise = "GET" if method == "POST" else "POST"
    yield f"{disguise} with {OVERRIDES[0]}", lambda r, number: _overridden(r, disguise)


def _path(write: Callable[[str, str], str]) -> Change:
    # Without the operation's name: observers hold no promise of it against what it is not.
    def change(request: Request, number: int) -> Request:
        head, _, last = request.path.rstrip("/").rpartition("/")
        return request.with_(path=write(head, last), operation=None)

    return change


def _overridden(request: Request, disguise: str) -> Request:
    headers = request.headers
    for name in OVERRIDES:
        headers = headers.with_(name, request.method)
    return request.with_(method=disguise, headers=headers, operation=None)


PREFIX = "/api/v1"
LOGIN = "POST /auth/login 10/60s"


def _routed_alike(says: str, plain: Callable[[str], str]) -> Example:
    """The router takes these paths for one; the limiter does not count those that are written otherwise."""

    def change(shop: Shop) -> None:
        limited, answer = shop._limited, shop._answer

        def counted(request: Request) -> Response | None:
            return limited(request) if request.path == plain(request.path) and not request.query else None

        setattr(shop, "_limited", counted)  # noqa: B010
        setattr(shop, "_answer", lambda request: answer(request.with_(path=plain(request.path))))  # noqa: B010

    return Example(says, subject=LOGIN, shop=change)


def _whole(shop: Shop) -> None:
    """Only whole logins are counted, and they are answered 401."""
    limited = shop._limited
    setattr(shop, "_limited", lambda request: limited(request) if b"password" in (request.body or b"") else None)  # noqa: B010


def _uncounted_head(shop: Shop) -> None:
    limited = shop._limited
    setattr(shop, "_limited", lambda request: None if request.method == "HEAD" else limited(request))  # noqa: B010


def _guarded(shop: Shop) -> None:
    """Whatever is not this path exactly asks for credentials, before any limit."""
    _whole(shop)
    limited = shop._limited

    def guard(request: Request) -> Response | None:
        known = request.path == f"{PREFIX}/auth/login" and request.method == "POST"
        return limited(request) if known else Response.problem(401, www_authenticate="Bearer")

    setattr(shop, "_limited", guard)  # noqa: B010


CONFORMING = (
    Example("the sample shop's login", subject=LOGIN),
    Example("a guard that knows no other paths", subject=LOGIN, shop=_guarded),
    Example("the default rule, HEAD included", subject="** 100/60s"),
)

BREACHING = (
    _routed_alike("a slash at the end is cut off", lambda path: path.rstrip("/")),
    _routed_alike("slashes are merged", lambda path: path.replace("//", "/")),
    _routed_alike("letters are decoded", lambda path: path.replace("%6C", "l")),
    _routed_alike("capital letters do not matter", str.lower),
    _routed_alike("a query makes another key", lambda path: path),
    Example("HEAD is not counted", subject="** 100/60s", shop=_uncounted_head),
)
