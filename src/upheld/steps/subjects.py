"""To what a requirement is applied: operations and resources of the contract, picked by what they offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from upheld.check import NotApplicable, Subject, Subjects, Unproven

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource


def operations(contract: Contract, keep: Callable[[Operation], bool], otherwise: str) -> Subjects:
    """One subject for each operation that ``keep`` keeps and that may be sent; not applicable (``otherwise``) without any."""
    found = [
        Subject(op.label, operation=op) for op in contract.operations if keep(op) and op.label not in contract.dangerous
    ]
    return found or NotApplicable(otherwise)


def resources(contract: Contract, keep: Callable[[Resource], bool], otherwise: str) -> Subjects:
    """One subject for each resource family that ``keep`` keeps."""
    found = [Subject(family.collection, resource=family) for family in contract.resources if keep(family)]
    return found or NotApplicable(otherwise)


def canary(contract: Contract) -> Operation | None:
    """A safe, secured operation that needs nothing but credentials: the smallest proof that a session is alive.

    Operations about the caller (``/me``) come first, then those that no ``roles:`` line restricts, then short paths.
    """

    def needs_nothing(op: Operation) -> bool:
        return (
            op.method == "GET"
            and not contract.is_public(op)
            and not any(p.required for p in op.parameters)
            and op.label not in contract.dangerous
        )

    def order(op: Operation) -> tuple[bool, bool, int, str]:
        return (contract.roles(op) is not None, not _about_its_caller(contract, op), len(op.path), op.path)

    return min(filter(needs_nothing, contract.operations), key=order, default=None)


def _about_its_caller(contract: Contract, operation: Operation) -> bool:
    *before, last = operation.path.removeprefix(contract.prefix).strip("/").split("/")
    if last in ("current", "user"):
        # /jobs/current is the job that runs now.
        return before in ([], ["api"]) or before[-1] in _ACCOUNTS
    return last in ("me", "self", "profile", "whoami")


_ACCOUNTS = frozenset({"user", "users", "account", "accounts", "auth", "session", "sessions", "identity", "me"})


def plain_get(contract: Contract) -> Operation | None:
    """A GET that needs no parameters: below the version prefix and open to everybody where there is such a one."""

    def needs_nothing(op: Operation) -> bool:
        return (
            op.method == "GET"
            and op.success is not None
            and not any(p.required for p in op.parameters)
            and op.label not in contract.dangerous
        )

    def order(op: Operation) -> tuple[bool, bool, bool, int, str]:
        outside = not op.path.startswith(contract.prefix + "/")
        return (outside, op.secured, contract.roles(op) is not None, len(op.path), op.path)

    return min(filter(needs_nothing, contract.operations), key=order, default=None)


def takes_json(operation: Operation) -> bool:
    """Its request body may be JSON, and the document says more of it than that."""
    return operation.body is not None and isinstance(operation.body.json_schema, Mapping)


def touches_only_its_own(contract: Contract, operation: Operation) -> bool:
    """Calling it changes nothing that was there before: it is safe, names no member, or names one that can be made first."""
    creates = {r.member: r.create for r in contract.resources if r.create and r.create.label not in contract.dangerous}
    return operation.safe or all(
        operation.path.split("{" + parameter.name + "}")[0] + "{" + parameter.name + "}" in creates
        for parameter in operation.path_parameters
    )


MYSELF = frozenset({"me", "self", "profile", "account", "current", "user"})


def sampled(contract: Contract, keep: Callable[[Operation], bool], most: int, otherwise: str) -> Subjects:
    """At most ``most`` operations that ``keep`` keeps, those that need the fewest preparations first."""
    found = operations(contract, lambda op: keep(op) and touches_only_its_own(contract, op), otherwise)
    if isinstance(found, NotApplicable | Unproven):
        return found
    creates = {family.create.label for family in contract.resources if family.create is not None}

    def order(subject: Subject) -> tuple[int, bool]:
        label = subject.label
        return label.count("{"), label not in creates

    return sorted(found, key=order)[:most]
