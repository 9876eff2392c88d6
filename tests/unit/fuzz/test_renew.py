"""What is sent once more differs where it must, and nowhere else."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

from upheld.exchange import Headers, Request
from upheld.run.fuzz.renew import Renewer

from .conftest import MakeContract


def _request(kind: str, body: bytes) -> Request:
    return Request("POST", "/items", (), Headers({"Content-Type": kind}), operation="POST /items").with_(body=body)


def test_the_unique_fields_of_json_and_of_a_form_are_renewed(make_contract: MakeContract) -> None:
    renewer = Renewer(make_contract({"unique": ["sku"]}), "t1")
    given = _request("application/json", json.dumps({"name": "lamp", "sku": "abc-0001"}).encode())
    seen = {"abc-0001"}
    for _ in range(3):
        again = renewer.renewed("POST /items", given).json()
        assert again["name"] == "lamp"
        assert len(again["sku"]) == len("abc-0001")
        assert again["sku"] not in seen
        seen.add(again["sku"])
    form = renewer.renewed(
        "POST /items", _request("application/x-www-form-urlencoded", b"name=lamp&sku=abc-0001&note=")
    )
    told = parse_qs((form.body or b"").decode(), keep_blank_values=True)
    assert (told["name"], told["note"]) == (["lamp"], [""])
    assert told["sku"][0] not in seen


def test_what_cannot_or_need_not_differ_stays(make_contract: MakeContract) -> None:
    renewer = Renewer(make_contract({"unique": ["sku"]}), "t1")
    for body in (b'{"name": "x"}', b'{"name": "x", "sku": 7}', b"not json", b""):
        given = _request("application/json", body)
        assert renewer.renewed("POST /items", given) is given
    strange = _request("application/json", b'{"sku": "abc-0001"}')
    assert renewer.renewed("GET /nothing", strange) is strange
    assert renewer.renewed(None, strange) is strange
