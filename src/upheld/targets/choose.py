"""From ``target:`` in upheld.yaml and ``--target`` to the target that they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from upheld.errors import UsageError
from upheld.targets.base import Capability, Profile, Target
from upheld.targets.command import PATHS, Command
from upheld.targets.embedded import Embedded
from upheld.targets.url import Url

if TYPE_CHECKING:
    from upheld.targets.containers.target import Wanted


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
    def image(self) -> str | None: ...
    @property
    def service(self) -> str | None: ...
    @property
    def port(self) -> int | None: ...
    @property
    def parts(self) -> Mapping[str, Any]: ...
    @property
    def inherit(self) -> Iterable[str]: ...
    @property
    def store(self) -> Any: ...
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
    tell: Callable[[str], None] = lambda _: None,
) -> Target:
    """The target to enter. ``url`` (``--target``) wins over the file; then ``start``, ``embedded``, ``url``, ``compose`` and
    ``image`` of the file.

    ``folder`` is the contract's, which ``cwd`` is relative to. A target that can ``profile`` may be opened once for each
    profile, side by side. ``tell`` shows what takes long. Raises `UsageError` when there is no target, or one that we may not
    talk to.
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
    if policy.compose or policy.image:
        return _in_containers(policy, profile, folder, frozenset(hosts), tell)
    raise UsageError(
        'there is no target to test: give `--target URL`, or in upheld.yaml `target: {start: "your-command --port {port}"}`'
    )


def _command(policy: TargetPolicy, profile: Profile, folder: Path | None) -> Command:
    assert policy.start is not None
    ours = "{port}" in policy.start or not policy.url
    base = folder or Path.cwd()
    return Command(
        policy.start,
        cwd=base / policy.cwd if policy.cwd else base,
        env={**policy.env, **_environments(policy)[profile]},
        url=None if ours else policy.url,
        base=urlsplit(policy.url or "").path,
        paths=_paths(policy),
        # Two of them can only stand side by side on ports of our choice.
        can=_profiles(policy, profile) if ours else frozenset(),
        timeout=policy.ready_within,
    )


def _in_containers(
    policy: TargetPolicy, profile: Profile, folder: Path | None, hosts: frozenset[str], tell: Callable[[str], None]
) -> Target:
    if find_spec("testcontainers") is None:
        kind = "compose" if policy.compose else "image"
        raise UsageError(f"target.{kind} needs packages that are not installed: pip install 'upheld[containers]'")
    base = folder or Path.cwd()
    if policy.compose:
        from upheld.targets.containers.compose import Compose

        return Compose(base / policy.compose, _wanted(policy, profile, hosts, tell), policy.service)
    from upheld.targets.containers.image import Image, Part

    assert policy.image is not None
    parts = {
        name: Part(part.image, env=part.env, command=part.command, ready=part.ready)
        for name, part in policy.parts.items()
    }
    return Image(policy.image, _wanted(policy, profile, hosts, tell), parts)


def _wanted(policy: TargetPolicy, profile: Profile, hosts: frozenset[str], tell: Callable[[str], None]) -> Wanted:
    from upheld.targets.containers.target import Wanted

    return Wanted(
        port=policy.port,
        paths=_paths(policy),
        env={**policy.env, **_environments(policy)[profile]},
        inherit=tuple(policy.inherit),
        store=policy.store.part if policy.store else None,
        within=policy.ready_within,
        can=_profiles(policy, profile),
        allow_hosts=hosts,
        tell=tell,
    )


def _paths(policy: TargetPolicy) -> tuple[str, ...]:
    return (policy.health,) if policy.health else (*PATHS, *_listed(policy.served_spec))


def _environments(policy: TargetPolicy) -> dict[Profile, dict[str, str]]:
    """What each profile adds to the environment."""
    raised, shipped = _environment(policy.profiles, "raised"), _environment(policy.profiles, "shipped")
    short_lived = {**raised, **_environment(policy.profiles, "short_lived")}
    return {"raised": raised, "shipped": shipped, "short_lived": short_lived}


def _profiles(policy: TargetPolicy, profile: Profile) -> frozenset[Capability]:
    """``profile`` where something tells two of them apart."""
    environments = _environments(policy)
    other: Profile = "short_lived" if profile == "short_lived" else "shipped"
    return frozenset({"profile"} if environments["raised"] != environments[other] else ())


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
