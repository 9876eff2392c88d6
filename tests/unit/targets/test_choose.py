"""From upheld.yaml and --target to a target."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from upheld.errors import UsageError
from upheld.targets import Command, Embedded, Url, open_target


@dataclass(frozen=True)
class Policy:
    url: str | None = None
    served_spec: str | None = None
    start: str | None = None
    cwd: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    health: str | None = None
    ready_within: float = 30.0
    profiles: Any = None
    compose: str | None = None
    image: str | None = None
    service: str | None = None
    port: int | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    inherit: tuple[str, ...] = ()
    store: Any = None
    embedded: bool = False
    allow_host: tuple[str, ...] = ()


PROFILES = {"raised": {"env": {"LIMITS": "off"}}, "shipped": {}}


def test_the_option_wins_over_the_file() -> None:
    target = open_target(Policy(start="serve", url="http://127.0.0.1:1", embedded=True), "http://127.0.0.1:9000/")
    assert isinstance(target, Url)
    assert target.url == "http://127.0.0.1:9000"
    assert target.can == frozenset()


def test_a_url_in_the_file_and_a_host_that_it_allows() -> None:
    target = open_target(Policy(url="http://api.test:9000", allow_host=("api.test",), health="/up"))
    assert isinstance(target, Url)
    assert target.health == "/up"
    with pytest.raises(UsageError, match="--allow-host"):
        open_target(Policy(url="http://api.test:9000"))
    assert isinstance(open_target(Policy(), "http://api.test:9000", allow_hosts=["api.test"]), Url)


def test_a_command_in_two_profiles() -> None:
    policy = Policy(start="serve --port {port}", env={"A": "1", "LIMITS": "on"}, profiles=PROFILES)
    raised, shipped = open_target(policy, profile="raised"), open_target(policy, profile="shipped")
    assert isinstance(raised, Command)
    assert isinstance(shipped, Command)
    assert (raised.env, shipped.env) == ({"A": "1", "LIMITS": "off"}, {"A": "1", "LIMITS": "on"})
    assert raised.can == shipped.can == {"restart", "logs", "profile"}
    assert raised.fixed_port is None


def test_short_lived_tokens_come_with_raised_limits_on_a_port_of_our_choice() -> None:
    profiles = {**PROFILES, "short_lived": {"env": {"TTL": "4"}}}
    target = open_target(Policy(start="serve --port {port}", profiles=profiles), profile="short_lived")
    assert isinstance(target, Command)
    assert target.env == {"LIMITS": "off", "TTL": "4"}
    alone = Policy(start="serve --port {port}", profiles={"short_lived": {"env": {"TTL": "4"}}})
    assert "profile" in open_target(alone, profile="short_lived").can
    assert "profile" not in open_target(alone, profile="shipped").can
    prescribed = Policy(start="serve", url="http://127.0.0.1:8000", profiles=profiles)
    assert "profile" not in open_target(prescribed, profile="short_lived").can


def test_the_embedded_reference_takes_its_profile_from_the_file() -> None:
    target = open_target(Policy(embedded=True, profiles={"short_lived": {"env": {"TTL": "4"}}}), profile="short_lived")
    assert isinstance(target, Embedded)
    assert (target.env["TTL"], target.env["UPHELD_REFERENCE_PROFILE"]) == ("4", "raised")


def test_profiles_that_say_nothing_are_none() -> None:
    assert "profile" not in open_target(Policy(start="serve --port {port}")).can


def test_a_command_on_a_prescribed_port_has_one_instance_and_so_no_profiles() -> None:
    target = open_target(Policy(start="make run", url="http://127.0.0.1:8000", profiles=PROFILES))
    assert isinstance(target, Command)
    assert target.fixed_port == 8000
    assert "profile" not in target.can


def test_a_command_with_a_port_of_our_choice_keeps_the_base_path() -> None:
    target = open_target(Policy(start="serve {port}", url="http://127.0.0.1:8000/shop/"))
    assert isinstance(target, Command)
    assert (target.fixed_port, target.base) == (None, "/shop")


def test_where_and_how_long(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    target = open_target(
        Policy(start="serve", cwd="app", ready_within=7.0, served_spec="/openapi.json"), folder=tmp_path
    )
    assert isinstance(target, Command)
    assert target.cwd == tmp_path / "app"
    assert target.timeout == 7.0
    assert target.paths == ("/health", "/", "/openapi.json")


def test_the_embedded_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upheld.targets.embedded.find_spec", lambda name: name)
    target = open_target(Policy(embedded=True, url="http://127.0.0.1:8500"))
    assert isinstance(target, Embedded)
    assert {"profile", "key", "restart", "logs"} == target.can


def test_no_target() -> None:
    with pytest.raises(UsageError, match="--target URL"):
        open_target(Policy())


def test_containers_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upheld.targets.choose.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"target\.image needs .*pip install 'upheld\[containers\]'"):
        open_target(Policy(image="shop"))


def test_a_compose_file_in_two_profiles(tmp_path: Path) -> None:
    from upheld.targets.containers.compose import Compose

    (tmp_path / "compose.yaml").touch()
    policy = Policy(compose="compose.yaml", service="api", port=8000, env={"A": "1", "LIMITS": "on"}, profiles=PROFILES)
    target = open_target(policy, folder=tmp_path)
    assert isinstance(target, Compose)
    assert (target.file, target.service, target.wanted.port) == (tmp_path / "compose.yaml", "api", 8000)
    assert target.wanted.env == {"A": "1", "LIMITS": "off"}
    assert target.can == {"restart", "logs", "profile"}
    assert not target.sees_addresses
    assert isinstance(open_target(policy, "http://127.0.0.1:9000", folder=tmp_path), Url)
    with pytest.raises(UsageError, match="is not there"):
        open_target(policy, folder=tmp_path / "elsewhere")


def test_an_image_with_its_parts() -> None:
    from upheld.contract.sections.running import Target
    from upheld.targets.containers.image import Image, Part

    parts = {"db": {"image": "postgres", "env": {"POSTGRES_DB": 1}, "ready": "pg_isready"}, "redis": {"image": "redis"}}
    target = open_target(Target(image="shop", parts=parts, store={"part": "redis"}, inherit=["SHOP_KEY"]))
    assert isinstance(target, Image)
    assert list(target.parts) == ["db", "redis"]
    assert target.parts["db"] == Part("postgres", {"POSTGRES_DB": "1"}, None, "pg_isready")
    assert (target.wanted.store, target.wanted.inherit, target.wanted.port) == ("redis", ("SHOP_KEY",), None)
    assert target.can == {"restart", "logs"}


def test_the_contract_s_own_section_fits() -> None:
    running = pytest.importorskip("upheld.contract.sections.running")
    section = running.Target(start="serve {port}", profiles={"raised": {"env": {"LIMITS": "off"}}}, env={"A": 1})
    target = open_target(section)
    assert isinstance(target, Command)
    assert target.env == {"A": "1", "LIMITS": "off"}
    assert target.timeout == section.ready_within
