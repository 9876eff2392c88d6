"""What OAuth prescribes for its token endpoint (RFC 6749 §5.2) is no finding of checks that are about everything else."""

from __future__ import annotations

from upheld.check import Example, Finding, Subject, seen
from upheld.checks.body import valid_input
from upheld.exchange import Exchange, Response
from upheld.sample import contract

FORM = "application/x-www-form-urlencoded"
PROMISES = contract(Example("as it is"))


def refused(path: str, media_type: str) -> Exchange:
    answer = Response.of(400, {"error": "invalid_grant"})
    body = b"grant_type=authorization_code" if media_type == FORM else b'{"name": "lamp", "quantity": 7}'
    return seen("POST", path, answer, body=body, headers={"Content-Type": media_type}, intent="valid")


def test_a_form_that_fits_its_schema_may_hold_a_code_that_nobody_issued() -> None:
    assert valid_input.observe(refused("/api/v1/oauth/token", FORM), PROMISES) is None
    assert isinstance(valid_input.observe(refused("/api/v1/items", "application/json"), PROMISES), Finding)


def test_it_is_no_subject() -> None:
    found = valid_input.subjects(PROMISES)
    assert isinstance(found, list)
    labels = {subject.label for subject in found if isinstance(subject, Subject)}
    assert "POST /api/v1/items" in labels
    assert "POST /api/v1/oauth/token" not in labels
