"""Sentences, from what a real run told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from upheld.contract import Contract
from upheld.run.fuzz import events, words

Find = Callable[[str], tuple[events.Failure, events.Sent]]

CODES = ["ST101", "ST103", "ST105", "ST107", "ST108", "ST201", "ST202", "ST203", "ST204", "ST301", "ST302", "ST401"]


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_sentences(code: str, contract: Contract, by_code: Find) -> None:
    failure, sent = by_code(code)
    finding = words.finding(failure, sent.exchange, contract.operation(sent.label))
    assert finding.expected
    assert finding.actual
    assert finding.sent.startswith(sent.exchange.request.method)
    assert finding.request == sent.exchange.request
    # The engine's own titles are not ours.
    text = f"{finding.expected} {finding.actual}"
    for title in (
        "Undocumented",
        "API accepted schema-violating",
        "Response violates schema",
        "API rejected",
        "Server error",
    ):
        assert title not in text


def test_sentences_name_what_was_seen(contract: Contract, by_code: Find) -> None:
    failure, sent = by_code("ST107")
    finding = words.finding(failure, sent.exchange, contract.operation(sent.label))
    assert (finding.expected, finding.actual) == ("201 carries Location", "201 without Location")
    failure, sent = by_code("ST108")
    finding = words.finding(failure, sent.exchange, contract.operation(sent.label))
    assert "/quantity" in finding.actual
    failure, sent = by_code("ST301")
    assert "DELETE /items/" in words.finding(failure, sent.exchange, None).expected


def test_one_framework_default_has_one_origin(contract: Contract, told: list[events.Sent]) -> None:
    origins = {
        words.finding(failure, sent.exchange, contract.operation(sent.label)).origin
        for sent in told
        for failure in sent.failures
        if failure.code == "ST204"
    }
    assert origins == {"405 without Allow"}


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        (None, ""),
        ({"mode": "positive"}, ""),
        ({"mode": "negative", "scenario": "value_above_maximum", "place": "QUERY", "parameter": "limit"}, "query parameter limit: above its maximum"),
        ({"mode": "negative", "scenario": "incorrect_type", "place": "BODY", "parameter": "application/json"}, "the body: of another type"),
        ({"mode": "negative", "scenario": "missing_parameter", "place": "HEADER", "parameter": "X-Key"}, "header field X-Key: left out"),
        ({"mode": "negative", "scenario": "malformed_content_type", "place": ""}, "a Content-Type that is no media type"),
        ({"mode": "negative", "scenario": "something_new", "place": "", "negative": ["PATH"]}, "path parameter: something new"),
        (
            {"mode": "negative", "mutations": [{"place": "BODY", "operator": "negate_constraints", "keywords": ["maxLength"], "pointer": "/properties/name"}]},
            "the body at /properties/name: breaks maxLength",
        ),
        ({"mode": "negative", "mutations": [{"place": "BODY", "operator": "syntax_fuzzing"}]}, "the body: random octets in place of JSON"),
    ],
)  # fmt: skip
def test_what_is_broken_is_said(meta: Any, said: str) -> None:
    assert words.broken(meta) == said
