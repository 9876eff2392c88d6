"""What the document tells although upheld.yaml does not: everything here is printed by ``upheld plan`` and can be pinned."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from upheld.contract import patterns, shapes
from upheld.contract.account import find_api_keys
from upheld.contract.families import find_resources
from upheld.contract.model import ApiKeys, Auth, Inference, Operation, Resource
from upheld.contract.sessions import PASSWORD, SessionFinder, sent_as
from upheld.contract.words import key

if TYPE_CHECKING:
    from upheld.contract.dialect import Schemas
    from upheld.contract.policy import AuthStep, Policy

_VERSION = re.compile(r"^(?:/[^/{}]+)*?/v\d+(?:\.\d+)?(?=/|$)")
_HEALTH = ("/health", "/healthz", "/livez", "/readyz", "/ready", "/health/live", "/health/ready", "/ping", "/status")
_UNIQUE = frozenset({"email", "email_address", "username", "user_name", "login", "sku", "slug", "code", "handle", "isbn", "ean",
                     "phone", "phone_number", "vat_number", "serial_number"})  # fmt: skip


def version_prefix(operations: Iterable[Operation]) -> tuple[str, str]:
    """(prefix, from what): the version prefix of most operations.

    Empty when less than half have one, or when parts of the service count their versions apart (/users/v1, /books/v1).
    """
    counts: Counter[str] = Counter()
    total = 0
    for operation in operations:
        total += 1
        match = _VERSION.match(operation.path)
        if match:
            counts[match[0]] += 1
    if not counts:
        return "", ""
    if len({prefix.rpartition("/")[0] for prefix in counts}) > 1:
        return "", ""
    prefix, count = counts.most_common(1)[0]
    return (prefix, f"{count} of {total} operations lie under it") if count * 2 >= total else ("", "")


def unique_fields(operations: Iterable[Operation], schemas: Schemas, auth: Auth) -> list[Inference]:
    """Fields of creations that document a 409, and the user's name at registration."""
    found: dict[str, str] = {}
    register = auth.register.operation if auth.register else None
    for operation in operations:
        if operation.method not in ("POST", "PUT") or (operation is not register and "409" not in operation.responses):
            continue
        form = shapes.form_schema(operation)
        names = (
            [pointer.rpartition("/")[2] for pointer, _ in shapes.find(schemas, form[1], lambda *_: True, 1)]
            if form
            else []
        )
        named = [name for name in names if key(name) in _UNIQUE]
        if not named and operation is not register and "{" not in operation.path:
            named = [name for name in names if key(name) in ("name", "title")][:1]
        why = "makes users" if operation is register else "documents 409"
        for name in named:
            found.setdefault(name, f"{operation.label} {why}")
    return [Inference("unique", name, source) for name, source in found.items()]


def asked_for_credentials(
    operations: tuple[Operation, ...],
    schemes: Mapping[str, Mapping[str, Any]],
    policy: Policy,
) -> tuple[tuple[Operation, ...], Inference | None]:
    """The operations, with credentials asked for wherever ``public:`` does not say otherwise.

    For documents that define how to authenticate and hardly ever say where: they are silent, they do not promise open doors.
    """
    silent = [operation for operation in operations if not operation.security and "security" not in operation.raw]
    stated = len(operations) - len(silent)
    used = Counter(name for operation in operations for names in operation.security for name in names)
    names = sorted((name for name in schemes if sent_as(schemes[name])), key=lambda name: -used[name])
    if not policy.public or not names or stated * 10 >= len(operations):
        return operations, None
    prefix = policy.prefix.rstrip("/") if policy.prefix is not None else version_prefix(operations)[0]

    def completed(operation: Operation) -> Operation:
        if operation not in silent or any(
            patterns.matches(line, operation.method, operation.path, prefix) for line in policy.public
        ):
            return operation
        return replace(operation, security=(frozenset((names[0],)),))

    why = f"the document says of {stated} of {len(operations)} operations whether they ask for credentials"
    return tuple(map(completed, operations)), Inference("security", "all but those under public", why)


class Inferrer:
    """Brings the operations and the policy together."""

    def __init__(
        self,
        operations: tuple[Operation, ...],
        schemas: Schemas,
        schemes: Mapping[str, Mapping[str, Any]],
        policy: Policy,
        pinned: Callable[[str, AuthStep], Operation | None],
    ) -> None:
        self.operations = operations
        self.schemas = schemas
        self.schemes = schemes
        self.policy = policy
        self.pinned = pinned
        self.inferences: list[Inference] = []

    def tell(self, name: str, value: str, source: str) -> None:
        self.inferences.append(Inference(name, value, source))

    def prefix(self) -> str:
        """The policy's prefix, else the version prefix."""
        if self.policy.prefix is not None:
            return self.policy.prefix.rstrip("/")
        prefix, source = version_prefix(self.operations)
        if prefix:
            self.tell("prefix", prefix, source)
        return prefix

    def auth(self) -> Auth:
        finder = SessionFinder(self.operations, self.schemas, self.schemes, self.pinned)
        auth = finder.find(self.policy.auth)
        self.inferences += finder.inferences
        return auth

    def resources(self, prefix: str, auth: Auth) -> tuple[Resource, ...]:
        policy = self.policy

        def listed(lines: Iterable[str], operation: Operation) -> bool:
            return any(patterns.matches(line, operation.method, operation.path, prefix) for line in lines)

        def owned(operation: Operation) -> bool:
            open_to_all = not operation.secured or listed(policy.public, operation)
            shared = listed(policy.ownership.shared, operation)
            rule = next((rule for rule in policy.roles if listed((rule.op,), operation)), None)
            # A line that lets everybody in says nothing of whose the thing is.
            restricted = rule is not None and not everybody <= set(rule.allow)
            return not open_to_all and not shared and not restricted

        everybody = {identity.role for identity in policy.identities.values()} or {"user"}

        sessions = [step.operation for step in (auth.login, auth.refresh, auth.logout) if step]
        resources, inferences = find_resources(self.operations, self.schemas, owned, sessions)
        self.inferences += inferences
        for resource in resources:
            if resource.paging:
                paging = resource.paging
                value = ", ".join(str(part) for part in (paging.kind, paging.size, paging.position) if part)
                self.tell(f"paging {resource.name}", value, f"query parameters of GET {resource.collection}")
        return resources

    def api_keys(
        self, resources: Iterable[Resource], create: Operation | None, revoke: Operation | None
    ) -> ApiKeys | None:
        stated = (create, self.policy.auth.api_keys.key, revoke)
        found, inferences = find_api_keys(resources, self.operations, self.schemas, self.schemes, stated)
        self.inferences += inferences
        return found

    def unique(self, auth: Auth) -> tuple[str, ...]:
        inferred = unique_fields(self.operations, self.schemas, auth)
        stated = self.policy.unique
        self.inferences += [item for item in inferred if item.value not in stated]
        return tuple(dict.fromkeys([*stated, *(item.value for item in inferred)]))

    def completed(self, auth: Auth, prefix: str) -> Policy:
        """The policy with what the document tells in the places that it leaves open."""
        policy = self.policy
        changes: dict[str, Any] = {}
        if policy.errors.format is None:
            says = next((op for op in self.operations if _documents_problems(op)), None)
            if says:
                self.tell("errors.format", "rfc9457", f"{says.label} documents application/problem+json")
            changes["errors"] = policy.errors.model_copy(update={"format": "rfc9457" if says else "any"})
        if policy.target.health is None:
            health = self._health(prefix)
            if health:
                self.tell("target.health", health.path, f"{health.label} needs no credentials")
                changes["target"] = policy.target.model_copy(update={"health": health.path})
        if policy.versioning is None:
            changes["versioning"] = "path" if prefix else "none"
        idempotency = self._idempotency()
        if idempotency is not None:
            changes["idempotency"] = idempotency
        password = self._password(auth)
        if password is not None:
            changes["auth"] = policy.auth.model_copy(update={"password": password})
        return policy.model_copy(update=changes) if changes else policy

    def _health(self, prefix: str) -> Operation | None:
        for path in _HEALTH:
            for operation in self.operations:
                if operation.method == "GET" and not operation.secured and operation.path in (path, prefix + path):
                    return operation
        return None

    def _idempotency(self) -> Any:
        takes = {
            operation: parameter
            for operation in self.operations
            for parameter in operation.parameters
            if parameter.location == "header" and parameter.name.lower() == "idempotency-key"
        }
        stated = self.policy.idempotency
        if not takes or stated.ops:
            return None
        labels = tuple(operation.label for operation in takes)
        self.tell("idempotency.ops", ", ".join(labels), "their parameters have Idempotency-Key")
        required = (
            all(parameter.required for parameter in takes.values()) if stated.required is None else stated.required
        )
        return stated.model_copy(update={"ops": labels, "required": required})

    def _password(self, auth: Auth) -> Any:
        stated = self.policy.auth.password
        form = shapes.form_schema(auth.register.operation) if auth.register else None
        if stated.min is not None or form is None:
            return None
        for _, schema in shapes.find(self.schemas, form[1], lambda name, _: key(name) in PASSWORD, 2):
            lengths = [branch.get("minLength") for branch in shapes.branches(self.schemas, schema)]
            least = max((length for length in lengths if isinstance(length, int)), default=0)
            if least > 1 and auth.register:
                self.tell(
                    "auth.password.min", str(least), f"{auth.register.operation.label}: minLength of its password"
                )
                return stated.model_copy(update={"min": least})
        return None


def _documents_problems(operation: Operation) -> bool:
    return any(
        "application/problem+json" in response.content
        for code, response in operation.responses.items()
        if code[0] in "45" or code == "default"
    )
