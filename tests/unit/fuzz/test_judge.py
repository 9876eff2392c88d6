"""Failures judged again from an answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from upheld.contract import Contract
from upheld.exchange import Response
from upheld.run.fuzz import events, judge

from .conftest import MakeContract

Find = Callable[[str], tuple[events.Failure, events.Sent]]
PROBLEM = Response.problem(422)


def test_the_same_answer_fails_again(contract: Contract, told: list[events.Sent]) -> None:
    for sent in told:
        for failure in sent.failures:
            verdict = judge.again(failure, sent, sent.exchange.response, contract)
            assert verdict is True, (failure, sent.exchange)


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("ST101", PROBLEM),
        ("ST103", Response.of(204)),
        ("ST105", PROBLEM),
        ("ST107", Response.of(201, {}, location="/items/1")),
        ("ST108", Response.of(200, {"id": 1, "name": "x", "sku": "abc", "quantity": 1})),
        ("ST201", PROBLEM),
        ("ST202", Response.of(200, {})),
        ("ST203", Response.problem(401)),
        ("ST204", Response.problem(405, allow="GET")),
        ("ST301", Response.problem(404)),
        ("ST302", Response.of(200, {})),
        ("ST401", Response.problem(401)),
        ("ST401", Response.problem(403)),
    ],
)
def test_a_good_answer_does_not(code: str, answer: Response, contract: Contract, by_code: Find) -> None:
    failure, sent = by_code(code)
    assert judge.again(failure, sent, answer, contract) is False


@pytest.mark.parametrize("code", ["ST101", "ST107", "ST201", "ST401", "ST302"])
def test_a_429_tells_nothing(code: str, contract: Contract, by_code: Find) -> None:
    failure, sent = by_code(code)
    assert judge.again(failure, sent, Response.problem(429), contract) is None


def test_refusals_beside_the_point_do_not_repeat_a_refusal(contract: Contract, by_code: Find) -> None:
    failure, sent = by_code("ST202")
    for status in (401, 403, 404, 409, 412):
        assert judge.again(failure, sent, Response.problem(status), contract) is False


def test_unknown_codes_are_left_to_the_engine(contract: Contract, by_code: Find) -> None:
    _, sent = by_code("ST101")
    assert judge.again(events.Failure("new_check", "ST999", {}), sent, PROBLEM, contract) is None


def test_bodies_are_held_against_the_request_schema(contract: Contract, by_code: Find) -> None:
    _, sent = by_code("ST101")
    request = sent.exchange.request
    good = {"name": "x", "sku": "abc", "quantity": 5}
    assert judge.body_breaks("POST /items", request, good, contract) == frozenset()
    assert judge.body_breaks("POST /items", request, {**good, "name": "x" * 21}, contract) == {
        "/properties/name/maxLength"
    }
    assert judge.body_breaks("GET /health", request, good, contract) == frozenset()


def test_who_promises_it(make_contract: MakeContract, document: dict[str, object], by_code: Find) -> None:
    contract = make_contract({"errors": {"format": "rfc9457"}})
    for code in ("ST107", "ST108", "ST105"):
        assert judge.promised_by(*by_code(code), contract) == "document"
    answers = document["paths"]["/items"]["post"]["responses"]  # type: ignore[index]
    answers["422"]["content"] = {"application/json": {"schema": {}}}
    answers["201"]["headers"]["Location"]["required"] = False
    laid_over = make_contract({"errors": {"format": "rfc9457"}})
    failure, sent = by_code("ST105")
    assert sent.label == "POST /items"
    assert judge.promised_by(failure, sent, laid_over) == "policy"
    assert judge.promised_by(*by_code("ST107"), laid_over) == "policy"
