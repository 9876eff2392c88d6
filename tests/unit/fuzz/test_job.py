"""What the engine's process is told."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from upheld.contract import Contract
from upheld.exchange import Response, Session
from upheld.run.fuzz.job import job, own_ids, own_values, who_calls

from .conftest import ANN, Document, MakeContract

ROOT = Session("root", "admin", user="root@example.com", headers=(("Authorization", "Bearer token-of-root"),))


def made(contract: Contract, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "user": ANN, "admin": ROOT, "known": {}, "protected": (), "token": "t1", "one_pass": True, "phases": ("coverage",),
        "engine_seconds": 60, "body_limit": 1000, "addresses": (), "wait_budget": 5.0,
    }  # fmt: skip
    return job(contract, **{**given, **changes})


def test_it_is_json_without_credentials(contract: Contract) -> None:
    text = json.dumps(made(contract))
    assert "token-of" not in text


def test_operations_are_called_by_those_who_may(make_contract: MakeContract) -> None:
    contract = make_contract(
        {
            "roles": [{"op": "DELETE /items/*", "allow": ["admin"]}],
            "identities": {"a": {"role": "user"}, "b": {"role": "admin"}},
        }
    )
    callers = made(contract)["callers"]
    assert callers["DELETE /items/{item_id}"] == "admin"
    assert callers["POST /items"] == "user"
    assert "GET /health" not in callers
    operation = contract.by_label["POST /items"]
    assert who_calls(contract, operation, None, ROOT) == "admin"
    assert who_calls(contract, operation, None, None) == ""


def test_unique_fields_are_found_where_they_stand(make_contract: MakeContract, document: Document) -> None:
    job_ = made(make_contract({"unique": ["sku"]}))
    (field,) = job_["unique"]["POST /items"]
    assert field == {"path": "/sku", "kind": "text", "min": 3, "max": 40, "pattern": None}
    assert "PUT /items/{item_id}" in job_["unique"]
    assert "POST /orders" not in job_["unique"]


def test_unique_fields_have_kinds(make_contract: MakeContract, document: Document) -> None:
    schema = document["components"]["schemas"]["ItemIn"]["properties"]
    schema["email"] = {"anyOf": [{"type": "string", "format": "email", "maxLength": 60}, {"type": "null"}]}
    schema["number"] = {"type": "integer", "minimum": 5}
    schema["kind"] = {"type": "string", "enum": ["a", "b"]}
    fields = made(make_contract({"unique": ["email", "number", "kind"]}))["unique"]["POST /items"]
    assert {field["path"]: field["kind"] for field in fields if field["path"] != "/sku"} == {
        "/email": "email",
        "/number": "integer",
    }


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key", "X-Idempotency-Key"])
def test_keys_that_make_a_request_the_same_again_are_found(
    make_contract: MakeContract, document: Document, name: str
) -> None:
    create = document["paths"]["/items"]["post"]
    create["parameters"] = [{"name": name, "in": "header", "schema": {"type": "string", "minLength": 8}}]
    field = {"path": name, "kind": "text", "min": 8, "max": None, "pattern": None}
    assert made(make_contract())["keys"] == {"POST /items": field}
    create["parameters"][0]["in"] = "query"
    assert made(make_contract())["keys"] == {}


def test_ids_in_paths_and_bodies_belong_to_families(contract: Contract) -> None:
    job_ = made(contract)
    assert job_["paths"]["GET /items/{item_id}"] == {"item_id": ["/items/{item_id}", "integer"]}
    assert job_["bodies"]["POST /orders"] == [["/item_id", "/items/{item_id}"]]
    assert job_["makers"]["POST /items"] == ["/items/{item_id}", "/id"]
    assert job_["lists"]["GET /items"][0] == "/items/{item_id}"


def test_dangerous_operations_are_given_as_patterns(make_contract: MakeContract) -> None:
    job_ = made(make_contract({"never": ["DELETE /items/*"]}))
    assert job_["danger"] == [["DELETE", "/items/[^/]+"]]
    assert "DELETE /items/{item_id}" not in job_["operations"]


def test_our_own_names_and_ids_are_protected(contract: Contract) -> None:
    claims = (
        urlsafe_b64encode(json.dumps({"sub": "u-77", "exp": 1, "email": "x@example.com"}).encode())
        .rstrip(b"=")
        .decode()
    )
    session = Session("eve", "user", user="eve@example.com", access=f"e30.{claims}.c2ln")
    assert set(own_values(session)) == {"eve@example.com", "u-77", "x@example.com"}
    assert set(own_values(Session("x", "user", access="opaque"))) == set()
    assert set(own_values(Session("x", "user", access="a.!!.c"))) == set()
    assert made(contract, user=session, protected=("more",))["protected"] == [
        "eve@example.com", "more", "root@example.com", "u-77", "x@example.com",
    ]  # fmt: skip


def test_an_answer_about_us_tells_what_we_are_called() -> None:
    answer = Response.of(200, {"id": 7, "name": "Eve", "data": {"userName": "eve", "active": True, "uuid": ""}})
    assert set(own_ids(answer)) == {"7", "eve"}
    assert set(own_ids(Response.of(200, [{"id": 7}]))) == set()
    assert set(own_ids(Response(200, body=b"<html>"))) == set()
