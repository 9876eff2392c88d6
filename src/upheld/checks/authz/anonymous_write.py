"""Whatever changes something asks for credentials, or is open by decision.

## What it requires

An operation with POST, PUT, PATCH or DELETE either asks for credentials, or somebody decided that it does not: `security: []` in the document, or
a line under `public:`. What was not decided is called without credentials, and must not work.

## Why

A route is open unless somebody closes it, in most frameworks. A forgotten dependency is missing from the generated document as well, so
the two agree with each other, and nothing that compares them notices.

## What it sends

Where all such operations are decided, nothing: the document is read. For each of the others one valid request without credentials.
Operations that begin, renew or end sessions, webhooks, and POSTs that only read (`/search`, `/query`, `/preview`) are left out.

## Example of a breach

`POST /products` has no `security` in the document, and works for everybody: `201`.

## When to waive it

Never: list what everybody may call under `public:`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    SERVICE,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subject,
    Subjects,
    Unproven,
    send,
)
from upheld.contract.words import words
from upheld.exchange import Request, Response
from upheld.steps import caller, describe, tidy, valid_request

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="Whatever changes something asks for credentials, or is open by decision",
    level=MUST,
    clause=Clause(
        "OWASP API5:2023",
        "https://owasp.org/API-Security/editions/2023/en/0xa5-broken-function-level-authorization/",
        "The enforcement mechanism(s) should deny all access by default, requiring explicit grants to specific roles for "
        "access to every function.",
    ),
    catalogue=("AUTHZ-10",),
    reads=("public", "roles"),
    cost=2,
    owasp="API5:2023",
    cwe=("CWE-306",),
)

_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_SESSIONS = frozenset({"auth", "login", "signin", "logout", "signout", "register", "registration", "signup", "refresh", "token", "oauth",
                       "password", "verify", "verification", "confirm", "confirmation", "forgot", "recover", "activate", "sso"})  # fmt: skip
_CALLED_BY_MACHINES = frozenset({"webhook", "webhooks", "hook", "hooks", "callback", "callbacks", "ipn"})
_READS = frozenset({"search", "query", "graphql", "preview", "validate", "check", "calculate", "estimate", "quote", "lookup", "filter",
                    "count", "echo", "ping"})  # fmt: skip


def subjects(contract: Contract) -> Subjects:
    changing = _changing(contract)
    if not changing:
        return NotApplicable("no operation changes anything")
    if not contract.security_schemes and not any(operation.secured for operation in contract.operations):
        return NotApplicable("the contract knows no credentials")
    open_ = [op for op in changing if not _decided(contract, op) and op.label not in contract.dangerous]
    return [Subject(op.label, operation=op) for op in open_] or [SERVICE]


def converse(lane: Lane) -> Conversation:
    operation = lane.subject.operation
    if operation is None:
        changing = _changing(lane.contract)
        secured = sum(operation.secured for operation in changing)
        return Kept(f"{secured} of {len(changing)} ask for credentials, the others are open by decision")
    request: Request = yield from valid_request(lane, operation, None)
    answer: Response = yield from send(request)
    short = operation.path.removeprefix(lane.contract.prefix)
    line = f'public: ["{operation.method} {short}"]   # if everybody may call it'
    if answer.ok:
        deleter = next((f.delete for f in lane.contract.resources if f.create == operation and f.delete), None)
        if deleter is not None:
            yield from tidy(lane, operation, answer, (yield from caller(lane, deleter)))
        return Finding(
            expected=f"401; or, if everybody may call it, {line.split('   ')[0]} in upheld.yaml",
            actual=f"{answer.status}: anonymous modification",
            sent=f"{operation.label} without credentials",
            required="the document asks for no credentials, and nobody says that it is meant so"
            + (
                f"; the contract lets only {', '.join(roles)} call it"
                if (roles := lane.contract.roles(operation))
                else ""
            ),
            request=request,
        )
    if answer.status in (401, 403):
        return Kept(f"{answer.status} without credentials, although the document asks for none")
    return Unproven(f"{operation.label} without credentials was answered with {describe(answer)}", line)


def _changing(contract: Contract) -> list[Operation]:
    return [operation for operation in contract.operations if operation.method in _UNSAFE]


def _decided(contract: Contract, operation: Operation) -> bool:
    if operation.secured or any(contract.matches(line, operation) for line in contract.policy.public):
        return True
    if contract.roles(operation) is not None:
        return False
    said = {word for segment in operation.path.split("/") for word in words(segment)}
    last = set(words(operation.path.rstrip("/").rsplit("/", 1)[-1]))
    stated = "security" in operation.raw or "security" in contract.document
    return stated or bool(said & (_SESSIONS | _CALLED_BY_MACHINES) or last & _READS) or _of_session(contract, operation)


def _of_session(contract: Contract, operation: Operation) -> bool:
    auth = contract.auth
    return any(step and step.operation == operation for step in (auth.register, auth.login, auth.refresh, auth.logout))


_ITEMS = "/api/v1/items"


def _forgotten(document: dict[str, Any]) -> None:
    del document["paths"][_ITEMS]["post"]["security"]


def _stated(document: dict[str, Any]) -> None:
    document["paths"][_ITEMS]["post"]["security"] = []


def _let_in(request: Request, response: Response) -> Response:
    return Response.of(201, {"id": "i9"}) if request.path == _ITEMS and response.status == 401 else response


CONFORMING = (
    Example("everything is decided"),
    Example("open by decision of the document", document=_stated, alter=_let_in),
    Example("open by decision of upheld.yaml", document=_forgotten, policy={"public": ["POST /items"]}, alter=_let_in),
    Example("the document forgot it, the service did not", document=_forgotten),
)

BREACHING = (
    Example("forgotten by both", document=_forgotten, alter=_let_in),
    Example(
        "stated as open, and only for administrators by upheld.yaml",
        document=_stated,
        policy={"roles": [{"op": "POST /items", "allow": ["admin"]}]},
        alter=_let_in,
    ),
)
