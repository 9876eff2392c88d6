"""The seeded shop's document, and what the engine's process told about it once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from upheld.contract import Contract
from upheld.contract.load import from_parts
from upheld.exchange import Session
from upheld.run.fuzz import events

HERE = Path(__file__).parent
ANN = Session("ann", "user", headers=(("Authorization", "Bearer token-of-ann"),))

Document = dict[str, Any]
MakeContract = Callable[..., Contract]


@pytest.fixture
def document() -> Document:
    return json.loads((HERE / "shop.json").read_text())


@pytest.fixture
def make_contract(document: Document) -> MakeContract:
    """``make_contract(policy)``, with the shop's document or another."""

    def make(policy: dict[str, Any] | None = None, other: Document | None = None, **rest: Any) -> Contract:
        return from_parts(policy or {}, document if other is None else other, **rest)

    return make


@pytest.fixture
def contract(make_contract: MakeContract) -> Contract:
    return make_contract()


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    """Lines of one real run of the shop with all its faults."""
    return [json.loads(line) for line in (HERE / "recorded.jsonl").read_text().splitlines()]


@pytest.fixture
def told(lines: list[dict[str, Any]]) -> list[events.Sent]:
    """The exchanges of those lines."""
    return [events.sent(line, {"user": ANN}, 0.0) for line in lines if line["t"] == "x"]


@pytest.fixture
def by_code(told: list[events.Sent]) -> Callable[[str], tuple[events.Failure, events.Sent]]:
    """``failure, sent = by_code("ST107")``: the first exchange with that failure."""

    def find(code: str) -> tuple[events.Failure, events.Sent]:
        return next((failure, sent) for sent in told for failure in sent.failures if failure.code == code)

    return find
