"""The mechanism of the mutants: each starts, and the contract is not changed by it."""

from __future__ import annotations

import time

import jwt
import pytest

from upheld.reference.app import create_app
from upheld.reference.core.settings import Settings
from upheld.reference.mutants import Answer, UnknownMutantError, find, registry

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", sorted(registry()))
async def test_every_mutant_starts_and_says_what_it_is(name, shop_with) -> None:
    mutant = find(name)
    assert mutant.says.endswith(".")
    assert "/" in mutant.requirement
    async with shop_with(mutant=name) as shop, shop.client() as client:
        assert (await client.get("/health")).status_code == 200


def test_an_unknown_name_lists_near_ones() -> None:
    with pytest.raises(UnknownMutantError, match="auth/expired-accepted"):
        create_app(Settings(mutant="auth/expired-acepted"))


async def test_a_part_can_be_changed(shop_with) -> None:
    async with shop_with(mutant="auth/expired-accepted") as shop, shop.client() as client:
        token = (await shop.tokens())["access_token"]
        claims = jwt.decode(token, options={"verify_signature": False}) | {"exp": int(time.time()) - 600}
        old = jwt.encode(claims, shop.parts.tokens.key, "HS256", headers=jwt.get_unverified_header(token))
        answer = await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {old}"})
        assert answer.status_code == 200


async def test_an_answer_can_be_altered(shop_with) -> None:
    async with shop_with(mutant="ratelimit/retry-after-missing", profile="shipped") as shop, shop.client() as client:
        answers = [await client.post("/api/v1/auth/login", json={}) for _ in range(11)]
    assert answers[-1].status_code == 429
    assert "retry-after" not in answers[-1].headers
    assert "ratelimit" in answers[-1].headers


def test_an_altered_body_has_its_own_length() -> None:
    answer = Answer(200, (("content-length", "2"), ("content-type", "application/json")), b"{}").with_body(
        b"[1]", "text/html"
    )
    assert (answer.get("content-length"), answer.get("content-type")) == ("3", "text/html")


def test_replacing_what_is_not_there_is_an_error() -> None:
    from upheld.reference.mutants import Context

    app = create_app(Settings())
    context = Context(app, app.state.components.settings, app.state.components)
    with pytest.raises(AttributeError):
        context.replace(context.parts.tokens, "chek_kind", lambda: None)
    with pytest.raises(TypeError):
        context.replace(context.parts.tokens, "issuer", lambda: None)
