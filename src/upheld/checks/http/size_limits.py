"""What is too large is refused, not swallowed and not a crash.

## What it requires

A body one octet over `limits.body` and a header section over `limits.header` are answered with a 4xx (413, 431), or the connection is closed; a body of
exactly `limits.body` is not refused for its size. Whatever the contract says about sizes, an enormous request target, a field of 64 KiB, 200
fields and a large body never make a 5xx and never leave the client without an answer.

## Why

Each limit that nobody set is set by the memory of the machine. One client with a body that never ends, or a header that a proxy takes and
the service behind it doesn't, is enough to take a process down.

## What it sends

To one operation that takes JSON, as raw octets: a valid body (the control), the same filled with spaces to the limit and to one octet
more, once with a length and once in chunks; then a small request with a target of 64 KiB, one with a field that is too long, one with 200 fields.

## Example of a breach

With `limits: {body: 1MiB}`, `POST /items` with 1 048 577 octets in chunks is answered `201 Created`: the limit reads Content-Length, and
there is none.

## When to waive it

Where a proxy in front of the service keeps the limits in production and the run speaks to the service directly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upheld.check import (
    MUST,
    SERVICE,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    RawAnswer,
    Requirement,
    Subjects,
    raw,
)
from upheld.exchange import Request, Response, Session
from upheld.steps import Move, caller, describe, octets, plain_get, takes_json, valid_request, with_valid_body

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="What is too large is refused, not swallowed and not a crash",
    level=MUST,
    clause=Clause(
        "RFC 9110 §5.4",
        "https://www.rfc-editor.org/rfc/rfc9110#section-5.4",
        "A server that receives a request header field line, field value, or set of fields larger than it wishes to "
        "process MUST respond with an appropriate 4xx (Client Error) status code.",
    ),
    catalogue=("HTTP-10",),
    reads=("limits.body", "limits.header"),
    cost=8,
    owasp="API4:2023",
    cwe=("CWE-770", "CWE-400"),
)

_LARGE = 2 * 1024 * 1024
"""Octets of a body where the contract states no limit: large for JSON, and no burden for a machine."""
_PATIENCE = 10.0


def subjects(contract: Contract) -> Subjects:
    return [SERVICE] if _candidates(contract) else NotApplicable("no operation takes a JSON body")


def converse(lane: Lane) -> Conversation:
    limits = lane.contract.policy.limits
    refused: CannotProve | None = None
    for operation in _candidates(lane.contract)[:4]:
        try:
            request = yield from _control(lane, operation)
        except CannotProve as cannot:
            refused = refused or cannot
        else:
            break
    else:
        assert refused is not None
        raise refused
    judged: list[str] = []

    def filled(size: int) -> Request:
        probe = with_valid_body(lane, request, operation)
        return probe.with_(body=(probe.body or b"").ljust(size))

    if limits.body is not None:
        answer = yield from _raw(filled(limits.body))
        if any(response.status == 413 for response in answer.responses):
            return _finding(
                request, f"a body of exactly {limits.body} octets", "no 413: the limit is not exceeded", answer
            )
        judged.append("the body's limit")
    size = limits.body + 1 if limits.body is not None else _LARGE
    over = filled(size)
    field = ("X-Filling", "f" * (limits.header + 1 if limits.header is not None else 65536))
    many = tuple((f"X-Filling-{number}", "f") for number in range(200))
    small = yield from _small(lane, operation, request.session)
    body_limited, header_limited = limits.body is not None, limits.header is not None
    probes: list[tuple[str, bytes, Request, bool]] = [
        (f"a body of {size} octets", octets(over), over, body_limited),
        (f"a body of {size} octets in chunks", _chunked(filled(size)), over, body_limited),
        ("a request target of 64 KiB", octets(small.with_(query=(("q", "q" * 65536),))), small, False),
        (f"a field of {len(field[1])} octets", octets(small, field), small, header_limited),
        ("200 fields", octets(small, *many), small, False),
    ]
    for what, data, meant, limited in probes:
        answer = yield from raw(data, timeout=_PATIENCE, request=_shown(meant))
        if _refused(answer) or (not limited and any(r.status < 500 for r in answer.responses)):
            judged.append(what)
            continue
        expected = "a 4xx, or the connection closed" if limited else "any answer below 500, or the connection closed"
        return _finding(meant, what, expected, answer)
    return Kept(", ".join(judged))


def _candidates(contract: Contract) -> list[Operation]:
    """Operations that take JSON, those that need the least before them first; the session's own last, for their quotas."""
    steps = (contract.auth.register, contract.auth.login, contract.auth.refresh, contract.auth.logout)
    of_sessions = {step.operation for step in steps if step}
    found = [op for op in contract.operations if takes_json(op) and op.label not in contract.dangerous]
    return sorted(found, key=lambda op: (op in of_sessions, "{" in op.path, op.method != "POST", len(op.path), op.path))


def _control(lane: Lane, operation: Operation) -> Move:
    session = yield from caller(lane, operation)
    request = yield from valid_request(lane, operation, session)
    answer = yield from _raw(request)
    if not (answer.responses and answer.responses[-1].ok):
        raise CannotProve(f"the control request {operation.label} was answered with {_said(answer)}")
    return request


def _small(lane: Lane, operation: Operation, session: Session | None) -> Move:
    """A request without side effects that succeeds; a valid one of the subject where there is none."""
    get = plain_get(lane.contract)
    if get is not None:
        request = Request("GET", get.path, session=session if get.secured else None, operation=get.label)
        answer = yield from _raw(request)
        if answer.responses and answer.responses[-1].ok:
            return request
    return (yield from valid_request(lane, operation, session))


def _raw(request: Request) -> Move:
    answer: RawAnswer = yield from raw(octets(request), timeout=_PATIENCE, request=_shown(request))
    return answer


def _chunked(request: Request) -> bytes:
    body = request.body or b""
    head = octets(request.with_(body=None).with_headers(transfer_encoding="chunked"))
    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _shown(request: Request) -> Request:
    """What observers and the curl line get to see: not the filling."""
    return request.with_(body=None if request.body is None else request.body.rstrip())


def _refused(answer: RawAnswer) -> bool:
    # RFC 9110 §15.5.14: the server MAY close the connection; a reset then overtakes the 413 it sent.
    return all(400 <= r.status < 500 for r in answer.responses) if answer.responses else answer.closed


def _said(answer: RawAnswer) -> str:
    if answer.responses:
        return describe(answer.responses[-1])[:120]
    return "a closed connection" if answer.closed else f"nothing within {_PATIENCE:g} s"


def _finding(request: Request, what: str, expected: str, answer: RawAnswer) -> Finding:
    return Finding(
        expected=expected,
        actual=_said(answer),
        # No curl line: it would not hold what made the difference.
        sent=f"{request.method} {request.path} with {what}"
        + (", valid JSON and then spaces" if "body" in what else ""),
        origin=f"{what.split(' of ')[0]}: {_said(answer)[:3]}",
    )


_LIMITS = {"limits": {"body": "256KiB", "header": "8KiB"}}


def _keeping(body: int = 256 * 1024, header: int = 8 * 1024, *, chunked: bool = True) -> Example:
    """A service with its own limits in place of the shop's."""

    def alter(request: Request, response: Response) -> Response:
        size = len(request.body or b"")
        if "transfer-encoding" in request.headers and not chunked:
            return Response.of(201, {"id": "i9"})
        if size > body:
            return Response.problem(413)
        if sum(len(name) + len(value) for name, value in request.headers.pairs) > header:
            return Response.problem(431)
        return Response.of(201, {"id": "i9"})

    return Example(f"body {body}, header {header}, chunked {chunked}", alter=alter, policy=_LIMITS)


def _crashing(status: int) -> Example:
    def alter(request: Request, response: Response) -> Response:
        return Response.problem(500) if response.status == status else response

    return Example(f"500 in place of {status}", alter=alter)


CONFORMING = (Example("no limits in the contract"), _keeping())

BREACHING = (
    _keeping(body=1 << 24),
    _keeping(body=128 * 1024),
    _keeping(chunked=False),
    _keeping(header=1 << 20),
    _crashing(413),
    _crashing(414),
    _crashing(431),
)
