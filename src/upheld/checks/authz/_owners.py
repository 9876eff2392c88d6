"""Two people of one role, and what one of them made: the ground of every check about owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upheld.check import CannotProve, Lane, Unproven, send, sign_in
from upheld.exchange import NotJson, Request, Response, Session
from upheld.steps import Move, describe, make, member_path
from upheld.steps.values import plain

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource

GONE: Mapping[str, str] = {"": "it is gone"}

OWNERS = (
    "owner_id", "user_id", "owner", "user", "account_id", "customer_id", "author_id", "author", "created_by", "creator_id",
    "member_id", "client_id", "tenant_id",
)  # fmt: skip
"""Names of properties and parameters that say whose a thing is, as `upheld.contract.words.key` writes them."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """A member that ``owner`` made and read, and somebody else of the same role."""

    family: Resource
    owner: Session
    other: Session
    identifier: str
    read: Request
    """The owner's request that shows it."""
    shown: Response


def shared(contract: Contract, operation: Operation) -> bool:
    """upheld.yaml lists it under ``ownership.shared``."""
    return any(contract.matches(pattern, operation) for pattern in contract.policy.ownership.shared)


def owned(contract: Contract) -> list[Resource]:
    """Families at the top of a path whose members belong to whoever makes them."""
    return [
        family
        for family in contract.resources
        if family.owned
        and family.create is not None
        and family.create.label not in contract.dangerous
        and family.read is not None
        and "{" not in family.collection
        and not shared(contract, family.list or family.read)
    ]


def above(contract: Contract, operation: Operation) -> Resource | None:
    """The owned family whose member the operation's path names, or is below of; None when there is none."""
    path = operation.path.rstrip("/") + "/"
    found = (family for family in owned(contract) if path.startswith(family.member.rstrip("/") + "/"))
    return next(found, None)


def pair(lane: Lane, family: Resource, *, fresh: bool = False) -> Move:
    """``owner, other = yield from pair(lane, family)``: both may create; ``fresh`` makes the other a newcomer."""
    assert family.create is not None
    allowed = lane.contract.roles(family.create)
    role = allowed[0] if allowed else None
    owner: Session = yield from sign_in(role)
    other: Session = yield from sign_in(role, fresh=fresh)
    if owner.user and owner.user == other.user:
        raise CannotProve("it takes two people of one role, and there is one", "identities: {bob: {role: user}}")
    return owner, other


def belonging(lane: Lane, family: Resource, owner: Session, other: Session) -> Move:
    """``thing = yield from belonging(lane, family, owner, other)``. Raises `CannotProve` where its owner can't read it."""
    assert family.read is not None
    identifier: str
    identifier, _ = yield from make(lane, family, owner)
    read = Request("GET", member_path(family, identifier, family.read.path), session=owner, operation=family.read.label)
    shown: Response = yield from send(read)
    if not shown.ok:
        raise CannotProve(f"its owner can't read it either: {family.read.label} was answered with {describe(shown)}")
    return Belonging(family, owner, other, identifier, read, shown)


def stated(contract: Contract) -> bool:
    """upheld.yaml says whose things are whose; otherwise it is only inferred that members have owners."""
    return bool(contract.policy.ownership.model_fields_set & {"foreign", "shared"})


def lines(family: Resource) -> str:
    """What to add to upheld.yaml where nothing is stated: one of the two."""
    return f"ownership: {{shared: [{family.collection}]}}   # or, if they have owners:  ownership: {{foreign: 404}}"


def shared_by_design(
    lane: Lane, family: Resource, read: Request, other: Session, *, even_if_stated: bool = False
) -> Move:
    """``unproven = yield from shared_by_design(…)``: ``other`` may read it and nobody says that it has an owner, or None.

    ``even_if_stated``: whatever upheld.yaml says, since authz/foreign-read tells of a member that strangers read.
    """
    if stated(lane.contract) and not even_if_stated:
        return None
    answer: Response = yield from send(read.as_(other))
    if not answer.ok:
        return None
    maker = read.session.name if read.session else "its owner"
    return Unproven(f"{other.name} may read what {maker} made, so it seems to be shared by design", lines(family))


def statuses(contract: Contract) -> tuple[int, ...]:
    """How somebody else's thing is refused."""
    foreign = contract.policy.ownership.foreign
    return (403, 404) if foreign == "any" else (int(foreign),)


def promised(contract: Contract) -> str:
    """The clause of upheld.yaml that `statuses` reads; empty where it leaves the choice."""
    foreign = contract.policy.ownership.foreign
    return "" if foreign == "any" else f"the contract says ownership: {{foreign: {foreign}}}"


def state(contract: Contract, response: Response) -> Mapping[str, str] | None:
    """A member's properties as text, without volatile ones; `GONE`; None where the answer does not tell."""
    if response.status in (404, 410):
        return GONE
    value = document(response)
    if not response.ok or not isinstance(value, dict):
        return None
    return {str(name): plain(item) for name, item in value.items() if name not in contract.policy.volatile}


def differing(before: Mapping[str, str] | None, after: Mapping[str, str] | None) -> frozenset[str]:
    """Names of properties that are not the same, or absent in one of the two."""
    if before is None or after is None:
        return frozenset()
    return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def document(message: Request | Response) -> Any:
    """The body parsed, or None."""
    try:
        return message.json()
    except NotJson:
        return None


def stranger(lane: Lane, identifier: str) -> str:
    """An id of the same form that names nothing: same length, digits for digits, letters for letters."""
    import hashlib
    import uuid

    try:
        uuid.UUID(identifier)
    except ValueError:
        pass
    else:
        return str(uuid.UUID(bytes=hashlib.sha256(lane.unique().encode()).digest()[:16], version=4))
    if identifier.isascii() and identifier.isdecimal():
        return str(int(identifier) + 1_000_003)
    noise = hashlib.sha512(lane.unique().encode()).hexdigest() * (1 + len(identifier) // 128)
    return "".join(_like(char, int(digit, 16)) for char, digit in zip(identifier, noise, strict=False))


def _like(char: str, number: int) -> str:
    if char.isdecimal():
        return "0123456789"[number % 10]
    if char.isascii() and char.isalpha():
        letters = "abcdef" if char.lower() in "abcdef" else "ghjkmnpqrstvwxyz"
        found = letters[number % len(letters)]
        return found.upper() if char.isupper() else found
    return char
