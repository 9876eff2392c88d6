"""Logins that identities have of their own, held against the document and against ``auth.login``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from upheld.contract import patterns
from upheld.contract.environment import VARIABLE, variables
from upheld.contract.model import Auth, Inference, Operation, Step
from upheld.contract.placement import COOKIE, api_key_field, placement
from upheld.contract.sections.access import AuthStep, Identity
from upheld.contract.sections.login import Login
from upheld.errors import ContractError, Place

if TYPE_CHECKING:
    from typing import Any

    from upheld.contract.policy import Policy
    from upheld.contract.source import Located


@dataclass
class Logins:
    """What `settle` finds out."""

    policy: Policy
    steps: dict[str, Step] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[Place, str]] = field(default_factory=list)


def stated(policy: Policy, written: Located, operations: Iterable[Operation]) -> tuple[Policy, list[Inference]]:
    """Where a file of identities has one login for all and upheld.yaml has none, the file's is ``auth.login``.

    So everybody signs in there, those too whom the run registers.
    """
    imported = policy.imported
    if imported is None or written.has(("auth", "login")):
        return policy, []
    logins = [policy.identities[name].login for name in imported.identities if name not in imported.outside]
    found = [login for login in logins if login is not None]
    if not found or any(login != found[0] for login in found) or not _is_plain(found[0]):
        return policy, []
    login = found[0]
    operation = _documented(login, operations)
    if operation is None:
        return policy, []
    before = policy.auth.login or AuthStep()
    step = before.model_copy(
        update={"op": operation.label, "body": login.body, "access": login.access, "media_type": login.media_type}
    )
    told = [Inference("auth.login.op", operation.label, f"{imported.file}: the login of its identities")]
    auth: dict[str, Any] = {"login": step}
    if login.scheme and not written.has(("auth", "scheme")):
        auth["scheme"] = login.scheme
        told.append(Inference("auth.scheme", login.scheme, f"{imported.file}: how its identities send their token"))
    return policy.model_copy(update={"auth": policy.auth.model_copy(update=auth)}), told


def settle(
    policy: Policy,
    auth: Auth,
    operations: tuple[Operation, ...],
    schemes: Mapping[str, Mapping[str, Any]],
    *,
    prefix: str,
    target: str | None,
    written: Located,
) -> Logins:
    """Each identity's own login as a `Step`; those that only repeat ``auth.login`` are dropped.

    ``target`` is the URL of the service, where it is known. Raises `ContractError` for lines that match no operation.
    """
    made = Logins(policy)
    imported = policy.imported
    identities: dict[str, Identity] = {}
    problems: list[tuple[Place, str]] = []
    for name, identity in policy.identities.items():
        from_file = (
            imported is not None and name in imported.identities and not written.has(("identities", name, "login"))
        )
        if from_file and imported is not None:
            made.unusable |= _elsewhere(name, imported.outside.get(name), target)
            if name in imported.unusable:
                made.unusable[name] = imported.unusable[name]
            identity = _shortened(identity, auth.scheme, api_key_field(schemes))
        if identity.login is not None:
            try:
                step = _step(identity.login, operations, prefix, documented=not from_file)
            except LookupError as missing:
                problems.append(
                    (written.place(("identities", name, "login", "op")), f"identities.{name}.login.op: {missing}")
                )
                continue
            if _repeats(step, auth):
                identity = identity.model_copy(update={"login": None})
            else:
                made.steps[name] = step
            if imported is not None and from_file and step.operation not in operations and name not in made.unusable:
                near = patterns.near(step.operation.label, [op.label for op in operations], prefix)
                hint = f"; the document has {' and '.join(near)}" if near else ""
                said = f"{name} signs in with {step.operation.label}, which is not in the document{hint}"
                made.notes.append((imported.places[name], said))
        identities[name] = identity
    if problems:
        raise ContractError(*problems)
    if imported is not None:
        made.notes = [*imported.notes, *made.notes]
        made.notes += [
            (imported.places[name], f"{name} can't be signed in: {why}") for name, why in made.unusable.items()
        ]
    if identities != policy.identities:
        made.policy = policy.model_copy(update={"identities": identities})
    return made


def _is_plain(login: Login) -> bool:
    """It says nothing that ``auth.login`` can't say, and names the user and the password."""
    body = login.body if isinstance(login.body, dict) else {}
    named = {"$user", "$password"} <= {value for value in body.values() if isinstance(value, str)}
    return named and not login.headers and (login.access or "").startswith("/") and not variables(repr(body))


def _documented(login: Login, operations: Iterable[Operation]) -> Operation | None:
    """The operation at this very address; where the file says it from the root, a prefix is not added."""
    method, path = patterns.split(login.op)
    return next((op for op in operations if op.method == method and op.path.rstrip("/") == path.rstrip("/")), None)


def _step(login: Login, operations: tuple[Operation, ...], prefix: str, *, documented: bool) -> Step:
    operation = _documented(login, operations)
    if operation is None and documented:
        found = [op for op in operations if patterns.matches(login.op, op.method, op.path, prefix)]
        if len(found) != 1:
            near = patterns.near(login.op, [op.label for op in operations], prefix)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise LookupError(f"{login.op!r} must name one operation, it matches {len(found) or 'none'}{hint}")
        operation = found[0]
    if operation is None:
        method, path = patterns.split(login.op)
        operation = Operation(method or "POST", path, "", (), None, {}, ())
    return Step(
        operation,
        login.body,
        access=login.access or "",
        refresh=login.refresh or "",
        media_type=login.media_type or "application/json",
        headers=login.headers,
        scheme=login.scheme or "",
    )


def _repeats(step: Step, auth: Auth) -> bool:
    login = auth.login
    return (
        login is not None
        and not step.headers
        and step.access != COOKIE
        and (step.operation, step.body, step.media_type) == (login.operation, login.body, login.media_type)
        and step.access in ("", login.access)
        and step.refresh in ("", login.refresh)
        and step.scheme in ("", auth.scheme)
    )


def _shortened(identity: Identity, scheme: str, key_field: str) -> Identity:
    """A header field of the file that is the token or the API key where everybody sends it is said as such."""
    if identity.login is not None or len(identity.headers) != 1:
        return identity
    fields = tuple(identity.headers.items())
    forms = {"token_env": placement(scheme).token(fields), "api_key_env": fields[0][1]}
    if fields[0][0].lower() != key_field.lower():
        del forms["api_key_env"]
    for key, text in forms.items():
        if text and (whole := VARIABLE.fullmatch(text)):
            return identity.model_copy(update={"headers": {}, key: whole[1]})
    return identity


def _elsewhere(name: str, at: str | None, target: str | None) -> dict[str, str]:
    from upheld.contract.wfc.document import origin

    if at is None or (target and at == origin(target)):
        return {}
    return {name: f"it signs in at {at}, which is not the target; only the target is ever sent to"}
