"""The contract says which errors an operation answers with.

## What it requires

Each operation documents a success, and the errors that its own description makes certain: 401 where it needs credentials, 403 where `roles:`
restricts it, 404 where its path has an id, 400 or 422 where it takes input, 429 where a line of `rate_limits:` counts it, 500. A
range (`4XX`) or `default` will do. Under `errors: {format: rfc9457}` each documented error is `application/problem+json`.

## Why

Who writes a client has only the document. What it leaves out is found in production, one status after the other.

## What it sends

Nothing: the document is read. What is missing is told once for each status, with the operations that lack it.

## Example of a breach

No operation documents 429, though `rate_limits:` has a line for all of them.

## When to waive it

If a document is generated and can't be completed, lay the missing responses over it with an OpenAPI Overlay rather than waive this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from upheld.check import (
    SHOULD,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    Requirement,
    Subject,
    Subjects,
)

if TYPE_CHECKING:
    from typing import Any

    from upheld.contract import Contract, Operation

REQUIREMENT = Requirement(
    title="The contract says which errors an operation answers with",
    level=SHOULD,
    clause=Clause(
        "OpenAPI 3.1.1, Responses Object",
        "https://spec.openapis.org/oas/v3.1.1.html#responses-object",
        "documentation is expected to cover a successful operation response and any known errors",
    ),
    catalogue=("SPEC-03",),
    reads=("errors.format", "errors.malformed", "roles", "rate_limits", "unique"),
    cost=0,
    owasp="API9:2023",
    cwe=("CWE-1059",),
)

Needs = Callable[["Contract", "Operation"], bool]

_PROBLEM = "application/problem+json"


def _takes_input(contract: Contract, operation: Operation) -> bool:
    return operation.body is not None or bool(operation.query_parameters)


def _makes_unique(contract: Contract, operation: Operation) -> bool:
    schema = operation.body.json_schema if operation.body else None
    properties = schema.get("properties") if isinstance(schema, dict) else None
    creates = operation.method == "POST" and "201" in operation.responses
    return creates and isinstance(properties, dict) and any(name in properties for name in contract.policy.unique)


_NEEDS: dict[str, Needs] = {
    "a success": lambda contract, operation: True,
    "401": lambda contract, operation: not contract.is_public(operation),
    "403": lambda contract, operation: contract.roles(operation) is not None,
    "404": lambda contract, operation: bool(operation.path_parameters),
    "409": _makes_unique,
    "invalid input": _takes_input,
    "429": lambda contract, operation: contract.rate_rule(operation) is not None,
    "500": lambda contract, operation: True,
    _PROBLEM: lambda contract, operation: (
        contract.policy.errors.format == "rfc9457"
        and not any(contract.matches(pattern, operation) for pattern in contract.policy.errors.exempt)
    ),
}


def subjects(contract: Contract) -> Subjects:
    return [Subject(what) for what, needs in _NEEDS.items() if any(needs(contract, op) for op in contract.operations)]


def converse(lane: Lane) -> Conversation:
    yield from ()  # a dialogue is a generator, also when it has nothing to send
    contract, what = lane.contract, lane.subject.label
    concerned = [op for op in contract.operations if _NEEDS[what](contract, op)]
    lacking = [op.label for op in concerned if not _documents(contract, op, what)]
    if not lacking:
        return Kept(f"{len(concerned)} operations")
    shown = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
    return Finding(
        expected=_expected(contract, what),
        actual=f"missing in {len(lacking)} of {len(concerned)} operations: {shown}",
        sent="nothing: the document was read",
    )


def _documents(contract: Contract, operation: Operation, what: str) -> bool:
    if what == "a success":
        return any(code[:1] in "23" or code == "default" for code in operation.responses)
    if what == "invalid input":
        codes = {400, 422, *contract.policy.errors.malformed}
        return any(operation.response_for(code) is not None for code in codes)
    if what == _PROBLEM:
        # RFC 6749 §5.2 gives these two of a token endpoint a shape of their own.
        of_oauth = ("400", "401") if contract.oauth.speaks_oauth and operation == contract.oauth.token else ()
        errors = [
            spec
            for code, spec in operation.responses.items()
            if (code[:1] in "45" or code == "default") and code not in of_oauth
        ]
        return all(_PROBLEM in spec.content for spec in errors if spec.content)
    return operation.response_for(int(what)) is not None


def _expected(contract: Contract, what: str) -> str:
    if what == "a success":
        return "one 2xx or 3xx response"
    if what == "invalid input":
        return " or ".join(str(code) for code in sorted({400, 422, *contract.policy.errors.malformed}))
    if what == _PROBLEM:
        return f"{_PROBLEM} as the content of each documented error (contract: errors.format: rfc9457)"
    return f"a response {what} (or {what[0]}XX, or default)"


def _without(*codes: str, everywhere: bool = False) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for path, item in document["paths"].items():
            for operation in item.values():
                if isinstance(operation, dict) and (everywhere or path.endswith("/orders/{order_id}")):
                    for code in codes:
                        operation["responses"].pop(code, None)

    return change


def _ranges(document: dict[str, Any]) -> None:
    for item in document["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                kept = {code: spec for code, spec in operation["responses"].items() if code.startswith("2")}
                operation["responses"] = {
                    **kept,
                    "4XX": {"description": "refused"},
                    "default": {"description": "failed"},
                }


def _as_json(document: dict[str, Any]) -> None:
    responses = document["paths"]["/api/v1/items"]["get"]["responses"]
    responses["422"] = {"description": "invalid", "content": {"application/json": {"schema": {}}}}


def _token_errors(*codes: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        responses = document["paths"]["/api/v1/oauth/token"]["post"]["responses"]
        for code in codes:
            responses[code] = {"description": "refused", "content": {"application/json": {"schema": {}}}}

    return change


CONFORMING = (
    Example("too many requests", subject="429"),
    Example("of somebody who is not known", subject="401"),
    Example("an id that names nothing", subject="404"),
    Example("problem documents", subject=_PROBLEM),
    Example("OAuth's own errors at the token endpoint", document=_token_errors("400", "401"), subject=_PROBLEM),
    *(Example(f"{code} by a range or default", document=_ranges, subject=code) for code in ("401", "404", "500")),
)

BREACHING = (
    Example("no 404 for members", document=_without("404"), subject="404"),
    Example("no 401", document=_without("401"), subject="401"),
    Example("no 429 anywhere", document=_without("429", everywhere=True), subject="429"),
    Example("neither 400 nor 422", document=_without("400", "422", everywhere=True), subject="invalid input"),
    Example("only errors", document=_without("200", "201", "204"), subject="a success"),
    Example("an error of another type", document=_as_json, subject=_PROBLEM),
    Example("what is not OAuth's at the token endpoint", document=_token_errors("400", "429"), subject=_PROBLEM),
)
