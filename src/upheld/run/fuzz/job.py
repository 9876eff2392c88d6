"""What the engine's process is told about the contract, as plain JSON: it must not need the contract itself."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from upheld.contract import shapes
from upheld.contract.words import key, singular
from upheld.exchange import NotJson, Response

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation
    from upheld.contract.model import JsonSchema, Resource
    from upheld.exchange import Session

_OWN = frozenset({"id", "uuid", "sub", "user_id", "uid", "email", "username", "login", "user_name", "handle", "slug"})
_KEYS = frozenset({"idempotency_key", "x_idempotency_key"})

VERSION = 1
"""Version of the lines that the engine's process writes and of the job that it reads."""


def who_calls(contract: Contract, operation: Operation, user: Session | None, admin: Session | None) -> str:
    """``user``, ``admin`` or nothing: whose credentials the engine sends on this operation."""
    if not operation.security:
        return ""
    allowed = contract.roles(operation)
    if user is not None and (allowed is None or user.role in allowed):
        return "user"
    if admin is not None and (user is None or (allowed is not None and admin.role in allowed)):
        return "admin"
    return "user" if user is not None else ""


def job(
    contract: Contract,
    *,
    user: Session | None,
    admin: Session | None,
    known: Mapping[str, Sequence[str]],
    protected: Collection[str],
    token: str,
    one_pass: bool,
    phases: Sequence[str],
    engine_seconds: float,
    body_limit: int,
    addresses: Sequence[str],
    wait_budget: float,
    requests: int | None = None,
) -> dict[str, Any]:
    """Everything that the hooks need. Credentials are not in it: they travel in the environment."""
    operations = [op for op in contract.operations if op.label not in contract.dangerous]
    families = {family.member: family for family in contract.resources}
    return {
        "version": VERSION,
        "token": token,
        "one_pass": one_pass,
        "phases": list(phases),
        "engine_seconds": engine_seconds,
        "operations": [op.label for op in operations],
        "body_limit": body_limit,
        "addresses": list(addresses),
        "wait_budget": wait_budget,
        "requests": requests,
        "pace": None,
        "callers": {op.label: who for op in operations if (who := who_calls(contract, op, user, admin))},
        "unique": {op.label: fields for op in operations if (fields := unique_fields(contract, op))},
        "keys": {op.label: field for op in operations if (field := idempotency_key(contract, op))},
        "paths": {op.label: ids for op in operations if (ids := path_ids(op, families))},
        "bodies": {op.label: refs for op in operations if (refs := body_references(contract, op))},
        "makers": {
            family.create.label: [family.member, family.id_pointer] for family in contract.resources if family.create
        },
        "lists": {
            family.list.label: [family.member, family.items_pointer, family.id_pointer]
            for family in contract.resources
            if family.list and family.items_pointer is not None
        },
        "login": _login(contract),
        "refresh": _refresh(contract),
        "known": {member: list(ids) for member, ids in known.items()},
        "protected": sorted({*protected, *own_values(user), *own_values(admin)}),
        "danger": [[op.method, _regex(op.path)] for op in contract.operations if op.label in contract.dangerous],
    }


def _login(contract: Contract) -> dict[str, Any] | None:
    """Where a login takes name and password, and where its answer gives a refresh token."""
    step = contract.auth.login
    if step is None:
        return None
    return {"label": step.operation.label, "fields": _places(step.body), "refresh": step.refresh}


def _refresh(contract: Contract) -> dict[str, Any] | None:
    step = contract.auth.refresh
    return (
        None if step is None else {"label": step.operation.label, "fields": _places(step.body), "refresh": step.refresh}
    )


def _places(template: Any, pointer: str = "") -> dict[str, str]:
    """JSON Pointer → ``$user``, ``$password`` or ``$refresh`` in the template of a body."""
    if isinstance(template, Mapping):
        parts = [_places(value, f"{pointer}/{name}") for name, value in template.items()]
        return {place: word for part in parts for place, word in part.items()}
    return {pointer: template} if template in ("$user", "$password", "$refresh") else {}


def own_values(session: Session | None) -> Iterator[str]:
    """Names and ids of an identity, from its login and the claims of its token: what no unsafe request may name."""
    if session is None:
        return
    if session.user:
        yield session.user
    for token in (session.access or "", *(value.rpartition(" ")[2] for _, value in session.headers)):
        parts = token.split(".")
        if len(parts) != 3:
            continue
        try:
            claims = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        except ValueError:
            continue
        yield from own_ids(Response.of(200, claims))


def own_ids(response: Response) -> Iterator[str]:
    """Names and ids in the answer of an operation about the caller."""
    try:
        document = response.json()
    except NotJson:
        return
    if isinstance(document, dict):
        for part in (document, *(value for value in document.values() if isinstance(value, dict))):
            for name, value in part.items():
                if (
                    key(str(name)) in _OWN
                    and isinstance(value, (str, int))
                    and not isinstance(value, bool)
                    and str(value)
                ):
                    yield str(value)


# -- unique fields -------------------------------------------------------------------------------------------------------


def unique_fields(contract: Contract, operation: Operation) -> list[dict[str, Any]]:
    """Where in the body values stand that must differ from case to case, and what their schema takes."""
    steps = (contract.auth.login, contract.auth.refresh, contract.auth.logout)
    form = shapes.form_schema(operation)
    if (
        form is None
        or operation.method not in ("POST", "PUT", "PATCH")
        or any(s and s.operation == operation for s in steps)
    ):
        return []
    names = {key(_last(name)) for name in contract.unique_fields}
    found = shapes.find(contract.schemas, form[1], lambda name, _: key(name) in names, depth=2)
    return [field for pointer, schema in found if (field := _field(contract, pointer, schema)) is not None]


def _last(name: str) -> str:
    return re.split(r"[./\s]", name)[-1]


def _field(contract: Contract, pointer: str, schema: JsonSchema) -> dict[str, Any] | None:
    for branch in shapes.branches(contract.schemas, schema):
        kinds = shapes.types(branch) - {"null"}
        if "enum" in branch or "const" in branch:
            return None
        if kinds == {"integer"}:
            return {"path": pointer, "kind": "integer", "min": branch.get("minimum"), "max": branch.get("maximum")}
        if kinds == {"string"}:
            form = branch.get("format")
            return {
                "path": pointer,
                "kind": str(form) if form in ("email", "uuid") else "text",
                "min": branch.get("minLength"),
                "max": branch.get("maxLength"),
                "pattern": branch.get("pattern"),
            }
    return None


def idempotency_key(contract: Contract, operation: Operation) -> dict[str, Any] | None:
    """The header parameter by which the service knows a request again, and what its schema takes.

    draft-ietf-httpapi-idempotency-key-header-07 §2.2: a key "MUST NOT be reused with another request with a different request
    payload". Sent twice, it is answered from memory or refused, and the case tells nothing about its own input.
    """
    for parameter in operation.parameters:
        if parameter.location == "header" and key(parameter.name) in _KEYS:
            return _field(contract, parameter.name, parameter.schema)
    return None


# -- ids that exist ------------------------------------------------------------------------------------------------------


def path_ids(operation: Operation, families: Mapping[str, Resource]) -> dict[str, list[str]]:
    """Path parameter → [member path of the family whose ids it takes, type of the id]."""
    found = {}
    for parameter in operation.path_parameters:
        mark = "{" + parameter.name + "}"
        member = operation.path.split(mark)[0] + mark
        if member in families and families[member].create != operation:
            kind = "integer" if shapes.types(parameter.schema) == {"integer"} else "string"
            found[parameter.name] = [member, kind]
    return found


def body_references(contract: Contract, operation: Operation) -> list[list[Any]]:
    """[JSON Pointer, member path] of body fields that name a member of a family: ``product_id``, ``items/*/productId``."""
    form = shapes.form_schema(operation)
    if form is None:
        return []
    by_name = {
        f"{singular(key(family.name))}_{part}": family for family in contract.resources for part in ("id", "uuid")
    }
    found: list[list[Any]] = []

    def visit(schema: JsonSchema, pointer: str, depth: int) -> None:
        for name, inner in shapes.properties(contract.schemas, schema).items():
            here = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            family = by_name.get(key(name))
            if family is not None and not any(
                isinstance(b.get("enum"), list) for b in shapes.branches(contract.schemas, inner)
            ):
                found.append([here, family.member])
            elif depth:
                item = shapes.items(contract.schemas, inner)
                visit(inner, here, depth - 1)
                if item is not None:
                    visit(item, f"{here}/*", depth - 1)

    visit(form[1], "", 2)
    return found


def _regex(template: str) -> str:
    return "".join(
        r"[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^{}/]+\})", template) if part
    )
