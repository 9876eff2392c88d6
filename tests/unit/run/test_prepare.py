"""Which profiles a run starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from upheld.check import Check
from upheld.checks import select
from upheld.contract.policy import Policy
from upheld.run import prepare
from upheld.targets import Running, Target


class Standing(Running):
    url = "http://127.0.0.1:9"
    can = frozenset()
    env: dict[str, str] = {}  # noqa: RUF012

    def alive(self) -> bool:
        return True


class Stood(Target):
    """Runs nothing; ``can`` as it was told."""

    name = "nothing"

    def __init__(self, can: Iterable[Any]) -> None:
        self.can = frozenset(can)

    def open(self) -> Running:
        return Standing()

    def close(self) -> None:
        pass


def played(*ids: str) -> Any:
    def by(policy: Policy) -> list[Check]:
        return list(select(ids).values())

    return by


@pytest.mark.parametrize(
    ("can", "checks", "started"),
    [
        (["profile"], ("jwt/expires",), ["raised", "shipped", "short_lived"]),
        (["profile"], ("jwt/expiry",), ["raised", "shipped"]),
        ([], ("jwt/expires",), ["raised"]),
    ],
)
def test_a_profile_is_started_for_the_checks_that_need_it(monkeypatch, can, checks, started) -> None:
    monkeypatch.setattr(prepare, "open_target", lambda *_, **__: Stood(can))
    with prepare.opened(prepare.bundled(), None, played=played(*checks)) as ready:
        assert list(ready.running) == started
