"""The catalogue's pages and its list."""

from __future__ import annotations

import json

import pytest

from upheld.check import MUST, SHOULD, Check, Clause, Example, Kept, Requirement
from upheld.report import docs

OBSERVER = Check(
    "http/allow",
    Requirement(
        title="a 405 names the methods that are allowed",
        level=MUST,
        clause=Clause(
            "RFC 9110 §15.5.6", "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6", "The origin server MUST"
        ),
        catalogue=("HTTP-04", "HTTP-05"),
        reads=("prefix",),
        engine=("unsupported_method",),
        cwe=("CWE-1",),
    ),
    "## What it requires\n\nText.",
    (Example("a 405 with Allow"),),
    (Example("a 405 without Allow"), Example("an empty one")),
    observe=lambda exchange, contract: Kept(),
)
DIALOGUE = Check(
    "ratelimit/quota",
    Requirement(
        title="it ends", level=SHOULD, clause=Clause("Here", "https://x.test"), catalogue=("RATE-01",), profile="shipped",
        waits=True, cost=12,
    ),
    "## Why", (), (), subjects=lambda contract: (), converse=lambda lane: iter(()),  # type: ignore[arg-type, return-value]
)  # fmt: skip


def test_a_page_says_what_it_is_and_what_it_rests_on() -> None:
    page = docs.page(OBSERVER)
    assert page.startswith("# http/allow\n\nA 405 names the methods that are allowed.\n\n- Level: MUST\n")
    assert "- Clause: [RFC 9110 §15.5.6](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6)" in page
    assert "- Catalogue: HTTP-04, HTTP-05" in page
    assert "- Reads: `prefix`" in page
    assert "- Engine: `unsupported_method`" in page
    assert "> The origin server MUST" in page
    assert "## What it requires\n\nText." in page
    assert "It reports:\n\n- a 405 without Allow\n- an empty one\n" in page


def test_a_dialogue_says_what_it_costs() -> None:
    page = docs.page(DIALOGUE)
    assert "about 12 for each subject; runs against the limits as shipped; waits for a window" in page
    assert "\n\n\n" not in page


@pytest.mark.parametrize("checks", [[OBSERVER, DIALOGUE], {"a": OBSERVER, "b": DIALOGUE}])
def test_the_list_for_tools(checks: list[Check] | dict[str, Check]) -> None:
    first, second = json.loads(json.dumps(docs.listing(checks)))
    assert (
        first
        | {
            "id": "http/allow",
            "catalogue": ["HTTP-04", "HTTP-05"],
            "level": "MUST",
            "group": "http",
            "title": "a 405 names the methods that are allowed",
            "clause": "RFC 9110 §15.5.6",
            "clause_url": "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6",
            "kind": "observer",
            "profile": "raised",
            "reads": ["prefix"],
        }
        == first
    )
    assert (second["kind"], second["profile"], second["waits"], second["cost"]) == ("dialogue", "shipped", True, 12)
