"""Who presses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from upheld import sample
from upheld.check import CannotProve, Example
from upheld.exchange import Session
from upheld.run.pressing import signed_in

IDENTITIES = {
    "identities": {
        "alice": {"role": "user"},
        "bob": {"role": "user"},
        "carol": {"role": "user"},
        "root": {"role": "admin"},
    }
}


class Crowd:
    """Stands in for `People`: so many of a role can be had."""

    default_role = "user"

    def __init__(self, **of_role: int) -> None:
        self.names = {role: [f"{role}{number}" for number in range(count)] for role, count in of_role.items()}

    async def sign_in(self, role: str, *, fresh: bool, not_these: Iterable[str]) -> Session:
        taken = set(not_these)
        if not self.names.get(role):
            raise CannotProve(f"nobody is {role}")
        return Session(next((name for name in self.names[role] if name not in taken), self.names[role][0]), role)


def names(crowd: Crowd) -> list[str]:
    found = asyncio.run(signed_in(sample.contract(Example("", policy=IDENTITIES)), crowd))  # type: ignore[arg-type]
    return [session.name for session in found]


def test_as_many_as_the_contract_names() -> None:
    assert names(Crowd(user=9, admin=9)) == ["user0", "user1", "user2", "admin0"]


def test_as_many_as_can_be_had() -> None:
    assert names(Crowd(user=2)) == ["user0", "user1"]
    assert names(Crowd(admin=1)) == ["admin0"]
