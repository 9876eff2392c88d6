"""The OAuth 2 authorization server: codes, tokens, scopes, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote

import httpx
import jwt
import pytest
from pydantic import ValidationError
from sqlalchemy import select
from tests.reference.conftest import ADMIN, PASSWORD
from tests.reference.test_accounts import forge

from upheld.reference.app import create_app
from upheld.reference.core.clients import Clients
from upheld.reference.core.settings import Settings
from upheld.reference.models import AuthorizationCode

pytestmark = pytest.mark.anyio

SECRET = "a client secret of forty characters ....."
CONSOLE, APP = "shop-console", "shop-app"
CALLBACK = "https://app.example.test/callback"
TOKEN, AUTHORIZE = "/api/v1/oauth/token", "/api/v1/oauth/authorize"
ME, ORDERS, REPORT = "/api/v1/users/me", "/api/v1/orders", "/api/v1/reports/sales?start=2026-01-01&end=2026-12-31"


@pytest.fixture
async def shop(shop_with) -> Any:
    async with shop_with(oauth_client_secret=SECRET) as started:
        yield started


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(name: str = CONSOLE, secret: str = SECRET) -> dict[str, str]:
    joined = f"{quote(name, safe='')}:{quote(secret, safe='')}"
    return {"Authorization": f"Basic {base64.b64encode(joined.encode()).decode()}"}


def s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def redirected(answer: httpx.Response) -> dict[str, str]:
    """What the redirect tells the client. The address in front of it is the registered one, to the letter."""
    assert answer.status_code == 303, answer.text
    address, _, query = answer.headers["location"].partition("?")
    assert address == CALLBACK
    return dict(parse_qsl(query, strict_parsing=True))


def error(answer: httpx.Response) -> tuple[int, str]:
    """(status, error), of an answer that is OAuth's in every other respect too (RFC 6749 §5.2)."""
    body = answer.json()
    assert set(body) == {"error", "error_description"}, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    basic_challenge = answer.headers.get("www-authenticate", "").startswith("Basic realm=")
    assert basic_challenge is (answer.status_code == 401)
    return answer.status_code, body["error"]


@dataclass
class Flow:
    """One user and one client, with a verifier of their own."""

    client: httpx.AsyncClient
    session: str
    name: str = CONSOLE
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    async def authorize(self, **changes: str | None) -> httpx.Response:
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.name,
            "redirect_uri": CALLBACK,
            "code_challenge": s256(self.verifier),
            "code_challenge_method": "S256",
            "state": "xyz",
            **changes,
        }
        params = {name: value for name, value in asked.items() if value is not None}
        return await self.client.get(AUTHORIZE, params=params, headers=bearer(self.session))

    async def code(self, **changes: str | None) -> str:
        return redirected(await self.authorize(**changes))["code"]

    async def token(self, headers: Any = None, **form: str | None) -> httpx.Response:
        if headers is None:
            headers = basic() if self.name == CONSOLE else {}
            form = form if self.name == CONSOLE else {"client_id": self.name, **form}
        data = {name: value for name, value in form.items() if value is not None}
        return await self.client.post(TOKEN, data=data, headers=headers)

    async def redeem(self, code: str, headers: dict[str, str] | None = None, **changes: str | None) -> httpx.Response:
        form = {"redirect_uri": CALLBACK, "code_verifier": self.verifier, **changes}
        return await self.token(headers, grant_type="authorization_code", code=code, **form)

    async def refresh(self, token: str, headers: dict[str, str] | None = None, **more: str) -> httpx.Response:
        return await self.token(headers, grant_type="refresh_token", refresh_token=token, **more)

    async def tokens(self, **changes: str | None) -> dict[str, Any]:
        answer = await self.redeem(await self.code(**changes))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def get(self, path: str, token: str) -> int:
        return (await self.client.get(path, headers=bearer(token))).status_code


@pytest.fixture
async def flow(shop) -> Any:
    async with shop.client() as client:
        yield Flow(client, (await shop.tokens())["access_token"])


@pytest.fixture
async def public(shop) -> Any:
    async with shop.client() as client:
        yield Flow(client, (await shop.tokens())["access_token"], APP)


# -- the authorization endpoint ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [CONSOLE, APP])
async def test_a_code_is_traded_for_tokens(flow, name) -> None:
    flow.name = name
    answer = await flow.redeem(await flow.code())
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert {key: body[key] for key in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": "orders:read orders:write profile",
    }
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims["client_id"] == name
    assert claims["scope"] == body["scope"]
    assert claims["exp"] - claims["iat"] == 900
    assert jwt.get_unverified_header(body["access_token"])["typ"] == "at+jwt"
    me = await flow.client.get(ME, headers=bearer(body["access_token"]))
    assert me.json()["id"] == claims["sub"]


async def test_redirect_carries_state_and_issuer_and_nothing_may_keep_it(flow) -> None:
    state = "a+b &=%ü\u2028"
    answer = await flow.authorize(state=state)
    told = redirected(answer)
    assert set(told) == {"code", "state", "iss"}
    assert (told["state"], told["iss"]) == (state, "https://shop.example.test")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert set(redirected(await flow.authorize(state=None))) == {"code", "iss"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": ""}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "ä" * 43}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"scope": "orders:read admin"}, "invalid_scope"),
        ({"scope": "reports:read"}, "invalid_scope"),
        ({"scope": "orders:read  profile"}, "invalid_scope"),
        ({"scope": "\0"}, "invalid_scope"),
    ],
)
async def test_errors_go_back_to_the_client_by_redirect(flow, changes, code) -> None:
    told = redirected(await flow.authorize(**changes))
    assert set(told) == {"error", "error_description", "state", "iss"}
    assert (told["error"], told["state"]) == (code, "xyz")


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"client_id": "\0"},
        {"redirect_uri": None},
        *(
            {"redirect_uri": uri}
            for uri in (
                CALLBACK + "/", CALLBACK + "/../callback", CALLBACK + "?x=1", CALLBACK + "#", CALLBACK.upper(),
                "https://app.example.test:443/callback", "https://app.example.test@evil.test/callback",
                "https://app.example.test.evil.test/callback", "//app.example.test/callback", "/callback",
                "http://app.example.test/callback", "https://evil.test/callback", "javascript:alert(1)",
            )
        ),
    ],
)  # fmt: skip
async def test_an_address_that_is_not_registered_is_not_gone_to(flow, changes) -> None:
    answer = await flow.authorize(**changes)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert answer.headers["content-type"] == "application/problem+json"
    assert "evil" not in answer.text


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "scope", "state"])
async def test_repeated_parameters_of_an_authorization(flow, name) -> None:
    asked = {
        "response_type": "code", "client_id": CONSOLE, "redirect_uri": CALLBACK, "state": "xyz", "scope": "profile",
        "code_challenge": s256(flow.verifier), "code_challenge_method": "S256",
    }  # fmt: skip
    doubled = [*asked.items(), (name, asked[name])]
    answer = await flow.client.get(AUTHORIZE, params=doubled, headers=bearer(flow.session))
    if name in ("client_id", "redirect_uri"):
        assert answer.status_code == 400
    else:
        told = redirected(answer)
        assert told["error"] == "invalid_request"
        assert ("state" in told) is (name != "state")


async def test_a_query_that_is_no_utf_8_is_refused(flow) -> None:
    answer = await flow.client.get(f"{AUTHORIZE}?client_id=%ff", headers=bearer(flow.session))
    assert answer.status_code == 400


async def test_only_the_users_own_session_authorizes(flow, shop) -> None:
    limited = (await flow.tokens())["access_token"]
    async with await shop.user() as user:
        key = (await user.post("/api/v1/api-keys", json={"name": "x"})).json()["key"]
    for headers, status in (({}, 401), (bearer("x.y.z"), 401), ({"X-API-Key": key}, 401), (bearer(limited), 403)):
        answer = await flow.client.get(
            AUTHORIZE, params={"client_id": CONSOLE, "redirect_uri": CALLBACK}, headers=headers
        )
        assert answer.status_code == status
        assert "location" not in answer.headers


async def test_no_page_of_another_origin_may_read_the_authorization_endpoint(flow) -> None:
    origin = {"Origin": "https://app.example.test", "Access-Control-Request-Method": "GET"}
    answers = [
        await flow.client.get(AUTHORIZE, headers=origin | bearer(flow.session)),
        await flow.client.get(AUTHORIZE, headers=origin),
        await flow.client.options(AUTHORIZE, headers=origin),
        await flow.client.post(AUTHORIZE, headers=origin),
    ]
    assert [answer.status_code for answer in answers] == [400, 401, 204, 405]
    assert not [name for answer in answers for name in answer.headers if name.startswith("access-control-")]
    preflight = await flow.client.options(TOKEN, headers=origin | {"Access-Control-Request-Method": "POST"})
    assert preflight.headers["access-control-allow-origin"] == "https://app.example.test"


# -- the code ------------------------------------------------------------------------------------------------------------


async def test_a_code_used_twice_is_refused_and_ends_what_it_gave(flow) -> None:
    code = await flow.code()
    first = (await flow.redeem(code)).json()
    renewed = (await flow.refresh(first["refresh_token"])).json()
    assert await flow.get(ME, renewed["access_token"]) == 200
    assert error(await flow.redeem(code)) == (400, "invalid_grant")
    assert await flow.get(ME, first["access_token"]) == 401
    assert await flow.get(ME, renewed["access_token"]) == 401
    assert error(await flow.refresh(renewed["refresh_token"])) == (400, "invalid_grant")
    assert await flow.get(ME, flow.session) == 200


async def test_a_used_code_in_other_hands_ends_what_it_gave_too(flow, public) -> None:
    code = await flow.code()
    first = (await flow.redeem(code)).json()
    assert error(await public.redeem(code)) == (400, "invalid_grant")
    assert await flow.get(ME, first["access_token"]) == 401


async def test_of_parallel_redemptions_one_wins(flow) -> None:
    code = await flow.code()
    answers = await asyncio.gather(*(flow.redeem(code) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 5
    tokens = next(answer.json() for answer in answers if answer.status_code == 200)
    assert await flow.get(ME, tokens["access_token"]) == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": None},
        {"redirect_uri": CALLBACK + "/"},
        {"code_verifier": None},
        {"code_verifier": "x" * 43},
        {"code_verifier": "short"},
        {"code_verifier": "ä" * 43},
    ],
)
async def test_a_code_is_bound_to_its_address_and_its_challenge(flow, changes) -> None:
    code = await flow.code()
    assert error(await flow.redeem(code, **changes)) == (400, "invalid_grant")
    assert (await flow.redeem(code)).status_code == 200, "a wrong guess does not take the code from its owner"


async def test_the_challenge_itself_is_no_verifier(flow) -> None:
    assert error(await flow.redeem(await flow.code(), code_verifier=s256(flow.verifier))) == (400, "invalid_grant")


async def test_a_code_is_bound_to_its_client(flow, public) -> None:
    code = await flow.code()
    public.verifier = flow.verifier
    assert error(await public.redeem(code)) == (400, "invalid_grant")
    assert (await flow.redeem(code)).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(59, 200), (61, 400)])
async def test_a_code_lives_for_a_minute(flow, shop, monkeypatch, seconds, status) -> None:
    code = await flow.code()
    later = datetime.now(UTC) + timedelta(seconds=seconds)
    monkeypatch.setattr(shop.parts.clock, "now", lambda: later)
    assert (await flow.redeem(code)).status_code == status


async def test_codes_that_nobody_redeemed_are_forgotten(flow, shop, monkeypatch) -> None:
    unused, used = await flow.code(), await flow.code()
    tokens = (await flow.redeem(used)).json()
    later = datetime.now(UTC) + timedelta(seconds=61)
    with monkeypatch.context() as patch:
        patch.setattr(shop.parts.clock, "now", lambda: later)
        await flow.code()
    assert error(await flow.redeem(unused)) == (400, "invalid_grant")
    assert error(await flow.redeem(used)) == (400, "invalid_grant")
    assert await flow.get(ME, tokens["access_token"]) == 401, "a used one is remembered as long as its tokens may live"


async def test_made_up_codes_are_refused(flow) -> None:
    for code in ("x", "\0", "ü", "a" * 4096):
        assert error(await flow.redeem(code)) == (400, "invalid_grant")
    assert error(await flow.redeem("a" * 4097)) == (400, "invalid_request")
    assert error(await flow.token(grant_type="authorization_code")) == (400, "invalid_request")


async def test_a_code_dies_with_the_session_that_gave_it(shop) -> None:
    async with shop.client() as client:
        for end in ("logout", "password"):
            email = f"{end}@example.test"
            await client.post("/api/v1/auth/register", json={"email": email, "password": PASSWORD})
            mine, other = await shop.tokens(email), await shop.tokens(email)
            flow = Flow(client, mine["access_token"])
            code = await flow.code()
            if end == "logout":
                await client.post("/api/v1/auth/logout", json={"refresh_token": mine["refresh_token"]})
            else:
                change = {"current_password": PASSWORD, "new_password": "another good password"}
                await client.put(f"{ME}/password", json=change, headers=bearer(other["access_token"]))
            assert error(await flow.redeem(code)) == (400, "invalid_grant"), end


async def test_only_a_digest_of_the_code_is_kept(flow, shop) -> None:
    code = await flow.code()
    async with shop.parts.database() as session:
        digests = (await session.execute(select(AuthorizationCode.digest))).scalars().all()
    assert digests == [hashlib.sha256(code.encode()).hexdigest()]


# -- refresh -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [CONSOLE, APP])
async def test_refresh_rotates_and_reuse_ends_the_family(flow, name) -> None:
    flow.name = name
    first = await flow.tokens()
    second = (await flow.refresh(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == first["scope"]
    assert await flow.get(ME, second["access_token"]) == 200
    assert error(await flow.refresh(first["refresh_token"])) == (400, "invalid_grant")
    assert error(await flow.refresh(second["refresh_token"])) == (400, "invalid_grant")
    assert await flow.get(ME, second["access_token"]) == 401


async def test_of_parallel_refreshes_one_wins(flow) -> None:
    token = (await flow.tokens())["refresh_token"]
    answers = await asyncio.gather(*(flow.refresh(token) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 5


async def test_scope_may_shrink_and_never_grow(flow) -> None:
    granted = await flow.tokens(scope="profile orders:read")
    assert granted["scope"] == "orders:read profile"
    refused = await flow.refresh(granted["refresh_token"], scope="profile orders:write")
    assert error(refused) == (400, "invalid_scope")
    less = (await flow.refresh(granted["refresh_token"], scope="profile")).json()
    assert less["scope"] == "profile"
    assert [await flow.get(path, less["access_token"]) for path in (ME, ORDERS)] == [200, 403]
    # RFC 6749 §6: the new refresh token has the scope of the old one, so what was left out can be had again.
    again = (await flow.refresh(less["refresh_token"], scope="orders:read profile")).json()
    assert [await flow.get(path, again["access_token"]) for path in (ME, ORDERS)] == [200, 200]
    assert error(await flow.refresh(again["refresh_token"], scope="orders:write")) == (400, "invalid_scope")


async def test_refresh_tokens_belong_to_their_client(flow, public) -> None:
    token = (await flow.tokens())["refresh_token"]
    assert error(await public.refresh(token)) == (400, "invalid_grant")
    assert (await flow.refresh(token)).status_code == 200, "another client's attempt ends nothing"


async def test_a_clients_tokens_are_not_good_for_a_session_of_the_users_own(flow, shop) -> None:
    tokens, own = await flow.tokens(scope="profile"), await shop.tokens()
    for path in ("refresh", "logout"):
        answer = await flow.client.post(f"/api/v1/auth/{path}", json={"refresh_token": tokens["refresh_token"]})
        assert answer.status_code == 401, "it would be a way to more than was granted"
    assert await flow.get(ME, tokens["access_token"]) == 200
    for token in (own["refresh_token"], tokens["access_token"], "x.y.z", "\0"):
        assert error(await flow.refresh(token)) == (400, "invalid_grant")
    assert await flow.get(ME, tokens["refresh_token"]) == 401
    assert error(await flow.token(grant_type="refresh_token")) == (400, "invalid_request")


async def test_what_ends_a_users_sessions_ends_a_clients_too(flow, shop) -> None:
    tokens = await flow.tokens()
    me = (await flow.client.get(ME, headers=bearer(flow.session))).json()
    async with await shop.admin() as admin:
        await admin.patch(f"/api/v1/admin/users/{me['id']}", json={"disabled": True})
    assert await flow.get(ME, tokens["access_token"]) == 401
    assert error(await flow.refresh(tokens["refresh_token"])) == (400, "invalid_grant")


# -- the client itself ---------------------------------------------------------------------------------------------------


async def test_client_credentials_give_a_token_of_the_clients_own(flow) -> None:
    answer = await flow.token(grant_type="client_credentials")
    body = answer.json()
    assert answer.status_code == 200
    assert (body["scope"], "refresh_token" in body) == ("reports:read", False)
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims["client_id"] == CONSOLE
    assert "sid" not in claims
    assert await flow.get(REPORT, body["access_token"]) == 200
    assert await flow.get("/api/v1/products", body["access_token"]) == 200
    for path in (ME, ORDERS, "/api/v1/api-keys", "/api/v1/admin/users", f"/api/v1/users/{claims['sub']}", AUTHORIZE):
        assert await flow.get(path, body["access_token"]) == 403, path


@pytest.mark.parametrize("scope", ["profile", "reports:read profile", "x", " ", "reports:read ", "\0"])
async def test_a_client_has_no_scopes_of_users_on_its_own(flow, scope) -> None:
    assert error(await flow.token(grant_type="client_credentials", scope=scope)) == (400, "invalid_scope")


async def test_a_public_client_has_no_credentials(public) -> None:
    assert error(await public.token(grant_type="client_credentials")) == (400, "unauthorized_client")


@pytest.mark.parametrize(
    ("headers", "form", "wanted"),
    [
        (basic(), {}, 200),
        (basic(), {"client_id": CONSOLE}, 200),
        ({}, {"client_id": CONSOLE, "client_secret": SECRET}, 200),
        ({"Authorization": basic()["Authorization"].replace("Basic", "bASIC")}, {}, 200),
        (basic(), {"client_secret": ""}, 200),
        (basic(), {"client_secret": SECRET}, (400, "invalid_request")),
        (basic(), {"client_id": APP}, (400, "invalid_request")),
        ({}, {}, (401, "invalid_client")),
        ({}, {"client_id": CONSOLE}, (401, "invalid_client")),
        ({}, {"client_id": CONSOLE, "client_secret": SECRET[:-1]}, (401, "invalid_client")),
        ({}, {"client_id": "nobody", "client_secret": SECRET}, (401, "invalid_client")),
        ({}, {"client_id": "nobody"}, (401, "invalid_client")),
        ({}, {"client_id": APP, "client_secret": SECRET}, (401, "invalid_client")),
        ({}, {"client_id": APP, "client_secret": "ü"}, (401, "invalid_client")),
        (basic(secret="wrong"), {}, (401, "invalid_client")),
        (basic(name="nobody"), {}, (401, "invalid_client")),
        (basic(name="\0"), {}, (401, "invalid_client")),
        (basic(APP, "x"), {}, (401, "invalid_client")),
        (basic(APP, ""), {}, (400, "unauthorized_client")),
        ({"Authorization": "Basic"}, {}, (401, "invalid_client")),
        ({"Authorization": "Basic !!!"}, {}, (401, "invalid_client")),
        ({"Authorization": "Basic /w=="}, {}, (401, "invalid_client")),
        ({"Authorization": "Basic JWZmOng="}, {}, (401, "invalid_client")),
        ({"Authorization": "Bearer x.y.z"}, {"client_id": APP}, (401, "invalid_client")),
        ({"Authorization": "Bearer x.y.z"}, {"client_id": CONSOLE, "client_secret": SECRET}, (401, "invalid_client")),
        (basic(secret="wrong"), {"client_id": CONSOLE, "client_secret": SECRET}, (401, "invalid_client")),
        ([*basic().items(), *basic().items()], {}, (400, "invalid_request")),
    ],
)
async def test_how_a_client_proves_who_it_is(flow, headers, form, wanted) -> None:
    answer = await flow.token(headers, grant_type="client_credentials", **form)
    assert (answer.status_code if wanted == 200 else error(answer)) == wanted


async def test_basic_credentials_are_form_encoded_first(shop_with) -> None:
    secret = "colon: percent% plus+ space ümlaut and so on"
    async with shop_with(oauth_client_secret=secret) as shop, shop.client() as client:
        for encoded in (quote(secret, safe=""), quote(secret, safe=" ").replace(" ", "+")):
            field = base64.b64encode(f"{CONSOLE}:{encoded}".encode()).decode()
            headers = {"Authorization": f"Basic {field}"}
            assert (await client.post(TOKEN, data={"grant_type": "client_credentials"}, headers=headers)).is_success, (
                encoded
            )
        plain = {"Authorization": f"Basic {base64.b64encode(f'{CONSOLE}:{secret}'.encode()).decode()}"}
        answer = await client.post(TOKEN, data={"grant_type": "client_credentials"}, headers=plain)
        assert answer.status_code == 401


async def test_the_client_is_asked_before_the_grant_is_looked_at(flow) -> None:
    code = await flow.code()
    assert error(await flow.redeem(code, headers=basic(secret="wrong"))) == (401, "invalid_client")
    assert error(await flow.token({}, grant_type="nonsense")) == (401, "invalid_client")
    assert (await flow.redeem(code)).status_code == 200


def test_the_secret_is_random_unless_given_and_kept_as_a_digest() -> None:
    one, other = Settings(), Settings()
    assert one.oauth_client_secret != other.oauth_client_secret
    kept = Clients(Settings(oauth_client_secret=SECRET)).get(CONSOLE)
    assert kept is not None
    assert kept.secret_digest == hashlib.sha256(SECRET.encode()).digest()
    assert SECRET not in repr(kept)


@pytest.mark.parametrize(
    "bad",
    [
        {"oauth_client_secret": "short"},
        {"oauth_client_redirect_uri": "/callback"},
        {"oauth_client_redirect_uri": CALLBACK + "#x"},
        {"oauth_public_client_id": "with space"},
        {"oauth_public_client_scopes": ("everything",)},
    ],
)
def test_settings_that_are_not_safe_are_refused(bad) -> None:
    with pytest.raises(ValidationError):
        Settings(**bad)


# -- the form ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "grant_type", ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "\0", "CODE"]
)
async def test_other_grants_are_not_offered(flow, grant_type) -> None:
    answer = await flow.token(grant_type=grant_type, username=ADMIN["email"], password=ADMIN["password"])
    assert error(answer) == (400, "unsupported_grant_type")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"grant_type=",
        b"scope=x",
        b"grant_type=client_credentials&grant_type=client_credentials",
        b"grant_type=client_credentials&scope=reports:read&scope=reports:read",
        b"grant_type=client_credentials&extra=1&extra=2",
        b"grant_type=client_credentials&scope=%ff",
        b"grant_type=client_credentials\xff",
        b"&".join(b"a%d=1" % number for number in range(200)),
    ],
)
async def test_malformed_forms_are_invalid_requests(flow, body) -> None:
    headers = basic() | {"Content-Type": "application/x-www-form-urlencoded"}
    assert error(await flow.client.post(TOKEN, content=body, headers=headers)) == (400, "invalid_request")


async def test_parameters_that_nobody_knows_are_ignored(flow) -> None:
    assert (await flow.token(grant_type="client_credentials", resource="x", code_verifier="x")).status_code == 200


async def test_what_the_layers_refuse_is_a_problem(flow) -> None:
    form = "grant_type=client_credentials"
    for headers, body, status in [
        ({"Content-Type": "application/json"}, '{"grant_type": "client_credentials"}', 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, form, 415),
        ({}, form, 415),
        ({"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}, form, 415),
        ({"Content-Type": "application/x-www-form-urlencoded; charset=utf-16"}, form, 415),
        ({"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}, form, 406),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "scope=" + "x" * 1024 * 1024, 413),
    ]:
        answer = await flow.client.post(TOKEN, content=body, headers=basic() | headers)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        if status == 415 and "Content-Encoding" not in headers:
            assert answer.headers["accept"] == "application/x-www-form-urlencoded"
    good = basic() | {"Content-Type": "Application/X-WWW-Form-URLencoded; charset=UTF-8"}
    assert (await flow.client.post(TOKEN, content=form, headers=good)).status_code == 200


async def test_the_token_endpoint_has_a_limit_of_its_own(shop_with) -> None:
    async with shop_with(profile="shipped", oauth_client_secret=SECRET) as shop, shop.client() as client:
        answers = [await client.post(TOKEN, data={"grant_type": "x"}, headers=basic()) for _ in range(32)]
        assert [answer.status_code for answer in answers] == [400] * 30 + [429] * 2
        assert answers[0].headers["ratelimit-policy"] == '"token";q=30;w=60'
        assert answers[-1].headers["content-type"] == "application/problem+json"
        async with shop.client("10.0.0.2") as elsewhere:
            assert (await elsewhere.post(TOKEN, data={"grant_type": "x"}, headers=basic())).status_code == 400


# -- scopes --------------------------------------------------------------------------------------------------------------

NEEDS = {
    "orders:read": [("GET", ORDERS), ("GET", f"{ORDERS}/{{id}}"), ("GET", f"{ORDERS}/{{id}}/receipt")],
    "orders:write": [
        ("POST", ORDERS),
        ("PATCH", f"{ORDERS}/{{id}}"),
        ("POST", f"{ORDERS}/{{id}}/cancel"),
        ("DELETE", f"{ORDERS}/{{id}}"),
    ],
    "profile": [("GET", ME), ("PATCH", ME)],
    "reports:read": [("GET", "/api/v1/reports/sales")],
}


@pytest.mark.parametrize("scope", ["orders:read", "orders:write", "profile"])
async def test_a_scope_opens_its_operations_and_no_others(flow, shop, scope) -> None:
    token = (await flow.tokens(scope=scope))["access_token"]
    document = shop.app.openapi()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            security = operation["security"]
            if not security or {} in security:
                continue
            answer = await flow.client.request(method, path, headers=bearer(token))
            needed = next((need["oauth2"][0] for need in security if "oauth2" in need), None)
            if needed == scope:
                assert answer.status_code in (200, 415, 422), (method, path, answer.text)
                continue
            challenge = 'Bearer realm="upheld", error="insufficient_scope"'
            challenge += f', scope="{needed}"' if needed else ""
            assert answer.status_code == 403, (method, path)
            assert answer.headers["www-authenticate"] == challenge, (method, path)
            assert answer.headers["content-type"] == "application/problem+json"


def test_the_document_says_which_scope_opens_what() -> None:
    document = create_app(Settings()).openapi()
    found: dict[str, list[tuple[str, str]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for need in operation["security"]:
                for scope in need.get("oauth2", ()):
                    found.setdefault(scope, []).append((method.upper(), path.replace("{order_id}", "{id}")))
    assert {scope: sorted(operations) for scope, operations in found.items()} == {
        scope: sorted(operations) for scope, operations in NEEDS.items()
    }
    flows = document["components"]["securitySchemes"]["oauth2"]["flows"]
    assert set(flows) == {"authorizationCode", "clientCredentials"}
    assert {scope for flow in flows.values() for scope in flow["scopes"]} == set(NEEDS)


async def test_an_administrators_client_is_no_administrator(flow, shop) -> None:
    flow.session = (await shop.tokens(ADMIN["email"]))["access_token"]
    token = (await flow.tokens())["access_token"]
    assert await flow.get(ME, token) == 200
    for path in ("/api/v1/admin/users", REPORT):
        assert await flow.get(path, token) == 403


async def test_tokens_whose_claims_do_not_fit_are_refused(flow, shop) -> None:
    key = shop.parts.tokens.key
    of_user = (await flow.tokens())["access_token"]
    of_client = (await flow.token(grant_type="client_credentials")).json()["access_token"]
    for good, path, changes in [
        (of_user, ME, {}),
        (of_client, REPORT, {}),
        (of_user, ME, {"scope": None}),
        (of_user, ME, {"client_id": None}),
        (of_user, ME, {"scope": ["profile"]}),
        (of_user, ME, {"client_id": 1}),
        (of_user, ME, {"client_id": "gone"}),
        (of_user, ME, {"sid": 1}),
        (of_client, REPORT, {"client_id": "gone"}),
        (of_client, REPORT, {"client_id": None, "scope": None}),
    ]:
        claims = jwt.decode(good, options={"verify_signature": False}) | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        forged = forge(jwt.get_unverified_header(good), claims, key)
        assert await flow.get(path, forged) == (401 if changes else 200), changes
