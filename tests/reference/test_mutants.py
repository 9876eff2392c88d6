"""The mechanism of the mutants: each starts, and the contract is not changed by it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from upheld.reference import mutants
from upheld.reference.app import create_app
from upheld.reference.core.settings import Settings
from upheld.reference.mutants import Answer, Context, Mutant, UnknownMutantError, find, registry

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", sorted(registry()))
async def test_every_mutant_starts_and_says_what_it_is(name, shop_with) -> None:
    mutant = find(name)
    assert mutant.says.endswith(".")
    assert "/" in mutant.requirement
    async with shop_with(mutant=name) as shop, shop.client() as client:
        assert (await client.get("/health")).status_code == 200


@pytest.fixture
def with_defect(shop_with, monkeypatch) -> Callable[..., Any]:
    """A backend with this defect, which is not in the registry otherwise."""

    def opened(apply: Callable[[Context], None], **settings: Any) -> Any:
        defect = Mutant("test/defect", "test/requirement", "It is wrong.", apply)
        monkeypatch.setattr(mutants, "registry", lambda: {defect.name: defect})
        return shop_with(mutant=defect.name, **settings)

    return opened


def test_an_unknown_name_lists_near_ones(monkeypatch) -> None:
    monkeypatch.setattr(mutants, "registry", lambda: dict.fromkeys(["jwt/signature-not-verified", "http/head-refused"]))
    with pytest.raises(UnknownMutantError, match=r"near: jwt/signature-not-verified$"):
        create_app(Settings(mutant="jwt/signature-verified"))
    with pytest.raises(UnknownMutantError, match=r"near: http/head-refused$"):
        create_app(Settings(mutant="http/xyz"))


async def test_a_part_can_be_changed(with_defect) -> None:
    def apply(ctx: Context) -> None:
        ctx.parts.tokens.options["verify_exp"] = False

    async with with_defect(apply) as shop, shop.client() as client:
        token = (await shop.tokens())["access_token"]
        claims = jwt.decode(token, options={"verify_signature": False}) | {"exp": int(time.time()) - 600}
        old = jwt.encode(claims, shop.parts.tokens.key, "HS256", headers=jwt.get_unverified_header(token))
        answer = await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {old}"})
        assert answer.status_code == 200


async def test_a_method_of_a_part_can_be_replaced(with_defect) -> None:
    def apply(ctx: Context) -> None:
        ctx.replace(ctx.parts.tokens, "check_kind", lambda payload, kind: None)
        ctx.replace(ctx.parts.tokens, "check_header", lambda header, kind: None)

    async with with_defect(apply) as shop, shop.client() as client:
        token = (await shop.tokens())["refresh_token"]
        answer = await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200


async def test_an_answer_can_be_altered(with_defect) -> None:
    def apply(ctx: Context) -> None:
        ctx.alter(lambda scope, answer: answer.without("retry-after") if answer.status == 429 else answer)

    async with with_defect(apply, profile="shipped") as shop, shop.client() as client:
        answers = [await client.post("/api/v1/auth/login", json={}) for _ in range(11)]
    assert answers[-1].status_code == 429
    assert "retry-after" not in answers[-1].headers
    assert "ratelimit" in answers[-1].headers


async def test_a_route_can_be_replaced_in_one_application_only(shop_with) -> None:
    async def endpoint() -> dict[str, str]:
        return {"status": "replaced"}

    async with shop_with() as shop, shop_with() as other:
        Context(shop.app, shop.parts.settings, shop.parts).route("GET", "/health", endpoint)
        for where, says in ((shop, "replaced"), (other, "ok")):
            async with where.client() as client:
                answer = await client.get("/health")
                assert answer.json() == {"status": says}
                assert "x-request-id" in answer.headers
                assert (await client.head("/health")).status_code == 200


def test_an_altered_body_has_its_own_length() -> None:
    answer = Answer(200, (("content-length", "2"), ("content-type", "application/json")), b"{}").with_body(
        b"[1]", "text/html"
    )
    assert (answer.get("content-length"), answer.get("content-type")) == ("3", "text/html")


def test_replacing_what_is_not_there_is_an_error() -> None:
    app = create_app(Settings())
    context = Context(app, app.state.components.settings, app.state.components)
    with pytest.raises(AttributeError):
        context.replace(context.parts.tokens, "chek_kind", lambda: None)
    with pytest.raises(TypeError):
        context.replace(context.parts.tokens, "issuer", lambda: None)
