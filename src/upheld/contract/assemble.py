"""The policy, the document and what can be inferred, put together into one `Contract`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upheld.contract import logins, patterns
from upheld.contract.infer import Inferrer, asked_for_credentials
from upheld.contract.model import Contract, Inference, Operation, RateRule
from upheld.contract.openapi import read_operations, version
from upheld.contract.problems import dotted
from upheld.contract.references import bundle
from upheld.contract.sessions import STEPS
from upheld.errors import ContractError, Place

if TYPE_CHECKING:
    from upheld.contract.baseline import Known
    from upheld.contract.policy import AuthStep, Policy
    from upheld.contract.source import Located, Step

Path_ = tuple["Step", ...]


def assemble(
    policy: Policy,
    document: Located,
    *,
    name: str,
    written: Located,
    folder: Path | None = None,
    target_url: str | None = None,
    known: tuple[Known, ...] = (),
) -> Contract:
    """Raises `ContractError` with all problems of the document, or all of upheld.yaml against it."""
    version(document)
    bundle(document, folder, remote=policy.openapi.remote_refs)
    reading = read_operations(document, target_url or policy.target.url)
    operations, silence = asked_for_credentials(reading.operations, reading.security_schemes, policy)
    policy, from_file = logins.stated(policy, written, operations)
    lines = _Lines(policy, written, operations)
    policy, auth_pins = lines.settle()

    def pinned(step: str, said: AuthStep) -> Operation | None:
        return auth_pins.get(f"{step}.op")

    def named(place: str) -> Operation | None:
        return auth_pins.get(place)

    inferrer = Inferrer(operations, reading.schemas, reading.security_schemes, policy, pinned)
    prefix = inferrer.prefix()
    auth = inferrer.auth()
    resources = inferrer.resources(prefix, auth)
    auth = replace(auth, api_keys=inferrer.api_keys(resources, named("api_keys.create"), named("api_keys.revoke")))
    unique = inferrer.unique(auth)
    policy = inferrer.completed(auth, prefix)
    own = logins.settle(
        policy,
        auth,
        operations,
        reading.security_schemes,
        prefix=prefix,
        target=target_url or policy.target.url,
        written=written,
    )
    policy = own.policy
    contract = Contract(
        name=name,
        policy=policy,
        document=document.value,
        operations=operations,
        resources=resources,
        auth=auth,
        prefix=prefix,
        rate_rules=tuple(_rate_rules(policy)),
        inferences=(*lines.dropped, *((silence,) if silence else ()), *from_file, *inferrer.inferences),
        folder=folder,
        policy_file=written.file,
        openapi_file=document.file,
        security_schemes=reading.security_schemes,
        unique_fields=unique,
        notes=(*own.notes, *reading.notes),
        logins=own.steps,
        unusable=own.unusable,
        given=policy.imported.given if policy.imported else {},
        written=written,
        known=known,
    )
    # The reading has translated and cached what the contract will ask for; cached_property looks here first.
    contract.__dict__["schemas"] = reading.schemas
    return contract


def _rate_rules(policy: Policy) -> Iterator[RateRule]:
    for rule in policy.rate_limits:
        quota, window = rule.quota
        algorithm = rule.algorithm or policy.rate_limit.algorithm
        yield RateRule(rule.op, quota, window, rule.key, rule.exempt, algorithm, rule.also_by or "")


class _Lines:
    """Every line that names operations: those of the file must match one, those of the standard are dropped if not."""

    def __init__(self, policy: Policy, written: Located, operations: tuple[Operation, ...]) -> None:
        self.policy = policy
        self.written = written
        self.operations = operations
        self.prefix = policy.prefix or ""
        self.problems: list[tuple[Place, str]] = []
        self.dropped: list[Inference] = []

    def settle(self) -> tuple[Policy, dict[str, Operation]]:
        policy = self._prefix(self.policy)
        pins = self._auth()
        for path, pattern in self._patterns():
            if not self._matching(pattern):
                if self.written.has(path):
                    self.problems.append((self.written.place(path), self._nothing(path, pattern)))
                else:
                    self._drop(path, f"no operation matches {pattern!r}")
        if self.problems:
            raise ContractError(*sorted(self.problems, key=lambda problem: (problem[0].line, problem[1])))
        return self._without_dropped(policy), pins

    def _matching(self, pattern: str) -> list[Operation]:
        return [op for op in self.operations if patterns.matches(pattern, op.method, op.path, self.prefix)]

    def _drop(self, path: Path_, why: str) -> None:
        self.dropped.append(Inference(dotted(path), "dropped", f"the standard's line: {why}"))

    def _prefix(self, policy: Policy) -> Policy:
        stated = policy.prefix
        if stated is None:
            from upheld.contract.infer import version_prefix

            self.prefix = version_prefix(self.operations)[0]
            return policy
        if not stated or any(patterns.under(op.path, stated) for op in self.operations):
            return policy
        if self.written.has(["prefix"]):
            near = version_hint(self.operations)
            sentence = f"prefix {stated!r}: no operation lies under it" + (f"; they lie under {near!r}" if near else "")
            self.problems.append((self.written.place(["prefix"]), sentence))
            return policy
        self._drop(("prefix",), f"no operation lies under {stated}")
        policy = policy.model_copy(update={"prefix": None})
        return self._prefix(policy)

    def _auth(self) -> dict[str, Operation]:
        pins: dict[str, Operation] = {}
        for path, pattern in self._pinned():
            found = self._matching(pattern)
            # A literal path is meant before a template that fits it too: /users/me before /users/{id}.
            exact = [op for op in found if "{" not in op.path]
            found = exact if len(exact) == 1 else found
            if len(found) == 1:
                pins[".".join(path[1:])] = found[0]
            elif not self.written.has(path):
                self._drop(path, f"no operation matches {pattern!r}")
            elif not found:
                self.problems.append((self.written.place(path), self._nothing(path, pattern)))
            else:
                labels = ", ".join(op.label for op in found[:4])
                self.problems.append(
                    (self.written.place(path), f"{dotted(path)} must name one operation, found {labels}")
                )
        return pins

    def _pinned(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """(path in the file, pattern) of every line that names exactly one operation of the session's life."""
        auth = self.policy.auth
        for name in STEPS:
            step: AuthStep | None = getattr(auth, name)
            if step is not None and step.op is not None:
                yield ("auth", name, "op"), step.op
        for path, pattern in (
            (("auth", "api_keys", "create"), auth.api_keys.create),
            (("auth", "api_keys", "revoke"), auth.api_keys.revoke),
            (("auth", "oauth", "token"), auth.oauth.token),
            (("auth", "oauth", "authorize"), auth.oauth.authorize),
        ):
            if pattern is not None:
                yield path, pattern

    def _nothing(self, path: Path_, pattern: str) -> str:
        near = patterns.near(pattern, [op.label for op in self.operations], self.prefix)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"{dotted(path)}: {pattern!r} matches no operation{hint}"

    def _patterns(self) -> Iterator[tuple[Path_, str]]:
        """(path in the file, pattern). Exemptions and public paths may name what the document does not show: /docs."""
        policy = self.policy
        lists: list[tuple[Path_, Any]] = [
            (("ownership", "shared"), policy.ownership.shared),
            (("caching", "etag"), policy.caching.etag),
            (("caching", "if_match"), policy.caching.if_match),
            (("latency", "complex_ops"), policy.latency.complex_ops),
            (("never",), policy.never),
            (("idempotency", "ops"), policy.idempotency.ops),
        ]
        for path, values in lists:
            for index, pattern in enumerate(values):
                yield (*path, index), pattern
        for name in ("roles", "rate_limits", "waive"):
            for index, rule in enumerate(getattr(policy, name)):
                yield (name, index, "op"), rule.op
        tables: dict[Path_, Any] = {
            ("caching", "routes"): policy.caching.routes,
            ("load", "weights"): policy.load.weights,
            ("latency", "ops"): policy.latency.ops,
        }
        for path, table in tables.items():
            for pattern in table:
                yield (*path, self._as_written(path, pattern)), pattern

    def _as_written(self, path: Path_, pattern: str) -> str:
        """The key of the file that became this pattern when its spaces were tidied."""
        table = self.written.value
        for step in path:
            table = table.get(step) if isinstance(table, dict) else None
        keys = table if isinstance(table, dict) else ()
        return next((key for key in keys if " ".join(key.split()) == pattern), pattern)

    def _without_dropped(self, policy: Policy) -> Policy:
        if self.written.has(["rate_limits"]):
            return policy
        kept = tuple(rule for rule in policy.rate_limits if self._matching(rule.op))
        return policy.model_copy(update={"rate_limits": kept}) if len(kept) < len(policy.rate_limits) else policy


def version_hint(operations: tuple[Operation, ...]) -> str:
    """The version prefix that the operations have, for a message."""
    from upheld.contract.infer import version_prefix

    return version_prefix(operations)[0]
