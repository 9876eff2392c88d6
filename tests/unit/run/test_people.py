"""Identities: made, signed in, handed out, lost and renewed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from upheld.check import CannotProve
from upheld.exchange import Request, Response
from upheld.run.budget import Budget
from upheld.run.people import NotSupplied

ANN = {"ann": {"role": "user", "user": "ann@example.test", "password_env": "ANN"}}
ROOT = {**ANN, "root": {"role": "admin", "user": "root@example.test", "password_env": "ROOT"}}


class Service:
    """Accounts whose tokens can be made invalid."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.passwords = {"ann@example.test": "ann-secret", "root@example.test": "root-secret"}
        self.count = 0

    def __call__(self, request: Request) -> Response:
        self.count += 1
        if request.path == "/auth/register":
            body = request.json()
            self.passwords[body["email"]] = body["password"]
            return Response.of(201, {})
        if request.path == "/auth/login":
            body = request.json()
            if self.passwords.get(body["email"]) != body["password"]:
                return Response.problem(401)
            token = f"token-{self.count}"
            self.tokens[token] = body["email"]
            return Response.of(200, {"access_token": token})
        known = request.session is not None and request.session.access in self.tokens
        return Response.of(200, {}) if known else Response.problem(401)


@pytest.fixture
def service() -> Service:
    return Service()


def test_identities_are_registered_once_and_handed_out_again(drive: Any, service: Service) -> None:
    driver, transport = drive(service)

    async def work() -> None:
        one = await driver.people.sign_in(None, fresh=False)
        again = await driver.people.sign_in(None, fresh=False)
        other = await driver.people.sign_in(None, fresh=False, not_these=[one.name])
        alone = await driver.people.sign_in(None, fresh=True)
        assert one == again
        assert len({one.access, other.access, alone.access}) == 3

    asyncio.run(work())
    assert transport.counts["POST /auth/register"] == 3


def test_many_who_ask_at_once_get_one(drive: Any, service: Service) -> None:
    driver, transport = drive(service)

    async def work() -> None:
        sessions = await asyncio.gather(*(driver.people.sign_in(None, fresh=False) for _ in range(20)))
        assert len({session.access for session in sessions}) == 1

    asyncio.run(work())
    assert transport.counts["POST /auth/register"] == 1


def test_a_quota_is_kept_by_taking_turns(drive: Any, service: Service) -> None:
    driver, _ = drive(service, quota=5)

    async def work() -> set[str]:
        used = set()
        for _ in range(12):
            session = await driver.people.sign_in(None, fresh=False)
            await driver.send_from(Request("GET", "/me", session=session, operation="GET /me"), None)
            used.add(session.name)
        return used

    assert len(asyncio.run(work())) == 3


def test_who_is_the_only_one_goes_on_beyond_the_quota(drive: Any, shop: Any, service: Service) -> None:
    driver, transport = drive(service, on=shop(identities=ROOT), quota=2, environment={"ROOT": "root-secret"})

    async def work() -> set[str]:
        used = set()
        for _ in range(7):
            session = await driver.people.sign_in("admin", fresh=False)
            await driver.send_from(Request("GET", "/me", session=session, operation="GET /me"), None)
            used.add(session.name)
        return used

    assert len(asyncio.run(work())) == 1
    assert transport.counts["POST /auth/login"] == 1


def test_wrong_credentials_are_refused_once_and_remembered(drive: Any, shop: Any, service: Service) -> None:
    driver, transport = drive(service, on=shop(identities=ANN), environment={"ANN": "wrong"})

    async def work() -> None:
        refused = await driver.people.first()
        assert [str(cannot) for cannot in refused]
        assert "401" in str(refused[0])
        for _ in range(5):
            with pytest.raises(CannotProve, match="can't sign in"):
                await driver.people.sign_in("user", fresh=False)

    asyncio.run(work())
    assert transport.counts["POST /auth/login"] == 1


def test_a_variable_that_is_not_set(drive: Any, shop: Any, service: Service) -> None:
    driver, transport = drive(service, on=shop(identities=ANN))
    refused = asyncio.run(driver.people.first())
    assert isinstance(refused[0], NotSupplied)
    assert "ANN" in str(refused[0])
    assert transport.sent == []


def test_a_given_token_is_tried(drive: Any, shop: Any, service: Service) -> None:
    identities = {"ann": {"role": "user", "token_env": "ANN"}}
    driver, _ = drive(service, on=shop(identities=identities), environment={"ANN": "out-of-date"})
    refused = asyncio.run(driver.people.first())
    assert "ann is not known" in str(refused[0])
    service.tokens["valid-one"] = "ann"
    driver, _ = drive(service, on=shop(identities=identities), environment={"ANN": "valid-one"})
    assert asyncio.run(driver.people.first()) == []


def test_a_budget_that_is_spent_is_no_refusal(drive: Any, shop: Any, service: Service) -> None:
    driver, _ = drive(
        service, on=shop(identities=ROOT), environment={"ANN": "ann-secret", "ROOT": "x"}, budget=Budget(1, 60)
    )
    assert asyncio.run(driver.people.first()) == []
    assert driver.budget.refused


def test_a_lost_credential_is_told_with_its_suspect_and_renewed_in_place(
    drive: Any, shop: Any, service: Service
) -> None:
    driver, _ = drive(service, on=shop(identities=ANN), environment={"ANN": "ann-secret"})
    people = driver.people

    async def work() -> None:
        assert await people.first() == []
        session = await people.sign_in("user", fresh=False)
        assert await people.muster() == []
        for method, path in (("POST", "/notes"), ("GET", "/me"), ("GET", "/notes")):
            await driver.send_from(Request(method, path, session=session, operation=f"{method} {path}"), None)
        service.tokens.clear()
        (lost,) = await people.muster()
        assert lost.lost == "credential of ann lost after POST /notes"
        assert await people.muster() == []
        await people.renew(lost)
        assert not lost.lost
        again = await people.sign_in("user", fresh=False)
        assert again.name == "ann"
        assert again.access != session.access
        assert await people.muster() == []

    asyncio.run(work())


def test_who_can_not_be_renewed_stays_lost(drive: Any, shop: Any, service: Service) -> None:
    driver, _ = drive(service, on=shop(identities=ANN), environment={"ANN": "ann-secret"})

    async def work() -> None:
        await driver.people.first()
        service.tokens.clear()
        service.passwords.clear()
        (lost,) = await driver.people.muster()
        with pytest.raises(CannotProve):
            await driver.people.renew(lost)
        assert lost.lost

    asyncio.run(work())


def test_secrets_are_known_for_masking(drive: Any, shop: Any, service: Service) -> None:
    driver, _ = drive(service, on=shop(identities=ANN), environment={"ANN": "ann-secret"})

    async def work() -> None:
        await driver.people.first()
        await driver.people.sign_in(None, fresh=True)

    asyncio.run(work())
    assert driver.people.secrets >= {"ann-secret", *service.tokens, *service.passwords.values()} - {"root-secret"}


def test_nobody_can_be_registered_as_somebody_else(drive: Any, shop: Any, service: Service) -> None:
    driver, _ = drive(service)
    with pytest.raises(CannotProve, match="role admin"):
        asyncio.run(driver.people.sign_in("admin", fresh=False))
