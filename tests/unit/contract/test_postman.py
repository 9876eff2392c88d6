"""A collection that Postman can import: its structure, its folders, working credentials, and no secret in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.contract.conftest import body, contract, fields, operation

from upheld.contract import Contract
from upheld.contract.load import load
from upheld.contract.postman import FORMAT, collection, dumps

REFERENCE = Path(__file__).parents[3] / "contracts" / "reference"
AUTH = {
    "login": {
        "op": "POST /auth/login",
        "body": {"email": "$user", "password": "$password"},
        "access": "/data/access_token",
        "refresh": "/refresh_token",
    }
}


@pytest.fixture(scope="module")
def reference() -> Contract:
    return load(REFERENCE)


def requests(folder: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in folder["item"]:
        yield from requests(item) if "item" in item else (item,)


def named(made: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """The item of an operation; ``path`` as Postman writes it."""
    return next(
        item
        for item in requests(made)
        if item["request"]["method"] == method and "/" + "/".join(item["request"]["url"]["path"]) == path
    )


def test_it_has_the_structure_of_the_format(reference: Contract) -> None:
    made = collection(reference, "http://127.0.0.1:8500/")
    assert made["info"]["schema"] == FORMAT
    assert made["info"]["name"]
    keys = [variable["key"] for variable in made["variable"]]
    assert len(keys) == len(set(keys))
    assert all(isinstance(variable["value"], str) for variable in made["variable"])
    for folder in made["item"]:
        assert folder["name"]
        assert folder["item"], "a folder without requests"
    for item in requests(made):
        request, url = item["request"], item["request"]["url"]
        assert item["name"]
        assert item["response"] == []
        assert url["host"] == ["{{base_url}}"]
        assert url["raw"].partition("?")[0] == "{{base_url}}/" + "/".join(url["path"])
        inside = [part[1:] for part in url["path"] if part.startswith(":")]
        assert inside == [variable["key"] for variable in url.get("variable", [])]
        assert all(set(field) <= {"key", "value", "disabled"} for field in request["header"])
        auth = request.get("auth", made["auth"])
        assert auth["type"] == "noauth" or {"key", "value", "type"} == set(auth[auth["type"]][0])
        content = request.get("body", {"mode": "raw", "raw": ""})
        assert content["mode"] in ("raw", "urlencoded")
        assert content["mode"] in content
        for event in item.get("event", ()):
            assert (event["listen"], event["script"]["type"]) == ("test", "text/javascript")


def test_every_operation_is_in_it_once_and_every_group_is_a_folder(reference: Contract) -> None:
    made = collection(reference, "")
    assert len(list(requests(made))) == len(reference.operations)
    assert [folder["name"] for folder in made["item"]] == list(
        dict.fromkeys(op.tags[0] if op.tags else "health" for op in reference.operations)
    )


def test_every_variable_that_is_used_is_declared(reference: Contract) -> None:
    import re

    text = dumps(reference, "http://127.0.0.1:8500")
    declared = {variable["key"] for variable in json.loads(text)["variable"]}
    assert set(re.findall(r"\{\{([^{}$]+)\}\}", text)) <= declared
    assert {"base_url", "user", "password", "token", "refresh_token"} <= declared


def test_the_login_keeps_its_tokens_for_all_others() -> None:
    made = collection(
        contract(
            {
                "/auth/login": {"post": operation(requestBody=body(fields("email", "password")))},
                "/me": {"get": operation(security=[{"b": []}])},
            },
            {"auth": AUTH},
            components={"securitySchemes": {"b": {"type": "http", "scheme": "bearer"}}},
        ),
        "http://127.0.0.1:1",
    )
    login = named(made, "POST", "/auth/login")
    assert login["request"]["auth"] == {"type": "noauth"}
    assert json.loads(login["request"]["body"]["raw"]) == {"email": "{{user}}", "password": "{{password}}"}
    script = "\n".join(login["event"][0]["script"]["exec"])
    assert 'pm.collectionVariables.set("token", answer["data"]["access_token"]);' in script
    assert 'pm.collectionVariables.set("refresh_token", answer["refresh_token"]);' in script
    assert "auth" not in named(made, "GET", "/me")["request"], "it takes the collection's"
    assert made["auth"] == {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]}


def test_a_token_stands_where_the_contract_says() -> None:
    made = collection(
        contract({"/me": {"get": operation()}}, {"auth": {"scheme": "header:Authorization:Token {token}"}}), ""
    )
    assert made["auth"]["type"] == "apikey"
    assert {each["key"]: each["value"] for each in made["auth"]["apikey"]} == {
        "key": "Authorization",
        "value": "Token {{token}}",
        "in": "header",
    }


def test_parameters_and_their_examples() -> None:
    parameters = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}, "example": 7},
        {"name": "q", "in": "query", "required": True, "schema": {"type": "string"}, "example": "a"},
        {"name": "page", "in": "query", "schema": {"type": "integer"}},
        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
    ]
    made = collection(contract({"/things/{id}/as.{format}": {"get": operation(parameters=parameters)}}), "")
    request = next(requests(made))["request"]
    assert request["url"]["raw"] == "{{base_url}}/things/:id/as.{{format}}?q=a"
    assert request["url"]["variable"] == [{"key": "id", "value": "7"}]
    assert [(each["key"], each["disabled"]) for each in request["url"]["query"]] == [("q", False), ("page", True)]
    assert request["header"] == [{"key": "Idempotency-Key", "value": "{{$guid}}", "disabled": True}]
    assert "format" in [variable["key"] for variable in made["variable"]]


def test_a_form_is_a_form() -> None:
    form = body(fields("name"), "application/x-www-form-urlencoded", example={"name": "a b"})
    made = collection(contract({"/things": {"post": operation(requestBody=form)}}), "")
    assert next(requests(made))["request"]["body"] == {
        "mode": "urlencoded",
        "urlencoded": [{"key": "name", "value": "a b", "type": "text"}],
    }


def test_no_secret_goes_into_the_file(monkeypatch: pytest.MonkeyPatch, reference: Contract) -> None:
    monkeypatch.setenv("UPHELD_REFERENCE_ADMIN_PASSWORD", "Very-secret-9")
    made = collection(reference, "http://127.0.0.1:8500")
    assert "Very-secret-9" not in json.dumps(made)
    assert {v["key"]: v["value"] for v in made["variable"]} == {
        v["key"]: "http://127.0.0.1:8500" if v["key"] == "base_url" else "" for v in made["variable"]
    }


def test_the_same_contract_gives_the_same_collection(reference: Contract) -> None:
    assert dumps(reference, "http://127.0.0.1:8500") == dumps(reference, "http://127.0.0.1:8500")
