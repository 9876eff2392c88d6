"""From ``target:`` in upheld.yaml and ``--target`` to the target that they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from upheld.errors import UsageError
from upheld.targets.base import Capability, Profile, Target
from upheld.targets.command import PATHS, Command
from upheld.targets.embedded import Embedded
from upheld.targets.url import Url


class TargetPolicy(Protocol):
    """``target:`` of upheld.yaml, as far as it is read here."""

    @property
    def url(self) -> str | None: ...
    @property
    def served_spec(self) -> str | None: ...
    @property
    def start(self) -> str | None: ...
    @property
    def cwd(self) -> str | None: ...
    @property
    def env(self) -> Mapping[str, str]: ...
    @property
    def health(self) -> str | None: ...
    @property
    def ready_within(self) -> float: ...
    @property
    def compose(self) -> str | None: ...
    @property
    def profiles(self) -> Any: ...
    @property
    def embedded(self) -> bool: ...
    @property
    def allow_host(self) -> Any: ...


def open_target(
    policy: TargetPolicy,
    url: str | None = None,
    *,
    profile: Profile = "raised",
    folder: Path | None = None,
    allow_hosts: Iterable[str] = (),
) -> Target:
    """The target to enter. ``url`` (``--target``) wins over the file; then ``start``, ``embedded``, ``url`` of the file.

    ``folder`` is the contract's, which ``cwd`` is relative to. A target that can ``profile`` may be opened once for each
    profile, side by side. Raises `UsageError` when there is no target, or one that we may not talk to.
    """
    hosts = {*allow_hosts, *_listed(policy.allow_host)}
    health = policy.health or PATHS[0]
    if url is not None:
        return Url(url, allow_hosts=hosts, health=health)
    if policy.start:
        return _command(policy, profile, folder)
    if policy.embedded:
        env = {**policy.env, **_environment(policy.profiles, profile)}
        return Embedded(profile, env=env, timeout=policy.ready_within)
    if policy.url:
        return Url(policy.url, allow_hosts=hosts, health=health)
    if policy.compose:
        raise UsageError(
            "target.compose is not supported yet; start it yourself and give `--target URL`, or use target.start"
        )
    raise UsageError(
        'there is no target to test: give `--target URL`, or in upheld.yaml `target: {start: "your-command --port {port}"}`'
    )


def _command(policy: TargetPolicy, profile: Profile, folder: Path | None) -> Command:
    assert policy.start is not None
    environments = {name: _environment(policy.profiles, name) for name in ("raised", "shipped")}
    environments["short_lived"] = {**environments["raised"], **_environment(policy.profiles, "short_lived")}
    ours = "{port}" in policy.start or not policy.url
    # Two of them can only stand side by side on ports of our choice, and are only two if something tells them apart.
    other = "short_lived" if profile == "short_lived" else "shipped"
    can: frozenset[Capability] = frozenset(
        {"profile"} if ours and environments["raised"] != environments[other] else ()
    )
    base = folder or Path.cwd()
    paths = (policy.health,) if policy.health else (*PATHS, *_listed(policy.served_spec))
    return Command(
        policy.start,
        cwd=base / policy.cwd if policy.cwd else base,
        env={**policy.env, **environments[profile]},
        url=None if ours else policy.url,
        base=urlsplit(policy.url or "").path,
        paths=paths,
        can=can,
        timeout=policy.ready_within,
    )


def _environment(profiles: Any, profile: str) -> dict[str, str]:
    """``profiles.<profile>.env``, from a mapping or a model, with every level optional."""
    value = profiles
    for key in (profile, "env"):
        value = value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)
    return {str(key): str(text) for key, text in (value or {}).items()}


def _listed(value: str | Iterable[str] | None) -> tuple[str, ...]:
    if not value:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
