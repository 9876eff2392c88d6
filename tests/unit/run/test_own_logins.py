"""Identities with logins and header fields of their own: how they sign in, what they send, how they are renewed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from upheld.check import CannotProve
from upheld.exchange import Headers, Request, Response, Session
from upheld.run.people import NotSupplied

FORM = "application/x-www-form-urlencoded"


class Service:
    """Answers whatever is asked, with what is told for each path; remembers the requests."""

    def __init__(self, **answers: Response) -> None:
        self.answers = {f"/{name.replace('_', '/')}": answer for name, answer in answers.items()}
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        return self.answers.get(request.path, Response.of(200, {}))


def signed_in(driver: Any, role: str = "user") -> Session:
    session: Session = asyncio.run(driver.people.sign_in(role, fresh=False))
    return session


def login(**keys: Any) -> dict[str, Any]:
    keys = {"op": "POST /auth/login", "body": {"email": "$user", "password": "$password"}, **keys}
    return {"identities": {"ann": {"user": "ann", "password_env": "ANN", "login": keys}}}


@pytest.mark.parametrize(
    ("keys", "answer", "headers"),
    [
        ({"access": "/t"}, Response.of(200, {"t": "tok-1"}), (("Authorization", "Bearer tok-1"),)),
        ({"access": "/t"}, Response.of(200, {"t": 4711}), (("Authorization", "Bearer 4711"),)),
        (
            {"body": {"name": "$user", "pass": "$password"}},
            Response.of(200, {"data": {"token": "tok-1"}}),
            (("Authorization", "Bearer tok-1"),),
        ),
        (
            {"access": "/t", "scheme": "header:Authorization:Token {token}"},
            Response.of(200, {"t": "tok-1"}),
            (("Authorization", "Token tok-1"),),
        ),
        ({"access": "header:X-Tok"}, Response.of(200, None, x_tok="tok-1"), (("Authorization", "Bearer tok-1"),)),
        ({"access": "cookie"}, Response.of(200, None, set_cookie="sid=1; Path=/"), (("Cookie", "sid=1"),)),
        (
            {"access": "cookie"},
            Response.of(302, None, location="/", set_cookie="sid=1; Path=/"),
            (("Cookie", "sid=1"),),
        ),
    ],
)
def test_what_a_login_gives_is_sent(
    drive: Any, shop: Any, keys: dict[str, Any], answer: Response, headers: tuple[tuple[str, str], ...]
) -> None:
    driver, _ = drive(Service(auth_login=answer), on=shop(**login(**keys)), environment={"ANN": "ann-secret"})
    session = signed_in(driver)
    assert session.headers == headers
    assert (session.user, session.password) == ("ann", "")  # it opens no other login
    assert {"ann-secret", headers[0][1].rpartition("=")[2].rpartition(" ")[2]} <= driver.people.secrets


@pytest.mark.parametrize(
    ("keys", "answer", "why"),
    [
        (
            {"access": "cookie"},
            Response.of(302, None, location="/auth/login?again", set_cookie="sid=1"),
            "answered with 302",
        ),
        ({"access": "cookie"}, Response.of(200, {"access_token": "x"}), "without"),
        ({"access": "/t"}, Response.of(302, None, location="/", set_cookie="sid=1"), "answered with 302"),
        ({"access": "header:X-Tok"}, Response.of(200, {"access_token": "x"}), "without"),
    ],
)
def test_a_login_that_gives_nothing_of_the_kind(
    drive: Any, shop: Any, keys: dict[str, Any], answer: Response, why: str
) -> None:
    driver, _ = drive(Service(auth_login=answer), on=shop(**login(**keys)), environment={"ANN": "ann-secret"})
    with pytest.raises(CannotProve, match=why):
        signed_in(driver)


def test_its_request_carries_secrets_of_the_environment(drive: Any, shop: Any) -> None:
    service = Service(auth_login=Response.of(200, {"t": "tok-1"}))
    keys = {
        "access": "/t", "headers": {"Authorization": "Basic ${BASIC}"}, "media_type": FORM,
        "body": {"email": "$user", "password": "$password", "client_secret": "${CLIENT}"},
    }  # fmt: skip
    environment = {"ANN": "$user-${CLIENT}&", "BASIC": "YTpi", "CLIENT": "client-secret"}
    driver, _ = drive(service, on=shop(**login(**keys)), environment=environment)
    signed_in(driver)
    assert service.asked[0].headers["authorization"] == "Basic YTpi"
    # A password is never a template.
    assert service.asked[0].body == b"email=ann&password=%24user-%24%7BCLIENT%7D%26&client_secret=client-secret"
    assert {"YTpi", "client-secret"} <= driver.people.secrets


def test_a_text_is_sent_as_it_stands(drive: Any, shop: Any) -> None:
    service = Service(auth_login=Response.of(200, {"t": "tok-1"}))
    driver, _ = drive(
        service, on=shop(**login(access="/t", body='{"p":  "${ANN}"}')), environment={"ANN": "ann-secret"}
    )
    signed_in(driver)
    assert service.asked[0].body == b'{"p":  "ann-secret"}'
    assert service.asked[0].headers["content-type"] == "application/json"


def test_a_variable_of_a_login_that_is_not_set(drive: Any, shop: Any) -> None:
    keys = login(access="/t", headers={"X-Client": "${CLIENT}"})
    driver, transport = drive(Service(), on=shop(**keys), environment={"ANN": "ann-secret"})
    refused = asyncio.run(driver.people.first())
    assert isinstance(refused[0], NotSupplied)
    assert "CLIENT" in str(refused[0])
    assert transport.sent == []


def test_a_login_that_the_document_does_not_have_promises_nothing(drive: Any, shop: Any) -> None:
    made = shop(**login(access="/t"))
    step = made.logins["ann"]
    object.__setattr__(step, "operation", type(step.operation)("POST", "/sso", "", (), None, {}, ()))
    service = Service(sso=Response.of(200, {"t": "tok-1"}))
    driver, _ = drive(service, on=made, environment={"ANN": "ann-secret"})
    assert signed_in(driver).access == "tok-1"
    assert (service.asked[0].path, service.asked[0].operation) == ("/sso", None)


def test_header_fields_are_a_credential(drive: Any, shop: Any) -> None:
    headers = {"Authorization": "Bearer ${TOKEN}", "X-Tenant": "acme"}
    driver, transport = drive(
        Service(), on=shop(identities={"ann": {"headers": headers}}), environment={"TOKEN": "tok-4711"}
    )
    session = signed_in(driver)
    assert session.headers == (("Authorization", "Bearer tok-4711"), ("X-Tenant", "acme"))
    assert session.access == "tok-4711"
    assert transport.sent == []
    asyncio.run(driver.people.first())
    assert Headers(transport.sent[0][0].session.headers)["x-tenant"] == "acme"


def test_header_fields_go_with_a_login_and_a_key(drive: Any, shop: Any) -> None:
    identity = {"user": "ann", "password_env": "ANN", "api_key_env": "KEY", "headers": {"X-Tenant": "acme"}}
    answer = Response.of(200, {"access_token": "tok-1"})
    driver, _ = drive(
        Service(auth_login=answer),
        on=shop(identities={"ann": identity}),
        environment={"ANN": "ann-secret", "KEY": "key-0815"},
    )
    assert signed_in(driver).headers == (
        ("Authorization", "Bearer tok-1"), ("X-Tenant", "acme"), ("X-API-Key", "key-0815"),
    )  # fmt: skip


def test_who_signs_in_in_a_way_of_their_own_is_renewed_so(drive: Any, shop: Any) -> None:
    service = Service(auth_login=Response.of(200, None, set_cookie="sid=1"))
    keys = login(access="cookie", body="whole-${ANN}")
    del keys["identities"]["ann"]["password_env"]
    driver, _ = drive(service, on=shop(**keys), environment={"ANN": "ann-secret"})

    async def work() -> None:
        assert await driver.people.first() == []
        service.answers["/me"] = Response.problem(401)
        (lost,) = await driver.people.muster()
        service.answers["/auth/login"] = Response.of(200, None, set_cookie="sid=2")
        await driver.people.renew(lost)
        assert lost.session.headers == (("Cookie", "sid=2"),)

    asyncio.run(work())


def test_a_fresh_session_of_an_identity_with_a_login(drive: Any, shop: Any) -> None:
    keys = login(access="/t")
    keys["identities"] = {"bob": {}, "ann": {**keys["identities"]["ann"], "role": "admin"}}
    driver, transport = drive(
        Service(auth_login=Response.of(200, {"t": "tok-1"})), on=shop(**keys), environment={"ANN": "ann-secret"}
    )
    assert asyncio.run(driver.people.sign_in("admin", fresh=True)).access == "tok-1"
    assert transport.counts["POST /auth/login"] == 1


def test_whose_password_opens_the_common_login_comes_first(drive: Any, shop: Any) -> None:
    keys = login(access="/t")
    keys["identities"]["ben"] = {"user": "ben", "password_env": "BEN"}
    answer = Response.of(200, {"t": "tok-1", "access_token": "tok-2"})
    driver, _ = drive(
        Service(auth_login=answer), on=shop(**keys), environment={"ANN": "ann-secret", "BEN": "ben-secret"}
    )

    async def work() -> None:
        assert await driver.people.first() == []
        for _ in range(3):
            ben = await driver.people.sign_in("user", fresh=False)
            assert (ben.name, ben.password) == ("ben", "ben-secret")
            await driver.send_from(Request("GET", "/me", session=ben, operation="GET /me"), None)
        other = await driver.people.sign_in("user", fresh=False, not_these=["ben"])
        assert other.name == "ann"

    asyncio.run(work())


def test_what_a_login_of_ones_own_gives_is_tried_at_once(drive: Any, shop: Any) -> None:
    service = Service(auth_login=Response.of(200, {"t": "tok-1"}), me=Response.problem(401))
    driver, _ = drive(service, on=shop(**login(access="/t")), environment={"ANN": "ann-secret"})
    (refused,) = asyncio.run(driver.people.first())
    assert "ann is not known: its credential was refused, GET /me was answered with 401" in str(refused)


def test_who_can_not_be_used_hinders_nobody_else(drive: Any, shop: Any) -> None:
    made = shop(identities={"ann": {"token_env": "A"}, "ben": {"token_env": "B"}, "eve": {"role": "admin"}})
    object.__setattr__(made, "unusable", {"ann": "it is elsewhere", "eve": "it is nowhere"})
    driver, _ = drive(Service(), on=made, environment={"B": "bens-token"})
    assert asyncio.run(driver.people.first()) == []
    assert signed_in(driver).name == "ben"
    with pytest.raises(CannotProve, match="eve can't be signed in: it is nowhere") as caught:
        signed_in(driver, "admin")
    assert "eve: {token_env" in caught.value.outcome.add


def test_the_secrets_of_a_file_are_there_and_are_known_as_such(drive: Any, shop: Any) -> None:
    made = shop(identities={"ann": {"token_env": "WFC_ANN"}})
    object.__setattr__(made, "given", {"WFC_ANN": "anns-token"})
    driver, _ = drive(Service(), on=made)
    assert signed_in(driver).access == "anns-token"
    assert driver.people.secrets == {"anns-token"}
