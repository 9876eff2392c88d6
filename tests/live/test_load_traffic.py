"""What a load sends to the reference: tokens that are renewed meanwhile, unusual requests, and what observers make of the answers."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
from tests.live.loading import plan, pressing
from tests.live.shopping import ADMIN, serving, signed_in

from upheld.check import Finding
from upheld.checks import catalogue
from upheld.contract.load import load
from upheld.exchange import Exchange
from upheld.load.corpus import Case
from upheld.load.heard import under_load
from upheld.load.plan import Pressed, Template
from upheld.load.run import run_load
from upheld.load.templates import secrets_of
from upheld.load.tokens import renewing
from upheld.run.examine import Options, press
from upheld.run.prepare import opened
from upheld.run.under_load import UnderLoad
from upheld.run.watch import Watch
from upheld.verdict import Exit, Verdict

pytestmark = pytest.mark.live
CONTRACT = Path(__file__).parents[2] / "contracts/reference"


@pytest.mark.parametrize("workers", [0, 2])
def test_tokens_are_renewed_off_the_measured_path_for_every_generator(workers: int) -> None:
    """The first token is no good, and the reference takes each refresh token once: everything after the warm-up is answered 200
    only if the renewed ones are used, by all."""
    with serving() as url:
        kim = signed_in(url, "kim", "user", "kim@example.test", "a-password-of-kim", register=True)
        (renewal,) = renewing(load(CONTRACT, target_url=url), [kim], 1e9, time.time()).renewals
        me = Pressed(
            name="GET /api/v1/users/me", method="GET", latency_class="crud", limit_ms=2000.0, rate=20.0,
            templates=(Template(("/api/v1/users/me",), "kim"),),
        )  # fmt: skip
        made = plan(url, me, seconds=2.5, warmup=3.0, renewals=(replace(renewal, first=0.0, every=1.0),))
        secrets = {"kim": secrets_of(replace(kim, headers=(("Authorization", "Bearer worn-out"),)))}
        run, result, _ = pressing(made, secrets, workers=workers)
    assert run.valid, run.reason
    (row, *_) = run.rows
    assert row.ok == row.sent > 20
    assert result["renewals"]["renewed"]["kim"] == result["renewals"]["asked"] >= 3
    assert result["renewals"]["refused"] == {}
    assert result["warmup"]["errors"].keys() <= {"401"}
    assert any("kim" in note or "renewed" in note for note in run.notes)


def test_unusual_requests_and_observers_under_load(tmp_path: Path) -> None:
    for name in ("openapi.yaml", "upheld.yaml"):
        text = (CONTRACT / name).read_text()
        (tmp_path / name).write_text(
            text.replace("load: {", "load: {check_every: 2, ") if name == "upheld.yaml" else text
        )
    with serving() as url:
        contract = load(tmp_path, target_url=url)
        sessions = [
            signed_in(url, "kim", "user", "kim@example.test", "a-password-of-kim", register=True),
            signed_in(url, "root", "admin", *ADMIN, register=False),
        ]
        schema, heard = catalogue()["body/response-schema"], Counter[str]()
        under = UnderLoad(contract, [schema], Watch(contract, [schema]))

        def hear(exchange: Exchange) -> None:
            heard["load" if under_load(exchange) else "quiet"] += 1
            under.hear(_spoilt(exchange) if under_load(exchange) else exchange)

        corpus = {
            "POST /api/v1/products": (
                Case(body='{"sku": "1", "name": "\\u00e9", "category": "books", "price_cents": 0}'),
            ),
            "GET /api/v1/products": (Case((("limit", "1"),)), Case((("limit", "0"),))),
        }
        run = run_load(contract, url, sessions, seconds=3, rate=80, profile="raised", seed=4, corpus=corpus, hear=hear)
    assert run.valid, run.reason
    # Unusual or not, what the load sends is answered 2xx.
    assert {row.name: row.failures for row in run.rows if row.errors} == {}
    assert heard["load"] > 50
    assert heard["quiet"] > 20
    # The answers that were spoilt on their way to the observer are told, and no others are.
    (case,) = under.into([])
    assert case.promise.id == "body/response-schema[GET /api/v1/orders]"
    assert isinstance(case.outcome, Finding)
    assert "only under load" in case.outcome.actual


def _spoilt(exchange: Exchange) -> Exchange:
    if exchange.operation != "GET /api/v1/orders":
        return exchange
    return replace(exchange, response=replace(exchange.response, body=b'{"items": 7}'))


class Forgetful(BaseHTTPRequestHandler):
    """Answers as promised at first. Once it was asked 20 times, every third answer lacks the name."""

    protocol_version = "HTTP/1.1"
    asked = count()

    def do_GET(self) -> None:
        number = next(self.asked)
        body = json.dumps({"id": number} if number > 20 and number % 3 == 0 else {"id": number, "name": "a"}).encode()
        self.send_response(200 if self.path.startswith("/item") else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_upheld_load_tells_what_breaks_only_under_load(tmp_path: Path) -> None:
    item = {
        "type": "object",
        "required": ["id", "name"],
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
    }
    answer = {"200": {"description": "it", "content": {"application/json": {"schema": item}}}}
    document = {
        "openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/item": {"get": {"responses": answer}}},
    }  # fmt: skip
    (tmp_path / "openapi.yaml").write_text(json.dumps(document))
    (tmp_path / "upheld.yaml").write_text("upheld: 1\nopenapi: openapi.yaml\nload: {check_every: 1}\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), Forgetful) as server:
        serve = threading.Thread(target=server.serve_forever)
        serve.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            how = Options(fuzz=False, load_seconds=2.0, load_rate=40.0, seed=1, again="upheld load shop")
            with opened(tmp_path, url, profiles=("raised",)) as ready:
                run = press(ready.contract, ready.running, how)
        finally:
            server.shutdown()
            serve.join()
    told = {result.id: result for result in run.results}
    found = told["body/response-schema[GET /item]"]
    assert found.verdict is Verdict.BREACHED
    assert found.evidence is not None
    assert "only under load" in found.evidence.actual
    assert found.evidence.again.startswith("upheld load shop --seconds 2 --rate 40")
    assert "/item" in found.evidence.curl
    assert run.exit_status == Exit.BREACHED
    assert run.coverage["GET /item"]["200"] > 20
