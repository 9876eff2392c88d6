"""Properties that a client may not set, each with a value that fits and that the service would not choose by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upheld.check import Lane
from upheld.checks.authz._owners import OWNERS, stranger
from upheld.contract import shapes
from upheld.contract.scopes import role_names
from upheld.contract.words import key
from upheld.exchange import Session
from upheld.steps import access_token

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation
    from upheld.contract.model import JsonSchema

_GRAVE = ("role", "is_admin", "is_superuser", "is_staff", "admin", "permissions", "verified", "is_verified", "balance", "credit", "status",
          "price", "total", "id")  # fmt: skip
_PAST = "2001-02-03"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d.*")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_YES = re.compile(r"(?:is|has|can)_.*|admin|verified|disabled|active|approved|confirmed|paid")


@dataclass(frozen=True, slots=True)
class Unasked:
    """One property to send along."""

    name: str
    value: Any

    @property
    def names_an_owner(self) -> bool:
        return key(self.name) in OWNERS

    @property
    def names_itself(self) -> bool:
        return key(self.name) in ("id", "uuid")

    def shown_in(self, document: Mapping[str, Any]) -> bool:
        """It stands there with this value, a time perhaps in another form."""
        found = document.get(self.name)
        if isinstance(found, str) and isinstance(self.value, str) and self.value.startswith(_PAST):
            return found.startswith(_PAST)
        return type(found) is type(self.value) and bool(found == self.value)


def unasked(
    lane: Lane, operation: Operation, read: Operation, shown: Mapping[str, Any], other: Session | None
) -> list[Unasked]:
    """What to send along with ``operation``, the gravest first. ``shown`` is what ``read`` shows of a thing that it wrote."""
    contract = lane.contract
    own = _properties(contract, operation)
    read_only = {
        n for n, s in own.items() if any(b.get("readOnly") is True for b in shapes.branches(contract.schemas, s))
    }
    elsewhere = {name for sibling in _siblings(contract, operation) for name in _properties(contract, sibling)}
    protected = {key(name) for name in contract.policy.ownership.protected}
    volatile = {key(name) for name in contract.policy.volatile}
    welcome, shut = _takes_more(contract, operation), _takes_no_more(contract, operation)

    def closed(name: str) -> bool:
        if name in own and name not in read_only:
            return False
        if key(name) in protected or name in read_only:
            return True
        if name in elsewhere or key(name) in volatile or welcome:
            return False
        return shut or _telling(key(name), shown[name])

    def weight(name: str) -> tuple[bool, bool, int]:
        plain = key(name)
        return plain not in protected, name not in read_only, _GRAVE.index(plain) if plain in _GRAVE else len(_GRAVE)

    schema = shapes.success_schema(read)
    described = shapes.properties(contract.schemas, schema) if schema is not None else {}
    values = {
        name: next(_values(lane, name, shown[name], described.get(name, True), other), None)
        for name in sorted(filter(closed, shown), key=weight)
    }
    return [Unasked(name, value) for name, value in values.items() if value is not None]


def _properties(contract: Contract, operation: Operation) -> Mapping[str, JsonSchema]:
    schema = operation.body.json_schema if operation.body is not None else None
    return shapes.properties(contract.schemas, schema) if schema is not None else {}


def _siblings(contract: Contract, operation: Operation) -> list[Operation]:
    """Operations that write the same kind of thing: what creating takes is no secret, though a change does not document it."""
    families = (f for f in contract.resources if operation in (f.create, f.replace, f.update))
    return [op for f in families for op in (f.create, f.replace, f.update) if op is not None and op != operation]


def _takes_more(contract: Contract, operation: Operation) -> bool:
    """The document says that other properties are welcome, or names none at all."""
    schema = operation.body.json_schema if operation.body is not None else None
    if schema is None or not _properties(contract, operation):
        return True
    return any(
        branch.get("additionalProperties", False) not in (False, None)
        for branch in shapes.branches(contract.schemas, schema)
    )


def _takes_no_more(contract: Contract, operation: Operation) -> bool:
    """The document says that there are no other properties. Left unsaid, an icon that it forgot to list is no attack."""
    schema = operation.body.json_schema if operation.body is not None else None
    return schema is not None and any(
        branch.get("additionalProperties") is False or branch.get("unevaluatedProperties") is False
        for branch in shapes.branches(contract.schemas, schema)
    )


def _telling(name: str, now: Any) -> bool:
    """Setting it is worth something to whoever may not: a right, an owner, an amount, a time that the service keeps."""
    moment = isinstance(now, str) and bool(_MOMENT.fullmatch(now))
    # Ids that clients choose are common, and harm nobody while no other thing has them.
    return name != "id" and (name in _GRAVE or name in OWNERS or moment or bool(_YES.fullmatch(name)))


def _values(lane: Lane, name: str, now: Any, schema: JsonSchema, other: Session | None) -> Iterator[Any]:
    """Values to try, none of them ``now``; none at all for what is no scalar."""
    plain = key(name)
    if isinstance(now, dict | list):
        return
    listed = [v for b in shapes.branches(lane.contract.schemas, schema) for v in _enumerated(b.get("enum"))]
    if plain == "role":
        yield from (role for role in role_names(lane.contract) if role != now and (not listed or role in listed))
    if listed:
        yield from (value for value in listed if value != now and value is not None)
        return
    if plain in OWNERS and other is not None:
        token = access_token(other)
        subject = token.claims.get("sub") if token is not None else None
        if (
            isinstance(subject, str)
            and subject != now
            and (not isinstance(now, str) or bool(_UUID.fullmatch(now)) == bool(_UUID.fullmatch(subject)))
        ):
            yield subject
    if isinstance(now, bool) or (now is None and _YES.fullmatch(plain)):
        yield not now
    elif isinstance(now, int | float):
        # One more is what counters and versions come to by themselves.
        yield now + 1009
    elif isinstance(now, str) and now:
        yield _text(lane, plain, now)
    elif plain == "role":
        yield "admin"


def _text(lane: Lane, name: str, now: str) -> str:
    if _MOMENT.fullmatch(now):
        return f"{_PAST}T04:05:06Z"
    if _DAY.fullmatch(now):
        return _PAST
    if "@" in now:
        return lane.unique("m") + "@example.com"
    if _UUID.fullmatch(now) or name == "id" or name.endswith("_id"):
        return stranger(lane, now)
    return "admin" if name == "role" else f"{now}x"


def _enumerated(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
