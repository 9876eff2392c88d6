"""Where the document is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml
from tests.unit.contract.conftest import answer, document, operation

from upheld.errors import ContractError, SetupError, TargetUnreachable
from upheld.run.init.document import PLACES, Document, from_file, from_service
from upheld.run.init.visitor import MOST, Visitor, visiting

ORIGIN = "http://shop.test"
SPEC = document({"/items": {"get": operation()}}, info={"title": "Shop API", "version": "1"})
SERVED = httpx.Response(200, json=SPEC)
Handler = Callable[[httpx.Request], httpx.Response]


def visitor(handler: Handler) -> Visitor:
    return Visitor(httpx.Client(transport=httpx.MockTransport(handler)), ORIGIN)


def served(routes: dict[str, httpx.Response], url: str = ORIGIN, **fields: str) -> tuple[Document, list[str]]:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return routes.get(request.url.raw_path.decode(), httpx.Response(404))

    return from_service(visitor(handler), url, fields), asked


def test_the_url_itself() -> None:
    found, asked = served({"/docs/spec": SERVED}, f"{ORIGIN}/docs/spec")
    assert asked == ["/docs/spec"]
    assert found.located().value == SPEC
    assert (found.served, found.address, found.title) == ("/docs/spec", ORIGIN, "Shop API")


@pytest.mark.parametrize("place", PLACES)
def test_the_usual_places(place: str) -> None:
    assert served({place: SERVED})[0].served == place


def test_a_base_path_comes_before_the_root() -> None:
    other = httpx.Response(200, json=document({"/other": {"get": operation()}}))
    found, _ = served({"/shop/openapi.json": SERVED, "/openapi.json": other}, f"{ORIGIN}/shop")
    assert found.served == "/shop/openapi.json"


@pytest.mark.parametrize(
    "page",
    [
        '<script>SwaggerUIBundle({url: "/spec/here.json", dom_id: "#x"})</script>',
        '<redoc spec-url="spec/here.json"></redoc>',
    ],
)
def test_what_a_page_names(page: str) -> None:
    found, asked = served({"/": httpx.Response(200, html=page), "/spec/here.json": SERVED}, f"{ORIGIN}/")
    assert found.served == "/spec/here.json"
    assert asked == ["/", "/spec/here.json"]


def test_a_link_of_rfc_8631() -> None:
    start = httpx.Response(200, json={}, headers={"Link": '</hidden>; rel="service-desc"; type="application/json"'})
    assert served({"/": start, "/hidden": SERVED}, f"{ORIGIN}/")[0].served == "/hidden"


def test_nothing_of_another_host_is_fetched() -> None:
    page = '<redoc spec-url="http://elsewhere.test/openapi.json"></redoc>'
    seen: set[str] = set()

    def handler(request: httpx.Request) -> httpx.Response:
        seen.add(request.url.host)
        if request.url.path == "/openapi.json":
            return httpx.Response(302, headers={"Location": "http://elsewhere.test/openapi.json"})
        return httpx.Response(200, html=page) if request.url.path == "/" else httpx.Response(404)

    with pytest.raises(SetupError, match=r"no OpenAPI document at /, /openapi.json, "):
        from_service(visitor(handler), f"{ORIGIN}/", {})
    assert seen == {"shop.test"}


def test_a_redirect_to_itself_ends() -> None:
    looping = visitor(lambda request: httpx.Response(307, headers={"Location": str(request.url)}))
    assert looping.get(f"{ORIGIN}/a") is None
    assert looping.sent == 3


def test_a_visit_has_an_end() -> None:
    guest = visitor(lambda request: httpx.Response(200))
    for _ in range(MOST):
        guest.get(f"{ORIGIN}/a")
    with pytest.raises(SetupError, match="requests were not enough"):
        guest.get(f"{ORIGIN}/a")


def test_nobody_there() -> None:
    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(TargetUnreachable, match=ORIGIN):
        from_service(visitor(refused), ORIGIN, {})


def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with visiting(ORIGIN) as guest:
        assert guest._client._mounts == {}


def test_a_document_that_asks_for_credentials_says_how_to_give_them() -> None:
    with pytest.raises(SetupError, match=r"/api-docs asks for credentials.*--header 'Authorization"):
        served({"/api-docs": httpx.Response(401)})


def test_credentials_go_with_the_document_and_it_is_not_promised_to_be_served() -> None:
    asked: list[str | None] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("authorization"))
        return SERVED

    found = from_service(visitor(handler), f"{ORIGIN}/spec", {"Authorization": "Bearer s3cret"})
    assert asked == ["Bearer s3cret"]
    assert found.served is None


def test_a_secret_in_the_url_is_written_nowhere() -> None:
    found, _ = served({"/spec?access_token=s3cret-s3cret": SERVED}, f"{ORIGIN}/spec?access_token=s3cret-s3cret")
    assert found.served is None
    assert "s3cret" not in f"{found.where}{found.text}"


def test_swagger_2_is_told_where_nothing_else_is_there() -> None:
    with pytest.raises(ContractError, match=r"is Swagger 2\.0"):
        served({"/swagger.json": httpx.Response(200, json={"swagger": "2.0", "paths": {}})})
    newer = {"/swagger.json": httpx.Response(200, json={"swagger": "2.0"}), "/v3/api-docs": SERVED}
    assert served(newer)[0].served == "/v3/api-docs"


def test_schemas_that_are_referred_to_and_not_there_are_put_in_and_told() -> None:
    broken = document(
        {"/items": {"get": operation(responses=answer({"$ref": "#/components/schemas/Lost"}))}},
        components={"schemas": {"Kept": {"type": "string"}}},
    )
    found, _ = served({"/openapi.json": httpx.Response(200, json=broken)})
    assert found.mended == ("Lost",)
    schemas = yaml.safe_load(found.text)["components"]["schemas"]
    assert schemas.keys() == {"Kept", "Lost"}
    assert "type" not in schemas["Lost"]


def test_a_file_and_what_it_refers_to(tmp_path: Path) -> None:
    spec = document({"/items": {"get": operation(responses=answer({"$ref": "parts.yaml#/Item"}))}})
    (tmp_path / "api.json").write_text(json.dumps({**spec, "servers": [{"url": "https://api.shop.test/v2"}]}))
    (tmp_path / "parts.yaml").write_text("Item: {type: string}\n")
    found = from_file(tmp_path / "api.json")
    assert "parts.yaml" in found.text
    assert "$ref: parts.yaml" not in found.text
    assert (found.served, found.address) == (None, "https://api.shop.test")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot be read"):
        from_file(tmp_path / "none.yaml")
    with pytest.raises(ContractError, match="a URL begins with http"):
        from_file(Path("localhost:8000"))
    (tmp_path / "other.yaml").write_text("a: b\n")
    with pytest.raises(ContractError, match="is no OpenAPI document"):
        from_file(tmp_path / "other.yaml")
