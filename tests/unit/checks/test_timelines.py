"""What the checks of a quota say that they saw, request by request."""

from __future__ import annotations

import pytest

from upheld.check import Example, Finding, Kept, Timeline
from upheld.checks import catalogue
from upheld.checks.ratelimit._drain import timeline
from upheld.exchange import Response
from upheld.rehearse import rehearse

LOGIN = "POST /auth/login 10/60s"
CHECKS = catalogue()


def seen(name: str, example: Example) -> Timeline:
    outcome = rehearse(CHECKS[f"ratelimit/{name}"], example)
    assert isinstance(outcome, Kept | Finding)
    assert outcome.timeline is not None
    return outcome.timeline


def test_a_quota_is_seen_up_to_its_refusal() -> None:
    admitted = [passed for _, passed in seen("quota", Example("the shop", subject=LOGIN)).points]
    assert admitted == [True] * 10 + [False]


@pytest.mark.parametrize(
    ("name", "back"), [("retry-after", (6, 8)), ("returns", (60 * 0.4, 60 * 1.1)), ("algorithm", (1, 60 * 1.3))]
)
def test_what_comes_back_is_seen_when_it_does(name: str, back: tuple[float, float]) -> None:
    points = seen(name, Example("the shop", subject=LOGIN)).points
    refused = next(at for at, passed in points if not passed)
    again = next(at for at, passed in points if passed and at > refused)
    assert back[0] <= again - refused <= back[1]
    assert [at for at, _ in points] == sorted(at for at, _ in points)


@pytest.mark.parametrize("name", ["quota", "processes", "returns", "window"])
def test_a_finding_shows_it_too(name: str) -> None:
    shown = [
        outcome.timeline
        for example in CHECKS[f"ratelimit/{name}"].breaching
        if isinstance(outcome := rehearse(CHECKS[f"ratelimit/{name}"], example), Finding)
    ]
    assert shown
    assert all(one is not None and one.points for one in shown)


def test_time_begins_with_the_first_request_whichever_is_answered_first() -> None:
    answers = [Response(429, at=9.5, elapsed=0.25), None, Response(200, at=9.25, elapsed=0.25)]
    assert timeline(answers) == Timeline(((0.25, True), (0.5, False)))
    assert timeline([None]) is None
