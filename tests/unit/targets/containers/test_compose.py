"""A Compose file that cannot even be resolved. What is resolved, is in test_document."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from upheld.errors import TargetUnreachable, UsageError
from upheld.targets.containers import target
from upheld.targets.containers.compose import Compose
from upheld.targets.containers.target import PortTaken, Stack, Wanted, publishing

Docker = Callable[[str], None]


class Warden:
    def __init__(self, *_: Any) -> None:
        self.dismissed = False

    def dismiss(self) -> None:
        self.dismissed = True

    def leave(self) -> None:
        assert self.dismissed, "nothing is left to remove"


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that nothing reaches."""
    empty = SimpleNamespace(list=lambda **_: [])
    client = SimpleNamespace(containers=empty, networks=empty, volumes=empty)
    made = SimpleNamespace(client=client, close=lambda: None, publishes_on="127.0.0.1", missing=lambda names: [])
    monkeypatch.setattr(target, "Engine", lambda hosts: made)
    monkeypatch.setattr(target, "Warden", Warden)


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """A command `docker` of our own."""

    def install(script: str) -> None:
        program = tmp_path / "bin" / "docker"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    return install


def compose(folder: Path, **wanted: Any) -> Compose:
    (folder / "compose.yaml").touch()
    return Compose(folder / "compose.yaml", Wanted(**{"port": 8000, "paths": ["/"], **wanted}), "api")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo \"docker: 'compose' is not a docker command.\" >&2; exit 1", "Docker Compose 2 .* is not installed"),
        ('echo "docker: unknown command: docker compose" >&2; exit 1', "Docker Compose 2 .* is not installed"),
        ('echo "services.api Additional property imag is not allowed" >&2; exit 15', r"target\.compose: services\.api"),
        ("""echo '{"services": {"web": {}}}'""", "no service 'api'; it has web"),
        ("""echo '{"services": {"api": {}}}'""", "target.store: the Compose file has no service 'redis'; it has api"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_started(
    script: str, words: str, docker: Docker, tmp_path: Path
) -> None:
    docker(script)
    with pytest.raises(UsageError, match=words):
        compose(tmp_path, store="redis").open()


def test_no_docker_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is no docker on PATH"):
        compose(tmp_path).open()


def test_the_project_is_ours_whatever_the_environment_says(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "theirs")
    monkeypatch.setenv("COMPOSE_FILE", "other.yaml")
    docker('echo "$* name=$COMPOSE_PROJECT_NAME file=$COMPOSE_FILE" >&2; exit 1')
    with pytest.raises(UsageError) as caught:
        compose(tmp_path).open()
    said = str(caught.value).removeprefix("target.compose: ")
    assert said.startswith(f"compose -f {tmp_path}/compose.yaml --project-name upheld-")
    assert said.endswith(f" --project-directory {tmp_path} config --format json name= file=")


def test_what_compose_says_when_it_fails_has_no_secrets(docker: Docker, tmp_path: Path) -> None:
    docker(
        'case "$*" in\n'
        """*config*) echo '{"services": {"api": {"environment": {"DB_PASSWORD": "hunter22"}}}}';;\n"""
        "*) echo starting hunter22; exit 3;;\nesac"
    )
    with pytest.raises(TargetUnreachable) as caught:
        compose(tmp_path).open()
    assert str(caught.value) == "`docker compose up`: it ended with status 3\n  | starting ***"


def test_variables_that_are_inherited_have_to_be_there(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker("exit 1")
    monkeypatch.delenv("SHOP_KEY", raising=False)
    with pytest.raises(UsageError, match=r"target\.inherit: SHOP_KEY is not set"):
        compose(tmp_path, inherit=["SHOP_KEY"]).open()
    monkeypatch.setenv("SHOP_KEY", "1")
    assert Wanted(8000, ["/"], env={"A": "2"}, inherit=["SHOP_KEY"]).whole_env == {"SHOP_KEY": "1", "A": "2"}


def test_a_port_that_is_taken_is_another_one_the_next_time(no_engine: None) -> None:
    tried: list[int] = []

    def start(port: int) -> None:
        tried.append(port)
        if len(tried) < 3:
            with publishing():
                raise TargetUnreachable(f"Bind for 127.0.0.1:{port} failed: port is already allocated")

    stack = Stack(())
    assert stack.on_a_free_port(start) == (None, tried[-1])
    assert len(set(tried)) == 3

    def never(port: int) -> None:
        raise PortTaken(str(port))

    with pytest.raises(PortTaken):
        stack.on_a_free_port(never)
    stack.close()
    assert not stack.scratch.exists()
