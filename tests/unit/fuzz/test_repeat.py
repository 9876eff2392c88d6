"""Repeating and reducing against services of a few lines, without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from upheld.check import CannotProve
from upheld.contract import Contract
from upheld.exchange import Exchange, Headers, Request, Response
from upheld.run.fuzz.accusations import Accusations
from upheld.run.fuzz.events import Failure, Sent
from upheld.run.fuzz.job import job
from upheld.run.fuzz.repeat import MOST_REQUESTS, Repeater

from .conftest import ANN, Document, MakeContract

Service = Callable[[Request], Response]
JSON = Headers({"Content-Type": "application/json"})
CRASH = Failure("not_a_server_error", "ST101", {"status_code": 500})


class Shop:
    """Remembers what it was sent."""

    def __init__(self, answer: Service) -> None:
        self.answer = answer
        self.sent: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        self.sent.append(request)
        await asyncio.sleep(0)
        return self.answer(request)


@pytest.fixture
def contract(make_contract: MakeContract) -> Contract:
    return make_contract({"unique": ["sku"]})


def the_job(contract: Contract) -> dict[str, Any]:
    return job(
        contract, user=ANN, admin=None, known={}, protected=(), token="t1", one_pass=True, phases=(), engine_seconds=1,
        body_limit=1000, addresses=(), wait_budget=1.0,
    )  # fmt: skip


def repeater(contract: Contract, answer: Service) -> tuple[Repeater, Shop]:
    shop = Shop(answer)
    return Repeater(contract, shop, the_job(contract)), shop


_ids = count()


def sent(label: str, path: str, response: Response, body: Any = None, **changes: Any) -> Sent:
    method = label.split(" ")[0]
    request = Request(method, path, (), JSON if body is not None else Headers(), session=ANN, operation=label)
    if body is not None:
        request = request.with_(body=json.dumps(body).encode())
    given: dict[str, Any] = {
        "id": f"c{next(_ids)}", "scenario": "s", "phase": "fuzzing", "label": label, "failures": (), "is_probe": False,
        "is_own_method": True, "parent": "", "known": True, "whole": True,
        "exchange": Exchange(request, response, "fuzz", "fuzz/fuzzing/s", changes.pop("intent", "valid"), changes.pop("broken", "")),
    }  # fmt: skip
    return Sent(**{**given, **changes})


def nobody(_: str) -> Sent | None:
    return None


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


# -- repetition ----------------------------------------------------------------------------------------------------------


def test_what_fails_again_is_confirmed(contract: Contract) -> None:
    repeat, shop = repeater(contract, lambda _: Response(500))
    seen = sent("GET /items", "/items", Response(500))
    verdict, request = run(repeat.again(CRASH, seen, [seen], nobody))
    assert verdict is True
    assert shop.sent == [request] == [seen.exchange.request]


def test_what_does_not_is_not(contract: Contract) -> None:
    repeat, _ = repeater(contract, lambda _: Response.of(200, {}))
    seen = sent("GET /items", "/items", Response(500))
    assert run(repeat.again(CRASH, seen, [seen], nobody))[0] is False


def test_a_repetition_has_fresh_unique_values(contract: Contract) -> None:
    taken = {"abc"}

    def shop(request: Request) -> Response:
        sku = request.json()["sku"]
        if sku in taken:
            return Response.problem(409)
        taken.add(sku)
        return Response(500)

    repeat, _ = repeater(contract, shop)
    seen = sent("POST /items", "/items", Response(500), {"name": "x", "sku": "abc"})
    assert run(repeat.again(CRASH, seen, [seen], nobody))[0] is True
    assert run(repeat.again(CRASH, seen, [seen], nobody))[0] is True


def test_a_repetition_has_a_fresh_idempotency_key(make_contract: MakeContract, document: Document) -> None:
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}
    document["paths"]["/items"]["post"]["parameters"] = [key]
    old: dict[str, Response] = {"k1": Response(500)}
    repeat, shop = repeater(
        make_contract(), lambda request: old.get(request.headers["idempotency-key"], Response.of(201, {}))
    )
    seen = sent("POST /items", "/items", Response(500), {"name": "x", "sku": "abc"})
    request = seen.exchange.request.with_headers(Idempotency_Key="k1")
    seen = replace(seen, exchange=replace(seen.exchange, request=request))
    assert run(repeat.again(CRASH, seen, [seen], nobody))[0] is False
    assert len(shop.sent) == 1


def test_what_gets_no_answer_does_not_stand(contract: Contract) -> None:
    def silent(_: Request) -> Response:
        raise CannotProve("no answer")

    repeat, _ = repeater(contract, silent)
    seen = sent("GET /items", "/items", Response(500))
    assert run(repeat.again(CRASH, seen, [seen], nobody))[0] is False


def test_a_request_that_was_recorded_in_part_stands_unsent(contract: Contract) -> None:
    repeat, shop = repeater(contract, lambda _: Response(500))
    seen = sent("GET /items", "/items", Response(500), whole=False)
    assert run(repeat.again(CRASH, seen, [seen], nobody))[0] is True
    assert shop.sent == []


class Items:
    """A store whose deleted members can still be read."""

    def __init__(self) -> None:
        self.ids = count(100)
        self.items: dict[str, dict[str, Any]] = {}
        self.gone: set[str] = set()

    def __call__(self, request: Request) -> Response:
        if request.method == "POST":
            number = next(self.ids)
            self.items[str(number)] = {"id": number, **request.json()}
            return Response.of(201, self.items[str(number)], location=f"/items/{number}")
        id_ = request.path.rsplit("/", 1)[-1]
        if id_ not in self.items:
            return Response.problem(404)
        if request.method == "DELETE":
            if id_ in self.gone:
                return Response.problem(404)
            self.gone.add(id_)
            return Response(202)
        return Response.of(200, self.items[id_])


def test_a_chain_is_played_again_with_the_ids_that_it_makes(contract: Contract) -> None:
    made = {"id": 7, "name": "x", "sku": "abc", "quantity": 1}
    chain = [
        sent("POST /items", "/items", Response.of(201, made, location="/items/7"), {"name": "x", "sku": "abc"}),
        sent("DELETE /items/{item_id}", "/items/7", Response(204)),
        sent("GET /items/{item_id}", "/items/7", Response.of(200, made)),
    ]
    repeat, shop = repeater(contract, Items())
    failure = Failure("use_after_free", "ST301", {"free": "DELETE /items/7"})
    verdict, request = run(repeat.again(failure, chain[-1], chain, nobody))
    assert verdict is True
    assert request.path == "/items/100"
    assert [r.path for r in shop.sent] == ["/items", "/items/100", "/items/100"]


def test_what_is_gone_is_made_anew(contract: Contract) -> None:
    maker = sent("POST /items", "/items", Response.of(201, {"id": 7, "sku": "abc"}), {"name": "x", "sku": "abc"})
    seen = sent("DELETE /items/{item_id}", "/items/9", Response(202))
    repeat, shop = repeater(contract, Items())
    failure = Failure("status_code_conformance", "ST103", {"status_code": 202})
    verdict, request = run(repeat.again(failure, seen, [seen], {"/items/{item_id}": maker}.get))
    assert verdict is True
    assert request.path == "/items/100"
    assert [r.method for r in shop.sent] == ["DELETE", "POST", "DELETE"]


# -- reduction -----------------------------------------------------------------------------------------------------------


def crashes_above_900(request: Request) -> Response:
    body = request.json() if request.body else {}
    return Response(500) if isinstance(body, dict) and body.get("quantity", 0) > 900 else Response.of(201, {})


def smallest(repeat: Repeater, failure: Failure, seen: Sent, seconds: float = 30.0) -> Request | None:
    async def main() -> Request | None:
        return await repeat.smallest(failure, seen, asyncio.get_running_loop().time() + seconds)

    found: Request | None = run(main())
    return found


def test_a_valid_request_stays_valid_while_it_shrinks(contract: Contract) -> None:
    repeat, shop = repeater(contract, crashes_above_900)
    body = {"name": "ä long name", "sku": "abcdefgh", "quantity": 987}
    seen = sent("POST /items", "/items", Response(500), body)
    found = smallest(repeat, CRASH, seen)
    assert found is not None
    small = found.json()
    assert small["quantity"] == 901
    assert small["name"] == "0"
    assert len(small["sku"]) >= 3
    assert len(shop.sent) <= MOST_REQUESTS
    assert all("sku" in request.json() for request in shop.sent)


def test_an_invalid_request_stays_invalid(contract: Contract) -> None:
    def lax(request: Request) -> Response:
        return Response.of(201, {})

    repeat, _ = repeater(contract, lax)
    seen = sent(
        "POST /items",
        "/items",
        Response.of(201, {}),
        {"name": "n" * 60, "sku": "abc"},
        intent="invalid",
        broken="the body: longer than maxLength",
    )
    found = smallest(repeat, Failure("negative_data_rejection", "ST201", {}), seen)
    assert found is not None
    assert found.json()["name"] == "0" * 21
    assert "sku" in found.json()


def test_parameters_and_fields_that_do_not_matter_go(contract: Contract) -> None:
    repeat, _ = repeater(contract, lambda request: Response(500 if request.query else 200))
    seen = sent("GET /items", "/items", Response(500))
    request = seen.exchange.request.with_(
        query=(("limit", "5"), ("x", "y")), headers=Headers({"U": "v", "Accept": "text/csv"})
    )
    seen = replace(seen, exchange=replace(seen.exchange, request=request))
    found = smallest(repeat, CRASH, seen)
    assert found is not None
    assert len(found.query) == 1
    assert found.headers.pairs == ()


def test_the_query_stays_when_it_is_what_was_broken(contract: Contract) -> None:
    repeat, _ = repeater(contract, lambda _: Response(500))
    seen = sent(
        "GET /items", "/items", Response(500), intent="invalid", broken="query parameter limit: of another type"
    )
    request = seen.exchange.request.with_(query=(("limit", "a"),))
    seen = replace(seen, exchange=replace(seen.exchange, request=request))
    assert smallest(repeat, CRASH, seen) is None


@pytest.mark.parametrize("code", ["ST204", "ST301", "ST302", "ST203"])
def test_what_one_request_does_not_show_is_not_reduced(contract: Contract, code: str) -> None:
    repeat, shop = repeater(contract, lambda _: Response(500))
    seen = sent("POST /items", "/items", Response(500), {"name": "x", "sku": "abc"})
    assert smallest(repeat, Failure("x", code, {}), seen) is None
    assert shop.sent == []


def test_no_time_no_reduction(contract: Contract) -> None:
    repeat, shop = repeater(contract, crashes_above_900)
    seen = sent("POST /items", "/items", Response(500), {"name": "xx", "sku": "abcd", "quantity": 950})
    assert smallest(repeat, CRASH, seen, seconds=-1) is None
    assert shop.sent == []


# -- accusations ---------------------------------------------------------------------------------------------------------


def settled(contract: Contract, answer: Service, told: Iterator[Sent], seconds: float = 10.0) -> Accusations:
    repeat, _ = repeater(contract, answer)
    accusations = Accusations(contract, repeat, the_job(contract))

    for one in told:
        accusations.take(one)

    async def main() -> None:
        await accusations.settle(asyncio.get_running_loop().time() + seconds)

    run(main())
    return accusations


def crash(**changes: Any) -> Sent:
    return sent("GET /items", "/items", Response(500), failures=(CRASH,), **changes)


def test_one_failure_is_one_finding(contract: Contract) -> None:
    accusations = settled(contract, lambda _: Response(500), iter([crash() for _ in range(5)]))
    (found,) = accusations.findings()
    assert (found.engine_check, found.code, found.operation, found.seen) == (
        "not_a_server_error",
        "ST101",
        "GET /items",
        5,
    )
    assert not found.flaky


def test_what_never_repeats_is_flaky_after_three_tries(contract: Contract) -> None:
    tries: list[Request] = []

    def fine(request: Request) -> Response:
        tries.append(request)
        return Response.of(200, {"items": []})

    (found,) = settled(contract, fine, iter([crash() for _ in range(9)])).findings()
    assert found.flaky
    assert len(tries) == 3


def test_a_valid_request_is_the_better_witness(contract: Contract) -> None:
    told = iter([crash(intent="invalid", broken="query parameter limit: of another type"), crash(), crash()])
    (found,) = settled(contract, lambda _: Response(500), told).findings()
    assert found.exchange is not None
    assert found.exchange.intent == "valid"


def test_refusals_that_name_unknown_ids_are_not_held_against_it(contract: Contract) -> None:
    refused = Failure("positive_data_acceptance", "ST202", {})
    told = [
        sent("POST /orders", "/orders", Response.problem(422), {"item_id": 9, "count": 1}, failures=(refused,), known=k)
        for k in (False, True)
    ]
    accusations = settled(contract, lambda _: Response.problem(422), iter(told[:1]))
    assert list(accusations.findings()) == []
    assert "1 refusals" in accusations.notes[0]
    assert len(list(settled(contract, lambda _: Response.problem(422), iter(told)).findings())) == 1


def test_statuses_that_need_no_line_are_no_finding(contract: Contract) -> None:
    failure = Failure("status_code_conformance", "ST103", {"status_code": 415})
    told = [sent("POST /items", "/items", Response.problem(415), {"name": "x"}, failures=(failure,))]
    assert list(settled(contract, lambda _: Response.problem(415), iter(told)).findings()) == []


UNDOCUMENTED = Failure("status_code_conformance", "ST103", {"status_code": 400})
ITEM = "GET /items/{item_id}"


@pytest.mark.parametrize("code", ["ST103", "ST105", "ST108", "ST201", "ST202"])
@pytest.mark.parametrize("path", ["/items/", "/items/a%2Fb", "/items/../me"])
def test_an_answer_to_something_else_is_held_against_nobody(contract: Contract, code: str, path: str) -> None:
    told = [sent(ITEM, path, Response.of(200, {}), failures=(Failure("any", code, {}),))]
    assert list(settled(contract, lambda _: Response.of(200, {}), iter(told)).findings()) == []


def test_what_the_http_server_refuses_never_came_to_the_operation(contract: Contract) -> None:
    garbage = Response(400, Headers({"Content-Type": "text/plain", "Connection": "close"}), b"Invalid HTTP request")
    told = sent(ITEM, "/items/5", garbage, failures=(UNDOCUMENTED,))
    assert list(settled(contract, lambda _: garbage, iter([told])).findings()) == []
    own = Response.problem(400)
    told = sent(ITEM, "/items/5", own, failures=(UNDOCUMENTED,))
    assert [found.code for found in settled(contract, lambda _: own, iter([told])).findings()] == ["ST103"]


def test_a_crash_counts_wherever_the_request_led(contract: Contract) -> None:
    told = [sent(ITEM, "/items/%00", Response(500), failures=(CRASH,))]
    assert [found.code for found in settled(contract, lambda _: Response(500), iter(told)).findings()] == ["ST101"]


def test_an_id_that_is_refused_is_no_method_that_is(contract: Contract) -> None:
    def tried(label: str, path: str, status: int) -> list[str]:
        failure = Failure("unsupported_method", "ST204", {"method": "TRACE", "failure_reason": "wrong_status"})
        answer = Response.problem(status)
        told = sent(label, path, answer, failures=(failure,), is_own_method=False)
        request = told.exchange.request.with_(method="TRACE", operation=None)
        told = replace(told, exchange=replace(told.exchange, request=request))
        return [found.code for found in settled(contract, lambda _: answer, iter([told])).findings()]

    assert tried(ITEM, "/items/5", 404) == []
    assert tried(ITEM, "/items/5", 200) == ["ST204"]
    assert tried("GET /items", "/items", 404) == ["ST204"]


@pytest.mark.parametrize("code", ["ST201", "ST202"])
def test_a_condition_that_does_not_hold_says_nothing_about_the_input(contract: Contract, code: str) -> None:
    failure = Failure("any", code, {})
    told = [sent("POST /items", "/items", Response.problem(412), {"name": "x"}, failures=(failure,))]
    assert list(settled(contract, lambda _: Response.problem(412), iter(told)).findings()) == []


def test_a_resend_that_breaks_is_our_defect_and_stops_nothing(contract: Contract) -> None:
    def breaks(_: Request) -> Response:
        raise RuntimeError("oops")

    accusations = settled(contract, breaks, iter([crash()]))
    assert accusations.defects
    (found,) = accusations.findings()
    assert found.flaky


def test_findings_of_one_kind_are_bounded(contract: Contract) -> None:
    failure = Failure("negative_data_rejection", "ST201", {})
    fine = Response.of(200, {})
    told = [
        sent("GET /items", "/items", fine, failures=(failure,), intent="invalid", broken=f"part {n}") for n in range(30)
    ]
    accusations = settled(contract, lambda _: fine, iter(told))
    assert len(list(accusations.findings())) == 12
    assert any("18 more failures" in note for note in accusations.notes)


def test_one_ignored_constraint_is_one_finding(contract: Contract) -> None:
    failure = Failure("negative_data_rejection", "ST201", {})
    made = Response.of(201, {})
    told = [
        sent("POST /items", "/items", made, {"name": "x" * 30, "sku": "abc"}, failures=(failure,), broken=f"way {n}")
        for n in range(5)
    ]
    told.append(sent("POST /items", "/items", made, {"name": "x", "sku": "a"}, failures=(failure,), broken="way 0"))
    assert len(list(settled(contract, lambda _: made, iter(told)).findings())) == 2
