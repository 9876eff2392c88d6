"""The document as the engine gets it."""

from __future__ import annotations

import copy
from typing import Any

from upheld.run.fuzz.overlay import PROBLEM, overlaid

from .conftest import Document, MakeContract

RFC9457 = {"errors": {"format": "rfc9457", "require": ["type", "title"]}}


def test_the_document_itself_is_not_changed(make_contract: MakeContract, document: Document) -> None:
    contract = make_contract({**RFC9457, "rate_limit": {"retry_after": "required"}})
    before = copy.deepcopy(contract.document)
    overlaid(contract, contract.document)
    assert contract.document == before


def test_labels_are_the_contracts(make_contract: MakeContract, document: Document) -> None:
    document["servers"] = [{"url": "https://api.example.com/api/v1"}]
    document["paths"]["/items"]["servers"] = [{"url": "/v2"}]
    document["paths"]["/items"]["post"]["responses"]["201"]["links"] = {
        "x": {"operationRef": "#/paths/~1items~1{item_id}/get"}
    }
    contract = make_contract()
    paths = overlaid(contract, contract.document)["paths"]
    labels = {
        f"{method.upper()} {path}"
        for path, item in paths.items()
        for method in item
        if method in ("get", "post", "put", "delete")
    }
    assert labels == {operation.label for operation in contract.operations}
    assert "GET /api/v1/me" in labels
    assert "POST /v2/items" in labels
    assert (
        paths["/v2/items"]["post"]["responses"]["201"]["links"]["x"]["operationRef"]
        == "#/paths/~1api~1v1~1items~1{item_id}/get"
    )


def test_no_server_is_left(make_contract: MakeContract, document: Document) -> None:
    document["servers"] = [{"url": "https://api.example.com"}]
    document["paths"]["/me"]["get"]["servers"] = [{"url": "https://other.example.com"}]
    contract = make_contract()
    assert "servers" not in str(overlaid(contract, contract.document))


def response(contract: Any, label: str, code: str) -> dict[str, Any]:
    method, path = label.split(" ")
    answer: dict[str, Any] = overlaid(contract, contract.document)["paths"][path][method.lower()]["responses"][code]
    return answer


def test_problems_are_promised_where_the_policy_promises_them(make_contract: MakeContract, document: Document) -> None:
    answers = document["paths"]["/items"]["post"]["responses"]
    answers["404"] = {"description": "", "content": {"application/json": {"schema": {"type": "object"}}}}
    answers["4XX"] = {"$ref": "#/components/responses/Bad"}
    document["components"]["responses"] = {"Bad": {"description": "bad"}}
    contract = make_contract(RFC9457)
    content = response(contract, "POST /items", "404")["content"]
    assert list(content) == [PROBLEM]
    assert content[PROBLEM]["schema"]["required"] == ["type", "title"]
    assert list(response(contract, "POST /items", "4XX")["content"]) == [PROBLEM]
    # What the document says of problems itself stays.
    kept = response(contract, "POST /items", "409")["content"][PROBLEM]["schema"]
    assert kept == document["paths"]["/items"]["post"]["responses"]["409"]["content"][PROBLEM]["schema"]
    assert "application/json" in response(contract, "POST /items", "201")["content"]


def test_nothing_is_promised_that_the_policy_does_not(make_contract: MakeContract, document: Document) -> None:
    answers = document["paths"]["/items"]["post"]["responses"]
    answers["404"] = {"description": "", "content": {"application/json": {"schema": {"type": "object"}}}}
    answers["429"] = {"description": ""}
    plain = make_contract({"errors": {"format": "any"}})
    assert list(response(plain, "POST /items", "404")["content"]) == ["application/json"]
    assert response(plain, "POST /items", "429") == {"description": ""}
    exempt = make_contract({"errors": {"format": "rfc9457", "exempt": ["POST /items"]}})
    assert list(response(exempt, "POST /items", "404")["content"]) == ["application/json"]


def test_required_fields(make_contract: MakeContract, document: Document) -> None:
    answers = document["paths"]["/items"]["post"]["responses"]
    answers["429"] = {"description": "", "headers": {"retry-after": {"schema": {"type": "integer"}}}}
    del answers["401"]["headers"]
    contract = make_contract({"rate_limit": {"retry_after": "required"}})
    assert response(contract, "POST /items", "429")["headers"] == {
        "retry-after": {"schema": {"type": "integer"}, "required": True}
    }
    assert response(contract, "POST /items", "401")["headers"]["WWW-Authenticate"]["required"] is True


def test_schemes_that_the_engine_cannot_probe_become_bearer(make_contract: MakeContract, document: Document) -> None:
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "oauth2", "flows": {"password": {"tokenUrl": "/token", "scopes": {}}}},
        "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://id.example.com"},
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    }
    contract = make_contract()
    schemes = overlaid(contract, contract.document)["components"]["securitySchemes"]
    assert schemes["bearer"] == schemes["oidc"] == {"type": "http", "scheme": "bearer"}
    assert schemes["key"]["type"] == "apiKey"


def test_who_hashes_passwords_comes_last(make_contract: MakeContract) -> None:
    contract = make_contract({"auth": {"login": {"op": "POST /items", "body": {"name": "$user", "sku": "$password"}}}})
    assert list(overlaid(contract, contract.document)["paths"])[-1] == "/items"


def test_what_makes_things_is_tried_before_what_deletes_them(make_contract: MakeContract) -> None:
    contract = make_contract()
    paths = overlaid(contract, contract.document)["paths"]
    assert list(paths["/items"]) == ["post", "get"]
    assert [method for method in paths["/items/{item_id}"] if method != "parameters"] == ["get", "put", "delete"]
    assert list(paths).index("/items") < list(paths).index("/items/{item_id}")
