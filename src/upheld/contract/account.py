"""The caller's own account in the document: changing its password, deleting it, making API keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from upheld.contract import shapes
from upheld.contract.model import ApiKeys, Inference, Operation, Resource
from upheld.contract.words import key, words

if TYPE_CHECKING:
    from upheld.contract.dialect import Schemas
    from upheld.contract.model import JsonSchema

CURRENT = frozenset(
    {"current_password", "old_password", "password_old", "password_current", "previous_password", "existing_password"}
)
NEW = frozenset({"new_password", "password_new", "new_passwd", "newpass"})
REPEATED = frozenset(
    {"confirm_password", "password_confirm", "password_confirmation", "new_password_confirmation", "confirm_new_password",
     "repeat_password", "password_repeat", "new_password_repeat", "new_password2", "new_password_confirm"}
)  # fmt: skip
_FORGOTTEN = frozenset({"forgot", "forgotten", "reset", "recover", "recovery", "verify", "strength", "check", "policy"})
_SELF = frozenset({"me", "self", "myself", "account", "profile", "current"})
_AROUND = frozenset({"api", "rest", "v", "auth", "users", "user", "accounts", "account", "my", *map(str, range(10))})
_KEYS = frozenset({"api_key", "key", "token", "secret", "plain_key", "raw_key", "full_key", "plaintext"})


def changes_password(op: Operation, schemas: Schemas) -> int:
    """How well the operation looks like the one that changes the caller's own password; 0 when it does not."""
    if op.method not in ("PUT", "POST", "PATCH") or not op.secured or "{" in op.path:
        return 0
    said, body = set(words(op.path)) | set(words(op.operation_id)), _members(op, schemas)
    if said & _FORGOTTEN or not body & (NEW | {"password"}):
        return 0
    # PATCH /users/me with an optional password changes a profile; it is not asked for the current one here.
    return (
        4 * bool(body & NEW) + 3 * bool(body & CURRENT) + 2 * ("password" in set(words(op.path))) if body & NEW else 0
    )


def deletes_account(op: Operation) -> int:
    """How well the operation looks like the one that ends the caller's own account; 0 when it does not."""
    if op.method != "DELETE" or not op.secured or "{" in op.path:
        return 0
    segments = [set(words(segment)) for segment in op.path.split("/") if segment]
    mine = bool(segments) and bool(segments[-1] & _SELF) and all(segment <= _AROUND | _SELF for segment in segments)
    return 3 * mine


def password_template(node: JsonSchema, schemas: Schemas, *, other: Any) -> dict[str, Any]:
    """Body of a password change: the current password, the new one, the new one once more."""
    body: dict[str, Any] = {}
    needed = shapes.required(schemas, node)
    for name, value in shapes.properties(schemas, node).items():
        plain = key(name)
        if plain in NEW or plain in REPEATED:
            body[name] = "$new_password"
        elif plain in CURRENT or plain == "password":
            body[name] = "$password"
        elif name in needed:
            body[name] = other(name, value)
    return body


def find_api_keys(
    resources: Iterable[Resource],
    operations: Iterable[Operation],
    schemas: Schemas,
    schemes: Mapping[str, Mapping[str, Any]],
    stated: tuple[Operation | None, str | None, Operation | None],
) -> tuple[ApiKeys | None, list[Inference]]:
    """How a caller makes an API key; ``stated`` are the operations and the pointer that upheld.yaml names."""
    header = next(
        (str(s.get("name")) for s in schemes.values() if s.get("type") == "apiKey" and s.get("in") == "header"), ""
    )
    create, pointer, revoke = stated
    family = next((r for r in resources if (r.create == create if create else _is_of_keys(r, schemas))), None)
    create = create or (family.create if family else None)
    if create is None or not header or header.lower() == "authorization":
        return None, []
    pointer = pointer or _key_pointer(create, schemas)
    if pointer is None:
        return None, []
    revoke = revoke or (family.delete if family else None)
    id_pointer = family.id_pointer if family else ""
    told = [Inference("auth.api_keys.create", create.label, f"{create.label}: its {create.success} has {pointer}")]
    return ApiKeys(create, pointer, header, id_pointer, revoke), told if stated[0] is None else []


def _is_of_keys(resource: Resource, schemas: Schemas) -> bool:
    last = words(resource.collection.rstrip("/").rsplit("/", 1)[-1])
    named = "api" in last and ("keys" in last or "key" in last)
    return named and resource.create is not None and _key_pointer(resource.create, schemas) is not None


def _key_pointer(create: Operation, schemas: Schemas) -> str | None:
    schema = shapes.success_schema(create)
    if schema is None:
        return None
    found = list(shapes.find(schemas, schema, lambda name, _: key(name) in _KEYS, 1))
    return found[0][0] if found else None


def _members(op: Operation, schemas: Schemas) -> frozenset[str]:
    form = shapes.form_schema(op)
    return frozenset(_names(form[1], schemas)) if form else frozenset()


def _names(schema: JsonSchema, schemas: Schemas) -> Iterator[str]:
    for name in shapes.properties(schemas, schema):
        yield key(name)
