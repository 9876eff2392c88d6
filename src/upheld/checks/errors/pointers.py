"""A refused body tells which of its members are wrong.

## What it requires
When members of a body break the schema, the problem document lists faults under `errors.errors_member`, and at least one of them names
a member that is wrong: by a JSON Pointer (`#/name`, `/body/name`), a list of keys (`["body", "name"]`), or its name.
`errors.pointer_style` can ask for one of these forms. A validator that stops at the first fault does enough.

## Why
A form can only mark its fields if it is told which. "Invalid request" sends people to the log, and then to the support.

## What it sends
To at most three operations that take JSON: a valid request, then one in which two members are wrong.

## Example of a breach
`422 {"title": "Validation failed", "status": 422}` without any list, or with pointers to members that were right.

## When to waive it
For operations where an answer that says less is intended, such as a login.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from upheld.check import (
    SHOULD,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subjects,
    send,
)
from upheld.exchange import NotJson, Request, Response
from upheld.steps import (
    accepted,
    another,
    describe,
    exempt_from_problems,
    problem_fault,
    sampled,
    takes_json,
    tidy,
)

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation
    from upheld.contract.model import JsonSchema

REQUIREMENT = Requirement(
    title="a refused body tells which of its members are wrong",
    level=SHOULD,
    clause=Clause(
        "RFC 9457 §3, RFC 6901",
        "https://www.rfc-editor.org/rfc/rfc9457#section-3",
        'containing "detail" to describe the issue and "pointer" to locate the problem within the request\'s content',
    ),
    catalogue=("ERR-04",),
    reads=("errors.errors_member", "errors.pointer_style", "errors.exempt", "secrets"),
    cost=3,
)


def subjects(contract: Contract) -> Subjects:
    if contract.policy.errors.errors_member is None:
        return NotApplicable("the contract names no member that lists faults (errors: {errors_member: errors})")
    return sampled(
        contract, lambda op: takes_json(op) and any(_spoilt(contract, op)), 3, "no member of a body can be wrong"
    )


def converse(lane: Lane) -> Conversation:
    contract, operation = lane.contract, lane.operation
    member = contract.policy.errors.errors_member or "errors"
    request, response, session = yield from accepted(lane, operation)
    yield from tidy(lane, operation, response, session)
    request = another(lane, operation, request)
    if exempt_from_problems(contract, request):
        raise CannotProve(f"{operation.label} has an error format of its own (errors.exempt)")
    wrong = dict(list(_spoilt(contract, operation))[:2])
    request = request.with_json({**request.json(), **wrong})
    answer: Response = yield from send(request)
    yield from tidy(lane, operation, answer, session)
    if answer.status not in (400, 422):
        raise CannotProve(f"a body with wrong {' and '.join(wrong)} was answered with {describe(answer)}")
    if problem_fault(answer):
        raise CannotProve("its refusals are no problem documents, see errors/problem-json")
    listed = _listed(answer, member)
    named = [
        name for name in wrong if any(_names(entry, name, contract.policy.errors.pointer_style) for entry in listed)
    ]
    if named:
        return Kept("" if len(named) == len(wrong) else f"only {named[0]} is named: it stops at the first fault")
    style = {"pointer": "a JSON Pointer", "loc": "a list of keys"}.get(
        contract.policy.errors.pointer_style, "a pointer"
    )
    return Finding(
        sent=f"{operation.label} with wrong {' and '.join(wrong)}",
        expected=f"{member!r} with {style} to {' or '.join(wrong)}",
        actual=f"{answer.status} with {member!r}: {str(listed)[:160]}"
        if listed
        else f"{answer.status} without {member!r}",
        origin="the list of faults names other members" if listed else f"refusals have no {member!r}",
        request=request,
    )


def _spoilt(contract: Contract, operation: Operation) -> Iterator[tuple[str, Any]]:
    """(member, a value that breaks its schema) of a JSON body, those of the right type first: validators see them together."""
    from upheld.contract import shapes

    schema = operation.body.json_schema if operation.body is not None else None
    properties = shapes.properties(contract.schemas, schema) if schema is not None else {}
    for candidates in (_out_of_bounds, _of_another_type):
        for name, rule in properties.items():
            if name not in contract.policy.secrets:
                validator = contract.validator(rule, "request")
                bad = [value for value in candidates(contract.schemas.expand(rule)) if not validator.is_valid(value)]
                if bad:
                    yield name, bad[0]


def _out_of_bounds(rule: JsonSchema) -> Iterator[Any]:
    if not isinstance(rule, Mapping):
        return
    if isinstance(rule.get("enum"), list):
        yield "upheld-none-of-these"
    if isinstance(rule.get("maxLength"), int) and rule["maxLength"] < 5000:
        yield "x" * (rule["maxLength"] + 1)
    if rule.get("minLength"):
        yield ""
    if isinstance(rule.get("maximum"), int | float):
        yield rule["maximum"] + 1
    if isinstance(rule.get("minimum"), int | float):
        yield rule["minimum"] - 1


def _of_another_type(rule: JsonSchema) -> Iterator[Any]:
    # No service makes a scalar of an object, or a number of these words.
    yield from ({"upheld": "no such thing"}, "upheld: no such thing")


def _listed(answer: Response, member: str) -> list[Any]:
    """The entries of the list of faults; a mapping from member to faults counts as one too."""
    try:
        value = answer.json().get(member)
    except NotJson:
        return []
    if isinstance(value, Mapping):
        return [{"name": name, "detail": faults} for name, faults in value.items()]
    return value if isinstance(value, list) else []


_PARTS = re.compile(r"[/.\[\]#$'\"\s:]+")


def _names(entry: Any, name: str, style: str) -> bool:
    """Whether an entry points at the member."""
    if isinstance(entry, str):
        return style == "any" and name.lower() in _PARTS.split(entry.lower())
    if not isinstance(entry, Mapping):
        return False
    for value in entry.values():
        if isinstance(value, Mapping) and _names(value, name, style):  # JSON:API's {"source": {"pointer": …}}
            return True
        if isinstance(value, list) and style != "pointer" and name in value:
            return True
        written = isinstance(value, str) and style != "loc" and (style == "any" or "/" in value)
        if written and name.lower() in _PARTS.split(value.lower()):
            return True
    return False


_CREATE = "POST /api/v1/items"


def _answering(**members: Any) -> Any:
    def alter(request: Request, response: Response) -> Response:
        document = {"type": "about:blank", "title": "Invalid", "status": 422, **members}
        return (
            Response.of(422, document, content_type="application/problem+json") if response.status == 422 else response
        )

    return alter


CONFORMING = (
    Example("a pointer for each", subject=_CREATE),
    Example(
        "only the first", subject=_CREATE, alter=_answering(errors=[{"detail": "too long", "pointer": "#/body/name"}])
    ),
    Example(
        "as Pydantic lists them", subject=_CREATE, alter=_answering(errors=[{"loc": ["body", "quantity"], "msg": "no"}])
    ),
    Example(
        "as ASP.NET lists them", subject=_CREATE, alter=_answering(errors={"Name": ["The field Name is too long."]})
    ),
    Example("as field and message", subject=_CREATE, alter=_answering(errors=[{"field": "quantity", "message": "no"}])),
)
BREACHING = (
    Example("no list", subject=_CREATE, alter=_answering(detail="Invalid request")),
    Example("an empty list", subject=_CREATE, alter=_answering(errors=[])),
    Example(
        "pointers to what was right", subject=_CREATE, alter=_answering(errors=[{"pointer": "#/body", "detail": "no"}])
    ),
    Example(
        "names where the contract asks for pointers",
        subject=_CREATE,
        alter=_answering(errors=[{"field": "name", "message": "no"}]),
        policy={"errors": {"errors_member": "errors", "pointer_style": "pointer"}},
    ),
)
