"""Who may call what: lines under ``roles:``, and the scopes that the document's security requirements name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from upheld.contract.model import Contract, Operation

Expected = Literal["allowed", "denied", "unknown"]


def role_names(contract: Contract) -> tuple[str, ...]:
    """Every role that upheld.yaml names, those of the identities first."""
    listed = (role for rule in contract.policy.roles for role in rule.allow)
    return tuple(dict.fromkeys((*contract.policy.roles_named(), *listed)))


def named_scopes(contract: Contract, operation: Operation) -> tuple[frozenset[str], ...]:
    """The scopes (or roles, OpenAPI 3.1) that each alternative of the security requirement names; empty ones too."""
    stated = operation.raw.get("security", contract.document.get("security"))
    alternatives = stated if isinstance(stated, list) else []
    return tuple(
        frozenset(str(scope) for scopes in one.values() if isinstance(scopes, list) for scope in scopes)
        for one in alternatives
        if isinstance(one, Mapping)
    )


def roles_by_scope(contract: Contract, operation: Operation) -> tuple[str, ...] | None:
    """The roles all of whose identities hold what one alternative asks for.

    None where scopes decide nothing: an alternative asks for none, or upheld.yaml states none of those that it names.
    """
    if not _decides(contract, operation):
        return None
    return tuple(role for role in role_names(contract) if _by_scope(contract, operation, role) == "allowed")


def expected(contract: Contract, operation: Operation, role: str) -> Expected:
    """What the contract says of this role; what nothing restricts is open to every role."""
    for rule in contract.policy.roles:
        if contract.matches(rule.op, operation):
            return "allowed" if role in rule.allow else "denied"
    return _by_scope(contract, operation, role) if _decides(contract, operation) else "allowed"


def _decides(contract: Contract, operation: Operation) -> bool:
    alternatives = named_scopes(contract, operation)
    identities = contract.policy.identities.values()
    stated = {scope for identity in identities for scope in identity.scopes or ()} | set(contract.policy.roles_named())
    return bool(alternatives) and all(alternatives) and any(wanted & stated for wanted in alternatives)


def _by_scope(contract: Contract, operation: Operation, role: str) -> Expected:
    alternatives = named_scopes(contract, operation)
    roles = set(role_names(contract))
    verdicts: set[Expected] = set()
    for scopes in [i.scopes for i in contract.policy.identities.values() if i.role == role] or [None]:
        held = {role, *(scopes or ())}
        if any(wanted <= held for wanted in alternatives):
            verdicts.add("allowed")
        else:
            # Without a word of its scopes it may hold the one that is asked for, unless those are roles.
            verdicts.add(
                "unknown" if scopes is None and not all(wanted <= roles for wanted in alternatives) else "denied"
            )
    return verdicts.pop() if len(verdicts) == 1 else "unknown"
